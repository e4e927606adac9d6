// RUN: contraflow-opt %s --schedule-count-operations | FileCheck %s

// 2 * 8 * 16 * 4 for the product and 8 * 4 for the sum; bytes of operands, and of results.
// CHECK: func.func @layer.forward{{.*}} attributes {nn.costs = [
// CHECK-SAME: #nn.cost<"linear", "", flops = 1024, read = 768, written = 128>,
// CHECK-SAME: #nn.cost<"add", "", flops = 32, read = 256, written = 128>]}
func.func @layer.forward(%x: !nn.tensor<8 x 16>, %w: !nn.tensor<4 x 16>) -> !nn.tensor<8 x 4> {
  %y = nn.linear %x, %w : (<8 x 16>, <4 x 16>) -> <8 x 4>
  %z = nn.add %y, %y : <8 x 4>
  return %z : !nn.tensor<8 x 4>
}

// Names are those of parameters; what has none belongs where its operands come from, or else its results go to.
// CHECK: func.func @names.forward
// CHECK-SAME: nn.costs = [#nn.cost<"silu", "mlp", {{[^>]*}}>,
// CHECK-SAME: #nn.cost<"linear", "mlp.up_proj", {{[^>]*}}>,
// CHECK-SAME: #nn.cost<"tanh", "mlp", {{[^>]*}}>,
// CHECK-SAME: #nn.cost<"linear", "head", {{[^>]*}}>,
// CHECK-SAME: #nn.cost<"sigmoid", "", {{[^>]*}}>]
func.func @names.forward(%x: !nn.tensor<8 x 4> {nn.role = #nn.role<input, "x">},
                         %up: !nn.tensor<4 x 4> {nn.role = #nn.role<param, "mlp.up_proj.weight">},
                         %head: !nn.tensor<4 x 4> {nn.role = #nn.role<param_arg, "head">}) -> !nn.tensor<8 x 4> {
  %a = nn.silu %x : <8 x 4>
  %b = nn.linear %a, %up : (<8 x 4>, <4 x 4>) -> <8 x 4>
  %c = nn.tanh %b : <8 x 4>
  %d = nn.linear %c, %head : (<8 x 4>, <4 x 4>) -> <8 x 4>
  %e = nn.sigmoid %d : <8 x 4>
  return %e : !nn.tensor<8 x 4>
}

// A gradient goes by the name of what it is added to.
// CHECK: func.func @names.backward_weight
// CHECK-SAME: nn.costs = [#nn.cost<"linear_weight_grad", "mlp.up_proj", flops = 256, read = 256, written = 64>,
// CHECK-SAME: #nn.cost<"accumulate", "mlp.up_proj", flops = 16, read = 128, written = 64>]
func.func @names.backward_weight(
    %x: !nn.tensor<8 x 4> {nn.role = #nn.role<saved, "x">}, %g: !nn.tensor<8 x 4> {nn.role = #nn.role<output_grad, "0">},
    %up: !nn.tensor<4 x 4> {nn.role = #nn.role<grad, "mlp.up_proj.weight">}) -> !nn.tensor<4 x 4> {
  %a = nn.linear_weight_grad %g, %x : (<8 x 4>, <8 x 4>) -> <4 x 4>
  %b = nn.accumulate %up, %a : <4 x 4>
  return %b : !nn.tensor<4 x 4>
}

// What is accumulated goes by the name of the loss or metric.
// CHECK: func.func @names.accumulated
// CHECK-SAME: nn.costs = [#nn.cost<"accumulate", "balance", {{[^>]*}}>, #nn.cost<"accumulate", "mlp.load", {{[^>]*}}>]
func.func @names.accumulated(
    %x: !nn.tensor<8> {nn.role = #nn.role<input, "x">}, %loss: !nn.tensor<8> {nn.role = #nn.role<loss, "balance">},
    %load: !nn.tensor<8> {nn.role = #nn.role<metric, "mlp.load">}) -> (!nn.tensor<8>, !nn.tensor<8>) {
  %a = nn.accumulate %loss, %x : <8>
  %b = nn.accumulate %load, %x : <8>
  return %a, %b : !nn.tensor<8>, !nn.tensor<8>
}

// CHECK: func.func @nothing() attributes {nn.costs = []}
func.func @nothing() {
  return
}
