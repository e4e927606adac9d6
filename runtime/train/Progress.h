//===- Progress.h - what people and scripts see of a run ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_PROGRESS_H
#define CONTRAFLOW_RUNTIME_TRAIN_PROGRESS_H

#include "runtime/train/Step.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace contraflow::train {

/// What is known after a step.
struct StepReport {
  int64_t step = 0;
  int64_t steps = 0;
  const Losses *losses = nullptr;
  /// The last one that was measured.
  std::optional<double> validationLoss;
  /// The same with averages in place of the parameters.
  std::optional<double> averagesValidationLoss;
  double gradientNorm = 0;
  double learningRate = 0;
  double tokensPerSecond = 0;
  double secondsLeft = 0;
};

/// "3m07s".
std::string durationText(double seconds);

/// "step  10/300  loss 4.0123  val 4.1000  grad 1.02  lr 3.00e-03  5120 tokens/s  left 3m07s".
std::string progressLine(const StepReport &report);

/// Lines of JSON, one a step, with enough digits that equal text means equal bits.
class MetricsFile {
public:
  /// Leaves a file that exists as it is. Throws base::Error.
  explicit MetricsFile(const std::string &path);
  /// Drops the lines of steps after `step`, which a run that goes on from there writes again, and a last line
  /// that a crash cut. What is no regular file (a pipe, a link like /dev/stdout) stays as it is. Throws
  /// base::Error.
  void keepUntil(int64_t step);
  /// A file that cannot be written any more is no reason to end a run: it gets a warning, once.
  void write(const StepReport &report, bool validated);

private:
  struct Close {
    void operator()(FILE *file) const { std::fclose(file); }
  };
  void open();

  std::string path;
  std::unique_ptr<FILE, Close> file;
  bool warned = false;
};

} // namespace contraflow::train

#endif
