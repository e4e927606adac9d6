//===- Output.h - standard output, which may be full or closed ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_OUTPUT_H
#define CONTRAFLOW_RUNTIME_BASE_OUTPUT_H

#include <string_view>

namespace contraflow::base {

/// Writes to standard output at once. What cannot be written ends no run; requireOutput tells of it.
void print(std::string_view text);

/// Throws base::Error where a part of what was printed is lost, unless its reader went away: who closes a
/// pipe has read enough.
void requireOutput();

} // namespace contraflow::base

#endif
