//===- Checkpoint.cpp - parameters and training state in one file ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

namespace contraflow::checkpoint {

using abi::NamedTensor;
using abi::SafetensorsFile;
using base::Error;
using base::text;
namespace fs = std::filesystem;

namespace {

constexpr const char *kFileName = "model.safetensors";
constexpr const char *kOptimizerPrefix = "optimizer.";

struct MomentRegion {
  const char *region;
  const char *prefix;
};
constexpr MomentRegion kMoments[] = {{"first_moments", "optimizer.exp_avg."},
                                     {"second_moments", "optimizer.exp_avg_sq."}};

template <typename T> T number(const SafetensorsFile &file, const char *key) {
  auto found = file.getMetadata().find(key);
  if (found == file.getMetadata().end())
    throw Error(text("'", file.getPath(), "': __metadata__.", key, " is missing"));
  const std::string &value = found->second;
  T result{};
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size())
    throw Error(text("'", file.getPath(), "': __metadata__.", key, " is '", value, "', wanted a number"));
  return result;
}

std::string word(const SafetensorsFile &file, const char *key) {
  auto found = file.getMetadata().find(key);
  return found == file.getMetadata().end() ? "" : found->second;
}

/// The tensors of `wanted` exist in the file with these shapes.
void check(const SafetensorsFile &file, const std::vector<NamedTensor> &wanted) {
  std::vector<std::string> missing;
  for (const auto &[name, tensor] : wanted) {
    const abi::TensorView *found = file.find(name);
    if (!found)
      missing.push_back(name);
    else if (found->shape != tensor.shape)
      throw Error(text("'", file.getPath(), "': tensor '", name, "' has shape ", abi::shapeText(found->shape),
                       ", the trainer wants ", abi::shapeText(tensor.shape)),
                  "use a trainer that was compiled for this model");
  }
  if (!missing.empty())
    throw Error(text("'", file.getPath(), "' lacks ", missing.size(), " of ", wanted.size(),
                     " tensors, the first is '", missing.front(), "'"));
}

void read(const SafetensorsFile &file, const std::vector<NamedTensor> &tensors) {
  for (const auto &[name, tensor] : tensors) {
    // The views point into the arena, which is writable.
    auto *data = static_cast<float *>(const_cast<void *>(tensor.data));
    file.readFloats(name, tensor.shape, {data, size_t(tensor.elements())});
  }
}

/// A tensor without elements (the weights of zero shared experts) is nothing to use.
std::vector<std::string> unusedOf(const SafetensorsFile &file, const std::vector<NamedTensor> &used) {
  std::set<std::string> names;
  for (const NamedTensor &tensor : used)
    names.insert(tensor.name);
  std::vector<std::string> unused;
  for (const auto &[name, tensor] : file.getTensors())
    if (!names.contains(name) && !name.starts_with(kOptimizerPrefix) && tensor.elements() != 0)
      unused.push_back(name);
  return unused;
}

} // namespace

std::string fileOf(const std::string &path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return path;
  return (fs::path(path) / kFileName).string();
}

std::vector<NamedTensor> tensorsOf(executor::Executor &executor, const char *region,
                                   const std::string &prefix, bool onlyTrainable) {
  std::vector<NamedTensor> tensors;
  for (const abi::Parameter &parameter : executor.getManifest().parameters) {
    if (onlyTrainable && !parameter.trainable)
      continue;
    std::span<float> data = executor.parameter(region, parameter);
    int64_t pieces = parameter.pieces(), elements = parameter.elements() / pieces;
    for (int64_t piece = 0; piece < pieces; ++piece)
      tensors.push_back({prefix + parameter.pieceName(piece),
                         {abi::ElementType::F32, parameter.pieceShape(), data.data() + piece * elements}});
  }
  return tensors;
}

/// All that a run continues from.
static std::vector<NamedTensor> tensorsOfRun(executor::Executor &executor) {
  std::vector<NamedTensor> tensors = tensorsOf(executor, "parameters", "", false);
  for (const auto &[region, prefix] : kMoments)
    for (NamedTensor &tensor : tensorsOf(executor, region, prefix, true))
      tensors.push_back(std::move(tensor));
  return tensors;
}

void requireFinite(executor::Executor &executor, int64_t step) {
  for (const auto &[name, tensor] : tensorsOfRun(executor)) {
    std::span<const float> values{static_cast<const float *>(tensor.data), size_t(tensor.elements())};
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw Error(text("tensor '", name, "' holds numbers that are not finite after step ", step,
                       ", so no checkpoint was written"),
                  "lower optimizer.lr or lengthen optimizer.warmup_steps");
  }
}

void save(executor::Executor &executor, const std::string &folder, const TrainingState &state) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error && !fs::is_directory(folder))
    throw Error(text("cannot make the checkpoint folder '", folder, "': ", error.message()));
  std::vector<NamedTensor> tensors = tensorsOfRun(executor);
  abi::writeSafetensors((fs::path(folder) / kFileName).string(), tensors,
                        {{"format", "pt"},
                         {"step", std::to_string(state.step)},
                         {"data_position", std::to_string(state.dataPosition)},
                         {"seed", std::to_string(state.seed)},
                         {"data_fingerprint", std::to_string(state.dataFingerprint)},
                         {"build_id", state.buildId},
                         {"model", state.model},
                         {"run", state.run}});
}

std::vector<std::string> loadParameters(executor::Executor &executor, const SafetensorsFile &file) {
  std::vector<NamedTensor> parameters = tensorsOf(executor, "parameters", "", false);
  check(file, parameters);
  read(file, parameters);
  return unusedOf(file, parameters);
}

TrainingState resume(executor::Executor &executor, const SafetensorsFile &file) {
  std::optional<TrainingState> state = stateOf(file);
  if (!state)
    throw Error(text("'", file.getPath(), "' holds parameters, but no state of a run"),
                "start a new run from it with --initialize");
  std::vector<NamedTensor> tensors = tensorsOfRun(executor);
  check(file, tensors);
  read(file, tensors);
  return *state;
}

std::optional<TrainingState> stateOf(const SafetensorsFile &file) {
  if (!file.getMetadata().contains("step"))
    return std::nullopt;
  TrainingState state;
  state.step = number<int64_t>(file, "step");
  state.dataPosition = number<int64_t>(file, "data_position");
  state.seed = number<uint64_t>(file, "seed");
  state.dataFingerprint = number<uint64_t>(file, "data_fingerprint");
  state.buildId = word(file, "build_id");
  state.model = word(file, "model");
  state.run = word(file, "run");
  if (state.step < 0 || state.dataPosition < 0)
    throw Error(text("'", file.getPath(), "': __metadata__ has a negative step or data position"));
  return state;
}

} // namespace contraflow::checkpoint
