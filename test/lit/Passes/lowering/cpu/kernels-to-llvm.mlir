// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=16 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=4 -split-input-file -verify-diagnostics -o /dev/null

// A function becomes code over its bases; operands are found at base and offset, results where memory has put them. An
// elementwise kernel over [8, 48] is one row of 384: 24 vectors, no tail, two a time.
// CHECK: module attributes {nn.scratch_bytes = 0 : i64}
// CHECK: llvm.func @cf_parallel_for(!llvm.ptr, !llvm.ptr, i64, i64)
// CHECK: llvm.func @twice(%[[BASES:.+]]: !llvm.ptr)
// CHECK: %[[ENVIRONMENT:.+]] = llvm.alloca
// CHECK: %[[SLOT:.+]] = llvm.getelementptr %[[BASES]][5]
// CHECK: %[[BASE:.+]] = llvm.load %[[SLOT]]
// CHECK: %[[OFFSET:.+]] = arith.constant 128 : i64
// CHECK: llvm.getelementptr %[[BASE]][%[[OFFSET]]]
// CHECK: %[[BODY:.+]] = llvm.mlir.addressof @k1.scale
// CHECK: llvm.call @cf_parallel_for(%[[BODY]], %[[ENVIRONMENT]],
// The second kernel computes the same: it has no code of its own.
// CHECK: llvm.mlir.addressof @k1.scale
// CHECK: llvm.return
// CHECK: llvm.func internal @k1.scale(%{{.+}}: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: !llvm.ptr)
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> vector<16xf32>
// CHECK: arith.mulf %{{.+}} : vector<16xf32>
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> vector<16xf32>
// CHECK: arith.mulf %{{.+}} : vector<16xf32>
// CHECK-NOT: masked
// CHECK-NOT: k2
// CHECK: llvm.return
func.func @twice(%x: !nn.tensor<8 x 48> {nn.location = #nn.location<5, 128>}) -> !nn.tensor<8 x 48> {
  %y = nn.kernel "scale" #nn.rows domain [8, 48] ins(%x : <8 x 48>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<5, 4096>]} -> <8 x 48> {
  ^bb0(%a: f32):
    %two = arith.constant 2.0 : f32
    %b = arith.mulf %a, %two : f32
    nn.kernel_yield %b : f32
  }
  %z = nn.kernel "again" #nn.rows domain [8, 48] ins(%y : <8 x 48>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <8 x 48> {
  ^bb0(%a: f32):
    %two = arith.constant 2.0 : f32
    %b = arith.mulf %a, %two : f32
    nn.kernel_yield %b : f32
  }
  return %z : !nn.tensor<8 x 48>
}

// -----

// A reduction is a loop of its own; what is expensive is kept in scratch for the loop that needs it again.
// CHECK: module attributes {nn.scratch_bytes = 1280 : i64}
// CHECK-LABEL: llvm.func internal @k1.softmax
// CHECK-COUNT-3: scf.for
// CHECK: arith.cmpf ogt
// CHECK: scf.for
// CHECK: math.exp
// CHECK: vector.shuffle
// CHECK: scf.for
// CHECK-NOT: math.exp
// CHECK: arith.divf
// CHECK: llvm.return
func.func @softmax(%x: !nn.tensor<8 x 320> {nn.location = #nn.location<7, 0>}) {
  %y = nn.kernel "softmax" #nn.rows domain [8, 320] ins(%x : <8 x 320>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <8 x 320> {
  ^bb0(%a: f32):
    %max = nn.row_max %a
    %d = arith.subf %a, %max : f32
    %e = math.exp %d : f32
    %sum = nn.row_sum %e
    %p = arith.divf %e, %sum : f32
    nn.kernel_yield %p : f32
  }
  return
}

// -----

// One long row is cut in pieces: partial sums go through memory that the phases share, and the total is its own phase.
// CHECK-LABEL: llvm.func @total
// CHECK: llvm.alloca %{{.+}} x i8 {alignment = 64 : i64}
// CHECK: llvm.mlir.addressof @k1.sum :
// CHECK: llvm.call @cf_parallel_for
// CHECK: llvm.mlir.addressof @k1.sum.p1 :
// CHECK: llvm.call @cf_parallel_for
// CHECK: llvm.func internal @k1.sum.p1
func.func @total(%x: !nn.tensor<1000000> {nn.location = #nn.location<1, 0>}) {
  %y = nn.kernel "sum" #nn.rows domain [1, 1000000] ins(%x : <1000000>)
    maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (0)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <1> {
  ^bb0(%a: f32):
    %sum = nn.row_sum %a
    nn.kernel_yield %sum : f32
  }
  return
}

// -----

// Rows of a table: the index is read once per row, a negative one reads zeros. 17 columns: a vector, then one lane.
// CHECK-LABEL: llvm.func internal @k1.embedding
// CHECK: %[[ID:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: %[[VALID:.+]] = arith.cmpi sge, %[[ID]]
// CHECK: llvm.load %{{.+}} -> vector<16xf32>
// CHECK: arith.select %[[VALID]]
// CHECK: llvm.intr.masked.load
// CHECK: arith.select %[[VALID]]
// CHECK: llvm.intr.masked.store
func.func @embedding(%ids: !nn.tensor<12 : i32> {nn.location = #nn.location<7, 0>},
                     %table: !nn.tensor<5 x 17> {nn.location = #nn.location<0, 0>}) {
  %y = nn.kernel "embedding" #nn.rows domain [12, 17] ins(%ids, %table : <12 : i32>, <5 x 17>)
    maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [0], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <12 x 17> {
  ^bb0(%i: i32, %a: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

// Two columns only: the lanes are rows, and pairs are taken apart by shuffles instead of gathers.
// CHECK-LABEL: llvm.func internal @k1.pairs
// CHECK-NOT: masked.gather
// CHECK-COUNT-2: vector.shuffle %{{.+}} [0, 2, 4, 6, 8, 10, 12, 14,
// CHECK-NOT: masked.gather
// CHECK: llvm.return
func.func @pairs(%x: !nn.tensor<64 x 2> {nn.location = #nn.location<7, 0>}) {
  %y = nn.kernel "pairs" #nn.rows domain [64, 2] ins(%x : <64 x 2>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <64> {
  ^bb0(%a: f32):
    %sum = nn.row_sum %a
    nn.kernel_yield %sum : f32
  }
  return
}

// -----

// Tables are constants of the module, equal ones one constant.
// CHECK: llvm.mlir.global internal constant @table0(dense<{{.+}}> : tensor<2x3xf32>) {{.*}}alignment = 64
// CHECK-NOT: llvm.mlir.global
// CHECK-LABEL: llvm.func @angles
// CHECK: llvm.mlir.addressof @table0
func.func @angles(%x: !nn.tensor<8 x 3> {nn.location = #nn.location<7, 0>}) {
  %t = nn.constant_table dense<[[1.0, 0.5, 0.25], [0.0, 2.0, 3.0]]> : tensor<2x3xf32> -> <2 x 3>
  %u = nn.constant_table dense<[[1.0, 0.5, 0.25], [0.0, 2.0, 3.0]]> : tensor<2x3xf32> -> <2 x 3>
  %y = nn.kernel "rotate" #nn.rows domain [8, 3] ins(%x, %t, %u : <8 x 3>, <2 x 3>, <2 x 3>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0 mod 2, d1)>,
          affine_map<(d0, d1) -> (0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], [], [], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <8 x 3> {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %d = arith.mulf %a, %b : f32
    %e = arith.addf %d, %c : f32
    nn.kernel_yield %e : f32
  }
  return
}

// -----

// Sums over rows stay in registers; the last task has the rest of the columns.
// CHECK-LABEL: llvm.func internal @k1.sums
// CHECK: scf.if
// CHECK: scf.for {{.+}} iter_args(%{{.+}} = %{{.+}}) -> (vector<16xf32>)
// CHECK: arith.addf
// CHECK: } else {
// CHECK: llvm.intr.masked.load
// CHECK: llvm.intr.masked.store
func.func @sums(%x: !nn.tensor<9 x 70> {nn.location = #nn.location<7, 0>},
                %y: !nn.tensor<70> {nn.location = #nn.location<1, 64>}) {
  %z = nn.kernel "sums" #nn.column_reduce domain [9, 70] ins(%x, %y : <9 x 70>, <70>)
    maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>]
    gathers [[], [], []] tied [1] attributes {locations = [#nn.location<1, 64>]} -> <70> {
  ^bb0(%a: f32, %b: f32):
    nn.kernel_yield %a : f32
  }
  return
}

// -----

// Choice, first positions, positions: three phases.
// CHECK-LABEL: llvm.func @route
// CHECK: llvm.mlir.addressof @k1.route :
// CHECK: llvm.mlir.addressof @k1.route.p1 :
// CHECK: llvm.mlir.addressof @k1.route.p2 :
func.func @route(%scores: !nn.tensor<64 x 8> {nn.location = #nn.location<7, 0>}) {
  %g, %r, %l = nn.kernel "route"
    #nn.route<groups = 4, group_limit = 2, group_top = 2, normalize = true, scale = 2.500000e+00 : f32, has_bias = false,
              has_valid = false, counts_seq = 0>
    domain [64, 8, 2] ins(%scores : <64 x 8>)
    maps [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d2)>,
          affine_map<(d0, d1, d2) -> (0)>, affine_map<(d0, d1, d2) -> (d1)>]
    gathers [[], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<8, 0>, #nn.location<9, 0>, #nn.location<10, 0>]}
    -> <64 x 2>, <393 : i32>, <8>
  return
}

// -----

// A constant index of an address has 29 bits: further offsets are values.
// CHECK-LABEL: llvm.func @far
// CHECK-NOT: getelementptr %{{.+}}[300000000]
// CHECK-DAG: %[[FAR:.+]] = arith.constant 300000000 : i64
// CHECK: llvm.getelementptr %{{.+}}[%[[FAR]]]
func.func @far(%x: !nn.tensor<2 x 300000016> {nn.location = #nn.location<7, 0>}) {
  %y = nn.kernel "slice" #nn.rows domain [2, 16] ins(%x : <2 x 300000016>)
    maps [affine_map<(d0, d1) -> (d0, d1 + 300000000)>, affine_map<(d0, d1) -> (d0, d1)>]
    gathers [[], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <2 x 16> {
  ^bb0(%a: f32):
    nn.kernel_yield %a : f32
  }
  return
}
