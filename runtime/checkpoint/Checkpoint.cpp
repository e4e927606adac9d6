//===- Checkpoint.cpp - parameters and training state of an executor ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace contraflow::checkpoint {

using abi::NamedTensor;
using abi::SafetensorsFile;
using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

constexpr const char *kAveragePrefix = "ema.";

/// A region of the arena that a run continues from besides the parameters, where the program has it: one
/// tensor for each parameter, or for each that is trained.
struct StateRegion {
  const char *region;
  const char *prefix;
  bool onlyTrainable = true;
};
constexpr StateRegion kStateRegions[] = {{"first_moments", "optimizer.exp_avg."},
                                         {"second_moments", "optimizer.exp_avg_sq."},
                                         {"ema", kAveragePrefix, false}};

/// The tensors of `wanted` exist in the file with these shapes.
void check(const SafetensorsFile &file, const std::vector<NamedTensor> &wanted) {
  std::vector<std::string> missing;
  for (const auto &[name, tensor] : wanted) {
    const abi::TensorView *found = file.find(name);
    if (!found)
      missing.push_back(name);
    else if (found->shape != tensor.shape)
      throw Error(message<ErrorId::TensorUnfit>(file.getPath(), name, abi::shapeText(found->shape),
                                                abi::shapeText(tensor.shape)));
  }
  if (!missing.empty())
    throw Error(
        message<ErrorId::TensorsMissing>(file.getPath(), missing.size(), wanted.size(), missing.front()));
}

void read(const SafetensorsFile &file, const std::vector<NamedTensor> &tensors) {
  for (const auto &[name, tensor] : tensors) {
    // The views point into the arena, which is writable.
    auto *data = static_cast<float *>(const_cast<void *>(tensor.data));
    file.readFloats(name, tensor.shape, {data, size_t(tensor.elements())});
  }
}

bool isState(const std::string &name) {
  return std::ranges::any_of(kStateRegions, [&](auto &region) { return name.starts_with(region.prefix); });
}

/// A tensor without elements (the weights of zero shared experts) is nothing to use.
std::vector<std::string> unusedOf(const SafetensorsFile &file, const std::vector<NamedTensor> &used) {
  std::set<std::string> names;
  for (const NamedTensor &tensor : used)
    names.insert(tensor.name);
  std::vector<std::string> unused;
  for (const auto &[name, tensor] : file.getTensors())
    if (!names.contains(name) && !isState(name) && tensor.elements() != 0)
      unused.push_back(name);
  return unused;
}

/// What a run continues from a file: averages may be new to it.
std::vector<NamedTensor> tensorsToResume(executor::Executor &executor, const SafetensorsFile &file) {
  std::vector<NamedTensor> tensors = tensorsOfRun(executor);
  if (!holdsAverages(file))
    std::erase_if(tensors, [](const NamedTensor &tensor) { return tensor.name.starts_with(kAveragePrefix); });
  return tensors;
}

/// The parameters under the names of their averages.
std::vector<NamedTensor> averagesOf(executor::Executor &executor) {
  return tensorsOf(executor, "parameters", kAveragePrefix, false);
}

/// Throws what makes a file of no use here.
void requireUsable(executor::Executor &executor, const SafetensorsFile &file, Use use) {
  abi::verifyChecksums(file, forEachOn(executor));
  if (use == Use::Parameters)
    return check(file, tensorsOf(executor, "parameters", "", false));
  if (use == Use::Averages) {
    if (!holdsAverages(file))
      throw Error(message<ErrorId::AveragesAbsent>(file.getPath()));
    return check(file, averagesOf(executor));
  }
  if (!abi::stateOf(file))
    throw Error(message<ErrorId::StateAbsent>(file.getPath()));
  if (!abi::hasChecksums(file))
    throw Error(message<ErrorId::ChecksumsAbsent>(file.getPath()));
  check(file, tensorsToResume(executor, file));
}

} // namespace

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

std::vector<NamedTensor> tensorsOfRun(executor::Executor &executor) {
  std::vector<NamedTensor> tensors = tensorsOf(executor, "parameters", "", false);
  for (const auto &[region, prefix, onlyTrainable] : kStateRegions) {
    if (!executor.getManifest().findRegion(region))
      continue;
    for (NamedTensor &tensor : tensorsOf(executor, region, prefix, onlyTrainable))
      tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void requireFinite(executor::Executor &executor, int64_t step) {
  for (const auto &[name, tensor] : tensorsOfRun(executor)) {
    std::span<const float> values{static_cast<const float *>(tensor.data), size_t(tensor.elements())};
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw Error(message<ErrorId::ParametersNotFinite>(name, step));
  }
}

abi::ForEach forEachOn(executor::Executor &executor) {
  return [&executor](int64_t count, const std::function<void(int64_t)> &body) {
    executor.getPool().parallelFor(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        body(i);
    });
  };
}

void sayOnError(const std::string &line) { std::fprintf(stderr, "contraflow: %s\n", line.c_str()); }

SafetensorsFile open(executor::Executor &executor, const std::string &path, Use use, const Say &say) {
  std::vector<std::string> candidates = abi::findCheckpoints(path);
  auto openOne = [&](const std::string &candidate) {
    SafetensorsFile file(candidate);
    requireUsable(executor, file, use);
    return file;
  };
  for (const std::string &candidate : candidates) {
    try {
      return openOne(candidate);
    } catch (const Error &error) {
      if (candidates.size() == 1)
        throw;
      say(text("warning: skipped a checkpoint: ", error.what()));
    }
  }
  throw Error(message<ErrorId::CheckpointsUnusable>(candidates.size(), path));
}

std::vector<std::string> loadParameters(executor::Executor &executor, const SafetensorsFile &file) {
  std::vector<NamedTensor> parameters = tensorsOf(executor, "parameters", "", false);
  check(file, parameters);
  read(file, parameters);
  return unusedOf(file, parameters);
}

bool holdsAverages(const SafetensorsFile &file) {
  auto first = file.getTensors().lower_bound(kAveragePrefix);
  return first != file.getTensors().end() && first->first.starts_with(kAveragePrefix);
}

void loadAverages(executor::Executor &executor, const SafetensorsFile &file) {
  std::vector<NamedTensor> averages = averagesOf(executor);
  check(file, averages);
  read(file, averages);
}

abi::TrainingState resume(executor::Executor &executor, const SafetensorsFile &file) {
  std::optional<abi::TrainingState> state = abi::stateOf(file);
  if (!state)
    throw Error(message<ErrorId::StateLost>(file.getPath()));
  std::vector<NamedTensor> tensors = tensorsToResume(executor, file);
  check(file, tensors);
  read(file, tensors);
  return *state;
}

} // namespace contraflow::checkpoint
