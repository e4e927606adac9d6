//===- Golden.h - a recorded training step, and how close we come ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_GOLDEN_H
#define CONTRAFLOW_COMPILER_DRIVER_GOLDEN_H

#include "runtime/abi/Safetensors.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace contraflow::driver {

/// The largest error of a quantity.
struct Comparison {
  std::string quantity;
  double error = 0;
  double bound = 0;
  /// What the largest error was found in.
  std::string worst;
  /// Number of tensors or numbers compared.
  int64_t count = 0;
  /// What could not be compared: names that one side lacks, shapes that differ.
  std::vector<std::string> problems;

  /// Not a number counts as too large.
  bool isOver() const { return !(error <= bound) || !problems.empty(); }
  void add(const std::string &name, double value);
};

/// Bounds of issue 3: a step in FP32 against the same step in FP64 differs by 1e-7, 8e-7, 1e-6 and 4e-5.
constexpr double kLossBound = 2e-6;
constexpr double kLogitsBound = 5e-6;
constexpr double kGradientBound = 1e-5;
constexpr double kParameterBound = 2e-4;

/// Compares what `trainer probe` wrote with a folder's io.safetensors and meta.json. `sequence` is the number of tokens in a
/// sequence; sums are taken in double precision.
std::vector<Comparison> compareWithGolden(const abi::SafetensorsFile &result, const abi::SafetensorsFile &golden,
                                          const nlohmann::json &meta, int64_t sequence);

} // namespace contraflow::driver

#endif
