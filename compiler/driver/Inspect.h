//===- Inspect.h - what a run file or a trainer holds ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_INSPECT_H
#define CONTRAFLOW_COMPILER_DRIVER_INSPECT_H

#include <string>

namespace contraflow::driver {

struct InspectOptions {
  bool json = false;
  /// What to list besides the summary.
  bool tensors = false;
  bool memory = false;
  bool program = false;
};

} // namespace contraflow::driver

#endif
