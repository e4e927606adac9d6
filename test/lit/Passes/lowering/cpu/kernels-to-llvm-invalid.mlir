// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=16 -split-input-file -verify-diagnostics

// expected-error@+1 {{argument 0 of 'unplaced' has no 'nn.location'; run the memory phase first}}
func.func @unplaced(%x: !nn.tensor<4>) {
  return
}

// -----

func.func @result(%x: !nn.tensor<4> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'copy' has no 'locations' for its 1 results; run the memory phase first}}
  %y = nn.kernel "copy" #nn.rows domain [4] ins(%x : <4>)
    maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] gathers [[], []] tied [-1] -> <4> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @tied(%x: !nn.tensor<4> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'double' has result 0 at #nn.location<8, 0>, but input 0, to which it is tied, lies elsewhere}}
  %y = nn.kernel "double" #nn.rows domain [4] ins(%x : <4>)
    maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] gathers [[], []] tied [0]
    attributes {locations = [#nn.location<8, 0>]} -> <4> {
  ^bb0(%a: f32):
    %b = arith.addf %a, %a : f32
    nn.kernel_yield %b : f32
  }
  return
}

// -----

func.func @unfused(%x: !nn.tensor<4> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{'nn.silu' op is not a kernel; run fusion first}}
  %y = nn.silu %x : <4>
  return
}

// -----

func.func @region(%x: !nn.tensor<4> {nn.location = #nn.location<7, 0>}) {
  %y = nn.kernel "odd" #nn.rows domain [4] ins(%x : <4>)
    maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] gathers [[], []] tied [-1]
    attributes {locations = [#nn.location<8, 0>]} -> <4> {
  ^bb0(%a: f32):
    // expected-error@+1 {{'llvm.freeze' op is not an operation of kernel regions}}
    %b = llvm.freeze %a : f32
    nn.kernel_yield %b : f32
  }
  return
}

// -----

func.func @untied(%x: !nn.tensor<3 x 4> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'sums' adds to result 0, which is not tied}}
  %y = nn.kernel "sums" #nn.column_reduce domain [3, 4] ins(%x : <3 x 4>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>] gathers [[], []] tied [-1]
    attributes {locations = [#nn.location<8, 0>]} -> <4> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @rows(%x: !nn.tensor<3 x 4> {nn.location = #nn.location<7, 0>},
                %y: !nn.tensor<3> {nn.location = #nn.location<8, 0>}) {
  // expected-error@+1 {{kernel 'sums' has the same element of result 0 for all columns}}
  %z = nn.kernel "sums" #nn.column_reduce domain [3, 4] ins(%x, %y : <3 x 4>, <3>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>]
    gathers [[], [], []] tied [1] attributes {locations = [#nn.location<8, 0>]} -> <3> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @choice(%x: !nn.tensor<3 x 8> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'route': choice of 3 of 2 experts}}
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 4, group_limit = 1, group_top = 2, normalize = true, scale = 1.0 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [3, 8, 3] ins(%x : <3 x 8>)
    maps [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d2)>,
          affine_map<(d0, d1, d2) -> (0)>, affine_map<(d0, d1, d2) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <3 x 3>, <36 : i32>, <8>
  return
}

// -----

func.func @many_choices(%x: !nn.tensor<3 x 80> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'route': choice of 65 experts and 1 groups, at most 64 can be}}
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 1, group_limit = 1, group_top = 1, normalize = true, scale = 1.0 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [3, 80, 65] ins(%x : <3 x 80>)
    maps [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d2)>,
          affine_map<(d0, d1, d2) -> (0)>, affine_map<(d0, d1, d2) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <3 x 65>, <666 : i32>, <80>
  return
}

// -----

func.func @uneven_groups(%x: !nn.tensor<3 x 8> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'route': 8 experts in 3 groups}}
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 3, group_limit = 2, group_top = 2, normalize = true, scale = 1.0 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [3, 8, 2] ins(%x : <3 x 8>)
    maps [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d2)>,
          affine_map<(d0, d1, d2) -> (0)>, affine_map<(d0, d1, d2) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <3 x 2>, <27 : i32>, <8>
  return
}

// -----

func.func @many_groups(%x: !nn.tensor<3 x 160> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'route': choice of 2 experts and 65 groups, at most 64 can be}}
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 80, group_limit = 65, group_top = 1, normalize = true, scale = 1.0 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [3, 160, 2] ins(%x : <3 x 160>)
    maps [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d2)>,
          affine_map<(d0, d1, d2) -> (0)>, affine_map<(d0, d1, d2) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <3 x 2>, <179 : i32>, <160>
  return
}

// -----

func.func @flat_domain(%x: !nn.tensor<3 x 8> {nn.location = #nn.location<7, 0>}) {
  // expected-error@+1 {{kernel 'route' routes over a domain with 2 dimensions, expected 3}}
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 1, group_limit = 1, group_top = 1, normalize = true, scale = 1.0 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [3, 8] ins(%x : <3 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, 0)>, affine_map<(d0, d1) -> (0)>,
          affine_map<(d0, d1) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <3 x 1>, <18 : i32>, <8>
  return
}
