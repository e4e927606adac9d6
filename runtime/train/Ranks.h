//===- Ranks.h - this rank among those that train together ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_RANKS_H
#define CONTRAFLOW_RUNTIME_TRAIN_RANKS_H

#include "runtime/abi/Mesh.h"
#include "runtime/comm/Queue.h"

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::train {

/// What a run asks about its ranks. One that trains alone is the first of one.
///
/// Functions that speak of all ranks are collectives: every rank calls them at the same place.
class Ranks {
public:
  Ranks() = default;
  /// The queue must stay alive. `isOwnProcess`: no other rank is in this process.
  Ranks(comm::Queue &queue, const abi::Mesh &mesh, bool isOwnProcess);

  /// Whether it is this one that prints, and writes files that are there once.
  bool isFirst() const { return rank == 0; }
  bool isFirstOfProcess() const { return isFirst() || isOwnProcess; }
  int getRank() const { return rank; }
  int getSize() const { return group.getSize(); }

  /// Whose part of a batch is this rank's, of how many.
  int64_t getReplica() const { return replica; }
  int64_t getReplicas() const { return replicas; }

  /// What this rank is about to do that others may have to wait for, however long it takes.
  void startLongWork(const char *what);

  /// Whether it is so on any rank.
  bool any(bool here);
  /// Returns when all ranks have come here.
  void meet();
  /// Throws where a rank has another text under one of these names than the first rank: base::Error on the
  /// first, comm::StuckError on the others.
  struct Named {
    std::string name, text;
  };
  void requireSame(const std::vector<Named> &texts);

private:
  comm::Queue *queue = nullptr;
  comm::Group group{{0}, 0};
  int rank = 0;
  bool isOwnProcess = true;
  int64_t replica = 0, replicas = 1;
  // Memory of actions, which has to be there for longer than a call that throws.
  float votes = 0;
  std::vector<uint64_t> hashes, allHashes;
};

} // namespace contraflow::train

#endif
