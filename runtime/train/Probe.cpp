//===- Probe.cpp - a few steps on given ids, with everything written down -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Probe.h"
#include "runtime/abi/Safetensors.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/train/Initialize.h"
#include "runtime/train/Step.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <iterator>

namespace contraflow::train {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
namespace fs = std::filesystem;

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

/// What a step reads.
struct Batch {
  std::vector<int32_t> ids;
  /// Where documents begin; zeros where the file does not say.
  std::vector<int32_t> starts;

  /// Gives `step` the ids and starts of `count` tokens from `begin` on.
  void copyTo(Step &step, size_t begin, size_t count) const {
    std::copy_n(ids.begin() + int64_t(begin), count, step.getTokens().begin());
    std::copy_n(starts.begin() + int64_t(begin), std::min(count, step.getStarts().size()),
                step.getStarts().begin());
  }
};

std::vector<int32_t> readNumbers(const abi::SafetensorsFile &file, const std::string &name, int64_t wanted) {
  std::vector<int32_t> numbers = file.readIds(name);
  if (int64_t(numbers.size()) != wanted)
    throw Error(message<ErrorId::ProbeCount>(file.getPath(), name, numbers.size(), wanted));
  return numbers;
}

Batch readBatch(const std::string &path, const abi::Manifest &manifest) {
  abi::SafetensorsFile file(path);
  int64_t wanted = manifest.microBatches * manifest.batch * manifest.seq;
  Batch batch{readNumbers(file, "input_ids", wanted), std::vector<int32_t>(size_t(wanted), 0)};
  // -1 is no token.
  for (int32_t id : batch.ids)
    if (id < -1 || id >= manifest.vocab)
      throw Error(message<ErrorId::ProbeId>(path, id, manifest.vocab));
  if (!file.find("starts"))
    return batch;
  batch.starts = readNumbers(file, "starts", wanted);
  for (int64_t i = 0; i < wanted; ++i)
    if (batch.starts[size_t(i)] < 0 || batch.starts[size_t(i)] > i % manifest.seq)
      throw Error(message<ErrorId::ProbeStarts>(path, batch.starts[size_t(i)], i % manifest.seq));
  return batch;
}

/// Runs evaluate on every micro-batch; returns the weighted loss and appends outputs to `results` where
/// given.
double evaluateAll(executor::Executor &executor, Step &step, const Batch &batch, Results *results) {
  const abi::Manifest &manifest = executor.getManifest();
  size_t perMicroBatch = size_t(manifest.batch * manifest.seq);
  std::vector<std::vector<float>> collected(manifest.outputs.size());
  double total = 0;
  for (int64_t m = 0; m < manifest.microBatches; ++m) {
    batch.copyTo(step, size_t(m) * perMicroBatch, perMicroBatch);
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

/// Nobody gets results in place of what they are made of, or of a run.
void requireOutput(const ProbeOptions &options) {
  std::vector<std::string> inputs = {options.ids, "/proc/self/exe"};
  if (!options.parameters.empty())
    std::ranges::copy(abi::findCheckpoints(options.parameters), std::back_inserter(inputs));
  std::error_code error;
  for (const std::string &input : inputs)
    if (fs::equivalent(input, options.out, error))
      throw Error(message<ErrorId::ProbeOverInput>(options.out));
  base::AtomicFile::requireTarget(options.out, inputs);
  if (fs::is_regular_file(options.out, error) && abi::isCheckpoint(options.out))
    throw Error(message<ErrorId::ProbeOverCheckpoint>(options.out));
}

} // namespace

void probe(executor::Executor &executor, const Settings &settings, const ProbeOptions &options) {
  const abi::Manifest &manifest = executor.getManifest();
  requireOutput(options);
  Batch batch = readBatch(options.ids, manifest);
  initializeParameters(executor, settings.seed, settings.initStd);
  if (!options.parameters.empty()) {
    abi::SafetensorsFile file =
        checkpoint::open(executor, options.parameters, checkpoint::Use::Parameters, checkpoint::sayOnError);
    for (const std::string &name : checkpoint::loadParameters(executor, file))
      checkpoint::sayOnError(text("warning: '", file.getPath(), "': nothing uses tensor '", name, "'"));
  }
  Results results;
  Ranks alone;
  Step step(executor, settings, alone);
  evaluateAll(executor, step, batch, &results);

  std::vector<float> totals;
  for (int64_t number = 1; number <= std::max<int64_t>(options.steps, 1); ++number) {
    batch.copyTo(step, 0, batch.ids.size());
    step.runGradients(number);
    const Losses &losses = step.readLosses(manifest.microBatches);
    totals.push_back(float(losses.total));
    if (number == 1) {
      for (const auto &[name, value] : losses.byName)
        results.copy("loss." + name, {1}, {float(value)});
      results.copy("loss.total", {1}, {float(losses.total)});
      results.copy("gradient_norm", {1}, {float(step.getGradientNorm())});
      for (const abi::Metric &metric : manifest.metrics) {
        std::span<float> sums = executor.floats(metric.offset, metric.count);
        results.copy("metric." + metric.name, {metric.count}, {sums.begin(), sums.end()});
      }
      for (abi::NamedTensor &gradient : checkpoint::tensorsOf(executor, "gradients", "grad.", true))
        results.copy(std::move(gradient));
    }
    if (options.steps > 0)
      step.runUpdate();
  }
  if (options.steps > 0) {
    totals.push_back(float(evaluateAll(executor, step, batch, nullptr)));
    for (abi::NamedTensor &parameter :
         checkpoint::tensorsOf(executor, "parameters", text("after", options.steps, "."), false))
      results.view(std::move(parameter));
  }
  int64_t count = int64_t(totals.size());
  results.copy("totals", {count}, std::move(totals));
  results.write(options.out);
}

} // namespace contraflow::train
