//===- OpChecks.cpp - what verifiers of compute operations share ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/OpChecks.h"

#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Arithmetic of dimensions
//===----------------------------------------------------------------------===//

std::optional<int64_t> getKnownInt(ExprAttr attr) {
  if (std::optional<int64_t> value = attr.getConstant())
    return value;
  llvm::Expected<int64_t> value = getExpr(attr).evaluateInt(ExprEnvironment());
  if (value)
    return *value;
  llvm::consumeError(value.takeError());
  return std::nullopt;
}

/// `8 / 2` counts as the constant 4, which is a polynomial.
static Expr asDim(ExprAttr attr) {
  std::optional<int64_t> value = getKnownInt(attr);
  return value ? Expr::constant(*value) : getExpr(attr);
}

ExprAttr addDims(ExprAttr lhs, ExprAttr rhs) {
  return getExprAttr(lhs.getContext(), asDim(lhs) + asDim(rhs));
}
ExprAttr subtractDims(ExprAttr lhs, ExprAttr rhs) {
  return getExprAttr(lhs.getContext(), asDim(lhs) - asDim(rhs));
}
ExprAttr multiplyDims(ExprAttr lhs, ExprAttr rhs) {
  return getExprAttr(lhs.getContext(), asDim(lhs) * asDim(rhs));
}

ExprAttr divideDims(ExprAttr lhs, ExprAttr rhs) {
  std::optional<Expr> quotient = divideExactly(asDim(lhs), asDim(rhs));
  return quotient ? getExprAttr(lhs.getContext(), *quotient) : ExprAttr();
}

ExprAttr getDim(Value tensor, unsigned index) {
  return llvm::cast<TensorType>(tensor.getType()).getShape()[index];
}

ExprAttr getRoutingSize(ExprAttr choices, ExprAttr rows, ExprAttr experts) {
  Expr size =
      Expr::constant(int64_t(2)) * asDim(choices) + asDim(rows) + asDim(experts) + Expr::constant(int64_t(1));
  return getExprAttr(rows.getContext(), size);
}

bool isRepeatable(TensorType small, TensorType large) {
  if (small.getElementType() != large.getElementType() || small.getRank() > large.getRank())
    return false;
  ArrayRef<ExprAttr> aligned = large.getShape().take_back(small.getRank());
  return llvm::all_of(llvm::zip_equal(small.getShape(), aligned), [](auto dims) {
    auto [from, to] = dims;
    return from == to || from.getConstant() == 1;
  });
}

double getAnglesMib(int64_t positions, int64_t pairs) {
  return double(positions) * double(pairs) * 3 * sizeof(float) / (1 << 20);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

void ErrorSubject::attachTo(InFlightDiagnostic &diagnostic) const {
  Diagnostic *marked = diagnostic.getUnderlyingDiagnostic();
  // The context keeps the text of attributes.
  auto push = [&](StringRef text) {
    marked->getMetadata().push_back(
        DiagnosticArgument(Attribute(StringAttr::get(marked->getLocation().getContext(), text))));
  };
  push(attribute);
  marked->getMetadata().push_back(DiagnosticArgument(unsigned(wanted)));
  llvm::for_each(names, push);
}

std::optional<ErrorSubject> ErrorSubject::get(Diagnostic &diagnostic) {
  ArrayRef<DiagnosticArgument> metadata = diagnostic.getMetadata();
  if (metadata.size() < 2)
    return std::nullopt;
  auto getText = [](const DiagnosticArgument &argument) {
    return cast<StringAttr>(argument.getAsAttribute()).getValue();
  };
  ErrorSubject subject{getText(metadata[0]), ValueKind(metadata[1].getAsUnsigned())};
  for (const DiagnosticArgument &name : metadata.drop_front(2))
    subject.names.push_back(getText(name));
  return subject;
}

InFlightDiagnostic Check::error(int constraint) const {
  return op->emitOpError() << "(C" << unsigned(constraint) << ") ";
}

InFlightDiagnostic Check::error(int constraint, StringRef attribute, ValueKind wanted) const {
  InFlightDiagnostic diagnostic = error(constraint);
  ErrorSubject{attribute, wanted}.attachTo(diagnostic);
  return diagnostic;
}

LogicalResult Check::equal(int constraint, StringRef lhsName, ExprAttr lhs, StringRef rhsName,
                           ExprAttr rhs) const {
  if (lhs == rhs)
    return success();
  return error(constraint) << lhsName << " must equal " << rhsName << ", found " << lhs.getText() << " and "
                           << rhs.getText();
}

LogicalResult Check::multiple(int constraint, StringRef dividendName, ExprAttr dividend,
                              StringRef divisorName, ExprAttr divisor) const {
  std::optional<int64_t> a = getKnownInt(dividend), b = getKnownInt(divisor);
  if (!a || !b || (*b > 0 && *a % *b == 0))
    return success();
  return error(constraint) << dividendName << " must be a multiple of " << divisorName << ", found " << *a
                           << " and " << *b;
}

LogicalResult Check::atMost(int constraint, StringRef lhsName, ExprAttr lhs, StringRef rhsName,
                            ExprAttr rhs) const {
  std::optional<int64_t> a = getKnownInt(lhs), b = getKnownInt(rhs);
  if (!a || !b || *a <= *b)
    return success();
  return error(constraint) << lhsName << " must be at most " << rhsName << ", found " << *a << " and " << *b;
}

FailureOr<std::optional<double>> Check::evaluate(int constraint, StringRef name, ExprAttr attr) const {
  if (!isBound(attr))
    return std::optional<double>();
  llvm::Expected<double> value = getExpr(attr).evaluateFloat(ExprEnvironment());
  if (value && !(std::abs(*value) > std::numeric_limits<float>::max()))
    return std::optional<double>(*value);
  bool isNumber = bool(value);
  llvm::consumeError(value.takeError());
  error(constraint, name, isNumber ? ValueKind::Any : ValueKind::Number)
      << name << " must be a number" << (isNumber ? " that single precision holds" : "") << ", found "
      << attr.getText();
  return failure();
}

LogicalResult Check::compare(int constraint, StringRef name, ExprAttr attr, StringRef wanted,
                             llvm::function_ref<bool(double)> accept) const {
  FailureOr<std::optional<double>> value = evaluate(constraint, name, attr);
  if (failed(value))
    return failure();
  // The negation also refuses what is not a number.
  if (*value && !accept(**value))
    return error(constraint, name) << name << " must be " << wanted << ", found " << attr.getText();
  return success();
}

LogicalResult Check::integer(int constraint, StringRef name, ExprAttr attr, int64_t minimum) const {
  if (!isBound(attr))
    return success();
  std::optional<int64_t> value = getKnownInt(attr);
  if (!value || *value < minimum)
    return error(constraint, name, value ? ValueKind::Any : ValueKind::Integer)
           << name << " must be an integer of at least " << minimum << ", found " << attr.getText();
  return success();
}

LogicalResult Check::number(int constraint, StringRef name, ExprAttr attr) const {
  return failure(failed(evaluate(constraint, name, attr)));
}

LogicalResult Check::positive(int constraint, StringRef name, ExprAttr attr) const {
  return compare(constraint, name, attr, "positive", [](double value) { return value > 0; });
}

LogicalResult Check::moreThanOne(int constraint, StringRef name, ExprAttr attr) const {
  return compare(constraint, name, attr, "greater than 1", [](double value) { return value > 1; });
}

LogicalResult Check::notNegative(int constraint, StringRef name, ExprAttr attr) const {
  return compare(constraint, name, attr, "at least 0", [](double value) { return value >= 0; });
}

LogicalResult Check::share(int constraint, StringRef name, ExprAttr attr) const {
  return failure(
      failed(notNegative(constraint, name, attr)) ||
      failed(compare(constraint, name, attr, "less than 1", [](double value) { return value < 1; })));
}

LogicalResult Check::truth(int constraint, StringRef name, ExprAttr attr) const {
  if (!isBound(attr))
    return success();
  llvm::Expected<bool> value = getExpr(attr).evaluateBool(ExprEnvironment());
  if (value)
    return success();
  llvm::consumeError(value.takeError());
  return error(constraint, name, ValueKind::Bool)
         << name << " must be true or false, found " << attr.getText();
}

LogicalResult Check::oneOf(int constraint, StringRef name, ExprAttr attr, ArrayRef<StringRef> choices) const {
  if (!isBound(attr))
    return success();
  llvm::Expected<ExprValue> value = getExpr(attr).evaluate(ExprEnvironment());
  const auto *text = value ? std::get_if<std::string>(&*value) : nullptr;
  if (text && llvm::is_contained(choices, *text))
    return success();
  if (!value)
    llvm::consumeError(value.takeError());
  InFlightDiagnostic diagnostic = error(constraint, name, text ? ValueKind::Any : ValueKind::Text)
                                  << name << " must be ";
  llvm::interleave(
      choices, [&](StringRef choice) { diagnostic << "\"" << choice << "\""; },
      [&] { diagnostic << " or "; });
  return diagnostic << ", found " << attr.getText();
}

LogicalResult Check::results(int constraint) const {
  SmallVector<Type> types;
  if (failed(llvm::cast<InferTypeOpInterface>(op).inferReturnTypes(
          op->getContext(), op->getLoc(), op->getOperands(), op->getRawDictionaryAttrs(),
          op->getPropertiesStorage(), op->getRegions(), types)))
    return failure();
  bool holds = true;
  for (auto [i, found, wanted] : llvm::enumerate(op->getResultTypes(), types))
    if (found != wanted) {
      error(constraint) << "result #" << i << " must be " << wanted << ", found " << found;
      holds = false;
    }
  return success(holds);
}

//===----------------------------------------------------------------------===//
// Shared by a forward operation and its gradient
//===----------------------------------------------------------------------===//

LogicalResult verifyProduct(Operation *op, StringRef lhsName, ExprAttr lhs, StringRef rhsName, ExprAttr rhs) {
  // linear_c1, linear_input_grad_c1, linear_weight_grad_c1, grouped_linear_weight_grad_c1
  if (failed(Check(op).equal(1, lhsName, lhs, rhsName, rhs)))
    return failure();
  // linear_c2, linear_input_grad_c2, linear_weight_grad_c2, grouped_linear_weight_grad_c2
  return Check(op).results(2);
}

LogicalResult verifyGroupedProduct(Operation *op, StringRef lhsName, ExprAttr lhs, StringRef rhsName,
                                   ExprAttr rhs, ExprAttr routing, ExprAttr choices, ExprAttr rows,
                                   ExprAttr experts) {
  Check check(op);
  // grouped_linear_c1, grouped_linear_input_grad_c1
  if (failed(check.equal(1, lhsName, lhs, rhsName, rhs)))
    return failure();
  // grouped_linear_c2, grouped_linear_input_grad_c2
  StringRef formula = choices ? "2 * choices + rows + experts + 1" : "3 * rows + experts + 1";
  if (failed(check.equal(2, "elements of routing", routing, formula,
                         getRoutingSize(choices ? choices : rows, rows, experts))))
    return failure();
  // grouped_linear_c3, grouped_linear_input_grad_c3
  return check.results(3);
}

LogicalResult verifyRows(Operation *op, int constraint, StringRef rowsName, ExprAttr rows,
                         StringRef choicesName, ExprAttr choices, ExprAttr room) {
  return Check(op).equal(constraint, rowsName, rows, room ? "room" : choicesName, room ? room : choices);
}

LogicalResult verifyRmsNorm(Operation *op, Value input, StringRef weightName, Value weight, ExprAttr eps) {
  Check check(op);
  // rms_norm_c1, rms_norm_input_grad_c1, rms_norm_weight_grad_c1
  bool holds =
      succeeded(check.multiple(1, "columns of input", getDim(input, 1), weightName, getDim(weight, 0)));
  // rms_norm_c2, rms_norm_input_grad_c2, rms_norm_weight_grad_c2
  holds &= succeeded(check.notNegative(2, "eps", eps));
  return success(holds);
}

/// The error names the size that makes the table large.
static LogicalResult verifyAngles(const Check &check, ExprAttr headDim, ExprAttr seq) {
  std::optional<int64_t> size = getKnownInt(headDim), positions = getKnownInt(seq);
  if (!size || !positions)
    return success();
  double mib = std::ceil(getAnglesMib(*positions, *size / 2));
  if (mib <= kMaxAnglesMib)
    return success();
  bool isLong = *positions >= *size;
  return check.error(7) << "the angles for " << (isLong ? "seq " : "head_dim ")
                        << (isLong ? *positions : *size) << " must take at most " << kMaxAnglesMib
                        << " MiB, found " << llvm::formatv("{0:F0}", mib).str() << " MiB";
}

LogicalResult verifyRope(Operation *op, Value input, ExprAttr headDim, ExprAttr seq, ExprAttr theta,
                         ExprAttr style, ArrayRef<std::pair<StringRef, ExprAttr>> positiveNumbers) {
  Check check(op);
  // rope_c1
  bool holds =
      succeeded(check.integer(1, "head_dim", headDim, 2)) &&
      succeeded(check.multiple(1, "head_dim", headDim, "2", ExprAttr::getConstant(op->getContext(), 2))) &&
      // rope_c2
      succeeded(check.multiple(2, "the number of columns", getDim(input, 1), "head_dim", headDim));
  // rope_c3
  holds &= succeeded(check.integer(3, "seq", seq, 1)) &&
           succeeded(check.multiple(3, "the number of rows", getDim(input, 0), "seq", seq));
  // rope_c4
  holds &= succeeded(check.positive(4, "theta", theta)) && succeeded(check.moreThanOne(4, "theta", theta));
  // rope_c5
  holds &= succeeded(check.oneOf(5, "style", style, {"interleaved", "half"}));
  // rope_c6
  for (auto [name, attr] : positiveNumbers)
    holds &= succeeded(check.positive(6, name, attr));
  // rope_c7
  holds &= succeeded(verifyAngles(check, headDim, seq));
  return success(holds);
}

/// Each of these is about sizes that the one before has looked at.
static LogicalResult verifyAttentionShape(const Check &check, const AttentionShape &shape,
                                          MLIRContext *context) {
  // attention_c1
  if (failed(check.integer(1, "heads", shape.heads, 1)) ||
      failed(check.integer(1, "kv_heads", shape.kvHeads, 1)) ||
      failed(check.multiple(1, "heads", shape.heads, "kv_heads", shape.kvHeads)))
    return failure();
  // attention_c2
  ExprAttr rows = getDim(shape.query, 0);
  std::pair<StringRef, Value> others[] = {{"rows of key", shape.key},
                                          {"rows of value", shape.value},
                                          {"rows of output", shape.output},
                                          {"rows of lse", shape.lse},
                                          {"elements of starts", shape.starts}};
  for (auto [name, value] : others)
    if (value && failed(check.equal(2, name, getDim(value, 0), "rows of query", rows)))
      return failure();
  // attention_c3
  ExprAttr queryColumns = getDim(shape.query, 1), valueColumns = getDim(shape.value, 1);
  if (failed(check.multiple(3, "columns of query", queryColumns, "heads", shape.heads)) ||
      failed(check.multiple(3, "columns of value", valueColumns, "kv_heads", shape.kvHeads)) ||
      failed(check.equal(3, "columns of query times kv_heads", multiplyDims(queryColumns, shape.kvHeads),
                         "columns of key times heads", multiplyDims(getDim(shape.key, 1), shape.heads))))
    return failure();
  // attention_c4
  if (failed(check.equal(4, "columns of output times kv_heads",
                         multiplyDims(getDim(shape.output, 1), shape.kvHeads), "columns of value times heads",
                         multiplyDims(valueColumns, shape.heads))) ||
      failed(check.equal(4, "columns of lse", getDim(shape.lse, 1), "heads",
                         multiplyDims(shape.heads, ExprAttr::getConstant(context, 1)))))
    return failure();
  return success();
}

LogicalResult verifyAttention(Operation *op, const AttentionShape &shape) {
  Check check(op);
  bool holds = succeeded(verifyAttentionShape(check, shape, op->getContext()));
  // attention_c5
  holds &= succeeded(check.integer(5, "seq", shape.seq, 1)) &&
           succeeded(check.multiple(5, "the number of rows", getDim(shape.query, 0), "seq", shape.seq));
  // attention_c6
  holds &= succeeded(check.number(6, "scale", shape.scale));
  // attention_c7
  holds &= succeeded(check.share(7, "dropout", shape.dropout));
  return success(holds);
}

LogicalResult verifyMean(Operation *op, StringRef name, Value tensor, Value valid) {
  // mean_c1
  if (!valid)
    return success();
  return Check(op).equal(1, "elements of valid", getDim(valid, 0), "rows of " + name.str(),
                         getDim(tensor, 0));
}

LogicalResult verifyBalanceLoss(Operation *op, Value scores, Value valid, ExprAttr topK, ExprAttr seq) {
  Check check(op);
  // balance_loss_c1
  if (valid &&
      failed(check.equal(1, "elements of valid", getDim(valid, 0), "rows of scores", getDim(scores, 0))))
    return failure();
  // balance_loss_c2
  if (failed(check.integer(2, "top_k", topK, 1)) ||
      failed(check.atMost(2, "top_k", topK, "columns of scores", getDim(scores, 1))))
    return failure();
  // balance_loss_c3
  if (failed(check.integer(3, "seq", seq, 1)))
    return failure();
  return check.multiple(3, "the number of rows", getDim(scores, 0), "seq", seq);
}

} // namespace contraflow::nn
