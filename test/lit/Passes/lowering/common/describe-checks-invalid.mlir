// RUN: contraflow-opt %s -lowering-describe-checks -split-input-file -verify-diagnostics

module attributes {nn.checked} {
  func.func @f(%x: !nn.tensor<4> {nn.role = #nn.role<input, "x">, nn.location = #nn.location<7, 0>}) {
    // expected-error @below {{'nn.kernel' op has no locations, run the memory phase first}}
    %0 = nn.kernel "double" #nn.rows domain [1, 4] ins(%x : <4>)
      maps [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>] gathers [[], []] tied [-1] -> <4> {
    ^bb0(%1: f32):
      nn.kernel_yield %1 : f32
    }
    return
  }
}

// -----

module attributes {nn.checked} {
  // expected-error @below {{'func.func' op argument 0 has no 'nn.location', run the memory phase first}}
  func.func @f(%x: !nn.tensor<4> {nn.role = #nn.role<input, "x">}) {
    return
  }
}
