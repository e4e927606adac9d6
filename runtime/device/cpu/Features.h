//===- Features.h - does this processor run that code? --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_DEVICE_CPU_FEATURES_H
#define CONTRAFLOW_RUNTIME_DEVICE_CPU_FEATURES_H

#include <string>
#include <vector>

namespace contraflow::device {

/// The vector extensions of `wanted` that are not in `flags` (a line of /proc/cpuinfo). Spellings may differ
/// in punctuation, "avx512-bf16" is "avx512_bf16". Names of other features are not judged, because
/// /proc/cpuinfo does not list all of them.
std::vector<std::string> missingFeatures(const std::vector<std::string> &wanted, const std::string &flags);

/// Throws base::Error when this machine lacks a vector extension that the code was compiled for.
void requireFeatures(const std::vector<std::string> &wanted);

} // namespace contraflow::device

#endif
