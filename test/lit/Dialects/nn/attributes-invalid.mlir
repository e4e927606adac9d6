// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// What a phase says to later ones is declared in NNDialect.td; a misspelt name would be silently without effect.

// expected-error @below {{no attribute 'nn.micro_batch' of modules, expected one of nn.batch, nn.seq, nn.micro_batches, nn.replicas, nn.vocab, nn.scratch_bytes, nn.optimizer, nn.model_type, nn.model_name, nn.run, nn.phase, nn.isa, nn.checked}}
module attributes {nn.micro_batch = 2 : i64} {}

// -----

// expected-error @below {{attribute 'nn.micro_batches' is 2 : i32, expected an i64 of 0 or more}}
module attributes {nn.micro_batches = 2 : i32} {}

// -----

// expected-error @below {{attribute 'nn.vocab' is -5 : i64, expected an i64 of 0 or more}}
module attributes {nn.vocab = -5 : i64} {}

// -----

// expected-error @below {{attribute 'nn.phase' is 3 : i64, expected a string}}
module attributes {nn.phase = 3 : i64} {}

// -----

// expected-error @below {{attribute 'nn.optimizer' is "adamw", expected a dictionary}}
module attributes {nn.optimizer = "adamw"} {}

// -----

// expected-error @below {{attribute 'nn.without_gradient' is ["a", 1], expected an array of strings}}
func.func private @lost() attributes {nn.without_gradient = ["a", 1 : i64]}

// -----

// expected-error @below {{no attribute 'nn.batch' of functions, expected one of nn.without_gradient, nn.costs, nn.workspace_bytes}}
func.func private @place() attributes {nn.batch = 1 : i64}

// -----

func.func @elsewhere() {
  // expected-error @below {{no attribute 'nn.costs' here, expected it of a module or a function}}
  return {nn.costs = []}
}

// -----

// expected-error @below {{attribute 'nn.role' is "param", expected an #nn.role}}
func.func private @argument(!nn.tensor<4> {nn.role = "param"})

// -----

// expected-error @below {{no attribute 'nn.offset' of results, expected one of nn.role, nn.location}}
func.func private @result() -> (!nn.tensor<4> {nn.offset = 0 : i64})

// -----

// expected-error @below {{attribute 'nn.checked' is true, expected no value}}
module attributes {nn.checked = true} {
}
