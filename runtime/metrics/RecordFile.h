//===- RecordFile.h - a file that grows record by record ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_RECORDFILE_H
#define CONTRAFLOW_RUNTIME_METRICS_RECORDFILE_H

#include <cstdint>
#include <string>
#include <string_view>

namespace contraflow::metrics {

/// Every record is in the file as soon as it is appended, so that a process that is killed leaves whole
/// records.
class RecordFile {
public:
  /// Leaves what a file holds as it is. Throws base::Error.
  explicit RecordFile(std::string path);
  ~RecordFile();
  RecordFile(const RecordFile &) = delete;
  RecordFile &operator=(const RecordFile &) = delete;

  /// The record of step `step`. Where it does not fit nothing of it stays, and the first time there is a
  /// warning.
  void append(std::string_view record, int64_t step);

private:
  std::string path;
  int descriptor = -1;
  bool warned = false;
};

} // namespace contraflow::metrics

#endif
