// RUN: contraflow-opt %s --memory-plan-functions --memory-plan-program --memory-verify-plan | FileCheck %s

// In a checked module 64 bytes stay free on both sides of every buffer: two live values of a workspace are 192 bytes apart, and
// so are saved values, buffers that outlive programs, and those that do not.
#row = affine_map<(d0, d1) -> (d1)>
module attributes {nn.checked} {
  // CHECK-LABEL: func.func @f.forward
  // CHECK-SAME: -> (!nn.tensor<16> {nn.location = #nn.location<4, 64>
  // CHECK-SAME: !nn.tensor<16> {nn.location = #nn.location<4, 256>
  // CHECK-SAME: nn.workspace_bytes = 640
  func.func @f.forward(%x: !nn.tensor<16> {nn.role = #nn.role<input, "x">})
      -> (!nn.tensor<16> {nn.role = #nn.role<saved, "s">}, !nn.tensor<16> {nn.role = #nn.role<saved, "t">}) {
    // CHECK: nn.kernel "a" {{.+}}locations = [#nn.location<5, 64>]
    %a = nn.kernel "a" #nn.rows domain [1, 16] ins(%x : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    // The workspace of a kernel is between guards, too: 192 bytes and 128.
    // CHECK: nn.kernel "b" {{.+}}locations = [#nn.location<5, 512>], workspace = #nn.location<5, 256>, workspace_bytes = 128
    %b = nn.kernel "b" #nn.rows domain [1, 16] ins(%a : <16>) maps [#row, #row] gathers [[], []] tied [-1]
        attributes {workspace_bytes = 128 : i64} -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    %s = nn.kernel "s" #nn.rows domain [1, 16] ins(%b : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    %t = nn.kernel "t" #nn.rows domain [1, 16] ins(%b : <16>) maps [#row, #row] gathers [[], []] tied [-1] -> <16> {
    ^bb0(%v: f32):
      nn.kernel_yield %v : f32
    }
    return %s, %t : !nn.tensor<16>, !nn.tensor<16>
  }

  // 384 bytes of inputs, 512 of saved values, 768 of the workspace.
  // CHECK: pipe.program @train micro_batches 1 arena 1664 {
  pipe.program @train micro_batches 1 {
    // CHECK: pipe.buffer input "x" 64 at 64
    %x = pipe.buffer input "x" 64
    // CHECK: pipe.buffer input "other" 16 at 256
    %other = pipe.buffer input "other" 16
    %s = pipe.buffer saved "s" 384
    pipe.run @f.forward F0> "f" at 0 saved(%s) (%x)
  }
}
