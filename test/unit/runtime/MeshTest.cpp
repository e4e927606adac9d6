//===- MeshTest.cpp - coordinates of ranks, room for routed rows ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Mesh.h"
#include "runtime/abi/RoutedLayout.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <numeric>
#include <random>

namespace contraflow::abi {
namespace {

constexpr MeshAxis kAxes[] = {MeshAxis::Pp, MeshAxis::Dp, MeshAxis::Ep, MeshAxis::Edp};

TEST(Mesh, DeepSeekV3) {
  // arXiv 2412.19437 section 3.2: 2048 ranks, 16 stages, experts over 64 ranks; so two replicas of each.
  Mesh mesh = {16, 128, 64};
  EXPECT_EQ(mesh.verify(), "");
  EXPECT_EQ(mesh.getWorld(), 2048);
  EXPECT_EQ(mesh.getSize(MeshAxis::Edp), 2);
  int64_t rank = 3 * 128 + 64 + 5;
  EXPECT_EQ(mesh.getIndex(rank, MeshAxis::Pp), 3);
  EXPECT_EQ(mesh.getIndex(rank, MeshAxis::Dp), 69);
  EXPECT_EQ(mesh.getIndex(rank, MeshAxis::Ep), 5);
  EXPECT_EQ(mesh.getIndex(rank, MeshAxis::Edp), 1);
  EXPECT_EQ(mesh.getGroup(rank, MeshAxis::Edp), (std::vector<int64_t>{3 * 128 + 5, rank}));
}

TEST(Mesh, GroupsOfAnAxisCutTheRanks) {
  for (int64_t pp : {1, 2, 3})
    for (int64_t dp : {1, 2, 6, 8})
      for (int64_t ep = 1; ep <= dp; ++ep) {
        Mesh mesh = {pp, dp, ep};
        if (dp % ep != 0)
          continue;
        for (MeshAxis axis : kAxes) {
          std::vector<int64_t> seen;
          for (int64_t rank = 0; rank < mesh.getWorld(); ++rank) {
            std::vector<int64_t> group = mesh.getGroup(rank, axis);
            ASSERT_EQ(static_cast<int64_t>(group.size()), mesh.getSize(axis));
            ASSERT_TRUE(std::is_sorted(group.begin(), group.end()));
            ASSERT_EQ(group[mesh.getIndex(rank, axis)], rank);
            for (int64_t member : group)
              ASSERT_EQ(mesh.getGroup(member, axis), group);
            if (mesh.getIndex(rank, axis) == 0)
              seen.insert(seen.end(), group.begin(), group.end());
          }
          std::sort(seen.begin(), seen.end());
          std::vector<int64_t> all(mesh.getWorld());
          std::iota(all.begin(), all.end(), 0);
          EXPECT_EQ(seen, all);
        }
      }
}

TEST(Mesh, ReplicasHaveTheSameExperts) {
  Mesh mesh = {2, 8, 4};
  for (int64_t rank = 0; rank < mesh.getWorld(); ++rank)
    for (int64_t member : mesh.getGroup(rank, MeshAxis::Edp))
      EXPECT_EQ(mesh.getIndex(member, MeshAxis::Ep), mesh.getIndex(rank, MeshAxis::Ep));
}

TEST(Mesh, Refuses) {
  EXPECT_EQ((Mesh{1, 8, 3}.verify()), "ep is 3, which does not divide dp, 8");
  EXPECT_EQ((Mesh{0, 8, 1}.verify()), "pp is 0, expected 1 to 32768");
  EXPECT_EQ((Mesh{1, -1, 1}.verify()), "dp is -1, expected 1 to 32768");
  EXPECT_EQ((Mesh{1, 1 << 20, 1}.verify()), "dp is 1048576, expected 1 to 32768");
  EXPECT_EQ((Mesh{512, 128, 64}.verify()), "pp * dp is 65536, expected at most 32768");
  EXPECT_EQ((Mesh{1, 32768, 32768}.verify()), "");
}

TEST(RoutedLayout, OnePieceFitsWhateverComes) {
  std::mt19937 random(7);
  auto upTo = [&](int64_t most) { return std::uniform_int_distribution<int64_t>(1, most)(random); };
  for (int trial = 0; trial < 2000; ++trial) {
    RoutedLayout layout = {upTo(70), upTo(500), upTo(8), upTo(8)};
    layout.rows = layout.ranks * upTo(300) + upTo(layout.ranks) - 1;
    layout.choices = layout.ranks * std::min(layout.topK, layout.experts) * upTo(300);
    int64_t piece = layout.getPieceTokens();
    ASSERT_GE(piece, 1);
    ASSERT_LE(piece, layout.tokens);
    EXPECT_LE(layout.ranks * piece, layout.rows);
    EXPECT_LE(layout.ranks * piece * std::min(layout.topK, layout.experts), layout.choices);
    EXPECT_GE(layout.getPieces() * piece, layout.tokens);
    EXPECT_LT((layout.getPieces() - 1) * piece, layout.tokens);
  }
}

/// The most pieces of a round, by trying every number.
int64_t fitPiecesSlowly(const RoutedLayout &layout, const std::vector<int64_t> &rows,
                        const std::vector<int64_t> &choices) {
  int64_t pieces = layout.getPieces(), best = 1;
  for (int64_t size = 1; size <= pieces; ++size) {
    bool fits = true;
    for (int64_t begin = 0; begin < pieces; begin += size) {
      int64_t end = std::min(begin + size, pieces);
      fits &= std::accumulate(rows.begin() + begin, rows.begin() + end, int64_t(0)) <= layout.rows &&
              std::accumulate(choices.begin() + begin, choices.begin() + end, int64_t(0)) <= layout.choices;
    }
    if (fits)
      best = size;
  }
  return best;
}

TEST(RoutedLayout, RoundsAreAsLargeAsFits) {
  std::mt19937 random(11);
  auto upTo = [&](int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random); };
  bool sawMany = false, sawOne = false;
  for (int trial = 0; trial < 2000; ++trial) {
    RoutedLayout layout = {4, 40 + upTo(20), 2, 2, 8 + upTo(40), 16 + upTo(80)};
    std::vector<int64_t> rows(layout.getPieces()), choices(layout.getPieces());
    int64_t most = upTo(layout.ranks * layout.getPieceTokens());
    for (size_t p = 0; p < rows.size(); ++p)
      choices[p] = (rows[p] = upTo(most)) + upTo(rows[p]);
    int64_t size = fitPieces(layout, rows, choices);
    EXPECT_EQ(size, fitPiecesSlowly(layout, rows, choices));
    sawMany |= size > 1 && size < layout.getPieces();
    sawOne |= size == 1;
  }
  EXPECT_TRUE(sawMany && sawOne);
}

TEST(RoutedLayout, PlacesOfTheTableFollowEachOther) {
  RoutedLayout layout = {33, 10, 2, 1, 66, 66};
  EXPECT_EQ(layout.getPieces(), 5);
  EXPECT_EQ(layout.getWords(), 2);
  EXPECT_EQ(layout.getSent(0, 0), 2);
  EXPECT_EQ(layout.getReceived(0, 0), 2 + 5 * 33);
  EXPECT_EQ(layout.getMask(0), 2 + 2 * 5 * 33);
  EXPECT_EQ(layout.getSize(), 2 + 2 * 5 * 33 + 10 * 2);
}

} // namespace
} // namespace contraflow::abi
