//===- RunFile.cpp - what a user asks for, typed and checked --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/RunFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

namespace contraflow::frontend {

namespace {

/// `path`, seen from the folder of `file`.
std::string resolvePath(const std::string &file, const std::string &path) {
  if (llvm::sys::path::is_absolute(path))
    return path;
  llvm::SmallString<128> resolved(llvm::sys::path::parent_path(file));
  llvm::sys::path::append(resolved, path);
  return resolved.str().str();
}

void readModel(RunFile &file, ObjectReader &reader, JsonDiagnostics &diagnostics) {
  reader.require("model");
  std::optional<JsonValue> model = reader.readAny("model");
  if (!model)
    return;
  if (model->get().is_object()) {
    file.config = *model;
  } else if (model->get().is_string()) {
    std::string path = resolvePath(file.path, model->get().get<std::string>());
    if (!llvm::sys::fs::is_regular_file(path))
      diagnostics.push_back(model->makeDiagnostic("there is no file '" + path + "'"));
    else if (std::optional<JsonValue> config = JsonDocument::read(path, diagnostics))
      file.config = *config;
  } else {
    diagnostics.push_back(model->makeDiagnostic(
        "expected a configuration or the path of a config.json, found " + describe(model->get())));
  }
}

void readTarget(RunFile::Target &target, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(std::move(value), diagnostics);
  reader.readOneOf("kind", target.kind, {"cpu"});
  reader.read("isa", target.isa);
  reader.finish();
}

void readBatch(RunFile &file, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.require("sequence");
  reader.read("sequence", file.sequence, 1);
  reader.read("micro_batches", file.microBatches, 1);
  int64_t part = 0;
  bool overflows = __builtin_mul_overflow(file.sequence, file.microBatches, &part);
  file.tokens = part;
  bool hasTokens = reader.read("tokens", file.tokens, 1);
  reader.finish();
  if (overflows)
    diagnostics.push_back(value->makeDiagnostic("sequence * micro_batches is too large"));
  else if (hasTokens && part && file.tokens % part)
    diagnostics.push_back(value->find("tokens")->makeDiagnostic(
        "expected a multiple of sequence * micro_batches = " + std::to_string(part) + ", found " +
        std::to_string(file.tokens)));
}

/// Beta1 and beta2 lie in [0, 1).
void readBetas(RunFile::Optimizer &optimizer, ObjectReader &reader, const std::optional<JsonValue> &value,
               JsonDiagnostics &diagnostics) {
  std::vector<double> betas = {optimizer.beta1, optimizer.beta2};
  if (!reader.read("betas", betas, 2))
    return;
  for (size_t i = 0; i < 2; ++i)
    if (betas[i] < 0 || betas[i] >= 1) {
      JsonValue beta = value->find("betas")->at(i);
      diagnostics.push_back(
          beta.makeDiagnostic("expected a number of 0 or more and below 1, found " + describe(beta.get())));
    }
  optimizer.beta1 = betas[0];
  optimizer.beta2 = betas[1];
}

void readOptimizer(RunFile::Optimizer &optimizer, std::optional<JsonValue> value,
                   JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("lr", optimizer.learningRate);
  reader.read("min_lr", optimizer.minLearningRate);
  readBetas(optimizer, reader, value, diagnostics);
  reader.read("eps", optimizer.eps);
  reader.read("weight_decay", optimizer.weightDecay);
  reader.read("clip_norm", optimizer.clipNorm);
  reader.readOneOf("schedule", optimizer.schedule, {"constant", "cosine"});
  reader.read("warmup_steps", optimizer.warmupSteps);
  reader.finish();
}

void readTrain(RunFile::Train &train, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(std::move(value), diagnostics);
  reader.read("steps", train.steps);
  reader.read("validate_every", train.validateEvery);
  reader.read("validation_tokens", train.validationTokens);
  reader.read("checkpoint_every", train.checkpointEvery);
  reader.read("keep_last", train.keepLast);
  reader.read("keep_every", train.keepEvery);
  reader.read("log_every", train.logEvery);
  reader.finish();
}

void readData(RunFile::Data &data, std::optional<JsonValue> value, JsonDiagnostics &diagnostics) {
  ObjectReader reader(value, diagnostics);
  reader.read("paths", data.paths);
  reader.read("include", data.include);
  if (reader.read("held_out", data.heldOut) && data.heldOut >= 1)
    diagnostics.push_back(
        value->find("held_out")
            ->makeDiagnostic("expected a share below 1, found " + describe(value->find("held_out")->get())));
  reader.finish();
}

} // namespace

std::optional<RunFile> RunFile::load(const std::string &path, JsonDiagnostics &diagnostics) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer) {
    diagnostics.push_back({path, {}, "cannot be read: " + buffer.getError().message()});
    return std::nullopt;
  }
  return parse((*buffer)->getBuffer().str(), path, diagnostics);
}

std::optional<RunFile> RunFile::parse(const std::string &text, const std::string &path,
                                      JsonDiagnostics &diagnostics) {
  std::optional<JsonValue> root = JsonDocument::parse(path, text, diagnostics);
  if (!root)
    return std::nullopt;
  RunFile file;
  file.path = path;
  file.name = llvm::sys::path::stem(path).str();
  file.run = *root;

  size_t before = diagnostics.size();
  ObjectReader reader(*root, diagnostics);
  reader.readAny("$schema");
  reader.read("name", file.name);
  readModel(file, reader, diagnostics);
  file.architecture = "model.mlir";
  reader.read("architecture", file.architecture);
  file.architecture = resolvePath(path, file.architecture);
  readTarget(file.target, reader.readObject("target"), diagnostics);
  reader.require("batch");
  readBatch(file, reader.readObject("batch"), diagnostics);
  // The keys under "loss" are those of the architecture; BindConfig knows them.
  reader.readObject("loss");
  reader.read("bias_update_rate", file.biasUpdateRate);
  reader.read("document_mask", file.documentMask);
  ObjectReader init(reader.readObject("init"), diagnostics);
  init.read("std", file.initStd);
  init.finish();
  readOptimizer(file.optimizer, reader.readObject("optimizer"), diagnostics);
  readTrain(file.train, reader.readObject("train"), diagnostics);
  readData(file.data, reader.readObject("data"), diagnostics);
  reader.read("seed", file.seed);
  reader.finish();

  JsonDiagnostics own(diagnostics.begin() + before, diagnostics.end());
  if (hasErrors(own))
    return std::nullopt;
  return file;
}

nlohmann::json RunFile::resolve() const {
  nlohmann::json json = run.get();
  json.erase("$schema");
  json["name"] = name;
  json["model"] = config.get();
  json["target"] = {{"kind", target.kind}, {"isa", target.isa}};
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
