//===- MarkPhase.h - how far a module is, for contraflow-opt --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_MARKPHASE_H
#define CONTRAFLOW_PASSES_MARKPHASE_H

#include "llvm/ADT/StringRef.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace contraflow {

/// Adds a pass that refuses a module whose `nn.phase` is not the phase before `phase`.
void beginPhase(mlir::OpPassManager &pm, llvm::StringRef phase);

/// Adds a pass that sets `nn.phase`, where the module has one.
void finishPhase(mlir::OpPassManager &pm, llvm::StringRef phase);

void registerPhaseMarks();

} // namespace contraflow

#endif
