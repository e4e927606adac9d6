//===- KernelIds.h - numbers that a kernel takes for places ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Some inputs of a kernel are i32 that say where it reads and writes: gathered symbols, where groups of rows
// begin, the first key that a query sees. A number out of bounds becomes an access out of bounds. What each
// of them has to be follows from the kernel alone, its anchor, maps and shapes.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELIDS_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELIDS_H

#include "dialects/nn/NN.h"
#include "dialects/pipe/Pipe.h"

namespace contraflow::lowering {

/// Neighbouring elements of an input and what they have to be (see `pipe.check_ids`).
struct KernelIds {
  pipe::IdsKind kind;
  /// Number of the input.
  unsigned input;
  /// First element and number of elements.
  int64_t begin, count;
  int64_t least, limit;

  bool operator==(const KernelIds &other) const = default;
};

/// Those of a kernel, by input. Numbers that no access depends on are left out.
llvm::SmallVector<KernelIds> getKernelIds(nn::KernelOp kernel);

} // namespace contraflow::lowering

#endif
