// RUN: contraflow-opt %s -fusion-build-kernels -fusion-fuse-elementwise=min-shared-elements=1 -split-input-file | FileCheck %s

// A chain of one use each is one kernel.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 16>, %[[Y:.+]]: !nn.tensor<8 x 16>)
// CHECK: %[[Z:.+]] = nn.kernel "mul+silu+add" {{.+}} ins(%[[X]], %[[Y]] : <8 x 16>, <8 x 16>) {{.+}} -> <8 x 16>
// CHECK: arith.mulf
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: return %[[Z]]
func.func @chain(%x: !nn.tensor<8 x 16>, %y: !nn.tensor<8 x 16>) -> !nn.tensor<8 x 16> {
  %a = nn.mul %x, %y : <8 x 16>
  %b = nn.silu %a : <8 x 16>
  %c = nn.add %b, %x : <8 x 16>
  return %c : !nn.tensor<8 x 16>
}

// -----

// A value that others read too is still written, by the kernel that it joined.
// CHECK-LABEL: func.func @keeps_what_others_read
// CHECK: %[[BOTH:.+]]:2 = nn.kernel "add+rms_norm" {{.+}} -> <8 x 16>, <8 x 16>
// CHECK-NOT: = nn.kernel
// CHECK: return %[[BOTH]]#0, %[[BOTH]]#1
func.func @keeps_what_others_read(%x: !nn.tensor<8 x 16>, %y: !nn.tensor<8 x 16>, %w: !nn.tensor<16>) -> (!nn.tensor<8 x 16>, !nn.tensor<8 x 16>) {
  %h = nn.add %x, %y : <8 x 16>
  %n = nn.rms_norm %h, %w eps(1.0e-6) : <8 x 16>, <16>
  return %h, %n : !nn.tensor<8 x 16>, !nn.tensor<8 x 16>
}

// -----

// Exponentials are not computed once per pass of a reduction.
// CHECK-LABEL: func.func @no_fuse_expensive_into_reduction
// CHECK: nn.kernel "silu"
// CHECK: nn.kernel "rms_norm"
func.func @no_fuse_expensive_into_reduction(%x: !nn.tensor<8 x 16>, %w: !nn.tensor<16>) -> !nn.tensor<8 x 16> {
  %h = nn.silu %x : <8 x 16>
  %n = nn.rms_norm %h, %w eps(1.0e-6) : <8 x 16>, <16>
  return %n : !nn.tensor<8 x 16>
}

// -----

// What follows a reduction joins it.
// CHECK-LABEL: func.func @into_producer
// CHECK: %[[Y:.+]] = nn.kernel "rms_norm_input_grad+add" {{.+}} -> <8 x 16>
// CHECK-NOT: = nn.kernel
// CHECK: return %[[Y]]
func.func @into_producer(%d: !nn.tensor<8 x 16>, %x: !nn.tensor<8 x 16>, %w: !nn.tensor<16>, %r: !nn.tensor<8 x 16>) -> !nn.tensor<8 x 16> {
  %g = nn.rms_norm_input_grad %d, %x, %w eps(1.0e-6) : <8 x 16>, <16>
  %s = nn.add %r, %g : <8 x 16>
  return %s : !nn.tensor<8 x 16>
}

// -----

// A moved tensor is read from where it was, by every user: the slice is gone.
// CHECK-DAG: #[[$READ:.+]] = affine_map<(d0, d1) -> (d0, d1 + 4)>
// CHECK-LABEL: func.func @slice_of_pointwise
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 16>)
// CHECK-NOT: nn.kernel "slice"
// CHECK: nn.kernel "{{silu|silu\+tanh}}" {{.+}} ins(%[[X]] : <8 x 16>) maps [#[[$READ]],
func.func @slice_of_pointwise(%x: !nn.tensor<8 x 16>) -> (!nn.tensor<8 x 8>, !nn.tensor<8 x 8>) {
  %s = nn.slice %x offset(4) size(8) : <8 x 16> -> <8 x 8>
  %a = nn.silu %s : <8 x 8>
  %b = nn.tanh %s : <8 x 8>
  return %a, %b : !nn.tensor<8 x 8>, !nn.tensor<8 x 8>
}

// -----

// Views of attention and of matrix products are maps.
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0 * 4 + d1, d2 * 6 + d4 + 2)>
// CHECK-LABEL: func.func @view_of_attention
// CHECK-SAME: (%[[Q:.+]]: !nn.tensor<8 x 8>, %[[KV:.+]]: !nn.tensor<8 x 12>)
// CHECK-NEXT: nn.kernel "attention" {{.+}} ins(%[[Q]], %[[Q]], %[[KV]] : <8 x 8>, <8 x 8>, <8 x 12>) maps [{{.+}}, #[[$V]],
func.func @view_of_attention(%q: !nn.tensor<8 x 8>, %kv: !nn.tensor<8 x 12>) -> !nn.tensor<8 x 8> {
  %v = nn.slice %kv heads(2) offset(2) size(4) : <8 x 12> -> <8 x 8>
  %o, %l = nn.attention %q, %q, %v causal heads(2) kv_heads(2) seq(4) scale(0.5)
         : (<8 x 8>, <8 x 8>, <8 x 8>) -> (<8 x 8>, <8 x 2>)
  return %o : !nn.tensor<8 x 8>
}

// -----

// A gathered view stays: matrix products gather nothing.
// CHECK-LABEL: func.func @no_view_of_gather
// CHECK: nn.kernel "permute"
// CHECK: nn.kernel "linear"
func.func @no_view_of_gather(%x: !nn.tensor<4 x 8>, %r: !nn.tensor<27 : i32>, %w: !nn.tensor<3 x 8>) -> !nn.tensor<8 x 3> {
  %p = nn.permute %x, %r top_k(2) : (<4 x 8>, <27 : i32>) -> <8 x 8>
  %y = nn.linear %p, %w : (<8 x 8>, <3 x 8>) -> <8 x 3>
  return %y : !nn.tensor<8 x 3>
}

// -----

// The rotation writes its half of the query; only the other half is moved.
// CHECK-DAG: #[[$PART:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1 * 6 + d2 + d3 * 2 + 2)>
// CHECK-LABEL: func.func @rotation_into_concat
// CHECK-SAME: (%[[Q:.+]]: !nn.tensor<8 x 12>)
// CHECK: %[[HALF:.+]] = nn.kernel "concat_lhs" {{.+}} ins(%[[Q]] : <8 x 12>) {{.+}} tied [-1] -> <8 x 12>
// CHECK: %[[WHOLE:.+]] = nn.kernel "rope+concat_rhs" #nn.rows domain [8, 2, 2, 2] {{.+}} #[[$PART]]] {{.+}} -> <8 x 12>
// CHECK-NOT: = nn.kernel
// CHECK: return %[[WHOLE]]
func.func @rotation_into_concat(%q: !nn.tensor<8 x 12>) -> !nn.tensor<8 x 12> {
  %n = nn.slice %q heads(2) offset(0) size(2) : <8 x 12> -> <8 x 4>
  %r = nn.slice %q heads(2) offset(2) size(4) : <8 x 12> -> <8 x 8>
  %t = nn.rope %r head_dim(4) seq(4) theta(10000.0) : <8 x 8>
  %c = nn.concat %n, %t heads(2) : (<8 x 4>, <8 x 8>) -> <8 x 12>
  return %c : !nn.tensor<8 x 12>
}

// -----

// A product writes its columns of a concat itself.
// CHECK-DAG: #[[$PART:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @product_into_concat
// CHECK: %[[HALF:.+]] = nn.kernel "linear" {{.+}} tied [-1] -> <8 x 12>
// CHECK: nn.kernel "concat_rhs" {{.+}} ins(%{{.+}}, %[[HALF]] :
func.func @product_into_concat(%x: !nn.tensor<8 x 4>, %w: !nn.tensor<8 x 4>, %y: !nn.tensor<8 x 4>) -> !nn.tensor<8 x 12> {
  %a = nn.linear %x, %w : (<8 x 4>, <8 x 4>) -> <8 x 8>
  %c = nn.concat %a, %y : (<8 x 8>, <8 x 4>) -> <8 x 12>
  return %c : !nn.tensor<8 x 12>
}

// -----

// Weight gradients add to their accumulators.
// CHECK-LABEL: func.func @accumulate_product
// CHECK-SAME: (%[[ACC:.+]]: !nn.tensor<4 x 16>,
// CHECK-NEXT: %[[SUM:.+]] = nn.kernel "linear_weight_grad" #nn.matmul {{.+}} ins(%{{.+}}, %{{.+}}, %[[ACC]] : {{.+}} tied [2] -> <4 x 16>
// CHECK-NEXT: return %[[SUM]]
func.func @accumulate_product(%acc: !nn.tensor<4 x 16>, %d: !nn.tensor<8 x 4>, %x: !nn.tensor<8 x 16>) -> !nn.tensor<4 x 16> {
  %g = nn.linear_weight_grad %d, %x : (<8 x 4>, <8 x 16>) -> <4 x 16>
  %s = nn.accumulate %acc, %g : <4 x 16>
  return %s : !nn.tensor<4 x 16>
}

// -----

// Rows of the gradient go to the accumulator of the table; no table of zeros.
// CHECK-LABEL: func.func @accumulate_columns
// CHECK-SAME: (%[[ACC:.+]]: !nn.tensor<32 x 4>,
// CHECK-NEXT: %[[SUM:.+]] = nn.kernel "embedding_weight_grad" #nn.column_reduce {{.+}} ins(%{{.+}}, %{{.+}}, %[[ACC]] : {{.+}} tied [2] -> <32 x 4>
// CHECK: return %[[SUM]]
func.func @accumulate_columns(%acc: !nn.tensor<32 x 4>, %d: !nn.tensor<8 x 4>, %ids: !nn.tensor<8 : i32>) -> !nn.tensor<32 x 4> {
  %g = nn.embedding_weight_grad %d, %ids : (<8 x 4>, <8 : i32>) -> <32 x 4>
  %s = nn.accumulate %acc, %g : <32 x 4>
  return %s : !nn.tensor<32 x 4>
}

// -----

// A sum of two products: the second adds to the first.
// CHECK-LABEL: func.func @sum_of_products
// CHECK: %[[A:.+]] = nn.kernel "linear_input_grad" {{.+}} tied [-1]
// CHECK: %[[B:.+]] = nn.kernel "linear_input_grad" {{.+}} ins(%{{.+}}, %{{.+}}, %[[A]] : {{.+}} tied [2]
// CHECK-NOT: = nn.kernel
// CHECK: return %[[B]]
func.func @sum_of_products(%d: !nn.tensor<8 x 4>, %e: !nn.tensor<8 x 4>, %v: !nn.tensor<4 x 16>, %w: !nn.tensor<4 x 16>) -> !nn.tensor<8 x 16> {
  %a = nn.linear_input_grad %d, %v : (<8 x 4>, <4 x 16>) -> <8 x 16>
  %b = nn.linear_input_grad %e, %w : (<8 x 4>, <4 x 16>) -> <8 x 16>
  %s = nn.add %a, %b : <8 x 16>
  return %s : !nn.tensor<8 x 16>
}

// -----

// The memory of an argument is not ours to add to.
// CHECK-LABEL: func.func @no_accumulate_into_argument
// CHECK: nn.kernel "linear_input_grad" {{.+}} tied [-1]
// CHECK: nn.kernel "add" {{.+}} tied [-1]
func.func @no_accumulate_into_argument(%x: !nn.tensor<8 x 16>, %e: !nn.tensor<8 x 4>, %w: !nn.tensor<4 x 16>) -> !nn.tensor<8 x 16> {
  %b = nn.linear_input_grad %e, %w : (<8 x 4>, <4 x 16>) -> <8 x 16>
  %s = nn.add %x, %b : <8 x 16>
  return %s : !nn.tensor<8 x 16>
}

// -----

// Between the two kernels the memory of %x is overwritten: the first one stays where it is.
// CHECK-LABEL: func.func @no_fuse_across_write
// CHECK: %[[A:.+]] = nn.kernel "silu"
// CHECK: %[[SUM:.+]] = nn.kernel "accumulate"
// CHECK: %[[B:.+]] = nn.kernel "linear" {{.+}} ins(%[[SUM]],
// CHECK: nn.kernel "scale+add" {{.+}} ins(%[[B]], %[[A]] :
func.func @no_fuse_across_write(%x: !nn.tensor<8 x 8>, %g: !nn.tensor<8 x 8>) -> (!nn.tensor<8 x 8>, !nn.tensor<8 x 8>) {
  %a = nn.silu %x : <8 x 8>
  %s = nn.accumulate %x, %g : <8 x 8>
  %b = nn.linear %s, %g : (<8 x 8>, <8 x 8>) -> <8 x 8>
  %d = nn.scale %b by(2.0) : <8 x 8>
  %c = nn.add %a, %d : <8 x 8>
  return %s, %c : !nn.tensor<8 x 8>, !nn.tensor<8 x 8>
}

// -----

// Two kernels that read the same rows become one, and compute the norm of a row once.
// CHECK-LABEL: func.func @siblings
// CHECK: nn.kernel "rms_norm_input_grad+rms_norm_rstd" {{.+}} -> <8 x 16>, <8>
// CHECK: math.rsqrt
// CHECK-NOT: math.rsqrt
// CHECK: nn.kernel "rms_norm_weight_grad"
func.func @siblings(%d: !nn.tensor<8 x 16>, %x: !nn.tensor<8 x 16>, %w: !nn.tensor<16>) -> (!nn.tensor<8 x 16>, !nn.tensor<16>) {
  %g = nn.rms_norm_input_grad %d, %x, %w eps(1.0e-6) : <8 x 16>, <16>
  %h = nn.rms_norm_weight_grad %d, %x eps(1.0e-6) : <8 x 16> -> <16>
  return %g, %h : !nn.tensor<8 x 16>, !nn.tensor<16>
}
