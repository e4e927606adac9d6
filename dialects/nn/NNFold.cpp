//===- NNFold.cpp - operations that say nothing, or that say it twice -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folds hold for symbolic dimensions too wherever equality of normal forms decides.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/OpChecks.h"

#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;

namespace contraflow::nn {

static bool isZero(Value value) { return value.getDefiningOp<ZeroOp>() != nullptr; }

static bool isOne(ExprAttr attr) { return isBound(attr) && getFloat(attr) == 1; }

static bool isOnes(Value value) {
  auto fill = value.getDefiningOp<FillOp>();
  return fill && isOne(fill.getWith());
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

OpFoldResult AddOp::fold(FoldAdaptor) {
  if (isZero(getRhs()))
    return getLhs();
  if (isZero(getLhs()) && getRhs().getType() == getType())
    return getRhs();
  return {};
}

OpFoldResult SubOp::fold(FoldAdaptor) { return isZero(getRhs()) ? OpFoldResult(getLhs()) : OpFoldResult(); }

OpFoldResult MulOp::fold(FoldAdaptor) {
  if (isOnes(getRhs()))
    return getLhs();
  if (isOnes(getLhs()) && getRhs().getType() == getType())
    return getRhs();
  return {};
}

OpFoldResult AccumulateOp::fold(FoldAdaptor) {
  return isZero(getValue()) ? OpFoldResult(getAccumulator()) : OpFoldResult();
}

OpFoldResult ScaleOp::fold(FoldAdaptor) { return isOne(getBy()) ? OpFoldResult(getInput()) : OpFoldResult(); }

OpFoldResult DropoutOp::fold(FoldAdaptor) {
  return isBound(getP()) && getFloat(getP()) == 0 ? OpFoldResult(getInput()) : OpFoldResult();
}

OpFoldResult ReduceSumOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? OpFoldResult(getInput()) : OpFoldResult();
}

namespace {

/// scale(scale(x, a), b) -> scale(x, a * b)
struct ScaleOfScale : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ScaleOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "the operand is no scale");
    Expr by = getExpr(inner.getBy()) * getExpr(op.getBy());
    if (isBound(inner.getBy()) && isBound(op.getBy())) {
      double product = getFloat(inner.getBy()) * getFloat(op.getBy());
      if (!std::isfinite(product))
        return rewriter.notifyMatchFailure(op, "the product overflows");
      by = Expr::constant(product);
    }
    rewriter.replaceOpWithNewOp<ScaleOp>(op, inner.getInput(), getExprAttr(op.getContext(), by));
    return success();
  }
};

/// The gradients of neighbouring slices of one tensor, added, are the gradient of one larger slice:
/// add(slice_input_grad(a, o), slice_input_grad(b, o + size of a)) -> slice_input_grad(concat(a, b), o)
struct AddOfSliceInputGrads : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    auto first = op.getLhs().getDefiningOp<SliceInputGradOp>();
    auto second = op.getRhs().getDefiningOp<SliceInputGradOp>();
    if (!first || !second || op.getRhs().getType() != op.getType() || first.getHeads() != second.getHeads())
      return rewriter.notifyMatchFailure(op, "no gradients of two slices of one tensor");
    if (!isFollowedBy(first, second))
      std::swap(first, second);
    if (!isFollowedBy(first, second))
      return rewriter.notifyMatchFailure(op, "the slices are not neighbours");
    Value both = ConcatOp::create(rewriter, op.getLoc(), first.getGrad(), second.getGrad(), first.getHeads())
                     .getOutput();
    rewriter.replaceOpWithNewOp<SliceInputGradOp>(op, op.getType(), both, first.getHeads(),
                                                  first.getOffset());
    return success();
  }

  static bool isFollowedBy(SliceInputGradOp first, SliceInputGradOp second) {
    ExprAttr end = addDims(multiplyDims(first.getHeads(), first.getOffset()), getDim(first.getGrad(), 1));
    return end == multiplyDims(second.getHeads(), second.getOffset());
  }
};

} // namespace

void ScaleOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ScaleOfScale>(context);
}

void AddOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<AddOfSliceInputGrads>(context);
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  // reshape(reshape(x)) -> reshape(x)
  if (auto inner = getInput().getDefiningOp<ReshapeOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

OpFoldResult SliceInputGradOp::fold(FoldAdaptor) {
  return getGrad().getType() == getType() ? OpFoldResult(getGrad()) : OpFoldResult();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  return isOne(getHeads()) ? OpFoldResult(getInput()) : OpFoldResult();
}

OpFoldResult BroadcastInputGradOp::fold(FoldAdaptor) {
  return isOne(getHeads()) ? OpFoldResult(getGrad()) : OpFoldResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  // One side of a concat.
  auto concat = getInput().getDefiningOp<ConcatOp>();
  if (!concat || concat.getHeads() != getHeads())
    return {};
  ExprAttr begin = multiplyDims(getHeads(), getOffset());
  if (begin.getConstant() == 0 && concat.getLhs().getType() == getType())
    return concat.getLhs();
  if (begin == getDim(concat.getLhs(), 1) && concat.getRhs().getType() == getType())
    return concat.getRhs();
  return {};
}

namespace {

/// slice(slice(x, o1), o2) -> slice(x, o1 + o2)
struct SliceOfSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<SliceOp>();
    if (!inner || inner.getHeads() != op.getHeads())
      return rewriter.notifyMatchFailure(op, "no slice of the same heads");
    rewriter.replaceOpWithNewOp<SliceOp>(op, inner.getInput(), op.getHeads(),
                                         addDims(inner.getOffset(), op.getOffset()), op.getSize());
    return success();
  }
};

/// A slice that lies within one side of a concat is a slice of that side.
struct SliceOfConcat : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getInput().getDefiningOp<ConcatOp>();
    if (!concat || concat.getHeads() != op.getHeads())
      return rewriter.notifyMatchFailure(op, "no concat of the same heads");
    std::optional<int64_t> heads = getKnownInt(op.getHeads()), offset = getKnownInt(op.getOffset());
    std::optional<int64_t> size = getKnownInt(op.getSize()),
                           columns = getKnownInt(getDim(concat.getLhs(), 1));
    if (!heads || !offset || !size || !columns)
      return rewriter.notifyMatchFailure(op, "sizes are not known");
    int64_t split = *columns / *heads;
    if (*offset < split && *offset + *size > split)
      return rewriter.notifyMatchFailure(op, "the slice crosses the seam");
    bool right = *offset >= split;
    rewriter.replaceOpWithNewOp<SliceOp>(
        op, right ? concat.getRhs() : concat.getLhs(), op.getHeads(),
        ExprAttr::getConstant(op.getContext(), right ? *offset - split : *offset), op.getSize());
    return success();
  }
};

/// concat(slice(x, o, a), slice(x, o + a, b)) -> slice(x, o, a + b)
struct ConcatOfNeighbours : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().getDefiningOp<SliceOp>(), rhs = op.getRhs().getDefiningOp<SliceOp>();
    if (!lhs || !rhs || lhs.getInput() != rhs.getInput() || lhs.getHeads() != op.getHeads() ||
        rhs.getHeads() != op.getHeads())
      return rewriter.notifyMatchFailure(op, "no slices of one tensor");
    ExprAttr zero = ExprAttr::getConstant(op.getContext(), 0);
    if (addDims(lhs.getOffset(), lhs.getSize()) != addDims(rhs.getOffset(), zero))
      return rewriter.notifyMatchFailure(op, "the slices are not neighbours");
    rewriter.replaceOpWithNewOp<SliceOp>(op, lhs.getInput(), op.getHeads(), lhs.getOffset(),
                                         addDims(lhs.getSize(), rhs.getSize()));
    return success();
  }
};

/// What only moves numbers moves zeros: op(zero) -> zero
template <typename Op> struct LayoutOfZero : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!llvm::all_of(op->getOperands(), isZero))
      return rewriter.notifyMatchFailure(op, "an operand is not zero");
    rewriter.replaceOpWithNewOp<ZeroOp>(op, op.getType());
    return success();
  }
};

/// slice(broadcast(x)) -> broadcast(slice(x)), for slices within the repeated columns.
struct SliceOfBroadcast : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto broadcast = op.getInput().getDefiningOp<BroadcastOp>();
    if (!broadcast || broadcast.getHeads() != op.getHeads())
      return rewriter.notifyMatchFailure(op, "no broadcast to the same heads");
    ExprAttr one = ExprAttr::getConstant(op.getContext(), 1);
    Value part =
        SliceOp::create(rewriter, op.getLoc(), broadcast.getInput(), one, op.getOffset(), op.getSize());
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, part, op.getHeads());
    return success();
  }
};

/// broadcast(broadcast(x, a), b) -> broadcast(x, a * b)
struct BroadcastOfBroadcast : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BroadcastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<BroadcastOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "the operand is no broadcast");
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, inner.getInput(),
                                             multiplyDims(inner.getHeads(), op.getHeads()));
    return success();
  }
};

} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SliceOfSlice, SliceOfConcat, SliceOfBroadcast, LayoutOfZero<SliceOp>>(context);
}

void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ConcatOfNeighbours, LayoutOfZero<ConcatOp>>(context);
}

void BroadcastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<BroadcastOfBroadcast, LayoutOfZero<BroadcastOp>>(context);
}

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<LayoutOfZero<ReshapeOp>>(context);
}

//===----------------------------------------------------------------------===//
// Ids and routing
//===----------------------------------------------------------------------===//

OpFoldResult ShiftOp::fold(FoldAdaptor) {
  return getBy().getConstant() == 0 ? OpFoldResult(getIds()) : OpFoldResult();
}

namespace {

/// A choice among all groups is a choice without groups, whatever a group's score is.
struct RouteThroughAllGroups : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RouteOp op, PatternRewriter &rewriter) const override {
    ExprAttr one = ExprAttr::getConstant(op.getContext(), 1), max = getDefaultExpr(op.getContext(), "max");
    if (op.getGroupLimit() != op.getGroups())
      return rewriter.notifyMatchFailure(op, "some groups are left out");
    if (op.getGroups() == one && op.getGroupScore() == max)
      return rewriter.notifyMatchFailure(op, "there are no groups");
    rewriter.modifyOpInPlace(op, [&] {
      op.setGroupsAttr(one);
      op.setGroupLimitAttr(one);
      op.setGroupScoreAttr(max);
    });
    return success();
  }
};

} // namespace

void RouteOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<RouteThroughAllGroups>(context);
}

} // namespace contraflow::nn
