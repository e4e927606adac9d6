//===- NNKernelsRows.cpp - kernels of norms, rotations and losses ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"

using namespace mlir;

namespace contraflow::nn {

namespace {

using Replacements = SmallVectorImpl<Value>;

int64_t rowsOf(Value matrix) { return shapeOf(matrix)[0]; }
int64_t columnsOf(Value matrix) { return shapeOf(matrix)[1]; }

} // namespace

//===----------------------------------------------------------------------===//
// rms_norm
//===----------------------------------------------------------------------===//

namespace {

/// The domain of a norm: rows, groups of columns, columns of a group.
HeadDomain normDomain(Value input, int64_t width) {
  return HeadDomain(input.getContext(), rowsOf(input), columnsOf(input) / width, width);
}

Scalar reciprocalRms(Scalar x, int64_t width, double eps) {
  return rsqrt(rowSum(x * x) * (1.0 / width) + eps);
}

} // namespace

LogicalResult RmsNormOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t width = shapeOf(getWeight())[0];
  double eps = getFloat(getEps());
  HeadDomain domain = normDomain(getInput(), width);
  KernelBuilder k(builder, getLoc(), "rms_norm", domain.sizes);
  k.input(getInput(), {domain.row, domain.in(width)});
  k.input(getWeight(), {domain.column});
  k.result(shapeOf(getOutput()), {domain.row, domain.in(width)});
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    return {in[0] * reciprocalRms(in[0], width, eps) * in[1]};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult RmsNormInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t width = shapeOf(getWeight())[0];
  double eps = getFloat(getEps());
  HeadDomain domain = normDomain(getInput(), width);
  KernelBuilder k(builder, getLoc(), "rms_norm_input_grad", domain.sizes);
  k.input(getGrad(), {domain.row, domain.in(width)});
  k.input(getInput(), {domain.row, domain.in(width)});
  k.input(getWeight(), {domain.column});
  k.result(shapeOf(getOutput()), {domain.row, domain.in(width)});
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar x = in[1], g = in[0] * in[2], rstd = reciprocalRms(x, width, eps);
    Scalar slope = rowSum(g * x) * (1.0 / width) * (rstd * rstd);
    return {rstd * (g - x * slope)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

/// The reciprocal norms first, one per group, then a sum over all groups.
LogicalResult RmsNormWeightGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t width = shapeOf(getOutput())[0], groups = columnsOf(getInput()) / width, rows = rowsOf(getInput());
  double eps = getFloat(getEps());
  HeadDomain domain = normDomain(getInput(), width);
  KernelBuilder norms(builder, getLoc(), "rms_norm_rstd", domain.sizes);
  norms.input(getInput(), {domain.row, domain.in(width)});
  norms.result({rows * groups}, {domain.row * groups + domain.head});
  Value rstd =
      norms
          .build([&](Region &, ArrayRef<Scalar> in) -> Scalars { return {reciprocalRms(in[0], width, eps)}; })
          .getResult(0);
  Value zeros = buildFill(builder, getLoc(), llvm::cast<TensorType>(getOutput().getType()), 0);
  KernelBuilder k(builder, getLoc(), "rms_norm_weight_grad", ColumnReduceAnchorAttr::get(getContext()),
                  {rows * groups, width});
  SmallVector<AffineExpr> element{k.d(0).floorDiv(groups), (k.d(0) % groups) * width + k.d(1)};
  k.input(getGrad(), element);
  k.input(getInput(), element);
  k.input(rstd, {k.d(0)});
  k.tiedResult(k.input(zeros, {k.d(1)}), {k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0] * in[1] * in[2]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// rope
//===----------------------------------------------------------------------===//

namespace {

/// Domain (row, head, which of the pair, pair): the other of the pair is at 1 - which, so that every
/// coordinate is a sum of multiples of dimensions. The inverse rotation takes the other sign of the sine.
template <typename Op> Value buildRotation(Op op, OpBuilder &builder, bool inverse) {
  int64_t size = getInt(op.getHeadDim()), seq = getInt(op.getSeq()), pairs = size / 2;
  int64_t rows = rowsOf(op.getInput()), heads = columnsOf(op.getInput()) / size;
  auto frequencies = DenseFPElementsAttr::get(RankedTensorType::get({pairs}, builder.getF64Type()),
                                              ArrayRef<double>(op.getFrequencies()));
  auto table =
      AnglesAttr::get(op.getContext(), seq, builder.getF64FloatAttr(getFloat(op.getAttentionFactor())),
                      llvm::cast<DenseFPElementsAttr>(frequencies));
  auto tableType = TensorType::get(op.getContext(), {3, seq, pairs}, builder.getF32Type());
  Value angles = ConstantTableOp::create(builder, op.getLoc(), tableType, table);
  SmallVector<int64_t> domain{rows, heads, 2, pairs};
  if (heads == 1)
    domain.erase(domain.begin() + 1);
  KernelBuilder k(builder, op.getLoc(), inverse ? "rope_input_grad" : "rope", domain);
  AffineExpr row = k.d(0), which = k.d(domain.size() - 2), pair = k.d(domain.size() - 1);
  AffineExpr head = heads == 1 ? k.c(0) : k.d(1);
  AffineExpr position = rows == seq ? row : row % seq;
  auto column = [&](AffineExpr which) {
    return head * size + (op.isInterleaved() ? pair * 2 + which : which * pairs + pair);
  };
  k.input(op.getInput(), {row, column(which)});
  k.input(op.getInput(), {row, column(1 - which)});
  k.input(angles, {k.c(0), position, pair});
  k.input(angles, {inverse ? 2 - which : which + 1, position, pair});
  k.result(shapeOf(op.getInput()), {row, column(which)});
  KernelOp kernel =
      k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0] * in[2] + in[1] * in[3]}; });
  return kernel.getResult(0);
}

} // namespace

LogicalResult RopeOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  replacements.push_back(buildRotation(*this, builder, /*inverse=*/false));
  return success();
}

LogicalResult RopeInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  replacements.push_back(buildRotation(*this, builder, /*inverse=*/true));
  return success();
}

//===----------------------------------------------------------------------===//
// cross_entropy
//===----------------------------------------------------------------------===//

/// One kernel for the loss of every row, one for their mean.
LogicalResult CrossEntropyOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t rows = rowsOf(getLogits());
  KernelBuilder k(builder, getLoc(), "cross_entropy_rows", shapeOf(getLogits()));
  k.input(getLogits(), {k.d(0), k.d(1)});
  int64_t targets = k.input(getTargets(), {k.d(0)});
  k.input(getLogits(), {k.d(0), k.s(0)}, {targets});
  k.result({rows}, {k.d(0)});
  k.result({rows}, {k.d(0)});
  KernelOp perRow = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar max = rowMax(in[0]);
    Scalar lse = max + log(rowSum(exp(in[0] - max)));
    return {select(isValid(in[1]), lse - in[2], 0.0), lse};
  });
  KernelBuilder mean(builder, getLoc(), "cross_entropy_mean", {1, rows});
  mean.input(perRow.getResult(0), {mean.d(1)});
  mean.input(getTargets(), {mean.d(1)});
  mean.result({1}, {mean.c(0)});
  KernelOp loss = mean.build([](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar count = rowSum(select(isValid(in[1]), 1.0, 0.0));
    return {rowSum(in[0]) / max(count, 1.0)};
  });
  replacements.append({loss.getResult(0), perRow.getResult(1)});
  return success();
}

/// One kernel for the rank of every target, one that counts. A row's rank is the number of logits before the
/// target in the order of largest first, lowest index first: one pass, where an index of the maximum would
/// take two.
LogicalResult AccuracyOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t rows = rowsOf(getLogits());
  KernelBuilder k(builder, getLoc(), "accuracy_ranks", shapeOf(getLogits()));
  k.input(getLogits(), {k.d(0), k.d(1)});
  int64_t targets = k.input(getTargets(), {k.d(0)});
  k.input(getLogits(), {k.d(0), k.s(0)}, {targets});
  k.result({rows}, {k.d(0)});
  KernelOp ranks = k.build([](Region &region, ArrayRef<Scalar> in) -> Scalars {
    // "not less" and "not at most", which hold for a NaN.
    Scalar before = select(less(in[0], in[2]), 0.0, 1.0),
           larger = select(lessOrEqual(in[0], in[2]), 0.0, 1.0);
    return {rowSum(select(less(region.index(1), in[1]), before, larger))};
  });
  KernelBuilder count(builder, getLoc(), "accuracy_count", {2, rows});
  count.input(ranks.getResult(0), {count.d(1)});
  count.input(getTargets(), {count.d(1)});
  count.result({2}, {count.d(0)});
  KernelOp hits = count.build([](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar isHit = select(less(in[0], 0.5), 1.0, 0.0);
    Scalar isCounted = select(isValid(in[1]), 1.0, 0.0);
    Scalar isFirst = equal(region.index(0), region.constantI32(0));
    return {rowSum(select(isFirst, isHit * isCounted, isCounted))};
  });
  replacements.push_back(hits.getResult(0));
  return success();
}

/// The gradient of a mean, divided by the number of valid rows times `columns`.
static Value buildMeanFactor(OpBuilder &builder, Location loc, StringRef name, Value grad, Value valid,
                             int64_t columns = 1) {
  KernelBuilder mean(builder, loc, name, {1, shapeOf(valid)[0]});
  mean.input(grad, {mean.c(0)});
  mean.input(valid, {mean.d(1)});
  mean.result({1}, {mean.c(0)});
  KernelOp factor = mean.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar count = max(rowSum(select(isValid(in[1]), 1.0, 0.0)), 1.0);
    return {in[0] / (columns == 1 ? count : count * columns)};
  });
  return factor.getResult(0);
}

LogicalResult CrossEntropyInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Value factor = buildMeanFactor(builder, getLoc(), "cross_entropy_factor", getGrad(), getTargets());
  KernelBuilder k(builder, getLoc(), "cross_entropy_input_grad", shapeOf(getLogits()));
  k.input(getLogits(), {k.d(0), k.d(1)});
  k.input(getTargets(), {k.d(0)});
  k.input(getLse(), {k.d(0)});
  k.input(factor, {k.c(0)});
  if (getLseGrad())
    k.input(getLseGrad(), {k.d(0)});
  k.result(shapeOf(getOutput()), {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar indicator = select(equal(region.index(1), in[1]), 1.0, 0.0);
    Scalar factor = select(isValid(in[1]), in[3], 0.0);
    Scalar probability = exp(in[0] - in[2]);
    if (in.size() > 4)
      return {(factor + in[4]) * probability - factor * indicator};
    return {factor * (probability - indicator)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// mean
//===----------------------------------------------------------------------===//

/// One kernel for the sums of the rows of a matrix, one for their mean.
LogicalResult MeanOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getInput());
  int64_t rows = shape[0], columns = shape.size() > 1 ? shape[1] : 1;
  Value sums = getInput();
  if (shape.size() > 1) {
    KernelBuilder k(builder, getLoc(), "mean_rows", shape);
    k.input(sums, {k.d(0), k.d(1)});
    k.result({rows}, {k.d(0)});
    sums = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(in[0])}; }).getResult(0);
  }
  KernelBuilder k(builder, getLoc(), "mean", {1, rows});
  k.input(sums, {k.d(1)});
  if (getValid())
    k.input(getValid(), {k.d(1)});
  k.result({1}, {k.c(0)});
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    if (in.size() == 1)
      return {rowSum(in[0]) * (1.0 / (rows * columns))};
    Scalar valid = isValid(in[1]);
    Scalar count = max(rowSum(select(valid, 1.0, 0.0)), 1.0);
    return {rowSum(select(valid, in[0], 0.0)) / (count * columns)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult MeanInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  int64_t rows = shape[0], columns = shape.size() > 1 ? shape[1] : 1;
  Value factor = getGrad();
  if (getValid())
    factor = buildMeanFactor(builder, getLoc(), "mean_factor", factor, getValid(), columns);
  KernelBuilder k(builder, getLoc(), "mean_input_grad", shape);
  SmallVector<AffineExpr> element;
  for (unsigned i = 0; i < shape.size(); ++i)
    element.push_back(k.d(i));
  k.input(factor, {k.c(0)});
  if (getValid())
    k.input(getValid(), {k.d(0)});
  k.result(shape, element);
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    if (in.size() == 1)
      return {in[0] * (1.0 / (rows * columns))};
    return {select(isValid(in[1]), in[0], 0.0)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

} // namespace contraflow::nn
