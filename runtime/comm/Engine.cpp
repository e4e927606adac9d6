//===- Engine.cpp - what wakes a thread -----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/Engine.h"

#include <chrono>

namespace contraflow::comm {

void Bell::ring() {
  {
    std::lock_guard lock(mutex);
    isRung = true;
  }
  condition.notify_one();
}

void Bell::rest(int64_t nanoseconds) {
  std::unique_lock lock(mutex);
  condition.wait_for(lock, std::chrono::nanoseconds(nanoseconds), [this] { return isRung; });
  isRung = false;
}

} // namespace contraflow::comm
