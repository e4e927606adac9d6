//===- ManifestWriter.h - what the trainer is told, from the programs -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_LINKER_MANIFESTWRITER_H
#define CONTRAFLOW_COMPILER_LINKER_MANIFESTWRITER_H

#include "passes/lowering/cpu/CpuPipeline.h"
#include "runtime/abi/MemoryNeed.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace contraflow::linker {

/// The manifest of a module whose programs have addresses, without what the object decides (functions are
/// listed in the order of first use).
llvm::Expected<abi::Manifest> buildManifest(mlir::ModuleOp module);

struct Trainer {
  std::string sharedObject;
  std::string manifest;
  /// With a thread for every processor of this machine.
  abi::MemoryNeed memory;
};

/// Compiles what the lowering phase made; consumes the module.
llvm::Expected<Trainer> buildTrainer(mlir::ModuleOp module);

} // namespace contraflow::linker

#endif
