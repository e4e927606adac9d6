//===- PoolTest.cpp - every task once, whatever the threads ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Pool.h"
#include "runtime/base/Random.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

namespace contraflow::device {

namespace {

using Chunk = std::pair<int64_t, int64_t>;

std::multiset<Chunk> chunksOf(int threads, int64_t count, int64_t grain) {
  Pool pool(threads, 0);
  std::mutex mutex;
  std::multiset<Chunk> chunks;
  pool.parallelFor(count, grain, [&](int64_t begin, int64_t end) {
    std::lock_guard lock(mutex);
    chunks.insert({begin, end});
  });
  return chunks;
}

TEST(Pool, CutsByCountAndGrainOnly) {
  EXPECT_EQ(chunksOf(1, 10, 4), (std::multiset<Chunk>{{0, 4}, {4, 8}, {8, 10}}));
  for (int threads : {1, 2, 3, 8})
    for (int64_t count : {0, 1, 2, 7, 64, 1000})
      for (int64_t grain : {-1, 0, 1, 3, 64, 5000})
        EXPECT_EQ(chunksOf(threads, count, grain), chunksOf(1, count, grain));
}

TEST(Pool, RunsEveryItemOnceInManySmallRegions) {
  for (int threads : {1, 2, 4}) {
    Pool pool(threads, 0);
    base::Philox random(7, uint64_t(threads));
    std::vector<int32_t> counts(512);
    for (uint64_t round = 0; round < 20000; ++round) {
      int64_t count = int64_t(random.below(2 * round, counts.size() + 1));
      int64_t grain = 1 + int64_t(random.below(2 * round + 1, 40));
      pool.parallelFor(count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          ++counts[size_t(i)];
      });
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(counts[size_t(i)], 1) << "round " << round << " item " << i;
        counts[size_t(i)] = 0;
      }
    }
  }
}

TEST(Pool, WakesSleepingThreads) {
  Pool pool(3, 0);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    std::atomic<int64_t> sum{0};
    pool.parallelFor(1000, 1, [&](int64_t begin, int64_t) { sum += begin; });
    EXPECT_EQ(sum, 499500);
  }
}

TEST(Pool, GivesEveryThreadItsOwnAlignedScratch) {
  constexpr int64_t kBytes = 10000;
  Pool pool(4, kBytes);
  struct Env {
    std::mutex mutex;
    std::set<char *> scratch;
  } env;
  auto body = [](void *data, int64_t begin, int64_t, void *scratch) {
    Env &env = *static_cast<Env *>(data);
    // A body that races with another for the same memory would see the other's numbers.
    auto *bytes = static_cast<volatile char *>(scratch);
    for (int64_t i = 0; i < kBytes; ++i)
      bytes[i] = char(begin);
    for (int64_t i = 0; i < kBytes; ++i)
      ASSERT_EQ(bytes[i], char(begin));
    std::lock_guard lock(env.mutex);
    env.scratch.insert(static_cast<char *>(scratch));
  };
  pool.parallelFor(body, &env, 200, 1);
  ASSERT_LE(env.scratch.size(), 4u);
  for (auto it = env.scratch.begin(); it != env.scratch.end(); ++it) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(*it) % 64, 0u);
    if (std::next(it) != env.scratch.end()) {
      EXPECT_GE(*std::next(it) - *it, kBytes);
    }
  }
}

TEST(Pool, ServesTheFunctionOfTheAbi) {
  Pool pool(2, 0);
  int64_t sums[100] = {};
  cf_parallel_for(
      [](void *env, int64_t begin, int64_t end, void *) { static_cast<int64_t *>(env)[begin] = end; }, sums,
      100, 1);
  for (int64_t i = 0; i < 100; ++i)
    EXPECT_EQ(sums[i], i + 1);
  EXPECT_EQ(cf_abi_version(), CF_ABI_VERSION);
}

TEST(Pool, TellsAnObserverAboutRegions) {
  struct Observer : RegionObserver {
    void regionDone(cf_body, int64_t nanoseconds) override {
      ++regions;
      total += nanoseconds;
    }
    int64_t regions = 0, total = 0;
  } observer;
  Pool pool(2, 0);
  pool.setObserver(&observer);
  for (int i = 0; i < 3; ++i)
    pool.parallelFor(10, 1, [](int64_t, int64_t) {});
  pool.setObserver(nullptr);
  pool.parallelFor(10, 1, [](int64_t, int64_t) {});
  EXPECT_EQ(observer.regions, 3);
  EXPECT_GT(observer.total, 0);
}

} // namespace

} // namespace contraflow::device
