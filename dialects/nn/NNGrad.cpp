//===- NNGrad.cpp - gradient rules of the operations of nn ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One rule per operation. A rule builds the gradient of every float operand, needed or not: what nobody uses
// is left out when autodiff cuts its functions. It prefers what is cheap to keep: results over operands where
// both serve (sigmoid, tanh), operands over intermediate values where one pass computes them again (rms_norm,
// swiglu).
//===----------------------------------------------------------------------===//
#include "dialects/nn/KernelBuilder.h"
#include "dialects/nn/OpChecks.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace contraflow::nn {

/// The gradient of a result, zeros where only other results have one.
static Value gradientOrZero(OpBuilder &builder, Value gradient, Value result) {
  if (gradient)
    return gradient;
  return ZeroOp::create(builder, result.getLoc(), result.getType());
}

//===----------------------------------------------------------------------===//
// Tables and matrix products
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::buildInputGrads(OpBuilder &, ValueRange, MutableArrayRef<Value>) {
  return success();
}

Value EmbeddingOp::buildWeightGrad(OpBuilder &builder, unsigned, ValueRange resultGrads) {
  return EmbeddingWeightGradOp::create(builder, getLoc(), getTable().getType(), resultGrads[0], getIds());
}

LogicalResult LinearOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                        MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = LinearInputGradOp::create(builder, getLoc(), resultGrads[0], getWeight());
  return success();
}

Value LinearOp::buildWeightGrad(OpBuilder &builder, unsigned, ValueRange resultGrads) {
  return LinearWeightGradOp::create(builder, getLoc(), resultGrads[0], getInput());
}

LogicalResult GroupedLinearOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                               MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = GroupedLinearInputGradOp::create(builder, getLoc(), resultGrads[0], getWeight(),
                                                     getRouting(), getChoicesAttr());
  return success();
}

Value GroupedLinearOp::buildWeightGrad(OpBuilder &builder, unsigned, ValueRange resultGrads) {
  return GroupedLinearWeightGradOp::create(builder, getLoc(), resultGrads[0], getInput(), getRouting(),
                                           getChoicesAttr());
}

//===----------------------------------------------------------------------===//
// Normalisation, positions, attention
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                         MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = RmsNormInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0],
                                               getInput(), getWeight(), getEpsAttr());
  return success();
}

Value RmsNormOp::buildWeightGrad(OpBuilder &builder, unsigned, ValueRange resultGrads) {
  return RmsNormWeightGradOp::create(builder, getLoc(), getWeight().getType(), resultGrads[0], getInput(),
                                     getEpsAttr());
}

LogicalResult RopeOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                      MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = RopeInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0],
                                            getHeadDimAttr(), getSeqAttr(), getThetaAttr(), getStyleAttr(),
                                            getFactorAttr(), getBetaFastAttr(), getBetaSlowAttr(),
                                            getOriginalLengthAttr(), getAttentionFactorAttr());
  return success();
}

LogicalResult AttentionOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                           MutableArrayRef<Value> operandGrads) {
  Value grad = gradientOrZero(builder, resultGrads[0], getOutput());
  auto gradients = AttentionInputGradOp::create(
      builder, getLoc(), TypeRange{getQuery().getType(), getKey().getType(), getValue().getType()}, grad,
      getQuery(), getKey(), getValue(), getOutput(), getLse(), resultGrads[1], getStarts(), getRandom(),
      getCausalAttr(), getHeadsAttr(), getKvHeadsAttr(), getSeqAttr(), getScaleAttr(), getDropoutAttr(),
      getStreamAttr());
  llvm::copy(gradients.getResults(), operandGrads.begin());
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// The gradient of an operand that was repeated to the type of `gradient`.
static Value reduceTo(OpBuilder &builder, Type type, Value gradient) {
  return gradient.getType() == type
             ? gradient
             : ReduceSumOp::create(builder, gradient.getLoc(), type, gradient).getResult();
}

LogicalResult AddOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                     MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = resultGrads[0];
  operandGrads[1] = reduceTo(builder, getRhs().getType(), resultGrads[0]);
  return success();
}

LogicalResult DropoutOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                         MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = DropoutOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getPAttr(),
                                      getRandom(), getStreamAttr());
  return success();
}

LogicalResult SubOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                     MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = resultGrads[0];
  Value sum = reduceTo(builder, getRhs().getType(), resultGrads[0]);
  operandGrads[1] = ScaleOp::create(builder, getLoc(), sum.getType(), sum, getFloatAttr(getContext(), -1.0));
  return success();
}

LogicalResult MulOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                     MutableArrayRef<Value> operandGrads) {
  Value gradient = resultGrads[0];
  operandGrads[0] = MulOp::create(builder, getLoc(), gradient.getType(), gradient, getRhs());
  Value product = MulOp::create(builder, getLoc(), gradient.getType(), gradient, getLhs());
  operandGrads[1] = reduceTo(builder, getRhs().getType(), product);
  return success();
}

LogicalResult SwigluOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                        MutableArrayRef<Value> operandGrads) {
  Type type = getOutput().getType();
  auto gradients =
      SwigluInputGradOp::create(builder, getLoc(), type, type, resultGrads[0], getGate(), getUp());
  llvm::copy(gradients.getResults(), operandGrads.begin());
  return success();
}

LogicalResult ScaleOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                       MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = ScaleOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getByAttr());
  return success();
}

LogicalResult SigmoidOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                         MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      SigmoidInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getOutput());
  return success();
}

LogicalResult TanhOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                      MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      TanhInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getOutput());
  return success();
}

LogicalResult SiluOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                      MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      SiluInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getInput());
  return success();
}

LogicalResult GeluOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                      MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = GeluInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0],
                                            getInput(), getApproximateAttr());
  return success();
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                        MutableArrayRef<Value> operandGrads) {
  int64_t heads = getInt(getHeads());
  int64_t left = getLhs().getType().getDim(1) / heads, right = getRhs().getType().getDim(1) / heads;
  auto slice = [&](Type type, int64_t offset, int64_t size) {
    return SliceOp::create(builder, getLoc(), type, resultGrads[0], getHeadsAttr(),
                           ExprAttr::getConstant(getContext(), offset),
                           ExprAttr::getConstant(getContext(), size));
  };
  operandGrads[0] = slice(getLhs().getType(), 0, left);
  operandGrads[1] = slice(getRhs().getType(), left, right);
  return success();
}

LogicalResult SliceOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                       MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = SliceInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0],
                                             getHeadsAttr(), getOffsetAttr());
  return success();
}

LogicalResult BroadcastOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                           MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      BroadcastInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getHeadsAttr());
  return success();
}

LogicalResult ReshapeOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                         MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = ReshapeOp::create(builder, getLoc(), getInput().getType(), resultGrads[0]);
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                       MutableArrayRef<Value> operandGrads) {
  // The choice, and with it the load and the bias, is piecewise constant: its gradient is zero where there is
  // one.
  if (!resultGrads[0] && !resultGrads[1])
    return success();
  operandGrads[0] = RouteInputGradOp::create(builder, getLoc(), getLogits().getType(), getScores(),
                                             getRouting(), resultGrads[0], resultGrads[1], getTopKAttr(),
                                             getScoreAttr(), getNormalizeAttr(), getScaleAttr());
  return success();
}

LogicalResult PermuteOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                         MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = PermuteInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0],
                                               getRouting(), getTopKAttr(), getRoomAttr());
  return success();
}

LogicalResult UnpermuteOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                           MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      UnpermuteRowsGradOp::create(builder, getLoc(), resultGrads[0], getRouting(), getGates(), getRoomAttr());
  operandGrads[2] = UnpermuteGatesGradOp::create(builder, getLoc(), getGates().getType(), resultGrads[0],
                                                 getInput(), getRouting(), getRoomAttr());
  return success();
}

LogicalResult BalanceLossOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                             MutableArrayRef<Value> operandGrads) {
  operandGrads[0] = BalanceLossInputGradOp::create(builder, getLoc(), getScores().getType(), resultGrads[0],
                                                   getScores(), getValid(), getTopKAttr(), getSeqAttr());
  return success();
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                              MutableArrayRef<Value> operandGrads) {
  Value grad = gradientOrZero(builder, resultGrads[0], getLoss());
  operandGrads[0] = CrossEntropyInputGradOp::create(builder, getLoc(), getLogits().getType(), grad,
                                                    getLogits(), getTargets(), getLse(), resultGrads[1]);
  return success();
}

LogicalResult MeanOp::buildInputGrads(OpBuilder &builder, ValueRange resultGrads,
                                      MutableArrayRef<Value> operandGrads) {
  operandGrads[0] =
      MeanInputGradOp::create(builder, getLoc(), getInput().getType(), resultGrads[0], getValid());
  return success();
}

//===----------------------------------------------------------------------===//
// Beginning and end of a gradient function
//===----------------------------------------------------------------------===//

LogicalResult FillOp::verify() {
  // fill_c1
  return Check(*this).number(1, "with", getWith());
}

int64_t FillOp::getFlops() { return 0; }

LogicalResult FillOp::buildKernels(OpBuilder &builder, SmallVectorImpl<Value> &replacements) {
  replacements.push_back(buildFill(builder, getLoc(), getOutput().getType(), getFloat(getWith())));
  return success();
}

int64_t CopyOp::getFlops() { return 0; }

LogicalResult CopyOp::buildKernels(OpBuilder &builder, SmallVectorImpl<Value> &replacements) {
  replacements.push_back(
      buildPointwise(builder, getLoc(), "copy", {getInput()}, [](ArrayRef<Scalar> in) { return in[0]; }));
  return success();
}

} // namespace contraflow::nn
