//===- CodeChecks.h - what generated code may do -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_CODECHECKS_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_CODECHECKS_H

#include "mlir/IR/BuiltinOps.h"

namespace contraflow::lowering {

/// Checks the constraints of `lowering-verify-code` (Passes.td); the first that does not hold is a
/// diagnostic at its operation. Nothing is taken from the lowering.
mlir::LogicalResult verify(mlir::ModuleOp module);

} // namespace contraflow::lowering

#endif
