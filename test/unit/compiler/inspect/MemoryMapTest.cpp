//===- MemoryMapTest.cpp - what is live when, and its picture -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/MemoryMap.h"
#include "compiler/inspect/Report.h"
#include "test/unit/compiler/inspect/Fixture.h"

#include "gtest/gtest.h"

#include <nlohmann/json.hpp>

#include <array>
#include <regex>

namespace contraflow::inspect {

namespace {

TEST(MemoryMap, AddsUpWhatIsLive) {
  abi::Manifest manifest = test::makeManifest();
  MemoryMap map(manifest, "train");
  EXPECT_EQ(map.getLive(), (std::vector<int64_t>{256, 512, 768, 896, 512, 256, 256}));
  EXPECT_EQ(map.getPeakRow(), 3);
  EXPECT_EQ(map.getPeak(), 896);
  EXPECT_EQ(map.getKeptEnd(), 256);
  std::vector<abi::Buffer> live = map.getLiveBuffers(3);
  ASSERT_EQ(live.size(), 4u);
  EXPECT_EQ(live[2].name, "a");
  EXPECT_EQ(live[3].kind, "workspace");
}

TEST(MemoryMap, HasProgramsWithoutRows) {
  abi::Manifest manifest = test::makeManifest();
  MemoryMap map(manifest, "generate");
  EXPECT_EQ(map.getPeak(), 0);
  EXPECT_EQ(formatMemoryMap(map), "\nmemory of program 'generate': it has no rows\n");
  EXPECT_NE(drawMemoryMap(map, "m").find("</svg>"), std::string::npos);
}

TEST(MemoryMap, SaysWhatThePeakConsistsOf) {
  abi::Manifest manifest = test::makeManifest();
  std::string text = formatMemoryMap(MemoryMap(manifest, "train"));
  EXPECT_NE(text.find("most bytes are live at row 3, backward_input of b, micro-batch 0\n"),
            std::string::npos)
      << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("512 +256 +28.6%  2 to 3 +saved b\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("0 +256 +28.6%  kept +parameters\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("896 +100.0% "))) << text;
}

TEST(MemoryMap, AddsUpSmallBuffersOfThePeak) {
  abi::Manifest manifest = test::makeManifest();
  for (int i = 0; i < 20; ++i)
    manifest.memory["train"].push_back({"x" + std::to_string(i), "activation", 896, 64, 3, 3});
  std::string text = formatMemoryMap(MemoryMap(manifest, "train"));
  EXPECT_TRUE(std::regex_search(text, std::regex(" 768 .*smaller ones, 12\n"))) << text;
}

/// Rectangles of a picture: x, y, width, height.
std::vector<std::array<double, 4>> getRects(const std::string &picture) {
  std::vector<std::array<double, 4>> rects;
  std::regex rect("<rect x=\"([^\"]*)\" y=\"([^\"]*)\" width=\"([^\"]*)\" height=\"([^\"]*)\"");
  for (std::sregex_iterator it(picture.begin(), picture.end(), rect), end; it != end; ++it)
    rects.push_back({std::stod((*it)[1]), std::stod((*it)[2]), std::stod((*it)[3]), std::stod((*it)[4])});
  return rects;
}

TEST(MemoryMapSvg, DrawsEveryBufferToScale) {
  abi::Manifest manifest = test::makeManifest();
  std::string picture = drawMemoryMap(MemoryMap(manifest, "train"), manifest.model);
  EXPECT_EQ(picture, drawMemoryMap(MemoryMap(manifest, "train"), manifest.model));
  EXPECT_NE(picture.find("model 'hand&lt;made&gt;'"), std::string::npos);
  // 820 pixels are 7 rows, 620 are the 768 bytes that are not kept: saved b from row 2 to 3, from 512 to 768.
  std::regex saved("<rect x=\"554.29\" y=\"282.67\" width=\"233.79\" height=\"206.17\" "
                   "fill=\"#[0-9a-f]*\"><title>saved b\n"
                   "256 bytes at 512, rows 2 to 3</title>");
  EXPECT_TRUE(std::regex_search(picture, saved)) << picture;
  // Nobody uses it, so that there is nothing to draw.
  EXPECT_EQ(picture.find("nobody"), std::string::npos);
  std::vector<std::array<double, 4>> rects = getRects(picture);
  for (auto [x, y, width, height] : rects) {
    EXPECT_GE(x, 0);
    EXPECT_GE(y, 0);
    EXPECT_LE(x + width, rects[0][2]);
    EXPECT_LE(y + height, rects[0][3]);
  }
}

/// 60,000 buffers of two kinds that alternate, on a diagonal.
TEST(MemoryMapSvg, StaysSmallWithManyBuffers) {
  abi::Manifest manifest = test::makeManifest();
  constexpr int64_t rows = 30000;
  manifest.arenaBytes = 256 + 64 * rows;
  manifest.programs["train"].assign(rows, {1, {}, 0, "layer", "a", "forward"});
  manifest.memory["train"].resize(1);
  for (int64_t i = 0; i < rows; ++i)
    for (const char *kind : {"saved", "activation"})
      manifest.memory["train"].push_back({"b" + std::to_string(i), kind, 256 + 64 * i, 64, i, i});
  std::string picture = drawMemoryMap(MemoryMap(manifest, "train"), "m");
  EXPECT_LT(picture.size(), 2u << 20);
  EXPECT_NE(picture.find("60,000 smaller buffers without names"), std::string::npos);
}

/// As many with room for a row: the largest have names.
TEST(MemoryMapSvg, NamesTheLargest) {
  abi::Manifest manifest = test::makeManifest();
  manifest.arenaBytes = 256 + 64 * 6000;
  for (int64_t i = 0; i < 6000; ++i)
    manifest.memory["train"].push_back(
        {"b" + std::to_string(i), "saved", 256 + 64 * i, 64, i % 7, i < 10 ? 6 : i % 7});
  std::string picture = drawMemoryMap(MemoryMap(manifest, "train"), "m");
  EXPECT_NE(picture.find("2,003 smaller buffers without names"), std::string::npos);
  EXPECT_NE(picture.find("<title>saved b0\n"), std::string::npos);
  EXPECT_EQ(picture.find("<title>saved b5999\n"), std::string::npos);
}

TEST(Report, HasEverythingInJson) {
  abi::Manifest manifest = test::makeManifest();
  ReportOptions all = {true, true, true, true};
  nlohmann::json document = toJson(manifest, all);
  EXPECT_EQ(document["memory"]["train"]["peak_row"], 3);
  EXPECT_EQ(document["memory"]["train"]["live_bytes"], 896);
  EXPECT_EQ(document["memory"]["train"]["buffers"].size(), 5u);
  EXPECT_EQ(document["rows"]["train"][3]["function"], "layer.backward_input");
  EXPECT_EQ(document["rows"]["train"][3]["flops"], 90);
  EXPECT_EQ(document["operations"]["train"]["flops"], 340);
  EXPECT_EQ(document["operations"]["train"]["functions"][1]["operations"][1]["count"], 2);
  EXPECT_EQ(document["tensors"].size(), 3u);
  EXPECT_EQ(document["parameters"], 16);
  EXPECT_EQ(document["buffers"], 4);
  EXPECT_EQ(document["blocks"][0]["instances"], 2);
  for (const char *key : {"memory", "rows", "operations", "tensors", "addresses"})
    EXPECT_FALSE(toJson(manifest, {}).contains(key)) << key;
}

} // namespace

} // namespace contraflow::inspect
