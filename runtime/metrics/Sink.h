//===- Sink.h - where reports go ------------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_SINK_H
#define CONTRAFLOW_RUNTIME_METRICS_SINK_H

#include "runtime/metrics/Report.h"

namespace contraflow::metrics {

class Sink {
public:
  virtual ~Sink() = default;
  /// The run goes on behind `step`, 0 for a new one: what is there of later steps, which an interrupted run
  /// left, does not count any more. Throws base::Error.
  virtual void begin(int64_t step) = 0;
  /// What cannot be written is no reason to end a run: it gets a warning, once.
  virtual void write(const Report &report) = 0;
};

} // namespace contraflow::metrics

#endif
