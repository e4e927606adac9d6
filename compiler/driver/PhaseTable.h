//===- PhaseTable.h - the phases by name ----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_PHASETABLE_H
#define CONTRAFLOW_COMPILER_DRIVER_PHASETABLE_H

#include <string>
#include <vector>

namespace contraflow::driver {

/// A step of the compilation with a name on the command line.
struct Phase {
  /// 1 is the first.
  unsigned number;
  std::string name;
  std::string summary;

  /// "04-fusion.mlir": the IR that it leaves.
  std::string getFileName() const;
};

/// frontend, the pipelines of passes/Pipelines.h, link.
const std::vector<Phase> &getPhases();
/// Null where there is none.
const Phase *findPhase(const std::string &name);
/// "frontend, autodiff, ...".
std::string getPhaseNames();

} // namespace contraflow::driver

#endif
