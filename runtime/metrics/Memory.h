//===- Memory.h - what the process takes of the machine -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_MEMORY_H
#define CONTRAFLOW_RUNTIME_METRICS_MEMORY_H

#include <cstdint>

namespace contraflow::metrics {

/// Bytes of this process that are in RAM, at the last look and at most so far; 0 where the system does not
/// say.
struct Memory {
  int64_t resident = 0, peak = 0;

  /// Asks the system. Allocates nothing.
  void look();
  /// What the system says now, and as the peak, which it brings up to date now and then only.
  void add(int64_t residentNow, int64_t peakOfSystem);
};

} // namespace contraflow::metrics

#endif
