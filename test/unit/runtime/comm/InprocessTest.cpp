//===- InprocessTest.cpp - the checks of engines, with threads as ranks ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Clock.h"
#include "test/unit/runtime/comm/Ranks.h"

#include <cstdlib>
#include <ctime>
#include <gtest/gtest.h>
#include <new>

namespace {

std::atomic<int64_t> allocations{0};

} // namespace

#ifdef COUNT_ALLOCATIONS
void *operator new(size_t bytes) {
  ++allocations;
  if (void *memory = std::malloc(bytes))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
#endif

namespace contraflow::test {

using namespace comm;

namespace {

class Inprocess : public testing::TestWithParam<int> {};

TEST_P(Inprocess, ConformsAtEveryNumberOfRanks) {
  const Check &check = getChecks()[size_t(GetParam())];
  for (int size = 1; size <= 8; ++size)
    EXPECT_EQ(runRanks(size, makeCheckOptions(), [&](Queue &queue) { check.run(queue); }),
              std::vector<std::string>(size_t(size)))
        << size << " ranks";
}

INSTANTIATE_TEST_SUITE_P(Comm, Inprocess, testing::Range(0, int(getChecks().size())),
                         [](const auto &info) { return getChecks()[size_t(info.param)].name; });

TEST(Queue, BarrierWaitsForAll) {
  std::atomic<int> arrived{0};
  auto errors = runRanks(5, {}, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * queue.getRank()));
    ++arrived;
    queue.wait(queue.barrier({"barrier"}, group));
    EXPECT_EQ(arrived, 5);
  });
  EXPECT_EQ(errors, std::vector<std::string>(5));
}

double getProcessorSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

TEST(Queue, SleepsWhileItWaits) {
  double before = getProcessorSeconds();
  auto errors = runRanks(8, {}, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    if (queue.getRank() == 3)
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    queue.wait(queue.barrier({"barrier"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(8));
  EXPECT_LT(getProcessorSeconds() - before, 0.1);
}

TEST(Queue, AllocatesNothingForAnActionOnceItHasRun) {
  if (*SANITIZERS)
    GTEST_SKIP() << "allocations are counted by uninstrumented code";
  auto errors = runRanks(3, {}, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    std::vector<float> in(9000, 1), out(9000);
    std::vector<Piece> piece = {{in.data(), 100}}, target = {{out.data(), 100}};
    std::vector<Transfer> transfers(3, {piece, target});
    auto runAll = [&] {
      queue.allReduce({"a", "", 1}, group, Element::F32, in.data(), in.data(), 9000);
      queue.reduceScatter({"b", "", 2}, group, Element::F32, in.data(), out.data(), 9000);
      queue.allGather({"c", "", 3}, group, out.data(), in.data(), 9000);
      queue.allToAll({"d", "", 4}, group, in.data(), out.data(), 500);
      queue.setComputing({"work"});
      queue.allToAllV({"e", "", 5}, group, transfers);
      queue.wait(queue.barrier({"f", "", 6}, group));
    };
    // Twice, because two exchanges take turns.
    runAll();
    runAll();
    queue.wait(queue.barrier({"begin"}, group));
    int64_t before = allocations;
    for (int i = 0; i < 20; ++i)
      runAll();
    EXPECT_EQ(allocations, before);
    queue.wait(queue.barrier({"end"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

/// 2 * 40000 bytes go over a link of 1 MB/s: 80 ms, and the thread that computes has them for itself.
TEST(Queue, SlowLinkTakesItsTimeBesideComputing) {
  QueueOptions options;
  options.link = {0.001, 1e-6};
  auto errors = runRanks(2, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    std::vector<char> in(80000), out(80000);
    double begin = base::seconds();
    queue.allToAll({"first"}, group, in.data(), out.data(), 40000);
    Ticket last = queue.allToAll({"second"}, group, in.data(), out.data(), 40000);
    EXPECT_FALSE(queue.isDone(last)) << "starting an action does not wait";
    queue.wait(last);
    EXPECT_GE(base::seconds() - begin, 0.082);
    EXPECT_LT(base::seconds() - begin, 1);
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
}

} // namespace

} // namespace contraflow::test
