//===- Report.h - what a manifest says, as text and as JSON ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_INSPECT_REPORT_H
#define CONTRAFLOW_COMPILER_INSPECT_REPORT_H

#include "runtime/abi/Manifest.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace contraflow::inspect {

/// What is shown besides sizes.
struct ReportOptions {
  /// Every parameter.
  bool tensors = false;
  /// Every address that has a name, and what lives in the arena when.
  bool memory = false;
  /// Every row of the programs.
  bool program = false;
  /// Flops and bytes by operation.
  bool operations = false;
};

/// "256 tokens: 1 micro-batch of 4 sequences of 64 tokens", "512 tokens on 2 ranks, each 1 micro-batch of
/// ...".
std::string formatStep(int64_t microBatches, int64_t batch, int64_t sequence, int64_t ranks);
nlohmann::json stepToJson(int64_t microBatches, int64_t batch, int64_t sequence, int64_t ranks);

/// A line of `inspect`: what it is, and what it says.
std::string formatField(const std::string &name, const std::string &text);
std::string formatTensor(const std::string &name, const std::vector<int64_t> &shape, bool isBuffer);

/// Parameters by kind of block; with `tensors` each of them.
std::string formatParameters(const abi::Manifest &manifest, const ReportOptions &options);
/// Regions of the arena, programs, and what the options ask for.
std::string formatPrograms(const abi::Manifest &manifest, const ReportOptions &options);

/// The same as one JSON object; compiler/README.md has its keys.
nlohmann::json toJson(const abi::Manifest &manifest, const ReportOptions &options);

} // namespace contraflow::inspect

#endif
