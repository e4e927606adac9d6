//===- Initialize.cpp - parameters before the first step ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Initialize.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace contraflow::train {

void fillNormal(device::Pool &pool, std::span<float> values, const std::string &name, uint64_t seed,
                double std) {
  base::Philox random(seed, base::hash64(name));
  int64_t pairs = (int64_t(values.size()) + 1) / 2;
  pool.parallelFor(pairs, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      // Box and Muller: two numbers from one point of the counter.
      std::array<uint32_t, 4> words = random.words(uint64_t(pair));
      double first = double((uint64_t(words[0]) << 32 | words[1]) >> 11) * 0x1p-53;
      double second = double((uint64_t(words[2]) << 32 | words[3]) >> 11) * 0x1p-53;
      double radius = std * std::sqrt(-2 * std::log(1 - first)), angle = 2 * std::numbers::pi * second;
      values[size_t(2 * pair)] = float(radius * std::cos(angle));
      if (size_t(2 * pair + 1) < values.size())
        values[size_t(2 * pair + 1)] = float(radius * std::sin(angle));
    }
  });
}

void initializeAverages(executor::Executor &executor) {
  if (!executor.getManifest().findRegion("ema"))
    return;
  for (const abi::Parameter &parameter : executor.getManifest().parameters)
    std::ranges::copy(executor.parameter("parameters", parameter),
                      executor.parameter("ema", parameter).begin());
}

void initializeParameters(executor::Executor &executor, uint64_t seed, double std) {
  for (const abi::Parameter &parameter : executor.getManifest().parameters) {
    std::span<float> values = executor.parameter("parameters", parameter);
    switch (parameter.init) {
    case abi::Init::Normal:
      fillNormal(executor.getPool(), values, parameter.name, seed, std);
      break;
    case abi::Init::Ones:
      std::fill(values.begin(), values.end(), 1.0f);
      break;
    case abi::Init::Zeros:
      std::fill(values.begin(), values.end(), 0.0f);
      break;
    }
    for (const char *region : {"first_moments", "second_moments"}) {
      if (!parameter.trainable || !executor.getManifest().findRegion(region))
        continue;
      std::span<float> moments = executor.parameter(region, parameter);
      std::fill(moments.begin(), moments.end(), 0.0f);
    }
  }
  initializeAverages(executor);
}

} // namespace contraflow::train
