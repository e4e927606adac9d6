// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// What the verifier of nn.kernel refuses.

func.func @kernel_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C1) expected 2 maps and gather lists and 1 tied entries, found 1, 2 and 1}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c1_gathers(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C1) expected 2 maps and gather lists and 1 tied entries, found 2, 1 and 1}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[]] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c1_tied(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C1) expected 2 maps and gather lists and 1 tied entries, found 2, 2 and 0}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c2(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C2) map 1 has 1 results, its tensor has 2 dimensions}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c2_domain(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C2) map 0 has 2 dimensions, the domain has 1}}
  %y = nn.kernel "k" #nn.rows domain [32] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c2_symbols(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C2) map 0 has 1 symbols, gathers give 0}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c3(%x: !nn.tensor<4 x 8>, %z: !nn.tensor<4 x 7>) {
  // expected-error @below {{'nn.kernel' op (C3) result 0 has type '!nn.tensor<4 x 8>', tied input 1 has type '!nn.tensor<4 x 7>'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x, %z : <4 x 8>, <4 x 7>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [], []] tied [1] -> <4 x 8> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c3_number(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C3) result 0 is tied to input 1, there are 1 inputs}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c3_twice(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C3) input 0 is tied to more than one result}}
  %y:2 = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [], []] tied [0, 0] -> <4 x 8>, <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a, %a : f32, f32
  }
  return
}

// -----

func.func @kernel_c4(%x: !nn.tensor<4 x 8>, %i: !nn.tensor<4>) {
  // expected-error @below {{'nn.kernel' op (C4) input 0 gathers operand 1 and must be i32, found '!nn.tensor<4>'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%i, %x : <4>, <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [0], []] tied [-1] -> <4 x 8> {
  ^bb0(%i0: f32, %a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c4_number(%x: !nn.tensor<4 x 8>, %i: !nn.tensor<4 : i32>) {
  // expected-error @below {{'nn.kernel' op (C4) operand 1 is gathered by input 2, there are 2 inputs}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%i, %x : <4 : i32>, <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [2], []] tied [-1] -> <4 x 8> {
  ^bb0(%i0: i32, %a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c4_chain(%x: !nn.tensor<4 x 8>, %i: !nn.tensor<4 : i32>) {
  // expected-error @below {{'nn.kernel' op (C4) input 0 gathers operand 0 and must not be gathered itself}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%i, %x : <4 : i32>, <4 x 8>)
    maps [affine_map<(d0, d1)[s0] -> (s0)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[0], [], []] tied [-1] -> <4 x 8> {
  ^bb0(%i0: i32, %a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c5(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) region argument 0 is 'i32', input 0 holds 'f32'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: i32):
    %b = arith.sitofp %a : i32 to f32
    nn.kernel_yield %b : f32
  }
  return
}

// -----

func.func @kernel_c5_arguments(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) the region has 0 arguments, the kernel has 1 inputs}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0:
    %c = arith.constant 1.0 : f32
    nn.kernel_yield %c : f32
  }
  return
}

// -----

func.func @kernel_c1_domain(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C1) sizes of the domain must be 0 or more, found -1}}
  %y = nn.kernel "k" #nn.rows domain [4, -1] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c5_empty(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) the region must end with nn.kernel_yield of 1 scalars}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @kernel_c5_memory(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) the region must hold operations on scalars, found 'func.call'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    func.call @kernel_c1_domain() : () -> ()
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_c5_yield(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) the region must end with nn.kernel_yield of 1 scalars}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield
  }
  return
}

// -----

func.func @kernel_c5_yield_type(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) yielded value 0 is 'i32', result 0 holds 'f32'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    %i = nn.domain_index 0
    nn.kernel_yield %i : i32
  }
  return
}

// -----

func.func @kernel_c5_no_region(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op (C5) the region must have one block for anchor #nn.rows}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8>
  return
}

// -----

func.func @kernel_c5_region_of_matmul(%x: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.kernel' op (C5) the region must be empty for anchor #nn.matmul}}
  %y = nn.kernel "k" #nn.matmul domain [4, 4, 4] ins(%x, %x : <4 x 4>, <4 x 4>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    gathers [[], [], []] tied [-1] -> <4 x 4> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

#query = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>
#value = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>
#lse = affine_map<(b, s, h, d, e) -> (b * 64 + s, h)>

func.func @kernel_c6(%q: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x 16>, %l: !nn.tensor<128 x 4>) {
  // expected-error @below {{'nn.kernel' op (C6) attention_grad with lseGrad has 6 inputs, expected 7, or 8 with starts}}
  %d:3 = nn.kernel "attention_input_grad" #nn.attention_grad<heads = 4, kvHeads = 4, seq = 64, scale = 0.25 : f32, causal = true, lseGrad = true>
    domain [2, 64, 4, 8, 4] ins(%q, %q, %v, %v, %l, %v : <128 x 32>, <128 x 32>, <128 x 16>, <128 x 16>, <128 x 4>, <128 x 16>)
    maps [#query, #query, #value,
          #value, #lse, #value,
          #query, #query, #value]
    gathers [[], [], [], [], [], [], [], [], []] tied [-1, -1, -1] -> <128 x 32>, <128 x 32>, <128 x 16>
  return
}

// -----

#query = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>
#value = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>
#lse = affine_map<(b, s, h, d, e) -> (b * 64 + s, h)>

func.func @kernel_c6_starts(%q: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x 16>, %l: !nn.tensor<128 x 4>) {
  // expected-error @below {{'nn.kernel' op (C6) input 6 holds the starts of attention_grad without lseGrad and must be i32, found '!nn.tensor<128 x 4>'}}
  %d:3 = nn.kernel "attention_input_grad" #nn.attention_grad<heads = 4, kvHeads = 4, seq = 64, scale = 0.25 : f32, causal = true>
    domain [2, 64, 4, 8, 4] ins(%q, %q, %v, %v, %l, %v, %l : <128 x 32>, <128 x 32>, <128 x 16>, <128 x 16>, <128 x 4>, <128 x 16>, <128 x 4>)
    maps [#query, #query, #value,
          #value, #lse, #value, #lse,
          #query, #query, #value]
    gathers [[], [], [], [], [], [], [], [], [], []] tied [-1, -1, -1] -> <128 x 32>, <128 x 32>, <128 x 16>
  return
}

// -----

func.func @kernel_wants_an_anchor(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op unknown anchor "rows"}}
  %y = nn.kernel "k" "rows" domain [4, 8] ins(%x : <4 x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_wants_bound_types(%x: !nn.tensor<n x 8>) {
  // expected-error @below {{'nn.kernel' op needs bound types, found '!nn.tensor<n x 8>'}}
  %y = nn.kernel "k" #nn.rows domain [4, 8] ins(%x : <n x 8>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] -> <4 x 8> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

func.func @kernel_wants_lists_of_gathers(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.kernel' op attribute 'gathers' failed to satisfy constraint: array of lists of inputs}}
  %y = "nn.kernel"(%x) <{anchor = #nn.rows, domain = array<i64: 4, 8>, gathers = [1, 2], label = "k", maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], tied = array<i64: -1>}> ({
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }) : (!nn.tensor<4 x 8>) -> !nn.tensor<4 x 8>
  return
}

// -----

func.func @row_sum_outside_of_a_kernel(%x: f32) {
  // expected-error @below {{'nn.row_sum' op expects parent op 'nn.kernel'}}
  %y = nn.row_sum %x
  return
}

// -----

func.func @constant_table_c1() {
  // expected-error @below {{'nn.constant_table' op (C1) the value is 'tensor<2x2xf32>', the result '!nn.tensor<2 x 3>'}}
  %t = nn.constant_table dense<1.0> : tensor<2x2xf32> -> <2 x 3>
  return
}

// -----

func.func @constant_table_c1_angles() {
  // expected-error @below {{'nn.constant_table' op (C1) the value is 'tensor<3x8x2xf32>', the result '!nn.tensor<3 x 8 x 1>'}}
  %t = nn.constant_table #nn.angles<positions = 8, factor = 1.0 : f64, frequencies = dense<[1.0, 0.01]> : tensor<2xf64>> -> <3 x 8 x 1>
  return
}

// -----

func.func @constant_table_c2() {
  // expected-error @below {{'nn.constant_table' op (C2) the value must be elements or #nn.angles, found "angles"}}
  %t = nn.constant_table "angles" -> <3 x 8 x 1>
  return
}

// -----

func.func @angles_positions() {
  // expected-error @below {{expected one position or more, found 0}}
  %t = nn.constant_table #nn.angles<positions = 0, factor = 1.0 : f64, frequencies = dense<[1.0]> : tensor<1xf64>> -> <3 x 8 x 1>
  return
}

// -----

func.func @angles_size() {
  // expected-error @below {{expected at most 256 MiB of angles, found 33554432 positions and 1 pairs}}
  %t = nn.constant_table #nn.angles<positions = 33554432, factor = 1.0 : f64, frequencies = dense<[1.0]> : tensor<1xf64>> -> <3 x 33554432 x 1>
  return
}

// -----

func.func @angles_types() {
  // expected-error @below {{expected an f64 factor and a vector of f64 frequencies, found 'f32' and 'tensor<1xf64>'}}
  %t = nn.constant_table #nn.angles<positions = 8, factor = 1.0 : f32, frequencies = dense<[1.0]> : tensor<1xf64>> -> <3 x 8 x 1>
  return
}

// -----

#row = affine_map<(b, s, h, d, e) -> (b * 64 + s)>
#query = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>
#value = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>
#lse = affine_map<(b, s, h, d, e) -> (b * 64 + s, h)>

func.func @kernel_c6_random_key(%q: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x 16>) {
  // expected-error @below {{'nn.kernel' op (C6) attention has 3 inputs, expected 4, or 5 with starts}}
  %o:2 = nn.kernel "attention" #nn.attention<heads = 4, kvHeads = 4, seq = 64, scale = 0.25 : f32, causal = true, drop = <threshold = 1, scale = 1.0 : f32, stream = 0>>
    domain [2, 64, 4, 8, 4] ins(%q, %q, %v : <128 x 32>, <128 x 32>, <128 x 16>)
    maps [#query, #query, #value, #value, #lse]
    gathers [[], [], [], [], []] tied [-1, -1] -> <128 x 16>, <128 x 4>
  return
}
