//===- Text.h - numbers as people read them -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_INSPECT_TEXT_H
#define CONTRAFLOW_COMPILER_INSPECT_TEXT_H

#include "runtime/abi/MemoryNeed.h"

#include <cstdint>
#include <string>

namespace contraflow::inspect {

/// 1234567 as "1,234,567".
std::string group(int64_t number);

/// "1 sequence", "2 sequences".
std::string count(int64_t number, const std::string &noun);

using abi::formatBytes;

/// "512 flops", "1.50 Mflop", "2.00 Pflop".
std::string formatFlops(double flops);

/// 0 of nothing.
double getPercent(double part, double whole);

} // namespace contraflow::inspect

#endif
