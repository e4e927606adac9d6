//===- Commands.h - what contraflow can do --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_COMMANDS_H
#define CONTRAFLOW_COMPILER_DRIVER_COMMANDS_H

#include "compiler/driver/Options.h"

namespace contraflow::driver {

/// Each returns the exit status and has printed the reason where that is not 0. `executable` is the path of
/// the running program.
int compile(const Options &options, const std::string &executable);
int train(const Options &options, const std::string &executable);
int inspect(const Options &options);
int verify(const Options &options, const std::string &executable);

} // namespace contraflow::driver

#endif
