//===- Verify.cpp - contraflow verify -------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder has config.json, model.safetensors (initial parameters), io.safetensors (ids, logits, gradients, parameters after
// some steps) and meta.json (losses). The model is compiled from that config with the sizes of the ids, the trainer
// runs the same steps, and every number is compared.
#include "compiler/driver/Verify.h"

#include "compiler/driver/Golden.h"
#include "compiler/driver/Phases.h"
#include "compiler/frontend/Frontend.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <fstream>
#include <sstream>

namespace contraflow::driver {
namespace {

std::string joinPath(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

std::string getAbsolute(llvm::StringRef path) {
  llvm::SmallString<128> absolute(path);
  llvm::sys::fs::make_absolute(absolute);
  return std::string(absolute);
}

std::optional<nlohmann::json> readJson(const std::string &path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (!stream || json.is_discarded() || !json.is_object()) {
    fail("'" + path + "' " + (stream ? "is no JSON object" : "cannot be read"));
    return std::nullopt;
  }
  return json;
}

/// Number of AdamW steps that the golden records: the k of `after<k>.`.
int64_t getSteps(const abi::SafetensorsFile &golden) {
  int64_t steps = 0;
  for (const auto &[name, view] : golden.getTensors()) {
    llvm::StringRef rest = name;
    int64_t number;
    if (rest.consume_front("after") && !rest.split('.').first.getAsInteger(10, number))
      steps = std::max(steps, number);
  }
  return steps;
}

/// The run that a golden was made by (see the README of the goldens): AdamW without clipping, biases that stay.
std::string makeRunFile(const std::string &folder, const std::string &architecture, const nlohmann::json &meta,
                        int64_t batch, int64_t sequence) {
  nlohmann::json run = {
      {"name", llvm::sys::path::filename(folder).str()},
      {"model", getAbsolute(joinPath(folder, "config.json"))},
      {"architecture", architecture},
      {"batch", {{"sequence", sequence}, {"tokens", batch * sequence}, {"micro_batches", 1}}},
      {"loss", {{"mtp_weight", meta.value("mtp_weight", 0.0)}, {"balance_alpha", meta.value("balance_alpha", 0.0)}}},
      {"bias_update_rate", 0.0},
      {"optimizer",
       {{"lr", 1e-3}, {"betas", {0.9, 0.95}}, {"eps", 1e-8}, {"weight_decay", 0.1}, {"clip_norm", 0.0},
        {"schedule", "constant"}, {"warmup_steps", 0}}}};
  return run.dump();
}

/// Writes the run file; false after an error.
bool writeRunFile(const std::string &path, const std::string &folder, const std::string &models,
                  const std::string &modelType, const nlohmann::json &meta, int64_t batch, int64_t sequence) {
  mlir::MLIRContext context;
  std::string architecture = frontend::findArchitecture(context, models, modelType);
  if (architecture.empty())
    return fail("no architecture in '" + models + "' serves model_type '" + modelType + "'");
  std::ofstream stream(path);
  stream << makeRunFile(folder, getAbsolute(architecture), meta, batch, sequence) << "\n";
  return stream.good() || fail("cannot write '" + path + "'");
}

bool runProbe(const std::string &folder, const std::string &trainer, const std::string &result, int64_t steps) {
  std::vector<std::string> arguments = {trainer,
                                        "probe",
                                        "--parameters",
                                        joinPath(folder, "model.safetensors"),
                                        "--ids",
                                        joinPath(folder, "io.safetensors"),
                                        "--steps",
                                        std::to_string(steps),
                                        "--out",
                                        result};
  std::vector<llvm::StringRef> views(arguments.begin(), arguments.end());
  std::string error;
  int status = llvm::sys::ExecuteAndWait(trainer, views, std::nullopt, {}, 0, 0, &error);
  if (status != 0)
    return fail("the trainer ended with status " + std::to_string(status) + (error.empty() ? "" : ": " + error));
  return true;
}

void print(const Comparison &comparison) {
  llvm::outs() << llvm::formatv("  {0,-26} {1,10:E2}  bound {2,8:E1}  {3,5} compared  worst: {4}{5}\n",
                                comparison.quantity, comparison.error, comparison.bound, comparison.count,
                                comparison.worst.empty() ? "-" : comparison.worst,
                                comparison.isOver() ? "  OVER THE BOUND" : "");
  constexpr size_t kMost = 10;
  for (size_t i = 0; i < comparison.problems.size() && i < kMost; ++i)
    llvm::outs() << "    " << comparison.problems[i] << "\n";
  if (comparison.problems.size() > kMost)
    llvm::outs() << "    and " << comparison.problems.size() - kMost << " more\n";
}

} // namespace

int verifyFolder(const std::string &folder, const VerifyOptions &options, const CompileFunction &compile) {
  for (const char *name : {"config.json", "model.safetensors", "io.safetensors", "meta.json"})
    if (!llvm::sys::fs::exists(joinPath(folder, name)))
      return fail("'" + folder + "' has no " + name), 1;
  std::optional<nlohmann::json> config = readJson(joinPath(folder, "config.json"));
  std::optional<nlohmann::json> meta = readJson(joinPath(folder, "meta.json"));
  if (!config || !meta)
    return 1;
  if (!config->contains("model_type") || !(*config)["model_type"].is_string())
    return fail("'" + joinPath(folder, "config.json") + "' has no text at 'model_type'"), 1;
  abi::SafetensorsFile golden(joinPath(folder, "io.safetensors"));
  const abi::TensorView &ids = golden.get("input_ids");
  if (ids.shape.size() != 2)
    return fail("input_ids has shape " + abi::shapeText(ids.shape) + ", expected [sequences, tokens]"), 1;

  llvm::SmallString<128> work;
  if (llvm::sys::fs::createUniqueDirectory("contraflow-verify", work))
    return fail("cannot make a temporary folder"), 1;
  auto cleanup = llvm::scope_exit([&] { llvm::sys::fs::remove_directories(work); });
  std::string run = joinPath(work, "run.json"), trainer = joinPath(work, "trainer"), result = joinPath(work, "result.safetensors");
  if (!writeRunFile(run, folder, options.models, (*config)["model_type"].get<std::string>(), *meta, ids.shape[0], ids.shape[1]) ||
      !compile(run, trainer) || !runProbe(folder, trainer, result, getSteps(golden)))
    return 1;

  std::vector<Comparison> comparisons =
      compareWithGolden(abi::SafetensorsFile(result), golden, *meta, ids.shape[1]);
  bool over = llvm::any_of(comparisons, [](const Comparison &comparison) { return comparison.isOver(); });
  llvm::outs() << folder << "\n";
  for (const Comparison &comparison : comparisons)
    print(comparison);
  llvm::outs() << (over ? "failed\n" : "passed\n");
  return over ? 1 : 0;
}

} // namespace contraflow::driver
