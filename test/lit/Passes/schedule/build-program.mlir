// RUN: contraflow-opt %s --split-input-file --autodiff --schedule-build-program | FileCheck %s

// Two micro-batches of a model whose value %x has two readers; the layer that is called last gets no gradient for its
// second output, the first one does.
module attributes {nn.batch = 1 : i64, nn.seq = 4 : i64, nn.micro_batches = 2 : i64} {
  nn.block @embed(%ids: <4 : i32>, %table: <8 x 16> param) -> (<4 x 16>) {
    %x = nn.embedding %ids, %table : (<4 : i32>, <8 x 16>) -> <4 x 16>
    nn.yield %x : <4 x 16>
  }
  nn.block @layer(%x: <4 x 16>) -> (<4 x 16>, <4 x 16>) {
    %w = nn.param "weight" : <16 x 16>
    %y = nn.linear %x, %w : (<4 x 16>, <16 x 16>) -> <4 x 16>
    %z = nn.silu %y : <4 x 16>
    %mean = nn.mean %y : <4 x 16>
    nn.metric mean "mean" %mean : <1>
    nn.yield %y, %z : <4 x 16>, <4 x 16>
  }
  nn.block @predict(%a: <4 x 16>, %b: <4 x 16>, %targets: <4 : i32>, %table: <8 x 16> param) -> (<4 x 8>) {
    %h = nn.add %a, %b : <4 x 16>
    %logits = nn.linear %h, %table : (<4 x 16>, <8 x 16>) -> <4 x 8>
    %loss, %lse = nn.cross_entropy %logits, %targets : <4 x 8>, <4 : i32>
    nn.loss "main" weight(1) %loss : <1>
    %hits = nn.accuracy %logits, %targets : <4 x 8>, <4 : i32>
    nn.metric ratio "accuracy" %hits : <2>
    nn.yield %logits : <4 x 8>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %table = nn.param "table.weight" : <8 x 16>
    %x = nn.call @embed(%tokens, %table) : (<4 : i32>, <8 x 16>) -> (<4 x 16>)
    %a, %s = nn.call @layer(%x) prefix("layers.0") : (<4 x 16>) -> (<4 x 16>, <4 x 16>)
    %b, %t = nn.call @layer(%s) prefix("layers.1") : (<4 x 16>) -> (<4 x 16>, <4 x 16>)
    %next = nn.shift %tokens starts(%starts : <4 : i32>) by(1) seq(4) : <4 : i32>
    %logits = nn.call @predict(%x, %b, %next, %table) : (<4 x 16>, <4 x 16>, <4 : i32>, <8 x 16>) -> (<4 x 8>)
    nn.output "logits" %logits : <4 x 8>
  }
}

// The layout: the graph's own parameters first, then each instance, at multiples of 64 bytes.
// CHECK-NOT: nn.block
// CHECK-NOT: nn.graph
// CHECK: pipe.parameter "table.weight" of "graph" at 0 [8, 16] init "normal" decay
// CHECK: pipe.parameter "layers.0.weight" of "layer" at 512 [16, 16] init "normal" decay
// CHECK: pipe.parameter "layers.1.weight" of "layer" at 1536 [16, 16] init "normal" decay

// CHECK-LABEL: pipe.program @train micro_batches 2 flops
// Each micro-batch reads its part of the input.
// CHECK-DAG: %[[TOKENS:.+]] = pipe.buffer input "tokens" 32
// CHECK-DAG: %[[TOKENS0:.+]] = pipe.view %[[TOKENS]][0, 16]
// CHECK-DAG: %[[TOKENS1:.+]] = pipe.view %[[TOKENS]][16, 16]
// CHECK-DAG: %[[STARTS:.+]] = pipe.buffer input "starts" 32
// CHECK-DAG: %[[STARTS0:.+]] = pipe.view %[[STARTS]][0, 16]
// CHECK-DAG: %[[TABLE:.+]] = pipe.view %parameters[0, 512]
// CHECK-DAG: %[[TABLE_GRAD:.+]] = pipe.view %gradients[0, 512]
// Every instance has metrics of its own.
// CHECK-DAG: %[[MEAN0:.+]] = pipe.view %metrics[0, 4]
// CHECK-DAG: %[[MEAN1:.+]] = pipe.view %metrics[4, 4]
// CHECK-DAG: %[[HITS:.+]] = pipe.view %metrics[8, 8]
// CHECK: pipe.run @step.begin begin "step" at 0 (%losses, %metrics)
// CHECK: pipe.run @embed.forward F0> "embed" at 512 (%[[TOKENS0]], %[[TABLE]], %[[X:.+]])
// CHECK: pipe.run @layer.forward F0> "layers.0" at 512 (%[[X]], %[[MEAN0]], %[[A:.+]], %[[S:.+]])
// CHECK: pipe.run @layer.forward F0> "layers.1" at 1536 (%[[S]], %[[MEAN1]], %[[B:.+]], %{{.+}})
// CHECK: pipe.run @graph.shift.4.by.1.seq.4.starts F0> "graph" at 0 (%[[TOKENS0]], %[[STARTS0]], %[[NEXT:.+]])
// CHECK: pipe.run @predict.forward F0> "predict" at 2560 saved(%[[SAVED:.+]]) (%[[X]], %[[B]], %[[NEXT]], %[[TABLE]], %losses, %[[HITS]], %[[LOGITS:.+]])
// The last reader of %x writes its gradient.
// CHECK: pipe.run @predict.backward_input B0< "predict" at 2560 saved(%[[SAVED]]) saved_input(%[[LATE:.+]]) ({{.+}}, %[[DX:[^,]+]], %[[DB:[^,]+]])
// CHECK: pipe.run @predict.backward_weight W0< "predict" at 2560 saved(%[[SAVED]]) saved_input(%[[LATE]]) (%[[TABLE_GRAD]])
// The second output of layers.1 is read by nobody.
// CHECK: pipe.run @graph.zero.4x16 B0< "graph" at 0 (%[[DT:.+]])
// CHECK: pipe.run @layer.backward_input B0< "layers.1" at 1536 {{.+}}%[[DB]], %[[DT]], %[[DS:[^,]+]])
// CHECK: pipe.run @layer.backward_weight W0< "layers.1" at 1536
// CHECK: pipe.run @graph.zero.4x16 B0< "graph" at 0 (%[[DA:.+]])
// CHECK: pipe.run @layer.backward_input B0< "layers.0" at 512 {{.+}}%[[DA]], %[[DS]], %[[PART:[^,]+]])
// CHECK: pipe.run @graph.add.4x16 B0< "graph" at 0 (%[[DX]], %[[PART]])
// CHECK: pipe.run @embed.backward_input B0< "embed" at 512 (%[[TOKENS0]], %[[DX]], %[[TABLE_GRAD]])
// CHECK: pipe.run @embed.forward F1> "embed" at 512 (%[[TOKENS1]], %[[TABLE]]
// CHECK: pipe.run @embed.backward_input B1< "embed"
// CHECK-NEXT: pipe.run @step.clip clip "step" at 0 (%scalars)
// CHECK-NEXT: pipe.run @graph.optimizer optimizer
// CHECK-NEXT: pipe.run @layer.optimizer optimizer "layers.0" at 512 (%scalars)
// CHECK-NEXT: pipe.run @layer.optimizer optimizer "layers.1" at 1536 (%scalars)
// CHECK-NEXT: pipe.expose input "tokens" %[[TOKENS]] [8]
// CHECK-NEXT: pipe.expose input "starts" %[[STARTS]] [8]
// CHECK-NEXT: pipe.expose scalars "scalars" %scalars [16]
// CHECK-NEXT: pipe.expose loss "main" %losses [1] weight 1.000000e+00
// CHECK-NEXT: pipe.expose mean "layers.0.mean" %[[MEAN0]] [1]
// CHECK-NEXT: pipe.expose mean "layers.1.mean" %[[MEAN1]] [1]
// CHECK-NEXT: pipe.expose ratio "accuracy" %[[HITS]] [2]

// CHECK-LABEL: pipe.program @evaluate micro_batches 1
// CHECK: pipe.run @graph.zero.1 begin "step" at 0 (%losses)
// CHECK: pipe.run @graph.zero.4 begin "step" at 0 (%metrics)
// CHECK: pipe.run @embed.evaluate F0> "embed"
// CHECK: pipe.run @predict.evaluate F0> "predict" {{.+}}%[[OUT:[^,]+]])
// CHECK: pipe.expose ratio "accuracy"
// CHECK: pipe.expose output "logits" %[[OUT]] [4, 8]

// -----

// A buffer is updated from its load; @generate finds its parameters under the names that @train gives them.
module attributes {nn.batch = 2 : i64, nn.seq = 4 : i64, nn.micro_batches = 1 : i64} {
  nn.block @choose(%ids: <8 : i32>) -> (<8 x 4>) {
    %table = nn.param "table.weight" : <6 x 4>
    %bias = nn.param "bias" init(zeros) buffer : <4>
    %x = nn.embedding %ids, %table : (<8 : i32>, <6 x 4>) -> <8 x 4>
    %g, %s, %r, %load = nn.route %x bias(%bias : <4>) top_k(2) groups(1) group_limit(1) group_score("max")
        score("sigmoid") normalize(true) scale(1) : <8 x 4>
    nn.update %bias, %load rate(0.001) : <4>
    nn.metric load "load" %load : <4>
    %loss = nn.balance_loss %s top_k(2) seq(4) : <8 x 4>
    nn.loss "balance" weight(0.5) %loss : <1>
    nn.yield %s : <8 x 4>
  }
  nn.block @choose_generate(%ids: <4 : i32>) -> (<4 x 4>) {
    %table = nn.param "table.weight" : <6 x 4>
    %bias = nn.param "bias" init(zeros) buffer : <4>
    %x = nn.embedding %ids, %table : (<4 : i32>, <6 x 4>) -> <4 x 4>
    nn.yield %x : <4 x 4>
  }
  nn.graph @train(%tokens: <8 : i32>, %starts: <8 : i32>) {
    %unused = nn.param "first" : <16>
    %s = nn.call @choose(%tokens) prefix("m") : (<8 : i32>) -> (<8 x 4>)
    nn.output "logits" %s : <8 x 4>
  }
  nn.graph @generate(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %s = nn.call @choose_generate(%tokens) prefix("m") : (<4 : i32>) -> (<4 x 4>)
    nn.output "logits" %s : <4 x 4>
  }
}

// CHECK: pipe.parameter "m.table.weight" of "choose" at 64 [6, 4] init "normal" decay
// CHECK: pipe.parameter "m.bias" of "choose" at 192 [4] init "zeros" frozen
// CHECK-LABEL: pipe.program @train
// CHECK: pipe.run @step.begin begin "step" at 0 (%losses, %loads, %metrics)
// CHECK: pipe.run @choose.forward F0> "m" at 64 {{.*}}(%tokens, %losses, %[[LOAD:.+]], %metrics, %{{.+}})
// CHECK: pipe.run @choose.update update "m" at 64 (%[[LOAD]])
// CHECK: pipe.expose loss "balance" %losses [1] weight 5.000000e-01
// CHECK-NEXT: pipe.expose load "m.load" %metrics [4]
// CHECK-LABEL: pipe.program @generate
// CHECK: pipe.run @choose_generate.evaluate F0> "m" at 64 (%generate_tokens, %[[OUT:.+]])
// CHECK: pipe.expose input "generate_tokens" %generate_tokens [4]
// CHECK: pipe.expose output "logits" %[[OUT]] [4, 4]

// -----

// Averages come last; every call whose functions use random numbers has keys of its own, one per micro-batch.
module attributes {nn.batch = 1 : i64, nn.seq = 4 : i64, nn.micro_batches = 2 : i64, nn.optimizer = {ema_decay = 0.5 : f64}} {
  nn.block @embed(%ids: <4 : i32>, %table: <8 x 16> param) -> (<4 x 16>) {
    %x = nn.embedding %ids, %table : (<4 : i32>, <8 x 16>) -> <4 x 16>
    nn.yield %x : <4 x 16>
  }
  nn.block @layer(%x: <4 x 16>) -> (<4 x 16>) {
    %y = nn.dropout %x p(0.1) : <4 x 16>
    nn.yield %y : <4 x 16>
  }
  nn.block @predict(%x: <4 x 16>, %targets: <4 : i32>, %table: <8 x 16> param) -> (<4 x 8>) {
    %logits = nn.linear %x, %table : (<4 x 16>, <8 x 16>) -> <4 x 8>
    %loss, %lse = nn.cross_entropy %logits, %targets : <4 x 8>, <4 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield %logits : <4 x 8>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %table = nn.param "table.weight" : <8 x 16>
    %x = nn.call @embed(%tokens, %table) : (<4 : i32>, <8 x 16>) -> (<4 x 16>)
    %a = nn.call @layer(%x) prefix("layers.0") : (<4 x 16>) -> (<4 x 16>)
    %b = nn.call @layer(%a) : (<4 x 16>) -> (<4 x 16>)
    %c = nn.call @layer(%b) : (<4 x 16>) -> (<4 x 16>)
    %logits = nn.call @predict(%c, %tokens, %table) : (<4 x 16>, <4 : i32>, <8 x 16>) -> (<4 x 8>)
    nn.output "logits" %logits : <4 x 8>
  }
}

// CHECK-LABEL: pipe.program @train
// CHECK-DAG: %[[RANDOM:.+]] = pipe.buffer input "random" 96
// CHECK-DAG: %[[FIRST:.+]] = pipe.view %[[RANDOM]][0, 16]
// CHECK-DAG: %[[SECOND:.+]] = pipe.view %[[RANDOM]][16, 16]
// CHECK-DAG: %[[OTHER:.+]] = pipe.view %[[RANDOM]][48, 16]
// CHECK-DAG: %[[KEYS:.+]] = pipe.view %[[RANDOM]][0, 32]
// CHECK: pipe.run @layer.forward F0> "layers.0" at 512 ({{.+}}, %[[FIRST]], {{.+}})
// CHECK: pipe.run @layer.backward_input B0< "layers.0" at 512 (%[[FIRST]], {{.+}})
// CHECK: pipe.run @layer.forward F1> "layers.0" at 512 ({{.+}}, %[[SECOND]], {{.+}})
// CHECK: pipe.run @layer.forward F1> "layer" at 512 ({{.+}}, %[[OTHER]], {{.+}})
// CHECK: pipe.run @graph.optimizer
// CHECK-NEXT: pipe.run @step.ema ema "step" at 0 (%ema)
// CHECK: pipe.expose random "layers.0" %[[KEYS]] [2, 4]
// CHECK-NEXT: pipe.expose random "layer" %{{.+}} [2, 4]
// CHECK-NEXT: pipe.expose random "layer.2" %{{.+}} [2, 4]
// Evaluation is not random.
// CHECK-LABEL: pipe.program @evaluate
// CHECK-NOT: "random"
