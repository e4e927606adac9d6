//===- KernelRegion.cpp - what the region of a kernel wants ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/KernelRegion.h"

#include "passes/lowering/common/AffineRange.h"
#include "passes/lowering/common/KernelAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace contraflow::lowering {

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

int64_t KernelShape::rows() const {
  int64_t rows = 1;
  for (int64_t size : ArrayRef(sizes).drop_back())
    rows *= size;
  return rows;
}

namespace {

/// Coefficients of the dimensions in `expr`; false where dimension `a` or `b` is in a `mod` or `floordiv`.
bool getCoefficients(AffineExpr expr, int64_t factor, unsigned a, unsigned b, int64_t &ofA, int64_t &ofB) {
  if (!expr.isFunctionOfDim(a) && !expr.isFunctionOfDim(b))
    return true;
  if (auto dim = llvm::dyn_cast<AffineDimExpr>(expr)) {
    (dim.getPosition() == a ? ofA : ofB) += factor;
    return true;
  }
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  if (expr.getKind() == AffineExprKind::Add)
    return getCoefficients(binary.getLHS(), factor, a, b, ofA, ofB) &&
           getCoefficients(binary.getRHS(), factor, a, b, ofA, ofB);
  auto constant = llvm::dyn_cast<AffineConstantExpr>(binary.getRHS());
  return expr.getKind() == AffineExprKind::Mul && constant &&
         getCoefficients(binary.getLHS(), factor * constant.getValue(), a, b, ofA, ofB);
}

/// Replaces the dimensions of every access, and sets the new sizes.
void replaceDims(KernelShape &shape, ArrayRef<AffineExpr> replacements, ArrayRef<int64_t> sizes,
                 ArrayRef<unsigned> numSymbols) {
  for (auto [i, expr] : llvm::enumerate(shape.operands))
    expr = simplifyWithin(expr.replaceDims(replacements), sizes, numSymbols[i]);
  for (AffineExpr &expr : shape.dims)
    expr = simplifyWithin(expr.replaceDims(replacements), sizes, 0);
  shape.sizes.assign(sizes.begin(), sizes.end());
}

void dropUnitDims(KernelShape &shape, bool keepColumns, MLIRContext *context, ArrayRef<unsigned> numSymbols) {
  SmallVector<AffineExpr> replacements;
  SmallVector<int64_t> sizes;
  for (auto [i, size] : llvm::enumerate(shape.sizes)) {
    if (size != 1 || (keepColumns && i + 1 == shape.sizes.size())) {
      replacements.push_back(getAffineDimExpr(sizes.size(), context));
      sizes.push_back(size);
    } else {
      replacements.push_back(getAffineConstantExpr(0, context));
    }
  }
  if (sizes.empty())
    sizes.push_back(1);
  replaceDims(shape, replacements, sizes, numSymbols);
}

/// Merges dimensions `outer` and `outer + 1` if all accesses allow it.
bool mergeDims(KernelShape &shape, unsigned outer, MLIRContext *context, ArrayRef<unsigned> numSymbols) {
  int64_t inner = shape.sizes[outer + 1];
  for (AffineExpr expr : shape.operands) {
    int64_t ofOuter = 0, ofInner = 0;
    if (!getCoefficients(expr, 1, outer, outer + 1, ofOuter, ofInner) || ofOuter != ofInner * inner)
      return false;
  }
  SmallVector<AffineExpr> replacements;
  SmallVector<int64_t> sizes;
  for (unsigned i = 0; i < shape.sizes.size(); ++i) {
    AffineExpr merged = getAffineDimExpr(outer, context);
    if (i == outer)
      replacements.push_back(merged.floorDiv(inner));
    else if (i == outer + 1)
      replacements.push_back(merged % inner);
    else
      replacements.push_back(getAffineDimExpr(i < outer ? i : i - 1, context));
    if (i == outer)
      sizes.push_back(shape.sizes[outer] * inner);
    else if (i != outer + 1)
      sizes.push_back(shape.sizes[i]);
  }
  // Linear accesses know better than the quotient and the remainder.
  SmallVector<AffineExpr> linear;
  for (AffineExpr expr : shape.operands) {
    SmallVector<AffineExpr> direct(replacements);
    direct[outer] = getAffineConstantExpr(0, context);
    direct[outer + 1] = getAffineDimExpr(outer, context);
    linear.push_back(expr.replaceDims(direct));
  }
  replaceDims(shape, replacements, sizes, numSymbols);
  for (auto [i, expr] : llvm::enumerate(linear))
    shape.operands[i] = simplifyWithin(expr, sizes, numSymbols[i]);
  return true;
}

} // namespace

KernelShape getShape(nn::KernelOp op, bool keepColumns) {
  KernelShape shape;
  llvm::append_range(shape.sizes, op.getDomain());
  SmallVector<unsigned> numSymbols;
  for (unsigned i = 0, e = op.getNumInputs() + op.getNumResults(); i < e; ++i) {
    numSymbols.push_back(op.getGather(i).size());
    shape.operands.push_back(simplifyWithin(getElementIndex(op, i), shape.sizes, numSymbols.back()));
  }
  for (unsigned i = 0; i < shape.sizes.size(); ++i)
    shape.dims.push_back(getAffineDimExpr(i, op.getContext()));
  dropUnitDims(shape, keepColumns, op.getContext(), numSymbols);
  for (int64_t outer = static_cast<int64_t>(shape.sizes.size()) - 2; outer >= 0; --outer)
    if (!keepColumns || outer + 2 < static_cast<int64_t>(shape.sizes.size()))
      mergeDims(shape, outer, op.getContext(), numSymbols);
  return shape;
}

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

bool isExpensive(Operation *op) {
  return isa<math::ExpOp, math::Exp2Op, math::LogOp, math::Log1pOp, math::TanhOp, math::ErfOp, math::SinOp,
             math::CosOp, math::SqrtOp, math::RsqrtOp, arith::DivFOp>(op);
}

LogicalResult RegionInfo::findUsed(nn::KernelOp op) {
  mlir::Block &body = op.getBody().front();
  bool oneColumn = op.getDomain().back() == 1;
  for (Value value : body.getTerminator()->getOperands())
    used.insert(value);
  for (Operation &inner : llvm::reverse(body.without_terminator())) {
    if (!llvm::any_of(inner.getResults(), [&](Value value) { return isUsed(value); }))
      continue;
    bool elementwise = inner.getNumResults() == 1 && inner.getNumRegions() == 0 &&
                       (OpTrait::hasElementwiseMappableTraits(&inner) || isa<arith::ConstantOp>(inner));
    if (!elementwise && !isa<nn::RowSumOp, nn::RowMaxOp, nn::DomainIndexOp, nn::RandomKeepOp>(inner))
      return inner.emitOpError() << "is not an operation of kernel regions";
    for (Value operand : inner.getOperands())
      used.insert(operand);
    if (isa<nn::RowSumOp, nn::RowMaxOp>(inner) && !oneColumn)
      reductions.push_back(&inner);
  }
  std::reverse(reductions.begin(), reductions.end());
  return success();
}

LogicalResult RegionInfo::follow(Operation &inner) {
  int64_t resultPhase = 0;
  bool differs = false;
  for (Value operand : inner.getOperands()) {
    resultPhase = std::max(resultPhase, phase(operand));
    differs |= isPerColumn(operand);
  }
  if (auto index = dyn_cast<nn::DomainIndexOp>(inner)) {
    if (index.getDim() >= shape.dims.size())
      return inner.emitOpError() << "names dimension " << index.getDim() << " of a domain of "
                                 << shape.dims.size();
    differs = shape.dims[index.getDim()].isFunctionOfDim(shape.sizes.size() - 1);
  }
  if (isReduction(&inner)) {
    ++resultPhase;
    differs = false;
  }
  Value result = inner.getResult(0);
  phases[result] = resultPhase;
  if (differs) {
    perColumn.insert(result);
    // Ten rounds of Philox, two products each.
    constexpr int64_t kRandomInstructions = 160;
    instructions += isa<nn::RandomKeepOp>(inner) ? kRandomInstructions : isExpensive(&inner) ? 16 : 1;
    cost += isExpensive(&inner) ? 4 : 0;
  }
  return success();
}

FailureOr<RegionInfo> RegionInfo::get(nn::KernelOp op) {
  RegionInfo info;
  if (failed(info.findUsed(op)))
    return failure();
  // Coordinates that are used stay as they are: a quotient and a remainder per point cost more than a loop.
  bool draws =
      llvm::any_of(op.getBody().front(), [](Operation &inner) { return isa<nn::RandomKeepOp>(inner); });
  // Symbols belong to rows: what is a column must not become a row, nor the other way round.
  bool gathers = llvm::any_of(
      op.getGathers(), [](Attribute gather) { return !llvm::cast<DenseI64ArrayAttr>(gather).empty(); });
  info.shape = getShape(op, gathers || draws || !info.reductions.empty() ||
                                isa<nn::ColumnReduceAnchorAttr>(op.getAnchor()));

  mlir::Block &body = op.getBody().front();
  for (BlockArgument argument : body.getArguments())
    if (info.isUsed(argument) && info.shape.isPerColumn(argument.getArgNumber())) {
      info.perColumn.insert(argument);
      info.cost += 4;
    }
  for (Operation &inner : body.without_terminator())
    if (info.isUsed(inner.getResult(0)) && failed(info.follow(inner)))
      return failure();
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    if (info.shape.isPerColumn(op.getNumInputs() + i))
      info.cost += 4;
  info.cost += info.instructions / 4;
  return info;
}

} // namespace contraflow::lowering
