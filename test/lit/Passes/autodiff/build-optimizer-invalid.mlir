// RUN: contraflow-opt %s -autodiff-build-optimizer -split-input-file -verify-diagnostics

// expected-error@+1 {{'nn.optimizer' holds the floats beta1, beta2, eps, weight_decay, clip_norm and ema_decay, found 'momentum = 9.000000e-01 : f64'}}
module attributes {nn.optimizer = {momentum = 0.9 : f64}} {
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
}

// -----

// expected-error@+1 {{'nn.optimizer' holds the floats beta1, beta2, eps, weight_decay, clip_norm and ema_decay, found 'eps = 1 : i64'}}
module attributes {nn.optimizer = {eps = 1}} {
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
}
