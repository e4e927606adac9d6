//===- Passes.td - passes that turn kernels into code for the CPU ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_PASSES_TD
#define CONTRAFLOW_PASSES_LOWERING_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def KernelsToLLVMPass : Pass<"lowering-cpu-kernels-to-llvm", "::mlir::ModuleOp"> {
  let summary = "turn functions of kernels into functions over memory addresses";
  let description = [{
    Every `func.func` becomes `llvm.func @name(%bases: !llvm.ptr)`, which runs the kernels one after the
    other; each kernel becomes one or more private functions that `cf_parallel_for` runs in tasks.
    Equal kernels share their code, in whatever functions they are.

    The memory phase has written where everything lies: `nn.location` on the arguments of functions, `locations` on kernels.
    A value at `#nn.location<base, offset>` starts `offset` bytes after `bases[base]`. Loops are scf over vectors of the target's
    width; what is left of the module is scf, arith, math, vector and llvm.
  }];
  let options = [
    Option<"lanes", "lanes", "int64_t", /*default=*/"0",
           "f32 lanes of a vector register: 16, 8 or 4; 0 takes what this machine has">
  ];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "kernels">,
    Statistic<"numShared", "num-shared", "kernels whose code another kernel has already">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
}

def ExpandMathPass : Pass<"lowering-cpu-expand-math"> {
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

#endif
