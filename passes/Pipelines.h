//===- Pipelines.h - the phases between a bound model and code ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_PIPELINES_H
#define CONTRAFLOW_PASSES_PIPELINES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace contraflow {

/// A phase that turns a module into a module. Each ends with a pass that verifies what it promises.
struct PhasePipeline {
  llvm::StringRef name;
  llvm::StringRef summary;
  void (*build)(mlir::OpPassManager &);
  /// Only the checks: for IR that comes from a file and may have been edited.
  void (*buildVerifier)(mlir::OpPassManager &);
};

/// In compile order: autodiff, fusion, schedule, memory, lowering. Each is a pipeline of contraflow-opt under
/// its name; lowering takes `isa`, and otherwise reads the processor from the module (`nn.isa`).
llvm::ArrayRef<PhasePipeline> getPhasePipelines();

void registerPhasePipelines();

} // namespace contraflow

#endif
