//===- Pool.cpp - the threads of a trainer --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Pool.h"
#include "runtime/base/Clock.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace contraflow::device {

namespace {

/// About a millisecond on current x86 processors.
constexpr int kSpins = 20000;
/// After this many spins a waiting caller offers its processor to the thread that it waits for.
constexpr int kSpinsBeforeYield = 2000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void futexWait(std::atomic<uint32_t> &word, uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futexWakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

/// Scratch of different threads starts on different pages and, by the odd number of lines, in different cache
/// sets.
int64_t strideFor(int64_t bytes) { return (bytes + 4095) / 4096 * 4096 + 4096 + 64 * 5; }

} // namespace

thread_local Pool *Pool::current = nullptr;

Pool::Pool(int threads, int64_t scratchBytes)
    : scratchStride(strideFor(scratchBytes)),
      scratch("scratch memory", strideFor(scratchBytes) * std::max(threads, 1)) {
  try {
    for (int thread = 1; thread < threads; ++thread)
      workers.emplace_back([this, thread] { work(thread); });
  } catch (const std::system_error &error) {
    stopping = true;
    epoch.fetch_add(1);
    futexWakeAll(epoch);
    for (std::thread &worker : workers)
      worker.join();
    throw base::Error(base::message<base::ErrorId::ThreadsNotStarted>(threads, error.what()));
  }
  current = this;
}

Pool::~Pool() {
  stopping = true;
  epoch.fetch_add(1);
  futexWakeAll(epoch);
  for (std::thread &worker : workers)
    worker.join();
  if (current == this)
    current = nullptr;
}

void Pool::parallelFor(cf_body body, void *env, int64_t count, int64_t grain) noexcept {
  if (count <= 0)
    return;
  grain = std::max<int64_t>(grain, 1);
  // Nobody else writes it.
  regions.store(regions.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  Region wanted{body, env, count, grain, (count - 1) / grain + 1};
  if (!observer)
    return runRegion(wanted);
  int64_t begin = base::nanoseconds();
  runRegion(wanted);
  observer->regionDone(body, base::nanoseconds() - begin);
}

void Pool::runRegion(const Region &wanted) noexcept {
  region = wanted;
  nextChunk.store(0, std::memory_order_relaxed);
  if (workers.empty() || wanted.chunks == 1)
    return runChunks(0);

  uint64_t number = gate.load(std::memory_order_relaxed) / kNumber + 1;
  gate.store(number * kNumber | kOpen, std::memory_order_release);
  epoch.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) > 0)
    futexWakeAll(epoch);
  runChunks(0);
  gate.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (int spins = 0; gate.load(std::memory_order_acquire) & kInsideMask; ++spins) {
    if (spins < kSpinsBeforeYield)
      pause();
    else
      sched_yield();
  }
}

void Pool::runChunks(int thread) noexcept {
  // A copy, because the body may write anything that the compiler cannot tell from the members.
  const Region mine = region;
  void *memory = scratchOf(thread);
  while (true) {
    int64_t chunk = nextChunk.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= mine.chunks)
      return;
    int64_t begin = chunk * mine.grain;
    mine.body(mine.env, begin, std::min(mine.count - begin, mine.grain) + begin, memory);
  }
}

/// Enters the current region unless it is closed or this thread has been in it.
bool Pool::enter(uint64_t &lastRegion) noexcept {
  uint64_t seen = gate.load(std::memory_order_acquire);
  while ((seen & kOpen) && seen / kNumber != lastRegion) {
    if (gate.compare_exchange_weak(seen, seen + kInside, std::memory_order_acq_rel,
                                   std::memory_order_acquire)) {
      lastRegion = seen / kNumber;
      return true;
    }
  }
  return false;
}

void Pool::work(int thread) noexcept {
  uint64_t lastRegion = 0;
  uint32_t seen = 0;
  while (true) {
    seen = waitForRegion(seen);
    if (stopping.load(std::memory_order_acquire))
      return;
    if (enter(lastRegion)) {
      runChunks(thread);
      gate.fetch_sub(kInside, std::memory_order_release);
    }
  }
}

/// Waits until `epoch` differs from `seen` and returns it.
uint32_t Pool::waitForRegion(uint32_t seen) noexcept {
  for (int spins = 0; spins < kSpins; ++spins) {
    uint32_t now = epoch.load(std::memory_order_acquire);
    if (now != seen)
      return now;
    pause();
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  uint32_t now;
  while ((now = epoch.load(std::memory_order_seq_cst)) == seen)
    futexWait(epoch, seen);
  sleepers.fetch_sub(1, std::memory_order_seq_cst);
  return now;
}

int availableThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1, int(sysconf(_SC_NPROCESSORS_ONLN)));
}

} // namespace contraflow::device

extern "C" {

__attribute__((visibility("default"))) void cf_parallel_for(cf_body body, void *env, int64_t count,
                                                            int64_t grain) {
  contraflow::device::Pool::getCurrent()->parallelFor(body, env, count, grain);
}

__attribute__((visibility("default"))) int32_t cf_abi_version(void) { return CF_ABI_VERSION; }
}
