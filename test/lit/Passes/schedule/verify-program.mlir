// RUN: contraflow-opt %s --split-input-file --schedule-verify-program --verify-diagnostics

// What the forward saves is read by the backwards; the gradient is written, added to, then read.
module {
  func.func private @layer.forward(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}, !nn.tensor<8> {nn.role = #nn.role<saved, "s">})
  func.func private @layer.backward_input(!nn.tensor<8> {nn.role = #nn.role<saved, "s">},
                                          !nn.tensor<16> {nn.role = #nn.role<output_grad, "0">})
      -> (!nn.tensor<16> {nn.role = #nn.role<input_grad, "x">})
  func.func private @layer.backward_weight(!nn.tensor<8> {nn.role = #nn.role<saved, "s">},
                                           !nn.tensor<4> {nn.role = #nn.role<grad, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<grad, "w", tied = 1>})
  func.func private @graph.add.16(!nn.tensor<16> {nn.role = #nn.role<input, "a">},
                                  !nn.tensor<16> {nn.role = #nn.role<input, "b">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0", tied = 0>})
  func.func private @graph.zero.16() -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  func.func private @layer.optimizer(!nn.tensor<4> {nn.role = #nn.role<param, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<param, "w", tied = 0>})
  func.func private @step.clip()
  pipe.program @valid micro_batches 1 {
    %x = pipe.buffer input "x" 64
    %y = pipe.buffer activation "y" 64
    %s = pipe.buffer saved "layer" 64
    %dy = pipe.buffer activation_grad "y" 64
    %part = pipe.buffer activation_grad "y" 64
    %dx = pipe.buffer activation_grad "x" 64
    pipe.run @layer.forward F0> "layer" at 0 saved(%s) (%x, %y)
    pipe.run @graph.zero.16 B0< "graph" at 0 (%dy)
    pipe.run @graph.zero.16 B0< "graph" at 0 (%part)
    pipe.run @graph.add.16 B0< "graph" at 0 (%dy, %part)
    pipe.run @layer.backward_input B0< "layer" at 0 saved(%s) (%dy, %dx)
    pipe.run @layer.backward_weight W0< "layer" at 0 saved(%s) ()
    pipe.run @step.clip clip "step" at 0 ()
    pipe.run @layer.optimizer optimizer "layer" at 0 ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
  pipe.program @verify_program_c1_count micro_batches 1 {
    // expected-error @below {{'pipe.run' op (C1) passes 0 buffers, 'f' takes 1}}
    pipe.run @f F0> "f" at 0 ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
  pipe.program @verify_program_c1_bytes micro_batches 1 {
    %x = pipe.buffer input "x" 32
    // expected-error @below {{'pipe.run' op (C1) passes 32 bytes for input 'x' of 'f', expected 64}}
    pipe.run @f F0> "f" at 0 (%x)
  }
}

// -----

module {
  func.func private @f() -> (!nn.tensor<16> {nn.role = #nn.role<saved, "s">})
  pipe.program @verify_program_c1_saved micro_batches 1 {
    // expected-error @below {{'pipe.run' op (C1) passes no 'saved', which 'f' works on}}
    pipe.run @f F0> "f" at 0 ()
  }
}

// -----

module {
  func.func private @f() -> (!nn.tensor<20> {nn.role = #nn.role<saved, "s">})
  pipe.program @verify_program_c1_saved_bytes micro_batches 1 {
    %s = pipe.buffer saved "f" 64
    // expected-error @below {{'pipe.run' op (C1) passes 64 bytes of 'saved', 'f' makes 128}}
    pipe.run @f F0> "f" at 0 saved(%s) ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
  pipe.program @verify_program_c2 micro_batches 1 {
    %x = pipe.buffer activation "x" 64
    // expected-error @below {{'pipe.run' op (C2) 'f' F0> of 'layer' reads input 'x' before anything wrote it}}
    pipe.run @f F0> "layer" at 0 (%x)
  }
}

// -----

module {
  func.func private @f() -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  pipe.program @verify_program_c3_twice micro_batches 1 {
    %x = pipe.buffer activation "x" 64
    // expected-note @below {{by 'f'}}
    pipe.run @f F0> "layer" at 0 (%x)
    // expected-error @below {{'pipe.run' op (C3) 'f' F0> of 'layer' writes 'x', which has been written already}}
    pipe.run @f F0> "layer" at 0 (%x)
  }
}

// -----

// The gradient is read before its second part is added.
module {
  func.func private @f() -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  func.func private @g(!nn.tensor<16> {nn.role = #nn.role<output_grad, "0">})
  func.func private @add(!nn.tensor<16> {nn.role = #nn.role<input, "a">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0", tied = 0>})
  pipe.program @verify_program_c3_late_sum micro_batches 1 {
    %x = pipe.buffer activation_grad "x" 64
    pipe.run @f F0> "layer" at 0 (%x)
    // expected-note @below {{by 'g'}}
    pipe.run @g B0< "layer" at 0 (%x)
    // expected-error @below {{'pipe.run' op (C3) 'add' B0< of 'graph' writes 'x', which has been read already}}
    pipe.run @add B0< "graph" at 0 (%x)
  }
}

// -----

module {
  func.func private @layer.forward() -> (!nn.tensor<16> {nn.role = #nn.role<saved, "s">})
  func.func private @layer.backward_input(!nn.tensor<16> {nn.role = #nn.role<saved, "s">})
  pipe.program @verify_program_c4 micro_batches 2 {
    %s = pipe.buffer saved "layer" 64
    pipe.run @layer.forward F0> "layer" at 0 saved(%s) ()
    // expected-error @below {{'pipe.run' op (C4) 'layer.backward_input' B1< of 'layer' reads what was saved by 'layer.forward' F0> of 'layer'}}
    pipe.run @layer.backward_input B1< "layer" at 0 saved(%s) ()
  }
}

// -----

module {
  func.func private @layer.forward()
  func.func private @layer.backward_input()
  func.func private @layer.backward_weight()
  pipe.program @verify_program_c5_missing micro_batches 1 {
    // expected-error @below {{'pipe.run' op (C5) 'layer.forward' F0> of 'layer' is not followed by its backward_weight}}
    pipe.run @layer.forward F0> "layer" at 0 ()
    pipe.run @layer.backward_input B0< "layer" at 0 ()
  }
}

// -----

module {
  func.func private @layer.forward()
  func.func private @layer.backward_input()
  pipe.program @verify_program_c5_order micro_batches 1 {
    // expected-error @below {{'pipe.run' op (C5) 'layer.backward_input' B0< of 'layer' has no forward before it}}
    pipe.run @layer.backward_input B0< "layer" at 0 ()
    pipe.run @layer.forward F0> "layer" at 0 ()
  }
}

// -----

module {
  func.func private @layer.forward()
  func.func private @layer.backward_input()
  pipe.program @verify_program_c5_twice micro_batches 1 {
    pipe.run @layer.forward F0> "layer" at 0 ()
    pipe.run @layer.backward_input B0< "layer" at 0 ()
    // expected-error @below {{'pipe.run' op (C5) 'layer.backward_input' B0< of 'layer' runs twice}}
    pipe.run @layer.backward_input B0< "layer" at 0 ()
  }
}

// -----

module {
  func.func private @step.clip()
  func.func private @layer.backward_weight(!nn.tensor<4> {nn.role = #nn.role<grad, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<grad, "w", tied = 0>})
  func.func private @layer.forward()
  pipe.program @verify_program_c6_gradient micro_batches 1 {
    pipe.run @layer.forward F0> "layer" at 0 ()
    pipe.run @step.clip clip "step" at 0 ()
    // expected-error @below {{'pipe.run' op (C6) 'layer.backward_weight' W0< of 'layer' changes a gradient after 'step.clip' has used it}}
    pipe.run @layer.backward_weight W0< "layer" at 0 ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<4> {nn.role = #nn.role<param, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<param, "w", tied = 0>})
  pipe.program @verify_program_c6_parameter micro_batches 1 {
    // expected-error @below {{'pipe.run' op (C6) 'f' F0> of 'layer' changes a parameter, expected a run of 'optimizer' or 'update'}}
    pipe.run @f F0> "layer" at 0 ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<4> {nn.role = #nn.role<param, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<param, "w", tied = 0>})
  func.func private @g()
  pipe.program @verify_program_c6_order micro_batches 1 {
    pipe.run @f optimizer "layer" at 0 ()
    // expected-error @below {{'pipe.run' op (C6) 'g' F0> of 'layer' comes after 'f', which changes parameters}}
    pipe.run @g F0> "layer" at 0 ()
  }
}

// -----

module {
  func.func private @f(!nn.tensor<4> {nn.role = #nn.role<param, "w">})
      -> (!nn.tensor<4> {nn.role = #nn.role<param, "w", tied = 0>})
  func.func private @step.ema(!nn.tensor<4> {nn.role = #nn.role<param, "parameters">}, !nn.tensor<4> {nn.role = #nn.role<ema, "ema">})
      -> (!nn.tensor<4> {nn.role = #nn.role<ema, "ema", tied = 1>})
  pipe.program @verify_program_c6_average micro_batches 1 {
    %ema = pipe.buffer ema "ema" 16
    pipe.run @f optimizer "layer" at 0 ()
    pipe.run @step.ema ema "step" at 0 (%ema)
    // expected-error @below {{'pipe.run' op (C6) 'f' optimizer of 'layer' comes after 'step.ema', which averages what a step leaves behind}}
    pipe.run @f optimizer "layer" at 0 ()
  }
}

// -----

module {
  func.func private @layer.forward(!nn.tensor<4 x 2> {nn.role = #nn.role<param, "w">, nn.location = #nn.location<0, 64>})
  // expected-error @below {{(C7) has shape [8], 'layer.forward' takes '!nn.tensor<4 x 2>'}}
  pipe.parameter "later" of "layer" at 192 [8] init "ones"
  pipe.program @verify_program_c7_shape micro_batches 1 {
    // expected-note @below {{the run}}
    pipe.run @layer.forward F0> "layer" at 128 ()
  }
}

// -----

module {
  func.func private @layer.forward(!nn.tensor<4 x 2> {nn.role = #nn.role<param, "w">, nn.location = #nn.location<0, 64>})
  pipe.parameter "a" of "layer" at 128 [8] init "ones"
  pipe.program @verify_program_c7_place micro_batches 1 {
    // expected-error @below {{(C7) 'layer.forward' F0> of 'layer' works on parameter 'w' at 192, where none begins}}
    pipe.run @layer.forward F0> "layer" at 128 ()
  }
}

// -----

// While a sum travels, others may read what it reads, and work elsewhere.
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @make() -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  func.func private @read(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
  pipe.program @valid_collective micro_batches 1 {
    %x = pipe.buffer activation "x" 64
    %y = pipe.buffer activation "y" 64
    %z = pipe.buffer activation "z" 64
    pipe.run @make F0> "f" at 0 (%x)
    %sent = pipe.start all_reduce over dp F0> "x" (%x) to (%y)
    pipe.run @make F0> "f" at 0 (%z)
    pipe.run @read F0> "f" at 0 (%x)
    pipe.wait %sent
    pipe.run @read F0> "f" at 0 (%y)
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  pipe.program @verify_program_c2_collective micro_batches 1 {
    %x = pipe.buffer activation "x" 64
    // expected-error @below {{'pipe.start' op (C2) 'all_reduce' F0> of 'x' reads input 'x' before anything wrote it}}
    %sent = pipe.start all_reduce over dp F0> "x" (%x) to (%x)
    pipe.wait %sent
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @read(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
  pipe.program @verify_program_c8_read micro_batches 1 {
    %x = pipe.buffer input "x" 64
    %y = pipe.buffer activation "y" 64
    // expected-note @below {{the collective}}
    %sent = pipe.start all_reduce over dp F0> "x" (%x) to (%y)
    // expected-error @below {{'pipe.run' op (C8) 'read' F0> of 'f' reads 'y' before the collective on it is waited for}}
    pipe.run @read F0> "f" at 0 (%y)
    pipe.wait %sent
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @add(!nn.tensor<16> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<16> {nn.role = #nn.role<output, "0", tied = 0>})
  pipe.program @verify_program_c8_write micro_batches 1 {
    %x = pipe.buffer losses "x" 128
    %half = pipe.view %x[0, 64]
    %y = pipe.buffer activation "y" 128
    // expected-note @below {{the collective}}
    %sent = pipe.start all_reduce over dp F0> "x" (%x) to (%y)
    // expected-error @below {{'pipe.run' op (C8) 'add' F0> of 'f' writes 'x' before the collective on it is waited for}}
    pipe.run @add F0> "f" at 0 (%half)
    pipe.wait %sent
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @layer.weight(!nn.tensor<4> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<4> {nn.role = #nn.role<grad, "w", tied = 0>})
  pipe.program @verify_program_c8_region micro_batches 1 {
    %gradients = pipe.buffer gradients "gradients" 64
    // expected-note @below {{the collective}}
    %sent = pipe.start all_reduce over dp reduce "gradients" (%gradients) to (%gradients)
    // expected-error @below {{'pipe.run' op (C8) 'layer.weight' W0< of 'layer' writes 'gradients' before the collective on it is waited for}}
    pipe.run @layer.weight W0< "layer" at 0 ()
    pipe.wait %sent
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @step.clip()
  pipe.program @verify_program_c6_collective micro_batches 1 {
    %gradients = pipe.buffer gradients "gradients" 64
    pipe.run @step.clip clip "step" at 0 ()
    // expected-error @below {{'pipe.start' op (C6) 'all_reduce' reduce of 'gradients' changes a gradient after 'step.clip' has used it}}
    %sent = pipe.start all_reduce over dp reduce "gradients" (%gradients) to (%gradients)
    pipe.wait %sent
  }
}

// -----

module {
  pipe.program @verify_program_c9_mesh micro_batches 1 {
    %x = pipe.buffer losses "x" 64
    // expected-error @below {{'pipe.start' op (C9) is in no module with 'comm.mesh'}}
    %sent = pipe.start all_reduce over dp reduce "x" (%x) to (%x)
    pipe.wait %sent
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 2>} {
  pipe.program @verify_program_c9_parts micro_batches 1 {
    %x = pipe.buffer losses "x" 64
    %y = pipe.buffer activation "y" 16
    // expected-error @below {{'pipe.start' op (C9) has 64 bytes and parts of 16, a group of 'edp' has 2 ranks}}
    %sent = pipe.start reduce_scatter over edp reduce "x" (%x) to (%y)
    pipe.wait %sent
  }
}
