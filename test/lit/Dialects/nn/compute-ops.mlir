// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// Tables, matrix products, normalisation, positions, attention and loss.

// CHECK-LABEL: func.func @embedding
func.func @embedding(%ids: !nn.tensor<tokens : i32>, %table: !nn.tensor<vocab x hidden>) {
  // CHECK: %{{.*}} = nn.embedding %{{.*}}, %{{.*}} : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
  %x = nn.embedding %ids, %table : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @linear
func.func @linear(%x: !nn.tensor<tokens x hidden>, %w: !nn.tensor<heads*nope x hidden>) {
  // CHECK: %{{.*}} = nn.linear %{{.*}}, %{{.*}} : (<tokens x hidden>, <heads*nope x hidden>) -> <tokens x heads*nope>
  %y = nn.linear %x, %w : (<tokens x hidden>, <heads*nope x hidden>) -> <tokens x heads*nope>
  return
}

// CHECK-LABEL: func.func @linear_dimensions_are_compared_in_normal_form
func.func @linear_dimensions_are_compared_in_normal_form(%x: !nn.tensor<tokens x heads*(nope + rope)>, %w: !nn.tensor<2*hidden x rope*heads + heads*nope>) {
  // CHECK: %{{.*}} = nn.linear %{{.*}}, %{{.*}} : (<tokens x heads*nope + heads*rope>, <2*hidden x heads*nope + heads*rope>) -> <tokens x 2*hidden>
  %y = nn.linear %x, %w : (<tokens x heads*(nope + rope)>, <hidden + hidden x rope*heads + heads*nope>) -> <tokens x 2*hidden>
  return
}

// CHECK-LABEL: func.func @linear_bound
func.func @linear_bound(%x: !nn.tensor<17 x 3>, %w: !nn.tensor<127 x 3>) {
  // CHECK: %{{.*}} = nn.linear %{{.*}}, %{{.*}} : (<17 x 3>, <127 x 3>) -> <17 x 127>
  %y = nn.linear %x, %w : (<17 x 3>, <127 x 3>) -> <17 x 127>
  return
}

// CHECK-LABEL: func.func @grouped_linear
func.func @grouped_linear(%x: !nn.tensor<tokens*top_k x hidden>, %w: !nn.tensor<experts x inner x hidden>, %r:
                          !nn.tensor<3*tokens*top_k + experts + 1 : i32>) {
  // CHECK: %{{.*}} = nn.grouped_linear %{{.*}}, %{{.*}}, %{{.*}} : (<tokens*top_k x hidden>, <experts x inner x hidden>, <experts + 3*tokens*top_k + 1 : i32>) -> <tokens*top_k x inner>
  %y = nn.grouped_linear %x, %w, %r : (<tokens*top_k x hidden>, <experts x inner x hidden>, <3*tokens*top_k + experts + 1 : i32>) -> <tokens*top_k x inner>
  return
}

// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: !nn.tensor<tokens x hidden>, %w: !nn.tensor<hidden>) {
  // CHECK: %{{.*}} = nn.rms_norm %{{.*}}, %{{.*}} eps(eps) : <tokens x hidden>, <hidden>
  %y = nn.rms_norm %x, %w eps(eps) : <tokens x hidden>, <hidden>
  // CHECK: %{{.*}} = nn.rms_norm %{{.*}}, %{{.*}} eps(1.0e-06) : <tokens x hidden>, <hidden>
  %z = nn.rms_norm %x, %w eps(1.0e-06) : <tokens x hidden>, <hidden>
  return
}

// CHECK-LABEL: func.func @rms_norm_per_head
func.func @rms_norm_per_head(%x: !nn.tensor<tokens x heads*head_dim>, %w: !nn.tensor<head_dim>) {
  // CHECK: %{{.*}} = nn.rms_norm %{{.*}}, %{{.*}} eps(eps) : <tokens x head_dim*heads>, <head_dim>
  %y = nn.rms_norm %x, %w eps(eps) : <tokens x heads*head_dim>, <head_dim>
  return
}

// CHECK-LABEL: func.func @rope
func.func @rope(%x: !nn.tensor<tokens x heads*rope>) {
  // CHECK: %{{.*}} = nn.rope %{{.*}} head_dim(rope) theta(theta) : <tokens x heads*rope>
  %y = nn.rope %x head_dim(rope) theta(theta) : <tokens x heads*rope>
  // CHECK: %{{.*}} = nn.rope %{{.*}} head_dim(rope) seq(length) theta(10000.0) style("half") : <tokens x heads*rope>
  %z = nn.rope %x head_dim(rope) seq(length) theta(10000.0) style("half") : <tokens x heads*rope>
  // CHECK: %{{.*}} = nn.rope %{{.*}} head_dim(rope) theta(theta) : <tokens x heads*rope>
  %a = nn.rope %x head_dim(rope) seq(seq) theta(theta) style("interleaved") : <tokens x heads*rope>
  // CHECK: %{{.*}} = nn.rope %{{.*}} head_dim(rope) theta(theta) style(if(interleaved, "interleaved", "half")) yarn(factor = stretch, beta_fast = 32, beta_slow = 1, original_length = 4096, attention_factor = 0.1 * log(stretch) + 1) : <tokens x heads*rope>
  %b = nn.rope %x head_dim(rope) theta(theta) style(if(interleaved, "interleaved", "half")) yarn(factor = stretch, beta_fast = 32, beta_slow = 1, original_length = 4096, attention_factor = 0.1 * log(stretch) + 1) : <tokens x heads*rope>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: !nn.tensor<tokens x heads*d>, %k: !nn.tensor<tokens x kv*d>, %v: !nn.tensor<tokens x kv*dv>, %s:
                     !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}}, %{{.*}} = nn.attention %{{.*}}, %{{.*}}, %{{.*}} causal heads(heads) kv_heads(kv) scale(1 / sqrt(d)) : (<tokens x d*heads>, <tokens x d*kv>, <tokens x dv*kv>) -> (<tokens x dv*heads>, <tokens x heads>)
  %o, %l = nn.attention %q, %k, %v causal heads(heads) kv_heads(kv) scale(1 / sqrt(d)) : (<tokens x d*heads>, <tokens x d*kv>, <tokens x dv*kv>) -> (<tokens x dv*heads>, <tokens x heads>)
  // CHECK: %{{.*}}, %{{.*}} = nn.attention %{{.*}}, %{{.*}}, %{{.*}} starts(%{{.*}} : <tokens : i32>) heads(heads) kv_heads(kv) seq(length) scale(scale) : (<tokens x d*heads>, <tokens x d*kv>, <tokens x dv*kv>) -> (<tokens x dv*heads>, <tokens x heads>)
  %p, %m = nn.attention %q, %k, %v starts(%s : <tokens : i32>) heads(heads) kv_heads(kv) seq(length) scale(scale) : (<tokens x d*heads>, <tokens x d*kv>, <tokens x dv*kv>) -> (<tokens x dv*heads>, <tokens x heads>)
  return
}

// CHECK-LABEL: func.func @accuracy
func.func @accuracy(%logits: !nn.tensor<tokens x vocab>, %targets: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}} = nn.accuracy %{{.*}}, %{{.*}} : <tokens x vocab>, <tokens : i32>
  %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
  return
}

// CHECK-LABEL: func.func @cross_entropy
func.func @cross_entropy(%logits: !nn.tensor<tokens x vocab>, %targets: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}}, %{{.*}} = nn.cross_entropy %{{.*}}, %{{.*}} : <tokens x vocab>, <tokens : i32>
  %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
  return
}

// CHECK-LABEL: func.func @mean
func.func @mean(%x: !nn.tensor<tokens x vocab>, %v: !nn.tensor<tokens>, %ids: !nn.tensor<tokens : i32>) {
  // CHECK: %{{.*}} = nn.mean %{{.*}} : <tokens x vocab>
  %a = nn.mean %x : <tokens x vocab>
  // CHECK: %{{.*}} = nn.mean %{{.*}} valid(%{{.*}} : <tokens : i32>) : <tokens>
  %b = nn.mean %v valid(%ids : <tokens : i32>) : <tokens>
  return
}

// CHECK-LABEL: func.func @attention_dropout
func.func @attention_dropout(%x: !nn.tensor<8 x 6>, %s: !nn.tensor<8 : i32>, %key: !nn.tensor<4 : i32>) {
  // CHECK: nn.attention %{{.*}}, %{{.*}}, %{{.*}} causal heads(2) kv_heads(2) scale(1.0) dropout(p) : (<8 x 6>
  %a, %k = nn.attention %x, %x, %x causal heads(2) kv_heads(2) scale(1.0) dropout(p) : (<8 x 6>, <8 x 6>, <8 x 6>) -> (<8 x 6>, <8 x 2>)
  // CHECK: nn.attention {{.*}} starts(%{{.*}} : <8 : i32>) heads(2) kv_heads(2) scale(1.0) dropout(0.1) random(%{{.*}} : <4 : i32>) stream(7) : (<8 x 6>
  %b, %l = nn.attention %x, %x, %x starts(%s : <8 : i32>) heads(2) kv_heads(2) scale(1.0) dropout(0.1) random(%key : <4 : i32>) stream(7) : (<8 x 6>, <8 x 6>, <8 x 6>) -> (<8 x 6>, <8 x 2>)
  // Nothing is said of what is not dropped.
  // CHECK: nn.attention {{.*}} scale(1.0) : (<8 x 6>
  %c, %m = nn.attention %x, %x, %x heads(2) kv_heads(2) scale(1.0) dropout(0.0) : (<8 x 6>, <8 x 6>, <8 x 6>) -> (<8 x 6>, <8 x 2>)
  return
}
