//===- Step.cpp - one training step, one evaluation -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Step.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <cmath>

namespace contraflow::train {

namespace {

/// Keeps the numbers of an instance apart from those that made a parameter of the same name.
constexpr uint64_t kRandomKeyHash = 1;

bool changesParameters(const executor::Table::Call &call) {
  return call.row->direction == "optimizer" || call.row->direction == "update";
}

} // namespace

Step::Step(executor::Executor &executor, const Settings &settings, const Ranks &ranks)
    : executor(executor), settings(settings), ranks(ranks), mainLoss(executor.getManifest().mainLoss()) {
  const abi::Manifest &manifest = executor.getManifest();
  const executor::Table &table = executor.getTable("train");
  auto update = std::find_if(table.calls.begin(), table.calls.end(), changesParameters);
  updateBegin = size_t(update - table.calls.begin());
  if (manifest.inputs.tokens < 0)
    throw base::Error(base::message<base::ErrorId::TokensMissing>());
  int64_t count = manifest.microBatches * manifest.batch * manifest.seq;
  tokens = executor.ids(manifest.inputs.tokens, count);
  if (manifest.inputs.starts >= 0)
    starts = executor.ids(manifest.inputs.starts, count);
  if (manifest.findRegion("ema") && manifest.findProgram("evaluate"))
    averages = executor.redirect("evaluate", "parameters", "ema");
  for (const std::string &name : manifest.lossNames())
    losses.byName.emplace_back(name, 0.0);
  for (const abi::Metric &metric : manifest.metrics)
    metricCount += size_t(metric.count);
}

/// Two words of a key are a function of seed, name and step; the micro-batch, counted over all ranks, goes
/// along as it is, so that generated code can count the rows of the whole step.
void Step::writeRandomKeys(int64_t number) {
  for (const abi::RandomKeys &keys : executor.getManifest().randomKeys) {
    std::array<uint32_t, 4> words =
        base::Philox(settings.seed, base::hash64(keys.name, kRandomKeyHash)).words(uint64_t(number));
    int64_t microBatches = executor.getManifest().microBatches;
    std::span<int32_t> key = executor.ids(keys.offset, microBatches * CF_RANDOM_KEY_WORDS);
    for (int64_t m = 0; m < microBatches; ++m) {
      std::span<int32_t> words32 = key.subspan(size_t(m) * CF_RANDOM_KEY_WORDS, CF_RANDOM_KEY_WORDS);
      words32[0] = int32_t(words[0]);
      words32[1] = int32_t(words[1]);
      words32[2] = int32_t(ranks.getReplica() * microBatches + m);
      words32[3] = 0;
    }
  }
}

void Step::runGradients(int64_t number) {
  writeRandomKeys(number);
  int64_t offset = executor.getManifest().scalars;
  if (offset >= 0) {
    std::span<float> scalars = executor.floats(offset, CF_SCALAR_COUNT);
    scalars[CF_SCALAR_LEARNING_RATE] = float(learningRateAt(settings, number));
    scalars[CF_SCALAR_BIAS_CORRECTION_1] = float(1 - std::pow(settings.betas[0], double(number)));
    scalars[CF_SCALAR_BIAS_CORRECTION_2] = float(1 - std::pow(settings.betas[1], double(number)));
  }
  // Losses only grow towards the end of a step, so the first micro-batch that makes one infinite is found by
  // looking after each. It costs a few loads.
  badMicroBatch = -1;
  const executor::Table &table = executor.getTable("train");
  for (size_t begin = 0; begin < updateBegin;) {
    int64_t microBatch = table.calls[begin].row->microBatch;
    size_t end = begin;
    while (end < updateBegin && table.calls[end].row->microBatch == microBatch)
      ++end;
    executor.run(table, begin, end);
    if (badMicroBatch < 0 && microBatch >= 0 && !lossesAreFinite())
      badMicroBatch = microBatch;
    begin = end;
  }
}

void Step::runUpdate() {
  const executor::Table &table = executor.getTable("train");
  executor.run(table, updateBegin, table.calls.size());
}

void Step::evaluate(const executor::Table &table) {
  for (const abi::Loss &loss : executor.getManifest().losses)
    executor.floats(loss.offset, 1)[0] = 0;
  for (const abi::Metric &metric : executor.getManifest().metrics)
    std::ranges::fill(executor.floats(metric.offset, metric.count), 0);
  executor.run(table);
}

bool Step::lossesAreFinite() {
  const std::vector<abi::Loss> &list = executor.getManifest().losses;
  return std::all_of(list.begin(), list.end(), [&](const abi::Loss &loss) {
    return std::isfinite(executor.floats(loss.offset, 1)[0]);
  });
}

const Losses &Step::readLosses(int64_t microBatches) {
  losses.total = losses.main = 0;
  for (auto &[name, value] : losses.byName)
    value = 0;
  for (const abi::Loss &loss : executor.getManifest().losses) {
    double value = double(executor.floats(loss.offset, 1)[0]) / double(microBatches * ranks.getReplicas());
    losses.total += loss.weight * value;
    if (loss.name == mainLoss)
      losses.main += value;
    for (auto &[name, sum] : losses.byName)
      if (name == loss.name)
        sum += value;
  }
  return losses;
}

void Step::addMetrics(std::span<double> sums) {
  size_t at = 0;
  for (const abi::Metric &metric : executor.getManifest().metrics)
    for (float value : executor.floats(metric.offset, metric.count))
      sums[at++] += double(value);
}

double Step::getGradientNorm() {
  int64_t offset = executor.getManifest().scalars;
  return offset < 0 ? 0 : double(executor.floats(offset, CF_SCALAR_COUNT)[CF_SCALAR_GRADIENT_NORM]);
}

} // namespace contraflow::train
