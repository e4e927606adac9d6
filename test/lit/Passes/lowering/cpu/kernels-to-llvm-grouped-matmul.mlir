// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=16 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=4 -split-input-file -verify-diagnostics -o /dev/null

// 4 groups times 3 panels of columns. Rows are counted at run time, so the last tile of a group has any height, and a
// group without rows packs nothing.
// CHECK-LABEL: llvm.func @rows
// CHECK: %[[TASKS:.+]] = arith.constant 12 : i64
// CHECK: llvm.call @cf_parallel_for(%{{.+}}, %{{.+}}, %[[TASKS]],
// CHECK: llvm.func internal @k1.rows
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: scf.if
// CHECK: llvm.call @pack_transposed_x2
// CHECK: llvm.call @gemm_12x2_a16_1
// CHECK: llvm.call @gemm_1x2_a16_1
// CHECK: llvm.call @gemm_11x2_a16_1
// 80 columns: half of the last panel is there.
// CHECK: llvm.call @pack_transposed_x1
// CHECK: llvm.call @gemm_12x1_a16_1
func.func @rows(%x: !nn.tensor<100 x 16> {nn.location = #nn.location<6, 0>},
                %w: !nn.tensor<4 x 80 x 16> {nn.location = #nn.location<0, 0>},
                %offsets: !nn.tensor<5 : i32> {nn.location = #nn.location<8, 0>}) {
  %y = nn.kernel "rows" #nn.grouped_matmul<rows> domain [4, 100, 80, 16] ins(%x, %w, %offsets : <100 x 16>, <4 x 80 x 16>, <5 : i32>)
    maps [affine_map<(d0, d1, d2, d3) -> (d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>,
          affine_map<(d0, d1, d2, d3) -> (d0)>, affine_map<(d0, d1, d2, d3) -> (d1, d2)>]
    gathers [[], [], [], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <100 x 80>
  return
}

// -----

// Groups cut the sum: its length is what two neighbouring offsets differ by. A fresh result is written even where there
// are no terms.
// CHECK-LABEL: llvm.func @reduction
// CHECK: llvm.func internal @k1.reduction
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: arith.maxsi
// CHECK: scf.for
// CHECK: llvm.call @pack_rows
// CHECK: llvm.call @pack_panels
// CHECK: llvm.call @gemm_12x2_a1_12
func.func @reduction(%dy: !nn.tensor<100 x 24> {nn.location = #nn.location<6, 0>},
                     %x: !nn.tensor<100 x 32> {nn.location = #nn.location<7, 0>},
                     %offsets: !nn.tensor<5 : i32> {nn.location = #nn.location<8, 0>}) {
  %y = nn.kernel "reduction" #nn.grouped_matmul<reduction> domain [4, 24, 32, 100] ins(%dy, %x, %offsets : <100 x 24>, <100 x 32>, <5 : i32>)
    maps [affine_map<(d0, d1, d2, d3) -> (d3, d1)>, affine_map<(d0, d1, d2, d3) -> (d3, d2)>,
          affine_map<(d0, d1, d2, d3) -> (d0)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>]
    gathers [[], [], [], []] tied [-1] attributes {locations = [#nn.location<9, 0>]} -> <4 x 24 x 32>
  return
}

// -----

func.func @strided(%x: !nn.tensor<8 x 4> {nn.location = #nn.location<6, 0>},
                   %w: !nn.tensor<2 x 4 x 4> {nn.location = #nn.location<0, 0>},
                   %offsets: !nn.tensor<3 : i32> {nn.location = #nn.location<8, 0>}) {
  // expected-error@+1 {{kernel 'strided' writes columns at distance 8, grouped_matmul wants them contiguous}}
  %y = nn.kernel "strided" #nn.grouped_matmul<rows> domain [2, 8, 4, 4] ins(%x, %w, %offsets : <8 x 4>, <2 x 4 x 4>, <3 : i32>)
    maps [affine_map<(d0, d1, d2, d3) -> (d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>,
          affine_map<(d0, d1, d2, d3) -> (d0)>, affine_map<(d0, d1, d2, d3) -> (d2, d1)>]
    gathers [[], [], [], []] tied [-1] attributes {locations = [#nn.location<7, 0>]} -> <4 x 8>
  return
}
