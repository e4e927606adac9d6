// RUN: contraflow-opt %s -autodiff-build-functions -split-input-file -verify-diagnostics

// expected-error@+1 {{no nn.graph '@train' in the module}}
module {
}

// -----

nn.block @f(%x: <3 x 2>, %ids: <3 : i32>) -> () {
  %loss, %lse = nn.cross_entropy %x, %ids : <3 x 2>, <3 : i32>
  // expected-error@+1 {{'nn.loss' op 'main' has weight 0.5, but losses of one name have one weight, and another has 1.0}}
  nn.loss "main" weight(0.5) %loss : <1>
  nn.yield
}
nn.block @g(%ids: <3 : i32>) -> (<3 x 2>) {
  %w = nn.param "w" : <5 x 2>
  %x = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
  %loss, %lse = nn.cross_entropy %x, %ids : <3 x 2>, <3 : i32>
  // expected-note@+1 {{the other loss}}
  nn.loss "main" weight(1.0) %loss : <1>
  nn.yield %x : <3 x 2>
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  %x = nn.call @g(%tokens) : (<3 : i32>) -> (<3 x 2>)
  nn.call @f(%x, %tokens) : (<3 x 2>, <3 : i32>) -> ()
}

// -----

nn.block @f(%ids: <3 : i32>) -> (<3 x 2>) {
  %w = nn.param "w" : <5 x 2>
  %x = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
  nn.yield %x : <3 x 2>
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  // expected-error@+1 {{'nn.if' op is in a graph; bind the model before autodiff}}
  nn.if true {
    %x = nn.call @f(%tokens) : (<3 : i32>) -> (<3 x 2>)
  }
}

// -----

nn.block @g(%ids: <3 : i32>) -> () {
  nn.yield
}
nn.block @f(%ids: <3 : i32>) -> () {
  // expected-error@+1 {{'nn.call' op is in a block; bind the model before autodiff}}
  nn.call @g(%ids) : (<3 : i32>) -> ()
  nn.yield
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  nn.call @f(%tokens) : (<3 : i32>) -> ()
}

// -----

// expected-error@+1 {{'nn.block' op has arguments of unbound types; bind the model before autodiff}}
nn.block @f(%ids: <tokens : i32>) -> () {
  nn.yield
}
nn.graph @train(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
  nn.call @f(%tokens) : (<tokens : i32>) -> ()
}

// -----

nn.block @f(%ids: <3 : i32>) -> () {
  // expected-error@+1 {{'nn.param' op has an unbound type; bind the model before autodiff}}
  %w = nn.param "w" : <hidden>
  nn.yield
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  nn.call @f(%tokens) : (<3 : i32>) -> ()
}

// -----

// expected-error@+1 {{'nn.micro_batches' is 0, expected 1 or more}}
module attributes {nn.micro_batches = 0 : i64} {
  nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  }
}

// -----

// expected-error@+1 {{'nn.block' op is named 'graph' like the functions that belong to no block, expected another name}}
nn.block @graph(%ids: <3 : i32>) -> () {
  nn.yield
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  nn.call @graph(%tokens) : (<3 : i32>) -> ()
}

// -----

// expected-error@+1 {{'nn.block' op is named 'step' like the functions that belong to no block, expected another name}}
nn.block @step(%ids: <3 : i32>) -> () {
  nn.yield
}
nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
  nn.call @step(%tokens) : (<3 : i32>) -> ()
}
