//===- BindConfig.cpp - values for the names of a model -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/BindConfig.h"

#include "compiler/errors/Errors.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// The value that a choice of `one_of` stands for.
nn::ExprValue toValue(Attribute choice) {
  if (auto text = dyn_cast<StringAttr>(choice))
    return text.getValue().str();
  if (auto boolean = dyn_cast<BoolAttr>(choice))
    return boolean.getValue();
  return cast<IntegerAttr>(choice).getInt();
}

/// The value of a scalar JSON value; nothing for lists, objects, and integers that do not fit.
std::optional<nn::ExprValue> toValue(const nlohmann::json &json) {
  if (json.is_boolean())
    return json.get<bool>();
  if (json.is_string())
    return json.get<std::string>();
  if (json.is_number_integer() && exceedsInt64(json))
    return std::nullopt;
  if (json.is_number_integer())
    return json.get<int64_t>();
  if (json.is_number_float())
    return json.get<double>();
  return std::nullopt;
}

std::string describeChoices(nn::ConfigOp config) {
  std::vector<std::string> choices;
  ArrayAttr listed = *config.getChoices();
  for (Attribute choice : listed)
    choices.push_back(nn::describe(toValue(choice)));
  std::string list = llvm::join(choices, ", ");
  return choices.size() == 1 ? list : "one of " + list;
}

/// `value` as a number; nothing if it is none.
std::optional<double> toNumber(const nn::ExprValue &value) {
  if (const auto *integer = std::get_if<int64_t>(&value))
    return double(*integer);
  if (const auto *number = std::get_if<double>(&value))
    return *number;
  return std::nullopt;
}

/// What a value has to be: of which kind and, if a number, in which range. Null is no bound.
class Wanted {
public:
  Wanted(nn::ConfigOp config, nn::ExprValue minimum, nn::ExprValue maximum)
      : minimum(std::move(minimum)), maximum(std::move(maximum)), config(config) {}

  /// `value`, as the kind has it; nothing if it is not what is wanted. A float is one even if it has no
  /// fraction: what a name may stand for must not depend on how a number is written.
  std::optional<nn::ExprValue> convert(nn::ExprValue value) {
    switch (config.getKind()) {
    case nn::ConfigKind::Dim:
    case nn::ConfigKind::Int:
      return std::holds_alternative<int64_t>(value) && isInRange(value) ? std::optional(value) : std::nullopt;
    case nn::ConfigKind::Float:
      return isInRange(value) && std::abs(*toNumber(value)) <= kFloats.most
                 ? std::optional<nn::ExprValue>(*toNumber(value))
                 : std::nullopt;
    case nn::ConfigKind::Bool:
      return std::holds_alternative<bool>(value) ? std::optional(value) : std::nullopt;
    case nn::ConfigKind::Text:
      return std::holds_alternative<std::string>(value) ? std::optional(value) : std::nullopt;
    case nn::ConfigKind::OneOf:
      break;
    }
    bool isListed =
        llvm::any_of(*config.getChoices(), [&](Attribute choice) { return toValue(choice) == value; });
    return isListed ? std::optional(value) : std::nullopt;
  }

  /// What `found` is not.
  std::string describe(const nlohmann::json &found) {
    switch (config.getKind()) {
    case nn::ConfigKind::Dim:
    case nn::ConfigKind::Int:
      return exceedsInt64(found)
                 ? "an integer of at most " + std::to_string(std::numeric_limits<int64_t>::max())
                 : "an integer" + describeRange();
    case nn::ConfigKind::Float:
      return found.is_number() && std::abs(found.get<double>()) > kFloats.most
                 ? "a number that single precision holds"
                 : "a number" + describeRange();
    case nn::ConfigKind::Bool:
      return "true or false";
    case nn::ConfigKind::Text:
      return "a string";
    case nn::ConfigKind::OneOf:
      break;
    }
    return describeChoices(config);
  }
  std::string describe() { return describe(nlohmann::json()); }

  nn::ExprValue minimum, maximum;

private:
  bool isInRange(const nn::ExprValue &value) const {
    std::optional<double> number = toNumber(value), low = toNumber(minimum), high = toNumber(maximum);
    return number && (!low || *number >= *low) && (!high || *number <= *high);
  }
  std::string describeRange() const {
    std::string low = nn::describe(minimum), high = nn::describe(maximum);
    bool hasLow = toNumber(minimum).has_value(), hasHigh = toNumber(maximum).has_value();
    if (hasLow && hasHigh)
      return " of " + low + " to " + high;
    return hasLow ? " of " + low + " or more" : hasHigh ? " of at most " + high : "";
  }

  nn::ConfigOp config;
};

/// Where the run file says none.
constexpr int64_t kGuessedSequence = 64;

class Binder {
public:
  Binder(nn::ModelOp model, const RunFile &run) : model(model), run(run), context(model.getContext()) {}

  BoundConfig bind() {
    refused.insert(run.refused.begin(), run.refused.end());
    bindBatch();
    bindModelType();
    for (Operation &op : model.getBody().getOps()) {
      if (auto config = dyn_cast<nn::ConfigOp>(op)) {
        std::optional<Wanted> wanted = getWanted(config);
        bindConfigValue(config, wanted);
        if (bound.unknown.contains(config.getName()))
          guess(config, wanted);
      } else if (auto let = dyn_cast<nn::LetOp>(op)) {
        bindLet(let);
      }
    }
    warnOfUnreadKeys(run.config, "");
    for (const char *section : RunFile::kModelSections)
      checkKeysOf(section);
    checkPositions();
    // A value that the run file refused has no error here.
    bound.holds = !failed && bound.unknown.empty();
    return std::move(bound);
  }

private:
  const JsonValue &getSource(nn::ConfigOp config) const { return config.getRun() ? run.run : run.config; }

  void bindBatch() {
    // The run file has reported what it lacks.
    if (run.sequence < 1)
      for (const char *name : {"batch", "seq", "tokens"})
        bound.unknown.insert(name);
    setBatch(bound.environment, std::max<int64_t>(run.getBatch(), 1),
             run.sequence < 1 ? kGuessedSequence : run.sequence);
    std::pair<StringRef, const char *> paths[] = {
        {"batch", "batch.tokens"}, {"seq", "batch.sequence"}, {"tokens", "batch.tokens"}};
    for (auto [name, path] : paths)
      if (std::optional<JsonValue> value = run.run.find(path))
        bound.sources.insert({name, *value});
  }

  void bindModelType() {
    std::optional<JsonValue> type = run.config.find("model_type");
    bound.environment["model_type"] = cast<StringAttr>(model.getModelTypes()[0]).getValue().str();
    auto types = model.getModelTypes().getAsValueRange<StringAttr>();
    std::string served = "\"" + llvm::join(types, "\", \"") + "\"";
    if (!type) {
      error(run.config.getLoc(context)) << message<ErrorId::ModelTypeMissing>(model.getSymName(), served);
      bound.unknown.insert("model_type");
      return;
    }
    if (!type->get().is_string()) {
      error(*type, message<ErrorId::ValueUnexpected>("a string", describe(type->get())));
      bound.unknown.insert("model_type");
      return;
    }
    std::string found = type->get().get<std::string>();
    if (!llvm::is_contained(types, found)) {
      error(*type, message<ErrorId::ModelTypeNotServed>(model.getSymName(), served, found));
      bound.unknown.insert("model_type");
      return;
    }
    bound.environment["model_type"] = nn::ExprValue(found);
    bound.sources.insert({"model_type", *type});
  }

  /// The first path that has a value; else a null, if there is one; else nothing. Other paths may repeat the
  /// value, as libraries do while keys change their names, and not contradict it.
  std::optional<JsonValue> lookUp(nn::ConfigOp config) {
    std::optional<JsonValue> null, found;
    for (StringRef path : config.getPaths().getAsValueRange<StringAttr>()) {
      std::optional<JsonValue> value = getSource(config).find(path.str());
      if (!value)
        continue;
      std::optional<JsonValue> &kept = value->get().is_null() ? null : found;
      if (!kept)
        kept = value;
      else if (kept->get() != value->get() && contradicted.insert(value->getKeyPath()).second)
        note(error(*value, message<ErrorId::KeysContradict>(describe(value->get()), kept->getKeyPath(),
                                                            describe(kept->get()))),
             config);
    }
    return found ? found : null;
  }

  /// Whether all that `config` reads from are objects where it has keys in them: `"rope_scaling": "yarn"` is
  /// no missing factor.
  bool checkObjects(nn::ConfigOp config) {
    bool ok = true;
    for (StringRef path : config.getPaths().getAsValueRange<StringAttr>())
      for (size_t end = path.find('.'); end != StringRef::npos; end = path.find('.', end + 1)) {
        std::optional<JsonValue> value = getSource(config).find(path.take_front(end).str());
        if (!value || value->get().is_object() || value->get().is_null())
          continue;
        ok = false;
        if (refused.insert(value->getKeyPath()).second)
          note(error(*value, message<ErrorId::ValueUnexpected>("an object", describe(value->get()))), config);
      }
    return ok;
  }

  void bindConfigValue(nn::ConfigOp config, std::optional<Wanted> &wanted) {
    StringRef name = config.getName();
    if (!checkDefault(config, wanted) || !checkObjects(config) || !wanted) {
      bound.unknown.insert(name);
      return;
    }
    std::optional<JsonValue> value = lookUp(config);
    if (value)
      bound.sources.insert({name, *value});
    if (value && !value->get().is_null()) {
      std::optional<nn::ExprValue> scalar = toValue(value->get());
      std::optional<nn::ExprValue> converted = scalar ? wanted->convert(*scalar) : std::nullopt;
      if (converted) {
        bound.environment[name] = *converted;
        return;
      }
      if (refused.insert(value->getKeyPath()).second)
        note(error(*value,
                   message<ErrorId::ValueUnexpected>(wanted->describe(value->get()), describe(value->get()))),
             config);
      bound.unknown.insert(name);
      return;
    }
    if (config.getIsOptional() && (value || !config.getDefaultValue())) {
      bound.environment[name] = nn::ExprValue();
      return;
    }
    std::optional<bool> hasDefault = decideDefault(config);
    if (hasDefault && *hasDefault) {
      bindDefault(config, *wanted);
      return;
    }
    bound.unknown.insert(name);
    if (hasDefault)
      reportMissing(config, value);
  }

  /// Nothing if a bound has an error, or depends on a value that has one.
  std::optional<Wanted> getWanted(nn::ConfigOp config) {
    nn::ExprValue minimum, maximum;
    if (config.getKind() == nn::ConfigKind::Dim || config.getKind() == nn::ConfigKind::Int)
      minimum = int64_t(config.getKind() == nn::ConfigKind::Dim);
    for (auto [attr, bound] :
         {std::pair{config.getMinimumAttr(), &minimum}, {config.getMaximumAttr(), &maximum}}) {
      if (!attr)
        continue;
      std::optional<nn::ExprValue> value = evaluate(config, attr);
      if (!value)
        return std::nullopt;
      // An optional value that is absent is no bound.
      if (!toNumber(*value) && !std::holds_alternative<std::monostate>(*value)) {
        error(config.getLoc()) << message<ErrorId::RangeNoNumber>(config.getName(), nn::describe(*value));
        return std::nullopt;
      }
      *bound = *value;
    }
    std::optional<double> low = toNumber(minimum), high = toNumber(maximum);
    if (!low || !high || *low <= *high)
      return Wanted(config, minimum, maximum);
    errorOf(config, nn::getExpr(config.getMaximum() ? *config.getMaximum() : *config.getMinimum()),
            message<ErrorId::RangeEmpty>(config.getName(), nn::describe(minimum), nn::describe(maximum)));
    return std::nullopt;
  }

  /// Whether a default that is written out is of the kind of `config`, be it needed here or not.
  bool checkDefault(nn::ConfigOp config, const std::optional<Wanted> &wanted) {
    if (!config.getDefaultValue())
      return true;
    llvm::Expected<nn::ExprValue> value =
        nn::getExpr(*config.getDefaultValue()).evaluate(nn::ExprEnvironment());
    if (!value) {
      llvm::consumeError(value.takeError());
      return true;
    }
    // The range may come from keys.
    Wanted kind(config, {}, {});
    if (kind.convert(*value))
      return true;
    error(config.getLoc()) << message<ErrorId::DefaultUnexpected>(
        config.getName(), wanted.value_or(kind).describe(), nn::describe(*value));
    return false;
  }

  /// Whether the default of `config` counts; nothing after an error, or if that depends on one.
  std::optional<bool> decideDefault(nn::ConfigOp config) {
    if (!config.getDefaultValue() || !config.getUnless())
      return config.getDefaultValue().has_value();
    std::optional<nn::ExprValue> exception = evaluate(config, *config.getUnless());
    if (!exception)
      return std::nullopt;
    if (const auto *boolean = std::get_if<bool>(&*exception))
      return !*boolean;
    error(config.getLoc()) << message<ErrorId::UnlessNoBool>(config.getName(), nn::describe(*exception));
    return std::nullopt;
  }

  void reportMissing(nn::ConfigOp config, const std::optional<JsonValue> &null) {
    if (null) {
      note(error(*null, message<ErrorId::ValueNull>()), config);
      return;
    }
    // The path that the file has most of.
    StringRef path = cast<StringAttr>(config.getPaths()[0]).getValue();
    JsonValue around = getSource(config);
    for (StringRef other : config.getPaths().getAsValueRange<StringAttr>())
      if (std::optional<JsonValue> parent = getSource(config).find(other.rsplit('.').first.str());
          parent && parent->get().is_object() && other.contains('.')) {
        path = other;
        around = *parent;
        break;
      }
    std::string hint;
    if (config.getUnless())
      hint = (", which has no default where " + config.getUnless()->getText()).str();
    SmallVector<StringRef> keys;
    for (const auto &[key, ignored] : around.get().items())
      keys.push_back(key);
    StringRef key = path.contains('.') ? path.rsplit('.').second : path;
    if (StringRef nearest = nn::getNearest(key, keys); !nearest.empty() && !isRead(config, nearest))
      hint += ("; did you mean '" + nearest + "' to be it?").str();
    note(error(around.getLoc(context)) << message<ErrorId::KeyMissing>(path, hint), config);
  }

  void bindDefault(nn::ConfigOp config, Wanted &wanted) {
    std::optional<nn::ExprValue> value = evaluate(config, *config.getDefaultValue());
    if (!value) {
      bound.unknown.insert(config.getName());
      return;
    }
    std::optional<nn::ExprValue> converted = wanted.convert(*value);
    if (!converted) {
      errorOf(config, nn::getExpr(*config.getDefaultValue()),
              message<ErrorId::DefaultUnexpected>(config.getName(), wanted.describe(), nn::describe(*value)));
      bound.unknown.insert(config.getName());
      return;
    }
    bound.environment[config.getName()] = *converted;
  }

  void bindLet(nn::LetOp let) {
    if (std::optional<nn::ExprValue> value = evaluate(let, let.getValue())) {
      bound.environment[let.getName()] = *value;
      return;
    }
    bound.unknown.insert(let.getName());
    bound.environment[let.getName()] = evaluateGuess(let.getValue());
  }

  /// With a value for a name that has an error, errors that do not depend on it can be found. The nearest to
  /// what is there says most.
  void guess(nn::ConfigOp config, const std::optional<Wanted> &wanted) {
    int64_t least = config.getKind() == nn::ConfigKind::Dim;
    Wanted range = wanted.value_or(Wanted(config, least, {}));
    std::vector<nn::ExprValue> candidates;
    if (auto source = bound.sources.find(config.getName()); source != bound.sources.end())
      candidates.push_back(toValue(source->second.get()).value_or(nn::ExprValue()));
    candidates.insert(candidates.end(), {range.maximum, range.minimum});
    if (config.getDefaultValue())
      candidates.push_back(evaluateGuess(*config.getDefaultValue()));
    candidates.insert(candidates.end(), {int64_t(1), false, std::string()});
    if (config.getChoices())
      candidates.push_back(toValue((*config.getChoices())[0]));
    nn::ExprValue &guessed = bound.environment[config.getName()];
    for (const nn::ExprValue &candidate : candidates)
      if (std::optional<nn::ExprValue> value = range.convert(candidate)) {
        guessed = *value;
        return;
      }
  }

  /// The value of an expression some names of which are guesses; null if it has none.
  nn::ExprValue evaluateGuess(nn::ExprAttr attr) {
    llvm::Expected<nn::ExprValue> value = nn::getExpr(attr).evaluate(bound.environment);
    if (value)
      return *value;
    llvm::consumeError(value.takeError());
    return {};
  }

  /// The value of an expression. What depends on a value that has an error is silently nothing.
  std::optional<nn::ExprValue> evaluate(Operation *op, nn::ExprAttr attr) {
    nn::Expr expr = nn::getExpr(attr);
    bool depends = false;
    expr.forEachName([&](StringRef name) { depends |= bound.unknown.contains(name); });
    if (depends)
      return std::nullopt;
    llvm::Expected<nn::ExprValue> value = expr.evaluate(bound.environment);
    if (value)
      return *value;
    std::string fault = llvm::toString(value.takeError());
    auto [part, wanted] = nn::findFault(expr, bound.environment);
    errorOf(op, part, message<ErrorId::ExpressionNoValue>(fault), wanted);
    return std::nullopt;
  }

  /// Adds the keys that names of an expression, and what they are computed from, have their values of, where
  /// that may be `wanted`.
  void collectSources(const nn::Expr &expr, nn::ValueKind wanted, std::vector<JsonValue> &sources,
                      llvm::StringSet<> &seen) {
    expr.forEachName([&](StringRef name) {
      if (!seen.insert(name).second)
        return;
      Operation *declaration = find(name);
      auto config = dyn_cast_or_null<nn::ConfigOp>(declaration);
      if (auto found = bound.sources.find(name); found != bound.sources.end()) {
        if (mayBe(config, name, wanted))
          sources.push_back(found->second);
      } else if (auto let = dyn_cast_or_null<nn::LetOp>(declaration)) {
        collectSources(nn::getExpr(let.getValue()), wanted, sources, seen);
      } else if (config && config.getDefaultValue()) {
        collectSources(nn::getExpr(*config.getDefaultValue()), wanted, sources, seen);
      }
    });
  }

  /// The declaration of a name; null if it is one of those that are always there.
  Operation *find(StringRef name) {
    for (Operation &op : model.getBody().getOps()) {
      auto let = dyn_cast<nn::LetOp>(op);
      auto config = dyn_cast<nn::ConfigOp>(op);
      if ((let && let.getName() == name) || (config && config.getName() == name))
        return &op;
    }
    return nullptr;
  }

  /// An error of the value of an expression: at the first key that has a part in it and could mend it, or
  /// else at `op`.
  void errorOf(Operation *op, const nn::Expr &expr, const std::string &text,
               nn::ValueKind wanted = nn::ValueKind::Any) {
    std::vector<JsonValue> sources;
    llvm::StringSet<> seen;
    collectSources(expr, wanted, sources, seen);
    if (sources.empty()) {
      error(op->getLoc()) << text;
      return;
    }
    auto describeKey = [](const JsonValue &value) {
      return value.getKeyPath() + " = " + describe(value.get());
    };
    InFlightDiagnostic diagnostic = error(sources.front().getLoc(context));
    diagnostic << describeKey(sources.front()) << ": " << text;
    diagnostic.attachNote(op->getLoc()) << "computed here";
    for (const JsonValue &source : ArrayRef(sources).drop_front())
      diagnostic.attachNote(source.getLoc(context)) << describeKey(source);
  }

  //===--------------------------------------------------------------------===//
  // Keys
  //===--------------------------------------------------------------------===//

  /// The keys that some `nn.config` reads from config.json in the object at `path`, sorted.
  std::vector<std::string> getReadKeys(const std::string &path) {
    std::set<std::string> keys;
    for (auto config : model.getBody().getOps<nn::ConfigOp>())
      if (!config.getRun())
        for (StringRef read : config.getPaths().getAsValueRange<StringAttr>())
          if (path.empty() || read.consume_front(path + "."))
            keys.insert(read.split('.').first.str());
    return {keys.begin(), keys.end()};
  }

  /// Whether some `nn.config` reads `key` from where `config` does.
  bool isRead(nn::ConfigOp config, StringRef key) {
    for (auto other : model.getBody().getOps<nn::ConfigOp>())
      if (other.getRun() == config.getRun())
        for (StringRef path : other.getPaths().getAsValueRange<StringAttr>())
          if (llvm::is_contained(llvm::split(path, '.'), key))
            return true;
    return false;
  }

  /// The key among `read` that `key` looks like, or nothing. One that is there as well is no likely slip.
  static StringRef getMisspelt(StringRef key, ArrayRef<std::string> read, const JsonValue &object) {
    StringRef nearest;
    unsigned best = std::numeric_limits<unsigned>::max();
    for (StringRef candidate : read) {
      bool isThere = object.get().contains(candidate.str());
      // Short keys are near to everything.
      unsigned most = isThere || key.size() <= 4 ? 1 : std::max<unsigned>(2, key.size() / 6);
      unsigned distance = key.edit_distance(candidate, /*AllowReplacements=*/true, most);
      if (distance <= most && distance < best && key.size() > 2) {
        best = distance;
        nearest = candidate;
      }
    }
    return nearest;
  }

  /// `path` is that of `object` in config.json.
  void warnOfUnreadKeys(const JsonValue &object, const std::string &path) {
    std::vector<std::string> read = getReadKeys(path);
    std::string prefix = path.empty() ? "" : path + ".";
    for (const auto &[key, json] : object.get().items()) {
      std::optional<JsonValue> value = object.find(key);
      if (!value)
        continue; // a key with a point in it
      if (llvm::is_contained(read, key)) {
        if (json.is_object())
          warnOfUnreadKeys(*value, prefix + key);
        continue;
      }
      StringRef misspelt = getMisspelt(key, read, object);
      // A file has keys for everybody; who sets one on the command line means it.
      bool isAssigned = value->isAssigned() && !(path.empty() && isReadByFrontend(key));
      if (misspelt.empty() && path.empty() && !isAssigned)
        continue;
      std::string hint = misspelt.empty() ? "" : ("; did you mean '" + prefix + misspelt + "'?").str();
      std::string text = message<ErrorId::KeyUnread>(prefix + key, hint);
      if (isAssigned)
        error(value->getLoc(context)) << text;
      else
        emitWarning(value->getLoc(context)) << text;
    }
  }

  /// Keys of a configuration that have a meaning whatever the model.
  static bool isReadByFrontend(StringRef key) {
    return llvm::is_contained({"model_type", "bos_token_id", "eos_token_id", "max_position_embeddings"}, key);
  }

  /// Rotary positions have no end, so that a longer sequence is computed well; but the configuration then
  /// does not say what the model was trained for.
  void checkPositions() {
    std::optional<JsonValue> most = run.config.find("max_position_embeddings");
    std::optional<JsonValue> sequence = run.run.find("batch.sequence");
    if (most && sequence && most->get().is_number_integer() && run.sequence > most->get().get<int64_t>())
      emitWarning(sequence->getLoc(context))
          << sequence->getKeyPath() << ": "
          << message<ErrorId::SequenceBeyondPositions>(run.sequence, describe(most->get()));
  }

  /// The keys under `section` of a run file are those that the model declares.
  void checkKeysOf(const std::string &section) {
    std::optional<JsonValue> object = run.run.find(section);
    if (!object || !object->get().is_object())
      return;
    std::vector<std::string> known;
    for (auto config : model.getBody().getOps<nn::ConfigOp>())
      if (config.getRun())
        for (StringRef path : config.getPaths().getAsValueRange<StringAttr>())
          if (path.consume_front(section + "."))
            known.push_back(path.str());
    for (const auto &[key, ignored] : object->get().items()) {
      if (llvm::is_contained(known, key))
        continue;
      SmallVector<StringRef> names(known.begin(), known.end());
      std::optional<JsonValue> value = object->find(key);
      StringRef nearest = nn::getNearest(key, names);
      std::string hint = nearest.empty() ? "; '@" + model.getSymName().str() + "' has no such " + section
                                         : "; did you mean '" + section + "." + nearest.str() + "'?";
      error((value ? *value : *object).getLoc(context))
          << message<ErrorId::KeyUnknown>(section + "." + key, hint);
    }
  }

  InFlightDiagnostic error(Location loc) {
    failed = true;
    return emitError(loc);
  }
  InFlightDiagnostic error(const JsonValue &value, const std::string &text) {
    return error(value.getLoc(context)) << value.getKeyPath() << ": " << text;
  }

  static void note(InFlightDiagnostic diagnostic, nn::ConfigOp config) {
    diagnostic.attachNote(config.getLoc()) << "read as '" << config.getName() << "' here";
  }

  nn::ModelOp model;
  const RunFile &run;
  MLIRContext *context;
  BoundConfig bound;
  /// Keys whose values were reported to be wrong, here or by the run file.
  llvm::StringSet<> refused;
  /// Paths of values that contradict an other one, which more than one nn.config may read.
  llvm::StringSet<> contradicted;
  bool failed = false;
};

} // namespace

bool mayBe(nn::ConfigOp config, StringRef name, nn::ValueKind wanted) {
  bool wantsNumber = wanted == nn::ValueKind::Integer || wanted == nn::ValueKind::Number;
  if (wanted == nn::ValueKind::Any)
    return true;
  // Sizes of the batch, and the type of the model, which nobody declares.
  if (!config)
    return name == "model_type" ? wanted == nn::ValueKind::Text : wantsNumber;
  switch (config.getKind()) {
  case nn::ConfigKind::Dim:
  case nn::ConfigKind::Int:
    return wantsNumber;
  case nn::ConfigKind::Float:
    return wanted == nn::ValueKind::Number;
  case nn::ConfigKind::Bool:
    return wanted == nn::ValueKind::Bool;
  case nn::ConfigKind::Text:
    return wanted == nn::ValueKind::Text;
  case nn::ConfigKind::OneOf:
    break;
  }
  return llvm::any_of(*config.getChoices(), [&](Attribute choice) {
    return isa<StringAttr>(choice) ? wanted == nn::ValueKind::Text
           : isa<BoolAttr>(choice) ? wanted == nn::ValueKind::Bool
                                   : wantsNumber;
  });
}

void setBatch(nn::ExprEnvironment &environment, int64_t batch, int64_t sequence) {
  environment["batch"] = nn::ExprValue(batch);
  environment["seq"] = nn::ExprValue(sequence);
  environment["tokens"] = nn::ExprValue(batch * sequence);
}

/// Null where a name has no value.
static nlohmann::json toJson(const nn::ExprValue &value) {
  return std::visit(
      [](const auto &held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>)
          return nlohmann::json();
        else
          return nlohmann::json(held);
      },
      value);
}

nlohmann::json resolveRun(nn::ModelOp model, const RunFile &run, const BoundConfig &config) {
  nlohmann::json json = run.resolve();
  for (auto declared : model.getBody().getOps<nn::ConfigOp>()) {
    auto given = config.sources.find(declared.getName());
    bool isGiven = given != config.sources.end() && !given->second.get().is_null();
    auto [section, key] = cast<StringAttr>(declared.getPaths()[0]).getValue().split('.');
    // Other objects are closed: a file with a key more would not be read again.
    bool isOpen = llvm::is_contained(RunFile::kModelSections, section) && !key.empty() && !key.contains('.');
    if (!declared.getRun() || isGiven || !isOpen)
      continue;
    if (nlohmann::json value = toJson(config.environment.lookup(declared.getName())); !value.is_null())
      json[section.str()][key.str()] = std::move(value);
  }
  return json;
}

BoundConfig bindConfig(nn::ModelOp model, const RunFile &run) { return Binder(model, run).bind(); }

} // namespace contraflow::frontend
