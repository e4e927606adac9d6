//===- KernelRegion.h - what the region of a kernel wants -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every target asks about a kernel whose region is evaluated point by point: the domain without its
// pointless dimensions, what of the region changes from column to column, and when each value can be had (a
// value that depends on a reduction has to wait until a loop over the row is over).
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELREGION_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_KERNELREGION_H

#include "dialects/nn/NN.h"

#include "llvm/ADT/DenseSet.h"

namespace contraflow::lowering {

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

/// The domain of a kernel. Dimensions of size one are gone and neighbours that every access walks through
/// as if they were one are merged, so that an elementwise kernel over [tokens, width] is one long row.
struct KernelShape {
  /// At least one; the last is the column.
  llvm::SmallVector<int64_t> sizes;
  /// The element number of each operand over `sizes` and the operand's symbols.
  llvm::SmallVector<mlir::AffineExpr> operands;
  /// The dimensions of the kernel over `sizes`.
  llvm::SmallVector<mlir::AffineExpr> dims;

  int64_t columns() const { return sizes.back(); }
  int64_t rows() const;
  bool isPerColumn(unsigned operand) const { return operands[operand].isFunctionOfDim(sizes.size() - 1); }
};

/// The shape of a kernel; `keepColumns` leaves the last dimension as it is, because something is summed over
/// it.
KernelShape getShape(nn::KernelOp op, bool keepColumns);

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// Values of a region that are used, in order, and when they can be had.
class RegionInfo {
public:
  /// Emits an error where the region holds what cannot be lowered.
  static mlir::FailureOr<RegionInfo> get(nn::KernelOp op);

  KernelShape shape;
  /// Reductions that reduce something: with a single column they are the value itself.
  llvm::SmallVector<mlir::Operation *> reductions;

  bool isUsed(mlir::Value value) const { return used.contains(value); }
  /// Whether the value differs between the columns of a row.
  bool isPerColumn(mlir::Value value) const { return perColumn.contains(value); }
  /// The number of loops over the row that have to be over before the value can be computed.
  int64_t phase(mlir::Value value) const { return phases.lookup(value); }
  bool isReduction(mlir::Operation *op) const { return llvm::is_contained(reductions, op); }

  /// Rough cost of a column in bytes moved through a cache, and the number of instructions of the loop.
  int64_t costPerColumn() const { return cost; }
  int64_t instructionsPerColumn() const { return instructions; }

private:
  /// Backwards from the results: what is used, and which of it are reductions.
  mlir::LogicalResult findUsed(nn::KernelOp op);
  /// Of an operation whose operands are known: whether it changes along the row, and when it can be had.
  mlir::LogicalResult follow(mlir::Operation &inner);

  llvm::DenseSet<mlir::Value> used, perColumn;
  llvm::DenseMap<mlir::Value, int64_t> phases;
  int64_t cost = 0, instructions = 0;
};

/// Whether an operation takes so long that its results are kept rather than computed again.
bool isExpensive(mlir::Operation *op);

} // namespace contraflow::lowering

#endif
