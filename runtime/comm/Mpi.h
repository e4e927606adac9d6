//===- Mpi.h - ranks that are processes started by an MPI launcher --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_COMM_MPI_H
#define CONTRAFLOW_RUNTIME_COMM_MPI_H

#include "runtime/comm/Engine.h"
#include "runtime/comm/MpiLibrary.h"

#include <memory>

namespace contraflow::comm {

/// Loads and starts MPI; once in a process, by the thread that uses the engine. Where everything sent and
/// received is done, the engine finishes MPI at its end; so do all ranks then.
std::unique_ptr<Engine> makeMpiEngine(const Launcher &launcher);

} // namespace contraflow::comm

#endif
