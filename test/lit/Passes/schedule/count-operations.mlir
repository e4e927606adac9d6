// RUN: contraflow-opt %s --schedule-count-operations | FileCheck %s

// 2 * 8 * 16 * 4 for the product and 8 * 4 for the sum.
// CHECK: func.func @layer.forward{{.*}} attributes {nn.flops = 1056 : i64}
func.func @layer.forward(%x: !nn.tensor<8 x 16>, %w: !nn.tensor<4 x 16>) -> !nn.tensor<8 x 4> {
  %y = nn.linear %x, %w : (<8 x 16>, <4 x 16>) -> <8 x 4>
  %z = nn.add %y, %y : <8 x 4>
  return %z : !nn.tensor<8 x 4>
}

// CHECK: func.func @nothing() attributes {nn.flops = 0 : i64}
func.func @nothing() {
  return
}
