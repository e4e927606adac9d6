//===- AccessMap.h - algebra of the maps of a kernel ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fusion composes the map by which a consumer reads a tensor with the inverse of the map by which the
// producer wrote it. Both are mixed radix numbers in the dimensions of a domain, e.g. (t, h, c) -> (t, h*64 +
// c), so that
//
//   * a map onto a whole tensor is inverted by floordiv and mod:   h = x floordiv 64, c = x mod 64;
//   * composing brings floordiv and mod of sums whose range is known, and these cancel:
//     (h*64 + c) floordiv 64 = h because 0 <= c < 64.
//
// MLIR's own simplification knows no ranges. Everything here is exact: two equal results are equal
// functions on the domain, and what cannot be simplified stays.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_FUSION_ACCESSMAP_H
#define CONTRAFLOW_PASSES_FUSION_ACCESSMAP_H

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace contraflow::fusion {

/// `expr` with dimension i in [0, sizes[i]) and symbols not negative.
mlir::AffineExpr simplify(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> sizes);
mlir::AffineMap simplify(mlir::AffineMap map, llvm::ArrayRef<int64_t> sizes);

/// The map from coordinates to the points of `domain` that undoes `map`, if `map` meets every element of a
/// tensor of `shape` exactly once. Nothing where it does not, or where this cannot be seen.
std::optional<mlir::AffineMap> invert(mlir::AffineMap map, llvm::ArrayRef<int64_t> domain,
                                      llvm::ArrayRef<int64_t> shape);

/// Whether no two points of `domain` have the same coordinates; false where this cannot be seen.
bool isInjective(mlir::AffineMap map, llvm::ArrayRef<int64_t> domain);

/// `outer` after `inner`, on a domain of `sizes`: inner's results are outer's dimensions. One of them may
/// have symbols.
mlir::AffineMap compose(mlir::AffineMap outer, mlir::AffineMap inner, llvm::ArrayRef<int64_t> sizes);

/// Whether stepping along dimension `dim` moves every coordinate by a constant.
bool isStridedAlong(mlir::AffineMap map, unsigned dim);
/// Whether every coordinate is a sum of multiples of dimensions and a constant; no symbols.
bool isStrided(mlir::AffineMap map);

} // namespace contraflow::fusion

#endif
