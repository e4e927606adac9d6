// RUN: contraflow-opt %s --parallel-insert-dispatch | FileCheck %s
// RUN: contraflow-opt %s --pass-pipeline='builtin.module(parallel-insert-dispatch{receive-bound=0.5})' | FileCheck %s --check-prefix=TIGHT

// Room for half of an even load, which is 6 rows and 6 choices: one token of each rank at a time, so that there are six pieces.
// TIGHT: comm.layout {{.+}} rows(6) choices(6) : <41 : i32> -> <32 : i32>
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 2>} {
// CHECK-LABEL: func.func @moe.forward
// CHECK-SAME: %[[X:.+]]: !nn.tensor<6 x 4> {{{.+}}"x">}, %{{.+}}, %[[W:.+]]: !nn.tensor<2 x 4 x 4> {{{.+}}"w">}, %[[ROUND:.+]]: !nn.tensor<1 : i32> {nn.role = #nn.role<round, "round">})
// CHECK-SAME: !nn.tensor<24 x 4> {nn.role = #nn.role<saved, "rows">}
// CHECK-SAME: !nn.tensor<75 : i32> {nn.role = #nn.role<saved, "routing.local">}
// CHECK-SAME: !nn.tensor<12 : i32> {nn.role = #nn.role<saved, "routing.layout">}
// CHECK-SAME: !nn.tensor<12 x 2> {nn.role = #nn.role<saved, "gates.received">}
func.func @moe.forward(%x: !nn.tensor<6 x 4> {nn.role = #nn.role<input, "x">}, %logits: !nn.tensor<6 x 4> {nn.role = #nn.role<input, "logits">},
                       %w: !nn.tensor<4 x 4 x 4> {nn.role = #nn.role<param, "w">})
    -> (!nn.tensor<6 x 4> {nn.role = #nn.role<output, "0">}, !nn.tensor<6 x 2> {nn.role = #nn.role<saved, "gates">},
        !nn.tensor<41 : i32> {nn.role = #nn.role<saved, "routing">}, !nn.tensor<12 x 4> {nn.role = #nn.role<saved, "rows">},
        !nn.tensor<12 x 4> {nn.role = #nn.role<saved, "y">}) {
  %g, %s, %r, %l = nn.route %logits top_k(2) score("sigmoid") normalize(true) scale(1.0) : <6 x 4>
  // CHECK: %[[GATES:.+]], %{{.+}}, %[[TABLE:.+]], %{{.+}} = nn.route
  // CHECK-NEXT: %[[LAYOUT:.+]] = comm.layout %[[TABLE]] over ep tokens(6) top_k(2) rows(12) choices(24)
  // CHECK-NEXT: %[[CHOICES:.+]] = comm.choices %[[TABLE]]
  // One message for all that the experts need.
  // CHECK-NEXT: %[[IN:.+]]:3 = comm.dispatch %[[X]], %[[GATES]], %[[CHOICES]] by %[[LAYOUT]] round(%[[ROUND]]) over ep
  // CHECK-NEXT: %[[LOCAL:.+]] = comm.local_routing %[[IN]]#2 by %[[LAYOUT]] experts(2) rows(24)
  // CHECK-NEXT: %[[ROWS:.+]] = nn.permute %[[IN]]#0, %[[LOCAL]] top_k(2) room(24) : (<12 x 4>, <75 : i32>) -> <24 x 4>
  %rows = nn.permute %x, %r top_k(2) : (<6 x 4>, <41 : i32>) -> <12 x 4>
  // CHECK-NEXT: %[[Y:.+]] = nn.grouped_linear %[[ROWS]], %[[W]], %[[LOCAL]] choices(24) : (<24 x 4>, <2 x 4 x 4>, <75 : i32>) -> <24 x 4>
  %y = nn.grouped_linear %rows, %w, %r : (<12 x 4>, <4 x 4 x 4>, <41 : i32>) -> <12 x 4>
  // CHECK-NEXT: %[[PARTIAL:.+]] = nn.unpermute %[[Y]], %[[LOCAL]], %[[IN]]#1 room(24) : (<24 x 4>, <75 : i32>, <12 x 2>) -> <12 x 4>
  // CHECK-NEXT: %[[SUM:.+]] = comm.combine %[[PARTIAL]] by %[[LAYOUT]] round(%[[ROUND]]) over ep tokens(6) rows(12) : (<12 x 4>) by <12 : i32> -> (<6 x 4>)
  // CHECK-NEXT: return %[[SUM]], %[[GATES]], %[[TABLE]], %[[ROWS]], %[[Y]], %[[LOCAL]], %[[LAYOUT]], %[[IN]]#1
  %sum = nn.unpermute %y, %r, %g : (<12 x 4>, <41 : i32>, <6 x 2>) -> <6 x 4>
  return %sum, %g, %r, %rows, %y : !nn.tensor<6 x 4>, !nn.tensor<6 x 2>, !nn.tensor<41 : i32>, !nn.tensor<12 x 4>, !nn.tensor<12 x 4>
}
// CHECK-LABEL: func.func @moe.backward
// CHECK-SAME: %[[DY:[^:]+]]: !nn.tensor<6 x 4> {nn.role = #nn.role<output_grad, "0">}, %[[ACC:.+]]: !nn.tensor<2 x 4 x 4> {nn.role = #nn.role<grad, "w">}, %[[LOCAL:.+]]: !nn.tensor<75 : i32>
func.func @moe.backward(%rows: !nn.tensor<12 x 4> {nn.role = #nn.role<saved, "rows">}, %y: !nn.tensor<12 x 4> {nn.role = #nn.role<saved, "y">},
                        %r: !nn.tensor<41 : i32> {nn.role = #nn.role<saved, "routing">}, %g: !nn.tensor<6 x 2> {nn.role = #nn.role<saved, "gates">},
                        %w: !nn.tensor<4 x 4 x 4> {nn.role = #nn.role<param, "w">}, %dy: !nn.tensor<6 x 4> {nn.role = #nn.role<output_grad, "0">},
                        %acc: !nn.tensor<4 x 4 x 4> {nn.role = #nn.role<grad, "w">})
    -> (!nn.tensor<6 x 4> {nn.role = #nn.role<input_grad, "x">}, !nn.tensor<6 x 2> {nn.role = #nn.role<input_grad, "gates">},
        !nn.tensor<4 x 4 x 4> {nn.role = #nn.role<grad, "w", tied = 6>}) {
  // The gates are where the experts are since the forward.
  // CHECK-NEXT: %[[DY_IN:.+]] = comm.dispatch %[[DY]] by %[[LAYOUT:.+]] round({{.+}}) over ep
  // CHECK-NEXT: %[[DGATES:.+]] = nn.unpermute_gates_grad %[[DY_IN]]
  // CHECK-NOT: comm.
  // CHECK: %[[DX:.+]] = nn.permute_input_grad
  // Both gradients come back in one message, and what waits for one of them stands behind it.
  // CHECK-NEXT: %[[BACK:.+]]:2 = comm.combine %[[DGATES]], %[[DX]] by %[[LAYOUT]]
  // CHECK-NEXT: %[[SCALED:.+]] = nn.scale %[[BACK]]#0
  // CHECK-NEXT: return %[[BACK]]#1, %[[SCALED]]
  %dgates = nn.unpermute_gates_grad %dy, %y, %r : (<6 x 4>, <12 x 4>, <41 : i32>) -> <6 x 2>
  %scaled = nn.scale %dgates by(2.0) : <6 x 2>
  %drows = nn.unpermute_rows_grad %dy, %r, %g : (<6 x 4>, <41 : i32>, <6 x 2>) -> <12 x 4>
  %dw = nn.grouped_linear_weight_grad %drows, %rows, %r : (<12 x 4>, <12 x 4>, <41 : i32>) -> <4 x 4 x 4>
  %sum = nn.accumulate %acc, %dw : <4 x 4 x 4>
  %dx_rows = nn.grouped_linear_input_grad %drows, %w, %r : (<12 x 4>, <4 x 4 x 4>, <41 : i32>) -> <12 x 4>
  %dx = nn.permute_input_grad %dx_rows, %r top_k(2) : (<12 x 4>, <41 : i32>) -> <6 x 4>
  return %dx, %scaled, %sum : !nn.tensor<6 x 4>, !nn.tensor<6 x 2>, !nn.tensor<4 x 4 x 4>
}
}
