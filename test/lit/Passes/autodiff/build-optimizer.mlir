// RUN: contraflow-opt %s -autodiff-build-optimizer -split-input-file | FileCheck %s

// Eight parameters of 64 bytes each, padding included: table, first.table, and three of each router.
module attributes {nn.optimizer = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-6 : f64, weight_decay = 0.05 : f64, clip_norm = 2.0 : f64, ema_decay = 0.75 : f64}} {
  nn.block @router(%x: <4 x 3>, %table: <5 x 2> param) -> () {
    %g = nn.param "norm.weight" init(ones) : <3>
    %n = nn.rms_norm %x, %g eps(1.0e-6) : <4 x 3>, <3>
    %w = nn.param "gate.weight" : <3 x 3>
    %bias = nn.param "gate.bias" init(zeros) buffer : <3>
    %z = nn.linear %n, %w : (<4 x 3>, <3 x 3>) -> <4 x 3>
    %a, %s, %r, %load = nn.route %z bias(%bias : <3>) top_k(1) score("sigmoid") normalize(false) scale(1.0) : <4 x 3>
    nn.update %bias, %load rate(0.001) : <3>
    %l = nn.balance_loss %s top_k(1) seq(4) : <4 x 3>
    nn.loss "balance" weight(0.01) %l : <1>
    nn.loss "again" weight(0.01) %l : <1>
    nn.metric load "load" %load : <3>
    nn.metric mean "balance" %l : <1>
    nn.yield
  }
  nn.block @nothing(%x: <4 x 3>) -> () {
    nn.yield
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %table = nn.param "table" : <5 x 2>
    %x = nn.call @first(%tokens) prefix("first") : (<4 : i32>) -> (<4 x 3>)
    nn.call @router(%x, %table) prefix("layers.0") : (<4 x 3>, <5 x 2>) -> ()
    nn.call @router(%x, %table) prefix("layers.1") : (<4 x 3>, <5 x 2>) -> ()
    nn.call @nothing(%x) : (<4 x 3>) -> ()
  }
  nn.block @first(%ids: <4 : i32>) -> (<4 x 3>) {
    %w = nn.param "table" : <5 x 3>
    %y = nn.embedding %ids, %w : (<4 : i32>, <5 x 3>) -> <4 x 3>
    nn.yield %y : <4 x 3>
  }
}

// Flat regions: one slot per loss name, loads padded to 16 floats per instance, metrics one after the other.
// CHECK-LABEL: func.func @step.begin(
// CHECK-SAME:    !nn.tensor<128> {nn.role = #nn.role<grad, "gradients">}
// CHECK-SAME:    !nn.tensor<2> {nn.role = #nn.role<loss, "losses">}
// CHECK-SAME:    !nn.tensor<32> {nn.role = #nn.role<load, "loads">}
// CHECK-SAME:    !nn.tensor<8> {nn.role = #nn.role<metric, "metrics">}
// CHECK-SAME:    <grad, "gradients", tied = 0>
// CHECK-SAME:    <loss, "losses", tied = 1>
// CHECK-SAME:    <load, "loads", tied = 2>
// CHECK-SAME:    <metric, "metrics", tied = 3>
// CHECK:         nn.zero : <128>

// CHECK-LABEL: func.func @step.clip(
// CHECK-SAME:    !nn.tensor<128> {nn.role = #nn.role<grad, "gradients">}
// CHECK-SAME:    <scalars, "scalars">
// CHECK-SAME:    <scalars, "scalars", tied = 1>
// CHECK:         %[[S:.+]] = nn.sum_squares %arg0
// CHECK:         %[[T:.+]] = nn.clip_factor %[[S]], %arg1 max_norm(2.0)
// CHECK:         return %[[T]]

// Averages are of all parameters alike.
// CHECK-LABEL: func.func @step.ema(
// CHECK-SAME:    !nn.tensor<128> {nn.role = #nn.role<param, "parameters">}
// CHECK-SAME:    !nn.tensor<128> {nn.role = #nn.role<ema, "ema">}
// CHECK-SAME:    -> ({{.*}}<ema, "ema", tied = 1>})
// CHECK:         %[[E:.+]] = nn.ema %arg1, %arg0 decay(0.75) : <128>
// CHECK:         return %[[E]]

// CHECK-LABEL: func.func @graph.optimizer(
// CHECK-SAME:    <param, "table">
// CHECK-SAME:    <grad, "table">
// CHECK-SAME:    <first_moment, "table">
// CHECK-SAME:    <second_moment, "table">
// CHECK-SAME:    <scalars, "scalars">
// CHECK-SAME:    -> ({{.*}}<param, "table", tied = 0>}, {{.*}}<first_moment, "table", tied = 2>}, {{.*}}<second_moment, "table", tied = 3>})
// CHECK:         nn.adamw %arg0, %arg1, %arg2, %arg3, %arg4 beta1(0.8) beta2(0.99) eps(1.0e-06) weight_decay(0.05) : <5 x 2>

// CHECK-LABEL: func.func @first.optimizer(

// Vectors do not decay, buffers are not trained.
// CHECK-LABEL: func.func @router.optimizer(
// CHECK-NOT:     gate.bias
// CHECK:         nn.adamw {{.*}} weight_decay(0.0) : <3>
// CHECK:         nn.adamw {{.*}} weight_decay(0.05) : <3 x 3>

// CHECK-LABEL: func.func @router.update(
// CHECK-SAME:    <param, "gate.bias">
// CHECK-SAME:    <load, "gate.bias">
// CHECK-SAME:    -> ({{.*}}<param, "gate.bias", tied = 0>})
// CHECK:         %[[B:.+]] = nn.bias_update %arg0, %arg1 rate(0.001) : <3>
// CHECK:         return %[[B]]
// CHECK-NOT:   @nothing.

// -----

// Defaults.
nn.block @first(%ids: <4 : i32>) -> () {
  %w = nn.param "table" : <5 x 3>
  nn.yield
}
nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  nn.call @first(%tokens) : (<4 : i32>) -> ()
}

// CHECK-LABEL: func.func @step.begin(
// CHECK-NOT:     "losses"
// CHECK-NOT:     "loads"
// CHECK-LABEL: func.func @step.clip(
// CHECK:         max_norm(1.0)
// CHECK-NOT:     step.ema
// CHECK-LABEL: func.func @first.optimizer(
// CHECK:         beta1(0.9) beta2(0.95) eps(1.0e-08) weight_decay(0.1)
