//===- Pool.h - the threads of a trainer ----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_DEVICE_CPU_POOL_H
#define CONTRAFLOW_RUNTIME_DEVICE_CPU_POOL_H

#include "runtime/abi/Abi.h"
#include "runtime/device/cpu/Arena.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace contraflow::device {

/// Who wants to know how long parallel regions take (see executor/Profile.h).
class RegionObserver {
public:
  virtual ~RegionObserver() = default;
  virtual void regionDone(cf_body body, int64_t nanoseconds) = 0;
};

/// Threads that run the chunks of one region at a time.
///
/// Chunks are handed out by an atomic counter. Idle threads spin for about a millisecond, then sleep on a
/// futex: regions follow each other within microseconds in a step, and waking a thread costs more than most
/// regions take.
///
/// A region does not wait for threads that come late: a thread enters through the gate while it is open, and
/// the caller, once no chunk is left, closes the gate and waits only for those inside. So a thread that the
/// system has put aside delays nothing but its own chunk.
class Pool {
public:
  /// The gate counts threads inside with 15 bits; machines have fewer processors than this by far.
  static constexpr int kMaxThreads = 4096;

  /// `threads`, 1 to kMaxThreads, counts the caller. Throws base::Error when threads cannot be started.
  Pool(int threads, int64_t scratchBytes);
  ~Pool();
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  /// See cf_parallel_for. Only one thread may call it at a time, and no body may.
  void parallelFor(cf_body body, void *env, int64_t count, int64_t grain) noexcept;

  /// The same for a callable `body(begin, end)`.
  template <typename Body> void parallelFor(int64_t count, int64_t grain, Body body) noexcept {
    parallelFor(
        [](void *env, int64_t begin, int64_t end, void *) { (*static_cast<Body *>(env))(begin, end); }, &body,
        count, grain);
  }

  int getThreads() const { return int(workers.size()) + 1; }
  void setObserver(RegionObserver *value) { observer = value; }
  /// Regions that have begun. For any thread.
  const std::atomic<uint64_t> &getRegions() const { return regions; }

  /// The pool that cf_parallel_for uses: the one that the calling thread made last. Null before the first.
  static Pool *getCurrent() { return current; }

private:
  struct Region {
    cf_body body = nullptr;
    void *env = nullptr;
    int64_t count = 0;
    int64_t grain = 1;
    int64_t chunks = 0;
  };

  void runRegion(const Region &region) noexcept;
  void runChunks(int thread) noexcept;
  void work(int thread) noexcept;
  bool enter(uint64_t &lastRegion) noexcept;
  uint32_t waitForRegion(uint32_t seen) noexcept;
  void *scratchOf(int thread) { return scratch.at(thread * scratchStride); }

  // The gate: bit 0 open, bits 1 to 15 threads inside, the others the number of the region.
  static constexpr uint64_t kOpen = 1, kInside = 2, kInsideMask = 0xfffe, kNumber = 0x10000;

  Region region;
  alignas(64) std::atomic<int64_t> nextChunk{0};
  alignas(64) std::atomic<uint64_t> gate{0};
  /// Counts regions; what sleeping threads wait for.
  alignas(64) std::atomic<uint32_t> epoch{0};
  std::atomic<int32_t> sleepers{0};
  std::atomic<uint64_t> regions{0};
  std::atomic<bool> stopping{false};

  int64_t scratchStride;
  Arena scratch;
  RegionObserver *observer = nullptr;
  std::vector<std::thread> workers;

  static thread_local Pool *current;
};

/// Number of processors that this process may use.
int availableThreads();

} // namespace contraflow::device

#endif
