//===- RanksTest.cpp - ranks that train together ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Ranks.h"
#include "test/unit/runtime/Support.h"
#include "test/unit/runtime/comm/Ranks.h"

namespace contraflow {

using train::Ranks;

constexpr abi::Mesh kMesh = {1, 3, 1};

TEST(Ranks, OneAloneIsTheFirst) {
  Ranks ranks;
  EXPECT_TRUE(ranks.isFirst() && ranks.isFirstOfProcess());
  EXPECT_EQ(ranks.getSize(), 1);
  EXPECT_EQ(ranks.getReplicas(), 1);
  EXPECT_TRUE(ranks.any(true));
  EXPECT_FALSE(ranks.any(false));
  ranks.meet();
  ranks.requireSame({{"the text", "a"}});
}

TEST(Ranks, AgreeOnWhatAnyOfThemSays) {
  std::atomic<int> first = 0, stopped = 0, went = 0;
  auto errors = test::runRanks(3, {}, [&](comm::Queue &queue) {
    Ranks ranks(queue, kMesh, /*isOwnProcess=*/false);
    first += ranks.isFirst() && ranks.isFirstOfProcess();
    EXPECT_EQ(ranks.getReplica(), queue.getRank());
    EXPECT_EQ(ranks.getReplicas(), 3);
    stopped += ranks.any(ranks.getRank() == 2);
    went += !ranks.any(false);
    ranks.meet();
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(stopped, 3);
  EXPECT_EQ(went, 3);
}

TEST(Ranks, NameWhoHasAnotherTrainerOrText) {
  auto errors = test::runRanks(3, {}, [&](comm::Queue &queue) {
    Ranks ranks(queue, kMesh, /*isOwnProcess=*/false);
    ranks.requireSame({{"the trainer", "same"}});
    ranks.requireSame({{"the trainer", "same"},
                       {"the text", queue.getRank() == 1 ? "b" : "a"},
                       {"the run file", queue.getRank() == 0 ? "b" : "a"}});
  });
  for (const std::string &error : errors) {
    EXPECT_CONTAINS(error, "rank 1: the text is another than on rank 0");
    EXPECT_CONTAINS(error, "ranks 1 and 2: the run file is another than on rank 0");
  }
}

} // namespace contraflow
