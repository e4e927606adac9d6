//===- Mesh.cpp - coordinates and groups of ranks -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Mesh.h"

#include <utility>

namespace contraflow::abi {

int64_t Mesh::getSize(MeshAxis axis) const {
  switch (axis) {
  case MeshAxis::Pp:
    return pp;
  case MeshAxis::Dp:
    return dp;
  case MeshAxis::Ep:
    return ep;
  case MeshAxis::Edp:
    return dp / ep;
  }
  return 1;
}

/// Ranks from one member of a group to the next.
static int64_t getStride(const Mesh &mesh, MeshAxis axis) {
  switch (axis) {
  case MeshAxis::Pp:
    return mesh.dp;
  case MeshAxis::Edp:
    return mesh.ep;
  default:
    return 1;
  }
}

int64_t Mesh::getIndex(int64_t rank, MeshAxis axis) const {
  return rank / getStride(*this, axis) % getSize(axis);
}

std::vector<int64_t> Mesh::getGroup(int64_t rank, MeshAxis axis) const {
  int64_t stride = getStride(*this, axis);
  int64_t first = rank - getIndex(rank, axis) * stride;
  std::vector<int64_t> group;
  for (int64_t i = 0; i < getSize(axis); ++i)
    group.push_back(first + i * stride);
  return group;
}

std::string Mesh::verify() const {
  for (auto [name, size] : {std::pair("pp", pp), std::pair("dp", dp), std::pair("ep", ep)})
    if (size < 1 || size > kMostRanks)
      return std::string(name) + " is " + std::to_string(size) + ", expected 1 to " +
             std::to_string(kMostRanks);
  if (dp % ep != 0)
    return "ep is " + std::to_string(ep) + ", which does not divide dp, " + std::to_string(dp);
  if (getWorld() > kMostRanks)
    return "pp * dp is " + std::to_string(getWorld()) + ", expected at most " + std::to_string(kMostRanks);
  return {};
}

} // namespace contraflow::abi
