//===- NNKernelsOptimizer.cpp - kernels of accumulation and of AdamW ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"

using namespace mlir;

namespace contraflow::nn {

namespace {

using Replacements = SmallVectorImpl<Value>;

} // namespace

LogicalResult ZeroOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  replacements.push_back(buildFill(builder, getLoc(), llvm::cast<TensorType>(getOutput().getType()), 0));
  return success();
}

LogicalResult AccumulateOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  PointwiseDomain domain = pointwiseDomain(getContext(), shapeOf(getOutput()));
  KernelBuilder k(builder, getLoc(), "accumulate", domain.sizes);
  unsigned accumulator = k.input(getAccumulator(), domain.coordinates);
  k.input(getValue(), domain.coordinates);
  k.tiedResult(accumulator, domain.coordinates);
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0] + in[1]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// Clipping
//===----------------------------------------------------------------------===//

namespace {

/// Sums a vector, row by row of kVectorRow elements (one more kernel for a ragged end), until one is left.
Value buildTotal(OpBuilder &builder, Location loc, Value vector, function_ref<Scalar(Scalar)> element) {
  int64_t size = shapeOf(vector)[0], rows = size / kVectorRow, rest = size % kVectorRow;
  auto body = [&](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(element(in[0]))}; };
  if (size <= kVectorRow) {
    KernelBuilder k(builder, loc, "sum", {1, size});
    k.input(vector, {k.d(1)});
    k.result({1}, {k.c(0)});
    return k.build(body).getResult(0);
  }
  KernelBuilder k(builder, loc, "sum_rows", {rows, kVectorRow});
  k.input(vector, {k.d(0) * kVectorRow + k.d(1)});
  k.result({rows + (rest != 0)}, {k.d(0)});
  Value partial = k.build(body).getResult(0);
  if (rest) {
    KernelBuilder tail(builder, loc, "sum_rest", {1, rest});
    tail.input(vector, {tail.d(1) + rows * kVectorRow});
    tail.tiedResult(tail.input(partial, {tail.c(rows)}), {tail.c(rows)});
    partial = tail.build(body).getResult(0);
  }
  return buildTotal(builder, loc, partial, [](Scalar x) { return x; });
}

} // namespace

LogicalResult SumSquaresOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Value input = getInput();
  auto square = [](Scalar x) { return x * x; };
  auto same = [](Scalar x) { return x; };
  SmallVector<int64_t> shape = shapeOf(input);
  if (shape.size() == 1) {
    replacements.push_back(buildTotal(builder, getLoc(), input, square));
    return success();
  }
  PointwiseDomain domain = pointwiseDomain(getContext(), shape);
  KernelBuilder k(builder, getLoc(), "sum_rows", domain.sizes);
  AffineExpr row = k.c(0);
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    row = row * shape[i] + k.d(i);
    rows *= shape[i];
  }
  k.input(input, domain.coordinates);
  k.result({rows}, {row});
  KernelOp kernel =
      k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(square(in[0]))}; });
  replacements.push_back(buildTotal(builder, getLoc(), kernel.getResult(0), same));
  return success();
}

LogicalResult ClipFactorOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  double maxNorm = getFloat(getMaxNorm());
  KernelBuilder k(builder, getLoc(), "clip_factor", {1, shapeOf(getScalars())[0]});
  unsigned scalars = k.input(getScalars(), {k.d(1)});
  k.input(getSumSquares(), {k.c(0)});
  k.tiedResult(scalars, {k.d(1)});
  KernelOp kernel = k.build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar norm = sqrt(in[1]), factor = region.constant(1);
    if (maxNorm != 0) {
      Scalar ratio = maxNorm / (norm + 1e-6);
      factor = select(less(ratio, 1.0), ratio, factor);
    }
    Scalar index = region.index(1);
    return {select(equal(index, region.constantI32(3)), factor,
                   select(equal(index, region.constantI32(4)), norm, in[0]))};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// AdamW
//===----------------------------------------------------------------------===//

LogicalResult AdamwOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  double beta1 = getFloat(getBeta1()), beta2 = getFloat(getBeta2()), eps = getFloat(getEps());
  double weightDecay = getFloat(getWeightDecay());
  PointwiseDomain domain = pointwiseDomain(getContext(), shapeOf(getParam()));
  KernelBuilder k(builder, getLoc(), "adamw", domain.sizes);
  for (Value tensor : {getParam(), getFirstMoment(), getSecondMoment(), getGrad()})
    k.input(tensor, domain.coordinates);
  for (int64_t scalar = 0; scalar < 4; ++scalar)
    k.input(getScalars(), {k.c(scalar)});
  for (unsigned input = 0; input < 3; ++input)
    k.tiedResult(input, domain.coordinates);
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar lr = in[4], correction1 = in[5], correction2 = in[6], clip = in[7];
    // Of the row, not of the point: lowerings hoist them.
    Scalar step = lr / correction1, keep = 1.0 - lr * weightDecay, scale2 = 1.0 / correction2;
    Scalar g = in[3] * clip;
    Scalar m = beta1 * in[1] + (1 - beta1) * g;
    Scalar v = beta2 * in[2] + (1 - beta2) * (g * g);
    Scalar p = in[0] * keep - step * m / (sqrt(v * scale2) + eps);
    return {p, m, v};
  });
  llvm::append_range(replacements, kernel.getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// Averages of parameters
//===----------------------------------------------------------------------===//

LogicalResult EmaOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  double rest = 1 - getFloat(getDecay());
  auto body = [&](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0] + rest * (in[1] - in[0])}; };
  /// Elements that `coordinates` give for the points of `domain`, into `average`.
  auto build = [&](Value average, ArrayRef<int64_t> domain, ArrayRef<AffineExpr> coordinates) -> Value {
    KernelBuilder k(builder, getLoc(), "ema", domain);
    unsigned target = k.input(average, coordinates);
    k.input(getValue(), coordinates);
    k.tiedResult(target, coordinates);
    return k.build(body).getResult(0);
  };
  SmallVector<int64_t> shape = shapeOf(getAverage());
  int64_t rows = shape[0] / kVectorRow, last = shape[0] % kVectorRow;
  if (shape.size() > 1 || rows < 2) {
    PointwiseDomain domain = pointwiseDomain(getContext(), shape);
    replacements.push_back(build(getAverage(), domain.sizes, domain.coordinates));
    return success();
  }
  AffineExpr row = getAffineDimExpr(0, getContext()), column = getAffineDimExpr(1, getContext());
  Value average = build(getAverage(), {rows, kVectorRow}, {row * kVectorRow + column});
  if (last)
    average = build(average, {1, last}, {column + rows * kVectorRow});
  replacements.push_back(average);
  return success();
}

} // namespace contraflow::nn
