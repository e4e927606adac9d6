// The processor comes from the option, else from the module, else it is the one that we are on.
// RUN: contraflow-opt %s --lowering | FileCheck %s --check-prefixes=CHECK,MODULE
// RUN: contraflow-opt %s --lowering=isa=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,OPTION
// RUN: contraflow-opt %s --lowering-cpu-kernels-to-llvm=isa=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,PASS

// CHECK: nn.isa = "x86-64"
// CHECK: llvm.func internal @k1.twice
// MODULE: llvm.load %{{.+}} : !llvm.ptr -> vector<4xf32>
// OPTION: llvm.load %{{.+}} : !llvm.ptr -> vector<16xf32>
// PASS: llvm.load %{{.+}} : !llvm.ptr -> vector<8xf32>

module attributes {nn.isa = "x86-64"} {
  func.func @f(%x: !nn.tensor<64> {nn.location = #nn.location<7, 0>}) {
    %y = nn.kernel "twice" #nn.rows domain [64] ins(%x : <64>)
      maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] gathers [[], []] tied [-1]
      attributes {locations = [#nn.location<8, 0>]} -> <64> {
    ^bb0(%a: f32):
      %b = arith.addf %a, %a : f32
      nn.kernel_yield %b : f32
    }
    return
  }
}
