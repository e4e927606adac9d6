//===- SequencesTest.cpp - packing, order, positions ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/data/Sequences.h"
#include "runtime/base/Random.h"
#include "test/unit/runtime/Support.h"

#include <algorithm>

namespace contraflow::data {

namespace {

std::vector<Document> someDocuments(int count, uint64_t seed) {
  base::Philox random(seed, 0);
  std::vector<Document> documents;
  for (int i = 0; i < count; ++i)
    documents.push_back({"doc" + std::to_string(i), 0,
                         std::string(1 + random.below(uint64_t(i), 90), char('a' + i % 26)), 0});
  return documents;
}

struct Sequence {
  std::vector<int32_t> ids, starts;
  bool operator==(const Sequence &) const = default;
};

Sequence at(Sequences &sequences, int64_t seq, int64_t n) {
  Sequence result{std::vector<int32_t>(size_t(seq)), std::vector<int32_t>(size_t(seq))};
  sequences.read(n, result.ids, result.starts);
  return result;
}

TEST(Sequences, PacksDocumentsInOrder) {
  std::vector<Document> documents = {{"a", 0, "xy", 0}, {"b", 100, "\xff", 0}};
  Sequences sequences(documents, 3, {256, 257}, 1, false);
  EXPECT_EQ(sequences.getPerEpoch(), 2);
  EXPECT_EQ(at(sequences, 3, 0), (Sequence{{256, 'x', 'y'}, {0, 0, 0}}));
  EXPECT_EQ(at(sequences, 3, 1), (Sequence{{257, 256, 255}, {0, 1, 1}}));
  // The last id did not fill a sequence and is left out.
  EXPECT_EQ(at(sequences, 3, 2), at(sequences, 3, 0));
  EXPECT_EQ(sequences.describe(0), "a bytes 0 to 2");
  EXPECT_EQ(sequences.describe(1), "a bytes 2 to 2, b bytes 100 to 101");
}

TEST(Sequences, FillsUpWhenThereIsLittleText) {
  std::vector<Document> documents = {{"a", 0, "x", 0}};
  Sequences sequences(documents, 5, {256, 257}, 1, true);
  EXPECT_EQ(sequences.getPerEpoch(), 1);
  EXPECT_EQ(at(sequences, 5, 0), (Sequence{{256, 'x', 257, -1, -1}, {0, 0, 0, 0, 0}}));
  EXPECT_EQ(at(sequences, 5, 7), at(sequences, 5, 0));
  EXPECT_CONTAINS(test::errorOf([] {
                    std::vector<Document> none;
                    Sequences(none, 4, {}, 1, true);
                  }),
                  "no documents");
}

TEST(Sequences, ReadsEveryIdOnceAnEpoch) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::vector<Document> documents = someDocuments(40, seed);
    constexpr int64_t seq = 16;
    Sequences sequences(documents, seq, {256, 257}, seed, true);
    for (int64_t epoch : {0, 1}) {
      std::vector<int64_t> counts(258);
      for (int64_t n = 0; n < sequences.getPerEpoch(); ++n)
        for (int32_t id : at(sequences, seq, epoch * sequences.getPerEpoch() + n).ids) {
          ASSERT_GE(id, 0);
          ++counts[size_t(id)];
        }
      std::vector<int64_t> wanted(258);
      wanted[256] = wanted[257] = 40;
      for (const Document &document : documents)
        wanted[size_t(document.bytes[0])] += int64_t(document.bytes.size());
      int64_t missing = 0;
      for (size_t id = 0; id < 258; ++id) {
        EXPECT_LE(counts[id], wanted[id]);
        missing += wanted[id] - counts[id];
      }
      EXPECT_LT(missing, seq);
    }
  }
}

TEST(Sequences, StartsPointToTheBeginningOfTheDocument) {
  std::vector<Document> documents = someDocuments(40, 9);
  constexpr int64_t seq = 32;
  Sequences sequences(documents, seq, {256, 257}, 9, true);
  for (int64_t n = 0; n < sequences.getPerEpoch(); ++n) {
    Sequence sequence = at(sequences, seq, n);
    int32_t start = 0;
    for (int64_t i = 0; i < seq; ++i) {
      if (sequence.ids[size_t(i)] == 256)
        start = int32_t(i);
      ASSERT_EQ(sequence.starts[size_t(i)], start);
    }
  }
}

TEST(Sequences, DependsOnSeedAndNumberOnly) {
  std::vector<Document> documents = someDocuments(40, 2);
  constexpr int64_t seq = 16;
  Sequences forward(documents, seq, {}, 3, true), any(documents, seq, {}, 3, true),
      other(documents, seq, {}, 4, true);
  int64_t count = 3 * forward.getPerEpoch();
  std::vector<Sequence> list;
  for (int64_t n = 0; n < count; ++n)
    list.push_back(at(forward, seq, n));
  int64_t differentEpoch = 0, differentSeed = 0;
  for (int64_t k = 0; k < count; ++k) {
    int64_t n = k * 7919 % count;
    ASSERT_EQ(at(any, seq, n), list[size_t(n)]) << n;
    differentEpoch += list[size_t(n)] != list[size_t((n + forward.getPerEpoch()) % count)];
    differentSeed += list[size_t(n)] != at(other, seq, n);
  }
  EXPECT_GT(differentEpoch, count / 2);
  EXPECT_GT(differentSeed, count / 2);
}

} // namespace

} // namespace contraflow::data
