//===- NNGradOps.cpp - verifiers of gradient and optimizer operations -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/OpChecks.h"

using namespace mlir;

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Tables and matrix products
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingWeightGradOp::verify() {
  Check check(*this);
  // embedding_weight_grad_c1
  if (failed(check.equal(1, "rows of grad", getDim(getGrad(), 0), "elements of ids", getDim(getIds(), 0))))
    return failure();
  // embedding_weight_grad_c2
  return check.equal(2, "columns of output", getDim(getOutput(), 1), "columns of grad", getDim(getGrad(), 1));
}

LogicalResult LinearInputGradOp::verify() {
  return verifyProduct(*this, "columns of grad", getDim(getGrad(), 1), "rows of weight",
                       getDim(getWeight(), 0));
}

LogicalResult LinearWeightGradOp::verify() {
  return verifyProduct(*this, "rows of grad", getDim(getGrad(), 0), "rows of input", getDim(getInput(), 0));
}

LogicalResult GroupedLinearInputGradOp::verify() {
  return verifyGroupedProduct(*this, "columns of grad", getDim(getGrad(), 1), "dimension 1 of weight",
                              getDim(getWeight(), 1), getDim(getRouting(), 0), getChoicesAttr(),
                              getDim(getGrad(), 0), getDim(getWeight(), 0));
}

LogicalResult GroupedLinearWeightGradOp::verify() {
  return verifyProduct(*this, "rows of grad", getDim(getGrad(), 0), "rows of input", getDim(getInput(), 0));
}

//===----------------------------------------------------------------------===//
// Normalisation, positions, attention
//===----------------------------------------------------------------------===//

LogicalResult RmsNormInputGradOp::verify() {
  return verifyRmsNorm(*this, getInput(), "elements of weight", getWeight(), getEps());
}

LogicalResult RmsNormWeightGradOp::verify() {
  return verifyRmsNorm(*this, getInput(), "elements of output", getOutput(), getEps());
}

LogicalResult RopeInputGradOp::verify() {
  return verifyRope(*this, getInput(), getHeadDim(), getSeq(), getTheta(), getStyle(),
                    {{"factor", getFactor()},
                     {"beta_fast", getBetaFast()},
                     {"beta_slow", getBetaSlow()},
                     {"original_length", getOriginalLength()},
                     {"attention_factor", getAttentionFactor()}});
}

LogicalResult AttentionInputGradOp::verify() {
  if (failed(verifyAttention(*this, {getQuery(), getKey(), getValue(), getOutput(), getLse(), getStarts(),
                                     getHeads(), getKvHeads(), getSeq(), getScale(), getDropout()})))
    return failure();
  Check check(*this);
  // attention_input_grad_c8
  if (getLseGrad() && (failed(check.equal(8, "rows of lse_grad", getDim(getLseGrad(), 0), "rows of lse",
                                          getDim(getLse(), 0))) ||
                       failed(check.equal(8, "columns of lse_grad", getDim(getLseGrad(), 1), "columns of lse",
                                          getDim(getLse(), 1)))))
    return failure();
  // attention_input_grad_c9
  if (isBound(getDropout()) && (getFloat(getDropout()) != 0) != !!getRandom())
    return check.error(9) << "dropout is " << getDropout().getText() << ", but there is "
                          << (getRandom() ? "a" : "no") << " random key";
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise and layout
//===----------------------------------------------------------------------===//

LogicalResult GeluInputGradOp::verify() {
  // gelu_input_grad_c1
  return Check(*this).oneOf(1, "approximate", getApproximate(), {"none", "tanh"});
}

LogicalResult ReduceSumOp::verify() {
  // reduce_sum_c1
  TensorType input = getInput().getType(), output = getOutput().getType();
  if (isRepeatable(output, input))
    return success();
  return Check(*this).error(1) << "output cannot be repeated to the type of input, found " << output
                               << " and " << input;
}

LogicalResult SliceInputGradOp::verify() {
  Check check(*this);
  ExprAttr grad = getDim(getGrad(), 1), output = getDim(getOutput(), 1);
  // slice_input_grad_c1
  if (failed(check.integer(1, "heads", getHeads(), 1)) ||
      failed(check.multiple(1, "columns of grad", grad, "heads", getHeads())) ||
      failed(check.multiple(1, "columns of output", output, "heads", getHeads())))
    return failure();
  // slice_input_grad_c2
  if (failed(check.integer(2, "offset", getOffset(), 0)) ||
      failed(check.atMost(2, "heads * offset + columns of grad",
                          addDims(multiplyDims(getHeads(), getOffset()), grad), "columns of output", output)))
    return failure();
  // slice_input_grad_c3
  return check.equal(3, "rows of grad", getDim(getGrad(), 0), "rows of output", getDim(getOutput(), 0));
}

LogicalResult BroadcastInputGradOp::verify() {
  Check check(*this);
  // broadcast_input_grad_c1
  if (failed(check.integer(1, "heads", getHeads(), 1)))
    return failure();
  // broadcast_input_grad_c2
  if (failed(check.equal(2, "rows of grad", getDim(getGrad(), 0), "rows of output", getDim(getOutput(), 0))))
    return failure();
  return check.equal(2, "columns of grad", getDim(getGrad(), 1), "heads times columns of output",
                     multiplyDims(getHeads(), getDim(getOutput(), 1)));
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouteInputGradOp::verify() {
  Check check(*this);
  ExprAttr tokens = getDim(getScores(), 0), experts = getDim(getScores(), 1);
  ExprAttr topK = multiplyDims(getTopK(), ExprAttr::getConstant(getContext(), 1));
  // route_input_grad_c1
  if (!getGatesGrad() && !getScoresGrad())
    return check.error(1) << "a gradient of the gates or of the scores is needed, found none";
  // route_input_grad_c2
  if (getGatesGrad() &&
      (failed(check.equal(2, "rows of the gates", getDim(getGatesGrad(), 0), "rows of scores", tokens)) ||
       failed(check.equal(2, "columns of the gates", getDim(getGatesGrad(), 1), "top_k", topK))))
    return failure();
  if (getScoresGrad() && getScoresGrad().getType() != getScores().getType())
    return check.error(2) << "the gradient of the scores must have their type, found "
                          << getScoresGrad().getType() << " and " << getScores().getType();
  // route_input_grad_c3
  ExprAttr choices = multiplyDims(tokens, topK);
  if (failed(check.equal(3, "elements of routing", getDim(getRouting(), 0), "3 * rows + experts + 1",
                         getRoutingSize(choices, choices, experts))))
    return failure();
  // route_input_grad_c4
  return failure(failed(check.oneOf(4, "score", getScore(), {"sigmoid", "softmax"})) ||
                 failed(check.truth(4, "normalize", getNormalize())) ||
                 failed(check.number(4, "scale", getScale())));
}

LogicalResult PermuteInputGradOp::verify() {
  Check check(*this);
  // permute_input_grad_c1
  if (failed(verifyRows(*this, 1, "rows of grad", getDim(getGrad(), 0), "rows of output times top_k",
                        multiplyDims(getDim(getOutput(), 0), getTopK()), getRoomAttr())))
    return failure();
  // permute_input_grad_c2
  return check.equal(2, "columns of grad", getDim(getGrad(), 1), "columns of output", getDim(getOutput(), 1));
}

LogicalResult UnpermuteRowsGradOp::verify() {
  // unpermute_rows_grad_c1
  if (failed(Check(*this).equal(1, "rows of grad", getDim(getGrad(), 0), "rows of gates",
                                getDim(getGates(), 0))))
    return failure();
  // unpermute_rows_grad_c2
  return Check(*this).results(2);
}

LogicalResult UnpermuteGatesGradOp::verify() {
  Check check(*this);
  // unpermute_gates_grad_c1
  if (failed(
          check.equal(1, "columns of grad", getDim(getGrad(), 1), "columns of rows", getDim(getRows(), 1))))
    return failure();
  // unpermute_gates_grad_c2
  if (failed(check.equal(2, "rows of output", getDim(getOutput(), 0), "rows of grad", getDim(getGrad(), 0))))
    return failure();
  return verifyRows(*this, 2, "rows of rows", getDim(getRows(), 0), "elements of output",
                    multiplyDims(getDim(getOutput(), 0), getDim(getOutput(), 1)), getRoomAttr());
}

LogicalResult BalanceLossInputGradOp::verify() {
  return verifyBalanceLoss(*this, getScores(), getValid(), getTopK(), getSeq());
}

LogicalResult CrossEntropyInputGradOp::verify() {
  Check check(*this);
  // cross_entropy_input_grad_c1
  ExprAttr rows = getDim(getLogits(), 0);
  return failure(
      failed(check.equal(1, "elements of targets", getDim(getTargets(), 0), "rows of logits", rows)) ||
      failed(check.equal(1, "elements of lse", getDim(getLse(), 0), "rows of logits", rows)) ||
      (getLseGrad() &&
       failed(check.equal(1, "elements of lse_grad", getDim(getLseGrad(), 0), "rows of logits", rows))));
}

LogicalResult MeanInputGradOp::verify() { return verifyMean(*this, "output", getOutput(), getValid()); }

//===----------------------------------------------------------------------===//
// Optimizer
//===----------------------------------------------------------------------===//

LogicalResult ClipFactorOp::verify() {
  // clip_factor_c1
  return Check(*this).notNegative(1, "max_norm", getMaxNorm());
}

LogicalResult AdamwOp::verify() {
  Check check(*this);
  // adamw_c1
  std::pair<StringRef, ExprAttr> betas[] = {{"beta1", getBeta1()}, {"beta2", getBeta2()}};
  for (auto [name, beta] : betas)
    if (failed(check.share(1, name, beta)))
      return failure();
  // adamw_c2
  return failure(failed(check.notNegative(2, "eps", getEps())) ||
                 failed(check.notNegative(2, "weight_decay", getWeightDecay())));
}

LogicalResult EmaOp::verify() {
  // ema_c1
  return Check(*this).share(1, "decay", getDecay());
}

} // namespace contraflow::nn
