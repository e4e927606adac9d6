// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s
// RUN: contraflow-opt %models/deepseek-v3/model.mlir -verify-roundtrip -o /dev/null
// RUN: contraflow-opt %models/llama/model.mlir -verify-roundtrip -o /dev/null
// Models: configuration, blocks, graphs.

// CHECK-LABEL: nn.model @example for ["example", "example_v2"]
nn.model @example for ["example", "example_v2"] {
  // CHECK: nn.config hidden = "hidden_size" : dim{{$}}
  nn.config hidden = "hidden_size" : dim
  // CHECK: nn.config vocab = "vocab_size" : dim{{$}}
  nn.config vocab = "vocab_size" : dim
  // CHECK: nn.config layers = "num_layers" : int default 2{{$}}
  nn.config layers = "num_layers" : int default 2
  // CHECK: nn.config rank = "rank" : dim optional{{$}}
  nn.config rank = "rank" : dim optional
  // CHECK: nn.config width = "width" : dim optional default 4*hidden{{$}}
  nn.config width = "width" : dim optional default hidden*4
  // CHECK: nn.config theta = ["theta", "rope.theta"] : float default 10000.0
  nn.config theta = ["theta", "rope.theta"] : float default 1.0e4
  // CHECK: nn.config act = "act" : one_of["silu", "gelu"] default "silu"
  nn.config act = "act" : one_of["silu", "gelu"] default "silu"
  // CHECK: nn.config every = "every" : one_of[1] default 1
  nn.config every = "every" : one_of[1] default 1
  // CHECK: nn.config tied = "tied" : bool default model_type == "example"
  nn.config tied = "tied" : bool default model_type == "example"
  // CHECK: nn.config alpha = run "loss.alpha" : float default 0.3
  nn.config alpha = run "loss.alpha" : float default 0.3
  // CHECK: nn.config depth = "depth" : int min(-1) max(2*hidden) optional default 1 unless tied{{$}}
  nn.config depth = "depth" : int min(-1) max(hidden*2) optional default 1 unless tied
  // CHECK: nn.config tokenizer = "tokenizer" : text optional
  nn.config tokenizer = "tokenizer" : text optional
  // CHECK: nn.let scale = if(has(rank), 1 / sqrt(hidden), 1)
  nn.let scale = if(has(rank), 1/sqrt(hidden), 1)

  // A block with dimensions and a block parameter; %x and %w name themselves.
  // CHECK-LABEL: nn.block @residual<in, out>(@f)(%x: <tokens x in>, %w: <out x in> param) -> (<tokens x in>)
  nn.block @residual<in, out>(@f)(%x: <tokens x in>, %w: <out x in> param) -> (<tokens x in>) {
    // CHECK: %[[Y:.+]] = nn.call @f(%x) prefix("f") : (<tokens x in>) -> (<tokens x in>)
    %y = nn.call @f(%x) prefix("f") : (<tokens x in>) -> (<tokens x in>)
    // CHECK: nn.yield %[[Y]] : <tokens x in>
    nn.yield %y : <tokens x in>
  }

  // CHECK-LABEL: nn.block @nothing() -> ()
  nn.block @nothing() -> () {
    // CHECK: nn.yield{{$}}
    nn.yield
  }

  // CHECK-LABEL: nn.block @project<in>(%x: <tokens x in>) -> (<tokens x in>)
  nn.block @project<in>(%x: <tokens x in>) -> (<tokens x in>) {
    // CHECK: %[[W:.+]] = nn.param "weight" : <in x in>
    %w = nn.param "weight" : <in x in>
    // CHECK: nn.param "norm.weight" init(ones) : <in>
    %n = nn.param "norm.weight" init(ones) : <in>
    // CHECK: nn.param "bias" init(zeros) buffer : <in>
    %b = nn.param "bias" init(zeros) buffer : <in>
    // CHECK: nn.param "experts.{e}.weight" over e : <4 x in>
    %e = nn.param "experts.{e}.weight" over e : <4 x in>
    %y = nn.linear %x, %w : (<tokens x in>, <in x in>) -> <tokens x in>
    // CHECK: nn.update %{{.+}}, %{{.+}} rate(0.001) : <in>
    nn.update %b, %n rate(0.001) : <in>
    nn.yield %y : <tokens x in>
  }

  // CHECK-LABEL: nn.block @choose(%x: <tokens x hidden>) -> (<tokens x hidden>)
  nn.block @choose(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    // CHECK: %[[CHOICE:.+]] = nn.if has(rank) and (layers > 1) -> <tokens x hidden> {
    %y = nn.if has(rank) and (layers > 1) -> <tokens x hidden> {
      // A block given a dimension, given to a block.
      // CHECK: nn.call @nested(@project<hidden>)(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
      %z = nn.call @nested(@project<hidden>)(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %z : <tokens x hidden>
    // CHECK: } else {
    } else {
      nn.yield %x : <tokens x hidden>
    }
    // CHECK: nn.if tied {
    // CHECK-NEXT: nn.call @nothing() : () -> ()
    // CHECK-NEXT: }
    nn.if tied {
      nn.call @nothing() : () -> ()
    }
    nn.yield %y : <tokens x hidden>
  }

  nn.block @nested(@f)(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  }

  nn.block @head(%x: <tokens x hidden>, %ids: <tokens : i32>, %w: <vocab x hidden> param) -> (<tokens x vocab>) {
    %logits = nn.linear %x, %w : (<tokens x hidden>, <vocab x hidden>) -> <tokens x vocab>
    %loss, %lse = nn.cross_entropy %logits, %ids : <tokens x vocab>, <tokens : i32>
    // CHECK: nn.loss "main" weight(alpha / layers) %{{.+}} : <1>
    nn.loss "main" weight(alpha/layers) %loss : <1>
    // CHECK: nn.metric mean "loss_{layers}" %{{.+}} : <1>
    nn.metric mean "loss_{layers}" %loss : <1>
    // CHECK: nn.metric load "loss" %{{.+}} : <tokens>
    nn.metric load "loss" %lse : <tokens>
    nn.yield %logits : <tokens x vocab>
  }

  nn.block @embed(%ids: <tokens : i32>, %w: <vocab x hidden> param) -> (<tokens x hidden>) {
    %x = nn.embedding %ids, %w : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    nn.yield %x : <tokens x hidden>
  }

  // CHECK-LABEL: nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>)
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    // CHECK: %[[TABLE:.+]] = nn.param "embed.weight" : <vocab x hidden>
    %table = nn.param "embed.weight" : <vocab x hidden>
    %h0 = nn.call @embed(%tokens, %table) : (<tokens : i32>, <vocab x hidden>) -> (<tokens x hidden>)
    // CHECK: nn.repeat i = 0 to layers carry(%x = %{{.+}} : <tokens x hidden>) {
    %h = nn.repeat i = 0 to layers carry(%x = %h0 : <tokens x hidden>) {
      // CHECK: nn.call @choose(%x) prefix("layers.{i}.{layers + i - 1}")
      %y = nn.call @choose(%x) prefix("layers.{i}.{layers + i - 1}") : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    // CHECK: nn.repeat k = 1 to layers + 1 {
    nn.repeat k = 1 to layers + 1 {
      // CHECK: %[[NEXT:.+]] = nn.shift %tokens by(k + 1) seq(seq) : <tokens : i32>
      %next = nn.shift %tokens by(k + 1) seq(seq) : <tokens : i32>
      %logits = nn.call @head(%h, %next, %table) : (<tokens x hidden>, <tokens : i32>, <vocab x hidden>) -> (<tokens x vocab>)
      // CHECK: nn.output "logits_{k}" %{{.+}} : <tokens x vocab>
      nn.output "logits_{k}" %logits : <tokens x vocab>
    }
  }
}

// Bound, as the frontend leaves it: kinds and graphs with names of their own.

// CHECK-LABEL: nn.block @scale(%x: <8 x 4>, %arg0: <8 : i32>) -> (<8 x 4>)
nn.block @scale(%x: <8 x 4>, %0: <8 : i32>) -> (<8 x 4>) {
  nn.yield %x : <8 x 4>
}

// CHECK-LABEL: nn.graph @train(%tokens: <8 : i32>, %starts: <8 : i32>)
nn.graph @train(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // CHECK: nn.shift %tokens by(1) seq(4) : <8 : i32>
  %next = nn.shift %tokens by(1) seq(4) : <8 : i32>
  // CHECK: nn.shift %tokens starts(%starts : <8 : i32>) by(1) seq(4) : <8 : i32>
  %within = nn.shift %tokens starts(%starts : <8 : i32>) by(1) seq(4) : <8 : i32>
}
