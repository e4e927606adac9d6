//===- ErrorNotes.cpp - which keys an error of a model comes from ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances of a block keep the places of its operations, so that a location leads back to the text with its
// names, and say where its dimensions come from.
//
//===----------------------------------------------------------------------===//
#include "compiler/frontend/ErrorNotes.h"

#include "dialects/nn/OpChecks.h"
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
      if (name == "true" || name == "false")
        return;
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

/// The names whose values make an error, where it says them.
ArrayRef<StringRef> getNames(const std::optional<nn::ErrorSubject> &subject) {
  return subject ? ArrayRef(subject->names) : ArrayRef<StringRef>();
}

bool isMarked(Diagnostic &diagnostic) { return !getNames(nn::ErrorSubject::get(diagnostic)).empty(); }

bool isValueError(Diagnostic &diagnostic) {
  return isMarked(diagnostic) || StringRef(diagnostic.str()).contains(" op (C");
}

/// What a diagnostic says before ", found": which constraint is violated. Instances of a block differ in
/// values, which are signed numbers, types and attributes; operands and results are counted by unsigned ones.
std::string describeConstraint(Diagnostic &diagnostic) {
  std::string text;
  for (DiagnosticArgument &argument : diagnostic.getArguments()) {
    if (argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::Unsigned)
      text += std::to_string(argument.getAsUnsigned());
    if (argument.getKind() != DiagnosticArgument::DiagnosticArgumentKind::String)
      continue;
    auto [before, found] = argument.getAsString().split(", found ");
    text += before;
    if (before.size() < argument.getAsString().size())
      break;
  }
  return text;
}

/// What is said once: at an operation, which may break several constraints; of a value, whatever needs it.
std::pair<const void *, std::string> getSubject(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  if (isMarked(diagnostic))
    return {nullptr, StringRef(text).split(" op ").second.str()};
  std::string constraint = isValueError(diagnostic) ? describeConstraint(diagnostic) : "";
  return {getPlace(diagnostic.getLocation()).getAsOpaquePointer(), constraint};
}

/// `qk_rope_head_dim = 33`.
std::string describeKey(const JsonValue &value) { return value.getKeyPath() + " = " + describe(value.get()); }

} // namespace

void markValueError(InFlightDiagnostic &diagnostic, ArrayRef<std::string> names, nn::ValueKind wanted) {
  nn::ErrorSubject{"", wanted, llvm::to_vector_of<StringRef>(names)}.attachTo(diagnostic);
}

Location makeLoc(Location place, Location call, DictionaryAttr origins) {
  return FusedLoc::get(place.getContext(), {place, call}, origins);
}

Location getPlace(Location location) {
  auto fused = dyn_cast<FusedLoc>(location);
  return fused ? fused.getLocations().front() : location;
}

/// The names in the configuration of `names`, some of which may be dimensions of the block around an
/// operation.
static Names resolveDimensions(Location location, const Names &names) {
  auto fused = dyn_cast<FusedLoc>(location);
  auto origins = fused ? dyn_cast_or_null<DictionaryAttr>(fused.getMetadata()) : DictionaryAttr();
  Names resolved;
  for (StringRef name : names)
    if (auto given = origins ? origins.getAs<ArrayAttr>(name) : ArrayAttr())
      resolved.insert_range(given.getAsValueRange<StringAttr>());
    else
      resolved.insert(name);
  return resolved;
}

ErrorNotes::ErrorNotes(nn::ModelOp model, const BoundConfig &config)
    : config(config),
      handler(model.getContext(), [this](Diagnostic &diagnostic) { return handle(diagnostic); }) {
  model->walk([&](Operation *op) { operations.try_emplace(op->getLoc(), op); });
  for (auto key : model.getBody().getOps<nn::ConfigOp>())
    declarations[key.getName()] = key;
  for (auto let : model.getBody().getOps<nn::LetOp>())
    declarations[let.getName()] = let;
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
    Names parts;
    collectNames(declaration->getAttrDictionary(), parts);
    names.insert_range(parts);
    auto value = config.environment.find(name);
    bool isKey = isa<nn::ConfigOp>(declaration);
    if (value != config.environment.end() && (isKey || parts.empty()))
      diagnostic.attachNote(declaration->getLoc()) << "'" << name << "' is " << nn::describe(value->second)
                                                   << (!parts.empty() ? ", computed here"
                                                       : isKey        ? ", as no key says otherwise"
                                                                      : "");
  }
}

/// Whether an error is about a text that no key has: the model itself says it.
static bool isOfWrittenText(Diagnostic &diagnostic, ArrayRef<JsonValue> keys) {
  std::string message = diagnostic.str();
  StringRef found = StringRef(message).rsplit(", found ").second;
  return found.starts_with("\"") &&
         llvm::none_of(keys, [&](const JsonValue &key) { return describe(key.get()) == found; });
}

/// The names in the configuration that an error is about.
static ConcernedNames findNames(Operation *op, Diagnostic &diagnostic) {
  std::optional<nn::ErrorSubject> subject = nn::ErrorSubject::get(diagnostic);
  ConcernedNames names;
  names.attributes.insert_range(getNames(subject));
  if (names.attributes.empty())
    names = getNames(op, diagnostic.str(), isValueError(diagnostic));
  // No size has a part in what is wrong with one attribute.
  if (subject && !subject->attribute.empty())
    names.types.clear();
  names.attributes = resolveDimensions(diagnostic.getLocation(), names.attributes);
  names.types = resolveDimensions(diagnostic.getLocation(), names.types);
  dropRows(names);
  return names;
}

bool ErrorNotes::isOfGuess(Operation *op, Diagnostic &diagnostic) const {
  if (config.unknown.empty())
    return false;
  // What is no error of values may be one of guesses.
  if (!isValueError(diagnostic))
    return true;
  auto isGuessed = [&](StringRef name) { return config.unknown.contains(name); };
  ConcernedNames names = findNames(op, diagnostic);
  if (llvm::any_of(names.attributes, isGuessed) || llvm::any_of(names.types, isGuessed))
    return true;
  // Whether the operation is there may be a guess, too.
  for (auto choice = op->getParentOfType<nn::IfOp>(); choice; choice = choice->getParentOfType<nn::IfOp>()) {
    Names condition;
    collectNames(choice.getCondition(), condition);
    if (llvm::any_of(resolveDimensions(diagnostic.getLocation(), condition), isGuessed))
      return true;
  }
  return false;
}

std::vector<ErrorNotes::Source> ErrorNotes::findSources(Operation *op, Diagnostic &diagnostic) {
  ConcernedNames names = findNames(op, diagnostic);
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

std::vector<ErrorNotes::Source> ErrorNotes::getLeaders(Diagnostic &diagnostic,
                                                       ArrayRef<Source> sources) const {
  std::vector<Source> leaders;
  auto keys = llvm::map_to_vector(sources, [](const Source &source) { return source.value; });
  if (!isValueError(diagnostic) || isOfWrittenText(diagnostic, keys))
    return leaders;
  std::optional<nn::ErrorSubject> subject = nn::ErrorSubject::get(diagnostic);
  nn::ValueKind wanted = subject ? subject->wanted : nn::ValueKind::Any;
  for (const Source &source : sources) {
    bool isConcerned = source.isOfAttribute || !sources.front().isOfAttribute;
    auto declaration = dyn_cast_or_null<nn::ConfigOp>(declarations.lookup(source.name));
    if (isConcerned && (source.value.get().is_null() || mayBe(declaration, source.name, wanted)))
      leaders.push_back(source);
  }
  return leaders;
}

void ErrorNotes::reportAtKey(Diagnostic &diagnostic, ArrayRef<Source> leaders, ArrayRef<Source> sources) {
  auto keys = llvm::map_to_vector(leaders, [](const Source &source) { return source.value; });
  const Source &leader = leaders[findLeader(keys, diagnostic)];
  MLIRContext *context = diagnostic.getLocation().getContext();
  InFlightDiagnostic moved = emitError(leader.value.getLoc(context));
  moved << describeKey(leader.value) << ": " << diagnostic.str();
  moved.attachNote(getPlace(diagnostic.getLocation())) << "the operation";
  for (Diagnostic &note : diagnostic.getNotes())
    moved.attachNote(getPlace(note.getLocation())) << note.str();
  for (const Source &source : sources)
    if (source.name != leader.name)
      moved.attachNote(source.value.getLoc(context))
          << describeKey(source.value) << " is '" << source.name << "'";
}

void ErrorNotes::reportAtModel(Diagnostic &diagnostic, ArrayRef<Source> sources) {
  MLIRContext *context = diagnostic.getLocation().getContext();
  InFlightDiagnostic moved =
      context->getDiagEngine().emit(getPlace(diagnostic.getLocation()), diagnostic.getSeverity());
  moved << diagnostic.str();
  bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
  if (auto fused = dyn_cast<FusedLoc>(diagnostic.getLocation()); fused && isError)
    if (auto call = dyn_cast_or_null<nn::CallOp>(operations.lookup(fused.getLocations().back())))
      moved.attachNote(call.getLoc())
          << "in '@" << call.getCallee().getBlock().getValue() << "', called here";
  for (Diagnostic &note : diagnostic.getNotes())
    moved.attachNote(getPlace(note.getLocation())) << note.str();
  for (const Source &source : sources)
    moved.attachNote(source.value.getLoc(context))
        << describeKey(source.value) << " is '" << source.name << "'";
  isHandingOn = true;
  moved.report();
  isHandingOn = false;
}

LogicalResult ErrorNotes::handle(Diagnostic &diagnostic) {
  // Failure hands the diagnostic to the next handler, success ends it here.
  auto found = operations.find(getPlace(diagnostic.getLocation()));
  if (isHandingOn || found == operations.end() || diagnostic.getSeverity() == DiagnosticSeverity::Remark)
    return failure();
  if (isOfGuess(found->second, diagnostic) || !reported.insert(getSubject(diagnostic)).second)
    return success();
  std::vector<Source> sources, leaders;
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
    sources = findSources(found->second, diagnostic);
    leaders = getLeaders(diagnostic, sources);
  }
  if (leaders.empty())
    reportAtModel(diagnostic, sources);
  else
    reportAtKey(diagnostic, leaders, sources);
  return success();
}

} // namespace contraflow::frontend
