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
           "f32 lanes of a vector register: 16, 8 or 4; 0 takes what the processor has">,
    Option<"processor", "isa", "std::string", /*default=*/"\"\"",
           "processor as LLVM names it, or native; empty takes the attribute nn.isa of the module, or native">
  ];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "kernels">,
    Statistic<"numShared", "num-shared", "kernels whose code another kernel has already">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
}

#endif
