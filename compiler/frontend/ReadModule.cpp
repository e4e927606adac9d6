//===- ReadModule.cpp - MLIR text whose errors are all there --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/ReadModule.h"

#include "compiler/errors/Errors.h"
#include "dialects/nn/NN.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/SourceMgr.h"
#include <algorithm>

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// Regions, types and attributes in each other: the parser recurses, and no text that is meant has as many.
constexpr size_t kMaxNesting = 200;

/// Finds where brackets are nested too deeply. What is wrong with them otherwise is said by the parser.
class NestingScanner {
public:
  explicit NestingScanner(StringRef text) : text(text) {}

  /// The offset of the first bracket that is too deep.
  std::optional<size_t> find() {
    while (at < text.size()) {
      if (text[at] == '"')
        skipString();
      else if (text.substr(at).starts_with("//"))
        at = std::min(text.find('\n', at), text.size());
      else if (!visit(text[at]))
        return at;
      else
        ++at;
    }
    return std::nullopt;
  }

private:
  /// A string ends with its line where its end is missing.
  void skipString() {
    for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
      at += text[at] == '\\';
    ++at;
  }

  /// False where a bracket is too deep. `<` and `>` compare, too, and `->` is an arrow: another bracket that
  /// closes closes what is open in it.
  bool visit(char c) {
    constexpr StringLiteral opening = "([{<", closing = ")]}>";
    if (opening.contains(c)) {
      open.push_back(c);
      return open.size() <= kMaxNesting;
    }
    size_t kind = closing.find(c);
    if (kind == StringRef::npos || (c == '>' && (open.empty() || open.back() != '<')))
      return true;
    size_t partner = open.rfind(opening[kind]);
    if (partner != std::string::npos)
      open.resize(partner);
    return true;
  }

  StringRef text;
  size_t at = 0;
  std::string open;
};

LogicalResult checkNesting(MLIRContext &context, const llvm::MemoryBuffer &file) {
  StringRef text = file.getBuffer();
  std::optional<size_t> offset = NestingScanner(text).find();
  if (!offset)
    return success();
  StringRef before = text.take_front(*offset);
  size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return emitError(FileLineColLoc::get(&context, file.getBufferIdentifier(), before.count('\n') + 1, column))
         << message<ErrorId::TextTooDeep>(kMaxNesting);
}

/// Whether an operation has the attributes and regions that its definition asks for, and breaks a numbered
/// constraint: those are looked at last.
bool isConstraint(Diagnostic &diagnostic) { return StringRef(diagnostic.str()).contains(" op (C"); }

class Verifier {
public:
  explicit Verifier(ModuleOp module) : module(module) {}

  LogicalResult run() {
    if (collect())
      return mlir::verify(module);
    llvm::stable_sort(diagnostics, [](const Diagnostic &lhs, const Diagnostic &rhs) {
      return getPlace(lhs) < getPlace(rhs);
    });
    for (Diagnostic &diagnostic : diagnostics)
      module.getContext()->getDiagEngine().emit(std::move(diagnostic));
    return failure();
  }

private:
  /// Whether everything holds that is verified here; what does not is in `diagnostics`.
  bool collect() {
    ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
      isMalformed |= !isConstraint(diagnostic);
      diagnostics.push_back(std::move(diagnostic));
    });
    bool holds = verify(module);
    // Nobody may look at what is malformed.
    if (!isMalformed)
      holds &= verifyNames();
    return holds;
  }

  static std::pair<unsigned, unsigned> getPlace(const Diagnostic &diagnostic) {
    auto place = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>();
    return place ? std::pair(place.getLine(), place.getColumn()) : std::pair(0u, 0u);
  }

  /// As MLIR does, what is in an operation counts only where the operation itself holds, and its regions as a
  /// whole only where everything in them does.
  bool verify(Operation *op) {
    if (failed(op->getName().verifyInvariants(op)))
      return false;
    bool holds = true;
    for (Region &region : op->getRegions())
      for (Operation &nested : region.getOps())
        holds &= verify(&nested);
    // Of tables of symbols, that is `verifyNames`.
    if (holds && !op->hasTrait<OpTrait::SymbolTable>())
      holds = succeeded(op->getName().verifyRegionInvariants(op));
    return holds;
  }

  bool verifyNames() {
    SymbolTableCollection symbols;
    bool holds = true;
    module.walk([&](SymbolUserOpInterface user) { holds &= succeeded(user.verifySymbolUses(symbols)); });
    for (auto model : module.getOps<nn::ModelOp>())
      holds &= succeeded(model.verifyRegions());
    return holds;
  }

  ModuleOp module;
  std::vector<Diagnostic> diagnostics;
  bool isMalformed = false;
};

} // namespace

OwningOpRef<ModuleOp> parseModule(MLIRContext &context, std::unique_ptr<llvm::MemoryBuffer> text) {
  if (failed(checkNesting(context, *text)))
    return nullptr;
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(text), llvm::SMLoc());
  return parseSourceFile<ModuleOp>(sources, ParserConfig(&context, /*verifyAfterParse=*/false));
}

LogicalResult verifyAll(ModuleOp module) { return Verifier(module).run(); }

} // namespace contraflow::frontend
