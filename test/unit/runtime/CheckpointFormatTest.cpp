//===- CheckpointFormatTest.cpp - damage to any byte shows ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/CheckpointFormat.h"
#include "runtime/base/Error.h"
#include "test/unit/runtime/Support.h"

#include <cstring>
#include <fcntl.h>
#include <numeric>
#include <thread>

namespace contraflow::abi {

namespace {

using test::errorOf;
using test::Folder;

TrainingState makeState() {
  TrainingState state;
  state.step = 12;
  state.dataPosition = 48;
  state.seed = 7;
  state.dataFingerprint = 0xfedcba9876543210;
  state.buildId = "by-hand";
  state.model = "some model";
  state.run = R"({"name": "x", "model": "say \"header_checksum\":\"0000000000000000\""})";
  return state;
}

/// Three tensors, one of them without elements.
class Checkpoint : public testing::Test {
protected:
  void SetUp() override {
    std::iota(values.begin(), values.end(), 0.5f);
    tensors = {{"b.weight", {ElementType::F32, {3, 8}, values.data()}},
               {"none", {ElementType::F32, {0, 8}, values.data()}},
               {"a.weight", {ElementType::F32, {5}, values.data() + 24}}};
    writeSafetensors(path, tensors, checkpointMetadata(tensors, makeState()));
  }

  /// What a reader says; empty where it finds nothing wrong.
  std::string check() const {
    try {
      SafetensorsFile file(path);
      verifyChecksums(file);
      return hasChecksums(file) ? "" : "no checksums";
    } catch (const base::Error &error) {
      return error.what();
    }
  }

  Folder folder;
  std::string path = folder / "model.safetensors";
  std::vector<float> values = std::vector<float>(29);
  std::vector<NamedTensor> tensors;
};

TEST_F(Checkpoint, CarriesStateAndChecksums) {
  EXPECT_EQ(check(), "");
  SafetensorsFile file(path);
  std::optional<TrainingState> state = stateOf(file);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->step, 12);
  EXPECT_EQ(state->dataFingerprint, 0xfedcba9876543210);
  EXPECT_EQ(state->run, makeState().run);
  // Stored in files, so they must never change.
  EXPECT_EQ(file.getMetadata().at("checksum.a.weight"), "1922dc4ef3908a85");
  EXPECT_EQ(file.getMetadata().at(kHeaderChecksum), "df90c26ae31cf92a");
}

/// Every bit of every byte, all bits of a byte, and a cut at every place.
TEST_F(Checkpoint, RefusesAnyDamage) {
  const std::string bytes = test::read(path);
  uint64_t headerBytes = 0;
  std::memcpy(&headerBytes, bytes.data(), sizeof(headerBytes));
  size_t data = sizeof(headerBytes) + headerBytes;
  int descriptor = open(path.c_str(), O_RDWR);
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int change : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      char damaged = char(bytes[at] ^ change);
      ASSERT_EQ(pwrite(descriptor, &damaged, 1, off_t(at)), 1);
      std::string message = check();
      std::string wanted = at >= data + 24 * 4 ? "is damaged: tensor 'a.weight' has the checksum "
                           : at >= data        ? "is damaged: tensor 'b.weight' has the checksum "
                                               : path;
      ASSERT_NE(message.find(wanted), std::string::npos) << "byte " << at << ": " << message;
    }
    ASSERT_EQ(pwrite(descriptor, &bytes[at], 1, off_t(at)), 1);
  }
  EXPECT_EQ(check(), "");
  for (size_t size = bytes.size(); size-- > 0;) {
    ASSERT_EQ(ftruncate(descriptor, off_t(size)), 0);
    ASSERT_NE(check(), "") << size;
  }
  close(descriptor);
}

TEST_F(Checkpoint, SaysWhatIsWrong) {
  Metadata metadata = checkpointMetadata(tensors, makeState());
  auto errorWith = [&](const std::string &key, const char *value) {
    Metadata changed = metadata;
    if (value)
      changed[key] = value;
    else
      changed.erase(key);
    writeSafetensors(path, tensors, changed);
    return check();
  };
  EXPECT_CONTAINS(errorWith("checksum.a.weight", nullptr), "tensor 'a.weight' has no checksum");
  EXPECT_CONTAINS(errorWith("checksum.a.weight", "0123"), "it was written with 0123");
  EXPECT_CONTAINS(errorWith(kHeaderChecksum, nullptr), "is damaged: its header has lost its checksum");
  EXPECT_CONTAINS(errorWith("checkpoint_version", nullptr), "__metadata__.checkpoint_version is missing");
  EXPECT_CONTAINS(errorWith("checkpoint_version", "one"), "checkpoint_version is 'one', expected a number");
  EXPECT_CONTAINS(errorWith("checkpoint_version", "2"),
                  "is a checkpoint of version 2, this program reads 1 and older; use a newer build");
  writeSafetensors(path, tensors, {{"format", "pt"}, {"step", "3"}});
  EXPECT_EQ(check(), "no checksums");
  writeSafetensors(path, tensors, {{"format", "pt"}, {"step", "3"}, {"data_position", "12"}});
  EXPECT_CONTAINS(check(), "is damaged: its header has lost its checksum");
}

/// As by a script that writes a header with the same keys again.
TEST_F(Checkpoint, RefusesAHeaderThatWasWrittenAgain) {
  const std::string bytes = test::read(path);
  uint64_t headerBytes = 0;
  std::memcpy(&headerBytes, bytes.data(), sizeof(headerBytes));
  const std::string good = bytes.substr(sizeof(headerBytes), headerBytes);
  auto checkWith = [&](const std::string &header) {
    uint64_t size = header.size();
    std::string begin(reinterpret_cast<const char *>(&size), sizeof(size));
    folder.write("model.safetensors", begin + header + bytes.substr(sizeof(headerBytes) + headerBytes));
    return check();
  };
  auto replace = [&](const std::string &from, const std::string &to) {
    std::string header = good;
    size_t at = header.find(from);
    return at == std::string::npos ? "" : header.replace(at, from.size(), to);
  };
  EXPECT_EQ(checkWith(good), "");
  const std::string hurt = "is damaged: its header has the checksum ";
  const std::string key = "\"header_checksum\":";
  EXPECT_CONTAINS(checkWith(replace(key, "\"header_checksum\": ")), hurt);
  EXPECT_CONTAINS(checkWith(replace("\"step\":\"12\"", "\"step\": \"1000\"")), hurt);
  EXPECT_CONTAINS(checkWith(replace(key, "\"header\\u005fchecksum\" : ")), hurt);
  EXPECT_CONTAINS(checkWith(replace(key + '"', key + "\"\\u0030")), "has lost its checksum");
  EXPECT_CONTAINS(checkWith(replace(key, "\"header_Checksum\":")), "has lost its checksum");
}

/// As on a disk with bad sectors: what cannot be read is an error, and not the end of the process.
TEST(Checksums, SayWhatCannotBeRead) {
  Folder folder;
  std::vector<float> values(3 << 20, 1.0f);
  std::vector<NamedTensor> tensors = {{"a", {ElementType::F32, {1 << 20}, values.data()}},
                                      {"b", {ElementType::F32, {2 << 20}, values.data()}}};
  writeSafetensors(folder / "x", tensors, checkpointMetadata(tensors, makeState()));
  SafetensorsFile file(folder / "x");
  std::filesystem::resize_file(folder / "x", 10 << 20);
  EXPECT_CONTAINS(errorOf([&] { verifyChecksums(file); }),
                  "is damaged: tensor 'b' cannot be read from the disk");
}

/// The order in which chunks are hashed does not matter, their order in a tensor does.
TEST(Checksums, DependOnContentsAlone) {
  std::vector<float> values(3 * (1 << 18) + 5);
  std::iota(values.begin(), values.end(), 1.0f);
  std::vector<NamedTensor> tensors = {{"w", {ElementType::F32, {int64_t(values.size())}, values.data()}}};
  auto checksum = [&](const ForEach &forEach) {
    return checkpointMetadata(tensors, {}, forEach).at("checksum.w");
  };
  ForEach onThreads = [](int64_t count, const std::function<void(int64_t)> &body) {
    std::vector<std::jthread> threads;
    for (int64_t i = count; i-- > 0;)
      threads.emplace_back([&body, i] { body(i); });
  };
  std::string first = checksum(forEachInOrder);
  EXPECT_EQ(checksum(onThreads), first);
  std::swap_ranges(values.begin(), values.begin() + (1 << 18), values.begin() + (1 << 18));
  EXPECT_NE(checksum(forEachInOrder), first);
}

TEST(FindCheckpoints, PutsTheNewestFirst) {
  Folder folder;
  for (const char *name : {"step-00000009", "step-00000100", "step-123456789", "step-10",
                           "step-00000011.partial", "step-0000012x", "earlier-1/step-00000500"})
    folder.write(std::string("run/") + name + "/model.safetensors", "");
  folder.write("run/model.safetensors", "");
  std::string run = folder / "run";
  EXPECT_EQ(stepsIn(run), (std::vector<int64_t>{9, 100, 123456789}));
  EXPECT_EQ(findCheckpoints(run), (std::vector<std::string>{run + "/step-123456789/model.safetensors",
                                                            run + "/step-00000100/model.safetensors",
                                                            run + "/step-00000009/model.safetensors"}));
  // A folder of one checkpoint, as others publish it, too.
  EXPECT_EQ(findCheckpoints(run + "/step-00000009"),
            (std::vector<std::string>{run + "/step-00000009/model.safetensors"}));
  EXPECT_EQ(findCheckpoints(run + "/model.safetensors"),
            (std::vector<std::string>{run + "/model.safetensors"}));
  EXPECT_EQ(findCheckpoints(folder / "none"), (std::vector<std::string>{folder / "none"}));
  folder.write("empty/x", "");
  EXPECT_CONTAINS(errorOf([&] { findCheckpoints(folder / "empty"); }), "there is no checkpoint in '");
  EXPECT_EQ(stepOfFolder(stepFolder(1000)), 1000);
  EXPECT_EQ(stepOfFolder("step--0000001"), std::nullopt);
}

} // namespace

} // namespace contraflow::abi
