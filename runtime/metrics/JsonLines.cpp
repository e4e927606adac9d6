//===- JsonLines.cpp - a line of JSON per step ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/JsonLines.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

namespace contraflow::metrics {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kLineBegin = "{\"step\":";

/// The step of a line; nothing where it is no line of metrics.
std::optional<int64_t> stepOf(std::string_view line) {
  nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
  if (!value.is_object() || !value.contains("step") || !value["step"].is_number_integer())
    return std::nullopt;
  return value["step"].get<int64_t>();
}

/// The lines of `content` that are whole and of no step after `step`.
std::string linesUntil(int64_t step, std::string_view content, const std::string &path) {
  std::string kept;
  size_t number = 1;
  for (size_t end; (end = content.find('\n')) != std::string_view::npos; ++number) {
    std::string_view line = content.substr(0, end);
    content.remove_prefix(end + 1);
    std::optional<int64_t> found = stepOf(line);
    if (!found)
      throw base::Error(base::message<base::ErrorId::MetricsForeign>(path, number));
    if (*found <= step)
      kept += base::text(line, "\n");
  }
  // What a crash cut begins as every line does.
  if (content.substr(0, kLineBegin.size()) != kLineBegin.substr(0, content.size()))
    throw base::Error(base::message<base::ErrorId::MetricsForeign>(path, number));
  return kept;
}

/// The file behind links: it is what must not be written over, and what a run goes on with. A stream
/// (/dev/stdout, /dev/fd/63) keeps its name, whatever file it goes to: the run does not own what is in that.
std::string behindLinks(const std::string &path) {
  // As many as Linux follows.
  constexpr int kMostLinks = 40;
  fs::path at = path;
  for (int i = 0; i < kMostLinks; ++i) {
    std::error_code error;
    fs::path folder = fs::weakly_canonical(fs::absolute(at, error).parent_path(), error);
    std::string top = (folder / "").string();
    if (error || top.starts_with("/dev/") || top.starts_with("/proc/"))
      return path;
    if (!fs::is_symlink(at, error))
      return at.string();
    at = at.parent_path() / fs::read_symlink(at, error);
    if (error)
      return path;
  }
  return path;
}

std::string nextFreeName(const std::string &path) {
  for (int64_t number = 1;; ++number) {
    std::string name = base::text(path, '.', number);
    if (!fs::exists(fs::symlink_status(name)))
      return name;
  }
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

JsonLines::JsonLines(const std::string &path, Say say) : path(behindLinks(path)), say(std::move(say)) {
  linesUntil(0, read(), this->path);
  file = std::make_unique<RecordFile>(this->path);
}

std::string JsonLines::read() const {
  std::error_code error;
  bool isRegular = fs::is_regular_file(fs::symlink_status(path, error));
  return isRegular ? base::readFile(path) : "";
}

void JsonLines::begin(int64_t step) {
  std::string content = read(), kept = linesUntil(step, content, path);
  if (step == 0 && !content.empty())
    return setAside();
  if (kept == content)
    return;
  std::error_code error;
  base::AtomicFile replacement(path, unsigned(fs::status(path, error).permissions()) & 0777);
  replacement.write(kept);
  replacement.commit();
  file = std::make_unique<RecordFile>(path);
}

void JsonLines::setAside() {
  std::string earlier = nextFreeName(path);
  std::error_code error;
  fs::rename(path, earlier, error);
  if (error)
    throw base::Error(base::message<base::ErrorId::FileOperation>("rename", path, error.message()));
  file = std::make_unique<RecordFile>(path);
  say(base::text("kept the metrics of an earlier run in '", earlier, "'"));
}

void JsonLines::write(const Report &report) {
  if (keys.empty())
    for (const Entry &entry : report.getEntries())
      keys.push_back("," + nlohmann::json(entry.tag).dump() + ":");
  line = kLineBegin;
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
