//===- Progress.cpp - what people and scripts see of a run ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Progress.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace contraflow::train {

namespace {

template <typename... Values> std::string format(const char *pattern, Values... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof(buffer), pattern, values...);
  return buffer;
}

/// The lines of `content` that are whole and of no step after `step`.
std::string linesUntil(int64_t step, std::string_view content, const std::string &path) {
  std::string kept;
  for (size_t number = 1, end; (end = content.find('\n')) != std::string_view::npos; ++number) {
    std::string_view line = content.substr(0, end);
    content.remove_prefix(end + 1);
    nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("step") || !value["step"].is_number_integer())
      throw base::Error(base::message<base::ErrorId::MetricsForeign>(path, number));
    if (value["step"].get<int64_t>() <= step)
      kept += base::text(line, "\n");
  }
  return kept;
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
  if (report.averagesValidationLoss)
    validation += format(" (ema %.4f)", *report.averagesValidationLoss);
  return format("step %*lld/%lld  loss %.4f  val %s  grad %.3g  lr %.2e  %.0f tokens/s  left %s", width,
                static_cast<long long>(report.step), static_cast<long long>(report.steps),
                report.losses->main, validation.c_str(), report.gradientNorm, report.learningRate,
                report.tokensPerSecond, durationText(report.secondsLeft).c_str());
}

MetricsFile::MetricsFile(const std::string &path) : path(path) { open(); }

void MetricsFile::open() {
  file.reset(std::fopen(path.c_str(), "ae"));
  if (!file)
    throw base::Error(base::message<base::ErrorId::FileUnwritable>(path, std::strerror(errno)));
}

void MetricsFile::keepUntil(int64_t step) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::symlink_status(path, error);
  if (!std::filesystem::is_regular_file(status))
    return;
  std::string content = base::readFile(path);
  // A new run keeps nothing, whatever the file holds.
  std::string kept = step == 0 ? "" : linesUntil(step, content, path);
  if (kept == content)
    return;
  base::AtomicFile replacement(path, unsigned(status.permissions()) & 0777);
  replacement.write(kept);
  replacement.commit();
  open();
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
  if (validated && report.averagesValidationLoss)
    line["validation_loss_ema"] = *report.averagesValidationLoss;
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
