// RUN: contraflow-opt %s -autodiff-build-functions -split-input-file -verify-diagnostics | FileCheck %s
// RUN: contraflow-opt %s -autodiff-build-functions -autodiff-verify-functions -split-input-file -verify-diagnostics -o /dev/null

// Two kinds of gradients: a norm's comes with the input gradients, those of products may come later and need values saved
// by both forward and backward_input.
module {
  nn.block @ffn(%x: <8 x 4>) -> (<8 x 4>) {
    %g = nn.param "norm.weight" init(ones) : <4>
    %n = nn.rms_norm %x, %g eps(1.0e-6) : <8 x 4>, <4>
    %w = nn.param "up.weight" : <6 x 4>
    %h = nn.linear %n, %w : (<8 x 4>, <6 x 4>) -> <8 x 6>
    %a = nn.silu %h : <8 x 6>
    %v = nn.param "down.weight" : <4 x 6>
    %y = nn.linear %a, %v : (<8 x 6>, <4 x 6>) -> <8 x 4>
    %z = nn.add %x, %y : <8 x 4>
    nn.yield %z : <8 x 4>
  }
  nn.block @embed(%ids: <8 : i32>, %table: <5 x 4> param) -> (<8 x 4>) {
    %x = nn.embedding %ids, %table : (<8 : i32>, <5 x 4>) -> <8 x 4>
    nn.yield %x : <8 x 4>
  }
  nn.block @head(%x: <8 x 4>, %targets: <8 : i32>, %table: <5 x 4> param) -> (<8 x 5>) {
    %logits = nn.linear %x, %table : (<8 x 4>, <5 x 4>) -> <8 x 5>
    %loss, %lse = nn.cross_entropy %logits, %targets : <8 x 5>, <8 : i32>
    nn.loss "main" weight(1) %loss : <1>
    %hits = nn.accuracy %logits, %targets : <8 x 5>, <8 : i32>
    nn.metric ratio "accuracy" %hits : <2>
    nn.yield %logits : <8 x 5>
  }
  nn.graph @train(%tokens: <8 : i32>, %starts: <8 : i32>) {
    %table = nn.param "table" : <5 x 4>
    %next = nn.shift %tokens by(1) seq(4) : <8 : i32>
    %within = nn.shift %tokens starts(%starts : <8 : i32>) by(1) seq(4) : <8 : i32>
    %e = nn.call @embed(%tokens, %table) : (<8 : i32>, <5 x 4>) -> (<8 x 4>)
    %h = nn.call @ffn(%e) prefix("layers.0") : (<8 x 4>) -> (<8 x 4>)
    %i = nn.call @ffn(%h) prefix("layers.1") : (<8 x 4>) -> (<8 x 4>)
    %logits = nn.call @head(%i, %next, %table) : (<8 x 4>, <8 : i32>, <5 x 4>) -> (<8 x 5>)
    nn.output "logits" %logits : <8 x 5>
  }
}

// CHECK: nn.block @ffn
// CHECK: nn.graph @train
// CHECK-LABEL: func.func @embed.forward(
// CHECK-LABEL: func.func @embed.backward_input(
// CHECK-SAME:    <input, "ids">
// CHECK-SAME:    <output_grad, "0">
// CHECK-SAME:    <grad_arg, "table">
// CHECK-SAME:    -> ({{.*}}<grad_arg, "table", tied = 2>})
// CHECK:         %[[G:.+]] = nn.embedding_weight_grad %arg1, %arg0
// CHECK:         %[[S:.+]] = nn.accumulate %arg2, %[[G]]
// CHECK:         return %[[S]]

// CHECK-LABEL: func.func @ffn.forward(
// CHECK-SAME:    <input, "x">
// CHECK-SAME:    <param, "norm.weight">
// CHECK-SAME:    <param, "up.weight">
// CHECK-SAME:    <param, "down.weight">
// CHECK-SAME:    ->
// CHECK-SAME:    <output, "0">
// CHECK-SAME:    <saved, "norm.rms_norm">
// CHECK-SAME:    <saved, "up.linear">
// CHECK-SAME:    <saved, "silu">
// CHECK-LABEL: func.func @ffn.evaluate(
// CHECK-NOT:     saved
// CHECK-LABEL: func.func @ffn.backward_input(
// CHECK-SAME:    <input, "x">
// CHECK-SAME:    <param, "norm.weight">
// CHECK-SAME:    <param, "up.weight">
// CHECK-SAME:    <param, "down.weight">
// CHECK-SAME:    <saved, "up.linear">
// CHECK-SAME:    <output_grad, "0">
// CHECK-SAME:    %arg6: !nn.tensor<4> {nn.role = #nn.role<grad, "norm.weight">}) ->
// CHECK-SAME:    <input_grad, "x">
// CHECK-SAME:    <saved_input, "silu_input_grad">
// CHECK-SAME:    <grad, "norm.weight", tied = 6>
// CHECK-NOT:     nn.linear_weight_grad
// CHECK:         %[[D:.+]] = nn.rms_norm_weight_grad
// CHECK:         nn.accumulate %arg6, %[[D]] : <4>
// CHECK-LABEL: func.func @ffn.backward_weight(
// CHECK-SAME:    <saved, "norm.rms_norm">
// CHECK-SAME:    <saved, "silu">
// CHECK-SAME:    <saved_input, "silu_input_grad">
// CHECK-SAME:    <output_grad, "0">
// CHECK-SAME:    <grad, "up.weight">
// CHECK-SAME:    <grad, "down.weight">
// CHECK-SAME:    -> ({{.*}}<grad, "up.weight", tied = 4>}, {{.*}}<grad, "down.weight", tied = 5>})

// The graph reads the logits after the step and sends no gradient: there is no argument for one. The seed is the weight.
// CHECK-LABEL: func.func @head.forward(
// CHECK-SAME:    %arg3: !nn.tensor<1> {nn.role = #nn.role<loss, "main">}
// CHECK-SAME:    %arg4: !nn.tensor<2> {nn.role = #nn.role<metric, "accuracy">}) ->
// CHECK-SAME:    <saved, "cross_entropy.1">
// CHECK-SAME:    <loss, "main", tied = 3>
// CHECK-SAME:    <metric, "accuracy", tied = 4>
// CHECK:         %[[L:.+]], %{{.+}} = nn.cross_entropy
// CHECK:         nn.accumulate %arg3, %[[L]]
// CHECK:         %[[H:.+]] = nn.accuracy
// CHECK:         nn.accumulate %arg4, %[[H]]
// A validation reports the metric as well, and no gradient comes from it.
// CHECK-LABEL: func.func @head.evaluate(
// CHECK-SAME:    <loss, "main", tied = 3>
// CHECK-SAME:    <metric, "accuracy", tied = 4>
// CHECK-LABEL: func.func @head.backward_input(
// CHECK-NOT:     output_grad
// CHECK-NOT:     nn.accuracy
// CHECK:         nn.fill with(1.0)
// CHECK-LABEL: func.func @head.backward_weight(
// CHECK-SAME:    <grad_arg, "table", tied = 2>

// CHECK-LABEL: func.func @graph.shift.8.by.1.seq.4(
// CHECK:         nn.shift %arg0 by(1) seq(4)
// CHECK-LABEL: func.func @graph.shift.8.by.1.seq.4.starts(
// CHECK-SAME:    <input, "ids">
// CHECK-SAME:    <input, "starts">
// CHECK:         nn.shift %arg0 starts(%arg1 : <8 : i32>) by(1) seq(4)

// -----

// Four micro-batches: a loss of weight 0.5 has the gradient 0.125. A value with two readers gets its gradients added.
module attributes {nn.micro_batches = 4 : i64} {
  nn.block @layer(%x: <3 x 2>) -> (<3 x 2>) {
    %y = nn.tanh %x : <3 x 2>
    nn.yield %y : <3 x 2>
  }
  nn.block @loss(%x: <3 x 2>, %targets: <3 : i32>) -> () {
    %loss, %lse = nn.cross_entropy %x, %targets : <3 x 2>, <3 : i32>
    nn.loss "main" weight(0.5) %loss : <1>
    nn.yield
  }
  nn.block @first(%ids: <3 : i32>) -> (<3 x 2>) {
    %w = nn.param "table" : <5 x 2>
    %y = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
    nn.yield %y : <3 x 2>
  }
  nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
    %x = nn.call @first(%tokens) : (<3 : i32>) -> (<3 x 2>)
    %a = nn.call @layer(%x) : (<3 x 2>) -> (<3 x 2>)
    nn.call @loss(%x, %tokens) : (<3 x 2>, <3 : i32>) -> ()
    nn.call @loss(%a, %tokens) : (<3 x 2>, <3 : i32>) -> ()
  }
}

// CHECK-LABEL: func.func @loss.backward_input(
// CHECK:         nn.fill with(0.125)
// CHECK-LABEL: func.func @graph.add.3x2(
// CHECK-SAME:    <input, "accumulator">
// CHECK-SAME:    <input, "value">
// CHECK-SAME:    <output, "0", tied = 0>
// CHECK:         nn.accumulate %arg0, %arg1

// -----

// Loads are summed like losses, and only by forward. The bias is a buffer: it has no gradient.
module {
  nn.block @router(%x: <4 x 3>) -> () {
    %bias = nn.param "bias" init(zeros) buffer : <3>
    %w = nn.param "gate" : <3 x 3>
    %z = nn.linear %x, %w : (<4 x 3>, <3 x 3>) -> <4 x 3>
    %g, %s, %r, %load = nn.route %z bias(%bias : <3>) top_k(1) score("sigmoid") normalize(false) scale(1.0) : <4 x 3>
    nn.update %bias, %load rate(0.001) : <3>
    %l = nn.balance_loss %s top_k(1) seq(4) : <4 x 3>
    nn.loss "balance" weight(0.01) %l : <1>
    nn.yield
  }
  nn.block @first(%ids: <4 : i32>) -> (<4 x 3>) {
    %w = nn.param "table" : <5 x 3>
    %y = nn.embedding %ids, %w : (<4 : i32>, <5 x 3>) -> <4 x 3>
    nn.yield %y : <4 x 3>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %x = nn.call @first(%tokens) : (<4 : i32>) -> (<4 x 3>)
    nn.call @router(%x) : (<4 x 3>) -> ()
  }
}

// CHECK-LABEL: func.func @router.forward(
// CHECK-SAME:    <load, "bias">
// CHECK-SAME:    -> ({{.*}}<loss, "balance", tied = 3>}, {{.*}}<load, "bias", tied = 4>})
// CHECK:         %{{.+}}, %{{.+}}, %{{.+}}, %[[LOAD:.+]] = nn.route
// CHECK:         nn.accumulate %arg4, %[[LOAD]] : <3>
// CHECK-LABEL: func.func @router.evaluate(
// CHECK-NOT:     <load
// CHECK-LABEL: func.func @router.backward_input(
// CHECK-NOT:     <grad, "bias">
// CHECK:         %[[DS:.+]] = nn.balance_loss_input_grad
// CHECK:         nn.route_input_grad %{{.+}}, %{{.+}} scores(%[[DS]] : <4 x 3>)
// CHECK-LABEL: func.func @router.backward_weight(

// -----

// Kinds that only generation calls: forward, nothing saved, no losses.
module {
  nn.block @head1(%x: <1 x 2>, %targets: <1 : i32>) -> (<1 x 2>) {
    %y = nn.tanh %x : <1 x 2>
    %loss, %lse = nn.cross_entropy %y, %targets : <1 x 2>, <1 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield %y : <1 x 2>
  }
  nn.block @first1(%ids: <1 : i32>, %table: <5 x 2> param) -> (<1 x 2>) {
    %y = nn.embedding %ids, %table : (<1 : i32>, <5 x 2>) -> <1 x 2>
    nn.yield %y : <1 x 2>
  }
  nn.graph @train(%tokens: <1 : i32>, %starts: <1 : i32>) {
  }
  nn.graph @generate(%tokens: <1 : i32>, %starts: <1 : i32>) {
    %table = nn.param "table" : <5 x 2>
    %x = nn.call @first1(%tokens, %table) : (<1 : i32>, <5 x 2>) -> (<1 x 2>)
    %y = nn.call @head1(%x, %tokens) : (<1 x 2>, <1 : i32>) -> (<1 x 2>)
    nn.output "logits" %y : <1 x 2>
  }
}

// CHECK-LABEL: nn.graph @generate
// CHECK-NOT:   .forward
// CHECK-NOT:   .backward
// CHECK:       func.func @head1.evaluate(
// CHECK-SAME:    <input, "x">
// CHECK-SAME:    <input, "targets">
// CHECK-SAME:    -> ({{.*}}<output, "0">})
// CHECK-NOT:     nn.cross_entropy
// CHECK:         return

// -----

// Results have memory of their own: what is an argument or returned before is copied.
// A parameter that no loss depends on is told of, and listed.
module {
  nn.block @pass(%x: <3 x 2>, %z: <3 x 2>) -> (<3 x 2>, <3 x 2>, <3 x 2>) {
    // expected-remark@below {{no loss depends on parameter 'unused': its gradient is zero}}
    %u = nn.param "unused" : <2>
    %y = nn.add %x, %z : <3 x 2>
    nn.yield %y, %x, %y : <3 x 2>, <3 x 2>, <3 x 2>
  }
  nn.block @first(%ids: <3 : i32>) -> (<3 x 2>) {
    %w = nn.param "table" : <5 x 2>
    %y = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
    nn.yield %y : <3 x 2>
  }
  nn.block @loss(%x: <3 x 2>, %targets: <3 : i32>) -> () {
    %loss, %lse = nn.cross_entropy %x, %targets : <3 x 2>, <3 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield
  }
  nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
    %x = nn.call @first(%tokens) prefix("a") : (<3 : i32>) -> (<3 x 2>)
    %z = nn.call @first(%tokens) prefix("b") : (<3 : i32>) -> (<3 x 2>)
    %p, %q, %r = nn.call @pass(%x, %z) : (<3 x 2>, <3 x 2>) -> (<3 x 2>, <3 x 2>, <3 x 2>)
    nn.call @loss(%p, %tokens) : (<3 x 2>, <3 : i32>) -> ()
  }
}

// CHECK-LABEL: func.func @pass.forward(
// CHECK-SAME:    attributes {nn.without_gradient = ["unused"]}
// CHECK:         %[[Y:.+]] = nn.add %arg0, %arg1
// CHECK:         %[[X:.+]] = nn.copy %arg0
// CHECK:         %[[Z:.+]] = nn.copy %[[Y]]
// CHECK:         return %[[Y]], %[[X]], %[[Z]]
// CHECK-LABEL: func.func @pass.backward_input(
// CHECK-SAME:    %arg0: !nn.tensor<3 x 2> {nn.role = #nn.role<output_grad, "0">}) ->
// CHECK:         %[[DX:.+]] = nn.copy %arg0
// CHECK:         %[[DZ:.+]] = nn.copy %arg0
// CHECK:         return %[[DX]], %[[DZ]]

// -----

// A parameter with a use that can't be deferred is accumulated in backward_input, all of it, use after use.
module {
  nn.block @tied(%ids: <3 : i32>) -> () {
    %w = nn.param "table" : <5 x 2>
    %x = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
    %y = nn.linear %x, %w : (<3 x 2>, <5 x 2>) -> <3 x 5>
    %loss, %lse = nn.cross_entropy %y, %ids : <3 x 5>, <3 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield
  }
  nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
    nn.call @tied(%tokens) : (<3 : i32>) -> ()
  }
}

// CHECK-LABEL: func.func @tied.backward_input(
// CHECK-SAME:    %[[ACC:[a-z0-9]+]]: !nn.tensor<5 x 2> {nn.role = #nn.role<grad, "table">}) ->
// CHECK:         %[[DW:.+]] = nn.linear_weight_grad
// CHECK:         %[[S:.+]] = nn.accumulate %[[ACC]], %[[DW]]
// CHECK:         %[[DE:.+]] = nn.embedding_weight_grad
// CHECK:         %[[T:.+]] = nn.accumulate %[[S]], %[[DE]]
// CHECK:         return %[[T]]
// CHECK-NOT:   @tied.backward_weight

// -----

// A z-loss: the gradient of lse comes to the operation that has the loss's.
nn.block @z(%ids: <3 : i32>) -> () {
  %w = nn.param "w" : <5 x 2>
  %x = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
  %loss, %lse = nn.cross_entropy %x, %ids : <3 x 2>, <3 : i32>
  nn.loss "main" weight(1.0) %loss : <1>
  %square = nn.mul %lse, %lse : <3>
  %z = nn.mean %square valid(%ids : <3 : i32>) : <3>
  nn.loss "z" weight(0.5) %z : <1>
  nn.yield
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  nn.call @z(%tokens) : (<3 : i32>) -> ()
}
// CHECK-LABEL: func.func @z.backward_input(
// CHECK-DAG:     %[[LOSS:.+]] = nn.fill with(1.0)
// CHECK-DAG:     %[[Z:.+]] = nn.fill with(0.5)
// CHECK:         nn.mean_input_grad %[[Z]] valid(%{{.+}} : <3 : i32>) : <3>
// CHECK:         nn.cross_entropy_input_grad %[[LOSS]], %{{.+}}, %{{.+}}, %{{.+}} lse_grad(%{{.+}} : <3>)

// -----

// Where lse alone has a gradient, that of the output is zero.
nn.block @lse(%ids: <4 : i32>) -> () {
  %w = nn.param "w" : <5 x 2>
  %x = nn.embedding %ids, %w : (<4 : i32>, <5 x 2>) -> <4 x 2>
  %o, %lse = nn.attention %x, %x, %x causal heads(1) kv_heads(1) seq(4) scale(1.0)
           : (<4 x 2>, <4 x 2>, <4 x 2>) -> (<4 x 2>, <4 x 1>)
  %l, %m = nn.cross_entropy %lse, %ids : <4 x 1>, <4 : i32>
  nn.loss "z" weight(1) %l : <1>
  nn.yield
}
nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  nn.call @lse(%tokens) : (<4 : i32>) -> ()
}
// CHECK-LABEL: func.func @lse.backward_input(
// CHECK:         %[[D:.+]] = nn.cross_entropy_input_grad
// CHECK:         %[[ZERO:.+]] = nn.zero : <4 x 2>
// CHECK:         nn.attention_input_grad %[[ZERO]], %{{.*}} lse_grad(%[[D]] : <4 x 1>) causal

// -----

// In training every operation that drops has the key of the instance and a stream of its own, and its gradient the same
// numbers; evaluation is without them. What drops nothing has no key.
nn.block @drops(%ids: <4 : i32>) -> () {
  %w = nn.param "w" : <5 x 2>
  %x = nn.embedding %ids, %w : (<4 : i32>, <5 x 2>) -> <4 x 2>
  %none = nn.dropout %x p(0.0) : <4 x 2>
  %y = nn.dropout %none p(0.25) : <4 x 2>
  %o, %lse = nn.attention %y, %y, %y causal heads(1) kv_heads(1) seq(4) scale(1.0) dropout(0.5)
           : (<4 x 2>, <4 x 2>, <4 x 2>) -> (<4 x 2>, <4 x 1>)
  %l, %m = nn.cross_entropy %o, %ids : <4 x 2>, <4 : i32>
  nn.loss "main" weight(1) %l : <1>
  nn.yield
}
nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  nn.call @drops(%tokens) : (<4 : i32>) -> ()
}
// CHECK-LABEL: func.func @drops.forward(
// CHECK-SAME:    %[[KEY:[a-z0-9]+]]: !nn.tensor<4 : i32> {nn.role = #nn.role<random, "random">}
// CHECK:         %[[X:.+]] = nn.embedding
// CHECK-NEXT:    %[[Y:.+]] = nn.dropout %[[X]] p(0.25) random(%[[KEY]] : <4 : i32>) : <4 x 2>
// CHECK-NEXT:    nn.attention %[[Y]], %[[Y]], %[[Y]] causal heads(1) kv_heads(1) seq(4) scale(1.0) dropout(0.5) random(%[[KEY]] : <4 : i32>) stream(1)
// CHECK-LABEL: func.func @drops.evaluate(
// CHECK-NOT:     random
// CHECK:         %[[X:.+]] = nn.embedding
// CHECK-NEXT:    nn.attention %[[X]], %[[X]], %[[X]] causal heads(1) kv_heads(1) seq(4) scale(1.0) :
// CHECK-LABEL: func.func @drops.backward_input(
// CHECK-SAME:    %[[KEY:[a-z0-9]+]]: !nn.tensor<4 : i32> {nn.role = #nn.role<random, "random">}
// CHECK:         nn.attention_input_grad {{.*}} dropout(0.5) random(%[[KEY]] : <4 : i32>) stream(1)
// CHECK:         nn.dropout %{{.+}} p(0.25) random(%[[KEY]] : <4 : i32>) : <4 x 2>
