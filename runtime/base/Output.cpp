//===- Output.cpp - standard output, which may be full or closed ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Output.h"
#include "runtime/base/Error.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace contraflow::base {

namespace {

/// The first errno of a write that failed: the stream itself keeps a flag only.
std::atomic<int> failure{0};

} // namespace

void print(std::string_view text) {
  errno = 0;
  bool isWritten =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  int none = 0;
  if (!isWritten)
    failure.compare_exchange_strong(none, errno);
}

void requireOutput() {
  if (failure != 0 && failure != EPIPE)
    throw Error(message<ErrorId::OutputUnwritable>(std::strerror(failure)));
}

} // namespace contraflow::base
