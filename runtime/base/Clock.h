//===- Clock.h - time that never goes back --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_CLOCK_H
#define CONTRAFLOW_RUNTIME_BASE_CLOCK_H

#include <chrono>
#include <cstdint>

namespace contraflow::base {

inline int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline double seconds() { return double(nanoseconds()) * 1e-9; }

} // namespace contraflow::base

#endif
