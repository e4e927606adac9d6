//===- Inspect.h - what a run file or a trainer holds ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_INSPECT_H
#define CONTRAFLOW_COMPILER_DRIVER_INSPECT_H

#include <string>
#include <vector>

namespace contraflow::driver {

/// What `contraflow inspect` shows besides sizes.
struct InspectOptions {
  /// One JSON document in place of text.
  bool json = false;
  /// Every parameter.
  bool tensors = false;
  /// Of a trainer: every address that has a name.
  bool memory = false;
  /// Of a trainer: every row of its programs.
  bool program = false;
  /// The run file with every default filled in.
  bool run = false;
  /// Of a run file: what overrides keys.
  std::vector<std::string> assignments;
};

/// `contraflow inspect PATH`: a run file or the frontend's IR (parameters by block, from the graph alone:
/// nothing is compiled), a trainer (parameters, regions of the arena, programs), or a checkpoint (see
/// InspectCheckpoint.h). Returns the exit status.
int inspectFile(const std::string &path, const InspectOptions &options);

} // namespace contraflow::driver

#endif
