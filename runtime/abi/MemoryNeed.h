//===- MemoryNeed.h - what a trainer needs of a machine -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_MEMORYNEED_H
#define CONTRAFLOW_RUNTIME_ABI_MEMORYNEED_H

#include "runtime/abi/Manifest.h"

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::abi {

/// Memory of a trainer, and what makes it that much.
struct MemoryNeed {
  /// Arena, scratch of the threads, and text.
  int64_t bytes = 0;
  /// What the text is of it, where the peak is and the largest things that are in use there; for people.
  std::string peak;

  static MemoryNeed of(const Manifest &manifest, int threads, int64_t textBytes = 0);

  /// Throws base::Error where it is more than `limit`.
  void requireAtMost(int64_t limit) const;
};

/// Bytes in use in each of the `rows` rows of a program: each buffer rounded up to 64, with `guardBytes` on
/// both sides.
std::vector<int64_t> liveBytes(const std::vector<Buffer> &buffers, int64_t rows, int64_t guardBytes = 0);

/// "1 byte", "1.50 GiB".
std::string formatBytes(int64_t bytes);

/// Bytes of memory that this process can have: the machine's, or the least limit of its control groups or of
/// the process.
int64_t getMemoryLimit();
/// Bytes that nobody uses now, as far as the system says.
int64_t getFreeMemory();

} // namespace contraflow::abi

#endif
