// RUN: contraflow-opt %s -fusion-build-kernels -split-input-file | FileCheck %s

// An operation of a row is one kernel; its result has the type that the operation had.
// CHECK-LABEL: func.func @norm
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 16>, %[[W:.+]]: !nn.tensor<16>)
// CHECK: %[[Y:.+]] = nn.kernel "rms_norm" #nn.rows domain [8, 16] ins(%[[X]], %[[W]] : <8 x 16>, <16>)
// CHECK-SAME: tied [-1] -> <8 x 16>
// CHECK: %[[SQUARE:.+]] = arith.mulf %[[A:.+]], %[[A]] : f32
// CHECK: nn.row_sum %[[SQUARE]]
// CHECK: math.rsqrt
// CHECK: return %[[Y]]
func.func @norm(%x: !nn.tensor<8 x 16>, %w: !nn.tensor<16>) -> !nn.tensor<8 x 16> {
  %y = nn.rms_norm %x, %w eps(1.0e-6) : <8 x 16>, <16>
  return %y : !nn.tensor<8 x 16>
}

// -----

// Transposition is a map. A weight lies as <out x in>.
// CHECK-DAG: #[[$A:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$B:.+]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$C:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @linear
// CHECK: nn.kernel "linear" #nn.matmul domain [8, 4, 16] {{.+}} maps [#[[$A]], #[[$B]], #[[$C]]]
func.func @linear(%x: !nn.tensor<8 x 16>, %w: !nn.tensor<4 x 16>) -> !nn.tensor<8 x 4> {
  %y = nn.linear %x, %w : (<8 x 16>, <4 x 16>) -> <8 x 4>
  return %y : !nn.tensor<8 x 4>
}

// -----

// The row of the table is a symbol, given by the ids.
// CHECK-DAG: #[[$IDS:.+]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[$TABLE:.+]] = affine_map<(d0, d1)[s0] -> (s0, d1)>
// CHECK-LABEL: func.func @embedding
// CHECK: nn.kernel "embedding" {{.+}} maps [#[[$IDS]], #[[$TABLE]], {{.+}}] gathers {{\[\[\], \[0\], \[\]\]}} tied [-1]
func.func @embedding(%ids: !nn.tensor<8 : i32>, %table: !nn.tensor<32 x 16>) -> !nn.tensor<8 x 16> {
  %y = nn.embedding %ids, %table : (<8 : i32>, <32 x 16>) -> <8 x 16>
  return %y : !nn.tensor<8 x 16>
}

// -----

// Equal tables are one value.
// CHECK-LABEL: func.func @tables
// CHECK: %[[TABLE:.+]] = nn.constant_table #nn.angles<positions = 4,
// CHECK-NOT: nn.constant_table
// CHECK: nn.kernel "rope" {{.+}} ins(%{{.+}}, %{{.+}}, %[[TABLE]], %[[TABLE]] :
// CHECK: nn.kernel "rope" {{.+}} ins(%{{.+}}, %{{.+}}, %[[TABLE]], %[[TABLE]] :
func.func @tables(%x: !nn.tensor<8 x 4>, %y: !nn.tensor<8 x 8>) -> (!nn.tensor<8 x 4>, !nn.tensor<8 x 8>) {
  %a = nn.rope %x head_dim(4) seq(4) theta(10000.0) : <8 x 4>
  %b = nn.rope %y head_dim(4) seq(4) theta(10000.0) : <8 x 8>
  return %a, %b : !nn.tensor<8 x 4>, !nn.tensor<8 x 8>
}

// -----

// The parts of a concat are written into one buffer.
// CHECK-DAG: #[[$LEFT:.+]] = affine_map<(d0, d1, d2) -> (d0, d1 * 6 + d2)>
// CHECK-DAG: #[[$RIGHT:.+]] = affine_map<(d0, d1, d2) -> (d0, d1 * 6 + d2 + 4)>
// CHECK-LABEL: func.func @concat
// CHECK: %[[HALF:.+]] = nn.kernel "concat_lhs" #nn.rows domain [8, 2, 4] {{.+}} #[[$LEFT]]] {{.+}} tied [-1] -> <8 x 12>
// CHECK: nn.kernel "concat_rhs" #nn.rows domain [8, 2, 2] ins(%{{.+}}, %[[HALF]] : <8 x 4>, <8 x 12>) {{.+}} #[[$RIGHT]]] {{.+}} tied [1] -> <8 x 12>
func.func @concat(%x: !nn.tensor<8 x 8>, %y: !nn.tensor<8 x 4>) -> !nn.tensor<8 x 12> {
  %z = nn.concat %x, %y heads(2) : (<8 x 8>, <8 x 4>) -> <8 x 12>
  return %z : !nn.tensor<8 x 12>
}

// -----

// What is read after its memory is written is copied first.
// CHECK-LABEL: func.func @copies_what_is_read_later
// CHECK-SAME: (%[[ACC:.+]]: !nn.tensor<8 x 4>, %[[G:.+]]: !nn.tensor<8 x 4>)
// CHECK: %[[COPY:.+]] = nn.kernel "copy" {{.+}} ins(%[[ACC]] :
// CHECK: %[[SUM:.+]] = nn.kernel "accumulate" {{.+}} ins(%[[COPY]], %[[G]] : {{.+}} tied [0]
// CHECK: nn.kernel "silu" {{.+}} ins(%[[ACC]] :
func.func @copies_what_is_read_later(%acc: !nn.tensor<8 x 4>, %g: !nn.tensor<8 x 4>) -> (!nn.tensor<8 x 4>, !nn.tensor<8 x 4>) {
  %sum = nn.accumulate %acc, %g : <8 x 4>
  %y = nn.silu %acc : <8 x 4>
  return %sum, %y : !nn.tensor<8 x 4>, !nn.tensor<8 x 4>
}

// -----

// A result that is tied to an argument is written there.
// CHECK-LABEL: func.func @writes_into_argument
// CHECK-SAME: (%[[G:.+]]: !nn.tensor<64> {
// CHECK: nn.kernel "fill" #nn.rows domain [1, 64] ins(%[[G]] : <64>) {{.+}} tied [0] -> <64>
func.func @writes_into_argument(%g: !nn.tensor<64> {nn.role = #nn.role<grad, "g">})
    -> (!nn.tensor<64> {nn.role = #nn.role<grad, "g", tied = 0>}) {
  %z = nn.zero : <64>
  return %z : !nn.tensor<64>
}

// -----

// A matrix product cannot overwrite: tied, it would add.
// CHECK-LABEL: func.func @copies_into_argument
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 4> {{.+}}, %[[B:.+]]: !nn.tensor<8 x 8> {
// CHECK: %[[Y:.+]] = nn.kernel "linear" {{.+}} tied [-1]
// CHECK: nn.kernel "copy" #nn.rows {{.+}} ins(%[[Y]], %[[B]] : <8 x 8>, <8 x 8>) {{.+}} tied [1]
func.func @copies_into_argument(%x: !nn.tensor<8 x 4> {nn.role = #nn.role<input, "x">}, %b: !nn.tensor<8 x 8> {nn.role = #nn.role<param, "b">})
    -> (!nn.tensor<8 x 8> {nn.role = #nn.role<param, "b", tied = 1>}) {
  %y = nn.linear %x, %x : (<8 x 4>, <8 x 4>) -> <8 x 8>
  return %y : !nn.tensor<8 x 8>
}

// -----

// Operations that do nothing leave an argument or another result, which have memory of their own.
// CHECK-LABEL: func.func @separates_results
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 4> {
// CHECK: %[[Y:.+]] = nn.kernel "mul" {{.+}} tied [-1]
// CHECK: %[[FIRST:.+]] = nn.kernel "copy" #nn.rows {{.+}} ins(%[[X]] : <8 x 4>) {{.+}} tied [-1]
// CHECK: %[[SECOND:.+]] = nn.kernel "copy" #nn.rows {{.+}} ins(%[[Y]] : <8 x 4>) {{.+}} tied [-1]
// CHECK: return %[[FIRST]], %[[Y]], %[[SECOND]]
func.func @separates_results(%x: !nn.tensor<8 x 4> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<8 x 4> {nn.role = #nn.role<output, "x">}, !nn.tensor<8 x 4> {nn.role = #nn.role<output, "y">},
        !nn.tensor<8 x 4> {nn.role = #nn.role<saved, "z">}) {
  %y = nn.mul %x, %x : <8 x 4>, <8 x 4>
  return %x, %y, %y : !nn.tensor<8 x 4>, !nn.tensor<8 x 4>, !nn.tensor<8 x 4>
}
