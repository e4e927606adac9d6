//===- Arena.cpp - one piece of memory for everything ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Arena.h"
#include "runtime/abi/MemoryNeed.h"
#include "runtime/base/Error.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

namespace contraflow::device {

namespace {

constexpr size_t kHugePage = size_t(2) << 20;

} // namespace

Arena::Arena(const char *what, int64_t bytes) : bytes(bytes) {
  if (bytes == 0)
    return;
  mappingBytes = size_t(bytes) + kHugePage;
  mapping =
      mmap(nullptr, mappingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    throw base::Error(
        base::message<base::ErrorId::MemoryRefused>(abi::formatBytes(bytes), what, std::strerror(errno)));
  uintptr_t aligned = (reinterpret_cast<uintptr_t>(mapping) + kHugePage - 1) / kHugePage * kHugePage;
  begin = reinterpret_cast<char *>(aligned);
  // Without huge pages everything works, slower.
  madvise(begin, size_t(bytes), MADV_HUGEPAGE);
}

Arena::~Arena() {
  if (mapping)
    munmap(mapping, mappingBytes);
}

} // namespace contraflow::device
