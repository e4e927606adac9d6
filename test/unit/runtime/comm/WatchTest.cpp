//===- WatchTest.cpp - ranks that are stuck are named ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Clock.h"
#include "test/unit/runtime/comm/Faults.h"
#include "test/unit/runtime/comm/Ranks.h"

#include <gtest/gtest.h>

namespace contraflow::test {

using namespace comm;

namespace {

constexpr int64_t kStall = 1'000'000'000;

Status waitingFor(std::vector<int> peers, uint64_t action = 1, int64_t stillFor = 2 * kStall) {
  Status status;
  status.isInAction = 1;
  status.action = action;
  status.label.set({"sum"});
  status.stillFor = stillFor;
  for (int peer : peers)
    status.peer[status.peers++] = peer;
  return status;
}

Status computing(int64_t age = 2 * kStall) {
  Status status;
  status.isComputing = 1;
  status.compute.set({"work", "layers.3", 1, "backward"});
  status.computeAge = status.idleFor = age;
  return status;
}

Status metWrong(int peer, int64_t found, int64_t expected) {
  Status status = waitingFor({peer}, 1, 0);
  status.mismatch = {peer, {0, 1, 0, 0, expected}, {0, 1, 0, 0, found}};
  return status;
}

using Ranks = std::vector<int>;

TEST(Judge, FollowsWhoWaitsForWhomToTheEnd) {
  Verdict verdict = judge({waitingFor({1}), waitingFor({2}), computing(), waitingFor({0})}, kStall);
  EXPECT_EQ(verdict.culprits, Ranks{2});
  EXPECT_TRUE(verdict.message.starts_with(
      "no rank goes on, all wait for rank 2, which computes work, layer 'layers.3', "
      "micro-batch 1, backward, since 2.0 s\n"
      "  rank 0: is in barrier of sum, waits for rank 1 since 2.0 s\n"))
      << verdict.message;
}

TEST(Judge, NamesTheOneThatMostWaitFor) {
  EXPECT_EQ(judge({waitingFor({3, 1}), waitingFor({3}), std::nullopt, computing()}, kStall).culprits,
            Ranks{3});
}

TEST(Judge, NamesARankThatDoesNotAnswer) {
  Verdict verdict = judge({waitingFor({1}), std::nullopt}, kStall);
  EXPECT_EQ(verdict.culprits, Ranks{1});
  EXPECT_NE(verdict.message.find("rank 1, which does not answer\n"), std::string::npos) << verdict.message;
}

TEST(Judge, LeavesASlowRankThatMovesOnAlone) {
  EXPECT_EQ(judge({waitingFor({1}), computing(kStall / 2)}, kStall).message, "");
  EXPECT_EQ(judge({waitingFor({1}, 1, kStall / 2), computing()}, kStall).message, "");
  EXPECT_EQ(judge({computing(), computing()}, kStall).message, "");
}

TEST(Judge, NamesTheOddOneOfACircle) {
  EXPECT_EQ(judge({waitingFor({1}, 5), waitingFor({2}, 6), waitingFor({0}, 5)}, kStall).culprits, Ranks{1});
  EXPECT_EQ(judge({waitingFor({1}, 5), waitingFor({0}, 6)}, kStall).culprits, (Ranks{0, 1}));
}

TEST(Judge, BelievesTheMajorityAboutSizes) {
  Verdict verdict = judge({metWrong(2, 8, 12), metWrong(2, 8, 12), metWrong(0, 12, 8)}, kStall);
  EXPECT_EQ(verdict.culprits, Ranks{2});
  EXPECT_TRUE(
      verdict.message.starts_with("not all ranks do the same, at fault is rank 2: rank 2 sends 8 bytes, "
                                  "rank 0 expects 12 in barrier of sum\n"))
      << verdict.message;
  verdict = judge({metWrong(1, 8, 12), metWrong(0, 12, 8)}, kStall);
  EXPECT_TRUE(
      verdict.message.starts_with("not all ranks do the same, at fault is one of ranks 0 and 1: rank 0"));
}

class WatchFault : public testing::TestWithParam<int> {};

/// One rank errs; one rank reports it, in time, and the runs of all end.
TEST_P(WatchFault, IsNamedOnEveryRank) {
  const Fault &fault = getFaults()[size_t(GetParam())];
  constexpr std::pair<int, int> kSizesAndCulprits[] = {{2, 1}, {5, 0}, {5, 4}};
  for (auto [size, culprit] : kSizesAndCulprits) {
    std::mutex mutex;
    std::vector<std::string> reports;
    double reportedAt = 0, begin = base::seconds();
    QueueOptions options = makeFaultOptions([&](const std::string &text) {
      std::lock_guard lock(mutex);
      reports.push_back(text);
      reportedAt = base::seconds();
    });
    auto errors = runRanks(size, options, [&](Queue &queue) { runWithFault(queue, fault, culprit); });
    ASSERT_EQ(reports.size(), 1u) << fault.name;
    EXPECT_TRUE(names(reports[0], fault, culprit, size)) << reports[0];
    EXPECT_LT(reportedAt - begin,
              options.watch.stallSeconds * 17 / 16 + 2.5 * options.watch.answerSeconds + 1);
    for (const std::string &error : errors)
      EXPECT_EQ(error, reports[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(Comm, WatchFault, testing::Range(0, int(getFaults().size())),
                         [](const auto &info) { return getFaults()[size_t(info.param)].name; });

TEST(Watch, LetsASlowRankCompute) {
  QueueOptions options = makeFaultOptions([](const std::string &text) { ADD_FAILURE() << text; });
  auto errors = runRanks(3, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    for (int i = 0; queue.getRank() == 1 && i < 6; ++i) {
      queue.setComputing({"slow", "", i});
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    queue.wait(queue.barrier({"barrier"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

/// Stalls of makeFaultOptions are half as long as what these ranks do.
TEST(Watch, LetsARankThatMakesProgressGoOn) {
  QueueOptions options = makeFaultOptions([](const std::string &text) { ADD_FAILURE() << text; });
  std::atomic<uint64_t> progress{0};
  auto errors = runRanks(3, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    if (queue.getRank() == 1) {
      queue.setProgress(&progress);
      queue.setComputing({"one long thing"});
      for (int i = 0; i < 12; ++i, ++progress)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    queue.wait(queue.barrier({"barrier"}, group));
    queue.setProgress(nullptr);
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

TEST(Watch, WaitsForWhatMayTakeLong) {
  QueueOptions options = makeFaultOptions([](const std::string &text) { ADD_FAILURE() << text; });
  auto errors = runRanks(3, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    if (queue.getRank() == 0) {
      queue.setComputing({"a checkpoint"}, /*mayTakeLong=*/true);
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    }
    queue.wait(queue.barrier({"barrier"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

TEST(Watch, EndsAllRanksWhereOneFails) {
  QueueOptions options = makeFaultOptions([](const std::string &text) { ADD_FAILURE() << text; });
  options.watch.stallSeconds = 60;
  auto errors = runRanks(3, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    queue.wait(queue.barrier({"first"}, group));
    if (queue.getRank() == 2)
      queue.fail("the disk is full");
    queue.wait(queue.barrier({"second"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3, "the disk is full"));
}

TEST(Watch, LetsASlowLinkCarry) {
  QueueOptions options = makeFaultOptions([](const std::string &text) { ADD_FAILURE() << text; });
  options.link.latency = 0.6;
  auto errors = runRanks(2, options, [&](Queue &queue) {
    Group group = makeWorldGroup(queue);
    queue.wait(queue.barrier({"barrier"}, group));
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
}

/// A rank whose thread is gone: its engine is there, and nobody answers.
TEST(Watch, NamesARankThatIsGone) {
  std::mutex mutex;
  std::vector<std::string> reports;
  QueueOptions options = makeFaultOptions([&](const std::string &text) {
    std::lock_guard lock(mutex);
    reports.push_back(text);
  });
  for (int gone : {0, 3}) {
    reports.clear();
    std::shared_ptr<World> world = makeWorld(4);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 4; ++rank)
      threads.emplace_back([&, rank] {
        Queue queue([&] { return makeInprocessEngine(world, rank); }, options);
        Group group = makeWorldGroup(queue);
        queue.wait(queue.barrier({"first"}, group));
        if (rank != gone)
          EXPECT_THROW(queue.wait(queue.barrier({"second"}, group)), StuckError);
      });
    for (std::thread &thread : threads)
      thread.join();
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_TRUE(reports[0].starts_with(
        base::text("no rank goes on, all wait for rank ", gone, ", which does not answer\n")))
        << reports[0];
  }
}

} // namespace

} // namespace contraflow::test
