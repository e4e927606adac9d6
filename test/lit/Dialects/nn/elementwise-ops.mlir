// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// Sums, products, activation functions, and moving columns.

// CHECK-LABEL: func.func @add
func.func @add(%x: !nn.tensor<tokens x hidden>, %y: !nn.tensor<tokens x hidden>) {
  // CHECK: %{{.*}} = nn.add %{{.*}}, %{{.*}} : <tokens x hidden>
  %a = nn.add %x, %y : <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @add_repeats_rhs
func.func @add_repeats_rhs(%x: !nn.tensor<tokens x hidden>, %bias: !nn.tensor<hidden>, %row: !nn.tensor<tokens x 1>, %one:
                           !nn.tensor<1>) {
  // CHECK: %{{.*}} = nn.add %{{.*}}, %{{.*}} : <tokens x hidden>, <hidden>
  %a = nn.add %x, %bias : <tokens x hidden>, <hidden>
  // CHECK: %{{.*}} = nn.add %{{.*}}, %{{.*}} : <tokens x hidden>, <tokens x 1>
  %b = nn.add %x, %row : <tokens x hidden>, <tokens x 1>
  // CHECK: %{{.*}} = nn.add %{{.*}}, %{{.*}} : <tokens x hidden>, <1>
  %c = nn.add %x, %one : <tokens x hidden>, <1>
  return
}

// CHECK-LABEL: func.func @sub
func.func @sub(%x: !nn.tensor<tokens x hidden>, %y: !nn.tensor<hidden>) {
  // CHECK: %{{.*}} = nn.sub %{{.*}}, %{{.*}} : <tokens x hidden>, <hidden>
  %a = nn.sub %x, %y : <tokens x hidden>, <hidden>
  return
}

// CHECK-LABEL: func.func @mul
func.func @mul(%x: !nn.tensor<tokens x hidden>, %y: !nn.tensor<tokens x hidden>) {
  // CHECK: %{{.*}} = nn.mul %{{.*}}, %{{.*}} : <tokens x hidden>
  %a = nn.mul %x, %y : <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @swiglu
func.func @swiglu(%g: !nn.tensor<tokens x ffn>, %u: !nn.tensor<tokens x ffn>) {
  // CHECK: %{{.*}} = nn.swiglu %{{.*}}, %{{.*}} : <tokens x ffn>
  %h = nn.swiglu %g, %u : <tokens x ffn>
  return
}

// CHECK-LABEL: func.func @unary
func.func @unary(%x: !nn.tensor<tokens x hidden>) {
  // CHECK: %{{.*}} = nn.sigmoid %{{.*}} : <tokens x hidden>
  %a = nn.sigmoid %x : <tokens x hidden>
  // CHECK: %{{.*}} = nn.silu %{{.*}} : <tokens x hidden>
  %b = nn.silu %x : <tokens x hidden>
  // CHECK: %{{.*}} = nn.tanh %{{.*}} : <tokens x hidden>
  %c = nn.tanh %x : <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @scale
func.func @scale(%x: !nn.tensor<1>) {
  // CHECK: %{{.*}} = nn.scale %{{.*}} by(alpha) : <1>
  %a = nn.scale %x by(alpha) : <1>
  // CHECK: %{{.*}} = nn.scale %{{.*}} by(-0.5) : <1>
  %b = nn.scale %x by(-0.5) : <1>
  return
}

// CHECK-LABEL: func.func @gelu
func.func @gelu(%x: !nn.tensor<tokens x hidden>) {
  // CHECK: %{{.*}} = nn.gelu %{{.*}} : <tokens x hidden>
  %a = nn.gelu %x : <tokens x hidden>
  // CHECK: %{{.*}} = nn.gelu %{{.*}} approximate("tanh") : <tokens x hidden>
  %b = nn.gelu %x approximate("tanh") : <tokens x hidden>
  return
}

// CHECK-LABEL: func.func @concat
func.func @concat(%a: !nn.tensor<tokens x heads*nope>, %b: !nn.tensor<tokens x heads*rope>) {
  // CHECK: %{{.*}} = nn.concat %{{.*}}, %{{.*}} heads(heads) : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*nope + heads*rope>
  %q = nn.concat %a, %b heads(heads) : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*nope + heads*rope>
  // CHECK: %{{.*}} = nn.concat %{{.*}}, %{{.*}} : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*nope + heads*rope>
  %r = nn.concat %a, %b : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*nope + heads*rope>
  return
}

// CHECK-LABEL: func.func @slice
func.func @slice(%q: !nn.tensor<tokens x heads*nope + heads*rope>) {
  // CHECK: %{{.*}} = nn.slice %{{.*}} heads(heads) offset(nope) size(rope) : <tokens x heads*nope + heads*rope> -> <tokens x heads*rope>
  %a = nn.slice %q heads(heads) offset(nope) size(rope) : <tokens x heads*nope + heads*rope> -> <tokens x heads*rope>
  // CHECK: %{{.*}} = nn.slice %{{.*}} offset(0) size(nope) : <tokens x heads*nope + heads*rope> -> <tokens x nope>
  %b = nn.slice %q offset(0) size(nope) : <tokens x heads*nope + heads*rope> -> <tokens x nope>
  return
}

// CHECK-LABEL: func.func @broadcast
func.func @broadcast(%x: !nn.tensor<tokens x rope>) {
  // CHECK: %{{.*}} = nn.broadcast %{{.*}} heads(heads) : <tokens x rope> -> <tokens x heads*rope>
  %k = nn.broadcast %x heads(heads) : <tokens x rope> -> <tokens x heads*rope>
  return
}

// CHECK-LABEL: func.func @reshape
func.func @reshape(%x: !nn.tensor<tokens x heads*d>) {
  // CHECK: %{{.*}} = nn.reshape %{{.*}} : <tokens x d*heads> -> <heads*tokens x d>
  %y = nn.reshape %x : <tokens x d*heads> -> <heads*tokens x d>
  return
}

// CHECK-LABEL: func.func @dropout
func.func @dropout(%x: !nn.tensor<tokens x hidden>, %key: !nn.tensor<4 : i32>) {
  // CHECK: %{{.*}} = nn.dropout %{{.*}} p(probability) : <tokens x hidden>
  %a = nn.dropout %x p(probability) : <tokens x hidden>
  // CHECK: %{{.*}} = nn.dropout %{{.*}} p(0.1) random(%{{.*}} : <4 : i32>) stream(3) : <tokens x hidden>
  %b = nn.dropout %x p(0.1) random(%key : <4 : i32>) stream(3) : <tokens x hidden>
  // CHECK: %{{.*}} = nn.dropout %{{.*}} p(0.1) random(%{{.*}} : <4 : i32>) : <tokens x hidden>
  %c = nn.dropout %x p(0.1) random(%key : <4 : i32>) stream(0) : <tokens x hidden>
  return
}
