//===- KernelsToLLVM.h - functions of kernels become code over addresses --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_KERNELSTOLLVM_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_KERNELSTOLLVM_H

#include "passes/lowering/cpu/Emitter.h"

namespace contraflow::cpu {

/// What `lowerKernels` has done.
struct LoweringStatistics {
  int64_t kernels = 0, shared = 0;
  int64_t scratchBytes = 0;
};

/// Emits a kernel by its anchor.
mlir::LogicalResult emitKernel(KernelEmission &kernel);

/// Replaces every `func.func` of the module by `llvm.func @name(%bases: !llvm.ptr)`, and
/// says in `nn.scratch_bytes` of the module what a worker needs.
mlir::FailureOr<LoweringStatistics> lowerKernels(mlir::ModuleOp module, const CpuTarget &target);

} // namespace contraflow::cpu

#endif
