//===- Progress.h - what people see of a run ------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_PROGRESS_H
#define CONTRAFLOW_RUNTIME_METRICS_PROGRESS_H

#include <cstdint>
#include <optional>
#include <string>

namespace contraflow::metrics {

/// What a progress line says.
struct Progress {
  int64_t step = 0;
  int64_t steps = 0;
  double loss = 0;
  /// The last one that was measured.
  std::optional<double> validationLoss;
  double gradientNorm = 0;
  double learningRate = 0;
  double tokensPerSecond = 0;
  double secondsLeft = 0;
  /// As validationLoss, with averages in place of the parameters.
  std::optional<double> averagesValidationLoss = std::nullopt;
};

/// "3m07s".
std::string durationText(double seconds);

/// "step  10/300  loss 4.0123  val 4.1000  grad 1.02  lr 3.00e-03  5120 tokens/s  left 3m07s".
std::string progressLine(const Progress &progress);

} // namespace contraflow::metrics

#endif
