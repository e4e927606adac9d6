// RUN: contraflow-opt %s --split-input-file --parallel-reduce-step --parallel-verify-collectives | FileCheck %s
// RUN: contraflow-opt %s --split-input-file --parallel-reduce-step --mlir-print-ir-after-all --mlir-pass-statistics -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// What a step begins with as zeros is summed over ranks, each in place.
// CHECK-LABEL: func.func @step.begin
// CHECK: func.func @step.reduce_gradients(%[[GRADIENTS:.+]]: !nn.tensor<64> {nn.role = #nn.role<grad, "gradients">})
// CHECK-SAME: -> (!nn.tensor<64> {nn.role = #nn.role<grad, "gradients", tied = 0>})
// CHECK-NEXT: %[[SUM:.+]] = comm.all_reduce %[[GRADIENTS]] over dp : <64>
// CHECK-NEXT: return %[[SUM]]
// CHECK: func.func @step.reduce_losses(%{{.+}}: !nn.tensor<2> {nn.role = #nn.role<loss, "losses">})
// CHECK-NOT: func.func
// STATS: parallel-reduce-step
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 1>} {
  func.func @step.begin(%g: !nn.tensor<64> {nn.role = #nn.role<grad, "gradients">}, %l: !nn.tensor<2> {nn.role = #nn.role<loss, "losses">})
      -> (!nn.tensor<64> {nn.role = #nn.role<grad, "gradients", tied = 0>}, !nn.tensor<2> {nn.role = #nn.role<loss, "losses", tied = 1>}) {
    %0 = nn.zero : <64>
    %1 = nn.zero : <2>
    return %0, %1 : !nn.tensor<64>, !nn.tensor<2>
  }
}

// -----

// One process sums nothing over ranks.
// CHECK-LABEL: func.func @step.begin
// CHECK-NOT: func.func
module {
  func.func @step.begin(%l: !nn.tensor<2> {nn.role = #nn.role<loss, "losses">}) -> (!nn.tensor<2> {nn.role = #nn.role<loss, "losses", tied = 0>}) {
    %0 = nn.zero : <2>
    return %0 : !nn.tensor<2>
  }
}
