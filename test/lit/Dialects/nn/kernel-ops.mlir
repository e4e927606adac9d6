// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// One kernel of every anchor.

// CHECK-LABEL: func.func @rows
func.func @rows(%x: !nn.tensor<17 x 3>, %w: !nn.tensor<3>) -> (!nn.tensor<17 x 3>, !nn.tensor<17>) {
  // CHECK: %{{.+}}:2 = nn.kernel "normalise" #nn.rows domain [17, 3] ins(%{{.+}}, %{{.+}} : <17 x 3>, <3>)
  // CHECK-SAME: maps [#[[ALL:.+]], #[[COLUMN:.+]], #[[ALL]], #[[ROW:.+]]] gathers {{\[\[\], \[\], \[\], \[\]\]}} tied [-1, -1]
  // CHECK-SAME: -> <17 x 3>, <17> {
  // CHECK-NEXT: ^bb0(%[[A:.+]]: f32, %[[B:.+]]: f32):
  %y:2 = nn.kernel "normalise" #nn.rows domain [17, 3] ins(%x, %w : <17 x 3>, <3>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>,
          affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>]
    gathers [[], [], [], []] tied [-1, -1] -> <17 x 3>, <17> {
  ^bb0(%a: f32, %b: f32):
    // CHECK-NEXT: %[[SUM:.+]] = nn.row_sum %[[A]]
    %total = nn.row_sum %a
    // CHECK-NEXT: %{{.+}} = nn.row_max %[[B]]
    %most = nn.row_max %b
    %scaled = arith.mulf %a, %most : f32
    %share = arith.divf %scaled, %total : f32
    // CHECK: nn.kernel_yield %{{.+}}, %[[SUM]] : f32, f32
    nn.kernel_yield %share, %total : f32, f32
  }
  return %y#0, %y#1 : !nn.tensor<17 x 3>, !nn.tensor<17>
}

// CHECK-LABEL: func.func @rows_gathered_by_ids
func.func @rows_gathered_by_ids(%ids: !nn.tensor<17 : i32>, %table: !nn.tensor<127 x 3>) -> !nn.tensor<17 x 3> {
  // CHECK: nn.kernel "embedding" #nn.rows
  // CHECK-SAME: gathers {{\[\[\], \[0\], \[\]\]}} tied [-1] -> <17 x 3>
  %y = nn.kernel "embedding" #nn.rows domain [17, 3] ins(%ids, %table : <17 : i32>, <127 x 3>)
    maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [0], []] tied [-1] -> <17 x 3> {
  ^bb0(%id: i32, %value: f32):
    // CHECK: %{{.+}} = nn.domain_index 1
    %column = nn.domain_index 1
    // CHECK: %{{.+}} = nn.random_keep %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} rows(2048) <threshold = 429496730, scale = 1.000000e+00 : f32, stream = 2>
    %keep = nn.random_keep %column, %column, %column, %column, %column rows(2048) #nn.drop<threshold = 429496730, scale = 1.0 : f32, stream = 2>
    nn.kernel_yield %value : f32
  }
  return %y : !nn.tensor<17 x 3>
}

// CHECK-LABEL: func.func @column_reduce
func.func @column_reduce(%acc: !nn.tensor<3>, %x: !nn.tensor<17 x 3>) -> !nn.tensor<3> {
  // CHECK: nn.kernel "bias_grad" #nn.column_reduce domain [17, 3]
  // CHECK-SAME: tied [0] -> <3>
  %y = nn.kernel "bias_grad" #nn.column_reduce domain [17, 3] ins(%acc, %x : <3>, <17 x 3>)
    maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>]
    gathers [[], [], []] tied [0] -> <3> {
  ^bb0(%old: f32, %value: f32):
    nn.kernel_yield %value : f32
  }
  return %y : !nn.tensor<3>
}

// CHECK-LABEL: func.func @matmul_with_transposed_weight
func.func @matmul_with_transposed_weight(%x: !nn.tensor<17 x 3>, %w: !nn.tensor<5 x 3>) -> !nn.tensor<17 x 5> {
  // CHECK: nn.kernel "linear" #nn.matmul domain [17, 5, 3]
  // CHECK-SAME: -> <17 x 5>{{$}}
  %y = nn.kernel "linear" #nn.matmul domain [17, 5, 3] ins(%x, %w : <17 x 3>, <5 x 3>)
    maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>,
          affine_map<(d0, d1, d2) -> (d0, d1)>] gathers [[], [], []] tied [-1] -> <17 x 5>
  return %y : !nn.tensor<17 x 5>
}

// CHECK-LABEL: func.func @grouped_matmul
func.func @grouped_matmul(%x: !nn.tensor<16 x 3>, %w: !nn.tensor<4 x 5 x 3>, %r: !nn.tensor<53 : i32>) -> !nn.tensor<16 x 5> {
  // CHECK: nn.kernel "grouped_linear" #nn.grouped_matmul<rows> domain [4, 16, 5, 3]
  %y = nn.kernel "grouped_linear" #nn.grouped_matmul<rows> domain [4, 16, 5, 3]
    ins(%x, %w, %r : <16 x 3>, <4 x 5 x 3>, <53 : i32>)
    maps [affine_map<(d0, d1, d2, d3) -> (d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>,
          affine_map<(d0, d1, d2, d3) -> (d0 + 48)>, affine_map<(d0, d1, d2, d3) -> (d1, d2)>]
    gathers [[], [], [], []] tied [-1] -> <16 x 5>
  return %y : !nn.tensor<16 x 5>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x 16>) -> (!nn.tensor<128 x 16>, !nn.tensor<128 x 4>) {
  // CHECK: nn.kernel "attention" #nn.attention<heads = 4, kvHeads = 4, seq = 64, scale = 2.500000e-01 : f32, causal = true>
  // CHECK-SAME: domain [2, 64, 4, 8, 4]
  %o:2 = nn.kernel "attention" #nn.attention<heads = 4, kvHeads = 4, seq = 64, scale = 0.25 : f32, causal = true>
    domain [2, 64, 4, 8, 4] ins(%q, %q, %v : <128 x 32>, <128 x 32>, <128 x 16>)
    maps [affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>, affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>,
          affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>, affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>,
          affine_map<(b, s, h, d, e) -> (b * 64 + s, h)>]
    gathers [[], [], [], [], []] tied [-1, -1] -> <128 x 16>, <128 x 4>
  return %o#0, %o#1 : !nn.tensor<128 x 16>, !nn.tensor<128 x 4>
}

#query = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 8 + d)>
#value = affine_map<(b, s, h, d, e) -> (b * 64 + s, h * 4 + e)>
#lse = affine_map<(b, s, h, d, e) -> (b * 64 + s, h)>

// CHECK-LABEL: func.func @attention_grad_through_lse
func.func @attention_grad_through_lse(%q: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x 16>, %l: !nn.tensor<128 x 4>) -> !nn.tensor<128 x 32> {
  // CHECK: nn.kernel "attention_input_grad"
  // CHECK-SAME: #nn.attention_grad<heads = 4, kvHeads = 4, seq = 64, scale = 2.500000e-01 : f32, causal = true, lseGrad = true>
  // CHECK-SAME: domain [2, 64, 4, 8, 4]
  %d:3 = nn.kernel "attention_input_grad" #nn.attention_grad<heads = 4, kvHeads = 4, seq = 64, scale = 0.25 : f32, causal = true, lseGrad = true>
    domain [2, 64, 4, 8, 4] ins(%q, %q, %v, %v, %l, %v, %l : <128 x 32>, <128 x 32>, <128 x 16>, <128 x 16>, <128 x 4>, <128 x 16>, <128 x 4>)
    maps [#query, #query, #value,
          #value, #lse, #value, #lse,
          #query, #query, #value]
    gathers [[], [], [], [], [], [], [], [], [], []] tied [-1, -1, -1] -> <128 x 32>, <128 x 32>, <128 x 16>
  return %d#0 : !nn.tensor<128 x 32>
}

// CHECK-LABEL: func.func @route
func.func @route(%scores: !nn.tensor<16 x 8>) -> !nn.tensor<107 : i32> {
  // CHECK: nn.kernel "route" #nn.route<groups = 1, group_limit = 1, group_top = 1, normalize = true, scale = 2.500000e+00 : f32,
  // CHECK-SAME: has_bias = false, has_valid = false, counts_seq = 0>
  %g:3 = nn.kernel "route" #nn.route<groups = 1, group_limit = 1, group_top = 1, normalize = true, scale = 2.5 : f32,
                                     has_bias = false, has_valid = false, counts_seq = 0> domain [16, 8, 2]
    ins(%scores : <16 x 8>)
    maps [affine_map<(t, e, k) -> (t, e)>, affine_map<(t, e, k) -> (t, k)>, affine_map<(t, e, k) -> (0)>,
          affine_map<(t, e, k) -> (e)>]
    gathers [[], [], [], []] tied [-1, -1, -1] -> <16 x 2>, <107 : i32>, <8>
  return %g#1 : !nn.tensor<107 : i32>
}

// CHECK-LABEL: func.func @constant_table
func.func @constant_table() -> !nn.tensor<2 x 2> {
  // CHECK: nn.constant_table dense<{{.+}}> : tensor<2x2xf32> -> <2 x 2>
  %t = nn.constant_table dense<[[1.0, 0.5], [0.0, 0.25]]> : tensor<2x2xf32> -> <2 x 2>
  return %t : !nn.tensor<2 x 2>
}

// CHECK-LABEL: func.func @constant_table_angles
func.func @constant_table_angles() -> !nn.tensor<3 x 8 x 2> {
  // CHECK: nn.constant_table #nn.angles<positions = 8, factor = 1.000000e+00 : f64, frequencies = dense<[1.000000e+00, 1.000000e-02]> : tensor<2xf64>> -> <3 x 8 x 2>
  %t = nn.constant_table #nn.angles<positions = 8, factor = 1.0 : f64, frequencies = dense<[1.0, 0.01]> : tensor<2xf64>> -> <3 x 8 x 2>
  return %t : !nn.tensor<3 x 8 x 2>
}
