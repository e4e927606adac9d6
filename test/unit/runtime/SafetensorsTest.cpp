//===- SafetensorsTest.cpp - round trips, and files that are damaged ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Safetensors.h"
#include "runtime/base/Random.h"
#include "test/unit/runtime/Support.h"

#include <array>
#include <cstring>

namespace contraflow::abi {

namespace {

using test::errorOf;
using test::Folder;

std::string fileWith(const std::string &header, const std::string &data) {
  uint64_t size = header.size();
  return std::string(reinterpret_cast<const char *>(&size), 8) + header + data;
}

std::string errorFor(const Folder &folder, const std::string &content) {
  std::string path = folder.write("bad.safetensors", content);
  return errorOf([&] { SafetensorsFile file(path); });
}

TEST(Safetensors, ReadsWhatItWrote) {
  Folder folder;
  std::vector<float> floats = {1, -2.5f, 3e-40f, 0};
  std::vector<int32_t> ids = {1, -1, 7};
  std::vector<int64_t> longIds = {5, 2147483647};
  std::string path = folder / "x.safetensors";
  writeSafetensors(path,
                   {{"w.0", {ElementType::F32, {2, 2}, floats.data()}},
                    {"ids", {ElementType::I32, {3}, ids.data()}},
                    {"long \"quoted\"", {ElementType::I64, {2}, longIds.data()}},
                    {"empty", {ElementType::F32, {0, 3}, floats.data()}},
                    {"scalar", {ElementType::F32, {}, floats.data()}}},
                   {{"step", "17"}, {"text", "a\"b\n"}});
  SafetensorsFile file(path);
  EXPECT_EQ(file.getMetadata(), (Metadata{{"step", "17"}, {"text", "a\"b\n"}}));
  EXPECT_EQ(file.getTensors().size(), 5u);
  std::vector<float> read(4);
  file.readFloats("w.0", {2, 2}, read);
  EXPECT_EQ(std::memcmp(read.data(), floats.data(), 16), 0);
  EXPECT_EQ(file.readIds("ids"), ids);
  EXPECT_EQ(file.readIds("long \"quoted\""), (std::vector<int32_t>{5, 2147483647}));
  EXPECT_EQ(file.get("empty").elements(), 0);
  EXPECT_EQ(file.get("scalar").elements(), 1);
  // The data begins at a multiple of eight.
  uint64_t header;
  std::memcpy(&header, test::read(path).data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

TEST(Safetensors, ConvertsOtherFloats) {
  Folder folder;
  uint16_t bfloats[] = {0x3fc0, 0xc000}, halves[] = {0x3e00, 0x8001};
  double doubles[] = {0.1, -4};
  std::string path = folder / "x.safetensors";
  writeSafetensors(path,
                   {{"b", {ElementType::BF16, {2}, bfloats}},
                    {"h", {ElementType::F16, {2}, halves}},
                    {"d", {ElementType::F64, {2}, doubles}}},
                   {});
  SafetensorsFile file(path);
  std::vector<float> read(2);
  file.readFloats("b", {2}, read);
  EXPECT_EQ(read, (std::vector<float>{1.5f, -2.0f}));
  file.readFloats("h", {2}, read);
  EXPECT_EQ(read, (std::vector<float>{1.5f, -0x1p-24f}));
  file.readFloats("d", {2}, read);
  EXPECT_EQ(read, (std::vector<float>{0.1f, -4.0f}));
}

TEST(Safetensors, RefusesWrongUse) {
  Folder folder;
  float value = 1;
  int64_t large = int64_t(1) << 40;
  std::string path = folder / "x.safetensors";
  writeSafetensors(path, {{"w", {ElementType::F32, {1}, &value}}, {"i", {ElementType::I64, {1}, &large}}},
                   {});
  SafetensorsFile file(path);
  std::vector<float> read(1);
  EXPECT_CONTAINS(errorOf([&] { file.readFloats("v", {1}, read); }), "has no tensor 'v'");
  EXPECT_CONTAINS(errorOf([&] { file.readFloats("w", {1, 1}, read); }), "has shape [1], expected [1, 1]");
  EXPECT_CONTAINS(errorOf([&] { file.readFloats("i", {1}, read); }), "has type I64, expected floating point");
  EXPECT_CONTAINS(errorOf([&] { file.readIds("w"); }), "has type F32, expected I32 or I64");
  EXPECT_CONTAINS(errorOf([&] { file.readIds("i"); }), "holds 1099511627776");
  EXPECT_CONTAINS(errorOf([&] {
                    TensorView view{ElementType::F32, {1}, &value};
                    writeSafetensors(folder / "y", {{"a", view}, {"a", view}}, {});
                  }),
                  "two tensors would be named 'a'");
  EXPECT_FALSE(std::filesystem::exists(folder / "y"));
}

TEST(Safetensors, RefusesDamagedFiles) {
  Folder folder;
  std::string data(16, 'x');
  auto tensor = [](const std::string &text) { return R"({"w":)" + text + "}"; };
  EXPECT_CONTAINS(errorFor(folder, ""), "it has 0 bytes");
  EXPECT_CONTAINS(errorFor(folder, "1234567"), "it has 7 bytes");
  EXPECT_CONTAINS(errorFor(folder, "12345678"), "its header would have");
  EXPECT_CONTAINS(errorFor(folder, fileWith("{}", "").substr(0, 9)), "is cut");
  EXPECT_CONTAINS(errorFor(folder, fileWith("[]", "")), "not a JSON object");
  EXPECT_CONTAINS(errorFor(folder, fileWith("{", "")), "not a JSON object");
  // Deep enough to exhaust the stack of whoever walks or prints the value.
  EXPECT_CONTAINS(errorFor(folder, fileWith(R"({"w": {"shape": )" + std::string(1000000, '[') +
                                                std::string(1000000, ']') + "}}",
                                            "")),
                  "nested too deeply");
  EXPECT_CONTAINS(errorFor(folder, fileWith(R"({"__metadata__": 3})", "")), "__metadata__ is not an object");
  EXPECT_CONTAINS(errorFor(folder, fileWith(R"({"__metadata__": {"a": 3}})", "")),
                  "__metadata__.a is not a string");
  EXPECT_CONTAINS(errorFor(folder, fileWith(tensor("3"), data)), "is not an object");
  EXPECT_CONTAINS(errorFor(folder, fileWith(tensor(R"({"shape":[4],"data_offsets":[0,16]})"), data)),
                  "dtype is missing");
  auto withTail = [&](const std::string &tail) {
    return fileWith(tensor(R"({"dtype":"F32",)" + tail + "}"), data);
  };
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("data_offsets":[0,16])")), "shape is missing");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[4])")), "data_offsets is missing");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[4],"data_offsets":[0])")), "not a pair");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[4],"data_offsets":[-1,15])")), "not a pair");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[4],"data_offsets":[16,0])")), "go backwards");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[8],"data_offsets":[0,32])")), "the file is cut");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[3],"data_offsets":[0,16])")),
                  "it has 16 bytes, F32 [3] wants 12");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[-4],"data_offsets":[0,16])")), "not a number");
  EXPECT_CONTAINS(errorFor(folder, withTail(R"("shape":[4294967296,4294967296],"data_offsets":[0,16])")),
                  "too many");
  EXPECT_CONTAINS(errorFor(folder, fileWith(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                                            data)),
                  "tensors 'a' and 'b' overlap at byte 4");
  EXPECT_CONTAINS(errorFor(folder, fileWith("hello", data)), "not a JSON object");
  EXPECT_CONTAINS(errorFor(folder, fileWith(R"({"__metadata__":{"step":"1","step":"2"}})", "")),
                  "two values for 'step'");
  EXPECT_CONTAINS(
      errorFor(folder, fileWith(tensor(R"({"dtype":"F7","shape":[4],"data_offsets":[0,16]})"), data)),
      "is not supported");
  EXPECT_CONTAINS(errorOf([&] { SafetensorsFile file(folder / "missing"); }), "cannot open");
}

/// A header of the tensors a, b, ... of bytes at these places.
std::string bytesAt(const std::vector<std::array<int, 2>> &places) {
  std::string header;
  char name = 'a';
  for (auto [begin, end] : places)
    header += std::string(header.empty() ? "{" : ",") + '"' + name++ + R"(":{"dtype":"U8","shape":[)" +
              std::to_string(end - begin) + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
              std::to_string(end) + "]}";
  return header + "}";
}

TEST(Safetensors, WantsEveryByteInOneTensor) {
  Folder folder;
  std::string data(16, 'x');
  auto errorWith = [&](const std::string &header) { return errorFor(folder, fileWith(header, data)); };
  // Any order of names, empty tensors anywhere.
  EXPECT_EQ(errorWith(bytesAt({{8, 16}, {0, 8}})), "no error");
  EXPECT_EQ(errorWith(bytesAt({{0, 0}, {0, 16}, {16, 16}})), "no error");
  EXPECT_CONTAINS(errorWith(bytesAt({{0, 12}})), "4 bytes follow the last tensor");
  EXPECT_CONTAINS(errorWith("{}"), "16 bytes follow the last tensor");
  EXPECT_CONTAINS(errorWith(bytesAt({{4, 16}})),
                  "bytes 0 to 4 of the data, before tensor 'a', belong to no tensor");
  EXPECT_CONTAINS(errorWith(bytesAt({{0, 8}, {10, 16}})), "bytes 8 to 10 of the data, before tensor 'b'");
  EXPECT_CONTAINS(errorWith(bytesAt({{0, 16}, {8, 8}})), "tensors 'a' and 'b' overlap at byte 8");
  EXPECT_CONTAINS(errorWith(bytesAt({{0, 8}, {0, 16}})), "overlap at byte 0");
}

TEST(Safetensors, SurvivesRandomDamage) {
  Folder folder;
  std::vector<float> values(64);
  std::string path = folder / "x.safetensors";
  writeSafetensors(
      path,
      {{"a", {ElementType::F32, {8, 4}, values.data()}}, {"b", {ElementType::F32, {32}, values.data()}}},
      {{"k", "v"}});
  std::string good = test::read(path);
  base::Philox random(3, 0);
  for (uint64_t i = 0; i < 120; ++i) {
    std::string bad = good;
    if (i % 3 == 0)
      bad.resize(random.below(4 * i, bad.size()));
    for (uint64_t k = 0; k < i % 4 && !bad.empty(); ++k)
      bad[random.below(4 * i + k, bad.size())] = char(random.bits(1000 + 4 * i + k));
    // An error or a file whose tensors can be read; nothing else.
    std::string damaged = folder.write("y.safetensors", bad);
    try {
      SafetensorsFile file(damaged);
      for (const auto &[name, tensor] : file.getTensors())
        if (tensor.type == ElementType::F32) {
          std::vector<float> read(size_t(tensor.elements()));
          file.readFloats(name, tensor.shape, read);
        }
    } catch (const std::exception &) {
    }
  }
}

} // namespace

} // namespace contraflow::abi
