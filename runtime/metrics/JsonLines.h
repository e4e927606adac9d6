//===- JsonLines.h - a line of JSON per step ------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_JSONLINES_H
#define CONTRAFLOW_RUNTIME_METRICS_JSONLINES_H

#include "runtime/metrics/RecordFile.h"
#include "runtime/metrics/Sink.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace contraflow::metrics {

/// Appends `{"step":1,"loss":5.4,...}`: keys are tags, numbers have enough digits that equal text means equal
/// bits.
class JsonLines : public Sink {
public:
  using Say = std::function<void(const std::string &line)>;
  /// Leaves a file that exists as it is. Throws base::Error, also where that holds anything but metrics.
  JsonLines(const std::string &path, Say say);
  /// Drops the lines of steps after `step` and a last line that a crash cut; a new run moves a file that is
  /// not empty to <path>.<n>. What is no regular file (a pipe, a link like /dev/stdout) stays as it is.
  void begin(int64_t step) override;
  void write(const Report &report) override;

private:
  /// What a regular file holds; nothing of others.
  std::string read() const;
  void setAside();

  std::string path;
  Say say;
  std::unique_ptr<RecordFile> file;
  /// Of every entry, as JSON.
  std::vector<std::string> keys;
  /// Kept for its memory.
  std::string line;
};

} // namespace contraflow::metrics

#endif
