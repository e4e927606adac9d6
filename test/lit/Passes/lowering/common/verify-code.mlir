// RUN: contraflow-opt %s -lowering-verify-code -split-input-file -verify-diagnostics -o /dev/null
// What the lowering makes passes, with and without programs around it.

llvm.func @cf_parallel_for(!llvm.ptr, !llvm.ptr, i64, i64)
llvm.mlir.global internal constant @table0(dense<[1.0, 2.0]> : tensor<2xf32>) : !llvm.array<2 x f32>
llvm.func @f.forward(%bases: !llvm.ptr) {
  %one = arith.constant 1 : i64
  %environment = llvm.alloca %one x !llvm.ptr : (i64) -> !llvm.ptr
  %task = llvm.mlir.addressof @k1.scale : !llvm.ptr
  llvm.call @cf_parallel_for(%task, %environment, %one, %one) : (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
  llvm.return
}
llvm.func internal @k1.scale(%environment: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr) {
  %one = arith.constant 1 : i64
  scf.for %i = %begin to %end step %one : i64 {
    %x = llvm.load %scratch : !llvm.ptr -> vector<4xf32>
    %y = math.exp %x : vector<4xf32>
    llvm.store %y, %scratch : vector<4xf32>, !llvm.ptr
    llvm.call @helper(%scratch) : (!llvm.ptr) -> ()
  }
  llvm.return
}
llvm.func internal @helper(%scratch: !llvm.ptr) {
  llvm.return
}
pipe.parameter "w" of "f" at 0 [8] init "zeros" frozen
pipe.program @train micro_batches 1 arena 4096 {
  pipe.run @f.forward F0> "f" at 0 ()
}
