// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s

// CHECK: pipe.parameter "experts.{e}.up_proj.weight" of "moe" at 64 [8, 48, 64] init "normal" split decay
pipe.parameter "experts.{e}.up_proj.weight" of "moe" at 64 [8, 48, 64] init "normal" split decay
// CHECK: pipe.parameter "gate.bias" of "moe" at 0 [8] init "zeros" frozen
pipe.parameter "gate.bias" of "moe" at 0 [8] init "zeros" frozen

func.func private @step.begin()
func.func private @embed.forward()
func.func private @moe.forward()
func.func private @moe.backward_input()
func.func private @moe.backward_weight()
func.func private @moe.optimizer()
func.func private @step.ema()

// CHECK-LABEL: pipe.program @train micro_batches 2 arena 4096 {
pipe.program @train micro_batches 2 arena 4096 {
  // CHECK: %[[TOKENS:.+]] = pipe.buffer input "tokens" 128 at 64
  %tokens = pipe.buffer input "tokens" 128 at 64
  // CHECK: %[[SECOND:.+]] = pipe.view %[[TOKENS]][64, 64]
  %second = pipe.view %tokens[64, 64]
  // CHECK: pipe.buffer ema "ema" 512
  %average = pipe.buffer ema "ema" 512
  // CHECK: %[[RANDOM:.+]] = pipe.buffer input "random" 32
  %random = pipe.buffer input "random" 32
  %losses = pipe.buffer losses "losses" 8
  %loss = pipe.view %losses[4, 4]
  // CHECK: pipe.buffer metrics "metrics" 16
  %metrics = pipe.buffer metrics "metrics" 16
  // CHECK: %[[HIDDEN:.+]] = pipe.buffer activation "model.hidden" 1024
  %hidden = pipe.buffer activation "model.hidden" 1024
  %part = pipe.view %metrics[0, 4]
  %saved = pipe.buffer saved "model.layers.0" 256
  %late = pipe.buffer saved_input "model.layers.0" 256
  // CHECK: pipe.buffer activation "nothing" 0
  %nothing = pipe.buffer activation "nothing" 0
  // CHECK: pipe.run @step.begin begin "step" at 0 (%{{.+}})
  pipe.run @step.begin begin "step" at 0 (%losses)
  // CHECK: pipe.run @embed.forward F1> "model" at 0 (%[[SECOND]], %[[HIDDEN]])
  pipe.run @embed.forward F1> "model" at 0 (%second, %hidden)
  // CHECK: pipe.run @moe.forward F1> "model.layers.0" at 64 saved(%{{.+}}) workspace 256 at 1024 (%[[HIDDEN]])
  pipe.run @moe.forward F1> "model.layers.0" at 64 saved(%saved) workspace 256 at 1024 (%hidden)
  // CHECK: pipe.run @moe.backward_input B1< "model.layers.0" at 64 saved(%{{.+}}) saved_input(%{{.+}}) (%[[HIDDEN]])
  pipe.run @moe.backward_input B1< "model.layers.0" at 64 saved(%saved) saved_input(%late) (%hidden)
  // CHECK: pipe.run @moe.backward_weight W1< "model.layers.0" at 64 ()
  pipe.run @moe.backward_weight W1< "model.layers.0" at 64 ()
  // CHECK: %[[SENT:.+]] = pipe.start all_reduce over dp reduce "losses" (%[[LOSSES:.+]]) to(%[[LOSSES]])
  %sent = pipe.start all_reduce over dp reduce "losses" (%losses) to (%losses)
  // CHECK: %[[PARTS:.+]] = pipe.start reduce_scatter over edp B1< "moe" (%{{.+}}, %{{.+}}) to(%{{.+}}, %{{.+}})
  %parts = pipe.start reduce_scatter over edp B1< "moe" (%hidden, %metrics) to (%saved, %part)
  // CHECK: pipe.start all_gather over ep F0> "moe" (%{{.+}}) to(%[[HIDDEN]])
  %whole = pipe.start all_gather over ep F0> "moe" (%late) to (%hidden)
  // CHECK: pipe.wait %[[SENT]]
  pipe.wait %sent
  // CHECK: pipe.wait %[[PARTS]]
  pipe.wait %parts
  pipe.wait %whole
  // CHECK: pipe.run @moe.optimizer optimizer "model.layers.0" at 64 ()
  pipe.run @moe.optimizer optimizer "model.layers.0" at 64 ()
  // CHECK: pipe.run @step.ema ema "step" at 0 (%{{.+}})
  pipe.run @step.ema ema "step" at 0 (%average)
  // CHECK: pipe.expose loss "main" %{{.+}} [1] weight 1.000000e+00
  pipe.expose loss "main" %loss [1] weight 1.0
  // CHECK: pipe.expose random "model.layers.0" %[[RANDOM]] [2, 4]
  pipe.expose random "model.layers.0" %random [2, 4]
  // CHECK: pipe.expose load "layers.0.load" %{{.+}} [4]
  pipe.expose load "layers.0.load" %metrics [4]
  // CHECK: pipe.expose output "logits" %[[HIDDEN]] [16, 16]
  pipe.expose output "logits" %hidden [16, 16]
}

// CHECK: pipe.checks @moe.forward ["rms_norm", "linear"] {
pipe.checks @moe.forward ["rms_norm", "linear"] {
  // CHECK: pipe.check_value "x" base 7 at 0 bytes 4096 from -1 to 2 reads [0] writes []
  pipe.check_value "x" base 7 at 0 bytes 4096 from -1 to 2 reads [0] writes []
  // CHECK: pipe.check_value "table" base 5 at 64 bytes 4096 from 0 to 1 reads [1] writes [0] guard ids
  pipe.check_value "table" base 5 at 64 bytes 4096 from 0 to 1 reads [1] writes [0] guard ids
  // CHECK: pipe.check_ids index of 1 base 8 at 0 count 64 from -1 below 264
  pipe.check_ids index of 1 base 8 at 0 count 64 from -1 below 264
  // CHECK: pipe.check_ids offsets of 0 base 8 at 256 count 5 from 0 below 64
  pipe.check_ids offsets of 0 base 8 at 256 count 5 from 0 below 64
}

// More than 64 bits count.
// CHECK-LABEL: pipe.program @large micro_batches 1 flops 20000000000000000000 {
pipe.program @large micro_batches 1 flops 20000000000000000000 {
}
