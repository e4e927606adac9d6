//===- Planner.h - addresses for buffers whose lifetimes are known --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The problem. Buffer i has a size and is live from time `first` to time `last`, both included. Find
// an offset for each, a multiple of the alignment, such that no two buffers that are live at the same
// time share a byte, and the peak (the largest end of a buffer) is small:
//
//   time    0  1  2  3  4            offset
//   a      [##]                      a  0..64      c reuses a's bytes: a is dead when c starts,
//   b      [########]                b  64..192    d reuses b's.
//   c            [#####]             c  0..64
//   d               [##]             d  64..128
//
// No peak is below `maxLive()`, the largest sum of sizes at one time. Finding the best plan is
// NP-hard (dynamic storage allocation), so there are two strategies with different strengths, and
// `plan()` takes the better result:
//  - by_size: the largest buffers first, each into the smallest gap that fits. Packs best; quadratic,
//    so it is skipped above `kMaxBySize` buffers.
//  - by_time: like an allocator that sees the events in order and puts a buffer into the smallest
//    free range. n log n; close to the bound where lifetimes nest, as those of a training step do.
//
// Plain C++: nothing here knows about IR, so that the tests can ask for anything.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_MEMORY_PLANNER_H
#define CONTRAFLOW_PASSES_MEMORY_PLANNER_H

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::memory {

/// One cache line, and the widest vector register: a kernel may use aligned accesses from a base.
constexpr int64_t kAlignment = 64;
constexpr int64_t kMaxBySize = 4096;

constexpr int64_t alignUp(int64_t bytes, int64_t alignment = kAlignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

struct Buffer {
  int64_t bytes = 0;
  int64_t first = 0;
  int64_t last = 0;

  bool overlaps(const Buffer &other) const { return first <= other.last && other.first <= last; }
};

struct Problem {
  std::vector<Buffer> buffers;
  int64_t alignment = kAlignment;

  /// Returns the number of the new buffer.
  size_t add(int64_t bytes, int64_t first, int64_t last) {
    buffers.push_back({bytes, first, last});
    return buffers.size() - 1;
  }
};

/// A buffer of no bytes is at 0.
struct Plan {
  std::vector<int64_t> offsets;
  int64_t peak = 0;
};

enum class Strategy { BySize, ByTime };
constexpr Strategy kStrategies[] = {Strategy::BySize, Strategy::ByTime};

/// Why the problem makes no sense (a negative size, a lifetime that ends before it starts), or "".
std::string check(const Problem &problem);

/// The largest sum of (aligned) sizes that are live at one time; no plan has a smaller peak.
int64_t maxLive(const Problem &problem);

Plan planWith(const Problem &problem, Strategy strategy);

/// The plan with the smallest peak among those of the strategies; the same plan on every run.
Plan plan(const Problem &problem);

/// Why `plan` does not solve `problem`, or "". Shares no code with the strategies.
std::string verify(const Problem &problem, const Plan &plan);

} // namespace contraflow::memory

#endif
