//===- Inprocess.h - ranks that are threads of one process ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_COMM_INPROCESS_H
#define CONTRAFLOW_RUNTIME_COMM_INPROCESS_H

#include "runtime/comm/Engine.h"

#include <memory>

namespace contraflow::comm {

/// What the ranks of one process share.
class World;
std::shared_ptr<World> makeWorld(int size);

/// The engine of one rank; each rank has one at a time. The receiver copies from the memory of the sender.
std::unique_ptr<Engine> makeInprocessEngine(std::shared_ptr<World> world, int rank);

} // namespace contraflow::comm

#endif
