//===- CpuPipeline.h - kernels in, an object out --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_CPUPIPELINE_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_CPUPIPELINE_H

#include "passes/lowering/cpu/Emitter.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace contraflow::cpu {

/// A processor as LLVM names it, and how kernels are cut for it.
struct CpuMachine {
  std::string triple;
  std::string cpu;
  /// Comma-separated, each with + or -; empty for what the processor's name says.
  std::string features;
  /// Instruction sets that code for this machine may use, as LLVM names them ("avx512f"); sorted.
  std::vector<std::string> enabled;
  CpuTarget target;
  bool hasFma = false;

  /// `isa`: "native" for the machine that we are on, or a processor name of LLVM ("x86-64-v3", "znver5").
  static llvm::Expected<CpuMachine> get(llvm::StringRef isa);
};

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
