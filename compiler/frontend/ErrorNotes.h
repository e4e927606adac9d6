//===- ErrorNotes.h - which keys an error of a model comes from -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_ERRORNOTES_H
#define CONTRAFLOW_COMPILER_FRONTEND_ERRORNOTES_H

#include "compiler/frontend/BindConfig.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include <set>
#include <string>
#include <utility>

namespace contraflow::frontend {

/// Says of an error at an operation that the values of these names make it, and not the graph as it is
/// written. So are those of numbered constraints, which are checked on values. `wanted` is what the value has
/// to be, where it is something else.
void markValueError(mlir::InFlightDiagnostic &diagnostic, llvm::ArrayRef<std::string> names,
                    nn::ValueKind wanted = nn::ValueKind::Any);

/// The location of an operation that is written for a call, with the names of the configuration that each
/// dimension of the block was computed from.
mlir::Location makeLoc(mlir::Location place, mlir::Location call, mlir::DictionaryAttr origins);
/// The place in the text.
mlir::Location getPlace(mlir::Location location);

/// While this lives, an error or a warning at an operation of the model is reported once, however many
/// instances of its block have it, and notes say which keys of the JSON gave the names in the operation their
/// values. An error that values make is reported at the key, with a note at the operation, unless no value of
/// a key could mend it.
class ErrorNotes {
public:
  /// Both must outlive this.
  ErrorNotes(nn::ModelOp model, const BoundConfig &config);

private:
  /// A name, and the key that gave it its value.
  struct Source {
    std::string name;
    JsonValue value;
    /// Of a name in an attribute, and not only in types.
    bool isOfAttribute = false;
  };

  mlir::LogicalResult handle(mlir::Diagnostic &diagnostic);
  /// Whether an error might not be there, were it not for guesses.
  bool isOfGuess(mlir::Operation *op, mlir::Diagnostic &diagnostic) const;
  /// The sources of the names that an error is about, and of what these are computed from. Values that no key
  /// gives become notes.
  std::vector<Source> findSources(mlir::Operation *op, mlir::Diagnostic &diagnostic);
  void addSources(llvm::SetVector<llvm::StringRef> names, mlir::Diagnostic &diagnostic,
                  std::vector<Source> &sources);
  /// Of the sources that an error may be reported at: those of attributes or, where these have no key, of
  /// types.
  std::vector<Source> getLeaders(mlir::Diagnostic &diagnostic, llvm::ArrayRef<Source> sources) const;
  void reportAtKey(mlir::Diagnostic &diagnostic, llvm::ArrayRef<Source> leaders,
                   llvm::ArrayRef<Source> sources);
  void reportAtModel(mlir::Diagnostic &diagnostic, llvm::ArrayRef<Source> sources);

  const BoundConfig &config;
  /// Operations of the model and declarations of names.
  llvm::DenseMap<mlir::Location, mlir::Operation *> operations;
  llvm::StringMap<mlir::Operation *> declarations;
  /// What was said of which location.
  std::set<std::pair<const void *, std::string>> reported;
  /// While a diagnostic is handed on.
  bool isHandingOn = false;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace contraflow::frontend

#endif
