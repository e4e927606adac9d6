//===- Mesh.h - how the ranks of a run are numbered -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// world = pp * dp ranks: `pp` stages, each computed by `dp` ranks on different sequences. `ep` divides dp:
// experts are spread over `ep` ranks, and each expert has `edp` = dp / ep replicas (arXiv 2412.19437
// section 3.2: PP 16, EP 64, ZeRO-1 over DP 128, so 2 replicas). There is no other dimension: dense
// parameters are whole on every rank of a stage.
//
//   rank = stage * dp + d,   d = replica * ep + e,   0 <= e < ep
//
// An axis cuts the ranks into groups; ranks of a group differ in that axis only and are listed in ascending
// order:
//
//   pp    same d                     dp    same stage
//   ep    same stage and replica     edp   same stage and e
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_ABI_MESH_H
#define CONTRAFLOW_RUNTIME_ABI_MESH_H

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::abi {

/// Numbered as `comm::Axis` is.
enum class MeshAxis : uint32_t { Pp = 0, Dp = 1, Ep = 2, Edp = 3 };

struct Mesh {
  int64_t pp = 1;
  int64_t dp = 1;
  int64_t ep = 1;

  bool operator==(const Mesh &) const = default;

  /// Most ranks of a run; what is squared by them (tables of counts) still fits 32 bits.
  static constexpr int64_t kMostRanks = 1 << 15;

  int64_t getWorld() const { return pp * dp; }
  /// Ranks of a group.
  int64_t getSize(MeshAxis axis) const;
  /// The place of `rank` in its group.
  int64_t getIndex(int64_t rank, MeshAxis axis) const;
  /// The ranks of the group of `rank`; entry `getIndex(rank, axis)` is `rank`.
  std::vector<int64_t> getGroup(int64_t rank, MeshAxis axis) const;

  /// What is wrong with it, without a final period; empty where nothing is.
  std::string verify() const;
};

} // namespace contraflow::abi

#endif
