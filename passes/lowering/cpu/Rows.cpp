//===- Rows.cpp - elementwise kernels and reductions along rows -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row is walked in as many loops as its reductions depend on each other: loop p computes the reductions
// whose inputs need p reductions before them, the last one writes the results. Values are computed again in
// every loop that needs them, except for expensive ones, which stay in scratch, and for rows of a few
// vectors, which stay in registers. Three ways to cut the domain, chosen by shape:
//
//   whole rows   a task has some rows; the lanes of a vector are neighbouring columns;
//   pieces       few and long rows: a task has a piece of one row, every loop is a parallel phase, partial
//                reductions go through the workspace and are combined by everyone who needs them;
//   narrow       rows of fewer columns than a vector has lanes: the lanes are neighbouring rows.
//
// Sums have one order, whatever the number of threads: column c goes to lane c mod lanes of
// accumulator (c / lanes) mod unroll; at most kSegmentVectors vectors are summed up that way, segments are
// added to each other, and lanes are added in a tree at the end. The error of a sum over millions of columns
// stays at a few units in the last place.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/common/AffineRange.h"
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Region.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace contraflow::cpu {
namespace {

/// Bytes (see RegionInfo::costPerColumn) that a task moves: a few microseconds.
constexpr int64_t kTaskCost = 128 << 10;
/// Vectors that one chain of additions takes, times the unroll factor.
constexpr int64_t kSegmentVectors = 64;
/// Fewer tasks than this are cut in pieces when rows are long.
constexpr int64_t kFewTasks = 16;
/// Pieces of a row whose partial sums go through the workspace.
constexpr int64_t kMostPieces = 512;
/// Rows of at most this many vectors are kept in registers between the loops.
constexpr int64_t kMostUnrolledVectors = 4;
constexpr int64_t kMostUnrolledInstructions = 400;
/// Expensive values of a row that are kept in scratch.
constexpr int64_t kMostKeptBytes = 256 << 10;

/// The accumulators of some reductions, one vector each.
using Accumulators = SmallVector<Value>;

class RowsEmitter {
public:
  RowsEmitter(KernelEmission &kernel, const RegionInfo &info)
      : kernel(kernel), op(kernel.op), info(info), shape(info.shape), lanes(kernel.target.lanes) {
    yield = op.getBody().front().getTerminator();
    for (unsigned i = 0; i < op.getNumResults(); ++i) {
      bool perColumn = shape.isPerColumn(op.getNumInputs() + i);
      (perColumn ? columnResults : rowResults).push_back(i);
      (perColumn ? columnPhase : rowPhase) =
          std::max(perColumn ? columnPhase : rowPhase, info.phase(yield->getOperand(i)));
    }
    for (Operation *reduction : info.reductions)
      lastPhase = std::max(lastPhase, info.phase(reduction->getOperand(0)));
    lastPhase = std::max(lastPhase, columnPhase);
    // More accumulators hide the latency of additions; more than a screenful of instructions hides nothing.
    unroll = info.instructionsPerColumn() <= 16 ? 4 : info.instructionsPerColumn() <= 32 ? 2 : 1;
    if (info.reductions.empty())
      unroll = info.instructionsPerColumn() <= 16 ? 2 : 1;
  }

  LogicalResult emit() {
    if (llvm::is_contained(shape.sizes, 0))
      return success();
    int64_t columns = shape.columns(), rows = shape.rows();
    bool narrow = columns * 2 <= lanes || (columns < 8 && columns < lanes);
    if (narrow && rows >= 2 * lanes)
      return emitNarrow();
    int64_t rowCost = columns * info.costPerColumn();
    bool longRows =
        info.reductions.empty() ? rowCost > kTaskCost : rowCost > 4 * kTaskCost && rows < kFewTasks;
    return longRows ? emitPieces() : emitWholeRows();
  }

private:
  LogicalResult emitWholeRows();
  LogicalResult emitPieces();
  LogicalResult emitNarrow();

  void setRow(RegionEvaluator &region, Emitter &e, Value row);
  void emitUnrolledRow(RegionEvaluator &region, Emitter &e);
  void emitLoopedRow(RegionEvaluator &region, Emitter &e, Value scratch);
  void storeRowResults(RegionEvaluator &region, Emitter &e);

  Value identity(Emitter &e, Operation *reduction) {
    return e.splat(isa<nn::RowMaxOp>(reduction) ? -std::numeric_limits<float>::infinity() : 0.0f);
  }
  Value combine(Emitter &e, Operation *reduction, Value a, Value b) {
    return isa<nn::RowMaxOp>(reduction) ? maxOf(e, a, b) : e.addf(a, b);
  }
  Value reduce(Emitter &e, Operation *reduction, Value vector) {
    return reduceLanes(e, vector, [&](Value a, Value b) { return combine(e, reduction, a, b); });
  }
  SmallVector<Operation *> reductionsOf(int64_t phase) {
    return llvm::filter_to_vector(info.reductions,
                                  [&](Operation *op) { return info.phase(op->getOperand(0)) == phase; });
  }

  /// What happens at one vector of columns in loop `phase`: reductions are added to `sums`, results written.
  Accumulators emitVector(RegionEvaluator &region, Emitter &e, RegionEvaluator::Block &block,
                          ArrayRef<Operation *> reductions, bool store, bool masked, ValueRange sums);
  /// Loop `phase` over the columns [begin, end), `begin` a multiple of the unrolled vectors. Returns the
  /// sums.
  Accumulators emitColumns(RegionEvaluator &region, Emitter &e, Value begin, Value end, bool wholeRow,
                           ArrayRef<Operation *> reductions, bool store);
  Accumulators emitSegment(RegionEvaluator &region, Emitter &e, Value begin, Value end, bool wholeRow,
                           ArrayRef<Operation *> reductions, bool store);
  /// Vectors begin, begin + lanes, ... of `steps` vectors a time, each with its own accumulators.
  Accumulators emitVectors(RegionEvaluator &region, Emitter &e, Value begin, Value end, int64_t steps,
                           ArrayRef<Operation *> reductions, bool store, ArrayRef<Value> inits);
  Value combineTree(Emitter &e, Operation *reduction, Accumulators tree);
  /// The columns that do not fill a vector.
  Accumulators emitTail(RegionEvaluator &region, Emitter &e, ArrayRef<Operation *> reductions, bool store,
                        ValueRange before);
  /// Values that more than one loop needs, with the first of these loops.
  SmallVector<std::pair<Value, int64_t>> findKept();

  /// How every row is cut.
  struct Pieces {
    /// Of a piece.
    int64_t columns;
    /// Of a row.
    int64_t count;
  };
  Pieces cutRows() const;
  /// Element of the workspace that holds the first piece of a reduction in a row.
  Value getPartials(Emitter &e, const Task &task, const Pieces &pieces, Operation *reduction, Value row);
  Value combinePartials(Emitter &e, Operation *reduction, Value memory, int64_t count);
  /// Combines the pieces of all reductions that are over before `phase`, and computes the row's values.
  void startPhase(RegionEvaluator &region, Emitter &e, const Task &task, const Pieces &pieces, Value row,
                  int64_t phase);
  LogicalResult emitPhase(const Pieces &pieces, int64_t phase);

  KernelEmission &kernel;
  nn::KernelOp op;
  const RegionInfo &info;
  const KernelShape &shape;
  int64_t lanes;
  Operation *yield;
  /// Results written per column and per row, and the last loop that each of the two kinds waits for.
  SmallVector<unsigned> columnResults, rowResults;
  int64_t columnPhase = 0, rowPhase = 0, lastPhase = 0;
  int64_t unroll;
  /// Where the kept values are written in the loop that is being emitted.
  SmallVector<std::pair<Value, Value>> keepNow;
};

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

void RowsEmitter::setRow(RegionEvaluator &region, Emitter &e, Value row) {
  int64_t outer = shape.sizes.size() - 1;
  for (int64_t i = outer - 1; i >= 0; --i) {
    Value coordinate = i == 0 ? row : e.rem(row, shape.sizes[i]);
    region.dims[i] = LaneIndex::uniform(lanes, coordinate);
    if (i > 0)
      row = e.div(row, shape.sizes[i]);
  }
  region.mask = LaneMask();
  region.startRow();
}

Accumulators RowsEmitter::emitVector(RegionEvaluator &region, Emitter &e, RegionEvaluator::Block &block,
                                     ArrayRef<Operation *> reductions, bool store, bool masked,
                                     ValueRange sums) {
  Accumulators result;
  for (auto [reduction, sum] : llvm::zip_equal(reductions, sums)) {
    Value value = region.get(reduction->getOperand(0), block);
    if (masked)
      value = e.select(region.mask.get(e), value, identity(e, reduction));
    result.push_back(combine(e, reduction, sum, value));
  }
  if (store) {
    // All of the reads come before the writes: results may lie where inputs lie.
    SmallVector<Value> values;
    for (unsigned i : columnResults)
      values.push_back(region.get(yield->getOperand(i), block));
    for (auto [i, value] : llvm::zip_equal(columnResults, values))
      region.storeColumns(i, value);
  }
  for (auto [value, memory] : keepNow)
    e.store(region.get(value, block), uniformAddress(e, memory, region.dims.back()), 4 * lanes);
  return result;
}

Accumulators RowsEmitter::emitVectors(RegionEvaluator &region, Emitter &e, Value begin, Value end,
                                      int64_t steps, ArrayRef<Operation *> reductions, bool store,
                                      ArrayRef<Value> inits) {
  int64_t count = reductions.size();
  return e.forLoop(begin, end, steps * lanes, inits, [&](Value column, ValueRange sums) {
    SmallVector<Value> next;
    for (int64_t step = 0; step < steps; ++step) {
      region.dims.back() = LaneIndex::consecutive(lanes, column, lanes);
      for (int64_t &number : region.dims.back().pattern)
        number += step * lanes;
      region.mask = LaneMask();
      RegionEvaluator::Block block;
      llvm::append_range(next, emitVector(region, e, block, reductions, store, /*masked=*/false,
                                          sums.slice(step * count, count)));
    }
    return next;
  });
}

Value RowsEmitter::combineTree(Emitter &e, Operation *reduction, Accumulators tree) {
  while (tree.size() > 1) {
    Accumulators above;
    for (size_t i = 0; i + 1 < tree.size(); i += 2)
      above.push_back(combine(e, reduction, tree[i], tree[i + 1]));
    tree = above;
  }
  return tree[0];
}

Accumulators RowsEmitter::emitTail(RegionEvaluator &region, Emitter &e, ArrayRef<Operation *> reductions,
                                   bool store, ValueRange before) {
  int64_t columns = shape.columns(), rest = columns % lanes;
  region.dims.back() = LaneIndex::consecutive(lanes, {}, 0);
  for (int64_t &number : region.dims.back().pattern)
    number += columns - rest;
  region.mask = LaneMask::first(rest);
  RegionEvaluator::Block block;
  Accumulators result = emitVector(region, e, block, reductions, store, /*masked=*/true, before);
  region.mask = LaneMask();
  return result;
}

Accumulators RowsEmitter::emitSegment(RegionEvaluator &region, Emitter &e, Value begin, Value end,
                                      bool wholeRow, ArrayRef<Operation *> reductions, bool store) {
  int64_t count = reductions.size(), columns = shape.columns(), vectors = columns / lanes;
  Accumulators sums;
  for (Operation *reduction : reductions)
    sums.push_back(identity(e, reduction));

  Value done = begin;
  if (unroll > 1 && vectors >= unroll) {
    SmallVector<Value> inits;
    for (int64_t step = 0; step < unroll; ++step)
      llvm::append_range(inits, sums);
    Value length = e.sub(end, begin);
    done = e.add(begin, e.mul(e.div(length, unroll * lanes), unroll * lanes));
    SmallVector<Value> partial = emitVectors(region, e, begin, done, unroll, reductions, store, inits);
    for (int64_t k = 0; k < count; ++k) {
      Accumulators tree;
      for (int64_t step = 0; step < unroll; ++step)
        tree.push_back(partial[step * count + k]);
      sums[k] = combineTree(e, reductions[k], tree);
    }
  }
  Value full = e.mul(e.div(end, lanes), lanes);
  if (vectors > 0 && (unroll == 1 || vectors % unroll != 0))
    sums = emitVectors(region, e, done, full, 1, reductions, store, sums);

  if (columns % lanes == 0)
    return sums;
  if (wholeRow)
    return emitTail(region, e, reductions, store, sums);
  Value atEnd = e.equal(end, e.constant(columns));
  SmallVector<Type> types(count, e.vec());
  auto branch = scf::IfOp::create(e.builder, e.loc, types, atEnd, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.builder);
  auto fill = [&](mlir::Block *block, function_ref<SmallVector<Value>()> body) {
    e.builder.setInsertionPointToStart(block);
    SmallVector<Value> values = body();
    if (block->empty() || !block->back().hasTrait<OpTrait::IsTerminator>())
      scf::YieldOp::create(e.builder, e.loc, values);
  };
  fill(branch.thenBlock(), [&] { return emitTail(region, e, reductions, store, sums); });
  fill(branch.elseBlock(), [&] { return sums; });
  return SmallVector<Value>(branch.getResults());
}

Accumulators RowsEmitter::emitColumns(RegionEvaluator &region, Emitter &e, Value begin, Value end,
                                      bool wholeRow, ArrayRef<Operation *> reductions, bool store) {
  int64_t segment = kSegmentVectors * unroll * lanes;
  bool sums = llvm::any_of(reductions, [](Operation *op) { return isa<nn::RowSumOp>(op); });
  if (!sums || shape.columns() <= segment)
    return emitSegment(region, e, begin, end, wholeRow, reductions, store);
  Accumulators identities;
  for (Operation *reduction : reductions)
    identities.push_back(identity(e, reduction));
  return e.forLoop(begin, end, segment, identities, [&](Value from, ValueRange before) {
    Value to = e.min(e.add(from, segment), end);
    Accumulators sums = emitSegment(region, e, from, to, /*wholeRow=*/false, reductions, store);
    for (auto [k, reduction] : llvm::enumerate(reductions))
      sums[k] = combine(e, reduction, before[k], sums[k]);
    return sums;
  });
}

void RowsEmitter::storeRowResults(RegionEvaluator &region, Emitter &e) {
  for (unsigned i : rowResults) {
    Value value = yield->getOperand(i);
    if (!info.isPerColumn(value)) {
      region.storeRow(i, region.getRow(value));
      continue;
    }
    // The same in all columns, though nobody knows: take the first one.
    region.dims.back() = LaneIndex::consecutive(lanes, {}, 0);
    region.mask = LaneMask::first(1);
    RegionEvaluator::Block block;
    Value vector = region.get(value, block);
    region.storeRow(i, vector::ExtractOp::create(e.builder, e.loc, vector, ArrayRef<int64_t>{0}));
  }
}

//===----------------------------------------------------------------------===//
// Whole rows
//===----------------------------------------------------------------------===//

SmallVector<std::pair<Value, int64_t>> RowsEmitter::findKept() {
  SmallVector<std::pair<Value, int64_t>> kept;
  llvm::DenseMap<Value, int64_t> computed;
  int64_t rowBytes = llvm::alignTo(shape.columns(), lanes) * 4;
  for (int64_t phase = 0; phase <= lastPhase; ++phase) {
    SmallVector<Value> wanted;
    for (Operation *reduction : reductionsOf(phase))
      wanted.push_back(reduction->getOperand(0));
    if (phase == columnPhase)
      for (unsigned i : columnResults)
        wanted.push_back(yield->getOperand(i));
    llvm::DenseSet<Value> seen;
    while (!wanted.empty()) {
      Value value = wanted.pop_back_val();
      Operation *producer = value.getDefiningOp();
      if (!producer || !info.isPerColumn(value) || !seen.insert(value).second)
        continue;
      if (isExpensive(producer) && !isa<arith::DivFOp, math::SqrtOp>(producer)) {
        auto [at, first] = computed.try_emplace(value, phase);
        if (!first) {
          bool room = static_cast<int64_t>(kept.size() + 1) * rowBytes <= kMostKeptBytes;
          if (room && !llvm::is_contained(kept, std::pair(value, at->second)))
            kept.push_back({value, at->second});
          if (room)
            continue;
        }
      }
      llvm::append_range(wanted, producer->getOperands());
    }
  }
  return kept;
}

void RowsEmitter::emitUnrolledRow(RegionEvaluator &region, Emitter &e) {
  int64_t columns = shape.columns(), vectors = llvm::divideCeil(columns, lanes);
  SmallVector<RegionEvaluator::Block> blocks(vectors);
  for (int64_t phase = 0; phase <= lastPhase; ++phase) {
    region.computeRow(phase);
    SmallVector<Operation *> reductions = reductionsOf(phase);
    Accumulators sums;
    for (Operation *reduction : reductions)
      sums.push_back(identity(e, reduction));
    for (int64_t v = 0; v < vectors; ++v) {
      region.dims.back() = LaneIndex::consecutive(lanes, {}, 0);
      for (int64_t &number : region.dims.back().pattern)
        number += v * lanes;
      bool masked = (v + 1) * lanes > columns;
      region.mask = masked ? LaneMask::first(columns - v * lanes) : LaneMask();
      sums = emitVector(region, e, blocks[v], reductions, phase == columnPhase, masked, sums);
    }
    for (auto [k, reduction] : llvm::enumerate(reductions))
      region.setReduction(reduction, reduce(e, reduction, sums[k]));
  }
}

void RowsEmitter::emitLoopedRow(RegionEvaluator &region, Emitter &e, Value scratch) {
  SmallVector<std::pair<Value, int64_t>> kept = findKept();
  int64_t stride = llvm::alignTo(shape.columns(), lanes);
  for (auto [k, value] : llvm::enumerate(kept))
    region.keep(value.first, value.second, e.offset(scratch, k * stride));
  for (int64_t phase = 0; phase <= lastPhase; ++phase) {
    region.phase = phase;
    region.computeRow(phase);
    SmallVector<Operation *> reductions = reductionsOf(phase);
    bool store = phase == columnPhase && !columnResults.empty();
    if (reductions.empty() && !store)
      continue;
    keepNow.clear();
    for (auto [k, value] : llvm::enumerate(kept))
      if (value.second == phase)
        keepNow.push_back({value.first, e.offset(scratch, k * stride)});
    Accumulators sums = emitColumns(region, e, e.constant(0), e.constant(shape.columns()), /*wholeRow=*/true,
                                    reductions, store);
    for (auto [k, reduction] : llvm::enumerate(reductions))
      region.setReduction(reduction, reduce(e, reduction, sums[k]));
  }
  keepNow.clear();
}

LogicalResult RowsEmitter::emitWholeRows() {
  int64_t rows = shape.rows(), columns = shape.columns();
  int64_t rowsPerTask =
      std::clamp<int64_t>(kTaskCost / std::max<int64_t>(columns * info.costPerColumn(), 1), 1, rows);
  int64_t vectors = llvm::divideCeil(columns, lanes);
  bool unrolled =
      vectors <= kMostUnrolledVectors && vectors * info.instructionsPerColumn() <= kMostUnrolledInstructions;
  int64_t scratch = unrolled ? 0 : findKept().size() * llvm::alignTo(columns, lanes) * 4;
  return kernel.parallel(llvm::divideCeil(rows, rowsPerTask), scratch, [&](Emitter &e, const Task &task) {
    Value begin = e.mul(task.index, rowsPerTask);
    Value end = e.min(e.add(begin, rowsPerTask), e.constant(rows));
    e.forLoop(begin, end, 1, [&](Value row) {
      RegionEvaluator region(e, op, info, task.operands, /*vectorRows=*/false);
      setRow(region, e, row);
      if (unrolled)
        emitUnrolledRow(region, e);
      else
        emitLoopedRow(region, e, task.scratch);
      for (int64_t phase = 0; phase <= std::max(rowPhase, lastPhase + 1); ++phase)
        region.computeRow(phase);
      storeRowResults(region, e);
    });
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Pieces of long rows
//===----------------------------------------------------------------------===//

RowsEmitter::Pieces RowsEmitter::cutRows() const {
  int64_t columns = shape.columns();
  int64_t vectors = std::max<int64_t>(kTaskCost / (info.costPerColumn() * lanes), 1);
  if (!info.reductions.empty())
    vectors = std::max<int64_t>(vectors, llvm::divideCeil(columns, kMostPieces * lanes));
  int64_t piece = llvm::alignTo(vectors, unroll) * lanes;
  return {piece, static_cast<int64_t>(llvm::divideCeil(columns, piece))};
}

Value RowsEmitter::getPartials(Emitter &e, const Task &task, const Pieces &pieces, Operation *reduction,
                               Value row) {
  int64_t position = llvm::find(info.reductions, reduction) - info.reductions.begin();
  return e.offset(task.workspace, e.add(e.mul(row, pieces.count), position * shape.rows() * pieces.count));
}

Value RowsEmitter::combinePartials(Emitter &e, Operation *reduction, Value memory, int64_t count) {
  SmallVector<Value> sum{identity(e, reduction)};
  int64_t full = count / lanes * lanes;
  if (full > 0)
    sum = e.forLoop(e.constant(0), e.constant(full), lanes, sum, [&](Value i, ValueRange sums) {
      return SmallVector<Value>{combine(e, reduction, sums[0], e.loadVec(e.offset(memory, i)))};
    });
  if (full < count) {
    LaneMask mask = LaneMask::first(count - full);
    Value rest = e.loadMasked(e.offset(memory, full), mask.get(e));
    rest = e.select(mask.get(e), rest, identity(e, reduction));
    sum[0] = combine(e, reduction, sum[0], rest);
  }
  return reduce(e, reduction, sum[0]);
}

void RowsEmitter::startPhase(RegionEvaluator &region, Emitter &e, const Task &task, const Pieces &pieces,
                             Value row, int64_t phase) {
  setRow(region, e, row);
  region.phase = phase;
  for (int64_t before = 0; before < phase; ++before) {
    region.computeRow(before);
    for (Operation *reduction : reductionsOf(before)) {
      Value memory = getPartials(e, task, pieces, reduction, row);
      region.setReduction(reduction, combinePartials(e, reduction, memory, pieces.count));
    }
  }
  region.computeRow(phase);
}

LogicalResult RowsEmitter::emitPhase(const Pieces &pieces, int64_t phase) {
  int64_t rows = shape.rows();
  SmallVector<Operation *> reductions = reductionsOf(phase);
  bool store = phase == columnPhase && !columnResults.empty();
  if (reductions.empty() && !store)
    return success();
  return kernel.parallel(rows * pieces.count, 0, [&](Emitter &e, const Task &task) {
    Value row = e.div(task.index, pieces.count);
    Value number = rows == 1 ? task.index : e.rem(task.index, pieces.count);
    if (rows == 1)
      row = e.constant(0);
    RegionEvaluator region(e, op, info, task.operands, /*vectorRows=*/false);
    startPhase(region, e, task, pieces, row, phase);
    Value from = e.mul(number, pieces.columns);
    Value to = e.min(e.add(from, pieces.columns), e.constant(shape.columns()));
    Accumulators sums = emitColumns(region, e, from, to, /*wholeRow=*/false, reductions, store);
    for (auto [k, reduction] : llvm::enumerate(reductions))
      e.store(reduce(e, reduction, sums[k]), e.offset(getPartials(e, task, pieces, reduction, row), number));
    return success();
  });
}

LogicalResult RowsEmitter::emitPieces() {
  Pieces pieces = cutRows();
  int64_t rows = shape.rows();
  if (!info.reductions.empty() &&
      failed(kernel.requestWorkspace(info.reductions.size() * rows * pieces.count * 4)))
    return failure();
  for (int64_t phase = 0; phase <= lastPhase; ++phase)
    if (failed(emitPhase(pieces, phase)))
      return failure();
  if (rowResults.empty())
    return success();
  return kernel.parallel(rows, 0, [&](Emitter &e, const Task &task) {
    RegionEvaluator region(e, op, info, task.operands, /*vectorRows=*/false);
    startPhase(region, e, task, pieces, task.index, lastPhase + 1);
    for (int64_t phase = 0; phase <= rowPhase; ++phase)
      region.computeRow(phase);
    storeRowResults(region, e);
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Narrow rows
//===----------------------------------------------------------------------===//

LogicalResult RowsEmitter::emitNarrow() {
  int64_t rows = shape.rows(), columns = shape.columns();
  int64_t vectors = llvm::divideCeil(rows, lanes);
  int64_t cost = columns * info.costPerColumn() * lanes;
  int64_t vectorsPerTask = std::clamp<int64_t>(kTaskCost / 2 / std::max<int64_t>(cost, 1), 1, vectors);
  return kernel.parallel(llvm::divideCeil(vectors, vectorsPerTask), 0, [&](Emitter &e, const Task &task) {
    Value begin = e.mul(task.index, vectorsPerTask * lanes);
    Value end = e.min(e.add(begin, vectorsPerTask * lanes), e.constant(rows));
    e.forLoop(begin, end, lanes, [&](Value row) {
      RegionEvaluator region(e, op, info, task.operands, /*vectorRows=*/true);
      // The coordinates of the rows, in the same arithmetic as every other index.
      SmallVector<LaneIndex> number{LaneIndex::consecutive(lanes, row, lanes)};
      SmallVector<int64_t> sizes{rows};
      AffineExpr expr = getAffineDimExpr(0, op.getContext());
      for (int64_t i = static_cast<int64_t>(shape.sizes.size()) - 2; i >= 0; --i) {
        AffineExpr coordinate = i == 0 ? expr : expr % shape.sizes[i];
        region.dims[i] =
            LaneEvaluator(e, sizes, number).evaluate(lowering::simplifyWithin(coordinate, sizes, 0));
        expr = expr.floorDiv(shape.sizes[i]);
      }
      if (rows % lanes != 0)
        region.mask = LaneMask::below(e.sub(e.constant(rows), row));
      region.startRow();

      SmallVector<RegionEvaluator::Block> blocks(columns);
      for (int64_t phase = 0; phase <= lastPhase; ++phase) {
        region.computeRow(phase);
        SmallVector<Operation *> reductions = reductionsOf(phase);
        Accumulators sums;
        for (int64_t column = 0; column < columns; ++column) {
          region.dims.back() = LaneIndex::constant(lanes, column);
          for (auto [k, reduction] : llvm::enumerate(reductions)) {
            Value value = region.get(reduction->getOperand(0), blocks[column]);
            if (column == 0)
              sums.push_back(value);
            else
              sums[k] = combine(e, reduction, sums[k], value);
          }
        }
        for (auto [k, reduction] : llvm::enumerate(reductions))
          region.setReduction(reduction, sums[k]);
      }
      for (int64_t phase = 0; phase <= std::max(rowPhase, lastPhase + 1); ++phase)
        region.computeRow(phase);
      for (int64_t column = 0; column < columns; ++column) {
        region.dims.back() = LaneIndex::constant(lanes, column);
        SmallVector<Value> values;
        for (unsigned i : columnResults)
          values.push_back(region.get(yield->getOperand(i), blocks[column]));
        for (auto [i, value] : llvm::zip_equal(columnResults, values))
          region.storeColumns(i, value);
      }
      region.dims.back() = LaneIndex::constant(lanes, 0);
      for (unsigned i : rowResults)
        region.storeRow(i, region.get(yield->getOperand(i), blocks[0]));
    });
    return success();
  });
}

} // namespace

LogicalResult emitRows(KernelEmission &kernel) {
  FailureOr<RegionInfo> info = RegionInfo::get(kernel.op);
  if (failed(info))
    return failure();
  return RowsEmitter(kernel, *info).emit();
}

} // namespace contraflow::cpu
