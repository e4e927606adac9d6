//===- ProgramFlame.h - where the work of a program is --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_INSPECT_PROGRAMFLAME_H
#define CONTRAFLOW_COMPILER_INSPECT_PROGRAMFLAME_H

#include "compiler/inspect/Costs.h"

#include <memory>

namespace contraflow::inspect {

/// Rows side by side that belong together, down to the operations of a row, in the order of the program:
///
///   [ step                                        ]
///   [ forward 0         ][ backward 0             ]   micro-batch
///   [ layer.0 ][ layer.1][ layer.1 ][ layer.0     ]   layer
///   [fwd      ][fwd     ][in ][wt  ][in  ][wt     ]   row
///   [a][b] ...                                        operation
struct FlameNode {
  std::string name;
  /// What decides about the color: the direction, of an operation its kind.
  std::string kind;
  Cost cost;
  std::vector<FlameNode> children;
};

/// Empty where the manifest has no such program.
FlameNode buildFlame(const abi::Manifest &manifest, const std::string &program);

/// Two pictures in one document: widths are flops above, bytes moved below.
std::string drawFlame(const FlameNode &root, const std::string &model);

} // namespace contraflow::inspect

#endif
