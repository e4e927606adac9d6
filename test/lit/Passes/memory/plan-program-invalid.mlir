// RUN: contraflow-opt %s --memory-plan-program --verify-diagnostics

module {
  pipe.program @train micro_batches 1 {
    // expected-note @below {{the other buffer}}
    %parameters = pipe.buffer parameters "parameters" 128
  }
  pipe.program @evaluate micro_batches 1 {
    // expected-error @below {{'pipe.buffer' op 'parameters' has 64 bytes, in another program it has 128}}
    %parameters = pipe.buffer parameters "parameters" 64
  }
}
