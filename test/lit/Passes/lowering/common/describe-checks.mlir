// RUN: contraflow-opt %s -lowering-describe-checks | FileCheck %s

// A saved value that others know by its name, a value that dies in the workspace, a result that is added to an
// argument, the workspace of a kernel, and ids that choose rows.
module attributes {nn.checked} {
  func.func @f.forward(%x: !nn.tensor<4 x 8> {nn.role = #nn.role<input, "x">, nn.location = #nn.location<7, 0>},
                       %ids: !nn.tensor<4 : i32> {nn.role = #nn.role<input, "ids">, nn.location = #nn.location<8, 0>},
                       %load: !nn.tensor<8> {nn.role = #nn.role<load, "load">, nn.location = #nn.location<9, 0>})
      -> (!nn.tensor<4 x 8> {nn.role = #nn.role<saved, "y.0">, nn.location = #nn.location<4, 64>},
          !nn.tensor<8> {nn.role = #nn.role<load, "load", tied = 2>, nn.location = #nn.location<9, 0>}) attributes {nn.workspace_bytes = 512 : i64} {
    %a = nn.kernel "double" #nn.rows domain [4, 8] ins(%x : <4 x 8>)
      maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<5, 64>]} -> <4 x 8> {
    ^bb0(%0: f32):
      %1 = arith.addf %0, %0 : f32
      nn.kernel_yield %1 : f32
    }
    %b = nn.kernel "pick" #nn.rows domain [4, 8] ins(%ids, %a : <4 : i32>, <4 x 8>)
      maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1) -> (d0, d1)>]
      gathers [[], [0], []] tied [-1]
      attributes {locations = [#nn.location<4, 64>], workspace_bytes = 128 : i64, workspace = #nn.location<5, 320>} -> <4 x 8> {
    ^bb0(%0: i32, %1: f32):
      nn.kernel_yield %1 : f32
    }
    %c = nn.kernel "count" #nn.column_reduce domain [4, 8] ins(%b, %load : <4 x 8>, <8>)
      maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>]
      gathers [[], [], []] tied [1] attributes {locations = [#nn.location<9, 0>]} -> <8> {
    ^bb0(%0: f32, %1: f32):
      nn.kernel_yield %0 : f32
    }
    return %b, %c : !nn.tensor<4 x 8>, !nn.tensor<8>
  }
}

// CHECK:      pipe.checks @f.forward ["double", "pick", "count"] {
// CHECK-NEXT:   pipe.check_value "x" base 7 at 0 bytes 128 from -1 to 3 reads [0] writes []
// CHECK-NEXT:   pipe.check_value "ids" base 8 at 0 bytes 16 from -1 to 3 reads [1] writes [] ids
// CHECK-NEXT:   pipe.check_value "load" base 9 at 0 bytes 32 from -1 to 3 reads [] writes [2]
// CHECK-NEXT:   pipe.check_value "double" base 5 at 64 bytes 128 from 0 to 1 reads [1] writes [0] guard
// CHECK-NEXT:   pipe.check_value "y.0" base 4 at 64 bytes 128 from 1 to 3 reads [2] writes [1] guard
// CHECK-NEXT:   pipe.check_value "pick workspace" base 5 at 320 bytes 128 from 1 to 1 reads [] writes [] guard
// CHECK-NEXT:   pipe.check_ids index of 1 base 8 at 0 count 4 from -1 below 4
// CHECK-NEXT: }
