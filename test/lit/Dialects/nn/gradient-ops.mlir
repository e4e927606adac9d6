// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// Gradients, accumulation and the optimizer.

// CHECK-LABEL: func.func @embedding_weight_grad
func.func @embedding_weight_grad(%g: !nn.tensor<tokens x hidden>, %ids: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}} = nn.embedding_weight_grad %{{.*}}, %{{.*}} : (<tokens x hidden>, <tokens : i32>) -> <vocab x hidden>
  %d = nn.embedding_weight_grad %g, %ids : (<tokens x hidden>, <tokens : i32>) -> <vocab x hidden>
  return
}

// CHECK-LABEL: func.func @linear_grads
func.func @linear_grads(%g: !nn.tensor<17 x 3>, %w: !nn.tensor<3 x 5>, %x: !nn.tensor<17 x 5>) {
  // CHECK: %{{.*}} = nn.linear_input_grad %{{.*}}, %{{.*}} : (<17 x 3>, <3 x 5>) -> <17 x 5>
  %d = nn.linear_input_grad %g, %w : (<17 x 3>, <3 x 5>) -> <17 x 5>
  // CHECK: %{{.*}} = nn.linear_weight_grad %{{.*}}, %{{.*}} : (<17 x 3>, <17 x 5>) -> <3 x 5>
  %e = nn.linear_weight_grad %g, %x : (<17 x 3>, <17 x 5>) -> <3 x 5>
  return
}

// CHECK-LABEL: func.func @grouped_linear_grads
func.func @grouped_linear_grads(%g: !nn.tensor<rows x inner>, %w: !nn.tensor<experts x inner x hidden>, %x: !nn.tensor<rows x
                                hidden>, %r: !nn.tensor<3*rows + experts + 1 : i32>) {
  // CHECK: %{{.*}} = nn.grouped_linear_input_grad %{{.*}}, %{{.*}}, %{{.*}} : (<rows x inner>, <experts x inner x hidden>, <experts + 3*rows + 1 : i32>) -> <rows x hidden>
  %d = nn.grouped_linear_input_grad %g, %w, %r : (<rows x inner>, <experts x inner x hidden>, <experts + 3*rows + 1 : i32>) -> <rows x hidden>
  // CHECK: %{{.*}} = nn.grouped_linear_weight_grad %{{.*}}, %{{.*}}, %{{.*}} : (<rows x inner>, <rows x hidden>, <experts + 3*rows + 1 : i32>) -> <experts x inner x hidden>
  %e = nn.grouped_linear_weight_grad %g, %x, %r : (<rows x inner>, <rows x hidden>, <experts + 3*rows + 1 : i32>) -> <experts x inner x hidden>
  return
}

// CHECK-LABEL: func.func @rms_norm_grads
func.func @rms_norm_grads(%g: !nn.tensor<tokens x hidden>, %x: !nn.tensor<tokens x hidden>, %w: !nn.tensor<hidden>) {
  // CHECK: %{{.*}} = nn.rms_norm_input_grad %{{.*}}, %{{.*}}, %{{.*}} eps(eps) : <tokens x hidden>, <hidden>
  %d = nn.rms_norm_input_grad %g, %x, %w eps(eps) : <tokens x hidden>, <hidden>
  // CHECK: %{{.*}} = nn.rms_norm_weight_grad %{{.*}}, %{{.*}} eps(eps) : <tokens x hidden> -> <hidden>
  %e = nn.rms_norm_weight_grad %g, %x eps(eps) : <tokens x hidden> -> <hidden>
  return
}

// CHECK-LABEL: func.func @rope_input_grad
func.func @rope_input_grad(%g: !nn.tensor<128 x 64>) {
  // CHECK: %{{.*}} = nn.rope_input_grad %{{.*}} head_dim(16) seq(64) theta(10000.0) style("half") yarn(factor = 40.0, beta_fast = 32.0, beta_slow = 1.0, original_length = 64, attention_factor = 1.25) : <128 x 64>
  %d = nn.rope_input_grad %g head_dim(16) seq(64) theta(10000.0) style("half") yarn(factor = 40.0, beta_fast = 32.0, beta_slow = 1.0, original_length = 64, attention_factor = 1.25) : <128 x 64>
  return
}

// CHECK-LABEL: func.func @attention_input_grad
func.func @attention_input_grad(%g: !nn.tensor<128 x 32>, %q: !nn.tensor<128 x 64>, %k: !nn.tensor<128 x 32>, %v: !nn.tensor<128 x
                                16>, %l: !nn.tensor<128 x 4>, %s: !nn.tensor<128 : i32>) {
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = nn.attention_input_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} causal heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  %a, %b, %c = nn.attention_input_grad %g, %q, %k, %v, %g, %l causal heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = nn.attention_input_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} starts(%{{.*}} : <128 : i32>) heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  %d, %e, %f = nn.attention_input_grad %g, %q, %k, %v, %g, %l starts(%s : <128 : i32>) heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  // CHECK: nn.attention_input_grad {{.*}} lse_grad(%{{.*}} : <128 x 4>) heads(4)
  %h, %i, %j = nn.attention_input_grad %g, %q, %k, %v, %g, %l lse_grad(%l : <128 x 4>) heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  // CHECK: nn.attention_input_grad {{.*}} lse_grad(%{{.*}} : <128 x 4>) starts(%{{.*}} : <128 : i32>) causal
  %m, %n, %o = nn.attention_input_grad %g, %q, %k, %v, %g, %l lse_grad(%l : <128 x 4>) starts(%s : <128 : i32>) causal heads(4) kv_heads(2) seq(64) scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
  return
}

// CHECK-LABEL: func.func @activation_grads
func.func @activation_grads(%g: !nn.tensor<tokens x ffn>, %x: !nn.tensor<tokens x ffn>) {
  // CHECK: %{{.*}} = nn.sigmoid_input_grad %{{.*}}, %{{.*}} : <tokens x ffn>
  %a = nn.sigmoid_input_grad %g, %x : <tokens x ffn>
  // CHECK: %{{.*}} = nn.tanh_input_grad %{{.*}}, %{{.*}} : <tokens x ffn>
  %b = nn.tanh_input_grad %g, %x : <tokens x ffn>
  // CHECK: %{{.*}} = nn.silu_input_grad %{{.*}}, %{{.*}} : <tokens x ffn>
  %c = nn.silu_input_grad %g, %x : <tokens x ffn>
  // CHECK: %{{.*}} = nn.gelu_input_grad %{{.*}}, %{{.*}} : <tokens x ffn>
  %d = nn.gelu_input_grad %g, %x : <tokens x ffn>
  // CHECK: %{{.*}} = nn.gelu_input_grad %{{.*}}, %{{.*}} approximate("tanh") : <tokens x ffn>
  %e = nn.gelu_input_grad %g, %x approximate("tanh") : <tokens x ffn>
  // CHECK: %{{.*}}, %{{.*}} = nn.swiglu_input_grad %{{.*}}, %{{.*}}, %{{.*}} : <tokens x ffn>
  %f, %h = nn.swiglu_input_grad %g, %x, %x : <tokens x ffn>
  return
}

// CHECK-LABEL: func.func @reduce_sum
func.func @reduce_sum(%g: !nn.tensor<tokens x hidden>) {
  // CHECK: %{{.*}} = nn.reduce_sum %{{.*}} : <tokens x hidden> -> <hidden>
  %a = nn.reduce_sum %g : <tokens x hidden> -> <hidden>
  // CHECK: %{{.*}} = nn.reduce_sum %{{.*}} : <tokens x hidden> -> <tokens x 1>
  %b = nn.reduce_sum %g : <tokens x hidden> -> <tokens x 1>
  // CHECK: %{{.*}} = nn.reduce_sum %{{.*}} : <tokens x hidden> -> <1>
  %c = nn.reduce_sum %g : <tokens x hidden> -> <1>
  return
}

// CHECK-LABEL: func.func @layout_grads
func.func @layout_grads(%g: !nn.tensor<tokens x heads*rope>) {
  // CHECK: %{{.*}} = nn.slice_input_grad %{{.*}} heads(heads) offset(nope) : <tokens x heads*rope> -> <tokens x heads*nope + heads*rope>
  %a = nn.slice_input_grad %g heads(heads) offset(nope) : <tokens x heads*rope> -> <tokens x heads*nope + heads*rope>
  // CHECK: %{{.*}} = nn.slice_input_grad %{{.*}} offset(0) : <tokens x heads*rope> -> <tokens x 2*heads*rope>
  %b = nn.slice_input_grad %g offset(0) : <tokens x heads*rope> -> <tokens x 2*heads*rope>
  // CHECK: %{{.*}} = nn.broadcast_input_grad %{{.*}} heads(heads) : <tokens x heads*rope> -> <tokens x rope>
  %c = nn.broadcast_input_grad %g heads(heads) : <tokens x heads*rope> -> <tokens x rope>
  return
}

// CHECK-LABEL: func.func @route_input_grad
func.func @route_input_grad(%s: !nn.tensor<128 x 8>, %r: !nn.tensor<777 : i32>, %g: !nn.tensor<128 x 2>) {
  // CHECK: %{{.*}} = nn.route_input_grad %{{.*}}, %{{.*}} gates(%{{.*}} : <128 x 2>) scores(%{{.*}} : <128 x 8>) top_k(2) score("sigmoid") normalize(true) scale(2.5) : <128 x 8>, <777 : i32>
  %a = nn.route_input_grad %s, %r gates(%g : <128 x 2>) scores(%s : <128 x 8>) top_k(2) score("sigmoid") normalize(true) scale(2.5) : <128 x 8>, <777 : i32>
  // CHECK: %{{.*}} = nn.route_input_grad %{{.*}}, %{{.*}} gates(%{{.*}} : <128 x 2>) top_k(2) score("softmax") normalize(false) scale(1.0) : <128 x 8>, <777 : i32>
  %b = nn.route_input_grad %s, %r gates(%g : <128 x 2>) top_k(2) score("softmax") normalize(false) scale(1.0) : <128 x 8>, <777 : i32>
  // CHECK: %{{.*}} = nn.route_input_grad %{{.*}}, %{{.*}} scores(%{{.*}} : <128 x 8>) top_k(2) score("softmax") normalize(false) scale(1.0) : <128 x 8>, <777 : i32>
  %c = nn.route_input_grad %s, %r scores(%s : <128 x 8>) top_k(2) score("softmax") normalize(false) scale(1.0) : <128 x 8>, <777 : i32>
  return
}

// CHECK-LABEL: func.func @permute_grads
func.func @permute_grads(%g: !nn.tensor<128 x 16>, %y: !nn.tensor<256 x 16>, %r: !nn.tensor<777 : i32>, %gates:
                         !nn.tensor<128 x 2>) {
  // CHECK: %{{.*}} = nn.permute_input_grad %{{.*}}, %{{.*}} top_k(2) : (<256 x 16>, <777 : i32>) -> <128 x 16>
  %a = nn.permute_input_grad %y, %r top_k(2) : (<256 x 16>, <777 : i32>) -> <128 x 16>
  // CHECK: %{{.*}} = nn.unpermute_rows_grad %{{.*}}, %{{.*}}, %{{.*}} : (<128 x 16>, <777 : i32>, <128 x 2>) -> <256 x 16>
  %b = nn.unpermute_rows_grad %g, %r, %gates : (<128 x 16>, <777 : i32>, <128 x 2>) -> <256 x 16>
  // CHECK: %{{.*}} = nn.unpermute_gates_grad %{{.*}}, %{{.*}}, %{{.*}} : (<128 x 16>, <256 x 16>, <777 : i32>) -> <128 x 2>
  %c = nn.unpermute_gates_grad %g, %y, %r : (<128 x 16>, <256 x 16>, <777 : i32>) -> <128 x 2>
  return
}

// CHECK-LABEL: func.func @loss_grads
func.func @loss_grads(%g: !nn.tensor<1>, %s: !nn.tensor<128 x 8>, %ids: !nn.tensor<128 : i32>, %lse: !nn.tensor<128>) {
  // CHECK: %{{.*}} = nn.balance_loss_input_grad %{{.*}}, %{{.*}} valid(%{{.*}} : <128 : i32>) top_k(2) seq(64) : <128 x 8>
  %a = nn.balance_loss_input_grad %g, %s valid(%ids : <128 : i32>) top_k(2) seq(64) : <128 x 8>
  // CHECK: %{{.*}} = nn.balance_loss_input_grad %{{.*}}, %{{.*}} top_k(2) : <128 x 8>
  %b = nn.balance_loss_input_grad %g, %s top_k(2) : <128 x 8>
  // CHECK: %{{.*}} = nn.cross_entropy_input_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : <128 x 8>, <128 : i32>, <128>
  %c = nn.cross_entropy_input_grad %g, %s, %ids, %lse : <128 x 8>, <128 : i32>, <128>
  // CHECK: %{{.*}} = nn.cross_entropy_input_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} lse_grad(%{{.*}} : <128>) : <128 x 8>, <128 : i32>, <128>
  %d = nn.cross_entropy_input_grad %g, %s, %ids, %lse lse_grad(%lse : <128>) : <128 x 8>, <128 : i32>, <128>
  // CHECK: %{{.*}} = nn.mean_input_grad %{{.*}} : <128>
  %e = nn.mean_input_grad %g : <128>
  // CHECK: %{{.*}} = nn.mean_input_grad %{{.*}} valid(%{{.*}} : <128 : i32>) : <128 x 8>
  %f = nn.mean_input_grad %g valid(%ids : <128 : i32>) : <128 x 8>
  return
}

// CHECK-LABEL: func.func @optimizer
func.func @optimizer(%p: !nn.tensor<inner x hidden>, %s: !nn.tensor<16>) {
  // CHECK: %{{.*}} = nn.zero : <inner x hidden>
  %z = nn.zero : <inner x hidden>
  // CHECK: %{{.*}} = nn.accumulate %{{.*}}, %{{.*}} : <inner x hidden>
  %a = nn.accumulate %z, %p : <inner x hidden>
  // CHECK: %{{.*}} = nn.sum_squares %{{.*}} : <inner x hidden>
  %q = nn.sum_squares %a : <inner x hidden>
  // CHECK: %{{.*}} = nn.clip_factor %{{.*}}, %{{.*}} max_norm(1.0)
  %t = nn.clip_factor %q, %s max_norm(1.0)
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = nn.adamw %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} beta1(0.9) beta2(0.95) eps(1.0e-08) weight_decay(0.1) : <inner x hidden>
  %b, %m, %v = nn.adamw %p, %a, %z, %z, %t beta1(0.9) beta2(0.95) eps(1.0e-08) weight_decay(0.1) : <inner x hidden>
  // CHECK: %{{.*}} = nn.ema %{{.*}}, %{{.*}} decay(0.999) : <inner x hidden>
  %e = nn.ema %m, %b decay(0.999) : <inner x hidden>
  return
}

// CHECK-LABEL: func.func @fill_and_copy
func.func @fill_and_copy(%x: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}} = nn.fill with(weight / 2) : <1>
  %f = nn.fill with(weight / 2) : <1>
  // CHECK: %{{.*}} = nn.copy %{{.*}} : <tokens : i32>
  %c = nn.copy %x : <tokens : i32>
  return
}

// CHECK-LABEL: func.func @zero_of_ids
func.func @zero_of_ids() {
  // CHECK: %{{.*}} = nn.zero : <tokens : i32>
  %z = nn.zero : <tokens : i32>
  return
}
