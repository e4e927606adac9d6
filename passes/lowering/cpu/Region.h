//===- Region.h - regions of kernels, evaluated on vectors ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `rows` and `column_reduce` share: the evaluation of a region at one vector of points, in the order
// that passes/lowering/common/KernelRegion.h found.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_REGION_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_REGION_H

#include "passes/lowering/common/KernelRegion.h"
#include "passes/lowering/cpu/Lanes.h"

namespace contraflow::cpu {

using lowering::isExpensive;
using lowering::KernelShape;
using lowering::RegionInfo;

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
