//===- ColumnReduce.cpp - sums over rows, into rows chosen by index -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task owns some columns and walks through all rows in order, so that every element of the result has
// one order of summation and no two tasks write the same one. A result that is one row stays in
// registers; where a symbol chooses the row, the sum is in memory.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Region.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace contraflow::cpu {
namespace {

/// Vectors of columns that a task owns: enough to hide the latency of additions and to use whole cache lines.
constexpr int64_t kMostVectors = 8;
/// Tasks that are wanted before they get wider.
constexpr int64_t kTasks = 4;

class ColumnReduceEmitter {
public:
  ColumnReduceEmitter(KernelEmission &kernel, const RegionInfo &info)
      : kernel(kernel), op(kernel.op), info(info), lanes(kernel.target.lanes) {}

  LogicalResult emit();

private:
  /// Adds the rows to `vectors` vectors of columns, beginning at `column`.
  void emitTask(Emitter &e, const Task &task, Value column, int64_t vectors, bool masked);

  bool inRegisters(unsigned result) { return op.getGather(op.getNumInputs() + result).empty(); }

  KernelEmission &kernel;
  nn::KernelOp op;
  const RegionInfo &info;
  int64_t lanes;
};

void ColumnReduceEmitter::emitTask(Emitter &e, const Task &task, Value column, int64_t vectors, bool masked) {
  Operation *yield = op.getBody().front().getTerminator();
  RegionEvaluator region(e, op, info, task.operands, /*vectorRows=*/false);
  int64_t rest = info.shape.columns() % lanes;
  auto setVector = [&](int64_t vector) {
    region.dims.back() = LaneIndex::consecutive(lanes, column, lanes);
    for (int64_t &number : region.dims.back().pattern)
      number += vector * lanes;
    region.mask = masked && vector == vectors - 1 ? LaneMask::first(rest) : LaneMask();
  };

  SmallVector<Value> sums;
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    for (int64_t vector = 0; inRegisters(i) && vector < vectors; ++vector) {
      setVector(vector);
      sums.push_back(region.loadResult(i));
    }
  int64_t rows = op.getDomain()[0];
  sums = e.forLoop(e.constant(0), e.constant(rows), 1, sums, [&](Value row, ValueRange before) {
    if (info.shape.sizes.size() > 1)
      region.dims[0] = LaneIndex::uniform(lanes, row);
    region.startRow();
    region.computeRow(0);
    SmallVector<RegionEvaluator::Block> blocks(vectors);
    SmallVector<Value> after;
    for (unsigned i = 0; i < op.getNumResults(); ++i)
      for (int64_t vector = 0; vector < vectors; ++vector) {
        setVector(vector);
        Value value = region.get(yield->getOperand(i), blocks[vector]);
        if (inRegisters(i))
          after.push_back(e.addf(before[after.size()], value));
        else
          region.storeColumns(i, e.addf(region.loadResult(i), value));
      }
    return after;
  });
  size_t next = 0;
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    for (int64_t vector = 0; inRegisters(i) && vector < vectors; ++vector) {
      setVector(vector);
      region.storeColumns(i, sums[next++]);
    }
}

LogicalResult ColumnReduceEmitter::emit() {
  ArrayRef<int64_t> domain = op.getDomain();
  if (domain.size() != 2)
    return op.emitError() << "kernel '" << op.getLabel() << "' reduces columns of a domain with "
                          << domain.size() << " dimensions, expected 2";
  for (unsigned i = 0; i < op.getNumResults(); ++i) {
    if (op.getTied()[i] < 0)
      return op.emitError() << "kernel '" << op.getLabel() << "' adds to result " << i
                            << ", which is not tied";
    if (!info.shape.isPerColumn(op.getNumInputs() + i) && domain[1] != 1)
      return op.emitError() << "kernel '" << op.getLabel() << "' has the same element of result " << i
                            << " for all columns";
  }
  if (llvm::is_contained(domain, 0))
    return success();
  int64_t vectors = llvm::divideCeil(info.shape.columns(), lanes);
  int64_t perTask = std::clamp<int64_t>(vectors / kTasks, 1, kMostVectors);
  int64_t tasks = llvm::divideCeil(vectors, perTask);
  // The last task differs: it may have fewer vectors, and the last of these may be a part.
  int64_t lastVectors = vectors - (tasks - 1) * perTask;
  bool masked = info.shape.columns() % lanes != 0;
  return kernel.parallel(tasks, 0, [&](Emitter &e, const Task &task) {
    Value column = e.mul(task.index, perTask * lanes);
    if (!masked && lastVectors == perTask)
      emitTask(e, task, column, perTask, false);
    else if (tasks == 1)
      emitTask(e, task, e.constant(0), lastVectors, masked);
    else
      e.ifThenElse(
          e.less(task.index, e.constant(tasks - 1)), [&] { emitTask(e, task, column, perTask, false); },
          [&] { emitTask(e, task, column, lastVectors, masked); });
    return success();
  });
}

} // namespace

LogicalResult emitColumnReduce(KernelEmission &kernel) {
  FailureOr<RegionInfo> info = RegionInfo::get(kernel.op);
  if (failed(info))
    return failure();
  if (!info->reductions.empty())
    return kernel.op.emitError() << "kernel '" << kernel.op.getLabel()
                                 << "' has reductions along the row, column_reduce has none";
  return ColumnReduceEmitter(kernel, *info).emit();
}

} // namespace contraflow::cpu
