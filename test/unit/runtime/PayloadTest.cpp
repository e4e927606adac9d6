//===- PayloadTest.cpp - generated code at the end of a file --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Payload.h"
#include "test/unit/runtime/Support.h"

namespace contraflow::abi {

namespace {

using test::errorOf;
using test::Folder;

const std::string kStub = "\x7f"
                          "ELF and more";

TEST(Payload, ComesBackAndCanBeReplaced) {
  Folder folder;
  std::string stub = folder.write("stub", kStub), trainer = folder / "trainer";
  EXPECT_FALSE(readPayload(stub).has_value());
  appendPayload(stub, trainer, {std::string("object\0x", 8), "{}"});
  std::optional<Payload> payload = readPayload(trainer);
  ASSERT_TRUE(payload.has_value());
  EXPECT_EQ(payload->object, std::string("object\0x", 8));
  EXPECT_EQ(payload->manifest, "{}");
  EXPECT_EQ(std::filesystem::status(trainer).permissions(), std::filesystem::perms(0755));

  // Into a trainer, itself even: the old payload goes.
  appendPayload(trainer, trainer, {"other", "{\"a\": 1}"});
  EXPECT_EQ(readPayload(trainer)->object, "other");
  std::string direct = folder / "direct";
  appendPayload(stub, direct, {"other", "{\"a\": 1}"});
  EXPECT_EQ(test::read(direct), test::read(trainer));
}

TEST(Payload, RefusesDamage) {
  Folder folder;
  std::string stub = folder.write("stub", kStub), trainer = folder / "trainer";
  appendPayload(stub, trainer, {"object", "manifest"});
  std::string good = test::read(trainer);
  auto errorFor = [&](const std::string &content) {
    std::string path = folder.write("bad", content);
    return errorOf([&] { readPayload(path); });
  };
  std::string flipped = good;
  flipped[4096] ^= 1;
  EXPECT_CONTAINS(errorFor(flipped), "another hash");
  // The stub runs before anything can be checked, but not on and on.
  for (size_t at : {size_t(4), kStub.size() - 1, kStub.size(), size_t(4095)}) {
    flipped = good;
    flipped[at] ^= 1;
    EXPECT_CONTAINS(errorFor(flipped), "is damaged: it has another hash");
  }
  EXPECT_CONTAINS(errorFor(good + "tail"), "is damaged: 4 bytes follow the end of the trainer; copy or");
  EXPECT_CONTAINS(errorFor(good + std::string(100, 'x')), "is damaged: 100 bytes follow");
  std::string moved = good;
  moved[good.size() - 64 + 16] ^= 1; // The object's offset.
  EXPECT_CONTAINS(errorFor(moved), "sizes in its payload trailer");
  EXPECT_CONTAINS(errorFor(good.substr(100)), "sizes in its payload trailer");
  std::string older = good;
  older[good.size() - 64 + 8] = 99;
  EXPECT_CONTAINS(errorFor(older), "version 99");
}

TEST(Payload, NoticesThatATrainerIsCut) {
  Folder folder;
  std::string trainer = folder / "trainer";
  EXPECT_FALSE(readPayload(STUB).has_value());
  appendPayload(STUB, trainer, {std::string(10000, 'o'), "manifest"});
  std::string good = test::read(trainer);
  size_t stub = test::read(STUB).size();
  for (size_t size :
       {good.size() - 1, good.size() - 64, good.size() - 5000, stub + 1, stub - 1, size_t(64)}) {
    std::string path = folder.write("cut", good.substr(0, size));
    EXPECT_CONTAINS(errorOf([&] { readPayload(path); }),
                    "cut' is cut: it has " + std::to_string(size) + " bytes");
    EXPECT_CONTAINS(errorOf([&] { readPayload(path, "shown"); }), "'shown' is cut");
  }
  // What is left of it is a whole stub, or too little to tell.
  EXPECT_FALSE(readPayload(folder.write("cut", good.substr(0, stub))).has_value());
  EXPECT_FALSE(readPayload(folder.write("cut", good.substr(0, 63))).has_value());
}

TEST(Payload, RefusesWhatIsNoStub) {
  Folder folder;
  EXPECT_CONTAINS(errorOf([&] { appendPayload(folder.write("text", "hello"), folder / "x", {}); }),
                  "not an ELF");
  EXPECT_CONTAINS(errorOf([&] { appendPayload(folder / "none", folder / "x", {}); }), "cannot open");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

} // namespace

} // namespace contraflow::abi
