//===- Memory.cpp - what the process takes of the machine -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/Memory.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace contraflow::metrics {

namespace {

/// The second number of /proc/self/statm counts pages.
int64_t residentBytes() {
  char buffer[128];
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  ssize_t count = read(file, buffer, sizeof(buffer));
  close(file);
  const char *end = buffer + (count > 0 ? count : 0);
  const char *space = static_cast<const char *>(std::memchr(buffer, ' ', size_t(end - buffer)));
  int64_t pages = 0;
  if (space)
    std::from_chars(space + 1, end, pages);
  return pages * sysconf(_SC_PAGESIZE);
}

int64_t peakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024;
}

} // namespace

void Memory::add(int64_t residentNow, int64_t peakOfSystem) {
  resident = residentNow;
  peak = std::max({peak, resident, peakOfSystem});
}

void Memory::look() { add(residentBytes(), peakResidentBytes()); }

} // namespace contraflow::metrics
