//===- Progress.cpp - what people see of a run ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/Progress.h"

#include <cstdio>

namespace contraflow::metrics {

namespace {

template <typename... Values> std::string format(const char *pattern, Values... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof(buffer), pattern, values...);
  return buffer;
}

} // namespace

std::string durationText(double seconds) {
  auto total = static_cast<long long>(seconds + 0.5);
  if (total < 60)
    return format("%llds", total);
  if (total < 3600)
    return format("%lldm%02llds", total / 60, total % 60);
  return format("%lldh%02lldm", total / 3600, total / 60 % 60);
}

std::string progressLine(const Progress &progress) {
  int width = int(std::to_string(progress.steps).size());
  std::string validation = progress.validationLoss ? format("%.4f", *progress.validationLoss) : "-";
  if (progress.averagesValidationLoss)
    validation += format(" (ema %.4f)", *progress.averagesValidationLoss);
  return format("step %*lld/%lld  loss %.4f  val %s  grad %.3g  lr %.2e  %.0f tokens/s  left %s", width,
                static_cast<long long>(progress.step), static_cast<long long>(progress.steps), progress.loss,
                validation.c_str(), progress.gradientNorm, progress.learningRate, progress.tokensPerSecond,
                durationText(progress.secondsLeft).c_str());
}

} // namespace contraflow::metrics
