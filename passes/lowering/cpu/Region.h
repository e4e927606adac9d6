//===- Region.h - regions of kernels, evaluated on vectors ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `rows` and `column_reduce` share: the domain without its pointless dimensions, what of the region
// changes from column to column, when each value can be had (a value that depends on a reduction has to
// wait until a loop over the row is over), and the evaluation of the region at one vector of points.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_REGION_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_REGION_H

#include "passes/lowering/cpu/Lanes.h"
#include "llvm/ADT/DenseSet.h"

namespace contraflow::cpu {

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
  llvm::DenseSet<mlir::Value> used, perColumn;
  llvm::DenseMap<mlir::Value, int64_t> phases;
  int64_t cost = 0, instructions = 0;
};

/// Whether an operation takes so long that its results are kept rather than computed again.
bool isExpensive(mlir::Operation *op);

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

/// Evaluates a region at the points that `dims` and `mask` describe. Values that are the same in the whole
/// row are computed outside of the loop over columns; the others belong to one `Block`.
class RegionEvaluator {
public:
  /// Values of one vector of points.
  using Block = llvm::DenseMap<mlir::Value, mlir::Value>;

  /// `vectorRows`: the lanes of a vector are rows, not columns, so that values of a row are vectors too.
  RegionEvaluator(Emitter &e, nn::KernelOp op, const RegionInfo &info, llvm::ArrayRef<mlir::Value> pointers,
                  bool vectorRows);

  /// One index per dimension of the shape; the last changes between blocks.
  llvm::SmallVector<LaneIndex> dims;
  LaneMask mask;
  /// The loop over the row that is being emitted.
  int64_t phase = 0;

  /// Begins a row: reads the gathered symbols. `dims` of the row are set.
  void startRow();
  /// Computes the values of the row that can be had before loop `phase`.
  void computeRow(int64_t phase);
  void setReduction(mlir::Operation *reduction, mlir::Value value) { row[reduction->getResult(0)] = value; }

  /// The value as a vector.
  mlir::Value get(mlir::Value value, Block &block);
  /// The value of a row: a scalar, or a vector where lanes are rows.
  mlir::Value getRow(mlir::Value value) { return row.lookup(value); }

  /// Writes result `i` at the current points, or once for the row.
  void storeColumns(unsigned i, mlir::Value vector);
  void storeRow(unsigned i, mlir::Value value);
  /// Reads what result `i` has there.
  mlir::Value loadResult(unsigned i);

  /// From the next phase on `value` is read from `memory`, where its column c has element c.
  void keep(mlir::Value value, int64_t phase, mlir::Value memory) { kept[value] = {phase, memory}; }

private:
  struct Symbols {
    llvm::SmallVector<LaneIndex> values;
    /// Null, an i1, or a mask.
    mlir::Value valid;
  };
  LaneIndex indexOf(unsigned operand);
  mlir::Value loadOperand(unsigned operand, bool vector);
  mlir::Value compute(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands, bool vector);

  Emitter &e;
  nn::KernelOp op;
  const RegionInfo &info;
  llvm::SmallVector<mlir::Value> pointers;
  bool vectorRows;
  Block row;
  llvm::DenseMap<unsigned, Symbols> symbols;
  llvm::DenseMap<mlir::Value, std::pair<int64_t, mlir::Value>> kept;
};

} // namespace contraflow::cpu

#endif
