//===- Step.h - one training step, one evaluation -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_STEP_H
#define CONTRAFLOW_RUNTIME_TRAIN_STEP_H

#include "runtime/executor/Executor.h"
#include "runtime/train/Ranks.h"
#include "runtime/train/Settings.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace contraflow::train {

/// What the losses of a step or an evaluation were: means over its micro-batches, those of all ranks.
struct Losses {
  /// By name, in the order of the manifest; losses of one name are added up.
  std::vector<std::pair<std::string, double>> byName;
  /// Weighted sum.
  double total = 0;
  /// The one that people watch.
  double main = 0;
};

/// The train and evaluate programs of an executor, seen as steps. Allocates in its constructor only.
class Step {
public:
  /// Of the ranks it needs the numbers only.
  Step(executor::Executor &executor, const Settings &settings, const Ranks &ranks);

  /// Ids of all micro-batches of a step of this rank, one after the other, and the first visible id of each;
  /// write here before a step. `starts` is empty where the program does not read it.
  std::span<int32_t> getTokens() { return tokens; }
  std::span<int32_t> getStarts() { return starts; }

  /// Forward and backward of every micro-batch and the gradient norm: all rows before the parameters change.
  /// `number` = 1, 2, ... sets the scalars.
  void runGradients(int64_t number);
  /// The other rows: optimizer and updates.
  void runUpdate();
  /// Forward of micro-batch 0 alone; parameters stay.
  void runEvaluate() { evaluate(executor.getTable("evaluate")); }
  /// The same with the averages of the parameters, where hasAverages().
  void runEvaluateAverages() { evaluate(*averages); }
  bool hasAverages() const { return averages.has_value(); }

  /// Of runGradients (`microBatches` = the manifest's) or runEvaluate (1); of each rank.
  const Losses &readLosses(int64_t microBatches);
  /// Adds what the last run left of the manifest's metrics, one after the other, to `sums`.
  void addMetrics(std::span<double> sums);
  /// The size of `sums`.
  size_t getMetricCount() const { return metricCount; }
  double getGradientNorm();
  /// The micro-batch after which a loss was not finite for the first time; -1: none.
  int64_t getBadMicroBatch() const { return badMicroBatch; }

private:
  bool lossesAreFinite();
  void writeRandomKeys(int64_t number);
  void evaluate(const executor::Table &table);

  executor::Executor &executor;
  const Settings &settings;
  const Ranks &ranks;
  std::span<int32_t> tokens, starts;
  /// The program evaluate on averages.
  std::optional<executor::Table> averages;
  std::string mainLoss;
  Losses losses;
  size_t metricCount = 0;
  size_t updateBegin = 0;
  int64_t badMicroBatch = -1;
};

} // namespace contraflow::train

#endif
