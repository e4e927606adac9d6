//===- KernelAccess.h - which elements a kernel touches -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELACCESS_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELACCESS_H

#include "dialects/nn/NN.h"

#include "mlir/IR/AffineExpr.h"

namespace contraflow::lowering {

/// An access whose element number is `offset + sum of strides[i] * d_i` over the domain of the kernel.
struct StridedAccess {
  int64_t offset = 0;
  llvm::SmallVector<int64_t> strides;
};

/// The element number that operand `i` (inputs first, then results) is accessed at, over the domain and
/// the gathered symbols: its map applied to a row-major tensor.
mlir::AffineExpr getElementIndex(nn::KernelOp op, unsigned i);

/// The same as strides; emits an error where the map is not linear.
mlir::FailureOr<StridedAccess> getStridedAccess(nn::KernelOp op, unsigned i);

} // namespace contraflow::lowering

#endif
