// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=16 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: contraflow-opt %s -lowering-cpu-kernels-to-llvm=lanes=4 -split-input-file -verify-diagnostics -o /dev/null

// Two sequences, one key/value head for two query heads: keys and values are packed once for both, then scores, softmax
// in place, product with the values.
// CHECK-LABEL: llvm.func @forward
// CHECK: %[[TASKS:.+]] = arith.constant 2 : i64
// CHECK: llvm.call @cf_parallel_for(%{{.+}}, %{{.+}}, %[[TASKS]],
// CHECK: llvm.func internal @k1.forward
// CHECK: llvm.call @pack_transposed_x2
// CHECK: llvm.call @pack_columns_x1
// CHECK: %[[HEADS:.+]] = arith.constant 2 : i64
// CHECK: scf.for {{.*}} to %[[HEADS]] step
// CHECK: llvm.call @gemm_12x2_a48_1
// The largest score of a row, then exponentials and their sum.
// CHECK: arith.cmpf ogt
// CHECK: math.exp
// CHECK: math.log
// CHECK: llvm.call @gemm_12x1_a112_1
// CHECK: llvm.return
func.func @forward(%q: !nn.tensor<160 x 48> {nn.location = #nn.location<6, 0>},
                   %k: !nn.tensor<160 x 24> {nn.location = #nn.location<7, 0>},
                   %v: !nn.tensor<160 x 16> {nn.location = #nn.location<8, 0>}) {
  %o:2 = nn.kernel "forward" #nn.attention<heads = 2, kvHeads = 1, seq = 80, scale = 0.25 : f32, causal = true>
    domain [2, 80, 2, 24, 16] ins(%q, %k, %v : <160 x 48>, <160 x 24>, <160 x 16>)
    maps [affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2)>]
    gathers [[], [], [], [], []] tied [-1, -1]
    attributes {locations = [#nn.location<9, 0>, #nn.location<10, 0>]} -> <160 x 32>, <160 x 2>
  return
}

// -----

// With documents, keys before all of a block's documents are skipped, and each row reads where its own begins.
// CHECK-LABEL: llvm.func @documents
// CHECK: llvm.func internal @k1.documents
// CHECK: arith.minsi
// CHECK: llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: arith.xori %{{.+}} : vector<16xi1>
func.func @documents(%q: !nn.tensor<80 x 24> {nn.location = #nn.location<6, 0>},
                     %k: !nn.tensor<80 x 24> {nn.location = #nn.location<7, 0>},
                     %v: !nn.tensor<80 x 16> {nn.location = #nn.location<8, 0>},
                     %starts: !nn.tensor<80 : i32> {nn.location = #nn.location<9, 0>}) {
  %o:2 = nn.kernel "documents" #nn.attention<heads = 1, kvHeads = 1, seq = 80, scale = 0.25 : f32, causal = true>
    domain [1, 80, 1, 24, 16] ins(%q, %k, %v, %starts : <80 x 24>, <80 x 24>, <80 x 16>, <80 : i32>)
    maps [affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2)>]
    gathers [[], [], [], [], [], []] tied [-1, -1]
    attributes {locations = [#nn.location<10, 0>, #nn.location<11, 0>]} -> <80 x 16>, <80 x 1>
  return
}

// -----

// The gradient recomputes probabilities from lse; tiles of keys read them across, at the distance of their rows.
// CHECK-LABEL: llvm.func @backward
// CHECK: llvm.func internal @k1.backward
// CHECK: llvm.call @gemm_12x2_a24_1
// CHECK: llvm.call @gemm_12x2_a16_1
// CHECK: math.exp
// CHECK: llvm.call @gemm_12x1_a1_112
// CHECK: llvm.call @gemm_12x2_a112_1
func.func @backward(%q: !nn.tensor<80 x 24> {nn.location = #nn.location<6, 0>},
                    %k: !nn.tensor<80 x 24> {nn.location = #nn.location<7, 0>},
                    %v: !nn.tensor<80 x 16> {nn.location = #nn.location<8, 0>},
                    %o: !nn.tensor<80 x 16> {nn.location = #nn.location<9, 0>},
                    %lse: !nn.tensor<80 x 1> {nn.location = #nn.location<10, 0>},
                    %do: !nn.tensor<80 x 16> {nn.location = #nn.location<11, 0>}) {
  %g:3 = nn.kernel "backward" #nn.attention_grad<heads = 1, kvHeads = 1, seq = 80, scale = 0.25 : f32, causal = true>
    domain [1, 80, 1, 24, 16] ins(%q, %k, %v, %o, %lse, %do : <80 x 24>, <80 x 24>, <80 x 16>, <80 x 16>, <80 x 1>, <80 x 16>)
    maps [affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 24 + d3)>,
          affine_map<(d0, d1, d2, d3, d4) -> (d0 * 80 + d1, d2 * 16 + d4)>]
    gathers [[], [], [], [], [], [], [], [], []] tied [-1, -1, -1]
    attributes {locations = [#nn.location<12, 0>, #nn.location<13, 0>, #nn.location<14, 0>]} -> <80 x 24>, <80 x 24>, <80 x 16>
  return
}
