//===- GeneratorTest.cpp - drawing from logits; initial parameters --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Generator.h"
#include "runtime/base/Random.h"
#include "runtime/device/cpu/Features.h"
#include "runtime/train/Initialize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace contraflow::train {

namespace {

TEST(Sample, IsGreedyAtTemperatureZero) {
  std::vector<float> logits = {1, 5, 3, 5};
  EXPECT_EQ(sample(logits, 0, 0.99, [](int64_t) { return true; }), 1);
  EXPECT_EQ(sample(logits, 0, 0.99, [](int64_t i) { return i != 1; }), 3);
}

TEST(Sample, FollowsTheDistribution) {
  std::vector<float> logits = {0, float(std::log(3.0)), 100, float(std::log(4.0))};
  auto allowed = [](int64_t i) { return i != 2; };
  std::vector<int> counts(4);
  base::Philox random(5, 0);
  for (uint64_t i = 0; i < 8000; ++i)
    ++counts[size_t(sample(logits, 1, random.uniform(i), allowed))];
  EXPECT_NEAR(counts[0], 1000, 150);
  EXPECT_NEAR(counts[1], 3000, 200);
  EXPECT_EQ(counts[2], 0);
  EXPECT_NEAR(counts[3], 4000, 200);
  // The ends of the interval.
  EXPECT_EQ(sample(logits, 1, 0, allowed), 0);
  EXPECT_EQ(sample(logits, 1, std::nextafter(1.0, 0.0), allowed), 3);
  // No overflow at small temperatures.
  EXPECT_EQ(sample(logits, 1e-30, 0.5, allowed), 3);
}

TEST(Initialize, IsNormalAndIndependentOfThreads) {
  std::vector<float> one(100001), two(100001), other(100001);
  {
    device::Pool pool(1, 0);
    fillNormal(pool, one, "w", 1, 0.5);
  }
  device::Pool pool(2, 0);
  fillNormal(pool, two, "w", 1, 0.5);
  fillNormal(pool, other, "v", 1, 0.5);
  EXPECT_EQ(std::memcmp(one.data(), two.data(), one.size() * 4), 0);
  EXPECT_NE(std::memcmp(one.data(), other.data(), one.size() * 4), 0);
  double sum = 0, squares = 0, products = 0, fourth = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    sum += double(one[i]);
    squares += double(one[i]) * double(one[i]);
    fourth += std::pow(double(one[i]), 4);
    products += double(one[i]) * double(other[i]);
  }
  double count = double(one.size());
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 0.25, 0.005);
  EXPECT_NEAR(fourth / count, 3 * 0.0625, 0.01);
  EXPECT_NEAR(products / count, 0, 0.005);
}

TEST(Features, ComparesNamesOfVectorExtensions) {
  std::string flags = "flags : fpu sse4_2 avx avx2 fma avx512f avx512_bf16 amx_tile";
  auto missing = [&](std::vector<std::string> wanted) { return device::missingFeatures(wanted, flags); };
  EXPECT_TRUE(
      missing({"sse4.2", "avx10.9", "avx512bf16", "avx512f", "amx-tile", "fma", "cx16", "prfchw"}).empty());
  EXPECT_EQ(missing({"avx512fp16", "avx2", "avx512vl"}),
            (std::vector<std::string>{"avx512fp16", "avx512vl"}));
}

} // namespace

} // namespace contraflow::train
