//===- Ranks.cpp - this rank among those that train together --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Ranks.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"

#include <numeric>

namespace contraflow::train {

namespace {

comm::Group everyone(const comm::Queue &queue) {
  std::vector<int> ranks(size_t(queue.getSize()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return {std::move(ranks), queue.getRank()};
}

} // namespace

Ranks::Ranks(comm::Queue &queue, const abi::Mesh &mesh, bool isOwnProcess)
    : queue(&queue), group(everyone(queue)), rank(queue.getRank()), isOwnProcess(isOwnProcess),
      replica(mesh.getIndex(rank, abi::MeshAxis::Dp)), replicas(mesh.dp) {}

void Ranks::startLongWork(const char *what) {
  if (queue)
    queue->setComputing({what}, /*mayTakeLong=*/true);
}

bool Ranks::any(bool here) {
  if (!queue)
    return here;
  // A count of ranks is exact.
  votes = here ? 1 : 0;
  queue->wait(queue->allReduce({"stop"}, group, comm::Element::F32, &votes, &votes, 1));
  return votes > 0;
}

void Ranks::meet() {
  if (queue)
    queue->wait(queue->barrier({"meet"}, group));
}

void Ranks::requireSame(const std::vector<Named> &texts) {
  if (!queue)
    return;
  size_t size = size_t(group.getSize());
  hashes.clear();
  for (const Named &text : texts)
    hashes.push_back(base::hash64(text.text));
  allHashes.resize(size * texts.size());
  queue->wait(queue->allGather({"start"}, group, hashes.data(), allHashes.data(),
                               int64_t(allHashes.size() * sizeof(uint64_t))));
  base::ErrorList errors;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int> others;
    for (size_t r = 0; r < size; ++r)
      if (allHashes[r * texts.size() + i] != allHashes[i])
        others.push_back(int(r));
    if (!others.empty())
      errors.add(base::message<base::ErrorId::RanksDiffer>(comm::listRanks(others), texts[i].name));
  }
  // All ranks know it, and one says it.
  try {
    errors.raise();
  } catch (const base::Error &error) {
    if (isFirst())
      throw;
    throw comm::StuckError(error.what());
  }
}

} // namespace contraflow::train
