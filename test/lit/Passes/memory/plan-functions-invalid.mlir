// RUN: contraflow-opt %s --split-input-file --memory-plan-functions --verify-diagnostics

// expected-error @below {{'func.func' op argument 0 (param 'w') has no 'nn.location' in area 0; run the schedule phase first}}
func.func @layer.forward(%w: !nn.tensor<16> {nn.role = #nn.role<param, "w">}) {
  return
}

// -----

// expected-error @below {{'func.func' op takes saved 't', which no function of 'layer' makes}}
func.func @layer.backward_input(%t: !nn.tensor<16> {nn.role = #nn.role<saved, "t">}) {
  return
}

// -----

// expected-error @below {{'func.func' op result 0 shares its memory with a value at #nn.location<7, 0>, but belongs at #nn.location<8, 0>; it needs a copy}}
func.func @f(%x: !nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}) {
  return %x : !nn.tensor<16>
}

// -----

func.func @f(%x: !nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}) {
  // expected-error @below {{'nn.silu' op is not a kernel, run the fusion phase first}}
  %y = nn.silu %x : <16>
  return %y : !nn.tensor<16>
}

// -----

// expected-error @below {{'func.func' op result 0 is tied to argument 1, there are 1}}
func.func private @f(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0", tied = 1>})

// -----

// The first function that is wrong is reported, and nothing after it.
// expected-error @below {{'func.func' op argument 0 (param 'w') has no 'nn.location' in area 0; run the schedule phase first}}
func.func @layer.forward(%w: !nn.tensor<16> {nn.role = #nn.role<param, "w">}) {
  return
}
func.func @layer.evaluate(%w: !nn.tensor<16> {nn.role = #nn.role<param, "w">}) {
  return
}
