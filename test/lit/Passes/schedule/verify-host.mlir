// RUN: contraflow-opt %s --split-input-file --schedule-verify-host --verify-diagnostics

// Functions may be code.
module attributes {nn.batch = 2 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  llvm.func @code.forward(!llvm.ptr)
  pipe.parameter "a" of "b" at 0 [9] init "ones"
  pipe.parameter "later" of "b" at 64 [2, 4] init "zeros"
  pipe.program @train micro_batches 2 {
    %p = pipe.buffer parameters "parameters" 128
    %x = pipe.buffer input "tokens" 128
    %l = pipe.buffer activation "logits" 160
    pipe.run @code.forward F0> "layer" at 0 (%x, %l)
    pipe.expose input "tokens" %x [32]
    pipe.expose output "logits" %l [8, 5]
  }
}

// -----

module attributes {nn.batch = 4 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  pipe.program @train micro_batches 2 {
    %x = pipe.buffer input "tokens" 256
    %l = pipe.buffer activation "logits" 640
    pipe.expose input "tokens" %x [64]
    pipe.expose output "logits" %l [32, 5]
  }
  pipe.program @generate micro_batches 1 {
    %x = pipe.buffer input "generate_tokens" 32
    pipe.expose input "generate_tokens" %x [8]
  }
}

// -----

module attributes {nn.batch = 4 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  pipe.program @verify_host_c1_step micro_batches 2 {
    %x = pipe.buffer input "tokens" 128
    // expected-error @below {{(C1) input 'tokens' has 32 numbers, expected nn.micro_batches * nn.batch * nn.seq = 2 * 4 * 8}}
    pipe.expose input "tokens" %x [32]
  }
}

// -----

module attributes {nn.batch = 4 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  pipe.program @verify_host_c1_generate micro_batches 1 {
    %x = pipe.buffer input "generate_tokens" 64
    // expected-error @below {{(C1) input 'generate_tokens' has 16 numbers, expected nn.seq = 8}}
    pipe.expose input "generate_tokens" %x [16]
  }
}

// -----

module attributes {nn.batch = 4 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  pipe.program @verify_host_c1_vocab micro_batches 1 {
    %l = pipe.buffer activation "logits" 256
    // expected-error @below {{(C1) output 'logits' has 8 columns, expected nn.vocab = 5}}
    pipe.expose output "logits" %l [8, 8]
  }
}

// -----

module attributes {nn.batch = 4 : i64, nn.seq = 8 : i64, nn.micro_batches = 2 : i64, nn.vocab = 5 : i64} {
  // expected-error @below {{(C1) has 1 micro-batches, expected nn.micro_batches = 2}}
  pipe.program @train micro_batches 1 {
    %x = pipe.buffer input "tokens" 256
    pipe.expose input "tokens" %x [64]
  }
}

// -----

module {
  pipe.program @verify_host_c2 micro_batches 1 {
    %x = pipe.buffer metrics "metrics" 16
    // expected-note @below {{the first of this name}}
    pipe.expose load "m" %x [4]
    %y = pipe.view %x[0, 8]
    // expected-error @below {{(C2) exposes metric 'm' a second time}}
    pipe.expose ratio "m" %y [2]
  }
}

// -----

module {
  // expected-error @below {{(C3) init must be "normal", "ones" or "zeros", found "gauss"}}
  pipe.parameter "a" of "b" at 0 [4] init "gauss"
}

// -----

module {
  // expected-note @below {{the first parameter of this name}}
  pipe.parameter "a" of "b" at 0 [4] init "ones"
  // expected-error @below {{(C3) names a parameter 'a' that is there already}}
  pipe.parameter "a" of "b" at 64 [4] init "ones"
}

// -----

module {
  // expected-note @below {{the parameter before it ends there}}
  pipe.parameter "a" of "b" at 0 [17] init "zeros"
  // expected-error @below {{(C4) begins at 64, expected 128}}
  pipe.parameter "later" of "b" at 64 [4] init "ones"
}

// -----

module {
  // expected-note @below {{the parameter before it ends there}}
  pipe.parameter "a" of "b" at 0 [16] init "zeros"
  // expected-error @below {{(C4) begins at 128, expected 64}}
  pipe.parameter "later" of "b" at 128 [4] init "ones"
}

// -----

module {
  // expected-error @below {{(C4) begins at 64, expected 0}}
  pipe.parameter "a" of "b" at 64 [4] init "ones"
}

// -----

module {
  // expected-error @below {{(C4) has more bytes than can be counted}}
  pipe.parameter "a" of "b" at 0 [4611686018427387904, 4] init "zeros"
}

// -----

module {
  pipe.parameter "a" of "b" at 0 [4] init "ones"
  pipe.program @verify_host_c4 micro_batches 1 {
    // expected-error @below {{(C4) has 128 bytes, parameters have 64}}
    %p = pipe.buffer parameters "parameters" 128
  }
}
