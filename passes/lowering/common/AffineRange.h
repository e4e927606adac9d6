//===- AffineRange.h - what affine expressions can be ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_AFFINERANGE_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_AFFINERANGE_H

#include "mlir/IR/AffineExpr.h"

namespace contraflow::lowering {

/// Smallest and largest value of an expression whose dimension i is in [0, sizes[i]) and whose symbols are
/// not negative.
std::pair<int64_t, int64_t> getRange(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> sizes);
/// Removes `mod` and `floordiv` that the sizes of the dimensions make pointless.
mlir::AffineExpr simplifyWithin(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> sizes, unsigned numSymbols);

} // namespace contraflow::lowering

#endif
