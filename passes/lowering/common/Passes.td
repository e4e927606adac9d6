//===- Passes.td - passes that lowerings of all targets share -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_PASSES_TD
#define CONTRAFLOW_PASSES_LOWERING_COMMON_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandMathPass : Pass<"lowering-expand-math"> {
  let summary = "turn functions of one variable into polynomials";
  let description = [{
    Rewrites `math.exp`, `exp2`, `log`, `log1p`, `tanh`, `erf`, `sin`, `cos` and `rsqrt` on f32 and vectors of f32
    into arithmetic, so that generated code calls no libm. Results are within 2.5 units in the last place (sine and cosine: within
    1e-7 for arguments below 2^17). What has no expansion and is no instruction is an error.
  }];
  let options = [
    Option<"fma", "fma", "bool", /*default=*/"true", "the target has fused multiply-add">
  ];
  let statistics = [Statistic<"numExpanded", "num-expanded", "operations that were expanded">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def DescribeChecksPass : Pass<"lowering-describe-checks", "::mlir::ModuleOp"> {
  let summary = "writes down for a checked trainer where the values of functions lie, and when";
  let description = [{
    In a module with `nn.checked` every function gets a `pipe.checks`: each value with its place, its lifetime and the
    kernels that read and write it, and the numbers that kernels take for places with their bounds. Lifetimes follow from the
    operations, places from the text; what the memory phase thought is not asked. Other modules stay as they are.
  }];
  let statistics = [Statistic<"numChecks", "num-checks", "values and ranges of numbers that are checked">];
  let dependentDialects = ["::contraflow::pipe::PipeDialect"];
}

def VerifyCodePass : Pass<"lowering-verify-code", "::mlir::ModuleOp"> {
  let summary = "check that code needs nothing but the runtime and touches nothing but planned memory";
  let description = [{
    What holds at the end of the lowering, checked on the IR alone, which may come from an edited file:

    - (C1) the module holds `llvm.func`, `llvm.mlir.global`, `pipe.program`, `pipe.parameter` and `pipe.checks`; functions hold
      operations of llvm, scf, arith, math and vector
    - (C2) every `pipe.run` runs an exported function of the module that has a body; what is exported is `void (ptr)`
    - (C3) the only declarations are `cf_parallel_for` and, in checked modules, `cf_check`, as `runtime/abi/Abi.h` has them; calls
      name their function, and nothing becomes a call of libc (memcpy, memmove, memset)
    - (C4) `cf_parallel_for` is given an internal function `void (ptr, i64, i64, ptr)` of the module
    - (C5) the stack does not grow: `llvm.alloca` has a constant size and stands outside of loops, and a function takes
      at most 1 MiB
    - (C6) bits do not depend on threads: no atomic or volatile access, no fence, no inline assembly
    - (C7) globals are internal constants
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif
