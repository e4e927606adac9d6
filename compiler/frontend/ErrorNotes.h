//===- ErrorNotes.h - which keys an error of a model comes from -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_ERRORNOTES_H
#define CONTRAFLOW_COMPILER_FRONTEND_ERRORNOTES_H

#include "compiler/frontend/BindConfig.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace contraflow::frontend {

/// While this lives, an error at an operation of the model is reported once, however many instances of its
/// block have it, and notes say which keys of the JSON gave the names in the operation their values.
class ErrorNotes {
public:
  /// Both must outlive this.
  ErrorNotes(nn::ModelOp model, const BoundConfig &config);

private:
  mlir::LogicalResult handle(mlir::Diagnostic &diagnostic);

  const BoundConfig &config;
  /// Operations of the model and declarations of names.
  llvm::DenseMap<mlir::Location, mlir::Operation *> operations;
  llvm::StringMap<mlir::Operation *> declarations;
  llvm::DenseSet<mlir::Location> reported;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace contraflow::frontend

#endif
