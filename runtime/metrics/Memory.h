//===- Memory.h - what the process takes of the machine -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_MEMORY_H
#define CONTRAFLOW_RUNTIME_METRICS_MEMORY_H

#include <cstdint>

namespace contraflow::metrics {

/// Bytes of this process that are in RAM, now and at most so far. Neither allocates; 0 where the system does
/// not say.
int64_t residentBytes();
int64_t peakResidentBytes();

} // namespace contraflow::metrics

#endif
