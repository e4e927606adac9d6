//===- AttentionTask.cpp - what attention and its gradient share ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/AttentionTask.h"

#include "passes/lowering/common/Random.h"

using namespace mlir;

namespace contraflow::cpu {

template <typename Anchor> static void readAnchor(Anchor anchor, AttentionShape &shape) {
  shape.kvHeads = anchor.getKvHeads();
  shape.scale = anchor.getScale().getValueAsDouble();
  shape.causal = anchor.getCausal();
  shape.drop = anchor.getDrop();
}

FailureOr<AttentionShape> AttentionShape::read(nn::KernelOp op, unsigned inputsWithoutStarts,
                                               ArrayRef<std::pair<unsigned, unsigned>> contiguous) {
  AttentionShape shape;
  ArrayRef<int64_t> domain = op.getDomain();
  shape.batch = domain[0];
  shape.seq = domain[1];
  shape.heads = domain[2];
  shape.size = domain[3];
  shape.valueSize = domain[4];
  if (auto anchor = llvm::dyn_cast<nn::AttentionAnchorAttr>(op.getAnchor()))
    readAnchor(anchor, shape);
  else
    readAnchor(llvm::cast<nn::AttentionGradAnchorAttr>(op.getAnchor()), shape);
  int64_t inputs = op.getNumInputs();
  shape.keyInput = shape.drop ? --inputs : -1;
  shape.startsInput = inputs > int64_t(inputsWithoutStarts) ? int64_t(inputsWithoutStarts) : -1;
  for (unsigned i = 0, e = op.getNumInputs() + op->getNumResults(); i < e; ++i) {
    FailureOr<StridedAccess> access = getStridedAccess(op, i);
    if (failed(access))
      return failure();
    shape.accesses.push_back(*access);
  }
  for (auto [operand, column] : contiguous)
    if (shape.accesses[operand].strides[column] != 1 && domain[column] > 1)
      return op.emitError() << "kernel '" << op.getLabel() << "' accesses heads of operand " << operand
                            << " with elements at distance " << shape.accesses[operand].strides[column]
                            << ", attention wants them contiguous";
  return shape;
}

int64_t AttentionTask::scoreStride(const CpuTarget &target, int64_t seq) {
  return llvm::alignTo(seq, target.tileColumns()) + target.lanes;
}

int64_t AttentionTask::keyPanelElements(const CpuTarget &target, int64_t seq, int64_t depth) {
  return llvm::divideCeil(seq, target.tileColumns()) *
         GemmEmitter::getPanelElements(target, depth, target.tileVectors);
}

Matrix AttentionTask::head(unsigned index, Value head, unsigned columnDim) {
  const StridedAccess &access = shape.accesses[index];
  Value element =
      e.add(e.mul(batch, access.strides[0]), e.add(e.mul(head, access.strides[2]), access.offset));
  return {e.offset(task.operands[index], element), access.strides[1], access.strides[columnDim]};
}

Value AttentionTask::rowElement(unsigned index, Value head, Value position) {
  Matrix column = this->head(index, head, /*columnDim=*/3);
  return e.offset(column.pointer, e.mul(position, column.rowStride));
}

void AttentionTask::packKeys(Matrix rows, Value keys, int64_t depth, Value panels) {
  int64_t width = e.target.tileColumns();
  int64_t elements = GemmEmitter::getPanelElements(e.target, depth, e.target.tileVectors);
  e.forLoop(e.constant(0), keys, width, [&](Value key) {
    Matrix b = rows.transposed();
    b.pointer = rows.at(e, key, e.constant(0));
    gemm.packPanel(b, e.constant(depth), e.min(e.sub(keys, key), e.constant(width)), e.target.tileVectors,
                   e.offset(panels, e.mul(e.div(key, width), elements)));
  });
}

void AttentionTask::multiplyKeys(Matrix a, Value panels, int64_t depth, Value scores) {
  int64_t width = e.target.tileColumns(), tile = e.target.tileRows;
  int64_t elements = GemmEmitter::getPanelElements(e.target, depth, e.target.tileVectors);
  Value zero = e.constant(0);
  e.forLoop(depthBegin, depthEnd, width, [&](Value key) {
    PanelProduct product;
    product.a = a;
    product.rowEnd = rows;
    product.remainders = rowRemainders;
    if (shape.causal) {
      // Queries before the panel do not see it.
      Value row = e.max(e.sub(key, first), zero);
      product.rowBegin = e.sub(row, e.rem(row, tile));
    }
    product.depth = [&](Value) { return std::make_pair(zero, e.constant(depth)); };
    product.panel = {e.offset(panels, e.mul(e.div(key, width), elements)), e.target.tileVectors,
                     e.constant(width)};
    product.c = {e.offset(scores, key), stride, 1};
    product.accumulate = e.falseValue();
    gemm.multiply(product);
  });
}

void AttentionTask::forBlocks(Value kvHead, Value begin, Value end, function_ref<void(Value)> body) {
  e.forLoop(e.constant(0), e.constant(shape.headsPerGroup()), 1, [&](Value i) {
    Value head = e.add(e.mul(kvHead, shape.headsPerGroup()), i);
    e.forLoop(begin, end, kQueryBlock, [&](Value blockFirst) {
      beginBlock(blockFirst, e.min(e.sub(end, blockFirst), e.constant(kQueryBlock)));
      body(head);
    });
  });
}

Matrix AttentionTask::fromBlock(Matrix head) {
  head.pointer = head.at(e, first, e.constant(0));
  return head;
}

void AttentionTask::beginBlock(Value blockFirst, Value blockRows) {
  int64_t tile = e.target.tileRows;
  first = blockFirst;
  rows = blockRows;
  rowRemainders = {shape.seq % kQueryBlock % tile};
  keyRemainders = {shape.seq % tile};
  depthEnd = shape.causal ? e.add(first, rows) : e.constant(shape.seq);
  depthBegin = e.constant(0);
  if (shape.startsInput < 0)
    return;
  // The first key that any query of the block sees, rounded down to a multiple of every tile.
  Value earliest = e.forLoop(e.constant(0), rows, 1, ValueRange{depthEnd}, [&](Value row, ValueRange least) {
    return SmallVector<Value>{e.min(least[0], visible(row).begin)};
  })[0];
  depthBegin = e.sub(earliest, e.rem(earliest, kQueryBlock));
}

std::pair<Value, Value> AttentionTask::keysOfTile(Value row) {
  if (!shape.causal)
    return {depthBegin, depthEnd};
  return {depthBegin, e.min(depthEnd, e.add(e.add(first, row), e.target.tileRows))};
}

std::pair<Value, Value> AttentionTask::queriesOfTile(Value key) {
  return {shape.causal ? e.max(e.sub(key, first), e.constant(0)) : e.constant(0), rows};
}

AttentionTask::Visible AttentionTask::visible(Value row) {
  Value position = e.add(first, row), begin = e.constant(0);
  if (shape.startsInput >= 0) {
    Value start = e.toI64(e.loadI32(rowElement(shape.startsInput, e.constant(0), position)));
    // Memory safety does not depend on data.
    begin = e.min(e.max(start, begin), e.constant(shape.seq));
  }
  return {begin, shape.causal ? e.add(position, 1) : e.constant(shape.seq)};
}

SmallVector<Value>
AttentionTask::forVisible(const Visible &keys, ValueRange inits,
                          function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  int64_t lanes = e.target.lanes;
  auto down = [&](Value key) { return e.sub(key, e.rem(key, lanes)); };
  bool hasBegin = shape.startsInput >= 0;
  Value head = down(keys.begin), tail = down(keys.end);
  Value whole = hasBegin ? down(e.add(keys.begin, lanes - 1)) : head;
  auto masked = [&](Value key, ValueRange values) {
    Value mask = e.maskBelow(e.sub(keys.end, key));
    if (hasBegin)
      mask = e.andNot(mask, e.maskBelow(e.sub(keys.begin, key)));
    return body(key, mask, values);
  };
  // Each partial vector is a loop of one or no step. Where both ends lie in one vector it is the tail.
  SmallVector<Value> values(inits);
  if (hasBegin)
    values = e.forLoop(head, e.min(whole, tail), lanes, values, masked);
  values =
      e.forLoop(whole, tail, lanes, values, [&](Value key, ValueRange v) { return body(key, Value(), v); });
  return e.forLoop(tail, keys.end, lanes, values, masked);
}

void AttentionTask::forRows(Value head, Value factors, function_ref<void(Value)> body) {
  Value zero = e.constant(0);
  if (!shape.drop) {
    e.forLoop(zero, rows, 1, body);
    return;
  }
  static_assert(kQueryBlock % kRandomRows == 0);
  e.forLoop(zero, rows, kRandomRows, [&](Value firstRow) {
    emitFactors(head, firstRow, factors);
    e.forLoop(firstRow, e.min(e.add(firstRow, kRandomRows), rows), 1, body);
  });
}

Value AttentionTask::drop(Value probabilities, Value factors, Value row, Value key) {
  if (!shape.drop)
    return probabilities;
  Value line = e.offset(factors, e.mul(e.rem(row, kRandomRows), stride));
  return e.mulf(probabilities, e.loadAligned(e.offset(line, key)));
}

/// factors[r][key] of rows firstRow + r: 0 where the probability is dropped. Positions of a block begin at a
/// multiple of kRandomRows, so the rows are the four words of one counter.
void AttentionTask::emitFactors(Value head, Value firstRow, Value factors) {
  Value key = e.offset(task.operands[shape.keyInput], shape.accesses[shape.keyInput].offset);
  auto keyWord = [&](int64_t i) { return e.loadI32(e.offset(key, i)); };
  Value sequence = e.add(e.mul(e.toI64(keyWord(2)), shape.batch), batch);
  Value slice = e.broadcast(e.toI32(e.add(e.mul(sequence, shape.heads), head)));
  Value group = e.broadcast(e.toI32(e.div(e.add(first, firstRow), kRandomRows)));
  Value key0 = e.broadcast(keyWord(0)), key1 = e.broadcast(keyWord(1));
  SmallVector<int32_t> lanes = llvm::to_vector_of<int32_t>(llvm::seq<int64_t>(0, e.target.lanes));
  Value numbers = arith::ConstantOp::create(e.builder, e.loc,
                                            DenseElementsAttr::get(e.vecI32(), ArrayRef<int32_t>(lanes)));
  Value stream = e.splatI32(static_cast<int32_t>(shape.drop.getStream()));
  Value scale = e.splat(shape.drop.getScale().getValueAsDouble()), none = e.splat(0.0f);
  Value end = visible(e.min(e.add(firstRow, kRandomRows - 1), e.sub(rows, e.constant(1)))).end;
  e.forLoop(depthBegin, end, e.target.lanes, [&](Value column) {
    Value columns = e.add(e.broadcast(e.toI32(column)), numbers);
    lowering::RandomWords words =
        lowering::emitPhilox(e.builder, e.loc, key0, key1, {columns, group, stream, slice});
    for (auto [r, word] : llvm::enumerate(words)) {
      Value keep = lowering::emitKeep(e.builder, e.loc, word, shape.drop);
      e.storeAligned(e.select(keep, scale, none), e.offset(factors, e.add(column, int64_t(r) * stride)));
    }
  });
}

void AttentionTask::clearInvisible(const Visible &keys, Value row, ValueRange rowsOfScores) {
  int64_t lanes = e.target.lanes;
  auto clear = [&](Value from, Value to) {
    e.forLoop(from, to, lanes, [&](Value key) {
      for (Value scores : rowsOfScores)
        e.storeAligned(e.splat(0.0f), e.offset(scores, key));
    });
  };
  Value seen = e.add(keys.end, lanes - 1), tile = e.sub(row, e.rem(row, e.target.tileRows));
  seen = e.sub(seen, e.rem(seen, lanes));
  clear(seen, keysOfTile(tile).second);
  if (shape.startsInput >= 0)
    clear(depthBegin, e.min(e.sub(keys.begin, e.rem(keys.begin, lanes)), seen));
}

} // namespace contraflow::cpu
