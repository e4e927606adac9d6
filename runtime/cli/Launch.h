//===- Launch.h - the ranks of a run that are in this process --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CLI_LAUNCH_H
#define CONTRAFLOW_RUNTIME_CLI_LAUNCH_H

#include "runtime/abi/Mesh.h"
#include "runtime/comm/MpiLibrary.h"
#include "runtime/comm/Queue.h"

#include <functional>

namespace contraflow::cli {

/// A rank that this process runs.
struct LocalRank {
  /// Null where the run has one rank.
  comm::Queue *queue = nullptr;
  bool isFirst = true;
  /// No other rank is in this process.
  bool isOwnProcess = true;
  /// How many ranks share this process.
  int ranks = 1;
  /// Where ranks are processes: prints an error of this one and ends all. MPI may write to memory of actions
  /// until then, so it is called while that memory is there; it does not return.
  std::function<void(const std::exception &)> end;
};

using RunRank = std::function<int(const LocalRank &)>;

/// Runs all ranks of the mesh as threads of this process, and returns the exit status. Throws base::Error
/// where a rank does.
int runInProcess(const abi::Mesh &mesh, const RunRank &run);

/// Runs the rank that a launcher (mpirun, srun) has started this process as, and returns its exit status.
/// Throws base::Error where the launcher started another number of ranks than the mesh has. What a rank
/// throws is printed and ends all ranks.
int runLaunched(const comm::Launcher &launcher, const abi::Mesh &mesh, const RunRank &run);

} // namespace contraflow::cli

#endif
