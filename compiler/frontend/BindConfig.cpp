//===- BindConfig.cpp - values for the names of a model -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/BindConfig.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSet.h"
#include <limits>

using namespace mlir;
using contraflow::nn::ConfigKind;
using contraflow::nn::ConfigOp;
using contraflow::nn::ExprAttr;
using contraflow::nn::ExprEnvironment;
using contraflow::nn::ExprValue;

namespace contraflow::frontend {

namespace {

/// The value that a choice of `one_of` stands for.
ExprValue toValue(Attribute choice) {
  if (auto text = dyn_cast<StringAttr>(choice))
    return text.getValue().str();
  if (auto boolean = dyn_cast<BoolAttr>(choice))
    return boolean.getValue();
  return cast<IntegerAttr>(choice).getInt();
}

/// The value of a scalar JSON value; nothing for lists, objects, and integers that do not fit.
std::optional<ExprValue> toValue(const nlohmann::json &json) {
  if (json.is_boolean())
    return json.get<bool>();
  if (json.is_string())
    return json.get<std::string>();
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  if (json.is_number_integer())
    return json.get<int64_t>();
  if (json.is_number_float())
    return json.get<double>();
  return std::nullopt;
}

/// What a value of this kind has to be.
std::string describeKind(ConfigOp config) {
  switch (config.getKind()) {
  case ConfigKind::Dim:
    return "an integer of 1 or more";
  case ConfigKind::Int:
    return "an integer";
  case ConfigKind::Float:
    return "a number";
  case ConfigKind::Bool:
    return "true or false";
  case ConfigKind::Text:
    return "a string";
  case ConfigKind::OneOf:
    break;
  }
  std::vector<std::string> choices;
  ArrayAttr listed = *config.getChoices();
  for (Attribute choice : listed)
    choices.push_back(nn::describe(toValue(choice)));
  std::string list = llvm::join(choices, ", ");
  return choices.size() == 1 ? list : "one of " + list;
}

bool isOfKind(ConfigOp config, const ExprValue &value) {
  const auto *integer = std::get_if<int64_t>(&value);
  switch (config.getKind()) {
  case ConfigKind::Dim:
    return integer && *integer >= 1;
  case ConfigKind::Int:
    return integer;
  case ConfigKind::Float:
    return integer || std::holds_alternative<double>(value);
  case ConfigKind::Bool:
    return std::holds_alternative<bool>(value);
  case ConfigKind::Text:
    return std::holds_alternative<std::string>(value);
  case ConfigKind::OneOf:
    break;
  }
  return llvm::any_of(*config.getChoices(), [&](Attribute choice) { return toValue(choice) == value; });
}

class Binder {
public:
  Binder(nn::ModelOp model, const RunFile &run) : model(model), run(run), context(model.getContext()) {}

  FailureOr<ExprEnvironment> bind() {
    setBatch(environment, run.getBatch(), run.sequence);
    bindModelType();
    for (Operation &op : model.getBody().getOps()) {
      if (auto config = dyn_cast<ConfigOp>(op))
        bindConfigValue(config);
      else if (auto let = dyn_cast<nn::LetOp>(op))
        bindLet(let);
    }
    warnOfUnreadKeys();
    checkLossKeys();
    if (failed)
      return failure();
    return environment;
  }

private:
  const JsonValue &getSource(ConfigOp config) const { return config.getRun() ? run.run : run.config; }

  void bindModelType() {
    std::optional<JsonValue> type = run.config.find("model_type");
    auto types = model.getModelTypes().getAsValueRange<StringAttr>();
    std::string served = "\"" + llvm::join(types, "\", \"") + "\"";
    if (!type || !type->get().is_string()) {
      error(run.config.getLoc(context))
          << "key 'model_type' is missing; '@" << model.getSymName() << "' serves " << served;
      return;
    }
    std::string found = type->get().get<std::string>();
    if (!llvm::is_contained(types, found))
      error(type->getLoc(context)) << "model_type: '@" << model.getSymName() << "' serves " << served
                                   << ", found \"" << found << "\"";
    environment["model_type"] = ExprValue(found);
  }

  /// The first path that has a value; else a null, if there is one; else nothing.
  std::optional<JsonValue> lookUp(ConfigOp config) {
    std::optional<JsonValue> null;
    for (StringRef path : config.getPaths().getAsValueRange<StringAttr>()) {
      std::optional<JsonValue> value = getSource(config).find(path.str());
      if (value && !value->get().is_null())
        return value;
      if (value && !null)
        null = value;
      if (!value && !config.getRun())
        missing.push_back(path.split('.').first);
    }
    return null;
  }

  void bindConfigValue(ConfigOp config) {
    StringRef name = config.getName();
    std::optional<JsonValue> value = lookUp(config);
    if (value && !value->get().is_null()) {
      std::optional<ExprValue> converted = toValue(value->get());
      if (converted && isOfKind(config, *converted)) {
        environment[name] = *converted;
        return;
      }
      note(error(value->getLoc(context)) << value->getKeyPath() << ": expected " << describeKind(config)
                                         << ", found " << describe(value->get()),
           config);
      unknown.insert(name);
      return;
    }
    if (config.getIsOptional() && (value || !config.getDefaultValue())) {
      environment[name] = ExprValue();
      return;
    }
    if (config.getDefaultValue()) {
      bindDefault(config);
      return;
    }
    unknown.insert(name);
    if (value) {
      note(error(value->getLoc(context)) << value->getKeyPath() << ": must not be null", config);
      return;
    }
    StringRef path = cast<StringAttr>(config.getPaths()[0]).getValue();
    InFlightDiagnostic diagnostic = error(getSource(config).getLoc(context))
                                    << "key '" << path << "' is missing";
    SmallVector<StringRef> keys;
    for (const auto &[key, ignored] : getSource(config).get().items())
      keys.push_back(key);
    if (StringRef nearest = nn::getNearest(path, keys); !nearest.empty() && !isRead(nearest))
      diagnostic << "; did you mean '" << nearest << "' to be it?";
    note(std::move(diagnostic), config);
  }

  void bindDefault(ConfigOp config) {
    std::optional<ExprValue> value = evaluate(config, *config.getDefaultValue());
    if (!value) {
      unknown.insert(config.getName());
      return;
    }
    if (!isOfKind(config, *value)) {
      error(config.getLoc()) << "default of '" << config.getName() << "': expected " << describeKind(config)
                             << ", found " << nn::describe(*value);
      unknown.insert(config.getName());
      return;
    }
    environment[config.getName()] = *value;
  }

  void bindLet(nn::LetOp let) {
    if (std::optional<ExprValue> value = evaluate(let, let.getValue()))
      environment[let.getName()] = *value;
    else
      unknown.insert(let.getName());
  }

  /// The value of an expression. What depends on a value that has an error is silently nothing.
  std::optional<ExprValue> evaluate(Operation *op, ExprAttr attr) {
    nn::Expr expr = nn::getExpr(attr);
    bool depends = false;
    expr.forEachName([&](StringRef name) { depends |= unknown.contains(name); });
    if (depends)
      return std::nullopt;
    llvm::Expected<ExprValue> value = expr.evaluate(environment);
    if (value)
      return *value;
    error(op->getLoc()) << llvm::toString(value.takeError());
    return std::nullopt;
  }

  /// Whether some `nn.config` reads a path that begins with `key`.
  bool isRead(StringRef key) {
    for (ConfigOp config : model.getBody().getOps<ConfigOp>())
      if (!config.getRun())
        for (StringRef path : config.getPaths().getAsValueRange<StringAttr>())
          if (path.split('.').first == key)
            return true;
    return false;
  }

  void warnOfUnreadKeys() {
    for (const auto &[key, ignored] : run.config.get().items()) {
      if (key.find('.') != std::string::npos || isRead(key))
        continue;
      for (StringRef candidate : missing)
        if (StringRef(key).edit_distance(candidate, true, 3) <= 2 && key.size() > 4) {
          emitWarning(run.config.find(key)->getLoc(context))
              << "nothing reads key '" << key << "'; did you mean '" << candidate << "'?";
          break;
        }
    }
  }

  /// The keys under "loss" of a run file are those that the model declares.
  void checkLossKeys() {
    std::optional<JsonValue> loss = run.run.find("loss");
    if (!loss)
      return;
    std::vector<std::string> known;
    for (ConfigOp config : model.getBody().getOps<ConfigOp>())
      if (config.getRun())
        for (StringRef path : config.getPaths().getAsValueRange<StringAttr>())
          if (path.consume_front("loss."))
            known.push_back(path.str());
    for (const auto &[key, ignored] : loss->get().items()) {
      if (llvm::is_contained(known, key))
        continue;
      SmallVector<StringRef> names(known.begin(), known.end());
      std::optional<JsonValue> value = loss->find(key);
      InFlightDiagnostic diagnostic = error((value ? *value : *loss).getLoc(context))
                                      << "unknown key 'loss." << key << "'";
      if (StringRef nearest = nn::getNearest(key, names); !nearest.empty())
        diagnostic << "; did you mean 'loss." << nearest << "'?";
      else
        diagnostic << "; '@" << model.getSymName() << "' has no such loss";
    }
  }

  InFlightDiagnostic error(Location loc) {
    failed = true;
    return emitError(loc);
  }

  static void note(InFlightDiagnostic diagnostic, ConfigOp config) {
    diagnostic.attachNote(config.getLoc()) << "read as '" << config.getName() << "' here";
  }

  nn::ModelOp model;
  const RunFile &run;
  MLIRContext *context;
  ExprEnvironment environment;
  /// Names whose values have an error.
  llvm::StringSet<> unknown;
  /// First parts of paths that config.json does not have.
  SmallVector<StringRef> missing;
  bool failed = false;
};

} // namespace

void setBatch(ExprEnvironment &environment, int64_t batch, int64_t sequence) {
  environment["batch"] = ExprValue(batch);
  environment["seq"] = ExprValue(sequence);
  environment["tokens"] = ExprValue(batch * sequence);
}

FailureOr<ExprEnvironment> bindConfig(nn::ModelOp model, const RunFile &run) {
  return Binder(model, run).bind();
}

} // namespace contraflow::frontend
