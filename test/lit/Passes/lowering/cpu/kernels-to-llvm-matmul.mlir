// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=16 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=8 -split-input-file -verify-diagnostics -o /dev/null
// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=4 -split-input-file -verify-diagnostics -o /dev/null

// x w^T: a task is a panel of 32 columns and a block of rows. The weight is transposed while it is packed; rows of x are
// read where they are, 12 at a time, and 20 rows leave a tile of 8.
// CHECK: module attributes {nn.scratch_bytes = 6144 : i64}
// CHECK-LABEL: llvm.func @linear
// CHECK: %[[TASKS:.+]] = arith.constant 2 : i64
// CHECK: llvm.call @cf_parallel_for(%{{.+}}, %{{.+}}, %[[TASKS]],
// CHECK: llvm.func internal @k1.linear
// CHECK: llvm.call @pack_transposed_x2
// CHECK: scf.for
// CHECK: llvm.call @gemm_12x2_a48_1
// CHECK: llvm.call @gemm_8x2_a48_1
// CHECK: llvm.func internal @pack_transposed_x2
// CHECK: vector.shuffle
// CHECK: llvm.func internal @gemm_12x2_a48_1
// CHECK-COUNT-24: llvm.intr.prefetch
// The accumulators stay in registers; the next tile of x comes to the first-level cache meanwhile.
// CHECK: scf.for {{.*}} iter_args
// CHECK: llvm.intr.prefetch
// CHECK-COUNT-96: llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// CHECK: scf.yield
// CHECK-COUNT-24: llvm.intr.masked.store
// CHECK-NOT: llvm.intr.masked.store
// CHECK: llvm.return
func.func @linear(%x: !nn.tensor<20 x 48> {nn.location = #nn.location<6, 0>},
                  %w: !nn.tensor<64 x 48> {nn.location = #nn.location<0, 0>}) {
  %y = nn.kernel "linear" #nn.matmul domain [20, 64, 48] ins(%x, %w : <20 x 48>, <64 x 48>)
    maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <20 x 64>
  return
}

// -----

// dy^T x: both operands are packed, row by row, block by block of the sum; the result is added to.
// CHECK-LABEL: llvm.func @weight_grad
// CHECK: llvm.func internal @k1.weight_grad
// CHECK: %[[BLOCK:.+]] = arith.constant 256 : i64
// CHECK: scf.for {{.*}} step %[[BLOCK]]
// CHECK: %[[ADD:.+]] = arith.constant true
// CHECK: llvm.call @pack_rows
// CHECK: llvm.call @pack_panels
// CHECK: llvm.call @gemm_12x2_a1_12{{.*}}, %[[ADD]], {{.*}} i1,
func.func @weight_grad(%dy: !nn.tensor<512 x 64> {nn.location = #nn.location<6, 0>},
                       %x: !nn.tensor<512 x 48> {nn.location = #nn.location<7, 0>},
                       %dw: !nn.tensor<64 x 48> {nn.location = #nn.location<1, 0>}) {
  %y = nn.kernel "weight_grad" #nn.matmul domain [64, 48, 512] ins(%dy, %x, %dw : <512 x 64>, <512 x 48>, <64 x 48>)
    maps [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>,
          affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], [], []] tied [2] attributes {locations = [#nn.location<1, 0>]} -> <64 x 48>
  return
}

// -----

// Products of other sizes with rows at the same distance share micro-kernels. One column of a result is computed as one
// row of its transpose: a panel of one column would waste 31 of 32 lanes.
// CHECK-LABEL: llvm.func @shared
// CHECK: llvm.func internal @k1.wide
// CHECK: llvm.call @gemm_12x2_a32_1
// CHECK: llvm.func internal @gemm_12x2_a32_1
// CHECK: llvm.func internal @k2.wider
// CHECK: llvm.call @gemm_12x2_a32_1
// CHECK: llvm.func internal @k3.column
// CHECK: llvm.call @gemm_1x2_a32_1
// CHECK-NOT: llvm.func internal @gemm_12x2
func.func @shared(%x: !nn.tensor<24 x 32> {nn.location = #nn.location<6, 0>},
                  %v: !nn.tensor<32 x 32> {nn.location = #nn.location<0, 0>},
                  %w: !nn.tensor<32 x 64> {nn.location = #nn.location<0, 8192>},
                  %u: !nn.tensor<1 x 32> {nn.location = #nn.location<0, 16384>}) {
  %y = nn.kernel "wide" #nn.matmul domain [24, 32, 32] ins(%x, %v : <24 x 32>, <32 x 32>)
    maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <24 x 32>
  %z = nn.kernel "wider" #nn.matmul domain [24, 64, 32] ins(%x, %w : <24 x 32>, <32 x 64>)
    maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <24 x 64>
  %c = nn.kernel "column" #nn.matmul domain [24, 1, 32] ins(%x, %u : <24 x 32>, <1 x 32>)
    maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<9, 0>]} -> <24 x 1>
  return
}

// -----

func.func @modulo(%x: !nn.tensor<4 x 8> {nn.location = #nn.location<6, 0>},
                  %w: !nn.tensor<8 x 8> {nn.location = #nn.location<0, 0>}) {
  // expected-error@+1 {{kernel 'modulo' accesses operand 0 by affine_map<(d0, d1, d2) -> (d0 mod 4, d2)>, this anchor wants a linear map}}
  %y = nn.kernel "modulo" #nn.matmul domain [8, 8, 8] ins(%x, %w : <4 x 8>, <8 x 8>)
    maps [affine_map<(d0, d1, d2) -> (d0 mod 4, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>]
    gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <8 x 8>
  return
}
