//===- CheckerTest.cpp - what a checked build sees, and what it says ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/executor/Checker.h"
#include "test/unit/runtime/Support.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>

namespace contraflow::executor {

namespace {

using test::errorOf;

constexpr int64_t kWords = 16, kBytes = kWords * 4;

/// Two rows: the first makes "made" from "kept" in two kernels, by way of "between" in its workspace and of
/// ids; the second reads "made".
abi::Manifest twoRows() {
  abi::Manifest manifest;
  manifest.batch = manifest.seq = manifest.vocab = 1;
  manifest.arenaBytes = 4096;
  manifest.guardBytes = 64;
  manifest.functions = {"f", "g"};
  constexpr int64_t kept = 64, made = 256, workspace = 512, ids = 1024;
  manifest.programs["train"] = {{0, {kept, made, workspace, ids}, 0, "f", "layer", "forward"},
                                {1, {made}, 0, "g", "layer", "backward_input"}};
  manifest.memory["train"] = {{"kept", "parameters", kept, kBytes, 0, 2, true},
                              {"ids", "input", ids, kBytes, 0, 2, true},
                              {"made", "activation", made, kBytes, 0, 1},
                              {"f", "workspace", workspace, 64 + kBytes + 64, 0, 0}};
  manifest.checks["f"] = {{"first", "second"},
                          {{"kept", 0, 0, kBytes, -1, 2, {0}, {}},
                           {"ids", 3, 0, kBytes, -1, 2, {1}, {}, false, true},
                           {"between", 2, 64, kBytes, 0, 1, {1}, {0}, true},
                           {"made", 1, 0, kBytes, 1, 2, {}, {1}}},
                          {{1, "index", 3, 0, 4, -1, 8}, {1, "offsets", 3, 16, 4, 0, 10}}};
  manifest.checks["g"] = {{"third"}, {{"made", 0, 0, kBytes, -1, 1, {0}, {}}}, {}};
  return manifest;
}

class CheckerRun : public testing::Test {
protected:
  CheckerRun() : manifest(twoRows()), arena("test", manifest.arenaBytes) {}

  float *floats(int64_t offset) { return reinterpret_cast<float *>(arena.at(offset)); }
  int32_t *ids(int64_t offset) { return reinterpret_cast<int32_t *>(arena.at(offset)); }

  /// Both rows, as code that does what it should; `disturb` is called before point 0, 1, 2 of the first and
  /// 0, 1 of the second row (numbers 0 to 4). Returns the error.
  std::string run(const std::function<void(int)> &disturb) {
    std::fill_n(ids(64), kWords, 0);
    std::fill_n(ids(1024), kWords, 0);
    std::copy_n(std::array{-1, 0, 7, 3, 0, 2, 2, 10}.data(), 8, ids(1024));
    return errorOf([&] {
      Checker checker(manifest, arena);
      auto reach = [&](int number, int64_t point) {
        disturb(number);
        if (!checker.check(point))
          throw std::runtime_error(checker.getFailure());
      };
      std::string program = "train";
      begin(checker, program, 0);
      reach(0, 0);
      std::fill_n(floats(576), kWords, 1.0f);
      reach(1, 1);
      std::fill_n(floats(256), kWords, 2.0f);
      reach(2, 2);
      checker.endRow();
      begin(checker, program, 1);
      reach(3, 0);
      reach(4, 1);
      checker.endRow();
    });
  }
  void begin(Checker &checker, const std::string &program, size_t index) {
    pointers.clear();
    for (int64_t offset : manifest.programs[program][index].bases)
      pointers.push_back(offset < 0 ? nullptr : arena.at(offset));
    checker.beginRow(program, index, pointers.data());
  }
  /// The error where `disturb` is called once.
  std::string runWith(int when, const std::function<void()> &disturb) {
    return run([&](int number) {
      if (number == when)
        disturb();
    });
  }

  abi::Manifest manifest;
  device::Arena arena;
  /// Of the row at hand.
  std::vector<void *> pointers;
};

TEST_F(CheckerRun, FindsNothingWhereNothingIsWrong) {
  manifest.validate();
  EXPECT_EQ(run([](int) {}), "no error");
}

TEST_F(CheckerRun, SaysWhoseGuardsAreGone) {
  std::string error = runWith(1, [&] { *floats(60) = 0; });
  EXPECT_CONTAINS(
      error, "checked build: row 0 of 'train' ('f' of 'layer', forward, micro-batch 0), kernel 0 'first': "
             "the guard bytes before 'kept' (parameters, bytes 64 to 128 of the arena) were overwritten at "
             "byte 60; ");
  EXPECT_CONTAINS(runWith(4, [&] { *ids(256 + kBytes) = 5; }), "behind 'made' (activation, bytes 256 to 320");
  EXPECT_CONTAINS(runWith(1, [&] { *ids(576 + kBytes + 60) = 5; }),
                  "behind 'between' (value, bytes 576 to 640");
  EXPECT_CONTAINS(runWith(2, [&] { *ids(512 - 64) = 5; }), "before 'f' (workspace, bytes 512 to 704");
  // What is wrong after the last kernel is found when the row ends.
  EXPECT_CONTAINS(errorOf([&] {
                    Checker checker(manifest, arena);
                    std::string program = "train";
                    begin(checker, program, 0);
                    *ids(0) = 1;
                    checker.endRow();
                  }),
                  "forward, micro-batch 0): the guard bytes before 'kept'");
}

TEST_F(CheckerRun, SeesWhatNobodyWrote) {
  // Of the first result one element, of the second all.
  EXPECT_CONTAINS(
      runWith(1, [&] { *ids(576 + 12) = 0x7fa5a5a5; }),
      "kernel 0 'first': leaves 'between' (value, bytes 576 to 640 of the arena), whose element 3 holds what "
      "was there before anything was written");
  EXPECT_CONTAINS(runWith(2, [&] { std::fill_n(ids(256), kWords, 0x7fa5a5a5); }), "whose element 0 holds");
  // Everything is filled when it begins to live.
  uint32_t before = 0, workspace = 0;
  runWith(0, [&] { before = uint32_t(*ids(256)), workspace = uint32_t(*ids(576)); });
  EXPECT_EQ(before, 0x7fa5a5a5);
  EXPECT_EQ(workspace, 0x7fa5a5a5);
}

TEST_F(CheckerRun, SeesWhatIsDead) {
  uint32_t between = 0, made = 0;
  runWith(3, [&] { between = uint32_t(*ids(576)), made = uint32_t(*ids(256)); });
  EXPECT_EQ(between, 0x7fade5ad);
  EXPECT_EQ(made, 0x40000000); // In use until the second row ends: 2.0f.
  run([](int) {});
  EXPECT_EQ(uint32_t(*ids(256)), 0x7fade5ad);
  EXPECT_CONTAINS(
      runWith(3, [&] { *ids(256 + 4) = 0x7fade5ad; }),
      "reads 'made' (value, bytes 256 to 320 of the arena), whose element 1 holds what a buffer left that is "
      "no longer in use");
}

TEST_F(CheckerRun, SeesWhatIsNoNumber) {
  EXPECT_CONTAINS(runWith(2, [&] { floats(256)[15] = std::nanf(""); }),
                  "kernel 1 'second': leaves 'made' (value, bytes 256 to 320 of the arena), whose element 15 "
                  "is not a number");
  EXPECT_CONTAINS(runWith(0, [&] { *ids(64) = int32_t(0xffc00000); }), "reads 'kept'");
  EXPECT_EQ(runWith(2, [&] { floats(256)[15] = -INFINITY; }), "no error");
  // Ids may be anything else.
  EXPECT_EQ(runWith(1, [&] { ids(1024)[15] = 0x7fc00000; }), "no error");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[15] = 0x7fa5a5a5; }), "reads 'ids'");
}

TEST_F(CheckerRun, SeesABufferOverALiveOne) {
  // All of it, then a part; the guards of the second lie in the first.
  manifest.programs["train"][0].bases[2] = manifest.memory["train"][3].offset = 256;
  EXPECT_CONTAINS(run([](int) {}), "the guard bytes before 'made' (activation, bytes 256 to 320");
  manifest = twoRows();
  manifest.memory["train"][2] = {"made", "activation", 256, 1024, 0, 1};
  EXPECT_CONTAINS(run([](int) {}),
                  "row 0 of 'train' ('f' of 'layer', forward, micro-batch 0): the guard bytes");
  manifest = twoRows();
  manifest.checks["f"].values.push_back({"late", 2, 64, kBytes, 1, 1, {}, {}, true});
  EXPECT_CONTAINS(run([](int) {}), "kernel 1 'second': the guard bytes before 'between'");
}

TEST_F(CheckerRun, BoundsIds) {
  EXPECT_CONTAINS(
      runWith(1, [&] { ids(1024)[2] = 8; }),
      "kernel 1 'second': follows 8, number 2 of the 4 ids at byte 1024 of the arena, expected -1 to 7");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[0] = -2; }), "follows -2, number 0 of the 4 ids");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[4] = 1; }), "follows 1, number 0 of the 4 offsets at byte 1040");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[6] = 1; }),
                  "follows 1, number 2 of the 4 offsets at byte 1040 of the "
                  "arena, expected 2 to 10");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[6] = 11; }), "follows 11, number 2");
  EXPECT_CONTAINS(runWith(1, [&] { ids(1024)[7] = 9; }),
                  "follows 9, number 3 of the 4 offsets at byte 1040 of the arena, "
                  "expected 10 to 10");
}

TEST_F(CheckerRun, GoesOnInTheMiddleOfAProgram) {
  EXPECT_EQ(run([](int) {}), "no error");
  Checker checker(manifest, arena);
  std::string program = "train";
  // "made" is in use already and keeps what it has.
  begin(checker, program, 0);
  std::fill_n(floats(256), kWords, 3.0f);
  checker.endRow();
  std::string other = "evaluate";
  manifest.programs[other] = {{1, {256}, 0, "g", "layer", "forward"}};
  begin(checker, other, 0);
  checker.endRow();
  begin(checker, program, 1);
  EXPECT_TRUE(checker.check(0)) << checker.getFailure();
  EXPECT_EQ(*floats(256), 3.0f);
}

TEST_F(CheckerRun, LooksWhereTheFunctionWorks) {
  std::fill_n(ids(64), kWords, 0x7fc00000);
  std::fill_n(ids(2048), kWords, 0);
  Checker checker(manifest, arena);
  std::string program = "train";
  void *elsewhere[] = {arena.at(2048), arena.at(256), arena.at(512), arena.at(1024)};
  checker.beginRow(program, 0, elsewhere);
  EXPECT_TRUE(checker.check(0)) << checker.getFailure();
  *ids(2048 + 8) = 0x7fc00000;
  checker.beginRow(program, 0, elsewhere);
  EXPECT_FALSE(checker.check(0));
  EXPECT_CONTAINS(checker.getFailure(),
                  "reads 'kept' (value, bytes 2048 to 2112 of the arena), whose element 2 is not a number");
}

TEST_F(CheckerRun, RefusesBuffersThatMoveBetweenPrograms) {
  manifest.memory["evaluate"] = {{"kept", "parameters", 128, kBytes, 0, 2, true}};
  EXPECT_CONTAINS(run([](int) {}),
                  "checked build: 'kept' has 64 bytes at 64 in program 'train', in another one 64 at 128");
}

TEST(Checker, IsOfNoConcernWhereNothingRuns) {
  cf_check(0);
  abi::Manifest manifest = twoRows();
  device::Arena arena("test", manifest.arenaBytes);
  {
    Checker checker(manifest, arena);
    EXPECT_EQ(Checker::getCurrent(), &checker);
    cf_check(5);
  }
  EXPECT_EQ(Checker::getCurrent(), nullptr);
}

} // namespace

} // namespace contraflow::executor
