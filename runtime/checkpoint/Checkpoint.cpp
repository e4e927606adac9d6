//===- Checkpoint.cpp - parameters and training state of an executor ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace contraflow::checkpoint {

using abi::kAveragePrefix;
using abi::NamedTensor;
using abi::SafetensorsFile;
using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

/// A region of the arena that a run continues from besides the parameters, where the program has it: one
/// tensor for each parameter, or for each that is trained.
struct StateRegion {
  const char *region;
  const char *prefix;
  bool onlyTrainable = true;
};
constexpr StateRegion kStateRegions[] = {{"first_moments", abi::kFirstMomentPrefix},
                                         {"second_moments", abi::kSecondMomentPrefix},
                                         {"ema", kAveragePrefix, false}};

/// The tensors of `wanted` exist in the file with these shapes.
void check(const SafetensorsFile &file, const std::vector<NamedTensor> &wanted) {
  std::vector<std::string> missing, unfit;
  for (const auto &[name, tensor] : wanted) {
    const abi::TensorView *found = file.find(name);
    if (!found)
      missing.push_back("'" + name + "'");
    else if (found->shape != tensor.shape)
      unfit.push_back(text("tensor '", name, "' has shape ", abi::shapeText(found->shape), ", expected ",
                           abi::shapeText(tensor.shape)));
  }
  if (!unfit.empty())
    throw Error(message<ErrorId::TensorsUnfit>(file.getPath(), base::listText(unfit)));
  if (!missing.empty())
    throw Error(message<ErrorId::TensorsMissing>(file.getPath(), missing.size(), wanted.size(),
                                                 base::listText(missing)));
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

bool isFinite(const NamedTensor &named) {
  std::span values{static_cast<const float *>(named.tensor.data), size_t(named.tensor.elements())};
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
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
  constexpr size_t kChunk = 1 << 18;
  struct Chunk {
    const std::string *name;
    std::span<const float> values;
  };
  std::vector<NamedTensor> tensors = tensorsOfRun(executor);
  std::vector<Chunk> chunks;
  for (const auto &[name, tensor] : tensors) {
    std::span<const float> rest{static_cast<const float *>(tensor.data), size_t(tensor.elements())};
    for (; !rest.empty(); rest = rest.subspan(chunks.back().values.size()))
      chunks.push_back({&name, rest.first(std::min(rest.size(), kChunk))});
  }
  std::vector<char> finite(chunks.size());
  forEachOn(executor)(int64_t(chunks.size()), [&](int64_t i) {
    finite[size_t(i)] =
        std::ranges::all_of(chunks[size_t(i)].values, [](float value) { return std::isfinite(value); });
  });
  auto bad = std::ranges::find(finite, char(false));
  if (bad != finite.end())
    throw Error(message<ErrorId::ParametersNotFinite>(*chunks[size_t(bad - finite.begin())].name, step));
}

void requireFiniteParameters(executor::Executor &executor, const std::string &path) {
  for (const NamedTensor &tensor : tensorsOf(executor, "parameters", "", false))
    if (!isFinite(tensor))
      throw Error(message<ErrorId::TensorNotFinite>(path, tensor.name));
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
