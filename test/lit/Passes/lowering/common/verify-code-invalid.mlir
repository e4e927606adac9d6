// RUN: contraflow-opt %s -lowering-verify-code -split-input-file -verify-diagnostics

// expected-error@+1 {{'func.func' op (C1) is left after the lowering, expected functions, constants and programs}}
func.func private @f()

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'nn.zero' op (C1) is in a function, expected operations of llvm, scf, arith, math and vector}}
  %z = nn.zero : <8>
  llvm.return
}

// -----

llvm.func @f.forward(!llvm.ptr)
pipe.program @train micro_batches 1 arena 64 {
  // expected-error@+1 {{'pipe.run' op (C2) runs 'f.forward', which has no code}}
  pipe.run @f.forward F0> "f" at 0 ()
}

// -----

// expected-note@+1 {{the function}}
llvm.func internal @f.forward(%bases: !llvm.ptr) {
  llvm.return
}
pipe.program @train micro_batches 1 arena 64 {
  // expected-error@+1 {{'pipe.run' op (C2) runs 'f.forward', which has linkage internal, expected external}}
  pipe.run @f.forward F0> "f" at 0 ()
}

// -----

// expected-error@+1 {{'llvm.func' op (C2) is exported with type '!llvm.func<void (ptr, i64)>', expected '!llvm.func<void (ptr)>'}}
llvm.func @f.forward(%bases: !llvm.ptr, %count: i64) {
  llvm.return
}

// -----

// expected-error@+1 {{'llvm.func' op (C3) has no body, and only 'cf_parallel_for' comes from the runtime}}
llvm.func @expf(f32) -> f32

// -----

// expected-error@+1 {{'llvm.func' op (C3) is declared as '!llvm.func<void (ptr, ptr, i64)>', expected '!llvm.func<void (ptr, ptr, i64, i64)>'}}
llvm.func @cf_parallel_for(!llvm.ptr, !llvm.ptr, i64)

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'llvm.call' op (C3) calls an address, expected the name of a function}}
  llvm.call %bases() : !llvm.ptr, () -> ()
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  %bytes = arith.constant 64 : i64
  // expected-error@+1 {{'llvm.intr.memcpy' op (C3) becomes a call of libc}}
  "llvm.intr.memcpy"(%bases, %bases, %bytes) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'llvm.call_intrinsic' op (C3) is a call, expected llvm.call}}
  llvm.call_intrinsic "llvm.assume"() : () -> ()
  llvm.return
}

// -----

llvm.func @cf_parallel_for(!llvm.ptr, !llvm.ptr, i64, i64)
llvm.func @f(%bases: !llvm.ptr) {
  %one = arith.constant 1 : i64
  // expected-error@+1 {{'llvm.call' op (C4) is given something that is no function of the module}}
  llvm.call @cf_parallel_for(%bases, %bases, %one, %one) : (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
  llvm.return
}

// -----

llvm.func @cf_parallel_for(!llvm.ptr, !llvm.ptr, i64, i64)
llvm.func internal @k1(%environment: !llvm.ptr) {
  llvm.return
}
llvm.func @f(%bases: !llvm.ptr) {
  %one = arith.constant 1 : i64
  %task = llvm.mlir.addressof @k1 : !llvm.ptr
  // expected-error@+1 {{'llvm.call' op (C4) is given 'k1' of linkage internal and type '!llvm.func<void (ptr)>', expected internal and '!llvm.func<void (ptr, i64, i64, ptr)>'}}
  llvm.call @cf_parallel_for(%task, %bases, %one, %one) : (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
  llvm.return
}

// -----

llvm.func internal @k1(%bases: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr) {
  // expected-error@+1 {{'llvm.alloca' op (C5) takes stack of a size that is not constant}}
  %stack = llvm.alloca %end x f32 : (i64) -> !llvm.ptr
  llvm.return
}

// -----

llvm.func internal @k1(%bases: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr) {
  %one = arith.constant 1 : i64
  scf.for %i = %begin to %end step %one : i64 {
    // expected-error@+1 {{'llvm.alloca' op (C5) takes stack in a loop or a branch, expected it at the begin of a function}}
    %stack = llvm.alloca %one x f32 : (i64) -> !llvm.ptr
  }
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  %count = arith.constant 150000 : i64
  %first = llvm.alloca %count x f32 : (i64) -> !llvm.ptr
  // expected-error@+1 {{'llvm.alloca' op (C5) makes the function take more than 1048576 bytes of stack}}
  %second = llvm.alloca %count x f32 : (i64) -> !llvm.ptr
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  %x = arith.constant 1.0 : f32
  // expected-error@+1 {{'llvm.atomicrmw' op (C6) is atomic; sums have one order, whatever the number of threads}}
  %old = llvm.atomicrmw fadd %bases, %x monotonic : !llvm.ptr, f32
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'llvm.load' op (C6) is atomic; sums have one order, whatever the number of threads}}
  %x = llvm.load %bases atomic acquire {alignment = 4 : i64} : !llvm.ptr -> f32
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'llvm.load' op (C6) is volatile}}
  %x = llvm.load volatile %bases : !llvm.ptr -> f32
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  // expected-error@+1 {{'llvm.inline_asm' op (C6) is code that nobody can check}}
  llvm.inline_asm has_side_effects "nop", "" : () -> ()
  llvm.return
}

// -----

// expected-error@+1 {{'llvm.mlir.global' op (C7) is no constant, expected an internal constant}}
llvm.mlir.global internal @state(0 : i64) : i64

// -----

// expected-error@+1 {{'llvm.mlir.global' op (C7) is visible outside, expected an internal constant}}
llvm.mlir.global external constant @table(0 : i64) : i64

// -----

llvm.func @f(%bases: !llvm.ptr) {
  %x = llvm.load %bases : !llvm.ptr -> f32
  // expected-error@+1 {{'llvm.intr.exp' op (C3) may become a call of libm, expected what is an instruction on every processor}}
  %y = llvm.intr.exp(%x) : (f32) -> f32
  llvm.return
}

// -----

llvm.func @f(%bases: !llvm.ptr) {
  %x = llvm.load %bases : !llvm.ptr -> f32
  // expected-error@+1 {{'arith.remf' op (C3) may become a call of libm, expected what is an instruction on every processor}}
  %y = arith.remf %x, %x : f32
  llvm.return
}
