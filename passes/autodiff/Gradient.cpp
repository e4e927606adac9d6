//===- Gradient.cpp - reverse sweep over a straight line of operations ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/autodiff/Gradient.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace contraflow::autodiff {

namespace {

/// State of one sweep.
class Sweep {
public:
  Sweep(Block &body, ArrayRef<Leaf> leaves)
      : body(body), builder(OpBuilder::atBlockEnd(&body)), leaves(leaves), gradients(leaves.size()) {
    for (auto [index, leaf] : llvm::enumerate(leaves)) {
      leafIndex[leaf.value] = index;
      active.insert(leaf.value);
      gradients[index].value = leaf.accumulator;
      gradients[index].deferrable = true;
    }
  }

  LogicalResult run(ArrayRef<Seed> seeds);
  SmallVector<LeafGradient> takeGradients();

private:
  LogicalResult visit(Operation &op);
  void contribute(Value value, Value gradient, bool deferrable);

  Block &body;
  OpBuilder builder;
  ArrayRef<Leaf> leaves;
  SmallVector<LeafGradient> gradients;
  llvm::SmallDenseMap<Value, unsigned> leafIndex;
  /// Values that depend on a leaf.
  llvm::DenseSet<Value> active;
  /// Values whose gradient is (partly) known.
  llvm::DenseMap<Value, Value> sums;
  llvm::SmallDenseSet<unsigned> reached;
};

/// Adds `gradient` to what is known of the gradient of `value`.
void Sweep::contribute(Value value, Value gradient, bool deferrable) {
  auto leaf = leafIndex.find(value);
  if (leaf != leafIndex.end() && leaves[leaf->second].accumulator) {
    LeafGradient &entry = gradients[leaf->second];
    entry.value = nn::AccumulateOp::create(builder, gradient.getLoc(), entry.value, gradient);
    entry.deferrable &= deferrable;
    reached.insert(leaf->second);
    return;
  }
  Value &sum = sums[value];
  sum = sum ? nn::AddOp::create(builder, gradient.getLoc(), sum, gradient).getResult() : gradient;
}

LogicalResult Sweep::visit(Operation &op) {
  SmallVector<Value> resultGrads;
  for (Value result : op.getResults())
    resultGrads.push_back(sums.lookup(result));
  bool hasGradient = llvm::any_of(resultGrads, [](Value gradient) { return !!gradient; });
  bool isActive = llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); });
  if (!hasGradient || !isActive)
    return success();

  auto rule = dyn_cast<nn::DifferentiableOp>(op);
  if (!rule)
    return op.emitOpError("has no gradient rule, but a gradient arrives at its result");

  SmallVector<Value> operandGrads(op.getNumOperands());
  if (failed(rule.buildInputGrads(builder, resultGrads, operandGrads)))
    return failure();
  for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
    if (!active.contains(operand))
      continue;
    // A weight that is not a parameter (the product of two activations, a reshaped parameter) passes its
    // gradient on.
    bool isWeight = rule.isWeight(index);
    Value gradient = isWeight ? rule.buildWeightGrad(builder, index, resultGrads) : operandGrads[index];
    if (gradient)
      contribute(operand, gradient, isWeight && rule.hasDeferrableWeightGrad());
  }
  return success();
}

LogicalResult Sweep::run(ArrayRef<Seed> seeds) {
  SmallVector<Operation *> ops;
  for (Operation &op : body) {
    ops.push_back(&op);
    if (llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
      for (Value result : op.getResults())
        if (isFloat(result))
          active.insert(result);
  }
  for (const Seed &seed : seeds)
    if (active.contains(seed.value))
      contribute(seed.value, seed.gradient, /*deferrable=*/false);
  for (Operation *op : llvm::reverse(ops))
    if (failed(visit(*op)))
      return failure();
  return success();
}

SmallVector<LeafGradient> Sweep::takeGradients() {
  for (auto [index, leaf] : llvm::enumerate(leaves)) {
    LeafGradient &entry = gradients[index];
    if (!leaf.accumulator)
      entry = {sums.lookup(leaf.value), false};
    else if (!reached.contains(index))
      entry = {};
  }
  return std::move(gradients);
}

} // namespace

FailureOr<SmallVector<LeafGradient>> buildGradients(Block &body, ArrayRef<Seed> seeds,
                                                    ArrayRef<Leaf> leaves) {
  Sweep sweep(body, leaves);
  if (failed(sweep.run(seeds)))
    return failure();
  return sweep.takeGradients();
}

Slice computeSlice(ValueRange roots, llvm::function_ref<bool(Operation *)> belongs) {
  Slice slice;
  SmallVector<Value> worklist(roots.begin(), roots.end());
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *op = value.getDefiningOp();
    bool inside = op && (op->getNumOperands() == 0 || belongs(op));
    if (!inside)
      slice.captured.insert(value);
    else if (slice.ops.insert(op).second)
      llvm::append_range(worklist, op->getOperands());
  }
  return slice;
}

} // namespace contraflow::autodiff
