//===- Probe.cpp - a few steps on given ids, with everything written down -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Probe.h"
#include "runtime/abi/Safetensors.h"
#include "runtime/base/Error.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/train/Initialize.h"
#include "runtime/train/Step.h"

#include <algorithm>
#include <cstdio>
#include <deque>

namespace contraflow::train {

using base::Error;
using base::text;

namespace {

/// Tensors to be written, some of them copies that live here.
class Results {
public:
  void view(abi::NamedTensor tensor) { tensors.push_back(std::move(tensor)); }
  void copy(const std::string &name, std::vector<int64_t> shape, std::vector<float> values) {
    const std::vector<float> &kept = copies.emplace_back(std::move(values));
    tensors.push_back({name, {abi::ElementType::F32, std::move(shape), kept.data()}});
  }
  void copy(abi::NamedTensor source) {
    auto *data = static_cast<const float *>(source.tensor.data);
    copy(source.name, source.tensor.shape, std::vector<float>(data, data + source.tensor.elements()));
  }
  void write(const std::string &path) const { abi::writeSafetensors(path, tensors, {{"format", "pt"}}); }

private:
  std::vector<abi::NamedTensor> tensors;
  std::deque<std::vector<float>> copies;
};

std::vector<int32_t> readIds(const std::string &path, const abi::Manifest &manifest) {
  std::vector<int32_t> ids = abi::SafetensorsFile(path).readIds("input_ids");
  int64_t wanted = manifest.microBatches * manifest.batch * manifest.seq;
  if (int64_t(ids.size()) != wanted)
    throw Error(
        text("'", path, "': input_ids has ", ids.size(), " ids, a step of this trainer has ", wanted));
  for (int32_t id : ids)
    if (id >= manifest.vocab)
      throw Error(text("'", path, "': input_ids holds ", id, ", the vocabulary has ", manifest.vocab));
  return ids;
}

/// Runs evaluate on every micro-batch; returns the weighted loss and appends outputs to `results` where
/// given.
double evaluateAll(executor::Executor &executor, Step &step, const std::vector<int32_t> &ids,
                   Results *results) {
  const abi::Manifest &manifest = executor.getManifest();
  size_t perMicroBatch = size_t(manifest.batch * manifest.seq);
  std::vector<std::vector<float>> collected(manifest.outputs.size());
  double total = 0;
  for (int64_t m = 0; m < manifest.microBatches; ++m) {
    std::copy_n(ids.begin() + m * int64_t(perMicroBatch), perMicroBatch, step.getTokens().begin());
    step.runEvaluate();
    total += step.readLosses(1).total / double(manifest.microBatches);
    for (size_t i = 0; results && i < manifest.outputs.size(); ++i) {
      const abi::Output &output = manifest.outputs[i];
      if (output.program != "evaluate")
        continue;
      int64_t count = 1;
      for (int64_t dimension : output.shape)
        count *= dimension;
      std::span<float> values = executor.floats(output.offset, count);
      collected[i].insert(collected[i].end(), values.begin(), values.end());
    }
  }
  for (size_t i = 0; results && i < collected.size(); ++i) {
    if (manifest.outputs[i].program != "evaluate")
      continue;
    std::vector<int64_t> shape = manifest.outputs[i].shape;
    if (!shape.empty())
      shape[0] *= manifest.microBatches;
    results->copy(manifest.outputs[i].name, shape, std::move(collected[i]));
  }
  return total;
}

} // namespace

void probe(executor::Executor &executor, const Settings &settings, const ProbeOptions &options) {
  const abi::Manifest &manifest = executor.getManifest();
  std::vector<int32_t> ids = readIds(options.ids, manifest);
  initializeParameters(executor, settings.seed, settings.initStd);
  if (!options.parameters.empty()) {
    abi::SafetensorsFile file(options.parameters);
    for (const std::string &name : checkpoint::loadParameters(executor, file))
      std::fprintf(stderr, "contraflow: warning: '%s': nothing uses tensor '%s'\n",
                   options.parameters.c_str(), name.c_str());
  }
  Results results;
  Step step(executor, settings);
  std::ranges::fill(step.getStarts(), 0);
  evaluateAll(executor, step, ids, &results);

  std::vector<float> totals;
  for (int64_t number = 1; number <= std::max<int64_t>(options.steps, 1); ++number) {
    std::copy(ids.begin(), ids.end(), step.getTokens().begin());
    step.runGradients(number);
    const Losses &losses = step.readLosses(manifest.microBatches);
    totals.push_back(float(losses.total));
    if (number == 1) {
      for (const auto &[name, value] : losses.byName)
        results.copy("loss." + name, {1}, {float(value)});
      results.copy("loss.total", {1}, {float(losses.total)});
      results.copy("gradient_norm", {1}, {float(step.getGradientNorm())});
      for (abi::NamedTensor &gradient : checkpoint::tensorsOf(executor, "gradients", "grad.", true))
        results.copy(std::move(gradient));
    }
    if (options.steps > 0)
      step.runUpdate();
  }
  if (options.steps > 0) {
    totals.push_back(float(evaluateAll(executor, step, ids, nullptr)));
    for (abi::NamedTensor &parameter :
         checkpoint::tensorsOf(executor, "parameters", text("after", options.steps, "."), false))
      results.view(std::move(parameter));
  }
  int64_t count = int64_t(totals.size());
  results.copy("totals", {count}, std::move(totals));
  results.write(options.out);
}

} // namespace contraflow::train
