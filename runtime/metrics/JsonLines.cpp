//===- JsonLines.cpp - a line of JSON per step ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/JsonLines.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>

namespace contraflow::metrics {

namespace {

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

void appendNumber(std::string &line, double value) {
  if (!std::isfinite(value)) {
    line += "null";
    return;
  }
  // The longest double has 24 characters.
  char buffer[32];
  constexpr double kWholeNumbersUntil = 1e15;
  bool isWhole = value == std::floor(value) && std::abs(value) < kWholeNumbersUntil;
  auto result = isWhole ? std::to_chars(buffer, std::end(buffer), int64_t(value))
                        : std::to_chars(buffer, std::end(buffer), value);
  line.append(buffer, result.ptr);
}

} // namespace

JsonLines::JsonLines(const std::string &path) : path(path), file(std::make_unique<RecordFile>(path)) {}

void JsonLines::begin(int64_t step) {
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
  file = std::make_unique<RecordFile>(path);
}

void JsonLines::write(const Report &report) {
  if (keys.empty())
    for (const Entry &entry : report.getEntries())
      keys.push_back("," + nlohmann::json(entry.tag).dump() + ":");
  line = "{\"step\":";
  appendNumber(line, double(report.getStep()));
  for (size_t i = 0; i < keys.size(); ++i) {
    const Entry &entry = report.getEntries()[i];
    if (!entry.isPresent)
      continue;
    line += keys[i];
    if (entry.isList)
      line += '[';
    for (size_t k = 0; k < entry.values.size(); ++k) {
      if (k > 0)
        line += ',';
      appendNumber(line, entry.values[k]);
    }
    if (entry.isList)
      line += ']';
  }
  line += "}\n";
  file->append(line, report.getStep());
}

} // namespace contraflow::metrics
