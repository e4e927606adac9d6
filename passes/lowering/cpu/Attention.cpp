//===- Attention.cpp - exact softmax attention ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is one sequence, one key/value head and a run of queries of all query heads that share it. Keys and
// values are packed once per task; then, per block of queries: scores, softmax in place, product with the
// values, division by the sums.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/AttentionTask.h"
#include "passes/lowering/cpu/Lanes.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;

namespace contraflow::cpu {

namespace {

enum Operand : unsigned { kQuery, kKey, kValue, kInputs };

/// Emits one task of attention.
class ForwardTask {
public:
  ForwardTask(KernelEmission &kernel, Emitter &e, const AttentionShape &shape, const Task &task, Value batch)
      : e(e), shape(shape), t(kernel, e, shape, task, batch), output(shape.accesses.size() - 2) {}

  /// The scratch that a task takes; the pieces lie at the same offsets in every task.
  struct Layout {
    int64_t keys, values, scores, inverses, factors;
    int64_t bytes;
    Layout(const CpuTarget &target, const AttentionShape &shape) {
      ScratchLayout layout;
      keys = layout.take(AttentionTask::keyPanelElements(target, shape.seq, shape.size));
      values = layout.take(GemmEmitter::getPackedElements(target, shape.seq, shape.valueSize));
      scores = layout.take(kQueryBlock * AttentionTask::scoreStride(target, shape.seq));
      inverses = layout.take(kQueryBlock);
      factors = layout.take(AttentionTask::factorElements(target, shape));
      bytes = layout.getBytes();
    }
  };

  void emit(const Layout &layout, Value kvHead, Value begin, Value end) {
    Value keys = shape.causal ? end : e.constant(shape.seq);
    Value keyPanels = t.scratch(layout.keys), valuePanels = t.scratch(layout.values);
    t.packKeys(t.head(kKey, kvHead, kSize), keys, shape.size, keyPanels);
    values = t.gemm.pack(t.head(kValue, kvHead, kValueSize), keys, shape.seq, shape.valueSize, valuePanels);
    scores = t.scratch(layout.scores);
    inverses = t.scratch(layout.inverses);
    factors = t.scratch(layout.factors);
    t.forBlocks(kvHead, begin, end, [&](Value head) { emitBlock(head, keyPanels); });
  }

private:
  void emitBlock(Value head, Value keyPanels) {
    Value zero = e.constant(0);
    Matrix query = t.fromBlock(t.head(kQuery, head, kSize));
    Matrix out = t.fromBlock(t.head(output, head, kValueSize));
    t.multiplyKeys(query, keyPanels, shape.size, scores);
    t.forRows(head, factors, [&](Value row) { emitSoftmax(head, row); });

    PanelProduct product;
    product.a = {scores, t.stride, 1};
    product.rowEnd = t.rows;
    product.remainders = t.rowRemainders;
    product.depth = [&](Value row) { return t.keysOfTile(row); };
    product.c = out;
    product.accumulate = e.falseValue();
    t.gemm.multiplyPacked(product, values);
    e.forLoop(zero, t.rows, 1, [&](Value row) {
      Value inverse = e.broadcast(e.loadF32(e.offset(inverses, row)));
      Value to = e.offset(out.pointer, e.mul(row, out.rowStride));
      e.forVectors(shape.valueSize, [&](Value i, Value mask) {
        Value at = e.offset(to, i);
        e.storeMaybe(e.mulf(e.loadMaybe(at, mask), inverse), at, mask);
      });
    });
  }

  /// Turns a row of scores into exp(scale * (score - largest)); notes the inverse of their sum.
  void emitSoftmax(Value head, Value row) {
    Value line = e.offset(scores, e.mul(row, t.stride));
    AttentionTask::Visible keys = t.visible(row);
    // The score whose product with the scale is largest. It starts from infinity, so that a row whose scores
    // all overflowed becomes NaN and is noticed, as in other rows that are not finite.
    bool positive = shape.scale >= 0.0f;
    float infinity = std::numeric_limits<float>::infinity(), least = positive ? -infinity : infinity;
    auto better = [&](Value a, Value b) {
      auto greater = positive ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
      return e.select(arith::CmpFOp::create(e.builder, e.loc, greater, b, a), b, a);
    };
    Value largest =
        t.forVisible(keys, ValueRange{e.splat(least)}, [&](Value key, Value mask, ValueRange best) {
          Value score = e.loadAligned(e.offset(line, key));
          return SmallVector<Value>{better(best[0], mask ? e.select(mask, score, e.splat(least)) : score)};
        })[0];
    largest = reduceLanes(e, largest, better);

    Value shift = e.broadcast(largest), scale = e.splat(shape.scale), none = e.splat(0.0f);
    Value sum = t.forVisible(keys, ValueRange{none}, [&](Value key, Value mask, ValueRange sums) {
      Value at = e.offset(line, key);
      Value exponent = e.mulf(e.subf(e.loadAligned(at), shift), scale);
      // Invisible lanes could hold anything, and exponents far below zero take slow paths.
      if (mask)
        exponent = e.select(mask, exponent, none);
      Value p = math::ExpOp::create(e.builder, e.loc, exponent);
      if (mask)
        p = e.select(mask, p, none);
      // The sum is that of all probabilities, dropped or not.
      e.storeAligned(t.drop(p, factors, row, key), at);
      return SmallVector<Value>{e.addf(sums[0], p)};
    })[0];
    sum = reduceLanes(e, sum, [&](Value a, Value b) { return e.addf(a, b); });
    t.clearInvisible(keys, row, line);

    // A query that sees nothing has output zero.
    Value empty =
        arith::CmpFOp::create(e.builder, e.loc, arith::CmpFPredicate::OEQ, sum, e.constantF32(0.0f));
    Value inverse = e.select(empty, e.constantF32(0.0f), e.divf(e.constantF32(1.0f), sum));
    e.store(inverse, e.offset(inverses, row));
    Value lse =
        e.addf(e.mulf(largest, e.constantF32(shape.scale)), math::LogOp::create(e.builder, e.loc, sum));
    e.store(lse, t.rowElement(output + 1, head, e.add(t.first, row)));
  }

  Emitter &e;
  const AttentionShape &shape;
  AttentionTask t;
  unsigned output;
  PackedMatrix values;
  Value scores, inverses, factors;
};

} // namespace

LogicalResult emitAttention(KernelEmission &kernel) {
  FailureOr<AttentionShape> read =
      AttentionShape::read(kernel.op, kInputs, {{kernel.op.getNumInputs(), kValueSize}});
  if (failed(read))
    return failure();
  const AttentionShape &shape = *read;
  // Enough tasks for many threads, long enough runs that packing the keys again costs little.
  constexpr int64_t kTasks = 16, kShortestRun = 2 * kQueryBlock;
  int64_t groups = shape.batch * shape.kvHeads;
  int64_t runs = std::clamp<int64_t>(llvm::divideCeil(kTasks, groups), 1,
                                     std::max<int64_t>(shape.seq / kShortestRun, 1));
  int64_t run = llvm::alignTo(llvm::divideCeil(shape.seq, runs), kQueryBlock);
  runs = llvm::divideCeil(shape.seq, run);

  ForwardTask::Layout layout(kernel.target, shape);
  return kernel.parallel(groups * runs, layout.bytes, [&](Emitter &e, const Task &task) {
    Value group = e.div(task.index, runs);
    // The last run of a causal sequence is the longest: first.
    Value begin = e.mul(e.sub(e.constant(runs - 1), e.rem(task.index, runs)), run);
    Value end = e.min(e.add(begin, run), e.constant(shape.seq));
    ForwardTask(kernel, e, shape, task, e.div(group, shape.kvHeads))
        .emit(layout, e.rem(group, shape.kvHeads), begin, end);
    return success();
  });
}

} // namespace contraflow::cpu
