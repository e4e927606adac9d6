// RUN: contraflow-opt %s -fusion-verify-kernels -split-input-file -verify-diagnostics

func.func @c1(%x: !nn.tensor<8 x 4>) -> !nn.tensor<8 x 4> {
  // expected-error @below {{'nn.silu' op (C1) is neither a kernel nor a constant table; fusion has no rule for it}}
  %y = nn.silu %x : <8 x 4>
  return %y : !nn.tensor<8 x 4>
}

// -----

// expected-error @below {{'func.func' op (C1) must have a body of one block}}
func.func private @c1_declaration(!nn.tensor<8 x 4>)

// -----

func.func @c2_later_use(%x: !nn.tensor<8 x 4>) -> (!nn.tensor<8 x 4>, !nn.tensor<8 x 4>) {
  // expected-error @below {{'nn.kernel' op (C2) result 0 is written into the memory of a value that is used later}}
  %y = nn.kernel "double" #nn.rows domain [8, 4] ins(%x : <8 x 4>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>] gathers [[], []] tied [0] -> <8 x 4> {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    nn.kernel_yield %b : f32
  }
  // expected-note @below {{the later use is here}}
  return %y, %x : !nn.tensor<8 x 4>, !nn.tensor<8 x 4>
}

// -----

func.func @c2_table() -> !nn.tensor<4> {
  %t = nn.constant_table dense<1.0> : tensor<4xf32> -> <4>
  // expected-error @below {{'nn.kernel' op (C2) result 0 is written into a constant table}}
  %y = nn.kernel "double" #nn.rows domain [1, 4] ins(%t : <4>)
    maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>] gathers [[], []] tied [0] -> <4> {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    nn.kernel_yield %b : f32
  }
  return %y : !nn.tensor<4>
}

// -----

func.func @c2_argument(%x: !nn.tensor<4> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<4> {nn.role = #nn.role<output, "0">}) {
  // expected-error @below {{'nn.kernel' op (C2) result 0 is written into argument 0, to which no result of the function is tied}}
  %y = nn.kernel "double" #nn.rows domain [1, 4] ins(%x : <4>)
    maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>] gathers [[], []] tied [0] -> <4> {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    nn.kernel_yield %b : f32
  }
  return %y : !nn.tensor<4>
}

// -----

func.func @c3(%x: !nn.tensor<4 x 2>) -> !nn.tensor<4 x 2> {
  // expected-error @below {{'nn.kernel' op (C3) input 0 is read through another map than result 0, which is written into its memory}}
  %y = nn.kernel "swap" #nn.rows domain [4, 2] ins(%x, %x : <4 x 2>, <4 x 2>)
    maps [affine_map<(d0, d1) -> (d0, 1 - d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [], []] tied [1] -> <4 x 2> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return %y : !nn.tensor<4 x 2>
}

// -----

func.func @c4(%acc: !nn.tensor<4> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<4> {nn.role = #nn.role<grad, "w", tied = 0>}) {
  %y = nn.kernel "double" #nn.rows domain [1, 4] ins(%acc : <4>)
    maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>] gathers [[], []] tied [-1] -> <4> {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    nn.kernel_yield %b : f32
  }
  // expected-error @below {{'func.return' op (C4) result 0 is tied to argument 0, but what is returned lies elsewhere}}
  return %y : !nn.tensor<4>
}

// -----

func.func @c5_input(%x: !nn.tensor<4 x 2>) -> !nn.tensor<4 x 2> {
  // expected-error @below {{'nn.kernel' op (C5) coordinate 1 of input 0 runs from 1 to 2, the dimension is 2}}
  %y = nn.kernel "off_by_one" #nn.rows domain [4, 2] ins(%x : <4 x 2>)
    maps [affine_map<(d0, d1) -> (d0, d1 + 1)>, affine_map<(d0, d1) -> (d0, d1)>] gathers [[], []] tied [-1] -> <4 x 2> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return %y : !nn.tensor<4 x 2>
}

// -----

func.func @c5_result(%x: !nn.tensor<4 x 2>) -> !nn.tensor<4 x 2> {
  // expected-error @below {{'nn.kernel' op (C5) coordinate 0 of result 0 runs from -1 to 2, the dimension is 4}}
  %y = nn.kernel "off_by_one" #nn.rows domain [4, 2] ins(%x : <4 x 2>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0 - 1, d1)>] gathers [[], []] tied [-1] -> <4 x 2> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return %y : !nn.tensor<4 x 2>
}
