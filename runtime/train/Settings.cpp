//===- Settings.cpp - the keys of a run file that are read while training -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Settings.h"
#include "runtime/abi/Manifest.h"
#include "runtime/base/Error.h"
#include "runtime/base/Nearest.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

namespace contraflow::train {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
using Json = nlohmann::json;

namespace {

/// Where a value comes from, for errors.
struct Source {
  /// "run file", or the assignment.
  const std::string &place;
  const char *key;
};

[[noreturn]] void refuse(const Source &source, const Json &value, const std::string &what) {
  throw Error(message<ErrorId::SettingValue>(
      source.place, source.key, value.dump(-1, ' ', false, Json::error_handler_t::replace), what));
}

/// How a JSON value becomes a member.
template <typename T> void assign(const Source &source, const Json &value, T &member);

template <> void assign(const Source &source, const Json &value, double &member) {
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
    refuse(source, value, "a number that is not negative");
  // A step computes in single precision.
  if (value.get<double>() > double(std::numeric_limits<float>::max()))
    refuse(source, value, "a number that single precision holds");
  member = value.get<double>();
}

template <> void assign(const Source &source, const Json &value, int64_t &member) {
  bool whole = value.is_number_integer() ||
               (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
  if (!whole || value.get<double>() < 0)
    refuse(source, value, "a whole number that is not negative");
  if (value.get<double>() > double(abi::kMaxCount))
    refuse(source, value, text("a whole number of at most ", abi::kMaxCount));
  member = value.get<int64_t>();
}

template <> void assign(const Source &source, const Json &value, uint64_t &member) {
  if (value.is_number_float() && value.get<double>() >= 0x1p64)
    refuse(source, value, text("a whole number of at most ", std::numeric_limits<uint64_t>::max()));
  if (!value.is_number_unsigned())
    refuse(source, value, "a whole number that is not negative");
  member = value.get<uint64_t>();
}

template <> void assign(const Source &source, const Json &value, bool &member) {
  if (!value.is_boolean())
    refuse(source, value, "true or false");
  member = value.get<bool>();
}

template <> void assign(const Source &source, const Json &value, std::string &member) {
  if (!value.is_string())
    refuse(source, value, "a string");
  member = value.get<std::string>();
}

template <> void assign(const Source &source, const Json &value, std::vector<std::string> &member) {
  std::vector<std::string> result;
  for (const Json &element : value.is_array() ? value : Json::array({value}))
    assign(source, element, result.emplace_back());
  member = std::move(result);
}

template <> void assign(const Source &source, const Json &value, std::vector<double> &member) {
  if (!value.is_array())
    refuse(source, value, "an array of numbers");
  std::vector<double> result;
  for (const Json &element : value)
    assign(source, element, result.emplace_back());
  member = std::move(result);
}

struct Key {
  const char *path;
  const char *help;
  std::function<void(Settings &, const Json &, const std::string &place)> assign;
  std::function<Json(const Settings &)> read;
  /// False: compiled into the program too, so it cannot change.
  bool settable = true;
};

template <typename T> Key key(const char *path, const char *help, T Settings::*member, bool settable = true) {
  return {path, help,
          [=](Settings &settings, const Json &value, const std::string &place) {
            assign(Source{place, path}, value, settings.*member);
          },
          [=](const Settings &settings) { return Json(settings.*member); }, settable};
}

const std::vector<Key> &keys() {
  static const std::vector<Key> list = {
      key("optimizer.lr", "learning rate after the warm-up", &Settings::learningRate),
      key("optimizer.min_lr", "learning rate at the end of a cosine", &Settings::minLearningRate),
      key("optimizer.schedule", "constant or cosine", &Settings::schedule),
      key("optimizer.warmup_steps", "steps in which the learning rate rises", &Settings::warmupSteps),
      key("optimizer.betas", "", &Settings::betas, false),
      key("train.steps", "steps of the run", &Settings::steps),
      key("train.validate_every", "steps between validations, 0: only at the end", &Settings::validateEvery),
      key("train.validation_tokens", "size of the validation set", &Settings::validationTokens),
      key("train.checkpoint_every", "steps between checkpoints, 0: only at the end",
          &Settings::checkpointEvery),
      key("train.keep_last", "checkpoints that stay, 0: all", &Settings::keepLast),
      key("train.keep_every", "steps between checkpoints that stay for good, 0: none", &Settings::keepEvery),
      key("train.log_every", "steps between progress lines", &Settings::logEvery),
      key("data.paths", "files and folders, as --data", &Settings::dataPaths),
      key("data.include", "patterns of file names, as --include", &Settings::dataInclude),
      key("data.held_out", "share of documents for validation", &Settings::heldOut),
      key("document_mask", "", &Settings::documentMask, false),
      key("seed", "seed of parameters, data order and samples", &Settings::seed),
      key("init.std", "standard deviation of initial parameters", &Settings::initStd),
  };
  return list;
}

/// The value at "a.b"; null where there is none.
const Json *lookUp(const Json &run, const std::string &path) {
  const Json *at = &run;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    if (!at->is_object())
      return nullptr;
    auto found = at->find(path.substr(begin, end - begin));
    if (found == at->end())
      return nullptr;
    at = &*found;
    begin = end + 1;
  }
  return at->is_null() ? nullptr : at;
}

/// Paths of all values in an object.
void listPaths(const Json &object, const std::string &prefix, std::vector<std::string> &paths) {
  for (const auto &[name, value] : object.items()) {
    paths.push_back(prefix + name);
    if (value.is_object())
      listPaths(value, prefix + name + ".", paths);
  }
}

void applyAssignment(Settings &settings, const Json &run, const std::string &assignment) {
  size_t equals = assignment.find('=');
  if (equals == std::string::npos)
    throw Error(message<ErrorId::AssignmentForm>(assignment));
  std::string path = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  std::vector<std::string> known;
  for (const Key &key : keys()) {
    known.push_back(key.path);
    if (path != key.path || !key.settable)
      continue;
    Json json = Json::parse(value, nullptr, /*allow_exceptions=*/false);
    key.assign(settings, json.is_discarded() ? Json(value) : json, "--set " + assignment);
    return;
  }
  listPaths(run, "", known);
  if (std::find(known.begin(), known.end(), path.substr(0, path.find('['))) != known.end())
    throw Error(message<ErrorId::AssignmentFixed>(assignment, assignment));
  throw Error(message<ErrorId::AssignmentUnknown>(assignment, path, base::suggest(path, known)));
}

void validate(const Settings &settings) {
  if (settings.schedule != "constant" && settings.schedule != "cosine")
    throw Error(message<ErrorId::SettingSchedule>(settings.schedule));
  if (settings.betas.size() != 2 || settings.betas[0] >= 1 || settings.betas[1] >= 1)
    throw Error(message<ErrorId::SettingBetas>());
  if (settings.heldOut >= 1)
    throw Error(message<ErrorId::SettingHeldOut>(settings.heldOut));
  if (settings.schedule == "cosine" && settings.minLearningRate > settings.learningRate)
    throw Error(message<ErrorId::SettingMinRate>(settings.minLearningRate, settings.learningRate));
}

} // namespace

Settings Settings::parse(const std::string &runText, const std::vector<std::string> &assignments) {
  Json run = Json::parse(runText, nullptr, /*allow_exceptions=*/false);
  if (!run.is_object())
    throw Error(message<ErrorId::SettingNoObject>());
  Settings settings;
  for (const Key &key : keys())
    if (const Json *value = lookUp(run, key.path))
      key.assign(settings, *value, "run file");
  base::ErrorList errors;
  for (const std::string &assignment : assignments)
    errors.collect([&] { applyAssignment(settings, run, assignment); });
  errors.raise();
  validate(settings);
  return settings;
}

std::string Settings::writeInto(const std::string &runText) const {
  Json run = Json::parse(runText);
  for (const Key &key : keys()) {
    std::string pointer = text("/", key.path);
    std::ranges::replace(pointer, '.', '/');
    run[Json::json_pointer(pointer)] = key.read(*this);
  }
  return run.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> Settings::changesSince(const std::string &runText) const {
  Json before = Json::parse(runText, nullptr, /*allow_exceptions=*/false);
  if (!before.is_object())
    throw Error(message<ErrorId::SettingNoObject>());
  Settings defaults;
  std::vector<std::string> changes;
  for (const Key &key : keys()) {
    std::string_view path = key.path;
    bool matters = path.starts_with("optimizer.") || (path == "train.steps" && schedule == "cosine");
    const char *meaning = path == "train.steps" ? ", over which the learning rate falls," : "";
    // Not parsed: a bound that is newer than a checkpoint is no reason to lose the run.
    const Json *value = lookUp(before, key.path);
    if (Json now = key.read(*this), then = value ? *value : key.read(defaults); matters && now != then)
      changes.push_back(text(path, meaning, " is ", now.dump(), ", it was ", then.dump()));
  }
  return changes;
}

std::string Settings::help() {
  std::string result;
  for (const Key &key : keys()) {
    if (!key.settable)
      continue;
    std::string path = key.path;
    path.resize(26, ' ');
    result += text("  ", path, key.help, "\n");
  }
  return result;
}

double learningRateAt(const Settings &settings, int64_t step) {
  if (step <= settings.warmupSteps)
    return settings.learningRate * double(step) / double(settings.warmupSteps);
  if (settings.schedule == "constant")
    return settings.learningRate;
  int64_t length = std::max<int64_t>(settings.steps - settings.warmupSteps, 1);
  double progress = std::min(1.0, double(step - settings.warmupSteps) / double(length));
  double share = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return settings.minLearningRate + (settings.learningRate - settings.minLearningRate) * share;
}

} // namespace contraflow::train
