//===- Trainer.h - a run from the first step to the last ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_TRAINER_H
#define CONTRAFLOW_RUNTIME_TRAIN_TRAINER_H

#include "runtime/checkpoint/Folder.h"
#include "runtime/data/Sequences.h"
#include "runtime/metrics/Memory.h"
#include "runtime/metrics/Sink.h"
#include "runtime/train/Ranks.h"
#include "runtime/train/Settings.h"
#include "runtime/train/Step.h"

#include <functional>

#include <memory>
#include <optional>
#include <string>

namespace contraflow::train {

struct TrainOptions {
  /// Folder for checkpoints.
  std::string checkpoint = "checkpoint";
  /// Folder or file of the run to continue.
  std::optional<std::string> resume;
  /// Folder or file with parameters to begin with.
  std::optional<std::string> initialize;
  /// The seed was given, so a checkpoint with another one is refused.
  bool seedGiven = false;
  /// File for lines of JSON and folder for event files; empty: none.
  std::string metrics, tensorboard;
  /// Bytes to write for a held-out prompt at the end.
  int64_t sampleLength = 400;
  double sampleTemperature = 0.7;
};

/// One run, seen from one of its ranks. Everything random is a function of seed, step and position, so that a
/// run that was resumed has the bits of one that was not interrupted.
class Trainer {
public:
  Trainer(executor::Executor &executor, Settings settings, TrainOptions options, Ranks ranks = {});

  /// Trains, saves and reports. False when SIGINT or SIGTERM ended it early, after a checkpoint.
  bool run();

private:
  /// On the first rank only.
  void say(const std::string &line) const;
  std::function<void(const std::string &)> getSay() const {
    return [this](const std::string &line) { say(line); };
  }
  bool shouldStop();
  void begin();
  void checkPaths();
  void checkArguments();
  void openSource();
  void loadParameters();
  void resumeFrom(const abi::SafetensorsFile &file);
  void resumeAverages(const abi::SafetensorsFile &file);
  void readText();
  /// Sequence `number` into row `row` of the batch.
  void readSequence(data::Sequences &sequences, int64_t number, int64_t row);
  void readBatch();
  void trainStep(int64_t number);
  [[noreturn]] void refuseNonFinite(int64_t number);
  /// What to do about a model that diverged.
  std::string advice() const;
  /// Of the parameters, and of their averages where the trainer has them. False when a signal ended it early.
  bool validate();
  std::optional<double> validateWith(void (Step::*evaluate)());
  /// Whether there is a new validation loss.
  bool validateWhenDue(int64_t number);
  void requireSoundModel();
  void report(int64_t number, bool validated);
  void writeMetrics(int64_t number, bool validated);
  double meanTokensPerSecond() const {
    return double(tokensPerStep()) * double(stepsSinceLine) / stepSeconds;
  }
  void saveUnlessItFails();
  void save();
  void write();
  void finish(bool isStopped);
  void writeSample();
  /// Of a step.
  int64_t sequencesOfRank() const { return manifest.microBatches * manifest.batch; }
  int64_t firstSequence() const { return state.dataPosition + ranks.getReplica() * sequencesOfRank(); }
  /// Of all ranks.
  int64_t tokensPerStep() const { return sequencesOfRank() * manifest.seq * ranks.getReplicas(); }
  double flopsPerStep() const { return manifest.flopsPerStep * double(ranks.getReplicas()); }
  /// `every` divides the number, or it is the last step.
  bool isDue(int64_t number, int64_t every) const {
    return number == settings.steps || divides(every, number);
  }
  static bool divides(int64_t every, int64_t number) { return every > 0 && number % every == 0; }

  executor::Executor &executor;
  const abi::Manifest &manifest;
  Settings settings;
  TrainOptions options;
  Ranks ranks;
  /// Of resume or initialize, until its tensors are read.
  std::optional<abi::SafetensorsFile> source;
  data::Corpus corpus;
  Step step;
  std::unique_ptr<data::Sequences> training, validation;
  abi::TrainingState state;
  checkpoint::Folder folder;
  metrics::Report metricReport;
  metrics::Memory memory;
  std::vector<std::unique_ptr<metrics::Sink>> sinks;
  std::vector<int32_t> unusedStarts;

  /// Of the last training step; an evaluation does not change it.
  Losses lastLosses;
  /// Of the metrics over the micro-batches of the last training step, and of the last validation.
  std::vector<double> metricSums, validationSums;
  std::optional<double> validationLoss, averagesValidationLoss;
  int64_t firstStep = 0;
  int64_t savedStep = -1;
  double beginSeconds = 0;
  /// Time in steps alone, since the last progress line and altogether.
  double stepSeconds = 0, totalStepSeconds = 0, lastStepSeconds = 0;
  int64_t stepsSinceLine = 0;
};

} // namespace contraflow::train

#endif
