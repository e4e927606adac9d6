// RUN: contraflow-opt %s -lowering-expand-math | FileCheck %s
// RUN: contraflow-opt %s -lowering-expand-math=fma=false | FileCheck %s --check-prefix=NOFMA

// CHECK-LABEL: func.func @functions
// CHECK-NOT: math.exp
// CHECK: math.fma
// CHECK-NOT: {{math\.(exp|log|tanh|erf|sin|cos|rsqrt)}}
// CHECK: return
// NOFMA-LABEL: func.func @functions
// NOFMA-NOT: {{math\.(fma|exp|log|tanh|erf|sin|cos|rsqrt)}}
// NOFMA: return
func.func @functions(%x: vector<8xf32>, %y: f32) -> (vector<8xf32>, f32) {
  %0 = math.exp %x : vector<8xf32>
  %1 = math.log %0 : vector<8xf32>
  %2 = math.log1p %1 : vector<8xf32>
  %3 = math.tanh %2 : vector<8xf32>
  %4 = math.erf %3 : vector<8xf32>
  %5 = math.sin %y : f32
  %6 = math.cos %5 : f32
  %7 = math.exp2 %6 : f32
  %8 = math.rsqrt %7 : f32
  return %4, %8 : vector<8xf32>, f32
}

// The reciprocal square root is exact arithmetic, not an estimate; what is an instruction stays.
// CHECK-LABEL: func.func @instructions
// CHECK: %[[ROOT:.+]] = math.sqrt %[[X:.+]] : f32
// CHECK: arith.divf %{{.+}}, %[[ROOT]] : f32
// CHECK: math.absf
func.func @instructions(%x: f32) -> f32 {
  %0 = math.rsqrt %x : f32
  %1 = math.absf %0 : f32
  return %1 : f32
}
