//===- EventFile.h - what TensorBoard reads -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An event file is a sequence of records (TFRecord): length, checksum of the length, bytes, checksum of the
// bytes. The bytes are an `Event` of tensorboard/compat/proto/event.proto. Five small
// messages are all that is written, so that they are encoded here and trainers need no protobuf.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_METRICS_EVENTFILE_H
#define CONTRAFLOW_RUNTIME_METRICS_EVENTFILE_H

#include "runtime/metrics/RecordFile.h"
#include "runtime/metrics/Sink.h"

#include <memory>
#include <string>
#include <string_view>

namespace contraflow::metrics {

/// Appends the record that holds `bytes`.
void appendRecord(std::string &out, std::string_view bytes);

/// Writes one event per step into a new file of the folder. Numbers are scalars; a list is a histogram whose
/// bucket i, from i to i + 1, holds value i.
class EventFile : public Sink {
public:
  explicit EventFile(std::string folder) : folder(std::move(folder)) {}
  /// Makes the file, which sorts after those that are there, and tells readers to forget what these say of
  /// steps after `step`.
  void begin(int64_t step) override;
  void write(const Report &report) override;

private:
  void appendEvent(int64_t step, unsigned field, std::string_view bytes);

  std::string folder;
  std::unique_ptr<RecordFile> file;
  /// Kept for their memory.
  std::string value, summary, event, records;
};

} // namespace contraflow::metrics

#endif
