//===- JsonLines.h - a line of JSON per step ------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_JSONLINES_H
#define CONTRAFLOW_RUNTIME_METRICS_JSONLINES_H

#include "runtime/metrics/RecordFile.h"
#include "runtime/metrics/Sink.h"

#include <memory>
#include <string>
#include <vector>

namespace contraflow::metrics {

/// Appends `{"step":1,"loss":5.4,...}`: keys are tags, numbers have enough digits that equal text means equal
/// bits.
class JsonLines : public Sink {
public:
  /// Leaves a file that exists as it is. Throws base::Error.
  explicit JsonLines(const std::string &path);
  /// Drops the lines of steps after `step` and a last line that a crash cut; all lines for a new run. What is
  /// no regular file (a pipe, a link like /dev/stdout) stays as it is.
  void begin(int64_t step) override;
  void write(const Report &report) override;

private:
  std::string path;
  std::unique_ptr<RecordFile> file;
  /// Of every entry, as JSON.
  std::vector<std::string> keys;
  /// Kept for its memory.
  std::string line;
};

} // namespace contraflow::metrics

#endif
