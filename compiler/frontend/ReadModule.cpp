//===- ReadModule.cpp - MLIR text whose errors are all there --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/ReadModule.h"

#include "compiler/errors/Errors.h"
#include "dialects/nn/NN.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SourceMgr.h"
#include <algorithm>

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// Regions, types and attributes in each other: the parser recurses, and no text that is meant has as many.
constexpr size_t kMaxNesting = 200;

/// The parser recurses for every operator of an affine map, too.
constexpr size_t kMaxMapLength = 4096;

/// Finds where a text would take the parser too deep. What is wrong with it otherwise is said by the parser.
///
/// Brackets nest, and so do aliases: one that names another one is as deep as what it stands for.
class NestingScanner {
public:
  explicit NestingScanner(StringRef text) : text(text) {}

  /// The offset of what is too deep.
  std::optional<size_t> find() {
    while (at < text.size()) {
      StringRef rest = text.substr(at);
      if (rest.front() == '"')
        skipString();
      else if (rest.starts_with("//"))
        at = std::min(text.find('\n', at), text.size());
      else if (rest.starts_with("->"))
        at += 2;
      else if (!visit(rest))
        return at;
      else
        at += std::max<size_t>(countName(rest), 1);
    }
    return std::nullopt;
  }

  /// What is wrong there.
  const std::string &getFault() const { return fault; }

private:
  /// A string ends with its line where its end is missing.
  void skipString() {
    for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
      at += text[at] == '\\';
    ++at;
  }

  /// Of a name, or of an alias with its mark.
  static size_t countName(StringRef rest) {
    size_t mark = rest.front() == '#' || rest.front() == '!';
    return mark + rest.drop_front(mark)
                      .take_while([](char c) { return llvm::isAlnum(c) || c == '_' || c == '$' || c == '.'; })
                      .size();
  }

  /// False where what begins here is too deep.
  bool visit(StringRef rest) {
    if (rest.front() == '#' || rest.front() == '!')
      return visitAlias(rest.take_front(countName(rest)), rest.drop_front(countName(rest)).ltrim());
    if (mapEnds && at > mapEnds) {
      fault = message<ErrorId::MapTooLong>(kMaxMapLength);
      return false;
    }
    StringRef name = rest.take_front(countName(rest));
    if (name == "affine_map" || name == "affine_set") {
      mapEnds = at + kMaxMapLength;
      mapLevel = open.size();
    }
    return visitBracket(rest.front());
  }

  /// `#name = ...` begins what an alias stands for, which goes on to the next one.
  bool visitAlias(StringRef name, StringRef behind) {
    if (open.empty() && behind.starts_with("=") && !behind.starts_with("==")) {
      defined = name;
      depths[defined] = 0;
      return true;
    }
    // None stands for itself: what comes now is the text behind the aliases.
    if (name == defined)
      defined = {};
    auto alias = depths.find(name);
    return alias == depths.end() || reach(open.size() + alias->second + 1);
  }

  /// `<` and `>` compare, too: a bracket of another kind closes what they left open.
  bool visitBracket(char c) {
    constexpr StringLiteral opening = "([{<", closing = ")]}>";
    if (opening.contains(c)) {
      open.push_back(c);
      return reach(open.size());
    }
    size_t kind = closing.find(c);
    if (kind == StringRef::npos || (c == '>' && (open.empty() || open.back() != '<')))
      return true;
    size_t partner = open.rfind(opening[kind]);
    if (partner != std::string::npos)
      open.resize(partner);
    if (open.size() <= mapLevel)
      mapEnds = 0;
    return true;
  }

  bool reach(size_t depth) {
    if (!defined.empty())
      depths[defined] = std::max(depths[defined], depth);
    if (depth > kMaxNesting)
      fault = message<ErrorId::TextTooDeep>(kMaxNesting);
    return fault.empty();
  }

  StringRef text;
  size_t at = 0;
  std::string open, fault;
  /// Where the map that is open must have ended, 0 without one; how much is open around it.
  size_t mapEnds = 0, mapLevel = 0;
  /// Levels of what an alias stands for, and the alias that was defined last.
  llvm::StringMap<size_t> depths;
  StringRef defined;
};

LogicalResult checkNesting(MLIRContext &context, const llvm::MemoryBuffer &file) {
  StringRef text = file.getBuffer();
  NestingScanner scanner(text);
  std::optional<size_t> offset = scanner.find();
  if (!offset)
    return success();
  StringRef before = text.take_front(*offset);
  size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return emitError(FileLineColLoc::get(&context, file.getBufferIdentifier(), before.count('\n') + 1, column))
         << scanner.getFault();
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
