//===- RunFile.cpp - what a user asks for, typed and checked --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/RunFile.h"

#include "compiler/errors/Errors.h"
#include "runtime/abi/Manifest.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace contraflow::frontend {

namespace {

/// The steps of a program grow with its micro-batches; a slip must not fill the memory.
constexpr int64_t kMaxMicroBatches = 4096;
/// Ids, rows and their places in a micro-batch are 32-bit integers.
constexpr int64_t kMaxTokens = std::numeric_limits<int32_t>::max();
/// Below it, the square root of a gradient that is zero divides zero: single precision ends there.
constexpr double kMinEps = 1e-30;

/// `value` as a path: seen from the folder of `file`; from the working directory if the command line has it.
std::string resolvePath(const std::string &file, const std::optional<JsonValue> &value,
                        const std::string &path) {
  if (llvm::sys::path::is_absolute(path) || (value && value->isAssigned()))
    return path;
  llvm::SmallString<128> resolved(llvm::sys::path::parent_path(file));
  llvm::sys::path::append(resolved, path);
  return resolved.str().str();
}

/// Why there is no configuration at `path`. Models are published as folders.
std::string describeConfigFault(const std::string &path, const std::string &fault) {
  if (!llvm::sys::fs::is_directory(path))
    return describeUnreadable(path, fault);
  llvm::SmallString<128> inside(path);
  llvm::sys::path::append(inside, "config.json");
  std::string hint = llvm::sys::fs::exists(inside) ? "; did you mean '" + inside.str().str() + "'?" : "";
  return message<ErrorId::ConfigFolder>(path, hint);
}

/// `assignments` are those below `model`.
void readModel(RunFile &file, ObjectReader &reader, const std::vector<Assignment> &assignments,
               JsonDiagnostics &diagnostics) {
  reader.require("model");
  std::optional<JsonValue> model = reader.readAny("model");
  if (!model)
    return;
  if (model->get().is_object()) {
    file.config = *model;
    file.hasConfig = true;
  } else if (model->get().is_string()) {
    std::string path = resolvePath(file.path, model, model->get().get<std::string>()), fault;
    std::optional<std::string> text = readText(path, fault);
    if (!text) {
      diagnostics.push_back(model->makeDiagnostic(describeConfigFault(path, fault)));
    } else if (std::optional<JsonValue> config = JsonDocument::parse(path, *text, diagnostics)) {
      file.config = config->with(assignments, diagnostics);
      file.hasConfig = true;
    }
  } else {
    diagnostics.push_back(model->makeDiagnostic(message<ErrorId::ValueUnexpected>(
        "a configuration or the path of a config.json", describe(model->get()))));
  }
}

void readTarget(RunFile::Target &target, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(std::move(value), diagnostics);
  reader.readOneOf("kind", target.kind, {"cpu"});
  reader.read("isa", target.isa);
  reader.finish();
}

/// A size of the mesh that must be 1: what it would cut is not cut yet.
void refuseSize(const std::optional<JsonValue> &mesh, const char *key, const char *what,
                JsonDiagnostics &diagnostics) {
  if (std::optional<JsonValue> size = mesh->find(key); size && size->get() != 1)
    diagnostics.push_back(size->makeDiagnostic(message<ErrorId::ValueUnexpected>(
        std::string("1 (") + what + " over ranks are not compiled yet)", describe(size->get()))));
}

void readMesh(abi::Mesh &mesh, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  constexpr Range<int64_t> kSizes = {1, abi::Mesh::kMostRanks};
  bool isRead = reader.read("pp", mesh.pp, kSizes);
  isRead |= reader.read("dp", mesh.dp, kSizes);
  isRead |= reader.read("ep", mesh.ep, kSizes);
  reader.finish();
  if (!isRead)
    return;
  if (std::string problem = mesh.verify(); !problem.empty())
    diagnostics.push_back(value->makeDiagnostic(message<ErrorId::MeshWrong>(problem)));
  refuseSize(value, "pp", "stages", diagnostics);
  refuseSize(value, "ep", "experts", diagnostics);
  // What is wrong has been said; the rest of the file is checked as if the mesh had no such sizes.
  if (mesh.pp != 1 || mesh.ep != 1)
    mesh = {1, mesh.dp, 1};
}

void readBatch(RunFile &file, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.require("sequence");
  reader.read("sequence", file.sequence, {1, kMaxTokens});
  reader.read("micro_batches", file.microBatches, {1, kMaxMicroBatches});
  int64_t part = file.sequence * file.microBatches * file.mesh.dp;
  file.tokens = part;
  bool hasTokens = reader.read("tokens", file.tokens, {1});
  reader.finish();
  if (!hasTokens || !part)
    return;
  JsonValue tokens = *value->find("tokens");
  if (file.tokens % part)
    diagnostics.push_back(tokens.makeDiagnostic(message<ErrorId::ValueUnexpected>(
        std::string("a multiple of sequence * micro_batches") + (file.mesh.dp > 1 ? " * mesh.dp = " : " = ") +
            std::to_string(part),
        file.tokens)));
  else if (int64_t size = file.tokens / (file.microBatches * file.mesh.dp); size > kMaxTokens)
    diagnostics.push_back(tokens.makeDiagnostic(message<ErrorId::MicroBatchTooLarge>(size, kMaxTokens)));
}

/// Beta1 and beta2 lie in [0, 1).
void readBetas(RunFile::Optimizer &optimizer, ObjectReader &reader, const std::optional<JsonValue> &value,
               JsonDiagnostics &diagnostics) {
  std::vector<double> betas = {optimizer.beta1, optimizer.beta2};
  if (!reader.read("betas", betas, 2))
    return;
  for (size_t i = 0; i < 2; ++i)
    if (!kShares.contains(betas[i])) {
      JsonValue beta = value->find("betas")->at(i);
      diagnostics.push_back(beta.makeDiagnostic(
          message<ErrorId::ValueUnexpected>("a number" + kShares.describe(), describe(beta.get()))));
    }
  optimizer.beta1 = betas[0];
  optimizer.beta2 = betas[1];
}

/// Of counts that the trainer takes, too.
constexpr Range<int64_t> kCounts = {0, abi::kMaxCount};

void readOptimizer(RunFile::Optimizer &optimizer, std::optional<JsonValue> value,
                   JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("lr", optimizer.learningRate);
  reader.read("min_lr", optimizer.minLearningRate);
  readBetas(optimizer, reader, value, diagnostics);
  reader.read("eps", optimizer.eps, {kMinEps, kFloats.most});
  reader.read("weight_decay", optimizer.weightDecay);
  reader.read("clip_norm", optimizer.clipNorm);
  reader.readOneOf("schedule", optimizer.schedule, {"constant", "cosine"});
  reader.read("warmup_steps", optimizer.warmupSteps, kCounts);
  reader.finish();
}

/// Probabilities of dropout are shares, whatever the architecture calls them.
void checkDropout(std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  if (!value)
    return;
  ObjectReader reader(value, diagnostics);
  for (const auto &[key, ignored] : value->get().items()) {
    double share = 0;
    reader.read(key, share, kShares);
  }
}

void readEma(RunFile::Ema &ema, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("decay", ema.decay, kShares);
  reader.finish();
}

void readTrain(RunFile::Train &train, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("steps", train.steps, kCounts);
  reader.read("validate_every", train.validateEvery, kCounts);
  reader.read("validation_tokens", train.validationTokens, kCounts);
  reader.read("checkpoint_every", train.checkpointEvery, kCounts);
  reader.read("keep_last", train.keepLast, kCounts);
  reader.read("keep_every", train.keepEvery, kCounts);
  reader.read("log_every", train.logEvery, kCounts);
  reader.finish();
}

void readData(RunFile::Data &data, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("paths", data.paths);
  reader.read("include", data.include);
  reader.read("held_out", data.heldOut, kShares);
  reader.finish();
}

/// Keys that are right by themselves and contradict each other. What would train something else than was
/// asked for is an error; what ends before it matters is a warning, because short runs are made of long ones.
void checkTogether(const RunFile &file, JsonDiagnostics &diagnostics) {
  auto add = [&](const char *path, const std::string &text, bool isWarning) {
    if (std::optional<JsonValue> value = file.run.find(path))
      diagnostics.push_back(value->makeDiagnostic(text, isWarning));
  };
  const RunFile::Optimizer &optimizer = file.optimizer;
  auto number = [](double value) { return describe(nlohmann::json(value)); };
  if (optimizer.schedule == "cosine" && optimizer.minLearningRate > optimizer.learningRate)
    add("optimizer.min_lr",
        message<ErrorId::MinRateAboveRate>(number(optimizer.learningRate), number(optimizer.minLearningRate)),
        /*isWarning=*/false);
  int64_t steps = file.train.steps;
  if (steps > 0 && optimizer.warmupSteps > steps)
    add("optimizer.warmup_steps", message<ErrorId::WarmupBeyondSteps>(optimizer.warmupSteps, steps),
        /*isWarning=*/true);
  for (auto [path, every] : {std::pair("train.validate_every", file.train.validateEvery),
                             std::pair("train.checkpoint_every", file.train.checkpointEvery),
                             std::pair("train.keep_every", file.train.keepEvery)})
    if (steps > 0 && every > steps)
      add(path, message<ErrorId::PeriodBeyondSteps>(every, steps), /*isWarning=*/true);
  int64_t written = file.train.checkpointEvery, kept = file.train.keepEvery;
  if (!file.train.keepLast && kept > 0 && written > 0 && kept % written == 0)
    add("train.keep_every", message<ErrorId::KeepsAll>(written), /*isWarning=*/true);
}

/// The last control character of ASCII; the others lie before the space.
constexpr unsigned char kDelete = 0x7f;

/// Names are printed to terminals, which obey control characters.
void checkName(const JsonValue &run, JsonDiagnostics &diagnostics) {
  std::optional<JsonValue> name = run.find("name");
  if (!name || !name->get().is_string())
    return;
  std::string text = name->get().get<std::string>();
  if (llvm::any_of(text, [](unsigned char c) { return c < ' ' || c == kDelete; }))
    diagnostics.push_back(name->makeDiagnostic(
        message<ErrorId::ValueUnexpected>("a string without control characters", describe(name->get()))));
}

/// Assignments of the run file itself, and those of the configuration that it names by path.
std::pair<std::vector<Assignment>, std::vector<Assignment>>
sortAssignments(const JsonValue &root, const std::vector<std::string> &texts, JsonDiagnostics &diagnostics) {
  std::vector<Assignment> own, config;
  bool modelIsPath = root.find("model") && root.find("model")->get().is_string();
  for (const std::string &text : texts) {
    std::optional<Assignment> assignment = Assignment::parse(text, diagnostics);
    if (!assignment)
      continue;
    bool isModel = assignment->path.front() == "model";
    if (isModel && assignment->path.size() == 1)
      modelIsPath = assignment->value.is_string();
    if (!isModel || assignment->path.size() == 1 || !modelIsPath) {
      own.push_back(std::move(*assignment));
      continue;
    }
    assignment->path.erase(assignment->path.begin());
    config.push_back(std::move(*assignment));
  }
  return {own, config};
}

/// Whether `root` is a configuration in the place of the run file that names it; a diagnostic then says so,
/// as every key of it would be unknown.
bool isConfig(const JsonValue &root, JsonDiagnostics &diagnostics) {
  std::optional<JsonValue> type = root.find("model_type");
  if (!type || root.find("model") || root.find("batch"))
    return false;
  JsonPosition place = type->getPosition();
  diagnostics.push_back(
      {root.getFile(), place, message<ErrorId::ConfigAsRunFile>(describe(type->get())), false, "model_type"});
  return true;
}

} // namespace

const std::vector<std::string> &RunFile::getKeys() {
  static const std::vector<std::string> keys = [] {
    // Every key with a default of its own is written by `resolve`, so that none is forgotten here.
    nlohmann::json defaults = RunFile().resolve();
    std::vector<std::string> paths;
    for (const auto &[key, value] : defaults.items()) {
      paths.push_back(key);
      if (value.is_object())
        for (const auto &[inner, ignored] : value.items())
          paths.push_back(key + "." + inner);
    }
    return paths;
  }();
  return keys;
}

std::optional<RunFile> RunFile::load(const std::string &path, JsonDiagnostics &diagnostics,
                                     const std::vector<std::string> &assignments) {
  std::optional<std::string> text = readText(path, diagnostics);
  return text ? parse(*text, path, diagnostics, assignments) : std::nullopt;
}

std::optional<RunFile> RunFile::parse(const std::string &text, const std::string &path,
                                      JsonDiagnostics &diagnostics,
                                      const std::vector<std::string> &assignments) {
  JsonDiagnostics own;
  std::optional<RunFile> file = read(text, path, own, assignments);
  diagnostics.insert(diagnostics.end(), own.begin(), own.end());
  return hasErrors(own) ? std::nullopt : file;
}

std::optional<RunFile> RunFile::read(const std::string &text, const std::string &path,
                                     JsonDiagnostics &diagnostics,
                                     const std::vector<std::string> &assignments) {
  std::optional<JsonValue> root = JsonDocument::parse(path, text, diagnostics);
  if (!root || isConfig(*root, diagnostics))
    return std::nullopt;
  auto [own, ofConfig] = sortAssignments(*root, assignments, diagnostics);
  RunFile file;
  file.path = path;
  file.name = llvm::sys::path::stem(path).str();
  file.run = root->with(own, diagnostics);

  ObjectReader reader(file.run, diagnostics);
  reader.readAny("$schema");
  reader.read("name", file.name);
  checkName(file.run, diagnostics);
  readModel(file, reader, ofConfig, diagnostics);
  file.architecture = "model.mlir";
  reader.read("architecture", file.architecture);
  file.architecture = resolvePath(path, file.run.find("architecture"), file.architecture);
  readTarget(file.target, reader.readObject("target"), diagnostics);
  readMesh(file.mesh, reader.readObject("mesh"), diagnostics);
  reader.require("batch");
  readBatch(file, reader.readObject("batch"), diagnostics);
  // The keys under "loss" and "dropout" are those of the architecture; BindConfig knows them.
  reader.readObject("loss");
  checkDropout(reader.readObject("dropout"), diagnostics);
  reader.read("bias_update_rate", file.biasUpdateRate);
  reader.read("document_mask", file.documentMask);
  ObjectReader init(reader.readObject("init"), diagnostics);
  init.read("std", file.initStd);
  init.finish();
  readOptimizer(file.optimizer, reader.readObject("optimizer"), diagnostics);
  readEma(file.ema, reader.readObject("ema"), diagnostics);
  readTrain(file.train, reader.readObject("train"), diagnostics);
  readData(file.data, reader.readObject("data"), diagnostics);
  reader.read("seed", file.seed);
  reader.finish(getKeys());
  checkTogether(file, diagnostics);
  for (const JsonDiagnostic &diagnostic : diagnostics)
    if (!diagnostic.isWarning && !diagnostic.keyPath.empty())
      file.refused.push_back(diagnostic.keyPath);
  return file;
}

nlohmann::json RunFile::resolve() const {
  nlohmann::json json = hasConfig ? run.get() : nlohmann::json::object();
  json.erase("$schema");
  json["name"] = name;
  json["model"] = hasConfig ? config.get() : nlohmann::json();
  json["target"] = {{"kind", target.kind}, {"isa", target.isa}};
  json["mesh"] = {{"pp", mesh.pp}, {"dp", mesh.dp}, {"ep", mesh.ep}};
  json["batch"] = {{"sequence", sequence}, {"tokens", tokens}, {"micro_batches", microBatches}};
  json["bias_update_rate"] = biasUpdateRate;
  json["document_mask"] = documentMask;
  json["init"] = {{"std", initStd}};
  json["optimizer"] = {{"lr", optimizer.learningRate},
                       {"min_lr", optimizer.minLearningRate},
                       {"betas", {optimizer.beta1, optimizer.beta2}},
                       {"eps", optimizer.eps},
                       {"weight_decay", optimizer.weightDecay},
                       {"clip_norm", optimizer.clipNorm},
                       {"schedule", optimizer.schedule},
                       {"warmup_steps", optimizer.warmupSteps}};
  json["ema"] = {{"decay", ema.decay}};
  json["train"] = {{"steps", train.steps},
                   {"validate_every", train.validateEvery},
                   {"validation_tokens", train.validationTokens},
                   {"checkpoint_every", train.checkpointEvery},
                   {"keep_last", train.keepLast},
                   {"keep_every", train.keepEvery},
                   {"log_every", train.logEvery}};
  json["data"] = {{"paths", data.paths}, {"include", data.include}, {"held_out", data.heldOut}};
  json["seed"] = seed;
  return json;
}

} // namespace contraflow::frontend
