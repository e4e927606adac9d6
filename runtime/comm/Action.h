//===- Action.h - what ranks of a group do together -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_COMM_ACTION_H
#define CONTRAFLOW_RUNTIME_COMM_ACTION_H

#include "runtime/abi/Mesh.h"
#include "runtime/comm/Piece.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::comm {

enum class Kind : uint8_t { AllReduce, ReduceScatter, AllGather, AllToAll, AllToAllV, Barrier };
constexpr int kKinds = 6;
const char *getName(Kind kind);

enum class Element : uint8_t { F32, F64, I32 };
int64_t getBytes(Element element);

/// Where in a program an action or a computation stands. Ranks that act together give equal labels:
/// signatures hold their hash. The texts outlive the queue they are given to.
struct Label {
  const char *op = "";
  const char *layer = ""; ///< where in the model; empty: nowhere
  int32_t microBatch = -1;
  const char *direction = "";
};

/// "dispatch, layer 'model.layers.3', micro-batch 0, forward"
std::string describe(const Label &label);

/// "rank 3", "ranks 1, 2 and 5"
std::string listRanks(const std::vector<int> &ranks);

/// Ranks in ascending order, one of which is this one.
struct Group {
  std::vector<int> ranks;
  int index = 0;

  Group() = default;
  Group(std::vector<int> ranks, int rank);
  Group(const abi::Mesh &mesh, int rank, abi::MeshAxis axis);

  int getSize() const { return int(ranks.size()); }
};

/// What goes to a member of a group, and what comes from it.
struct Transfer {
  Pieces send;
  Pieces receive;
};

/// Memory and group stay until the action is done.
struct Action {
  Kind kind = Kind::Barrier;
  Element element = Element::F32;
  Label label;
  const Group *group = nullptr;
  const void *in = nullptr;
  void *out = nullptr;
  int64_t count = 0; ///< elements of the whole; bytes for AllGather, bytes for each member for AllToAll
  std::span<const Transfer> transfers; ///< of AllToAllV, one for each member
};

/// Hash of kind, group and label: equal where ranks do the same.
uint64_t getHash(const Action &action);

/// The part of `count` that member `index` of `size` has: equal parts, the last ones shorter or empty.
struct Part {
  int64_t begin = 0;
  int64_t end = 0;

  Part(int64_t count, int size, int index);
  int64_t getSize() const { return end - begin; }
};

/// Bytes that a rank has sent to others, by kind of action. For any thread.
struct Traffic {
  std::atomic<int64_t> payload[kKinds] = {};
  std::atomic<int64_t> signatures[kKinds] = {};
};

} // namespace contraflow::comm

#endif
