//===- NNKernelsMatmul.cpp - kernels of matrix products and attention -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"

using namespace mlir;

namespace contraflow::nn {

namespace {

using Replacements = SmallVectorImpl<Value>;

KernelBuilder matmul(Operation *op, OpBuilder &builder, int64_t m, int64_t n, int64_t k) {
  return KernelBuilder(builder, op->getLoc(), op->getName().stripDialect(),
                       MatmulAnchorAttr::get(op->getContext()), {m, n, k});
}

KernelBuilder groupedMatmul(Operation *op, OpBuilder &builder, RaggedKind ragged, ArrayRef<int64_t> domain) {
  return KernelBuilder(builder, op->getLoc(), op->getName().stripDialect(),
                       GroupedMatmulAnchorAttr::get(op->getContext(), ragged), domain);
}

/// The offsets of the experts stand at the end of a routing table.
void offsets(KernelBuilder &k, Value routing, int64_t experts) {
  k.input(routing, {k.d(0) + (shapeOf(routing)[0] - experts - 1)});
}

} // namespace

//===----------------------------------------------------------------------===//
// embedding
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> shape = shapeOf(getOutput());
  KernelBuilder k(builder, getLoc(), "embedding", shape);
  int64_t ids = k.input(getIds(), {k.d(0)});
  k.input(getTable(), {k.s(0), k.d(1)}, {ids});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[1]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

/// Adds the rows of the gradient to the rows of a table of zeros.
LogicalResult EmbeddingWeightGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Value zeros = buildFill(builder, getLoc(), llvm::cast<TensorType>(getOutput().getType()), 0);
  KernelBuilder k(builder, getLoc(), "embedding_weight_grad", ColumnReduceAnchorAttr::get(getContext()),
                  shapeOf(getGrad()));
  k.input(getGrad(), {k.d(0), k.d(1)});
  int64_t ids = k.input(getIds(), {k.d(0)});
  unsigned target = k.input(zeros, {k.s(0), k.d(1)}, {ids});
  k.tiedResult(target, {k.s(0), k.d(1)}, {ids});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// linear
//===----------------------------------------------------------------------===//

LogicalResult LinearOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> output = shapeOf(getOutput());
  KernelBuilder k = matmul(*this, builder, output[0], output[1], shapeOf(getInput())[1]);
  k.input(getInput(), {k.d(0), k.d(2)});
  k.input(getWeight(), {k.d(1), k.d(2)});
  k.result(output, {k.d(0), k.d(1)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

LogicalResult GroupedLinearOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> weight = shapeOf(getWeight());
  int64_t rows = shapeOf(getInput())[0];
  KernelBuilder k = groupedMatmul(*this, builder, RaggedKind::rows, {weight[0], rows, weight[1], weight[2]});
  k.input(getInput(), {k.d(1), k.d(3)});
  k.input(getWeight(), {k.d(0), k.d(2), k.d(3)});
  offsets(k, getRouting(), weight[0]);
  k.result({rows, weight[1]}, {k.d(1), k.d(2)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

LogicalResult LinearInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> output = shapeOf(getOutput());
  KernelBuilder k = matmul(*this, builder, output[0], output[1], shapeOf(getGrad())[1]);
  k.input(getGrad(), {k.d(0), k.d(2)});
  k.input(getWeight(), {k.d(2), k.d(1)});
  k.result(output, {k.d(0), k.d(1)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

LogicalResult LinearWeightGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> output = shapeOf(getOutput());
  KernelBuilder k = matmul(*this, builder, output[0], output[1], shapeOf(getGrad())[0]);
  k.input(getGrad(), {k.d(2), k.d(0)});
  k.input(getInput(), {k.d(2), k.d(1)});
  k.result(output, {k.d(0), k.d(1)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

LogicalResult GroupedLinearInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> weight = shapeOf(getWeight());
  int64_t rows = shapeOf(getGrad())[0];
  KernelBuilder k = groupedMatmul(*this, builder, RaggedKind::rows, {weight[0], rows, weight[2], weight[1]});
  k.input(getGrad(), {k.d(1), k.d(3)});
  k.input(getWeight(), {k.d(0), k.d(3), k.d(2)});
  offsets(k, getRouting(), weight[0]);
  k.result({rows, weight[2]}, {k.d(1), k.d(2)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

LogicalResult GroupedLinearWeightGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> output = shapeOf(getOutput());
  int64_t rows = shapeOf(getGrad())[0];
  KernelBuilder k =
      groupedMatmul(*this, builder, RaggedKind::reduction, {output[0], output[1], output[2], rows});
  k.input(getGrad(), {k.d(3), k.d(1)});
  k.input(getInput(), {k.d(3), k.d(2)});
  offsets(k, getRouting(), output[0]);
  k.result(output, {k.d(0), k.d(1), k.d(2)});
  replacements.push_back(k.build().getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

namespace {

/// The domain of attention, and coordinates of its operands.
struct AttentionDomain {
  template <typename Op>
  explicit AttentionDomain(Op op)
      : seq(getInt(op.getSeq())), heads(getInt(op.getHeads())), kvHeads(getInt(op.getKvHeads())),
        size(op.getHeadDim()), vSize(op.getValueDim()), rows(shapeOf(op.getQuery())[0]) {}

  SmallVector<int64_t> sizes() const { return {rows / seq, seq, heads, size, vSize}; }
  SmallVector<AffineExpr> row(KernelBuilder &k) const { return {k.d(0) * seq + k.d(1)}; }
  SmallVector<AffineExpr> query(KernelBuilder &k) const { return {row(k)[0], k.d(2) * size + k.d(3)}; }
  SmallVector<AffineExpr> value(KernelBuilder &k) const { return {row(k)[0], k.d(2) * vSize + k.d(4)}; }
  SmallVector<AffineExpr> lse(KernelBuilder &k) const { return {row(k)[0], k.d(2)}; }

  template <typename Anchor, typename Op, typename... More> Anchor anchor(Op op, More... more) const {
    Builder builder(op.getContext());
    return Anchor::get(op.getContext(), heads, kvHeads, seq, builder.getF32FloatAttr(getFloat(op.getScale())),
                       op.getCausal(), more..., getDropOf(op));
  }
  /// Null where nothing is dropped.
  template <typename Op> static DropAttr getDropOf(Op op) {
    return op.getRandom() ? getDrop(op.getContext(), getFloat(op.getDropout()), op.getStream()) : DropAttr();
  }

  int64_t seq, heads, kvHeads, size, vSize, rows;
};

} // namespace

LogicalResult AttentionOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  if (isRandom() && !getRandom())
    return failure();
  AttentionDomain domain(*this);
  KernelBuilder k(builder, getLoc(), "attention", domain.anchor<AttentionAnchorAttr>(*this), domain.sizes());
  k.input(getQuery(), domain.query(k));
  k.input(getKey(), domain.query(k));
  k.input(getValue(), domain.value(k));
  if (getStarts())
    k.input(getStarts(), domain.row(k));
  if (getRandom())
    k.input(getRandom(), {k.c(0)});
  k.result(llvm::cast<TensorType>(getOutput().getType()), domain.value(k));
  k.result(llvm::cast<TensorType>(getLse().getType()), domain.lse(k));
  llvm::append_range(replacements, k.build().getResults());
  return success();
}

LogicalResult AttentionInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  AttentionDomain domain(*this);
  bool hasLseGrad = !!getLseGrad();
  KernelBuilder k(builder, getLoc(), "attention_input_grad",
                  domain.anchor<AttentionGradAnchorAttr>(*this, hasLseGrad), domain.sizes());
  k.input(getQuery(), domain.query(k));
  k.input(getKey(), domain.query(k));
  k.input(getValue(), domain.value(k));
  k.input(getOutput(), domain.value(k));
  k.input(getLse(), domain.lse(k));
  k.input(getGrad(), domain.value(k));
  if (hasLseGrad)
    k.input(getLseGrad(), domain.lse(k));
  if (getStarts())
    k.input(getStarts(), domain.row(k));
  if (getRandom())
    k.input(getRandom(), {k.c(0)});
  k.result(llvm::cast<TensorType>(getQueryGrad().getType()), domain.query(k));
  k.result(llvm::cast<TensorType>(getKeyGrad().getType()), domain.query(k));
  k.result(llvm::cast<TensorType>(getValueGrad().getType()), domain.value(k));
  llvm::append_range(replacements, k.build().getResults());
  return success();
}

} // namespace contraflow::nn
