//===- Progress.cpp - what people and scripts see of a run ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Progress.h"
#include "runtime/base/Error.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>

namespace contraflow::train {

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

std::string progressLine(const StepReport &report) {
  int width = int(std::to_string(report.steps).size());
  std::string validation = report.validationLoss ? format("%.4f", *report.validationLoss) : "-";
  return format("step %*lld/%lld  loss %.4f  val %s  grad %.3g  lr %.2e  %.0f tokens/s  left %s", width,
                static_cast<long long>(report.step), static_cast<long long>(report.steps),
                report.losses->main, validation.c_str(), report.gradientNorm, report.learningRate,
                report.tokensPerSecond, durationText(report.secondsLeft).c_str());
}

MetricsFile::MetricsFile(const std::string &path) : path(path), file(std::fopen(path.c_str(), "ae")) {
  if (!file)
    throw base::Error(base::text("cannot write '", path, "': ", std::strerror(errno)));
}

void MetricsFile::write(const StepReport &report, bool validated) {
  nlohmann::ordered_json line;
  line["step"] = report.step;
  line["loss"] = report.losses->main;
  line["total"] = report.losses->total;
  for (const auto &[name, value] : report.losses->byName)
    line["losses"][name] = value;
  if (validated)
    line["validation_loss"] = *report.validationLoss;
  line["gradient_norm"] = report.gradientNorm;
  line["learning_rate"] = report.learningRate;
  line["tokens_per_second"] = report.tokensPerSecond;
  std::fprintf(file.get(), "%s\n", line.dump().c_str());
  if (std::fflush(file.get()) == 0 || warned)
    return;
  warned = true;
  std::fprintf(stderr, "contraflow: warning: cannot write '%s': %s; lines are missing from step %lld on\n",
               path.c_str(), std::strerror(errno), static_cast<long long>(report.step));
}

} // namespace contraflow::train
