//===- SvgTest.cpp - pictures as text --------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Svg.h"
#include "compiler/inspect/Text.h"

#include "gtest/gtest.h"

namespace contraflow::inspect {

namespace {

TEST(Svg, EscapesWhatXmlDoesNotAllow) {
  Svg svg(10, 10);
  svg.rect({1, 2, 3, 4}, "#ffffff", "a<b> & \"c\"\x01");
  EXPECT_NE(svg.str().find("<title>a&lt;b&gt; &amp; &quot;c&quot;?</title>"), std::string::npos) << svg.str();
}

TEST(Svg, LabelsOnlyWhatHasRoom) {
  Svg svg(500, 100);
  svg.label({0, 0, 20, 50}, "a long name");
  svg.label({0, 0, 200, 5}, "flat");
  EXPECT_EQ(svg.str().find("<text"), std::string::npos);
  svg.label({0, 0, 200, 50}, "fits");
  EXPECT_NE(svg.str().find(">fits</text>"), std::string::npos);
}

TEST(Svg, TicksAreRound) {
  EXPECT_EQ(getTicks(7, 11), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(getTicks(1234, 5), (std::vector<int64_t>{0, 500, 1000}));
  EXPECT_EQ(getTicks(0, 5), (std::vector<int64_t>{0}));
  EXPECT_EQ(getByteTicks(5000, 4), (std::vector<int64_t>{0, 2048, 4096}));
}

TEST(Svg, NamesKeepTheirColors) {
  Palette palette(Tone::Light);
  std::string first = palette.getColor("a");
  EXPECT_NE(palette.getColor("b"), first);
  EXPECT_EQ(palette.getColor("a"), first);
  EXPECT_EQ(palette.getLegend(), (std::vector<std::string>{"a", "b"}));
  EXPECT_NE(Palette(Tone::Strong).getColor("a"), first);
  for (int i = 0; i < 100; ++i)
    palette.getColor(std::to_string(i));
  EXPECT_EQ(palette.getColor("98"), palette.getColor("99"));
  EXPECT_EQ(palette.getLegend().back(), "others");
}

TEST(Text, NumbersAsPeopleReadThem) {
  EXPECT_EQ(group(1234567), "1,234,567");
  EXPECT_EQ(count(1, "row"), "1 row");
  EXPECT_EQ(count(2, "row"), "2 rows");
  EXPECT_EQ(formatBytes(512), "512 bytes");
  EXPECT_EQ(formatBytes(1536), "1.50 KiB");
  EXPECT_EQ(formatBytes(int64_t(3) << 40), "3.00 TiB");
  EXPECT_EQ(formatFlops(999), "999 flops");
  EXPECT_EQ(formatFlops(2500000), "2.50 Mflop");
  EXPECT_EQ(getPercent(1, 0), 0);
}

} // namespace

} // namespace contraflow::inspect
