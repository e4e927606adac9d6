// A phase of contraflow-opt looks at `nn.phase` before it works, and sets it afterwards. Text that says nothing of phases stays so.
// RUN: contraflow-opt %s -split-input-file -verify-diagnostics --memory | FileCheck %s

// expected-error @below {{phase 'memory' comes after 'schedule', 'nn.phase' of this module is 'frontend'}}
module attributes {nn.phase = "frontend"} {
}

// -----

// expected-error @below {{phase 'memory' comes after 'schedule', 'nn.phase' of this module is 'memory'}}
module attributes {nn.phase = "memory"} {
}

// -----

// CHECK: module attributes {nn.phase = "memory"}
module attributes {nn.phase = "schedule"} {
}

// -----

// CHECK: module {
module {
}
