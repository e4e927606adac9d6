// RUN: contraflow-opt %s -fusion-build-kernels -fusion-verify-kernels -split-input-file -verify-diagnostics

// What has no kernels stays, and the check at the end of the phase says so.
func.func @no_kernels(%x: !nn.tensor<1>) {
  // expected-error @below {{'nn.loss' op (C1) is neither a kernel nor a constant table; fusion has no rule for it}}
  nn.loss "main" weight(1.0) %x : <1>
  return
}
