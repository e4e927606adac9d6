//===- BaseTest.cpp - files, hashes, random numbers, errors ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Error.h"
#include "runtime/base/File.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Random.h"
#include "test/unit/runtime/Support.h"

#include <set>
#include <sys/stat.h>

namespace contraflow::base {

namespace {

using test::errorOf;
using test::Folder;

TEST(Philox, GivesTheNumbersOfItsAuthors) {
  // The known answers of Random123 (kat_vectors) for counter and key zero, and for counter and key of pi's
  // digits.
  EXPECT_EQ(Philox(0, 0).words(0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox(0x299f31d0a4093822, 0x0370734413198a2e).words(0x85a308d3243f6a88),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StaysInItsRange) {
  Philox random(1, 2);
  for (uint64_t i = 0; i < 10000; ++i) {
    EXPECT_LT(random.below(i, 7), 7u);
    EXPECT_GE(random.uniform(i), 0);
    EXPECT_LT(random.uniform(i), 1);
  }
}

TEST(Hash, NeverChangesAndSeesEveryByte) {
  // Stored in trainers and checkpoints.
  EXPECT_EQ(hash64("contraflow"), 594970732339755792ull);
  std::set<uint64_t> seen;
  for (std::string text :
       {"", "a", "b", "ab", "ba", "12345678", "123456789", "1234567890123456", "0123456789123456"})
    EXPECT_TRUE(seen.insert(hash64(text)).second) << text;
  EXPECT_TRUE(seen.insert(hash64(std::string(1, '\0'))).second);
  EXPECT_TRUE(seen.insert(hash64(std::string(2, '\0'))).second);
  EXPECT_TRUE(seen.insert(hash64("a", 1)).second);
}

TEST(Error, SaysWhatToDo) {
  EXPECT_STREQ(Error("the loss is nan").what(), "the loss is nan");
  EXPECT_STREQ(Error("the loss is nan", "lower the rate").what(), "the loss is nan; lower the rate");
}

TEST(ListText, NamesAllOfFewAndSomeOfMany) {
  EXPECT_EQ(listText({}), "");
  EXPECT_EQ(listText({"a"}), "a");
  EXPECT_EQ(listText({"a", "b", "c", "d", "e"}), "a, b, c, d, e");
  EXPECT_EQ(listText({"a", "b", "c", "d", "e", "f", "g"}), "a, b, c, d, e and 2 more");
}

TEST(FreeBytes, AreThoseOfTheFileSystem) {
  Folder folder;
  EXPECT_GT(freeBytes(folder.path.string()).value_or(1), 0u);
  EXPECT_FALSE(freeBytes(folder / "none").has_value());
  // Has no blocks, which says nothing of its room.
  EXPECT_FALSE(freeBytes("/proc/self").has_value());
}

TEST(AtomicFile, ReplacesWholeFilesOnly) {
  Folder folder;
  std::string path = folder.write("x", "old");
  {
    AtomicFile file(path);
    file.write("half of the ne");
    EXPECT_EQ(test::read(path), "old");
  }
  EXPECT_EQ(test::read(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}), 1)
      << "a temporary file was left";
  AtomicFile file(path, 0755);
  file.write("new");
  file.write(" content");
  file.commit();
  EXPECT_EQ(test::read(path), "new content");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0755));
}

TEST(AtomicFile, ReportsWhatItCannotWrite) {
  Folder folder;
  EXPECT_CONTAINS(errorOf([&] { AtomicFile file(folder / "missing/x"); }), "cannot create");
  std::filesystem::create_directory(folder / "directory");
  std::filesystem::create_directory(folder / "directory/inside");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const char *name : {"directory", "pipe"})
    EXPECT_EQ(errorOf([&] { AtomicFile file(folder / name); }),
              "cannot write '" + (folder / name) + "': it is not a regular file");
  AtomicFile file(folder / "late");
  file.write("x");
  std::filesystem::create_directories(folder / "late/inside");
  EXPECT_CONTAINS(errorOf([&] { file.commit(); }), "cannot replace");
}

TEST(AtomicFile, SpoilsNothingThroughWhatStandsBesideIt) {
  Folder folder;
  std::string notes = folder.write("notes", "mine");
  std::filesystem::create_symlink("notes", folder / "x.partial");
  AtomicFile file(folder / "x");
  file.write("new");
  file.commit();
  EXPECT_EQ(test::read(notes), "mine");
  EXPECT_EQ(test::read(folder / "x"), "new");
  std::filesystem::create_hard_link(notes, folder / "x.partial");
  EXPECT_CONTAINS(errorOf([&] { AtomicFile::requireTarget(folder / "x", {notes}); }),
                  "is read by this command, and '");
  AtomicFile::requireTarget(folder / "x", {folder / "x"});
}

TEST(ReadFile, RefusesWhatIsNoFile) {
  Folder folder;
  EXPECT_EQ(readFile(folder.write("x", std::string("a\0b", 3))), std::string("a\0b", 3));
  EXPECT_CONTAINS(errorOf([&] { readFile(folder / "y"); }), "cannot open");
  EXPECT_CONTAINS(errorOf([&] { readFile(folder.path.string()); }), "not a regular file");
  EXPECT_CONTAINS(errorOf([&] { readFile("/dev/null"); }), "not a regular file");
  EXPECT_EQ(MappedFile(folder.write("empty", "")).bytes(), "");
}

} // namespace

} // namespace contraflow::base
