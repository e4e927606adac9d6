// RUN: contraflow-opt %s -lowering-expand-math -split-input-file -verify-diagnostics

func.func @power(%x: f32) -> f32 {
  // expected-error@+1 {{'math.powf' op has no expansion for 'f32'}}
  %0 = math.powf %x, %x : f32
  return %0 : f32
}

// -----

func.func @double(%x: f64) -> f64 {
  // expected-error@+1 {{'math.exp' op has no expansion for 'f64'}}
  %0 = math.exp %x : f64
  return %0 : f64
}
