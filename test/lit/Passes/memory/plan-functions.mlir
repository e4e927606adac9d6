// RUN: contraflow-opt %s --split-input-file --memory-plan-functions | FileCheck %s

#row = affine_map<(d0, d1) -> (d1)>

// %a and %b are live together; %c takes the place of %a. The last value is the output, outside the workspace.
// CHECK-LABEL: func.func @chain.evaluate
// CHECK-SAME: %{{.+}}: !nn.tensor<16> {nn.location = #nn.location<7, 0>
// CHECK-SAME: -> (!nn.tensor<16> {nn.location = #nn.location<8, 0>
// CHECK-SAME: nn.workspace_bytes = 128
func.func @chain.evaluate(%x: !nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}) {
  // CHECK: nn.kernel "a" {{.+}} attributes {locations = [#nn.location<5, 0>]}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  // CHECK: nn.kernel "b" {{.+}} attributes {locations = [#nn.location<5, 64>]}
  %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%a : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  // CHECK: nn.kernel "c" {{.+}} attributes {locations = [#nn.location<5, 0>]}
  %c = nn.kernel "c" #nn.rows domain [1, 16] ins(%b : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  // CHECK: nn.kernel "d" {{.+}} attributes {locations = [#nn.location<8, 0>]}
  %d = nn.kernel "d" #nn.rows domain [1, 16] ins(%c : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %d : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

// Parameters lie where the schedule phase put them; saved values lie where all functions of the kind agree, and those
// of backward_input in an area of their own. A tied result is its argument's memory.
// CHECK-LABEL: func.func @layer.forward
// CHECK-SAME: nn.location = #nn.location<0, 64>
// CHECK-SAME: -> (!nn.tensor<20> {nn.location = #nn.location<4, 0>{{.+}}!nn.tensor<16> {nn.location = #nn.location<4, 128>
func.func @layer.forward(%w: !nn.tensor<16> {nn.location = #nn.location<0, 64>, nn.role = #nn.role<param, "w">})
    -> (!nn.tensor<20> {nn.role = #nn.role<saved, "s">}, !nn.tensor<16> {nn.role = #nn.role<saved, "t">}) {
  %s = nn.kernel "s" #nn.rows domain [1, 20] ins() maps [#row] gathers [[]] tied [-1] -> <20> {
    %zero = arith.constant 0.0 : f32
    nn.kernel_yield %zero : f32
  }
  %t = nn.kernel "t" #nn.rows domain [1, 16] ins(%w : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %s, %t : !nn.tensor<20>, !nn.tensor<16>
}
// CHECK-LABEL: func.func @layer.backward_input
// CHECK-SAME: !nn.tensor<16> {nn.location = #nn.location<4, 128>
// CHECK-SAME: -> (!nn.tensor<16> {nn.location = #nn.location<6, 0>
func.func @layer.backward_input(%t: !nn.tensor<16> {nn.role = #nn.role<saved, "t">})
    -> (!nn.tensor<16> {nn.role = #nn.role<saved_input, "u">}) {
  %u = nn.kernel "u" #nn.rows domain [1, 16] ins(%t : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %u : !nn.tensor<16>
}
// CHECK-LABEL: func.func @layer.backward_weight
// CHECK-SAME: !nn.tensor<16> {nn.location = #nn.location<6, 0>
// CHECK-SAME: !nn.tensor<16> {nn.location = #nn.location<1, 64>
// CHECK-SAME: -> (!nn.tensor<16> {nn.location = #nn.location<1, 64>
func.func @layer.backward_weight(
    %u: !nn.tensor<16> {nn.role = #nn.role<saved_input, "u">},
    %g: !nn.tensor<16> {nn.location = #nn.location<1, 64>, nn.role = #nn.role<grad, "w">})
    -> (!nn.tensor<16> {nn.role = #nn.role<grad, "w", tied = 1>}) {
  // CHECK: attributes {locations = [#nn.location<1, 64>]}
  %h = nn.kernel "h" #nn.rows domain [1, 16] ins(%u, %g : <16>, <16>) maps [#row, #row, #row]
      gathers [[], [], []] tied [1] -> <16> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    nn.kernel_yield %c : f32
  }
  return %h : !nn.tensor<16>
}

// -----

#row = affine_map<(d0, d1) -> (d1)>

// A kernel that asks for memory gets it for the time that it runs: beside its input and its result.
// CHECK-LABEL: func.func @workspace.evaluate
// CHECK-SAME: nn.workspace_bytes = 1152
func.func @workspace.evaluate(%x: !nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">}) {
  // CHECK: nn.kernel "a" {{.+}} attributes {locations = [#nn.location<5, 0>]}
  %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  // CHECK: nn.kernel "b" {{.+}}locations = [#nn.location<5, 1088>], workspace = #nn.location<5, 64>
  %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%a : <16>) maps [#row, #row] gathers [[], []] tied [-1]
      attributes {workspace_bytes = 1000 : i64} -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  %c = nn.kernel "c" #nn.rows domain [1, 16] ins(%b : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
  ^bb0(%v: f32):
    nn.kernel_yield %v : f32
  }
  return %c : !nn.tensor<16>
}

// -----

// A function without a body says what others get, and has nothing to plan.
// CHECK-LABEL: func.func private @outside.forward
// CHECK-NOT: nn.workspace_bytes
func.func private @outside.forward(!nn.tensor<16> {nn.role = #nn.role<input, "x">})
    -> (!nn.tensor<16> {nn.role = #nn.role<output, "0">})
