// RUN: contraflow-opt %s --split-input-file --memory-verify-plan --verify-diagnostics

#row = affine_map<(d0, d1) -> (d1)>

// A plan that is right: %a is dead when %b is written.
func.func @valid(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 64 : i64} {
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%a : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<8, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %b : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @overwritten(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 128 : i64} {
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  // expected-error @below {{'nn.kernel' op (C3) 'c' reads input 0 at bytes 0 to 64 of area 5, which another value has overwritten}}
  %c = nn.kernel "c" #nn.rows domain [1, 16] ins(%a, %b : <16>, <16>) maps [#row, #row, #row]
      gathers [[], [], []] tied [-1] attributes {locations = [#nn.location<8, 0>]} -> <16> {
  ^bb0(%v: f32, %w: f32):
    %s = arith.addf %v, %w : f32
    nn.kernel_yield %s : f32
  }
  return %c : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @written_over_its_input(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<output, "0">}) {
  // expected-error @below {{'nn.kernel' op (C4) 'a' writes bytes 0 to 64 of area 7 over its input 0 at bytes 0 to 64 of area 7}}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<7, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @tied_elsewhere(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x", tied = 0>})
    attributes {nn.workspace_bytes = 64 : i64} {
  // expected-error @below {{'nn.kernel' op (C2) 'a' has a result at bytes 0 to 64 of area 5, tied to input 0 at bytes 0 to 64 of area 7}}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [0]
      attributes {locations = [#nn.location<5, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @not_aligned(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 128 : i64} {
  // expected-error @below {{'nn.kernel' op (C1) has a value at bytes 32 to 96 of area 5, expected an offset that is a multiple of 64}}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 32>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @workspace_outside_the_workspace(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 64 : i64} {
  // expected-error @below {{'nn.kernel' op (C1) has its workspace at bytes 0 to 128 of area 5, the workspace has 64 bytes}}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<8, 0>], workspace = #nn.location<5, 0>, workspace_bytes = 128 : i64} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

func.func @outside_the_workspace(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 64 : i64} {
  // expected-error @below {{'nn.kernel' op (C1) has a value at bytes 64 to 128 of area 5, the workspace has 64 bytes}}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 64>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

// expected-error @below {{'func.func' op (C2) result 0 lies at bytes 0 to 64 of area 5, expected #nn.location<8, 0>}}
func.func @returned_elsewhere(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
    attributes {nn.workspace_bytes = 64 : i64} {
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  pipe.program @valid micro_batches 1 arena 192 {
    %x = pipe.buffer input "x" 64 at 0
    %y = pipe.buffer activation "y" 64 at 64
    %z = pipe.buffer activation "z" 64 at 128
    %w = pipe.buffer activation "w" 64 at 64
    pipe.run @f F0> "f" at 0 (%x, %y)
    pipe.run @f F0> "f" at 0 (%y, %z)
    pipe.run @f F0> "f" at 0 (%z, %w)
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  pipe.program @buffer_overwritten micro_batches 1 arena 192 {
    %x = pipe.buffer input "x" 64 at 0
    // expected-note @below {{the buffer}}
    %y = pipe.buffer activation "y" 64 at 64
    %z = pipe.buffer activation "z" 64 at 64
    %w = pipe.buffer activation "w" 64 at 128
    pipe.run @f F0> "f" at 0 (%x, %y)
    pipe.run @f F0> "f" at 0 (%x, %z)
    // expected-error @below {{'pipe.run' op (C3) reads buffer 'y' at bytes 64 to 128 of area 0, which another buffer has overwritten}}
    pipe.run @f F0> "f" at 0 (%y, %w)
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  pipe.program @run_on_overlapping_buffers micro_batches 1 arena 128 {
    %x = pipe.buffer input "x" 64 at 0
    %y = pipe.buffer activation "y" 64 at 0
    // expected-error @below {{'pipe.run' op (C4) works on 'y' at bytes 0 to 64 of area 0 and on 'x' at bytes 0 to 64 of area 0}}
    pipe.run @f F0> "f" at 0 (%x, %y)
  }
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}) attributes {nn.workspace_bytes = 64 : i64}
  pipe.program @workspace_over_a_buffer micro_batches 1 arena 192 {
    %x = pipe.buffer input "x" 64 at 0
    %y = pipe.buffer activation "y" 64 at 64
    // expected-error @below {{'pipe.run' op (C5) has its workspace at bytes 64 to 128 of area 0 over buffer 'y'}}
    pipe.run @f F0> "f" at 0 workspace 64 at 64 (%x, %y)
  }
}

// -----

module {
  func.func private @f() attributes {nn.workspace_bytes = 128 : i64}
  pipe.program @workspace_too_small micro_batches 1 arena 192 {
    // expected-error @below {{'pipe.run' op (C5) has a workspace of 64 bytes, 'f' needs 128}}
    pipe.run @f F0> "f" at 0 workspace 64 at 64 ()
  }
}

// -----

module {
  func.func private @f() attributes {nn.workspace_bytes = 64 : i64}
  pipe.program @kept_buffer_lost micro_batches 1 arena 192 {
    // expected-error @below {{'pipe.buffer' op (C3) reads buffer 'parameters' at bytes 0 to 64 of area 0, which another buffer has overwritten}}
    // expected-note @below {{the buffer}}
    %parameters = pipe.buffer parameters "parameters" 64 at 0
    pipe.run @f F0> "f" at 0 workspace 64 at 0 ()
  }
}

// -----

pipe.program @outside_the_arena micro_batches 1 arena 64 {
  // expected-error @below {{'pipe.buffer' op (C1) ends at byte 128 of an arena of 64}}
  %x = pipe.buffer activation "x" 64 at 64
}

// -----

// expected-error @below {{'pipe.program' op (C1) has no arena, run the memory phase first}}
pipe.program @not_planned micro_batches 1 {
}

// -----

// expected-note @+2 {{the other buffer}}
pipe.program @train micro_batches 1 arena 192 {
  %parameters = pipe.buffer parameters "parameters" 64 at 0
}
pipe.program @evaluate micro_batches 1 arena 192 {
  // expected-error @below {{'pipe.buffer' op (C6) 'parameters' has 64 bytes at 64, in another program 64 at 0}}
  %parameters = pipe.buffer parameters "parameters" 64 at 64
}

// -----

func.func private @f() -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
// expected-note @+2 {{the buffer}}
pipe.program @train micro_batches 1 arena 192 {
  %moments = pipe.buffer first_moments "first_moments" 64 at 64
}
// expected-error @below {{'pipe.program' op (C6) overwrites 'first_moments' at bytes 64 to 128 of area 0, which another program keeps}}
pipe.program @evaluate micro_batches 1 arena 192 {
  %y = pipe.buffer activation "y" 64 at 64
  pipe.run @f F0> "f" at 0 (%y)
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

// expected-note @below {{the other function}}
func.func @f.forward(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<4, 0>, nn.role = #nn.role<saved, "s">}) {
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<4, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}
// expected-error @below {{'func.func' op (C7) has 's' at #nn.location<4, 64>, 'f.forward' has it at offset 0}}
func.func @f.backward_input(%s: !nn.tensor<16> {nn.location = #nn.location<4, 64>, nn.role = #nn.role<saved, "s">}) {
  return
}

// -----

// In a checked module neighbours leave room for their guards: 64 bytes for each.
#row = affine_map<(d0, d1) -> (d1)>
module attributes {nn.checked} {
  func.func @guards_of_values(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>, nn.role = #nn.role<output, "0">})
      attributes {nn.workspace_bytes = 384 : i64} {
    %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
        attributes {locations = [#nn.location<5, 64>]} -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    // expected-error @below {{'nn.kernel' op (C4) 'b' writes bytes 192 to 256 of area 5 over its input 0 at bytes 64 to 128 of area 5}}
    %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%a : <16>) maps [#row, #row] gathers [[], []] tied [-1]
        attributes {locations = [#nn.location<5, 192>]} -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    return %b : !nn.tensor<16>
  }
}

// -----

module attributes {nn.checked} {
  pipe.program @guards_of_buffers micro_batches 1 arena 448 {
    // expected-error @below {{'pipe.buffer' op (C3) reads buffer 'parameters' at bytes 64 to 128 of area 0, which another buffer has overwritten}}
    // expected-note @below {{the buffer}}
    %p = pipe.buffer parameters "parameters" 64 at 64
    %g = pipe.buffer gradients "gradients" 64 at 192
  }
}

// -----

module attributes {nn.checked} {
  pipe.program @guards_in_the_arena micro_batches 1 arena 448 {
    // expected-error @below {{'pipe.buffer' op (C1) begins at byte -64 of an arena of 448}}
    %p = pipe.buffer parameters "parameters" 64 at 0
  }
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

// expected-error @below {{'func.func' op (C2) result 0 lies at bytes 0 to 64 of area 8, expected #nn.location<8, 64>}}
func.func @returned_at_another_offset(%x: !nn.tensor<16> {nn.location = #nn.location<7, 0>, nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.location = #nn.location<8, 64>, nn.role = #nn.role<output, "0">}) {
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<8, 0>]} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %a : !nn.tensor<16>
}

// -----

module {
  func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
  pipe.program @exposed_buffer_overwritten micro_batches 1 arena 128 {
    %x = pipe.buffer input "x" 64 at 0
    // expected-note @below {{the buffer}}
    %y = pipe.buffer activation "y" 64 at 64
    %z = pipe.buffer activation "z" 64 at 64
    pipe.run @f F0> "f" at 0 (%x, %y)
    pipe.run @f F0> "f" at 0 (%x, %z)
    // expected-error @below {{'pipe.expose' op (C3) reads buffer 'y' at bytes 64 to 128 of area 0, which another buffer has overwritten}}
    pipe.expose output "y" %y [16]
  }
}
