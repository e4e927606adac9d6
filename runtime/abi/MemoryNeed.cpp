//===- MemoryNeed.cpp - what a trainer needs of a machine -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/MemoryNeed.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <numeric>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace contraflow::abi {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

/// The number in a one-line file of the system; no limit where there is none ("max").
int64_t limitIn(const std::string &path) {
  long long value = 0;
  std::ifstream file(path);
  return file >> value && value > 0 ? value : kNoLimit;
}

/// The least limit of the control groups around this process: of version 2, all up to the root count.
int64_t groupLimit() {
  int64_t limit =
      std::min(limitIn("/sys/fs/cgroup/memory.max"), limitIn("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/"))
      continue;
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/')))
      limit = std::min(limit, limitIn("/sys/fs/cgroup" + path + "/memory.max"));
  }
  return limit;
}

int64_t processLimit() {
  rlimit limit;
  int64_t least = kNoLimit;
  for (int resource : {RLIMIT_AS, RLIMIT_DATA})
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
      least = std::min(least, int64_t(limit.rlim_cur));
  return least;
}

/// A moment of a program: what is in use while one of its rows runs.
struct Moment {
  const std::string *program = nullptr;
  int64_t row = 0;
  int64_t bytes = 0;
};

/// The moment with most bytes in use.
Moment findPeak(const Manifest &manifest) {
  Moment peak;
  for (const auto &[name, rows] : manifest.programs) {
    std::vector<int64_t> live = liveBytes(manifest.findMemory(name), int64_t(rows.size()));
    auto most = std::ranges::max_element(live);
    if (most != live.end() && *most > peak.bytes)
      peak = {&name, most - live.begin(), *most};
  }
  return peak;
}

} // namespace

std::vector<int64_t> liveBytes(const std::vector<Buffer> &buffers, int64_t rows, int64_t guardBytes) {
  constexpr int64_t kAlignment = 64;
  std::vector<int64_t> changes(size_t(rows) + 1, 0);
  for (const Buffer &buffer : buffers) {
    int64_t end = std::min(buffer.last + 1, rows);
    if (buffer.first < 0 || buffer.first >= end)
      continue;
    int64_t bytes = (buffer.bytes + kAlignment - 1) / kAlignment * kAlignment + 2 * guardBytes;
    changes[size_t(buffer.first)] += bytes;
    changes[size_t(end)] -= bytes;
  }
  std::partial_sum(changes.begin(), changes.end(), changes.begin());
  changes.pop_back();
  return changes;
}

std::string formatBytes(int64_t bytes) {
  if (bytes == 1)
    return "1 byte";
  constexpr const char *kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
    value /= 1024;
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
  return buffer;
}

void MemoryNeed::requireAtMost(int64_t limit) const {
  if (bytes > limit)
    throw Error(message<ErrorId::MemoryShort>(formatBytes(bytes), formatBytes(limit), peak));
}

MemoryNeed MemoryNeed::of(const Manifest &manifest, int threads, int64_t textBytes) {
  constexpr size_t kShown = 5;
  std::string ofText = textBytes > 0 ? "of it, " + formatBytes(textBytes) + " are text; " : "";
  MemoryNeed need{manifest.arenaBytes + threads * manifest.scratchBytesPerWorker + textBytes,
                  ofText + "of it, " + formatBytes(manifest.arenaBytes) + " are one arena"};
  Moment peak = findPeak(manifest);
  if (!peak.program)
    return need;
  std::vector<const Buffer *> largest;
  for (const Buffer &buffer : manifest.findMemory(*peak.program))
    if (buffer.first <= peak.row && peak.row <= buffer.last)
      largest.push_back(&buffer);
  std::sort(largest.begin(), largest.end(), [](const Buffer *a, const Buffer *b) {
    return std::pair(-a->bytes, a->offset) < std::pair(-b->bytes, b->offset);
  });
  const Row &row = manifest.programs.at(*peak.program)[size_t(peak.row)];
  need.peak = text(ofText, "most are in use in row ", peak.row, " of ", *peak.program, " (", row.direction,
                   row.layer.empty() ? "" : " of ", row.layer, "): ");
  for (size_t i = 0; i < std::min(kShown, largest.size()); ++i)
    need.peak += text(i ? ", " : "", largest[i]->name, ' ', formatBytes(largest[i]->bytes));
  if (largest.size() > kShown)
    need.peak += text(" and ", largest.size() - kShown, " smaller ones");
  return need;
}

int64_t getMemoryLimit() {
  int64_t machine = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return std::min({machine, groupLimit(), processLimit()});
}

int64_t getFreeMemory() {
  std::ifstream file("/proc/meminfo");
  int64_t kilobytes = 0;
  for (std::string word; file >> word;)
    if (word == "MemAvailable:" && file >> kilobytes)
      return std::min(kilobytes * 1024, getMemoryLimit());
  return getMemoryLimit();
}

} // namespace contraflow::abi
