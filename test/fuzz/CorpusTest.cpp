//===- CorpusTest.cpp - every input of the corpora, in every build --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A crash names the file: GoogleTest prints the name of a test before it runs.
//===----------------------------------------------------------------------===//
#include "test/fuzz/Mutator.h"
#include "test/fuzz/SourceDir.h"
#include "test/fuzz/Targets.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace contraflow::fuzz {
namespace {

struct Input {
  Target target;
  std::filesystem::path path;
};

std::vector<Input> listInputs() {
  std::vector<Input> inputs;
  for (const Target &target : kTargets)
    for (const auto &entry : std::filesystem::directory_iterator(
             std::filesystem::path(CONTRAFLOW_SOURCE_DIR "/test/fuzz/corpus") / target.name))
      inputs.push_back({target, entry.path()});
  std::sort(inputs.begin(), inputs.end(), [](const Input &a, const Input &b) { return a.path < b.path; });
  return inputs;
}

std::string nameOf(const testing::TestParamInfo<Input> &info) {
  std::string name = std::string(info.param.target.name) + "_" + info.param.path.filename().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

class CorpusTest : public testing::TestWithParam<Input> {};

TEST_P(CorpusTest, neitherCrashesNorHangs) {
  std::ifstream file(GetParam().path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  ASSERT_TRUE(file.good() || file.eof()) << GetParam().path;
  GetParam().target.run(bytes.str());
}

INSTANTIATE_TEST_SUITE_P(Corpus, CorpusTest, testing::ValuesIn(listInputs()), nameOf);

TEST(FuzzTest, everyTargetHasInputs) {
  std::vector<Input> inputs = listInputs();
  for (const Target &target : kTargets)
    EXPECT_TRUE(std::any_of(inputs.begin(), inputs.end(), [&](const Input &input) {
      return input.target.name == target.name;
    })) << target.name;
}

TEST(FuzzTest, aBrokenPromiseIsACrash) {
  EXPECT_DEATH(require(false, "two is one"), "broken promise: two is one");
}

/// The same edit for the same seed; other seeds edit otherwise, and most edits change something.
TEST(MutatorTest, editsDependOnTheSeed) {
  std::string text = "%y = nn.add %x, %x : <4 x 8>\nnn.yield %y : <4 x 8>\n";
  std::set<std::string> edits;
  for (unsigned seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(mutateWords(text, seed), mutateWords(text, seed));
    edits.insert(mutateWords(text, seed));
  }
  EXPECT_GT(edits.size(), 50u);
  EXPECT_EQ(mutateWords("", 1), "");
}

} // namespace
} // namespace contraflow::fuzz
