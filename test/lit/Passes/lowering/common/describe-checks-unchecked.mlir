// RUN: contraflow-opt %s -lowering-describe-checks | FileCheck %s

// Who does not ask for checks gets none, and may have no locations yet.
// CHECK-LABEL: func.func @f
func.func @f(%x: !nn.tensor<4> {nn.role = #nn.role<input, "x">}) {
  return
}
// CHECK-NOT: pipe.checks
