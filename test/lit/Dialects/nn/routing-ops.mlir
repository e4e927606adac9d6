// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// Mixture of experts.

// CHECK-LABEL: func.func @route
func.func @route(%logits: !nn.tensor<tokens x experts>, %bias: !nn.tensor<experts>, %ids: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = nn.route %{{.*}} top_k(top_k) score("softmax") normalize(false) scale(1.0) : <tokens x experts>
  %g, %s, %r, %l = nn.route %logits top_k(top_k) score("softmax") normalize(false) scale(1.0) : <tokens x experts>
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = nn.route %{{.*}} bias(%{{.*}} : <experts>) valid(%{{.*}} : <tokens : i32>) top_k(top_k) groups(groups) group_limit(group_limit) group_score("top2sum") score(scoring) normalize(norm_topk) scale(scale) : <tokens x experts>
  %h, %t, %u, %m = nn.route %logits bias(%bias : <experts>) valid(%ids : <tokens : i32>) top_k(top_k) groups(groups) group_limit(group_limit) group_score("top2sum") score(scoring) normalize(norm_topk) scale(scale) : <tokens x experts>
  return
}

// One group is no group: the rule of two experts in each does not hold.
// CHECK-LABEL: func.func @route_one_expert
func.func @route_one_expert(%logits: !nn.tensor<4 x 1>) {
  // CHECK: nn.route %{{.*}} top_k(1) {{.*}} : <4 x 1>
  %g, %s, %r, %l = nn.route %logits top_k(1) groups(1) group_limit(1) group_score("top2sum") score("sigmoid") normalize(true) scale(1.0) : <4 x 1>
  return
}

// CHECK-LABEL: func.func @route_result_types
func.func @route_result_types(%logits: !nn.tensor<128 x 8>) {
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = nn.route %{{.*}} top_k(2) score("sigmoid") normalize(true) scale(2.5) : <128 x 8>
  %g, %s, %r, %l = nn.route %logits top_k(2) score("sigmoid") normalize(true) scale(2.5) : <128 x 8>
  // CHECK: %{{.*}} = nn.permute %{{.*}}, %{{.*}} top_k(2) : (<128 x 8>, <777 : i32>) -> <256 x 8>
  %rows = nn.permute %s, %r top_k(2) : (<128 x 8>, <777 : i32>) -> <256 x 8>
  // CHECK: %{{.*}} = nn.unpermute %{{.*}}, %{{.*}}, %{{.*}} : (<256 x 8>, <777 : i32>, <128 x 2>) -> <128 x 8>
  %y = nn.unpermute %rows, %r, %g : (<256 x 8>, <777 : i32>, <128 x 2>) -> <128 x 8>
  // CHECK: %{{.*}} = nn.bias_update %{{.*}}, %{{.*}} rate(0.001) : <8>
  %n = nn.bias_update %l, %l rate(0.001) : <8>
  return
}

// CHECK-LABEL: func.func @permute
func.func @permute(%x: !nn.tensor<tokens x hidden>, %r: !nn.tensor<3*tokens*top_k + experts + 1 : i32>, %g:
                   !nn.tensor<tokens x top_k>) {
  // CHECK: %{{.*}} = nn.permute %{{.*}}, %{{.*}} top_k(top_k) : (<tokens x hidden>, <experts + 3*tokens*top_k + 1 : i32>) -> <tokens*top_k x hidden>
  %rows = nn.permute %x, %r top_k(top_k) : (<tokens x hidden>, <3*tokens*top_k + experts + 1 : i32>) -> <tokens*top_k x hidden>
  // CHECK: %{{.*}} = nn.unpermute %{{.*}}, %{{.*}}, %{{.*}} : (<tokens*top_k x hidden>, <experts + 3*tokens*top_k + 1 : i32>, <tokens x top_k>) -> <tokens x hidden>
  %y = nn.unpermute %rows, %r, %g : (<tokens*top_k x hidden>, <3*tokens*top_k + experts + 1 : i32>, <tokens x top_k>) -> <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @balance_loss
func.func @balance_loss(%s: !nn.tensor<tokens x experts>, %ids: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}} = nn.balance_loss %{{.*}} top_k(top_k) : <tokens x experts>
  %a = nn.balance_loss %s top_k(top_k) : <tokens x experts>
  // CHECK: %{{.*}} = nn.balance_loss %{{.*}} valid(%{{.*}} : <tokens : i32>) top_k(top_k) seq(length) : <tokens x experts>
  %b = nn.balance_loss %s valid(%ids : <tokens : i32>) top_k(top_k) seq(length) : <tokens x experts>
  return
}
