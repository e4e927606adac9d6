//===- NNOps.cpp - verifiers and types of the operations of models --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/OpChecks.h"

#include "mlir/IR/Builders.h"
#include <cmath>

using namespace mlir;

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

bool getBool(ExprAttr attr) { return llvm::cantFail(getExpr(attr).evaluateBool(ExprEnvironment())); }

std::string getString(ExprAttr attr) {
  return std::get<std::string>(llvm::cantFail(getExpr(attr).evaluate(ExprEnvironment())));
}

bool isBound(ExprAttr attr) {
  bool bound = true;
  getExpr(attr).forEachName([&](StringRef name) { bound &= name == "true" || name == "false"; });
  return bound;
}

ExprAttr getDefaultExpr(MLIRContext *context, const Expr &value) { return getExprAttr(context, value); }
ExprAttr getDefaultExpr(MLIRContext *context, int value) { return ExprAttr::getConstant(context, value); }
ExprAttr getDefaultExpr(MLIRContext *context, double value) { return getFloatAttr(context, value); }
ExprAttr getDefaultExpr(MLIRContext *context, const char *value) {
  return ExprAttr::get(context, ("\"" + Twine(value) + "\"").str());
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

OptionalParseResult parseYarn(OpAsmParser &parser, ExprAttr &factor, ExprAttr &betaFast, ExprAttr &betaSlow,
                              ExprAttr &originalLength, ExprAttr &attentionFactor) {
  if (failed(parser.parseOptionalKeyword("yarn")))
    return std::nullopt;
  auto parse = [&](StringRef name, ExprAttr &value) {
    return failure(failed(parser.parseKeyword(name)) || failed(parser.parseEqual()) ||
                   failed(parseExpr(parser, value)));
  };
  return ParseResult(failure(
      failed(parser.parseLParen()) || failed(parse("factor", factor)) || failed(parser.parseComma()) ||
      failed(parse("beta_fast", betaFast)) || failed(parser.parseComma()) ||
      failed(parse("beta_slow", betaSlow)) || failed(parser.parseComma()) ||
      failed(parse("original_length", originalLength)) || failed(parser.parseComma()) ||
      failed(parse("attention_factor", attentionFactor)) || failed(parser.parseRParen())));
}

void printYarn(OpAsmPrinter &printer, Operation *, ExprAttr factor, ExprAttr betaFast, ExprAttr betaSlow,
               ExprAttr originalLength, ExprAttr attentionFactor) {
  printer << "yarn(factor = " << factor.getText() << ", beta_fast = " << betaFast.getText()
          << ", beta_slow = " << betaSlow.getText() << ", original_length = " << originalLength.getText()
          << ", attention_factor = " << attentionFactor.getText() << ")";
}

ParseResult parseBinaryTypes(OpAsmParser &parser, Type &lhs, Type &rhs) {
  if (failed(parseTensorType(parser, lhs)))
    return failure();
  rhs = lhs;
  return succeeded(parser.parseOptionalComma()) ? parseTensorType(parser, rhs) : success();
}

void printBinaryTypes(OpAsmPrinter &printer, Operation *, Type lhs, Type rhs) {
  printTensorType(printer, lhs);
  if (lhs == rhs)
    return;
  printer << ", ";
  printTensorType(printer, rhs);
}

//===----------------------------------------------------------------------===//
// Type inference
//
// Operands may be of any rank here: a parser asks before the verifier has seen them.
//===----------------------------------------------------------------------===//

/// The shape of an operand, or nothing where its rank is not `rank`.
static ArrayRef<ExprAttr> getShape(Value value, int64_t rank) {
  auto type = llvm::dyn_cast<TensorType>(value.getType());
  return type && type.getRank() == rank ? type.getShape() : ArrayRef<ExprAttr>();
}

static LogicalResult infer(SmallVectorImpl<Type> &types, ArrayRef<ExprAttr> shape, Type elementType = {}) {
  MLIRContext *context = shape.front().getContext();
  types.push_back(TensorType::get(context, shape, elementType ? elementType : Float32Type::get(context)));
  return success();
}

static LogicalResult inferScalar(MLIRContext *context, SmallVectorImpl<Type> &types) {
  return infer(types, {ExprAttr::getConstant(context, 1)});
}

#define CONTRAFLOW_INFER(OP)                                                                                 \
  LogicalResult OP::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,         \
                                     SmallVectorImpl<Type> &types)

CONTRAFLOW_INFER(EmbeddingOp) {
  ArrayRef<ExprAttr> ids = getShape(adaptor.getIds(), 1), table = getShape(adaptor.getTable(), 2);
  return ids.empty() || table.empty() ? failure() : infer(types, {ids[0], table[1]});
}

CONTRAFLOW_INFER(LinearOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2), weight = getShape(adaptor.getWeight(), 2);
  return input.empty() || weight.empty() ? failure() : infer(types, {input[0], weight[0]});
}

CONTRAFLOW_INFER(GroupedLinearOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2), weight = getShape(adaptor.getWeight(), 3);
  return input.empty() || weight.empty() ? failure() : infer(types, {input[0], weight[1]});
}

CONTRAFLOW_INFER(AttentionOp) {
  ArrayRef<ExprAttr> query = getShape(adaptor.getQuery(), 2), value = getShape(adaptor.getValue(), 2);
  if (query.empty() || value.empty())
    return failure();
  // Where both are the same they may be any expression.
  bool sameHeads = adaptor.getHeadsAttr() == adaptor.getKvHeadsAttr();
  ExprAttr columns =
      sameHeads ? value[1]
                : divideDims(multiplyDims(value[1], adaptor.getHeadsAttr()), adaptor.getKvHeadsAttr());
  if (!columns || failed(infer(types, {query[0], columns})))
    return failure();
  return infer(types, {query[0], multiplyDims(adaptor.getHeadsAttr(), ExprAttr::getConstant(context, 1))});
}

CONTRAFLOW_INFER(CrossEntropyOp) {
  ArrayRef<ExprAttr> logits = getShape(adaptor.getLogits(), 2);
  return logits.empty() || failed(inferScalar(context, types)) ? failure() : infer(types, {logits[0]});
}

CONTRAFLOW_INFER(ConcatOp) {
  ArrayRef<ExprAttr> lhs = getShape(adaptor.getLhs(), 2), rhs = getShape(adaptor.getRhs(), 2);
  return lhs.empty() || rhs.empty() ? failure() : infer(types, {lhs[0], addDims(lhs[1], rhs[1])});
}

CONTRAFLOW_INFER(SliceOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2);
  return input.empty()
             ? failure()
             : infer(types, {input[0], multiplyDims(adaptor.getHeadsAttr(), adaptor.getSizeAttr())});
}

CONTRAFLOW_INFER(BroadcastOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2);
  return input.empty() ? failure() : infer(types, {input[0], multiplyDims(adaptor.getHeadsAttr(), input[1])});
}

CONTRAFLOW_INFER(RouteOp) {
  ArrayRef<ExprAttr> logits = getShape(adaptor.getLogits(), 2);
  if (logits.empty())
    return failure();
  ExprAttr tokens = logits[0], experts = logits[1], one = ExprAttr::getConstant(context, 1);
  ExprAttr topK = multiplyDims(adaptor.getTopKAttr(), one);
  ExprAttr rows = multiplyDims(tokens, topK), routing = getRoutingSize(rows, rows, experts);
  return failure(failed(infer(types, {tokens, topK})) || failed(infer(types, {tokens, experts})) ||
                 failed(infer(types, {routing}, IntegerType::get(context, 32))) ||
                 failed(infer(types, {experts})));
}

CONTRAFLOW_INFER(PermuteOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2);
  if (input.empty())
    return failure();
  ExprAttr choices = multiplyDims(input[0], adaptor.getTopKAttr());
  return infer(types, {adaptor.getRoom().value_or(choices), input[1]});
}

CONTRAFLOW_INFER(UnpermuteOp) {
  ArrayRef<ExprAttr> input = getShape(adaptor.getInput(), 2), gates = getShape(adaptor.getGates(), 2);
  return input.empty() || gates.empty() ? failure() : infer(types, {gates[0], input[1]});
}

CONTRAFLOW_INFER(LinearInputGradOp) {
  ArrayRef<ExprAttr> grad = getShape(adaptor.getGrad(), 2), weight = getShape(adaptor.getWeight(), 2);
  return grad.empty() || weight.empty() ? failure() : infer(types, {grad[0], weight[1]});
}

CONTRAFLOW_INFER(LinearWeightGradOp) {
  ArrayRef<ExprAttr> grad = getShape(adaptor.getGrad(), 2), input = getShape(adaptor.getInput(), 2);
  return grad.empty() || input.empty() ? failure() : infer(types, {grad[1], input[1]});
}

CONTRAFLOW_INFER(GroupedLinearInputGradOp) {
  ArrayRef<ExprAttr> grad = getShape(adaptor.getGrad(), 2), weight = getShape(adaptor.getWeight(), 3);
  return grad.empty() || weight.empty() ? failure() : infer(types, {grad[0], weight[2]});
}

CONTRAFLOW_INFER(GroupedLinearWeightGradOp) {
  ArrayRef<ExprAttr> grad = getShape(adaptor.getGrad(), 2), input = getShape(adaptor.getInput(), 2);
  ArrayRef<ExprAttr> routing = getShape(adaptor.getRouting(), 1);
  if (grad.empty() || input.empty() || routing.empty())
    return failure();
  ExprAttr choices = adaptor.getChoices().value_or(grad[0]);
  ExprAttr fixed = getRoutingSize(choices, grad[0], ExprAttr::getConstant(context, 0));
  return infer(types, {subtractDims(routing[0], fixed), grad[1], input[1]});
}

CONTRAFLOW_INFER(UnpermuteRowsGradOp) {
  ArrayRef<ExprAttr> grad = getShape(adaptor.getGrad(), 2), gates = getShape(adaptor.getGates(), 2);
  if (grad.empty() || gates.empty())
    return failure();
  ExprAttr choices = multiplyDims(gates[0], gates[1]);
  return infer(types, {adaptor.getRoom().value_or(choices), grad[1]});
}

#undef CONTRAFLOW_INFER

//===----------------------------------------------------------------------===//
// Matrix products, normalisation, positions, attention
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  // embedding_c1
  return Check(*this).results(1);
}

LogicalResult LinearOp::verify() {
  return verifyProduct(*this, "columns of input", getDim(getInput(), 1), "columns of weight",
                       getDim(getWeight(), 1));
}

LogicalResult GroupedLinearOp::verify() {
  return verifyGroupedProduct(*this, "columns of input", getDim(getInput(), 1), "dimension 2 of weight",
                              getDim(getWeight(), 2), getDim(getRouting(), 0), getChoicesAttr(),
                              getDim(getInput(), 0), getDim(getWeight(), 0));
}

LogicalResult RmsNormOp::verify() {
  return verifyRmsNorm(*this, getInput(), "elements of weight", getWeight(), getEps());
}

LogicalResult RopeOp::verify() {
  return verifyRope(*this, getInput(), getHeadDim(), getSeq(), getTheta(), getStyle(),
                    {{"factor", getFactor()},
                     {"beta_fast", getBetaFast()},
                     {"beta_slow", getBetaSlow()},
                     {"original_length", getOriginalLength()},
                     {"attention_factor", getAttentionFactor()}});
}

/// As the description of nn.rope says.
template <typename RopeLikeOp> static SmallVector<double> computeFrequencies(RopeLikeOp op) {
  int64_t headDim = getInt(op.getHeadDim());
  double theta = getFloat(op.getTheta()), factor = getFloat(op.getFactor());
  auto dimension = [&](double beta) {
    return headDim * std::log(getFloat(op.getOriginalLength()) / (beta * 2 * M_PI)) / (2 * std::log(theta));
  };
  double low = std::max(std::floor(dimension(getFloat(op.getBetaFast()))), 0.0);
  double high = std::min(std::ceil(dimension(getFloat(op.getBetaSlow()))), double(headDim - 1));
  if (low == high)
    high += 0.001;
  SmallVector<double> frequencies;
  for (int64_t i = 0; i < headDim / 2; ++i) {
    double frequency = std::pow(theta, -2.0 * i / headDim);
    double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    frequencies.push_back(frequency * (ramp / factor + (1 - ramp)));
  }
  return frequencies;
}

SmallVector<double> RopeOp::getFrequencies() { return computeFrequencies(*this); }
SmallVector<double> RopeInputGradOp::getFrequencies() { return computeFrequencies(*this); }

LogicalResult AttentionOp::verify() {
  return verifyAttention(*this, {getQuery(), getKey(), getValue(), getOutput(), getLse(), getStarts(),
                                 getHeads(), getKvHeads(), getSeq(), getScale(), getDropout()});
}

LogicalResult DropoutOp::verify() {
  // dropout_c1
  return Check(*this).share(1, "p", getP());
}

LogicalResult CrossEntropyOp::verify() {
  // cross_entropy_c1
  if (failed(Check(*this).equal(1, "rows of logits", getDim(getLogits(), 0), "elements of targets",
                                getDim(getTargets(), 0))))
    return failure();
  // cross_entropy_c2
  return Check(*this).results(2);
}

LogicalResult AccuracyOp::verify() {
  // accuracy_c1
  return Check(*this).equal(1, "rows of logits", getDim(getLogits(), 0), "elements of targets",
                            getDim(getTargets(), 0));
}

LogicalResult MeanOp::verify() { return verifyMean(*this, "input", getInput(), getValid()); }

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// add_c1, sub_c1, mul_c1
static LogicalResult verifyBinary(Operation *op, TensorType lhs, TensorType rhs) {
  if (isRepeatable(rhs, lhs))
    return success();
  return Check(op).error(1) << "rhs cannot be repeated to the type of lhs, found " << rhs << " and " << lhs;
}

LogicalResult AddOp::verify() { return verifyBinary(*this, getLhs().getType(), getRhs().getType()); }
LogicalResult SubOp::verify() { return verifyBinary(*this, getLhs().getType(), getRhs().getType()); }
LogicalResult MulOp::verify() { return verifyBinary(*this, getLhs().getType(), getRhs().getType()); }

LogicalResult ScaleOp::verify() {
  // scale_c1
  return Check(*this).number(1, "by", getBy());
}

LogicalResult GeluOp::verify() {
  // gelu_c1
  return Check(*this).oneOf(1, "approximate", getApproximate(), {"none", "tanh"});
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::verify() {
  Check check(*this);
  // concat_c1
  if (failed(check.integer(1, "heads", getHeads(), 1)) ||
      failed(check.multiple(1, "columns of lhs", getDim(getLhs(), 1), "heads", getHeads())) ||
      failed(check.multiple(1, "columns of rhs", getDim(getRhs(), 1), "heads", getHeads())))
    return failure();
  // concat_c2
  if (failed(check.equal(2, "rows of lhs", getDim(getLhs(), 0), "rows of rhs", getDim(getRhs(), 0))))
    return failure();
  // concat_c3
  return check.results(3);
}

LogicalResult SliceOp::verify() {
  Check check(*this);
  ExprAttr columns = getDim(getInput(), 1);
  // slice_c1
  if (failed(check.integer(1, "heads", getHeads(), 1)) ||
      failed(check.multiple(1, "columns of input", columns, "heads", getHeads())))
    return failure();
  // slice_c2
  if (failed(check.integer(2, "offset", getOffset(), 0)) || failed(check.integer(2, "size", getSize(), 1)))
    return failure();
  if (failed(check.atMost(2, "heads * (offset + size)",
                          multiplyDims(getHeads(), addDims(getOffset(), getSize())), "columns of input",
                          columns)))
    return failure();
  // slice_c3
  return check.results(3);
}

LogicalResult BroadcastOp::verify() {
  // broadcast_c1
  if (failed(Check(*this).integer(1, "heads", getHeads(), 1)))
    return failure();
  // broadcast_c2
  return Check(*this).results(2);
}

/// The product of all dimensions.
static ExprAttr getElementCount(TensorType type) {
  ExprAttr count = ExprAttr::getConstant(type.getContext(), 1);
  for (ExprAttr dim : type.getShape())
    count = multiplyDims(count, dim);
  return count;
}

LogicalResult ReshapeOp::verify() {
  // reshape_c1
  return Check(*this).equal(1, "elements of input", getElementCount(getInput().getType()),
                            "elements of output", getElementCount(getOutput().getType()));
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::verify() {
  Check check(*this);
  ExprAttr experts = getDim(getLogits(), 1);
  // route_c1
  if (getBias() &&
      failed(check.equal(1, "elements of bias", getDim(getBias(), 0), "columns of logits", experts)))
    return failure();
  // route_c2
  if (getValid() && failed(check.equal(2, "elements of valid", getDim(getValid(), 0), "rows of logits",
                                       getDim(getLogits(), 0))))
    return failure();
  // route_c3
  bool groupsHold = succeeded(check.integer(3, "groups", getGroups(), 1)) &&
                    succeeded(check.multiple(3, "columns of logits", experts, "groups", getGroups()));
  groupsHold &= succeeded(check.integer(3, "group_limit", getGroupLimit(), 1)) &&
                succeeded(check.atMost(3, "group_limit", getGroupLimit(), "groups", getGroups()));
  if (!groupsHold)
    return failure();
  // route_c4
  if (failed(check.integer(4, "top_k", getTopK(), 1)) ||
      failed(check.atMost(4, "top_k * groups", multiplyDims(getTopK(), getGroups()), "group_limit * experts",
                          multiplyDims(getGroupLimit(), experts))))
    return failure();
  // route_c5
  if (failed(check.oneOf(5, "score", getScore(), {"sigmoid", "softmax"})) ||
      failed(check.oneOf(5, "group_score", getGroupScore(), {"top2sum", "max"})))
    return failure();
  std::optional<int64_t> groups = getKnownInt(getGroups());
  if (groups && *groups > 1 && isBound(getGroupScore()) && getString(getGroupScore()) == "top2sum" &&
      failed(check.atMost(5, "2 * groups of top2sum", ExprAttr::getConstant(getContext(), 2 * *groups),
                          "experts", experts)))
    return failure();
  // route_c6
  if (failed(check.truth(6, "normalize", getNormalize())) || failed(check.number(6, "scale", getScale())))
    return failure();
  // route_c7
  return check.results(7);
}

/// There are offsets behind the tables of choices and rows.
static LogicalResult verifyRoutingSize(Operation *op, int constraint, ExprAttr routing, ExprAttr choices,
                                       ExprAttr rows) {
  ExprAttr smallest = getRoutingSize(choices, rows, ExprAttr::getConstant(op->getContext(), 1));
  return Check(op).atMost(constraint, "2 * choices + rows + 2", smallest, "elements of routing", routing);
}

LogicalResult PermuteOp::verify() {
  // permute_c1
  if (failed(Check(*this).integer(1, "top_k", getTopK(), 1)))
    return failure();
  if (failed(verifyRoutingSize(*this, 1, getDim(getRouting(), 0),
                               multiplyDims(getDim(getInput(), 0), getTopK()), getDim(getOutput(), 0))))
    return failure();
  // permute_c2
  return Check(*this).results(2);
}

LogicalResult UnpermuteOp::verify() {
  // unpermute_c1
  ExprAttr rows = getDim(getInput(), 0), choices = multiplyDims(getDim(getGates(), 0), getDim(getGates(), 1));
  if (failed(verifyRows(*this, 1, "rows of input", rows, "elements of gates", choices, getRoomAttr())))
    return failure();
  // unpermute_c2
  if (failed(verifyRoutingSize(*this, 2, getDim(getRouting(), 0), choices, rows)))
    return failure();
  // unpermute_c3
  return Check(*this).results(3);
}

LogicalResult BalanceLossOp::verify() {
  return verifyBalanceLoss(*this, getScores(), getValid(), getTopK(), getSeq());
}

LogicalResult BiasUpdateOp::verify() {
  // bias_update_c1
  return Check(*this).number(1, "rate", getRate());
}

} // namespace contraflow::nn
