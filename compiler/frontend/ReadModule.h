//===- ReadModule.h - MLIR text whose errors are all there ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_READMODULE_H
#define CONTRAFLOW_COMPILER_FRONTEND_READMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace contraflow::frontend {

/// Parses and does not verify; null after a diagnostic. The identifier of `text` is the file in locations.
mlir::OwningOpRef<mlir::ModuleOp> parseModule(mlir::MLIRContext &context,
                                              std::unique_ptr<llvm::MemoryBuffer> text);

/// Verifies what MLIR verifies, and goes on after an error: all constraints that are broken are reported, in
/// the order of the text that operations come from.
mlir::LogicalResult verifyAll(mlir::ModuleOp module);

} // namespace contraflow::frontend

#endif
