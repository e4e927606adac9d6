//===- NNKernelsRouting.cpp - kernels of mixture-of-experts operations ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A routing table of T * K choices, R rows and E experts (see nn.route; there R is T * K): [0, TK) expert of
// t*K + k, [TK, 2TK) row of t*K + k, [2TK, 2TK + R) t*K + k of a row, then E + 1 offsets. Choices and rows
// that do not exist are negative, which kernels read as zero. Sums over the K choices of a token are
// unrolled: each choice is a gathered operand.
//===----------------------------------------------------------------------===//
#include "dialects/nn/KernelBuilder.h"

using namespace mlir;

namespace contraflow::nn {

namespace {

using Replacements = SmallVectorImpl<Value>;

int64_t rowsOf(Value matrix) { return shapeOf(matrix)[0]; }
int64_t columnsOf(Value matrix) { return shapeOf(matrix)[1]; }

/// The rows that the choices of token d0 have: one i32 input per choice. Returns their numbers.
SmallVector<int64_t> choiceRows(KernelBuilder &k, Value routing, int64_t tokens, int64_t topK) {
  SmallVector<int64_t> inputs;
  for (int64_t choice = 0; choice < topK; ++choice)
    inputs.push_back(k.input(routing, {k.d(0) * topK + (choice + tokens * topK)}));
  return inputs;
}

/// t*K + k of row d0, an i32 input.
int64_t sourceOfRow(KernelBuilder &k, Value routing, int64_t choices) {
  return k.input(routing, {k.d(0) + 2 * choices});
}

Scalar softmax(Scalar x) {
  Scalar e = exp(x - rowMax(x));
  return e / rowSum(e);
}

} // namespace

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t tokens = rowsOf(getLogits()), experts = columnsOf(getLogits());
  bool isSoftmax = getString(getScore()) == "softmax";
  Value scores = buildPointwise(builder, getLoc(), "route_scores", getLogits(), [&](ArrayRef<Scalar> in) {
    return isSoftmax ? softmax(in[0]) : sigmoid(in[0]);
  });
  int64_t groups = getInt(getGroups());
  int64_t groupTop = groups > 1 && getString(getGroupScore()) == "top2sum" ? 2 : 1;
  auto anchor = RouteAnchorAttr::get(getContext(), groups, getInt(getGroupLimit()), groupTop,
                                     getBool(getNormalize()), builder.getF32FloatAttr(getFloat(getScale())),
                                     getBias() != nullptr, getValid() != nullptr, /*counts_seq=*/0);
  KernelBuilder k(builder, getLoc(), "route", anchor, {tokens, experts, getInt(getTopK())});
  k.input(scores, {k.d(0), k.d(1)});
  if (getBias())
    k.input(getBias(), {k.d(1)});
  if (getValid())
    k.input(getValid(), {k.d(0)});
  k.result(llvm::cast<TensorType>(getGates().getType()), {k.d(0), k.d(2)});
  k.result(llvm::cast<TensorType>(getRouting().getType()), {k.c(0)});
  k.result(llvm::cast<TensorType>(getLoad().getType()), {k.d(1)});
  KernelOp kernel = k.build();
  replacements.append({kernel.getResult(0), scores, kernel.getResult(1), kernel.getResult(2)});
  return success();
}

/// Experts are columns: a chosen one recognises itself by comparing its index with those of the choices.
LogicalResult RouteInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t topK = getInt(getTopK());
  double scale = getFloat(getScale());
  bool normalize = getBool(getNormalize()), isSoftmax = getString(getScore()) == "softmax";
  KernelBuilder k(builder, getLoc(), "route_input_grad", shapeOf(getScores()));
  k.input(getScores(), {k.d(0), k.d(1)});
  if (getScoresGrad())
    k.input(getScoresGrad(), {k.d(0), k.d(1)});
  // Three inputs per choice: its expert, the expert's score, the gradient of its gate.
  size_t first = getScoresGrad() ? 2 : 1;
  if (getGatesGrad())
    for (int64_t choice = 0; choice < topK; ++choice) {
      int64_t expert = k.input(getRouting(), {k.d(0) * topK + choice});
      k.input(getScores(), {k.d(0), k.s(0)}, {expert});
      k.input(getGatesGrad(), {k.d(0), k.c(choice)});
    }
  k.result(shapeOf(getScores()), {k.d(0), k.d(1)});
  KernelOp kernel = k.build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar s = in[0], d = getScoresGrad() ? in[1] : region.constant(0);
    if (ArrayRef<Scalar> choices = in.drop_front(first); !choices.empty()) {
      Scalar factor = region.constant(scale), mean = region.constant(0);
      if (normalize) {
        Scalar sum = choices[1], dot = choices[2] * choices[1];
        for (size_t i = 3; i < choices.size(); i += 3) {
          sum = sum + choices[i + 1];
          dot = dot + choices[i + 2] * choices[i + 1];
        }
        sum = sum + 1e-20;
        factor = scale / sum;
        mean = dot / sum;
      }
      Scalar column = region.index(1);
      for (size_t i = 0; i < choices.size(); i += 3)
        d = d + select(equal(column, choices[i]), (choices[i + 2] - mean) * factor, 0.0);
    }
    if (isSoftmax)
      return {s * (d - rowSum(d * s))};
    return {d * s * (1.0 - s)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// permute and unpermute
//===----------------------------------------------------------------------===//

LogicalResult PermuteOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  KernelBuilder k(builder, getLoc(), "permute", shape);
  int64_t topK = getInt(getTopK());
  int64_t source = sourceOfRow(k, getRouting(), rowsOf(getInput()) * topK);
  k.input(getInput(), {k.s(0).floorDiv(topK), k.d(1)}, {source});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[1]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult PermuteInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  int64_t topK = getInt(getTopK());
  KernelBuilder k(builder, getLoc(), "permute_input_grad", shape);
  for (int64_t row : choiceRows(k, getRouting(), shape[0], topK))
    k.input(getGrad(), {k.s(0), k.d(1)}, {row});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar sum = in[topK];
    for (Scalar x : in.drop_front(topK + 1))
      sum = sum + x;
    return {sum};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult UnpermuteOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  int64_t topK = columnsOf(getGates());
  KernelBuilder k(builder, getLoc(), "unpermute", shape);
  for (int64_t row : choiceRows(k, getRouting(), shape[0], topK))
    k.input(getInput(), {k.s(0), k.d(1)}, {row});
  for (int64_t choice = 0; choice < topK; ++choice)
    k.input(getGates(), {k.d(0), k.c(choice)});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar sum = in[2 * topK] * in[topK];
    for (int64_t choice = 1; choice < topK; ++choice)
      sum = sum + in[2 * topK + choice] * in[topK + choice];
    return {sum};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult UnpermuteRowsGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  int64_t topK = columnsOf(getGates());
  KernelBuilder k(builder, getLoc(), "unpermute_rows_grad", shape);
  int64_t source = sourceOfRow(k, getRouting(), rowsOf(getGates()) * topK);
  k.input(getGrad(), {k.s(0).floorDiv(topK), k.d(1)}, {source});
  k.input(getGates(), {k.s(0).floorDiv(topK), k.s(0) % topK}, {source});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[1] * in[2]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult UnpermuteGatesGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  int64_t tokens = shape[0], topK = shape[1];
  KernelBuilder k(builder, getLoc(), "unpermute_gates_grad", {tokens, topK, columnsOf(getGrad())});
  int64_t row = k.input(getRouting(), {k.d(0) * topK + k.d(1) + tokens * topK});
  k.input(getGrad(), {k.d(0), k.d(2)});
  k.input(getRows(), {k.s(0), k.d(2)}, {row});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(in[1] * in[2])}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// balance_loss
//===----------------------------------------------------------------------===//

namespace {

/// Shapes that the loss and its gradient share, with B sequences of S tokens.
template <typename Op> struct Balance {
  Balance(Op op, OpBuilder &builder)
      : op(op), builder(builder), seq(getInt(op.getSeq())), sequences(rowsOf(op.getScores()) / seq),
        experts(columnsOf(op.getScores())), topK(getInt(op.getTopK())) {}

  /// How many valid tokens of each sequence choose each expert: [B, E].
  Value buildCounts() {
    auto anchor = RouteAnchorAttr::get(op.getContext(), 1, 1, 1, false, builder.getF32FloatAttr(1),
                                       /*has_bias=*/false, op.getValid() != nullptr, seq);
    KernelBuilder k(builder, op.getLoc(), "balance_counts", anchor, {sequences * seq, experts, topK});
    k.input(op.getScores(), {k.d(0), k.d(1)});
    if (op.getValid())
      k.input(op.getValid(), {k.d(0)});
    k.result({sequences, experts}, {k.d(0).floorDiv(seq), k.d(1)});
    return k.build().getResult(0);
  }

  /// In a kernel over (sequence, position): the tokens that count, summed over the row.
  Scalar validTokens(Region &region, ArrayRef<Scalar> valid) const {
    if (valid.empty())
      return region.constant(seq);
    return max(rowSum(select(isValid(valid[0]), 1.0, 0.0)), 1.0);
  }

  /// In a kernel over (sequence, position, ...): the position's row.
  AffineExpr row(KernelBuilder &k) const { return k.d(0) * seq + k.d(1); }

  Op op;
  OpBuilder &builder;
  int64_t seq, sequences, experts, topK;
};

} // namespace

/// sum_i f_i P_i is, without its factor E / (K T^2), the sum over tokens of their counts weighted by
/// their normalised scores: first per token, then per sequence, then the mean.
LogicalResult BalanceLossOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Balance<BalanceLossOp> shape(*this, builder);
  int64_t seq = shape.seq, sequences = shape.sequences;
  Value counts = shape.buildCounts();

  KernelBuilder perToken(builder, getLoc(), "balance_tokens", {sequences, seq, shape.experts});
  perToken.input(getScores(), {shape.row(perToken), perToken.d(2)});
  perToken.input(counts, {perToken.d(0), perToken.d(2)});
  if (getValid())
    perToken.input(getValid(), {shape.row(perToken)});
  perToken.result({sequences * seq}, {shape.row(perToken)});
  Value tokens = perToken
                     .build([](Region &, ArrayRef<Scalar> in) -> Scalars {
                       Scalar x = rowSum(in[0] * in[1]) / (rowSum(in[0]) + 1e-20);
                       return {in.size() > 2 ? select(isValid(in[2]), x, 0.0) : x};
                     })
                     .getResult(0);

  KernelBuilder perSequence(builder, getLoc(), "balance_sequences", {sequences, seq});
  perSequence.input(tokens, {shape.row(perSequence)});
  if (getValid())
    perSequence.input(getValid(), {shape.row(perSequence)});
  perSequence.result({sequences}, {perSequence.d(0)});
  double factor = double(shape.experts) / double(shape.topK) / double(sequences);
  Value losses = perSequence
                     .build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
                       Scalar count = shape.validTokens(region, in.drop_front());
                       return {rowSum(in[0]) * factor / (count * count)};
                     })
                     .getResult(0);

  KernelBuilder total(builder, getLoc(), "balance_loss", {1, sequences});
  total.input(losses, {total.d(1)});
  total.result({1}, {total.c(0)});
  replacements.push_back(
      total.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(in[0])}; }).getResult(0));
  return success();
}

LogicalResult BalanceLossInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Balance<BalanceLossInputGradOp> shape(*this, builder);
  int64_t seq = shape.seq, sequences = shape.sequences;
  Value counts = shape.buildCounts();

  KernelBuilder perSequence(builder, getLoc(), "balance_factor", {sequences, seq});
  perSequence.input(getGrad(), {perSequence.c(0)});
  if (getValid())
    perSequence.input(getValid(), {shape.row(perSequence)});
  perSequence.result({sequences}, {perSequence.d(0)});
  double factor = double(shape.experts) / double(shape.topK) / double(sequences);
  Value factors = perSequence
                      .build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
                        Scalar count = shape.validTokens(region, in.drop_front());
                        return {in[0] * factor / (count * count)};
                      })
                      .getResult(0);

  KernelBuilder k(builder, getLoc(), "balance_loss_input_grad", {sequences, seq, shape.experts});
  k.input(getScores(), {shape.row(k), k.d(2)});
  k.input(counts, {k.d(0), k.d(2)});
  k.input(factors, {k.d(0)});
  if (getValid())
    k.input(getValid(), {shape.row(k)});
  k.result(shapeOf(getScores()), {shape.row(k), k.d(2)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar sum = rowSum(in[0]) + 1e-20, mean = rowSum(in[0] * in[1]) / sum;
    Scalar d = in[2] * (in[1] - mean) / sum;
    return {in.size() > 3 ? select(isValid(in[3]), d, 0.0) : d};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// bias_update
//===----------------------------------------------------------------------===//

LogicalResult BiasUpdateOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t experts = shapeOf(getBias())[0];
  double rate = getFloat(getRate());
  KernelBuilder k(builder, getLoc(), "bias_update", {1, experts});
  unsigned bias = k.input(getBias(), {k.d(1)});
  k.input(getLoad(), {k.d(1)});
  k.tiedResult(bias, {k.d(1)});
  KernelOp kernel = k.build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar missing = rowSum(in[1]) * (1.0 / experts) - in[1];
    return {in[0] + select(greater(missing, 0), region.constant(rate), select(less(missing, 0), -rate, 0.0))};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

} // namespace contraflow::nn
