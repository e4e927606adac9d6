//===- MemoryNeed.h - what a trainer needs of a machine -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_MEMORYNEED_H
#define CONTRAFLOW_RUNTIME_ABI_MEMORYNEED_H

#include "runtime/abi/Manifest.h"

namespace contraflow::abi {

/// Memory of a trainer, and what makes it that much.
struct MemoryNeed {
  /// Arena and scratch of the threads.
  int64_t bytes = 0;
  /// Where the peak is and the largest things that are in use there; for people.
  std::string peak;

  static MemoryNeed of(const Manifest &manifest, int threads);
};

/// "1.50 GiB".
std::string formatBytes(int64_t bytes);

/// Bytes of memory that this process can have: the machine's, or the least limit of its control groups or of
/// the process.
int64_t getMemoryLimit();
/// Bytes that nobody uses now, as far as the system says.
int64_t getFreeMemory();

} // namespace contraflow::abi

#endif
