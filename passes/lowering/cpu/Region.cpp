//===- Region.cpp - regions of kernels, evaluated on vectors --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/Region.h"

#include "passes/lowering/common/Random.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace contraflow::cpu {

RegionEvaluator::RegionEvaluator(Emitter &e, nn::KernelOp op, const RegionInfo &info,
                                 ArrayRef<Value> pointers, bool vectorRows)
    : e(e), op(op), info(info), pointers(pointers), vectorRows(vectorRows) {
  dims.assign(info.shape.sizes.size(), LaneIndex::constant(e.target.lanes, 0));
}

void RegionEvaluator::startRow() {
  row.clear();
  symbols.clear();
  llvm::DenseMap<int64_t, Value> loaded;
  for (unsigned i = 0, count = op.getNumInputs() + op.getNumResults(); i < count; ++i) {
    SmallVector<int64_t> gather = op.getGather(i);
    if (gather.empty() || (i < op.getNumInputs() && !info.isUsed(op.getBody().getArgument(i))))
      continue;
    Symbols &of = symbols[i];
    for (int64_t input : gather) {
      Value &symbol = loaded[input];
      if (!symbol)
        symbol = loadOperand(input, vectorRows);
      Value zero = vectorRows ? e.splatI32(0) : e.constantI32(0);
      Value valid = arith::CmpIOp::create(e.builder, e.loc, arith::CmpIPredicate::sge, symbol, zero);
      of.valid = of.valid ? arith::AndIOp::create(e.builder, e.loc, of.valid, valid) : valid;
      Value inside = e.max(symbol, zero);
      LaneIndex index = LaneIndex::constant(e.target.lanes, 0);
      if (vectorRows)
        index.varying = inside;
      else
        index = LaneIndex::uniform(e.target.lanes, e.toI64(inside));
      of.values.push_back(std::move(index));
    }
  }
}

LaneIndex RegionEvaluator::indexOf(unsigned operand) {
  auto found = symbols.find(operand);
  ArrayRef<LaneIndex> values = found == symbols.end() ? ArrayRef<LaneIndex>() : found->second.values;
  return LaneEvaluator(e, info.shape.sizes, dims, values).evaluate(info.shape.operands[operand]);
}

Value RegionEvaluator::loadOperand(unsigned operand, bool vector) {
  auto found = symbols.find(operand);
  Value valid = found == symbols.end() ? Value() : found->second.valid;
  Type element = op.getInputType(operand).getElementType();
  LaneIndex index = indexOf(operand);
  if (vector)
    return loadLanes(e, pointers[operand], index, element, mask, valid);
  Value loaded = loadUniform(e, pointers[operand], index, element);
  Value zero = arith::ConstantOp::create(e.builder, e.loc, e.builder.getZeroAttr(element));
  return valid ? e.select(valid, loaded, zero) : loaded;
}

Value RegionEvaluator::compute(Operation *inner, ArrayRef<Value> operands, bool vector) {
  if (auto index = dyn_cast<nn::DomainIndexOp>(inner)) {
    LaneIndex number = LaneEvaluator(e, info.shape.sizes, dims).evaluate(info.shape.dims[index.getDim()]);
    if (vector)
      return toVector(e, number);
    Value base = number.base ? e.add(number.base, number.pattern[0]) : e.constant(number.pattern[0]);
    return e.toI32(base);
  }
  if (auto keep = dyn_cast<nn::RandomKeepOp>(inner))
    return lowering::emitRandomKeep(e.builder, e.loc, keep, operands);
  // With one column a reduction is what it reduces.
  if (isa<nn::RowSumOp, nn::RowMaxOp>(inner))
    return operands[0];
  if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
    Value scalar = arith::ConstantOp::create(e.builder, e.loc, constant.getValue());
    return vector ? e.broadcast(scalar) : scalar;
  }
  Type type = inner->getResult(0).getType();
  if (vector)
    type = VectorType::get({e.target.lanes}, type);
  OperationState state(e.loc, inner->getName(), operands, {type}, inner->getAttrs());
  state.propertiesAttr = inner->getPropertiesAsAttribute();
  return e.builder.create(state)->getResult(0);
}

void RegionEvaluator::computeRow(int64_t until) {
  mlir::Block &body = op.getBody().front();
  auto wanted = [&](Value value) {
    return info.isUsed(value) && !info.isPerColumn(value) && info.phase(value) == until &&
           !row.contains(value);
  };
  for (BlockArgument argument : body.getArguments())
    if (wanted(argument))
      row[argument] = loadOperand(argument.getArgNumber(), vectorRows);
  for (Operation &inner : body.without_terminator()) {
    if (!wanted(inner.getResult(0)) || info.isReduction(&inner))
      continue;
    SmallVector<Value> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(row.lookup(operand));
    row[inner.getResult(0)] = compute(&inner, operands, vectorRows);
  }
}

Value RegionEvaluator::get(Value value, Block &block) {
  if (Value known = block.lookup(value))
    return known;
  Value result;
  auto memory = kept.find(value);
  if (!info.isPerColumn(value)) {
    result = row.lookup(value);
    if (!llvm::isa<VectorType>(result.getType()))
      result = e.broadcast(result);
  } else if (memory != kept.end() && memory->second.first < phase) {
    result = e.load(VectorType::get({e.target.lanes}, value.getType()),
                    uniformAddress(e, memory->second.second, dims.back()), 4 * e.target.lanes);
  } else if (auto argument = llvm::dyn_cast<BlockArgument>(value)) {
    result = loadOperand(argument.getArgNumber(), /*vector=*/true);
  } else {
    SmallVector<Value> operands;
    for (Value operand : value.getDefiningOp()->getOperands())
      operands.push_back(get(operand, block));
    result = compute(value.getDefiningOp(), operands, /*vector=*/true);
  }
  return block[value] = result;
}

void RegionEvaluator::storeColumns(unsigned i, Value vector) {
  unsigned operand = op.getNumInputs() + i;
  auto found = symbols.find(operand);
  storeLanes(e, vector, pointers[operand], indexOf(operand), mask,
             found == symbols.end() ? Value() : found->second.valid);
}

void RegionEvaluator::storeRow(unsigned i, Value value) {
  if (llvm::isa<VectorType>(value.getType()))
    return storeColumns(i, value);
  unsigned operand = op.getNumInputs() + i;
  Value address = uniformAddress(e, pointers[operand], indexOf(operand));
  auto found = symbols.find(operand);
  if (found == symbols.end())
    e.store(value, address);
  else
    e.ifThen(found->second.valid, [&] { e.store(value, address); });
}

Value RegionEvaluator::loadResult(unsigned i) {
  unsigned operand = op.getNumInputs() + i;
  return loadLanes(e, pointers[operand], indexOf(operand), op.getResultType(i).getElementType(), mask);
}

} // namespace contraflow::cpu
