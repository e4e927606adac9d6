//===- ErrorNotes.cpp - which keys an error of a model comes from ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances of a block keep the locations of its operations, so that a location leads back to the text with
// its names.
//
//===----------------------------------------------------------------------===//
#include "compiler/frontend/ErrorNotes.h"

#include "llvm/ADT/SmallVectorExtras.h"
#include <functional>

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
  auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; };
  for (size_t at = text.find(word); at != StringRef::npos; at = text.find(word, at + 1)) {
    StringRef before = text.take_front(at), after = text.drop_front(at + word.size());
    if ((before.empty() || !isPart(before.back())) && (after.empty() || !isPart(after.front())))
      return true;
  }
  return false;
}

/// The names that an error of `op` is about.
struct ConcernedNames {
  /// In the attributes that the message mentions; of a message that mentions none, in all.
  Names attributes;
  /// In types. Empty where the message is about no size.
  Names types;
};

/// Whether the value of an attribute is written in the model itself.
bool isWritten(Attribute value) {
  auto expr = dyn_cast<nn::ExprAttr>(value);
  Names names;
  if (expr)
    collectNames(expr, names);
  return expr && names.empty();
}

ConcernedNames getNames(Operation *op, StringRef message, bool isOfValues) {
  ConcernedNames names;
  Names all;
  bool mentionsWritten = false;
  for (NamedAttribute attr : op->getAttrDictionary()) {
    collectNames(attr.getValue(), all);
    if (!mentions(message, attr.getName()))
      continue;
    collectNames(attr.getValue(), names.attributes);
    mentionsWritten |= isWritten(attr.getValue());
  }
  bool mentionsAttribute = !names.attributes.empty();
  // No key has a part in what the model says itself.
  if (!mentionsAttribute && mentionsWritten)
    return {};
  if (!mentionsAttribute)
    names.attributes = all;
  // A message without a number is about no size.
  if ((mentionsAttribute || all.empty()) && (isOfValues || llvm::any_of(message, llvm::isDigit)))
    for (TypeRange range : {TypeRange(op->getOperandTypes()), TypeRange(op->getResultTypes())})
      for (Type type : range)
        collectNames(type, names.types);
  return names;
}

/// Rows are in every type, and say something only where nothing else does.
void dropRows(ConcernedNames &names) {
  auto isRow = [](StringRef name) { return name == "tokens" || name == "batch"; };
  if (llvm::all_of(names.attributes, isRow) && llvm::all_of(names.types, isRow))
    return;
  names.attributes.remove_if(isRow);
  names.types.remove_if(isRow);
}

/// What `markValueError` leaves in a diagnostic.
constexpr llvm::StringLiteral kValueError = "value";

bool isMarked(Diagnostic &diagnostic) { return !diagnostic.getMetadata().empty(); }

bool isValueError(Diagnostic &diagnostic) {
  return isMarked(diagnostic) || StringRef(diagnostic.str()).contains(" op (C");
}

/// What is said once: at an operation, which may break several constraints; of a value, whatever needs it.
std::pair<const void *, std::string> getSubject(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  if (isMarked(diagnostic))
    return {nullptr, StringRef(text).split(" op ").second.str()};
  // Instances of a block differ in numbers.
  std::string constraint = isValueError(diagnostic) ? StringRef(text).split(", found ").first.str() : "";
  llvm::erase_if(constraint, llvm::isDigit);
  return {diagnostic.getLocation().getAsOpaquePointer(), constraint};
}

/// `qk_rope_head_dim = 33`.
std::string describeKey(const JsonValue &value) { return value.getKeyPath() + " = " + describe(value.get()); }

} // namespace

void markValueError(InFlightDiagnostic &diagnostic, ArrayRef<std::string> names) {
  Diagnostic *marked = diagnostic.getUnderlyingDiagnostic();
  marked->getMetadata().push_back(DiagnosticArgument(StringRef(kValueError)));
  // The context keeps the text of names.
  for (const std::string &name : names)
    marked->getMetadata().push_back(
        DiagnosticArgument(StringAttr::get(marked->getLocation().getContext(), name).getValue()));
}

ErrorNotes::ErrorNotes(nn::ModelOp model, const BoundConfig &config)
    : config(config),
      handler(model.getContext(), [this](Diagnostic &diagnostic) { return handle(diagnostic); }) {
  model->walk([&](Operation *op) { operations.try_emplace(op->getLoc(), op); });
  for (auto key : model.getBody().getOps<nn::ConfigOp>())
    declarations[key.getName()] = key;
  for (auto let : model.getBody().getOps<nn::LetOp>())
    declarations[let.getName()] = let;
  model->walk([&](nn::CallOp call) {
    call.getCallee().walk([&](nn::BlockRefAttr ref) {
      references[ref.getBlock().getValue()].emplace_back(ref, call->getParentOfType<nn::BlockOp>());
    });
  });
}

void ErrorNotes::addDimensions(Operation *op, llvm::SetVector<StringRef> &names) {
  SmallVector<std::pair<nn::BlockOp, StringRef>> dims;
  auto add = [&](nn::BlockOp block, StringRef name) {
    if (block && llvm::is_contained(block.getDims().getAsValueRange<StringAttr>(), name) &&
        !llvm::is_contained(dims, std::pair(block, name)))
      dims.emplace_back(block, name);
  };
  for (StringRef name : names)
    add(op->getParentOfType<nn::BlockOp>(), name);
  for (size_t i = 0; i < dims.size(); ++i) {
    auto [block, name] = dims[i];
    size_t number = std::distance(block.getDims().begin(),
                                  llvm::find(block.getDims(), StringAttr::get(block.getContext(), name)));
    for (auto &[reference, outer] : references.lookup(block.getSymName())) {
      if (number >= reference.getDims().size())
        continue;
      Names given;
      collectNames(reference.getDims()[number], given);
      names.insert_range(given);
      for (StringRef inner : given)
        add(outer, inner);
    }
  }
}

void ErrorNotes::addSources(llvm::SetVector<StringRef> names, Diagnostic &diagnostic,
                            std::vector<Source> &sources) {
  // The list grows by what computed values are computed from.
  for (size_t i = 0; i < names.size(); ++i) {
    StringRef name = names[i];
    if (llvm::any_of(sources, [&](const Source &source) { return source.name == name; }))
      continue;
    if (auto source = config.sources.find(name); source != config.sources.end()) {
      sources.push_back({name.str(), source->second});
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
}

/// Whether an error is about a text that no key has: the model itself says it.
static bool isOfWrittenText(Diagnostic &diagnostic, ArrayRef<JsonValue> keys) {
  std::string message = diagnostic.str();
  StringRef found = StringRef(message).rsplit(", found ").second;
  return found.starts_with("\"") &&
         llvm::none_of(keys, [&](const JsonValue &key) { return describe(key.get()) == found; });
}

std::vector<ErrorNotes::Source> ErrorNotes::findSources(Operation *op, Diagnostic &diagnostic) {
  ConcernedNames names;
  for (DiagnosticArgument &name : llvm::drop_begin(diagnostic.getMetadata(), isMarked(diagnostic)))
    names.attributes.insert(name.getAsString());
  if (names.attributes.empty())
    names = getNames(op, diagnostic.str(), isValueError(diagnostic));
  addDimensions(op, names.attributes);
  dropRows(names);
  std::vector<Source> sources;
  addSources(names.attributes, diagnostic, sources);
  for (Source &source : sources)
    source.isOfAttribute = true;
  addSources(names.types, diagnostic, sources);
  return sources;
}

/// Of several keys, the error is at the one that probably causes it: one that the command line sets; what
/// something is to be a multiple of; one whose value the message mentions; one that is null; where a size is
/// too large, the largest; or else the first.
static size_t findLeader(ArrayRef<JsonValue> keys, Diagnostic &diagnostic) {
  std::string message = diagnostic.str();
  // "8 and 3": the last number.
  StringRef divisor = StringRef(message).contains("multiple of") ? StringRef(message).rsplit(' ').second : "";
  std::function<bool(const JsonValue &)> signs[] = {
      [](const JsonValue &key) { return key.isAssigned(); },
      [&](const JsonValue &key) { return describe(key.get()) == divisor; },
      [&](const JsonValue &key) { return mentions(message, describe(key.get())); },
      [](const JsonValue &key) { return key.get().is_null(); }};
  for (const auto &sign : signs)
    if (const JsonValue *found = llvm::find_if(keys, sign); found != keys.end())
      return found - keys.begin();
  size_t largest = 0;
  for (size_t i = 0; isMarked(diagnostic) && i < keys.size(); ++i)
    if (keys[i].get().is_number() &&
        (!keys[largest].get().is_number() || keys[i].get() > keys[largest].get()))
      largest = i;
  return largest;
}

void ErrorNotes::reportAtKey(Diagnostic &diagnostic, ArrayRef<Source> sources) {
  // Types lead only where attributes have no key.
  SmallVector<JsonValue> keys;
  for (const Source &source : sources)
    if (source.isOfAttribute || !sources.front().isOfAttribute)
      keys.push_back(source.value);
  size_t leader = findLeader(keys, diagnostic);
  MLIRContext *context = diagnostic.getLocation().getContext();
  InFlightDiagnostic moved = emitError(sources[leader].value.getLoc(context));
  moved << describeKey(sources[leader].value) << ": " << diagnostic.str();
  moved.attachNote(diagnostic.getLocation()) << "the operation";
  for (Diagnostic &note : diagnostic.getNotes())
    moved.attachNote(note.getLocation()) << note.str();
  for (auto [i, source] : llvm::enumerate(sources))
    if (i != leader)
      moved.attachNote(source.value.getLoc(context))
          << describeKey(source.value) << " is '" << source.name << "'";
}

LogicalResult ErrorNotes::handle(Diagnostic &diagnostic) {
  // Failure hands the diagnostic to the next handler, success ends it here.
  auto found = operations.find(diagnostic.getLocation());
  if (found == operations.end() || diagnostic.getSeverity() == DiagnosticSeverity::Remark)
    return failure();
  if (!reported.insert(getSubject(diagnostic)).second)
    return success();
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    return failure();
  std::vector<Source> sources = findSources(found->second, diagnostic);
  auto keys = llvm::map_to_vector(sources, [](const Source &source) { return source.value; });
  if (!sources.empty() && isValueError(diagnostic) && !isOfWrittenText(diagnostic, keys)) {
    reportAtKey(diagnostic, sources);
    return success();
  }
  for (const Source &source : sources)
    diagnostic.attachNote(source.value.getLoc(found->second->getContext()))
        << describeKey(source.value) << " is '" << source.name << "'";
  return failure();
}

} // namespace contraflow::frontend
