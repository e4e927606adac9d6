//===- OptHelp.h - what contraflow-opt --help prints ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_OPTHELP_H
#define CONTRAFLOW_COMPILER_DRIVER_OPTHELP_H

namespace contraflow::driver {

/// Phases, the registered passes by phase, and the options of Options.cpp; to standard output.
void printOptHelp();

/// "contraflow-opt 0.1.0 (LLVM 22.1.8)": to standard output.
void printVersion(const char *program);

} // namespace contraflow::driver

#endif
