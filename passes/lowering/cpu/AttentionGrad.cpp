//===- AttentionGrad.cpp - gradients of q, k and v ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is one sequence and one key/value head with all query heads that share it, so that every element of
// d_k and d_v is summed by one task, in order of heads and queries. Per block of queries:
//
//   s  = q k^T               p   = exp(scale * s - lse)                 recomputed, cheaper than saving it
//   dp = d_o v^T             ds  = scale * p * (dp - sum(d_o * o))      in place of dp; the sum less d_lse
//   d_v += p^T d_o           d_k += ds^T q                              tiles of keys, p and ds read across
//   d_q  = ds k
//
// Where the forward dropped, p of d_v and dp are dropped by the same factors.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/AttentionTask.h"
#include "passes/lowering/cpu/Lanes.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace contraflow::cpu {

namespace {

enum Operand : unsigned { kQuery, kKey, kValue, kOutput, kLse, kOutputGrad, kLseGrad };

bool readsLseGrad(nn::KernelOp op) { return cast<nn::AttentionGradAnchorAttr>(op.getAnchor()).getLseGrad(); }

/// Emits one task of the gradient.
class BackwardTask {
public:
  BackwardTask(KernelEmission &kernel, Emitter &e, const AttentionShape &shape, const Task &task, Value batch)
      : e(e), shape(shape), t(kernel, e, shape, task, batch), gradients(kernel.op.getNumInputs()),
        hasLseGrad(readsLseGrad(kernel.op)) {}

  /// The scratch that a task takes; the pieces lie at the same offsets in every task.
  struct Layout {
    int64_t keyPanels, valuePanels, keys, queries, outputGrads, probabilities, scoreGrads, factors;
    int64_t bytes;
    Layout(const CpuTarget &target, const AttentionShape &shape) {
      ScratchLayout layout;
      keyPanels = layout.take(AttentionTask::keyPanelElements(target, shape.seq, shape.size));
      valuePanels = layout.take(AttentionTask::keyPanelElements(target, shape.seq, shape.valueSize));
      keys = layout.take(GemmEmitter::getPackedElements(target, shape.seq, shape.size));
      queries = layout.take(GemmEmitter::getPackedElements(target, kQueryBlock, shape.size));
      outputGrads = layout.take(GemmEmitter::getPackedElements(target, kQueryBlock, shape.valueSize));
      probabilities = layout.take(kQueryBlock * AttentionTask::scoreStride(target, shape.seq));
      scoreGrads = layout.take(kQueryBlock * AttentionTask::scoreStride(target, shape.seq));
      factors = layout.take(AttentionTask::factorElements(target, shape));
      bytes = layout.getBytes();
    }
  };

  void emit(const Layout &layout, Value kvHead) {
    Value seq = e.constant(shape.seq);
    Matrix key = t.head(kKey, kvHead, kSize), value = t.head(kValue, kvHead, kValueSize);
    Value keyPanels = t.scratch(layout.keyPanels), valuePanels = t.scratch(layout.valuePanels);
    t.packKeys(key, seq, shape.size, keyPanels);
    t.packKeys(value, seq, shape.valueSize, valuePanels);
    PackedMatrix keys = t.gemm.pack(key, seq, shape.seq, shape.size, t.scratch(layout.keys));
    probabilities = t.scratch(layout.probabilities);
    scoreGrads = t.scratch(layout.scoreGrads);
    factors = t.scratch(layout.factors);
    Matrix keyGrad = t.head(gradients + 1, kvHead, kSize),
           valueGrad = t.head(gradients + 2, kvHead, kValueSize);
    clear(keyGrad, shape.size);
    clear(valueGrad, shape.valueSize);

    t.forBlocks(kvHead, e.constant(0), seq, [&](Value head) {
      Matrix query = t.fromBlock(t.head(kQuery, head, kSize));
      Matrix outputGrad = t.fromBlock(t.head(kOutputGrad, head, kValueSize));
      t.multiplyKeys(query, keyPanels, shape.size, probabilities);
      t.multiplyKeys(outputGrad, valuePanels, shape.valueSize, scoreGrads);
      t.forRows(head, factors, [&](Value row) { emitRow(head, row); });

      PackedMatrix queries = t.gemm.pack(query, t.rows, kQueryBlock, shape.size, t.scratch(layout.queries));
      PackedMatrix outputGrads =
          t.gemm.pack(outputGrad, t.rows, kQueryBlock, shape.valueSize, t.scratch(layout.outputGrads));
      addAcross(probabilities, outputGrads, valueGrad);
      addAcross(scoreGrads, queries, keyGrad);

      PanelProduct product;
      product.a = {scoreGrads, t.stride, 1};
      product.rowEnd = t.rows;
      product.remainders = t.rowRemainders;
      product.depth = [&](Value row) { return t.keysOfTile(row); };
      product.c = t.fromBlock(t.head(gradients, head, kSize));
      product.accumulate = e.falseValue();
      t.gemm.multiplyPacked(product, keys);
    });
  }

private:
  void clear(Matrix gradient, int64_t size) {
    e.forLoop(e.constant(0), e.constant(shape.seq), 1, [&](Value row) {
      Value line = gradient.at(e, row, e.constant(0));
      e.forVectors(size, [&](Value i, Value mask) { e.storeMaybe(e.splat(0.0f), e.offset(line, i), mask); });
    });
  }

  /// gradient[key][.] += sum over queries of the block of scores[query][key] * b[query][.]
  void addAcross(Value scores, const PackedMatrix &b, Matrix gradient) {
    PanelProduct product;
    product.a = {scores, 1, t.stride};
    product.rowBegin = t.depthBegin;
    product.rowEnd = t.depthEnd;
    product.remainders = t.keyRemainders;
    product.depth = [&](Value key) { return t.queriesOfTile(key); };
    product.c = gradient;
    product.accumulate = e.trueValue();
    t.gemm.multiplyPacked(product, b);
  }

  /// sum(d_o * o) of a row.
  Value emitOutputProduct(Value head, Value row) {
    Value position = e.add(t.first, row), zero = e.constant(0);
    Value output = t.head(kOutput, head, kValueSize).at(e, position, zero);
    Value grad = t.head(kOutputGrad, head, kValueSize).at(e, position, zero);
    int64_t lanes = e.target.lanes, whole = shape.valueSize / lanes * lanes;
    auto add = [&](Value i, Value mask, Value sum) {
      return e.fma(e.loadMaybe(e.offset(grad, i), mask), e.loadMaybe(e.offset(output, i), mask), sum);
    };
    Value sum = e.splat(0.0f);
    if (whole)
      sum = e.forLoop(zero, e.constant(whole), lanes, ValueRange{sum}, [&](Value i, ValueRange sums) {
        return SmallVector<Value>{add(i, Value(), sums[0])};
      })[0];
    if (whole < shape.valueSize)
      sum = add(e.constant(whole), e.maskBelow(e.constant(shape.valueSize - whole)), sum);
    return reduceLanes(e, sum, [&](Value a, Value b) { return e.addf(a, b); });
  }

  /// Scores become probabilities, gradients of probabilities those of scores.
  void emitRow(Value head, Value row) {
    Value lse = e.broadcast(e.loadF32(t.rowElement(kLse, head, e.add(t.first, row))));
    Value mean = emitOutputProduct(head, row);
    if (hasLseGrad)
      mean = e.subf(mean, e.loadF32(t.rowElement(kLseGrad, head, e.add(t.first, row))));
    mean = e.broadcast(mean);
    Value p = e.offset(probabilities, e.mul(row, t.stride)), ds = e.offset(scoreGrads, e.mul(row, t.stride));
    Value scale = e.splat(shape.scale), none = e.splat(0.0f);
    AttentionTask::Visible keys = t.visible(row);
    t.forVisible(keys, ValueRange(), [&](Value key, Value mask, ValueRange) {
      Value pAt = e.offset(p, key), dsAt = e.offset(ds, key);
      Value exponent = e.subf(e.mulf(e.loadAligned(pAt), scale), lse);
      // Invisible lanes could hold anything.
      if (mask)
        exponent = e.select(mask, exponent, none);
      Value probability = math::ExpOp::create(e.builder, e.loc, exponent);
      Value dropped = t.drop(e.loadAligned(dsAt), factors, row, key);
      Value grad = e.mulf(e.mulf(probability, scale), e.subf(dropped, mean));
      probability = t.drop(probability, factors, row, key);
      e.storeAligned(mask ? e.select(mask, probability, none) : probability, pAt);
      e.storeAligned(mask ? e.select(mask, grad, none) : grad, dsAt);
      return SmallVector<Value>();
    });
    t.clearInvisible(keys, row, ValueRange{p, ds});
  }

  Emitter &e;
  const AttentionShape &shape;
  AttentionTask t;
  /// The number of the first result.
  unsigned gradients;
  bool hasLseGrad;
  Value probabilities, scoreGrads, factors;
};

} // namespace

LogicalResult emitAttentionGrad(KernelEmission &kernel) {
  unsigned gradients = kernel.op.getNumInputs();
  unsigned inputs = readsLseGrad(kernel.op) ? kLseGrad + 1 : kLseGrad;
  FailureOr<AttentionShape> read = AttentionShape::read(kernel.op, inputs,
                                                        {{gradients, kSize},
                                                         {gradients + 1, kSize},
                                                         {gradients + 2, kValueSize},
                                                         {kOutput, kValueSize},
                                                         {kOutputGrad, kValueSize}});
  if (failed(read))
    return failure();
  const AttentionShape &shape = *read;
  BackwardTask::Layout layout(kernel.target, shape);
  return kernel.parallel(shape.batch * shape.kvHeads, layout.bytes, [&](Emitter &e, const Task &task) {
    BackwardTask(kernel, e, shape, task, e.div(task.index, shape.kvHeads))
        .emit(layout, e.rem(task.index, shape.kvHeads));
    return success();
  });
}

} // namespace contraflow::cpu
