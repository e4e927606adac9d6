//===- AbiTest.cpp - few functions, all of them listed --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/runtime/Support.h"

#include <regex>
#include <set>

namespace {

using contraflow::test::read;
using contraflow::test::runCommand;

std::set<std::string> matches(const std::string &text, const char *pattern) {
  std::set<std::string> found;
  std::regex expression(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), expression), end; it != end; ++it)
    found.insert((*it)[1]);
  return found;
}

TEST(Abi, ListsItsFunctionsAndHasFew) {
  std::set<std::string> declared =
      matches(read(SOURCE_DIR "/runtime/abi/Abi.h"), "\n[a-z0-9_]+ (cf_[a-z_]+)\\(");
  EXPECT_TRUE(declared.contains("cf_parallel_for"));
  EXPECT_LE(declared.size(), 40u);
  EXPECT_EQ(declared, matches(read(SOURCE_DIR "/runtime/abi/README.md"), "\n\\| `(cf_[a-z_]+)` \\|"));
  if (*SANITIZERS)
    GTEST_SKIP() << "sanitizers export functions: wants an uninstrumented stub";
  // The stub exports these and nothing else.
  EXPECT_EQ(declared, matches(runCommand("nm -D --defined-only " STUB).text, " [A-Z] (\\S+)"));
}

TEST(Abi, StubNeedsOnlyTheSystem) {
  if (*SANITIZERS)
    GTEST_SKIP() << "sanitizers need libraries: wants an uninstrumented stub";
  for (const std::string &name : matches(runCommand("readelf -d " STUB).text, "NEEDED.*\\[([^.]*)"))
    EXPECT_TRUE(
        (std::set<std::string>{"libc", "libm", "libdl", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"})
            .contains(name))
        << name;
}

} // namespace
