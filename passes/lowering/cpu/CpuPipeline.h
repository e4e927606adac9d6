//===- CpuPipeline.h - kernels in, an object out --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_CPUPIPELINE_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_CPUPIPELINE_H

#include "passes/lowering/cpu/CpuMachine.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace contraflow::cpu {

struct CompiledObject {
  /// A relocatable object (ELF); its only undefined symbols are functions of runtime/abi.
  std::string object;
  /// Functions that it exports, `void name(void *const *bases)`, in the order of the module.
  std::vector<std::string> functions;
  /// Scratch that `cf_parallel_for` has to give to each worker.
  int64_t scratchBytes = 0;
};

/// Lets a context hold and translate what the pipeline makes of kernels.
void registerCpuPipelineDialects(mlir::DialectRegistry &registry);

/// From `func.func` of kernels with locations (or what lowering-cpu-kernels-to-llvm makes of them) to
/// machine code. The module is consumed: afterwards it holds the LLVM dialect. Diagnostics of the module's
/// context come with the error.
llvm::Expected<CompiledObject> compileToObject(mlir::ModuleOp module, const CpuMachine &machine);

} // namespace contraflow::cpu

#endif
