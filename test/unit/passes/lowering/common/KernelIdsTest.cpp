//===- KernelIdsTest.cpp - bounds of the numbers that kernels follow ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/KernelIds.h"
#include "test/support/KernelText.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace contraflow;
using contraflow::lowering::KernelIds;
using contraflow::test::parseKernel;
using contraflow::test::tensorText;

namespace {

class KernelIdsTest : public testing::Test {
protected:
  std::vector<KernelIds> idsOf(StringRef head, std::vector<std::string> inputs, StringRef tail) {
    test::ParsedKernel parsed = parseKernel(*context, head, inputs, tail);
    if (!parsed.op)
      return {};
    SmallVector<KernelIds> ids = lowering::getKernelIds(parsed.op);
    return {ids.begin(), ids.end()};
  }

  std::vector<KernelIds> idsOfAttention(StringRef drop, std::vector<std::string> inputs, StringRef maps);

  std::unique_ptr<MLIRContext> context = test::makeKernelContext();
};

constexpr pipe::IdsKind kIndex = pipe::IdsKind::index, kOffsets = pipe::IdsKind::offsets;

std::string ids(int64_t count) { return tensorText({count}, " : i32"); }

TEST_F(KernelIdsTest, AreBelowTheSizeThatTheyChooseFrom) {
  // Row d0 of the result is row ids[d0 + 10] of 7 rows.
  EXPECT_EQ(idsOf("#nn.rows domain [5, 3]", {ids(20), "<7 x 3>"},
                  "maps [affine_map<(d0, d1) -> (d0 + 10)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, "
                  "affine_map<(d0, d1) -> (d0, d1)>] gathers [[], [0], []] tied [-1] -> <5 x 3> {\n"
                  "^bb0(%a: i32, %b: f32):\n nn.kernel_yield %b : f32\n}"),
            (std::vector<KernelIds>{{kIndex, 0, 10, 5, -1, 7}}));
}

TEST_F(KernelIdsTest, CountChoicesWhereRowsAreSharedAmongThem) {
  // Choices t * 4 + k of 6 tokens; the second operand takes k alone, whatever the number.
  EXPECT_EQ(idsOf("#nn.rows domain [24, 3]", {ids(24), "<6 x 3>", "<6 x 4>"},
                  "maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0 floordiv 4, d1)>, "
                  "affine_map<(d0, d1)[s0] -> (s0 floordiv 4, s0 mod 4)>, affine_map<(d0, d1) -> (d0, d1)>] "
                  "gathers [[], [0], [0], []] tied [-1] -> <24 x 3> {\n"
                  "^bb0(%a: i32, %b: f32, %c: f32):\n nn.kernel_yield %b : f32\n}"),
            (std::vector<KernelIds>{{kIndex, 0, 0, 24, -1, 24}}));
}

TEST_F(KernelIdsTest, TakeTheSmallestOfSeveralBounds) {
  // The same numbers choose from 7 and from 5 rows, and write 9.
  EXPECT_EQ(
      idsOf("#nn.column_reduce domain [4, 3]", {ids(4), "<7 x 3>", "<5 x 3>", "<9 x 3>"},
            "maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, "
            "affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1)[s0] -> (s0, d1)>, "
            "affine_map<(d0, d1)[s0] -> (s0, d1)>] gathers [[], [0], [0], [0], [0]] tied [3] -> <9 x 3> {\n"
            "^bb0(%a: i32, %b: f32, %c: f32, %d: f32):\n nn.kernel_yield %b : f32\n}"),
      (std::vector<KernelIds>{{kIndex, 0, 0, 4, -1, 5}}));
}

TEST_F(KernelIdsTest, BoundWhatIsWrittenTo) {
  EXPECT_EQ(idsOf("#nn.column_reduce domain [4, 3]", {ids(4), "<4 x 3>", "<9 x 3>"},
                  "maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>, "
                  "affine_map<(d0, d1)[s0] -> (s0, d1)>, affine_map<(d0, d1)[s0] -> (s0, d1)>] "
                  "gathers [[], [], [0], [0]] tied [2] -> <9 x 3> {\n"
                  "^bb0(%a: i32, %b: f32, %c: f32):\n nn.kernel_yield %b : f32\n}"),
            (std::vector<KernelIds>{{kIndex, 0, 0, 4, -1, 9}}));
}

TEST_F(KernelIdsTest, AreOffsetsOfGroups) {
  // 3 groups of 24 rows; offsets stand behind 72 other numbers.
  EXPECT_EQ(
      idsOf("#nn.grouped_matmul<rows> domain [3, 24, 8, 16]", {"<24 x 16>", "<3 x 16 x 8>", ids(76)},
            "maps [affine_map<(d0, d1, d2, d3) -> (d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>, "
            "affine_map<(d0, d1, d2, d3) -> (d0 + 72)>, affine_map<(d0, d1, d2, d3) -> (d1, d2)>] "
            "gathers [[], [], [], []] tied [-1] -> <24 x 8> {\n}"),
      (std::vector<KernelIds>{{kOffsets, 2, 72, 4, 0, 24}}));
}

/// Attention over 2 sequences of 5 tokens: `inputs` come after queries, keys and values, `maps` are theirs.
std::vector<KernelIds> KernelIdsTest::idsOfAttention(StringRef drop, std::vector<std::string> inputs,
                                                     StringRef maps) {
  inputs.insert(inputs.begin(), 3, "<10 x 4>");
  std::string lists;
  for (size_t i = 0; i < inputs.size() + 2; ++i)
    lists += i ? ", []" : "[]";
  return idsOf(
      ("#nn.attention<heads = 1, kvHeads = 1, seq = 5, scale = 1.0 : f32, causal = true" + drop +
       "> domain [2, 5, 1, 4, 4]")
          .str(),
      inputs,
      ("maps [affine_map<(d0, d1, d2, d3, d4) -> (d0 * 5 + d1, d3)>, affine_map<(d0, d1, d2, d3, d4) -> "
       "(d0 * 5 + d1, d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 5 + d1, d4)>, " +
       maps +
       "affine_map<(d0, d1, d2, d3, d4) -> (d0 * 5 + d1, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0 * 5 "
       "+ d1, d2)>] gathers [" +
       lists + "] tied [-1, -1] -> <10 x 4>, <10 x 1> {\n}")
          .str());
}

constexpr StringRef kStarts = "affine_map<(d0, d1, d2, d3, d4) -> (d0 * 5 + d1)>, ",
                    kKey = "affine_map<(d0, d1, d2, d3, d4) -> (0)>, ",
                    kDrop = ", drop = <threshold = 1, scale = 1.0 : f32, stream = 0>";

TEST_F(KernelIdsTest, AreKeysOfASequence) {
  EXPECT_EQ(idsOfAttention("", {ids(10)}, kStarts), (std::vector<KernelIds>{{kIndex, 3, 0, 10, 0, 5}}));
  EXPECT_EQ(idsOfAttention("", {}, ""), std::vector<KernelIds>());
}

TEST_F(KernelIdsTest, AreNotTheKeyOfRandomNumbers) {
  EXPECT_EQ(idsOfAttention(kDrop, {ids(10), ids(1)}, (kStarts + kKey).str()),
            (std::vector<KernelIds>{{kIndex, 3, 0, 10, 0, 5}}));
  EXPECT_EQ(idsOfAttention(kDrop, {ids(1)}, kKey), std::vector<KernelIds>());
}

TEST_F(KernelIdsTest, AreNoneWhereNumbersAreOnlyCompared) {
  EXPECT_EQ(idsOf("#nn.rows domain [5, 3]", {ids(5), "<5 x 3>"},
                  "maps [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>, "
                  "affine_map<(d0, d1) -> (d0, d1)>] gathers [[], [], []] tied [-1] -> <5 x 3> {\n"
                  "^bb0(%a: i32, %b: f32):\n nn.kernel_yield %b : f32\n}"),
            std::vector<KernelIds>());
}

} // namespace
