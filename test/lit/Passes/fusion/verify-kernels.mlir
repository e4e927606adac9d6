// RUN: contraflow-opt %s -fusion-verify-kernels | FileCheck %s

// CHECK-LABEL: func.func @accumulate
func.func @accumulate(%acc: !nn.tensor<8 x 4> {nn.role = #nn.role<grad, "w">}, %g: !nn.tensor<8 x 4> {nn.role = #nn.role<input, "g">})
    -> (!nn.tensor<8 x 4> {nn.role = #nn.role<grad, "w", tied = 0>}) {
  %t = nn.constant_table dense<1.0> : tensor<4xf32> -> <4>
  // CHECK: nn.kernel "accumulate"
  %s = nn.kernel "accumulate" #nn.rows domain [8, 4] ins(%acc, %g, %t : <8 x 4>, <8 x 4>, <4>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>,
          affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [], [], []] tied [0] -> <8 x 4> {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %b, %c : f32
    %q = arith.addf %a, %p : f32
    nn.kernel_yield %q : f32
  }
  return %s : !nn.tensor<8 x 4>
}

// Every kernel of a whole phase, for every kind of operation that a layer has.
// CHECK-LABEL: func.func @layer
func.func @layer(%x: !nn.tensor<8 x 4>) -> !nn.tensor<8 x 4> {
  // CHECK: nn.kernel "half"
  %h = nn.kernel "half" #nn.rows domain [8, 2] ins(%x : <8 x 4>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>] gathers [[], []] tied [-1] -> <8 x 4> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  // The other columns follow, in the same memory: the tied input is not read.
  // CHECK: nn.kernel "other_half"
  %o = nn.kernel "other_half" #nn.rows domain [8, 2] ins(%x, %h : <8 x 4>, <8 x 4>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1 + 2)>]
    gathers [[], [], []] tied [1] -> <8 x 4> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return %o : !nn.tensor<8 x 4>
}
