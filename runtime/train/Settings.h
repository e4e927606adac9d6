//===- Settings.h - the keys of a run file that are read while training ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_SETTINGS_H
#define CONTRAFLOW_RUNTIME_TRAIN_SETTINGS_H

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::train {

/// Everything else in a run file is compiled into the program. Each member's key stands in Settings.cpp.
struct Settings {
  double learningRate = 1e-3;
  double minLearningRate = 0;
  /// "constant" or "cosine", both after the warm-up.
  std::string schedule = "constant";
  int64_t warmupSteps = 0;
  /// For the bias corrections only; the program has its own copy, so --set refuses it.
  std::vector<double> betas = {0.9, 0.95};

  int64_t steps = 1000;
  /// In steps; 0: only at the end.
  int64_t validateEvery = 100;
  int64_t checkpointEvery = 0;
  /// Checkpoints; 0: all.
  int64_t keepLast = 2;
  /// In steps; 0: none.
  int64_t keepEvery = 0;
  int64_t logEvery = 10;
  int64_t validationTokens = 65536;

  std::vector<std::string> dataPaths;
  std::vector<std::string> dataInclude;
  double heldOut = 0.05;
  bool documentMask = false;

  uint64_t seed = 1;
  double initStd = 0.006;

  /// From the text of a run file and assignments "optimizer.lr=1e-3" that override it. Throws base::Error
  /// naming the key.
  static Settings parse(const std::string &run, const std::vector<std::string> &assignments);

  /// The text of a run file with these values in place of its own.
  std::string writeInto(const std::string &run) const;

  /// Which values differ from those of the run file of an earlier part of the run so that the steps to come
  /// do: "optimizer.lr is 0.001, it was 0.0003".
  std::vector<std::string> changesSince(const std::string &run) const;

  /// One line per key that --set takes.
  static std::string help();
};

/// The learning rate of step `step` = 1, 2, ...: rises in a line to the full rate at step `warmupSteps`, then
/// stays or falls along half a cosine to the smallest rate at the last step.
double learningRateAt(const Settings &settings, int64_t step);

} // namespace contraflow::train

#endif
