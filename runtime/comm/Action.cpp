//===- Action.cpp - what ranks of a group do together ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/Action.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"

namespace contraflow::comm {

const char *getName(Kind kind) {
  constexpr const char *kNames[kKinds] = {"all_reduce", "reduce_scatter", "all_gather",
                                          "all_to_all", "all_to_all_v",   "barrier"};
  return kNames[int(kind)];
}

int64_t getBytes(Element element) { return element == Element::F64 ? 8 : 4; }

std::string describe(const Label &label) {
  std::string result = *label.op ? label.op : "an action without a name";
  if (*label.layer)
    result += base::text(", layer '", label.layer, "'");
  if (label.microBatch >= 0)
    result += base::text(", micro-batch ", label.microBatch);
  return *label.direction ? base::text(result, ", ", label.direction) : result;
}

std::string listRanks(const std::vector<int> &ranks) {
  std::string result = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i)
    result += base::text(i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ", ranks[i]);
  return result;
}

Group::Group(std::vector<int> all, int rank)
    : ranks(std::move(all)), index(int(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin())) {}

Group::Group(const abi::Mesh &mesh, int rank, abi::MeshAxis axis) : index(int(mesh.getIndex(rank, axis))) {
  for (int64_t member : mesh.getGroup(rank, axis))
    ranks.push_back(int(member));
}

uint64_t getHash(const Action &action) {
  const std::vector<int> &ranks = action.group->ranks;
  uint64_t hash = base::hash64({reinterpret_cast<const char *>(ranks.data()), ranks.size() * sizeof(int)},
                               uint64_t(action.kind));
  const Label &label = action.label;
  hash = base::hash64(label.direction, base::hash64(label.layer, base::hash64(label.op, hash)));
  return base::mix(hash ^ base::mix(uint32_t(label.microBatch)));
}

Part::Part(int64_t count, int size, int index) {
  int64_t most = (count + size - 1) / size;
  begin = std::min(count, index * most);
  end = std::min(count, begin + most);
}

} // namespace contraflow::comm
