// RUN: contraflow-opt %s -canonicalize | FileCheck %s
// Operations that say nothing, or that say it twice.

// CHECK-LABEL: func.func @add_of_zero
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<4 x 8>)
func.func @add_of_zero(%x: !nn.tensor<4 x 8>) -> (!nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>) {
  %z = nn.zero : <4 x 8>
  %v = nn.zero : <8>
  %a = nn.add %x, %v : <4 x 8>, <8>
  %b = nn.add %z, %x : <4 x 8>
  %c = nn.sub %x, %z : <4 x 8>
  // CHECK-NEXT: return %[[X]], %[[X]], %[[X]]
  return %a, %b, %c : !nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>
}

// CHECK-LABEL: func.func @no_add_of_zero_when_rhs_is_repeated
func.func @no_add_of_zero_when_rhs_is_repeated(%v: !nn.tensor<8>) -> !nn.tensor<4 x 8> {
  %z = nn.zero : <4 x 8>
  // CHECK: %[[A:.+]] = nn.add
  %a = nn.add %z, %v : <4 x 8>, <8>
  // CHECK: return %[[A]]
  return %a : !nn.tensor<4 x 8>
}

// CHECK-LABEL: func.func @accumulate_zero
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8>)
func.func @accumulate_zero(%x: !nn.tensor<8>) -> !nn.tensor<8> {
  %z = nn.zero : <8>
  %a = nn.accumulate %x, %z : <8>
  // CHECK-NEXT: return %[[X]]
  return %a : !nn.tensor<8>
}

// CHECK-LABEL: func.func @scale_by_one
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8>)
func.func @scale_by_one(%x: !nn.tensor<8>) -> !nn.tensor<8> {
  %a = nn.scale %x by(1) : <8>
  // CHECK-NEXT: return %[[X]]
  return %a : !nn.tensor<8>
}

// CHECK-LABEL: func.func @dropout_of_nothing
// CHECK-SAME:    %[[X:[^:]+]]
func.func @dropout_of_nothing(%x: !nn.tensor<8 x 4>) -> !nn.tensor<8 x 4> {
  %a = nn.dropout %x p(0.0) : <8 x 4>
  // CHECK-NEXT: return %[[X]]
  return %a : !nn.tensor<8 x 4>
}

// CHECK-LABEL: func.func @scale_of_scale
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8>)
func.func @scale_of_scale(%x: !nn.tensor<8>) -> (!nn.tensor<8>, !nn.tensor<8>) {
  // CHECK-DAG: %[[A:.+]] = nn.scale %[[X]] by(1.5)
  // CHECK-DAG: %[[B:.+]] = nn.scale %[[X]] by(0.5 * alpha)
  // CHECK: return %[[A]], %[[B]]
  %a = nn.scale %x by(0.5) : <8>
  %b = nn.scale %a by(3) : <8>
  %c = nn.scale %a by(alpha) : <8>
  return %b, %c : !nn.tensor<8>, !nn.tensor<8>
}

// CHECK-LABEL: func.func @reshape_of_reshape
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x d*h>)
func.func @reshape_of_reshape(%x: !nn.tensor<n x h*d>) -> (!nn.tensor<n*d x h>, !nn.tensor<n x h*d>) {
  %a = nn.reshape %x : <n x h*d> -> <n*h x d>
  // CHECK-NEXT: %[[B:.+]] = nn.reshape %[[X]] : <n x d*h> -> <d*n x h>
  %b = nn.reshape %a : <n*h x d> -> <n*d x h>
  %c = nn.reshape %a : <n*h x d> -> <n x h*d>
  // CHECK-NEXT: return %[[B]], %[[X]]
  return %b, %c : !nn.tensor<n*d x h>, !nn.tensor<n x h*d>
}

// CHECK-LABEL: func.func @sum_of_nothing
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x h>)
func.func @sum_of_nothing(%x: !nn.tensor<n x h>) -> (!nn.tensor<n x h>, !nn.tensor<n x h>) {
  %a = nn.reduce_sum %x : <n x h> -> <n x h>
  %b = nn.broadcast_input_grad %x heads(1) : <n x h> -> <n x h>
  // CHECK-NEXT: return %[[X]], %[[X]]
  return %a, %b : !nn.tensor<n x h>, !nn.tensor<n x h>
}

// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x h>)
func.func @broadcast(%x: !nn.tensor<n x h>) -> (!nn.tensor<n x 6*h>, !nn.tensor<n x h>) {
  // CHECK-NEXT: %[[B:.+]] = nn.broadcast %[[X]] heads(6)
  %a = nn.broadcast %x heads(2) : <n x h> -> <n x 2*h>
  %b = nn.broadcast %a heads(3) : <n x 2*h> -> <n x 6*h>
  %c = nn.broadcast %x heads(1) : <n x h> -> <n x h>
  // CHECK-NEXT: return %[[B]], %[[X]]
  return %b, %c : !nn.tensor<n x 6*h>, !nn.tensor<n x h>
}

// CHECK-LABEL: func.func @slice_of_whole
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x h>)
func.func @slice_of_whole(%x: !nn.tensor<n x h>) -> (!nn.tensor<n x h>, !nn.tensor<n x h>) {
  %a = nn.slice %x offset(0) size(h) : <n x h> -> <n x h>
  %b = nn.slice_input_grad %x offset(0) : <n x h> -> <n x h>
  // CHECK-NEXT: return %[[X]], %[[X]]
  return %a, %b : !nn.tensor<n x h>, !nn.tensor<n x h>
}

// CHECK-LABEL: func.func @slice_of_slice
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x 2*h>)
func.func @slice_of_slice(%x: !nn.tensor<n x 2*h>) -> !nn.tensor<n x 2*c> {
  %a = nn.slice %x heads(2) offset(a) size(b) : <n x 2*h> -> <n x 2*b>
  // CHECK-NEXT: %[[B:.+]] = nn.slice %[[X]] heads(2) offset(2*a) size(c)
  %b = nn.slice %a heads(2) offset(a) size(c) : <n x 2*b> -> <n x 2*c>
  // CHECK-NEXT: return %[[B]]
  return %b : !nn.tensor<n x 2*c>
}

// CHECK-LABEL: func.func @no_slice_of_slice_of_other_heads
func.func @no_slice_of_slice_of_other_heads(%x: !nn.tensor<4 x 12>) -> !nn.tensor<4 x 2> {
  // CHECK: %[[A:.+]] = nn.slice %{{.+}} heads(2)
  %a = nn.slice %x heads(2) offset(1) size(2) : <4 x 12> -> <4 x 4>
  // CHECK: nn.slice %[[A]]
  %b = nn.slice %a offset(1) size(2) : <4 x 4> -> <4 x 2>
  return %b : !nn.tensor<4 x 2>
}

// CHECK-LABEL: func.func @sides_of_concat
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x heads*nope>, %[[Y:.+]]: !nn.tensor<n x heads*rope>)
func.func @sides_of_concat(%x: !nn.tensor<n x heads*nope>, %y: !nn.tensor<n x heads*rope>)
    -> (!nn.tensor<n x heads*nope>, !nn.tensor<n x heads*rope>) {
  %c = nn.concat %x, %y heads(heads)
     : (<n x heads*nope>, <n x heads*rope>) -> <n x heads*nope + heads*rope>
  %a = nn.slice %c heads(heads) offset(0) size(nope) : <n x heads*nope + heads*rope> -> <n x heads*nope>
  %b = nn.slice %c heads(heads) offset(nope) size(rope) : <n x heads*nope + heads*rope> -> <n x heads*rope>
  // CHECK-NEXT: return %[[X]], %[[Y]]
  return %a, %b : !nn.tensor<n x heads*nope>, !nn.tensor<n x heads*rope>
}

// CHECK-LABEL: func.func @slice_within_a_side_of_concat
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<4 x 6>, %[[Y:.+]]: !nn.tensor<4 x 10>)
func.func @slice_within_a_side_of_concat(%x: !nn.tensor<4 x 6>, %y: !nn.tensor<4 x 10>)
    -> (!nn.tensor<4 x 4>, !nn.tensor<4 x 4>, !nn.tensor<4 x 4>) {
  // CHECK: %[[C:.+]] = nn.concat
  %c = nn.concat %x, %y heads(2) : (<4 x 6>, <4 x 10>) -> <4 x 16>
  // CHECK: %[[A:.+]] = nn.slice %[[X]] heads(2) offset(1) size(2)
  %a = nn.slice %c heads(2) offset(1) size(2) : <4 x 16> -> <4 x 4>
  // CHECK: %[[B:.+]] = nn.slice %[[Y]] heads(2) offset(1) size(2)
  %b = nn.slice %c heads(2) offset(4) size(2) : <4 x 16> -> <4 x 4>
  // CHECK: %[[S:.+]] = nn.slice %[[C]] heads(2) offset(2) size(2)
  %s = nn.slice %c heads(2) offset(2) size(2) : <4 x 16> -> <4 x 4>
  // CHECK: return %[[A]], %[[B]], %[[S]]
  return %a, %b, %s : !nn.tensor<4 x 4>, !nn.tensor<4 x 4>, !nn.tensor<4 x 4>
}

// CHECK-LABEL: func.func @concat_of_neighbours
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x h*heads>)
func.func @concat_of_neighbours(%x: !nn.tensor<n x heads*h>) -> !nn.tensor<n x heads*b + heads*c> {
  %a = nn.slice %x heads(heads) offset(a) size(b) : <n x heads*h> -> <n x heads*b>
  %b = nn.slice %x heads(heads) offset(a + b) size(c) : <n x heads*h> -> <n x heads*c>
  // CHECK-NEXT: %[[S:.+]] = nn.slice %[[X]] heads(heads) offset(a) size(b + c)
  %c = nn.concat %a, %b heads(heads) : (<n x heads*b>, <n x heads*c>) -> <n x heads*b + heads*c>
  // CHECK-NEXT: return %[[S]]
  return %c : !nn.tensor<n x heads*b + heads*c>
}

// CHECK-LABEL: func.func @no_concat_of_distant_slices
func.func @no_concat_of_distant_slices(%x: !nn.tensor<n x h>) -> !nn.tensor<n x 2*a> {
  // CHECK: nn.slice
  // CHECK: nn.slice
  %a = nn.slice %x offset(a) size(a) : <n x h> -> <n x a>
  %b = nn.slice %x offset(0) size(a) : <n x h> -> <n x a>
  // CHECK: nn.concat
  %c = nn.concat %a, %b : (<n x a>, <n x a>) -> <n x 2*a>
  return %c : !nn.tensor<n x 2*a>
}

// The gradient of a split into three: one copy instead of three tensors full of zeros and two sums.
// CHECK-LABEL: func.func @sum_of_slice_gradients
// CHECK-SAME: (%[[A:.+]]: !nn.tensor<n x a*h>, %[[B:.+]]: !nn.tensor<n x b*h>, %[[C:.+]]: !nn.tensor<n x c*h>)
func.func @sum_of_slice_gradients(%a: !nn.tensor<n x h*a>, %b: !nn.tensor<n x h*b>, %c: !nn.tensor<n x h*c>)
    -> !nn.tensor<n x h*a + h*b + h*c> {
  %x = nn.slice_input_grad %a heads(h) offset(0) : <n x h*a> -> <n x h*a + h*b + h*c>
  %y = nn.slice_input_grad %b heads(h) offset(a) : <n x h*b> -> <n x h*a + h*b + h*c>
  %z = nn.slice_input_grad %c heads(h) offset(a + b) : <n x h*c> -> <n x h*a + h*b + h*c>
  // CHECK-NEXT: %[[BC:.+]] = nn.concat %[[B]], %[[C]] heads(h)
  %s = nn.add %z, %y : <n x h*a + h*b + h*c>
  // CHECK-NEXT: %[[ABC:.+]] = nn.concat %[[A]], %[[BC]] heads(h)
  %t = nn.add %s, %x : <n x h*a + h*b + h*c>
  // CHECK-NEXT: return %[[ABC]]
  return %t : !nn.tensor<n x h*a + h*b + h*c>
}

// CHECK-LABEL: func.func @product_with_ones
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<4 x 8>, %[[V:.+]]: !nn.tensor<8>)
func.func @product_with_ones(%x: !nn.tensor<4 x 8>, %v: !nn.tensor<8>)
    -> (!nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>) {
  %one = nn.fill with(1) : <4 x 8>
  %ones = nn.fill with(1.0) : <8>
  // CHECK-DAG: %[[TWO:.+]] = nn.fill with(2)
  %two = nn.fill with(2) : <4 x 8>
  %a = nn.mul %x, %ones : <4 x 8>, <8>
  %b = nn.mul %one, %x : <4 x 8>
  // CHECK-DAG: %[[C:.+]] = nn.mul %[[TWO]], %[[X]]
  %c = nn.mul %two, %x : <4 x 8>
  // CHECK-DAG: %[[D:.+]] = nn.mul %{{.+}}, %[[V]]
  %d = nn.mul %one, %v : <4 x 8>, <8>
  // CHECK: return %[[X]], %[[X]], %[[C]], %[[D]]
  return %a, %b, %c, %d : !nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<4 x 8>
}

// CHECK-LABEL: func.func @layout_of_zeros
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x 2*h>)
func.func @layout_of_zeros(%x: !nn.tensor<n x 2*h>)
    -> (!nn.tensor<2*n x h>, !nn.tensor<n x h>, !nn.tensor<n x 4*h>, !nn.tensor<n x 6*h>, !nn.tensor<n x 4*h>) {
  %z = nn.zero : <n x 2*h>
  // CHECK-DAG: %[[A:.+]] = nn.zero : <2*n x h>
  %a = nn.reshape %z : <n x 2*h> -> <2*n x h>
  // CHECK-DAG: %[[B:.+]] = nn.zero : <n x h>
  %b = nn.slice %z offset(0) size(h) : <n x 2*h> -> <n x h>
  // CHECK-DAG: %[[C:.+]] = nn.zero : <n x 4*h>
  %c = nn.concat %z, %z : (<n x 2*h>, <n x 2*h>) -> <n x 4*h>
  // CHECK-DAG: %[[D:.+]] = nn.zero : <n x 6*h>
  %d = nn.broadcast %z heads(3) : <n x 2*h> -> <n x 6*h>
  // CHECK-DAG: %[[E:.+]] = nn.concat %[[X]],
  %e = nn.concat %x, %z : (<n x 2*h>, <n x 2*h>) -> <n x 4*h>
  // CHECK: return %[[A]], %[[B]], %[[C]], %[[D]], %[[E]]
  return %a, %b, %c, %d, %e
       : !nn.tensor<2*n x h>, !nn.tensor<n x h>, !nn.tensor<n x 4*h>, !nn.tensor<n x 6*h>, !nn.tensor<n x 4*h>
}

// CHECK-LABEL: func.func @slice_of_broadcast
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<n x a + b>)
func.func @slice_of_broadcast(%x: !nn.tensor<n x a + b>) -> (!nn.tensor<n x heads*b>, !nn.tensor<n x b>) {
  // CHECK-DAG: %[[S:.+]] = nn.slice %[[X]] offset(a) size(b) : <n x a + b> -> <n x b>
  // CHECK-DAG: %[[B:.+]] = nn.broadcast %[[S]] heads(heads)
  %k = nn.broadcast %x heads(heads) : <n x a + b> -> <n x heads*a + heads*b>
  %a = nn.slice %k heads(heads) offset(a) size(b) : <n x heads*a + heads*b> -> <n x heads*b>
  // A slice of other heads stays.
  // CHECK-DAG: %[[K:.+]] = nn.broadcast %[[X]] heads(heads)
  // CHECK-DAG: %[[O:.+]] = nn.slice %[[K]] offset(a) size(b)
  %o = nn.slice %k offset(a) size(b) : <n x heads*a + heads*b> -> <n x b>
  // CHECK: return %[[B]], %[[O]]
  return %a, %o : !nn.tensor<n x heads*b>, !nn.tensor<n x b>
}

// CHECK-LABEL: func.func @shift_by_zero
// CHECK-SAME: (%[[IDS:.+]]: !nn.tensor<tokens : i32>)
func.func @shift_by_zero(%ids: !nn.tensor<tokens : i32>) -> (!nn.tensor<tokens : i32>, !nn.tensor<tokens : i32>) {
  // CHECK-NEXT: %[[B:.+]] = nn.shift %[[IDS]] by(depth)
  %a = nn.shift %ids by(0) seq(seq) : <tokens : i32>
  %b = nn.shift %ids by(depth) seq(seq) : <tokens : i32>
  // CHECK-NEXT: return %[[IDS]], %[[B]]
  return %a, %b : !nn.tensor<tokens : i32>, !nn.tensor<tokens : i32>
}

// Where every group may be chosen there are no groups.
// CHECK-LABEL: func.func @route_through_all_groups
func.func @route_through_all_groups(%logits: !nn.tensor<8 x 16>)
    -> (!nn.tensor<8 x 2>, !nn.tensor<8 x 2>, !nn.tensor<8 x 2>) {
  // CHECK-NEXT: nn.route %{{.+}} top_k(2) score("sigmoid")
  %a, %s, %r, %l = nn.route %logits top_k(2) groups(4) group_limit(4) group_score("top2sum") score("sigmoid")
      normalize(true) scale(1) : <8 x 16>
  // CHECK-NEXT: nn.route %{{.+}} top_k(2) score("sigmoid")
  %b, %s2, %r2, %l2 = nn.route %logits top_k(2) groups(g) group_limit(g) score("sigmoid") normalize(true) scale(1)
      : <8 x 16>
  // CHECK-NEXT: nn.route %{{.+}} top_k(2) groups(4) group_limit(2) group_score("top2sum") score("sigmoid")
  %c, %s3, %r3, %l3 = nn.route %logits top_k(2) groups(4) group_limit(2) group_score("top2sum") score("sigmoid")
      normalize(true) scale(1) : <8 x 16>
  return %a, %b, %c : !nn.tensor<8 x 2>, !nn.tensor<8 x 2>, !nn.tensor<8 x 2>
}
