//===- CorpusTest.cpp - which files become documents ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/data/Corpus.h"
#include "test/unit/runtime/Support.h"

#include <algorithm>
#include <set>

namespace contraflow::data {

namespace {

using test::errorOf;
using test::Folder;

std::multiset<std::string> textsOf(const std::vector<Document> &documents) {
  std::multiset<std::string> texts;
  for (const Document &document : documents)
    texts.insert(document.bytes);
  return texts;
}

TEST(Corpus, ReadsFoldersByPatternAndSkipsWhatIsNoText) {
  Folder folder;
  folder.write("a.h", "alpha");
  folder.write("deep/er/b.h", "beta");
  folder.write("deep/copy.h", "alpha");
  folder.write("c.txt", "gamma");
  folder.write("empty.h", "");
  folder.write("binary.h", std::string("x\0y", 3));
  std::filesystem::create_directory_symlink(folder / "deep", folder / "link");
  std::filesystem::create_directory_symlink(folder.path, folder / "deep/cycle");
  std::filesystem::create_symlink(folder / "nowhere", folder / "dangling.h");

  Corpus corpus = readCorpus({{folder.path.string()}, {"*.h"}, 0});
  EXPECT_EQ(textsOf(corpus.training), (std::multiset<std::string>{"alpha", "beta"}));
  EXPECT_TRUE(corpus.heldOut.empty());
  EXPECT_EQ(corpus.files, 5);
  EXPECT_EQ(corpus.duplicates, 1);
  EXPECT_EQ(corpus.empty, 1);
  EXPECT_EQ(corpus.binary, 1);
  EXPECT_CONTAINS(corpus.summary(), "left out: 1 identical to others, 1 empty, 1 binary");

  // A file that is named is read whatever the pattern.
  corpus = readCorpus({{folder.path.string(), folder / "c.txt"}, {"*.h"}, 0});
  EXPECT_EQ(textsOf(corpus.training), (std::multiset<std::string>{"alpha", "beta", "gamma"}));
}

TEST(Corpus, SplitsByContentWhereverTheFilesAre) {
  Folder one, two;
  for (int i = 0; i < 200; ++i) {
    std::string text = "document " + std::to_string(i);
    one.write(std::to_string(i), text);
    two.write("x/" + std::to_string(1000 - i), text);
  }
  Corpus first = readCorpus({{one.path.string()}, {}, 0.1}),
         second = readCorpus({{two.path.string()}, {}, 0.1});
  EXPECT_EQ(first.fingerprint(), second.fingerprint());
  ASSERT_EQ(first.training.size(), second.training.size());
  for (size_t i = 0; i < first.training.size(); ++i)
    EXPECT_EQ(first.training[i].bytes, second.training[i].bytes);
  EXPECT_EQ(textsOf(first.heldOut), textsOf(second.heldOut));
  EXPECT_EQ(first.training.size() + first.heldOut.size(), 200u);
  EXPECT_GT(first.heldOut.size(), 5u);
  EXPECT_LT(first.heldOut.size(), 45u);

  // Another file changes nobody's side.
  one.write("more", "another document");
  Corpus more = readCorpus({{one.path.string()}, {}, 0.1});
  EXPECT_NE(more.fingerprint(), first.fingerprint());
  std::multiset<std::string> now = textsOf(more.heldOut), before = textsOf(first.heldOut);
  EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end()));
}

TEST(Corpus, HoldsOutSomethingOfSmallCollections) {
  Folder folder;
  folder.write("a", "one\ntwo\nthree\nfour\nfive\n");
  Corpus single = readCorpus({{folder / "a"}, {}, 0.3});
  ASSERT_EQ(single.heldOut.size(), 1u);
  EXPECT_EQ(single.training[0].bytes + single.heldOut[0].bytes, "one\ntwo\nthree\nfour\nfive\n");
  EXPECT_EQ(single.training[0].bytes.back(), '\n');
  EXPECT_EQ(single.heldOut[0].start, int64_t(single.training[0].bytes.size()));
  folder.write("b", "other");
  for (double share : {0.0001, 0.9999}) {
    Corpus two = readCorpus({{folder.path.string()}, {}, share});
    EXPECT_EQ(two.training.size(), 1u);
    EXPECT_EQ(two.heldOut.size(), 1u);
  }
}

TEST(Corpus, SaysWhyThereIsNoText) {
  Folder folder;
  folder.write("binary", std::string(4, '\0'));
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{}, {}, 0}); }), "--data");
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{folder / "x"}, {}, 0}); }), "does not exist");
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{folder.path.string()}, {}, 0}); }),
                  "no text remains: 1 file; left out: 1 binary");
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{folder.path.string()}, {"*.h"}, 0}); }),
                  "look at --data and --include");
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{folder.path.string()}, {}, 1.5}); }), "held-out share is 1.5");
  EXPECT_CONTAINS(errorOf([&] { readCorpus({{"/dev/null"}, {}, 0}); }), "not a regular file");
  EXPECT_EQ(errorOf([&] { readCorpus({{"/dev/null", folder / "binary", "/dev/zero"}, {}, 0}); }),
            "cannot read '/dev/null': it is not a regular file\n"
            "contraflow: error: cannot read '/dev/zero': it is not a regular file");
  EXPECT_EQ(errorOf([&] { readCorpus({{"none-1", folder / "binary", "none-2", "none-3"}, {}, 2}); }),
            "the held-out share is 2, expected 0 or more and less than 1\n"
            "contraflow: error: data path 'none-1' does not exist\n"
            "contraflow: error: data path 'none-2' does not exist\n"
            "contraflow: error: data path 'none-3' does not exist");
}

} // namespace

} // namespace contraflow::data
