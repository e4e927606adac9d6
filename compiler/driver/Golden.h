//===- Golden.h - a recorded training step, and how close we come ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_GOLDEN_H
#define CONTRAFLOW_COMPILER_DRIVER_GOLDEN_H

#include "compiler/driver/Verify.h"
#include "runtime/abi/Safetensors.h"

#include <optional>
#include <utility>
#include <vector>

namespace contraflow::driver {

/// meta.json.
struct GoldenMeta {
  /// 0 where there is none.
  double mtpWeight = 0;
  double balanceAlpha = 0;
  /// By name; "balance" is recorded with its weight, the others without.
  std::vector<std::pair<std::string, double>> losses;
  double total = 0;
  /// Total loss before each step and after the last.
  std::vector<double> steps;

  /// Nothing after an error, which has been printed.
  static std::optional<GoldenMeta> read(const std::string &path);
};

/// What a folder records, opened and checked as far as that needs no model. Damaged files throw base::Error.
struct Golden {
  std::string folder;
  /// Initial parameters.
  abi::SafetensorsFile parameters;
  /// Ids, logits, gradients, parameters after the steps.
  abi::SafetensorsFile io;
  GoldenMeta meta;
  int64_t batch = 0;
  int64_t sequence = 0;
  std::vector<int32_t> ids = {};

  static std::optional<Golden> open(const std::string &folder);
  std::string getPath(const std::string &file) const;
};

/// The largest error of a quantity, and what could not be compared.
struct Comparison {
  Quantity quantity;
  double error = 0;
  /// What the largest error was found in.
  std::string worst = {};
  /// Number of tensors or numbers compared, and how many of them are over the bound.
  int64_t count = 0;
  int64_t over = 0;
  /// Tensors that were compared by this measure because the usual one means nothing for them.
  std::vector<std::string> exceptions = {};
  /// Names that one side lacks, shapes that differ.
  std::vector<std::string> problems = {};

  void add(const std::string &name, double value);
  bool isOk() const { return over == 0 && problems.empty(); }
};

/// Compares what `trainer probe` wrote with the folder, in double precision. Quantities that neither side has
/// are left out.
std::vector<Comparison> compareWithGolden(const abi::SafetensorsFile &result, const Golden &golden);

/// Lines about tensors that another measure than the usual one was applied to.
std::vector<std::string> getExceptions(const std::vector<Comparison> &comparisons);

/// Lines about losses and logits that the trainer has and the folder does not record. Gradients and
/// parameters must be recorded; without them the comparison fails.
std::vector<std::string> getUnrecorded(const abi::SafetensorsFile &result, const Golden &golden);

} // namespace contraflow::driver

#endif
