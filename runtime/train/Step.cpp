//===- Step.cpp - one training step, one evaluation -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Step.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cmath>

namespace contraflow::train {

namespace {

bool changesParameters(const executor::Table::Call &call) {
  return call.row->direction == "optimizer" || call.row->direction == "update";
}

} // namespace

Step::Step(executor::Executor &executor, const Settings &settings)
    : executor(executor), settings(settings), mainLoss(executor.getManifest().mainLoss()) {
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
  for (const abi::Loss &loss : manifest.losses)
    if (std::none_of(losses.byName.begin(), losses.byName.end(),
                     [&](auto &entry) { return entry.first == loss.name; }))
      losses.byName.emplace_back(loss.name, 0.0);
}

void Step::runGradients(int64_t number) {
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

void Step::runEvaluate() {
  for (const abi::Loss &loss : executor.getManifest().losses)
    executor.floats(loss.offset, 1)[0] = 0;
  executor.run(executor.getTable("evaluate"));
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
    double value = double(executor.floats(loss.offset, 1)[0]) / double(microBatches);
    losses.total += loss.weight * value;
    if (loss.name == mainLoss)
      losses.main += value;
    for (auto &[name, sum] : losses.byName)
      if (name == loss.name)
        sum += value;
  }
  return losses;
}

double Step::getGradientNorm() {
  int64_t offset = executor.getManifest().scalars;
  return offset < 0 ? 0 : double(executor.floats(offset, CF_SCALAR_COUNT)[CF_SCALAR_GRADIENT_NORM]);
}

} // namespace contraflow::train
