//===- Arena.cpp - one piece of memory for everything ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Arena.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <sys/mman.h>
#include <unistd.h>

namespace contraflow::device {

namespace {

constexpr size_t kHugePage = size_t(2) << 20;

/// The number in a one-line file of the system; the largest number where there is none ("max").
int64_t limitIn(const char *path) {
  int64_t limit = std::numeric_limits<int64_t>::max();
  if (FILE *file = std::fopen(path, "r")) {
    long long value;
    if (std::fscanf(file, "%lld", &value) == 1 && value > 0)
      limit = value;
    std::fclose(file);
  }
  return limit;
}

} // namespace

int64_t availableMemory() {
  int64_t machine = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return std::min({machine, limitIn("/sys/fs/cgroup/memory.max"),
                   limitIn("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

Arena::Arena(const char *what, int64_t bytes) : bytes(bytes) {
  if (bytes == 0)
    return;
  const char *advice = "use a smaller batch or model, or a machine with more memory";
  if (bytes > availableMemory())
    throw base::Error(base::text("the trainer needs ", bytes >> 20, " MiB of ", what, ", this machine has ",
                                 availableMemory() >> 20),
                      advice);
  mappingBytes = size_t(bytes) + kHugePage;
  mapping =
      mmap(nullptr, mappingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    throw base::Error(base::text("cannot get ", bytes >> 20, " MiB of ", what, ": ", std::strerror(errno)),
                      advice);
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
