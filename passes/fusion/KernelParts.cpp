//===- KernelParts.cpp - kernels taken apart and put together -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "passes/fusion/KernelParts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "passes/fusion/AccessMap.h"

using namespace mlir;

namespace contraflow::fusion {

//===----------------------------------------------------------------------===//
// Questions about one kernel
//===----------------------------------------------------------------------===//

bool isRows(nn::KernelOp kernel) { return isa<nn::RowsAnchorAttr>(kernel.getAnchor()); }

bool isPointwise(nn::KernelOp kernel) {
  return isRows(kernel) && llvm::none_of(kernel.getBody().front(),
                                         [](Operation &op) { return isa<nn::RowSumOp, nn::RowMaxOp>(op); });
}

bool hasTiedResult(nn::KernelOp kernel) {
  return llvm::any_of(kernel.getTied(), [](int64_t tied) { return tied >= 0; });
}

bool isTiedInput(nn::KernelOp kernel, unsigned input) {
  return llvm::is_contained(kernel.getTied(), static_cast<int64_t>(input));
}

bool isGatherSource(nn::KernelOp kernel, unsigned input) {
  for (unsigned i = 0; i < kernel.getGathers().size(); ++i)
    if (llvm::is_contained(kernel.getGather(i), static_cast<int64_t>(input)))
      return true;
  return false;
}

std::optional<unsigned> getMovedInput(nn::KernelOp kernel) {
  if (!isRows(kernel) || kernel->getNumResults() != 1 || !llvm::hasSingleElement(kernel.getBody().front()))
    return std::nullopt;
  auto yield = cast<nn::KernelYieldOp>(kernel.getBody().front().getTerminator());
  return cast<BlockArgument>(yield.getValues()[0]).getArgNumber();
}

std::optional<std::pair<unsigned, unsigned>> getAddedInputs(nn::KernelOp kernel) {
  if (!isRows(kernel) || kernel->getNumResults() != 1 || kernel.getNumInputs() != 2)
    return std::nullopt;
  Block &body = kernel.getBody().front();
  auto add = dyn_cast<arith::AddFOp>(body.front());
  auto yield = cast<nn::KernelYieldOp>(body.getTerminator());
  if (!add || add->getNextNode() != yield || yield.getValues()[0] != add.getResult())
    return std::nullopt;
  auto lhs = dyn_cast<BlockArgument>(add.getLhs()), rhs = dyn_cast<BlockArgument>(add.getRhs());
  if (!lhs || !rhs || lhs == rhs)
    return std::nullopt;
  if (kernel.getTied()[0] == rhs.getArgNumber())
    std::swap(lhs, rhs);
  return std::pair(lhs.getArgNumber(), rhs.getArgNumber());
}

bool isZeroFill(Value value) {
  auto kernel = value.getDefiningOp<nn::KernelOp>();
  if (!kernel || !isRows(kernel) || kernel->getNumResults() != 1)
    return false;
  auto yield = cast<nn::KernelYieldOp>(kernel.getBody().front().getTerminator());
  if (!matchPattern(yield.getValues()[0], m_AnyZeroFloat()))
    return false;
  int64_t tied = kernel.getTied()[0];
  return tied < 0 || isZeroFill(kernel.getInputs()[tied]);
}

bool isExpensive(nn::KernelOp kernel) {
  return llvm::any_of(kernel.getBody().front(), [](Operation &op) {
    return isa<arith::DivFOp, nn::RandomKeepOp>(op) || isa<math::MathDialect>(op.getDialect());
  });
}

//===----------------------------------------------------------------------===//
// A kernel under construction
//===----------------------------------------------------------------------===//

KernelParts::KernelParts(Location loc, Attribute anchor, ArrayRef<int64_t> domain)
    : loc(loc), anchor(anchor), domain(domain), region(std::make_unique<Region>()) {
  block = new Block();
  region->push_back(block);
}

AffineMap KernelParts::seenThrough(AffineMap map, AffineMap change) const {
  return compose(map, change, domain);
}

SmallVector<int64_t> KernelParts::addInputs(nn::KernelOp kernel, AffineMap change, ArrayRef<int64_t> gather,
                                            ArrayRef<unsigned> skipped) {
  SmallVector<int64_t> numbers;
  // Gathered ones last: their symbols are numbers of the others.
  numbers.assign(kernel.getNumInputs(), -1);
  for (bool gathered : {false, true})
    for (unsigned i = 0; i < kernel.getNumInputs(); ++i) {
      SmallVector<int64_t> sources = kernel.getGather(i);
      if (llvm::is_contained(skipped, i) || sources.empty() == gathered)
        continue;
      for (int64_t &source : sources)
        source = numbers[source];
      Operand operand{kernel.getInputs()[i], kernel.getInputs()[i].getType(),
                      seenThrough(kernel.getInputMap(i), change), sources};
      if (change.getNumSymbols())
        operand.gather.assign(gather.begin(), gather.end());
      auto same = llvm::find_if(inputs, [&](const Operand &other) {
        return other.value == operand.value && other.map == operand.map && other.gather == operand.gather;
      });
      numbers[i] = same - inputs.begin();
      if (same != inputs.end())
        continue;
      inputs.push_back(operand);
      block->addArgument(cast<nn::TensorType>(operand.type).getElementType(), loc);
    }
  return numbers;
}

namespace {

/// An expression of domain dimensions as an i32 of the region; the map has no symbols.
Value buildIndex(OpBuilder &builder, Location loc, AffineExpr expr) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return nn::DomainIndexOp::create(builder, loc, builder.getI32Type(), dim.getPosition());
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(constant.getValue()));
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = buildIndex(builder, loc, binary.getLHS()), rhs = buildIndex(builder, loc, binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return arith::AddIOp::create(builder, loc, lhs, rhs);
  case AffineExprKind::Mul:
    return arith::MulIOp::create(builder, loc, lhs, rhs);
  case AffineExprKind::Mod:
    return arith::RemSIOp::create(builder, loc, lhs, rhs);
  default: // floordiv of coordinates, which are not negative
    return arith::DivSIOp::create(builder, loc, lhs, rhs);
  }
}

} // namespace

SmallVector<Value> KernelParts::addBody(nn::KernelOp kernel, AffineMap change, ArrayRef<int64_t> numbers,
                                        ArrayRef<Value> given) {
  // The region has no parent that would give a context.
  OpBuilder builder(loc.getContext());
  builder.setInsertionPointToEnd(block);
  Block &body = kernel.getBody().front();
  IRMapping mapping;
  for (auto [i, argument] : llvm::enumerate(body.getArguments()))
    mapping.map(argument, numbers[i] < 0 ? given[i] : Value(block->getArgument(numbers[i])));
  for (Operation &op : body.without_terminator()) {
    if (auto index = dyn_cast<nn::DomainIndexOp>(op))
      mapping.map(index.getResult(), buildIndex(builder, op.getLoc(), change.getResult(index.getDim())));
    else
      builder.clone(op, mapping);
  }
  SmallVector<Value> yielded;
  for (Value value : body.getTerminator()->getOperands())
    yielded.push_back(mapping.lookup(value));
  return yielded;
}

void KernelParts::addResult(nn::KernelOp kernel, unsigned i, AffineMap change, ArrayRef<int64_t> numbers,
                            Value yielded) {
  Operand operand{{},
                  kernel.getResult(i).getType(),
                  seenThrough(kernel.getResultMap(i), change),
                  kernel.getGather(kernel.getNumInputs() + i)};
  for (int64_t &source : operand.gather)
    source = numbers[source];
  if (int64_t tied = kernel.getTied()[i]; tied >= 0)
    operand.tied = numbers[tied];
  operand.yielded = yielded;
  results.push_back(operand);
}

bool KernelParts::isLegal() const {
  constexpr size_t kMaxOperands = 48, kMaxOperations = 256;
  if (inputs.size() + results.size() > kMaxOperands || block->getOperations().size() > kMaxOperations)
    return false;
  unsigned last = domain.size() - 1;
  for (const SmallVector<Operand> *operands : {&inputs, &results})
    for (const Operand &operand : *operands) {
      if (!isStridedAlong(operand.map, last))
        return false;
      for (int64_t source : operand.gather) // (C4)
        if (source < 0 || inputs[source].map.getNumSymbols() || inputs[source].map.isFunctionOfDim(last))
          return false;
    }
  for (const Operand &result : results) {
    if (result.tied < 0)
      continue;
    // Memory that is written is read at the point that is written, or not at all.
    for (const Operand &input : inputs)
      if (input.value == inputs[result.tied].value &&
          (input.map != result.map || input.gather != result.gather))
        return false;
    if (llvm::count_if(results, [&](const Operand &other) { return other.tied == result.tied; }) > 1)
      return false;
  }
  return true;
}

/// Merged kernels often compute the same thing, such as a constant or the norm of a row.
void KernelParts::mergeEqualOperations() {
  SmallVector<Operation *> seen;
  for (Operation &op : llvm::make_early_inc_range(block->without_terminator())) {
    auto same = llvm::find_if(seen, [&](Operation *other) {
      return OperationEquivalence::isEquivalentTo(other, &op, OperationEquivalence::IgnoreLocations);
    });
    if (same == seen.end()) {
      seen.push_back(&op);
      continue;
    }
    op.replaceAllUsesWith(*same);
    op.erase();
  }
}

void KernelParts::dropDeadInputs() {
  SmallVector<int64_t> numbers(inputs.size(), -1);
  SmallVector<bool> needed(inputs.size(), false);
  for (const SmallVector<Operand> *operands : {&inputs, &results})
    for (const Operand &operand : *operands) {
      for (int64_t source : operand.gather)
        needed[source] = true;
      if (operand.tied >= 0)
        needed[operand.tied] = true;
    }
  SmallVector<Operand> kept;
  for (int64_t i = inputs.size() - 1; i >= 0; --i)
    if (!needed[i] && block->getArgument(i).use_empty())
      block->eraseArgument(i);
    else
      numbers[i] = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (numbers[i] == 0) {
      numbers[i] = kept.size();
      kept.push_back(inputs[i]);
    }
  inputs = std::move(kept);
  for (SmallVector<Operand> *operands : {&inputs, &results})
    for (Operand &operand : *operands) {
      for (int64_t &source : operand.gather)
        source = numbers[source];
      if (operand.tied >= 0)
        operand.tied = numbers[operand.tied];
    }
}

nn::KernelOp KernelParts::build(OpBuilder &builder, StringRef label) {
  OpBuilder inside(loc.getContext());
  inside.setInsertionPointToEnd(block);
  SmallVector<Value> yielded, values;
  for (const Operand &result : results)
    yielded.push_back(result.yielded);
  nn::KernelYieldOp::create(inside, loc, yielded);
  mergeEqualOperations();
  dropDeadInputs();
  SmallVector<Type> types;
  SmallVector<Attribute> maps, gathers;
  SmallVector<int64_t> tied;
  for (const SmallVector<Operand> *operands : {&inputs, &results})
    for (const Operand &operand : *operands) {
      maps.push_back(AffineMapAttr::get(operand.map));
      gathers.push_back(builder.getDenseI64ArrayAttr(operand.gather));
    }
  for (const Operand &input : inputs)
    values.push_back(input.value);
  for (const Operand &result : results) {
    types.push_back(result.type);
    tied.push_back(result.tied);
  }
  auto kernel = nn::KernelOp::create(builder, loc, TypeRange(types), builder.getStringAttr(label), anchor,
                                     builder.getDenseI64ArrayAttr(domain), values, builder.getArrayAttr(maps),
                                     builder.getArrayAttr(gathers), builder.getDenseI64ArrayAttr(tied));
  kernel.getBody().takeBody(*region);
  return kernel;
}

} // namespace contraflow::fusion
