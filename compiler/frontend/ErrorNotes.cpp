//===- ErrorNotes.cpp - which keys an error of a model comes from ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances of a block keep the locations of its operations, so that a location leads back to the text with
// its names.
//
//===----------------------------------------------------------------------===//
#include "compiler/frontend/ErrorNotes.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace contraflow::frontend {

namespace {

using Names = llvm::SetVector<StringRef>;

/// Adds the names in an attribute or a type.
template <typename T> void collectNames(T attributeOrType, Names &names) {
  attributeOrType.walk([&](nn::ExprAttr attr) {
    nn::getExpr(attr).forEachName([&](StringRef name) {
      // Names of an expression live no longer than it does.
      names.insert(StringAttr::get(attr.getContext(), name).getValue());
    });
  });
}

/// Whether `text` has `word` between characters that are none of a name.
bool mentions(StringRef text, StringRef word) {
  auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_'; };
  for (size_t at = text.find(word); at != StringRef::npos; at = text.find(word, at + 1)) {
    StringRef before = text.take_front(at), after = text.drop_front(at + word.size());
    if ((before.empty() || !isPart(before.back())) && (after.empty() || !isPart(after.front())))
      return true;
  }
  return false;
}

/// The names that an error of `op` is about: those in the attributes that the message mentions and in types;
/// of a message that mentions none, those in all attributes, or else in types.
Names getNames(Operation *op, StringRef message) {
  Names mentioned, all, types;
  for (NamedAttribute attr : op->getAttrDictionary()) {
    collectNames(attr.getValue(), all);
    if (mentions(message, attr.getName()))
      collectNames(attr.getValue(), mentioned);
  }
  // A message without a number is about no size.
  bool isOfSizes = llvm::any_of(message, llvm::isDigit);
  for (TypeRange range : {TypeRange(op->getOperandTypes()), TypeRange(op->getResultTypes())})
    for (Type type : range)
      if (isOfSizes)
        collectNames(type, types);
  if (mentioned.empty())
    return all.empty() ? types : all;
  mentioned.insert(types.begin(), types.end());
  return mentioned;
}

/// Rows are in every type, and say something only where nothing else does.
void dropRows(Names &names) {
  Names others = names;
  others.remove_if([](StringRef name) { return name == "tokens" || name == "batch"; });
  if (!others.empty())
    names = std::move(others);
}

/// `qk_rope_head_dim = 33`.
std::string describeKey(const JsonValue &value) { return value.getKeyPath() + " = " + describe(value.get()); }

} // namespace

ErrorNotes::ErrorNotes(nn::ModelOp model, const BoundConfig &config)
    : config(config),
      handler(model.getContext(), [this](Diagnostic &diagnostic) { return handle(diagnostic); }) {
  model->walk([&](Operation *op) { operations.try_emplace(op->getLoc(), op); });
  for (auto key : model.getBody().getOps<nn::ConfigOp>())
    declarations[key.getName()] = key;
  for (auto let : model.getBody().getOps<nn::LetOp>())
    declarations[let.getName()] = let;
}

LogicalResult ErrorNotes::handle(Diagnostic &diagnostic) {
  // Failure hands the diagnostic to the next handler, success ends it here.
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    return failure();
  if (!reported.insert(diagnostic.getLocation()).second)
    return success();
  auto found = operations.find(diagnostic.getLocation());
  if (found == operations.end())
    return failure();
  MLIRContext *context = found->second->getContext();
  Names names = getNames(found->second, diagnostic.str());
  // Dimensions of a block have the values that its call gives them.
  for (Diagnostic &note : diagnostic.getNotes())
    if (auto call = dyn_cast_or_null<nn::CallOp>(operations.lookup(note.getLocation())))
      collectNames(call.getCallee(), names);
  dropRows(names);
  // The list grows by what computed values are computed from.
  for (size_t i = 0; i < names.size(); ++i) {
    StringRef name = names[i];
    if (auto source = config.sources.find(name); source != config.sources.end()) {
      diagnostic.attachNote(source->second.getLoc(context))
          << describeKey(source->second) << " is '" << name << "'";
      continue;
    }
    Operation *declaration = declarations.lookup(name);
    if (!declaration)
      continue;
    collectNames(declaration->getAttrDictionary(), names);
    auto value = config.environment.find(name);
    if (value != config.environment.end() && isa<nn::ConfigOp>(declaration))
      diagnostic.attachNote(declaration->getLoc())
          << "'" << name << "' is " << nn::describe(value->second) << ", as no key says otherwise";
  }
  return failure();
}

} // namespace contraflow::frontend
