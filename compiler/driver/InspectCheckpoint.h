//===- InspectCheckpoint.h - what a checkpoint holds, and whether whole ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_INSPECTCHECKPOINT_H
#define CONTRAFLOW_COMPILER_DRIVER_INSPECTCHECKPOINT_H

#include "compiler/driver/Inspect.h"

#include <string>

namespace contraflow::driver {

/// A folder or a safetensors file.
bool isCheckpoint(const std::string &path);

/// `contraflow inspect PATH` of a safetensors file, the folder of a checkpoint or that of a run: each
/// checkpoint in it with its size and what is wrong with it (every byte is read), and what the newest whole
/// one holds. Returns the exit status: 1 where anything is wrong.
int inspectCheckpoint(const std::string &path, const InspectOptions &options);

} // namespace contraflow::driver

#endif
