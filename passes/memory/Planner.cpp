//===- Planner.cpp - two strategies, and a check that trusts neither ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/memory/Planner.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace contraflow::memory {
namespace {

/// Indices of the buffers that need memory, ordered by `less`, ties by index.
template <typename Less> std::vector<size_t> orderBuffers(const Problem &problem, Less less) {
  std::vector<size_t> order;
  for (size_t i = 0; i < problem.buffers.size(); ++i)
    if (problem.buffers[i].bytes > 0)
      order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Buffer &left = problem.buffers[a], &right = problem.buffers[b];
    return less(left, right) || (!less(right, left) && a < b);
  });
  return order;
}

/// The start of the smallest gap of at least `bytes` below or above the ranges, which are sorted by
/// start and may overlap. The space above all of them is used only if no gap fits.
int64_t bestGap(const std::vector<std::pair<int64_t, int64_t>> &ranges, int64_t bytes) {
  int64_t end = 0, best = -1, bestSize = 0;
  for (auto [start, stop] : ranges) {
    int64_t gap = start - end;
    if (gap >= bytes && (best < 0 || gap < bestSize)) {
      best = end;
      bestSize = gap;
    }
    end = std::max(end, stop);
  }
  return best < 0 ? end : best;
}

Plan planBySize(const Problem &problem) {
  Plan result{std::vector<int64_t>(problem.buffers.size(), 0), 0};
  // Equal sizes in order of time: neighbours in time then land next to each other.
  std::vector<size_t> order = orderBuffers(problem, [](const Buffer &a, const Buffer &b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.first < b.first;
  });
  std::vector<size_t> placed; // Sorted by offset, so that the ranges below need no sorting.
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (size_t i : order) {
    const Buffer &buffer = problem.buffers[i];
    int64_t bytes = alignUp(buffer.bytes, problem.alignment);
    ranges.clear();
    for (size_t j : placed)
      if (buffer.overlaps(problem.buffers[j]))
        ranges.emplace_back(result.offsets[j],
                            result.offsets[j] + alignUp(problem.buffers[j].bytes, problem.alignment));
    result.offsets[i] = bestGap(ranges, bytes);
    result.peak = std::max(result.peak, result.offsets[i] + bytes);
    auto position = std::upper_bound(placed.begin(), placed.end(), result.offsets[i],
                                     [&](int64_t offset, size_t j) { return offset < result.offsets[j]; });
    placed.insert(position, i);
  }
  return result;
}

/// Free ranges below a frontier that rises when nothing fits.
class FreeList {
public:
  int64_t allocate(int64_t bytes) {
    auto fit = bySize.lower_bound({bytes, 0});
    if (fit == bySize.end())
      return raiseFrontier(bytes);
    auto [size, start] = *fit;
    erase(start, size);
    if (size > bytes)
      insert(start + bytes, size - bytes);
    return start;
  }

  void release(int64_t start, int64_t bytes) {
    auto next = byStart.lower_bound(start);
    if (next != byStart.end() && next->first == start + bytes) {
      bytes += next->second;
      erase(next->first, next->second);
    }
    auto previous = byStart.lower_bound(start);
    if (previous != byStart.begin() && (--previous, previous->first + previous->second == start)) {
      auto [before, size] = *previous;
      erase(before, size);
      start = before;
      bytes += size;
    }
    insert(start, bytes);
  }

  int64_t getPeak() const { return frontier; }

private:
  int64_t raiseFrontier(int64_t bytes) {
    int64_t start = frontier;
    // A free range that touches the frontier is part of the new buffer.
    if (!byStart.empty() && byStart.rbegin()->first + byStart.rbegin()->second == frontier) {
      auto [last, size] = *byStart.rbegin();
      erase(last, size);
      start = last;
    }
    frontier = start + bytes;
    return start;
  }
  void insert(int64_t start, int64_t size) {
    byStart[start] = size;
    bySize.insert({size, start});
  }
  void erase(int64_t start, int64_t size) {
    byStart.erase(start);
    bySize.erase({size, start});
  }

  std::map<int64_t, int64_t> byStart;
  std::set<std::pair<int64_t, int64_t>> bySize;
  int64_t frontier = 0;
};

Plan planByTime(const Problem &problem) {
  Plan result{std::vector<int64_t>(problem.buffers.size(), 0), 0};
  std::vector<size_t> starts = orderBuffers(problem, [](const Buffer &a, const Buffer &b) {
    return a.first != b.first ? a.first < b.first : a.bytes > b.bytes;
  });
  std::vector<size_t> ends =
      orderBuffers(problem, [](const Buffer &a, const Buffer &b) { return a.last < b.last; });
  FreeList free;
  size_t ended = 0;
  for (size_t i : starts) {
    for (; problem.buffers[ends[ended]].last < problem.buffers[i].first; ++ended) {
      size_t dead = ends[ended];
      free.release(result.offsets[dead], alignUp(problem.buffers[dead].bytes, problem.alignment));
    }
    result.offsets[i] = free.allocate(alignUp(problem.buffers[i].bytes, problem.alignment));
  }
  result.peak = free.getPeak();
  return result;
}

std::string describe(const Problem &problem, const Plan &plan, size_t i) {
  const Buffer &buffer = problem.buffers[i];
  return "buffer " + std::to_string(i) + " (bytes " + std::to_string(plan.offsets[i]) + " to " +
         std::to_string(plan.offsets[i] + buffer.bytes) + ", live from " + std::to_string(buffer.first) +
         " to " + std::to_string(buffer.last) + ")";
}

} // namespace

std::string check(const Problem &problem) {
  if (problem.alignment <= 0)
    return "the alignment is " + std::to_string(problem.alignment) + ", expected a positive number";
  for (size_t i = 0; i < problem.buffers.size(); ++i) {
    const Buffer &buffer = problem.buffers[i];
    if (buffer.bytes < 0)
      return "buffer " + std::to_string(i) + " has " + std::to_string(buffer.bytes) + " bytes";
    if (buffer.last < buffer.first)
      return "buffer " + std::to_string(i) + " is live from " + std::to_string(buffer.first) + " to " +
             std::to_string(buffer.last);
  }
  return "";
}

int64_t maxLive(const Problem &problem) {
  std::map<int64_t, int64_t> change; // Bytes that become live (positive) or dead at a time.
  for (const Buffer &buffer : problem.buffers) {
    change[buffer.first] += alignUp(buffer.bytes, problem.alignment);
    change[buffer.last + 1] -= alignUp(buffer.bytes, problem.alignment);
  }
  int64_t live = 0, most = 0;
  for (auto [time, bytes] : change)
    most = std::max(most, live += bytes);
  return most;
}

Plan planWith(const Problem &problem, Strategy strategy) {
  return strategy == Strategy::BySize ? planBySize(problem) : planByTime(problem);
}

Plan plan(const Problem &problem) {
  Plan best = planWith(problem, Strategy::ByTime);
  if (best.peak == maxLive(problem) || static_cast<int64_t>(problem.buffers.size()) > kMaxBySize)
    return best;
  Plan other = planWith(problem, Strategy::BySize);
  return other.peak < best.peak ? other : best;
}

std::string verify(const Problem &problem, const Plan &plan) {
  if (plan.offsets.size() != problem.buffers.size())
    return "the plan has " + std::to_string(plan.offsets.size()) + " offsets for " +
           std::to_string(problem.buffers.size()) + " buffers";
  for (size_t i = 0; i < plan.offsets.size(); ++i) {
    if (plan.offsets[i] < 0 || plan.offsets[i] % problem.alignment != 0)
      return describe(problem, plan, i) + " is not aligned to " + std::to_string(problem.alignment);
    if (plan.offsets[i] + problem.buffers[i].bytes > plan.peak)
      return describe(problem, plan, i) + " ends above the peak " + std::to_string(plan.peak);
  }

  // Walk through time with the live buffers sorted by offset. A buffer that enters can only clash
  // with its two neighbours, because those already there are known not to overlap.
  std::vector<std::pair<int64_t, size_t>> enter, leave;
  for (size_t i = 0; i < problem.buffers.size(); ++i) {
    if (problem.buffers[i].bytes == 0)
      continue;
    enter.emplace_back(problem.buffers[i].first, i);
    leave.emplace_back(problem.buffers[i].last, i);
  }
  std::sort(enter.begin(), enter.end());
  std::sort(leave.begin(), leave.end());
  std::map<int64_t, size_t> live;
  size_t left = 0;
  for (auto [time, i] : enter) {
    for (; leave[left].first < time; ++left)
      live.erase(plan.offsets[leave[left].second]);
    auto above = live.lower_bound(plan.offsets[i]);
    if (above != live.end() && above->first < plan.offsets[i] + problem.buffers[i].bytes)
      return describe(problem, plan, i) + " overlaps " + describe(problem, plan, above->second);
    if (above != live.begin()) {
      auto below = std::prev(above);
      if (below->first + problem.buffers[below->second].bytes > plan.offsets[i])
        return describe(problem, plan, i) + " overlaps " + describe(problem, plan, below->second);
    }
    live[plan.offsets[i]] = i;
  }
  return "";
}

} // namespace contraflow::memory
