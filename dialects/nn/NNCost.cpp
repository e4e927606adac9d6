//===- NNCost.cpp - floating-point operations and bytes -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A multiply-add counts as two; exp, log, division, square root and comparison as one each. What is
// computed again on purpose (the scores of attention in its gradient) counts, so that dividing by a peak
// gives a lower bound of the time.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NN.h"

using namespace mlir;

namespace contraflow::nn {

static TensorType typeOf(Value value) { return llvm::cast<TensorType>(value.getType()); }
static int64_t elements(Value value) { return typeOf(value).getNumElements(); }
static int64_t dim(Value value, unsigned index) { return typeOf(value).getDim(index); }
static int64_t bytes(Value value) { return typeOf(value).getNumBytes(); }

double getFlops(Operation *function) {
  ArrayAttr costs = function ? getAttr<NNDialect::CostsAttrHelper>(function) : ArrayAttr();
  double flops = 0;
  if (costs)
    for (auto cost : costs.getAsRange<CostAttr>())
      flops += double(cost.getFlops());
  return flops;
}

//===----------------------------------------------------------------------===//
// Tables and matrix products
//===----------------------------------------------------------------------===//

int64_t EmbeddingOp::getFlops() { return 0; }
// Only the rows that are looked up are read.
int64_t EmbeddingOp::getBytesRead() { return bytes(getIds()) + bytes(getOutput()); }
int64_t EmbeddingWeightGradOp::getFlops() { return elements(getGrad()); }

int64_t LinearOp::getFlops() { return 2 * elements(getInput()) * dim(getWeight(), 0); }
int64_t LinearInputGradOp::getFlops() { return 2 * elements(getGrad()) * dim(getWeight(), 1); }
int64_t LinearWeightGradOp::getFlops() { return 2 * elements(getGrad()) * dim(getInput(), 1); }

// Every row meets one expert.
int64_t GroupedLinearOp::getFlops() { return 2 * elements(getInput()) * dim(getWeight(), 1); }
int64_t GroupedLinearInputGradOp::getFlops() { return 2 * elements(getGrad()) * dim(getWeight(), 2); }
int64_t GroupedLinearWeightGradOp::getFlops() { return 2 * elements(getGrad()) * dim(getInput(), 1); }

//===----------------------------------------------------------------------===//
// Normalisation, positions, attention
//===----------------------------------------------------------------------===//

// square, sum | times the root, times the weight
int64_t RmsNormOp::getFlops() { return 4 * elements(getInput()); }
// square, sum | times the weight, product, sum | times the mean, subtract, times the root
int64_t RmsNormInputGradOp::getFlops() { return 8 * elements(getInput()); }
// square, sum | times the root, times grad, sum
int64_t RmsNormWeightGradOp::getFlops() { return 5 * elements(getInput()); }

// Two products and a sum per element; angles depend on positions only.
int64_t RopeOp::getFlops() { return 3 * elements(getInput()); }
int64_t RopeInputGradOp::getFlops() { return 3 * elements(getInput()); }

/// Pairs of a query and a key that it sees, over all heads.
template <typename AttentionLikeOp> static int64_t countScores(AttentionLikeOp op) {
  int64_t seq = getInt(op.getSeq());
  int64_t perSequence = op.getCausal() ? seq * (seq + 1) / 2 : seq * seq;
  return dim(op.getQuery(), 0) / seq * perSequence * getInt(op.getHeads());
}

// q k^T and p v; and per score: scale, maximum, subtract, exp, sum; dropping: comparison, product.
int64_t AttentionOp::getFlops() {
  return countScores(*this) * (2 * getHeadDim() + 2 * getValueDim() + 5 + (getRandom() ? 2 : 0));
}
// q k^T again, grad v^T; dq, dk, dv; and per score: scale, subtract, exp, subtract, product, scale; dropping:
// comparison, two products.
int64_t AttentionInputGradOp::getFlops() {
  return countScores(*this) * (6 * getHeadDim() + 4 * getValueDim() + 6 + (getRandom() ? 3 : 0)) +
         2 * elements(getGrad()) + (getLseGrad() ? elements(getLseGrad()) : 0);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

int64_t AddOp::getFlops() { return elements(getOutput()); }
int64_t SubOp::getFlops() { return elements(getOutput()); }
int64_t MulOp::getFlops() { return elements(getOutput()); }
int64_t ScaleOp::getFlops() { return elements(getOutput()); }
int64_t ReduceSumOp::getFlops() { return elements(getInput()); }
// comparison, product; random numbers are integers
int64_t DropoutOp::getFlops() { return 2 * elements(getOutput()); }
int64_t AccumulateOp::getFlops() { return elements(getOutput()); }
// negate, exp, add, divide
int64_t SigmoidOp::getFlops() { return 4 * elements(getOutput()); }
int64_t SigmoidInputGradOp::getFlops() { return 3 * elements(getOutput()); }
int64_t SiluOp::getFlops() { return 5 * elements(getOutput()); }
int64_t SiluInputGradOp::getFlops() { return 9 * elements(getOutput()); }
int64_t SwigluOp::getFlops() { return 6 * elements(getOutput()); }
int64_t SwigluInputGradOp::getFlops() { return 12 * elements(getGrad()); }
// The polynomials of tanh and erf count as one exp and what goes around it.
int64_t TanhOp::getFlops() { return 5 * elements(getOutput()); }
int64_t TanhInputGradOp::getFlops() { return 3 * elements(getOutput()); }
int64_t GeluOp::getFlops() { return 12 * elements(getOutput()); }
int64_t GeluInputGradOp::getFlops() { return 18 * elements(getOutput()); }

//===----------------------------------------------------------------------===//
// Layout: nothing is computed
//===----------------------------------------------------------------------===//

int64_t ConcatOp::getFlops() { return 0; }
int64_t SliceOp::getFlops() { return 0; }
// Columns outside the slice are not read.
int64_t SliceOp::getBytesRead() { return bytes(getOutput()); }
int64_t SliceInputGradOp::getFlops() { return 0; }
int64_t BroadcastOp::getFlops() { return 0; }
int64_t BroadcastInputGradOp::getFlops() { return elements(getGrad()); }
int64_t ReshapeOp::getFlops() { return 0; }
int64_t ShiftOp::getFlops() { return 0; }
int64_t ZeroOp::getFlops() { return 0; }

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// Score and bias per expert, one comparison per expert and choice, and the gates.
int64_t RouteOp::getFlops() {
  return (5 + getInt(getTopK())) * elements(getLogits()) + 3 * elements(getGates());
}
int64_t RouteInputGradOp::getFlops() {
  return 4 * elements(getScores()) + 7 * dim(getScores(), 0) * getInt(getTopK());
}
int64_t PermuteOp::getFlops() { return 0; }
int64_t PermuteInputGradOp::getFlops() { return elements(getGrad()); }
int64_t UnpermuteOp::getFlops() { return 2 * elements(getInput()); }
int64_t UnpermuteRowsGradOp::getFlops() { return elements(getOutput()); }
int64_t UnpermuteGatesGradOp::getFlops() { return 2 * elements(getRows()); }
/// Sum, quotient, sum over tokens, product with f; one comparison per choice.
int64_t BalanceLossOp::getFlops() { return (4 + getInt(getTopK())) * elements(getScores()); }
int64_t BalanceLossInputGradOp::getFlops() { return (6 + getInt(getTopK())) * elements(getScores()); }
int64_t BiasUpdateOp::getFlops() { return 5 * elements(getBias()); }

//===----------------------------------------------------------------------===//
// Loss and optimizer
//===----------------------------------------------------------------------===//

// maximum, subtract, exp, sum
int64_t CrossEntropyOp::getFlops() { return 4 * elements(getLogits()); }
// subtract, exp, times, subtract; both factors of a row added
int64_t CrossEntropyInputGradOp::getFlops() {
  return 4 * elements(getLogits()) + (getLseGrad() ? elements(getLseGrad()) : 0);
}
// two comparisons, sum
int64_t AccuracyOp::getFlops() { return 3 * elements(getLogits()); }
int64_t MeanOp::getFlops() { return elements(getInput()); }
int64_t MeanInputGradOp::getFlops() { return 0; }
int64_t SumSquaresOp::getFlops() { return 2 * elements(getInput()); }
int64_t ClipFactorOp::getFlops() { return 4; }
// clip; 3 for m, 4 for v; 2 for decay; 2 quotients, root, sum, product, difference
int64_t AdamwOp::getFlops() { return 16 * elements(getParam()); }
// difference, product, sum
int64_t EmaOp::getFlops() { return 3 * elements(getValue()); }

} // namespace contraflow::nn
