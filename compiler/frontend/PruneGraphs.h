//===- PruneGraphs.h - drops what neither training nor generation needs ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_PRUNEGRAPHS_H
#define CONTRAFLOW_COMPILER_FRONTEND_PRUNEGRAPHS_H

#include "mlir/IR/BuiltinOps.h"

namespace contraflow::frontend {

/// What a kind of `@generate` is called, given the name of the same kind in `@train`.
std::string getGenerateName(llvm::StringRef trainName);

/// Of the graphs `@train` and `@generate` and their kinds, drops operations and arguments that nothing uses,
/// and from
/// `@generate` what the logits do not need. A parameter that training does not use is dropped with a warning:
/// a checkpoint would carry it for nothing. All other parameters stay in both, so that a kind has one layout.
///
/// Fails with a diagnostic if two parameters have one name, or there is no output "logits".
llvm::LogicalResult pruneGraphs(mlir::ModuleOp module);

} // namespace contraflow::frontend

#endif
