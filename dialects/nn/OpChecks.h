//===- OpChecks.h - what verifiers of compute operations share ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dimensions and attributes may hold configuration values. A relation is checked as far as it is known:
// dimensions are equal when their normal forms are, and what needs numbers (divisors, ranges) waits until the
// numbers are there.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_OPCHECKS_H
#define CONTRAFLOW_DIALECTS_NN_OPCHECKS_H

#include "dialects/nn/NN.h"

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Arithmetic of dimensions
//===----------------------------------------------------------------------===//

ExprAttr addDims(ExprAttr lhs, ExprAttr rhs);
ExprAttr subtractDims(ExprAttr lhs, ExprAttr rhs);
ExprAttr multiplyDims(ExprAttr lhs, ExprAttr rhs);
/// Null where the quotient is no integer polynomial.
ExprAttr divideDims(ExprAttr lhs, ExprAttr rhs);
/// The value, where it is known and an integer.
std::optional<int64_t> getKnownInt(ExprAttr attr);

/// Dimension `index` of a tensor.
ExprAttr getDim(mlir::Value tensor, unsigned index);
/// A table of angles is a part of the program, and of several of its forms while it is compiled.
inline constexpr int64_t kMaxAnglesMib = 256;
/// What a table of angles takes: three numbers of single precision per position and pair.
double getAnglesMib(int64_t positions, int64_t pairs);

/// Entries of a routing table: 2 * choices + rows + experts + 1. Alone, every choice has a row.
ExprAttr getRoutingSize(ExprAttr choices, ExprAttr rows, ExprAttr experts);

/// Whether `small` can be repeated to `large`: aligned at the right, dimensions are equal or 1.
bool isRepeatable(TensorType small, TensorType large);

//===----------------------------------------------------------------------===//
// Checks, each with the number of its constraint
//===----------------------------------------------------------------------===//

/// What an error is about, for whoever knows where values come from: metadata of its diagnostic.
struct ErrorSubject {
  /// The attribute whose value is wrong, whatever the sizes around it are. Empty where values do not fit
  /// together.
  llvm::StringRef attribute = "";
  /// Of a value that is something else: what it has to be.
  ValueKind wanted = ValueKind::Any;
  /// Names of the configuration whose values make the error.
  llvm::SmallVector<llvm::StringRef> names = {};

  void attachTo(mlir::InFlightDiagnostic &diagnostic) const;
  /// What was attached; nothing if nothing was.
  static std::optional<ErrorSubject> get(mlir::Diagnostic &diagnostic);
};

class Check {
public:
  explicit Check(mlir::Operation *op) : op(op) {}

  mlir::LogicalResult equal(int constraint, llvm::StringRef lhsName, ExprAttr lhs, llvm::StringRef rhsName,
                            ExprAttr rhs) const;
  /// `dividend` is a multiple of `divisor`.
  mlir::LogicalResult multiple(int constraint, llvm::StringRef dividendName, ExprAttr dividend,
                               llvm::StringRef divisorName, ExprAttr divisor) const;
  mlir::LogicalResult atMost(int constraint, llvm::StringRef lhsName, ExprAttr lhs, llvm::StringRef rhsName,
                             ExprAttr rhs) const;
  /// An integer of at least `minimum`.
  mlir::LogicalResult integer(int constraint, llvm::StringRef name, ExprAttr attr, int64_t minimum) const;
  mlir::LogicalResult number(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult positive(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult moreThanOne(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult notNegative(int constraint, llvm::StringRef name, ExprAttr attr) const;
  /// At least 0 and less than 1.
  mlir::LogicalResult share(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult truth(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult oneOf(int constraint, llvm::StringRef name, ExprAttr attr,
                            llvm::ArrayRef<llvm::StringRef> choices) const;

  /// Results have the types that the operation infers; the generic check of inferred types says it in two
  /// errors.
  mlir::LogicalResult results(int constraint) const;

  /// The diagnostic of a broken constraint, to be completed.
  mlir::InFlightDiagnostic error(int constraint) const;

private:
  /// As above, of one attribute alone.
  mlir::InFlightDiagnostic error(int constraint, llvm::StringRef attribute,
                                 ValueKind wanted = ValueKind::Any) const;
  /// The value of a bound attribute; nothing where it is not bound or, after an error, where it has none.
  mlir::FailureOr<std::optional<double>> evaluate(int constraint, llvm::StringRef name, ExprAttr attr) const;
  mlir::LogicalResult compare(int constraint, llvm::StringRef name, ExprAttr attr, llvm::StringRef wanted,
                              llvm::function_ref<bool(double)> accept) const;

  mlir::Operation *op;
};

// Checks that a forward operation and its gradient share.

/// Constraints 1 and 2 of a matrix product: what is summed over has one size, and results are as inferred.
mlir::LogicalResult verifyProduct(mlir::Operation *op, llvm::StringRef lhsName, ExprAttr lhs,
                                  llvm::StringRef rhsName, ExprAttr rhs);
/// Constraints 1 to 3 of a product with one weight per expert: as above, and the size of the routing table
/// between.
mlir::LogicalResult verifyGroupedProduct(mlir::Operation *op, llvm::StringRef lhsName, ExprAttr lhs,
                                         llvm::StringRef rhsName, ExprAttr rhs, ExprAttr routing,
                                         ExprAttr choices, ExprAttr rows, ExprAttr experts);
/// Rows are as many as choices, or as `room` says where that is not null.
mlir::LogicalResult verifyRows(mlir::Operation *op, int constraint, llvm::StringRef rowsName, ExprAttr rows,
                               llvm::StringRef choicesName, ExprAttr choices, ExprAttr room);
mlir::LogicalResult verifyRmsNorm(mlir::Operation *op, mlir::Value input, llvm::StringRef weightName,
                                  mlir::Value weight, ExprAttr eps);
mlir::LogicalResult verifyRope(mlir::Operation *op, mlir::Value input, ExprAttr headDim, ExprAttr seq,
                               ExprAttr theta, ExprAttr style,
                               llvm::ArrayRef<std::pair<llvm::StringRef, ExprAttr>> positiveNumbers);
struct AttentionShape {
  mlir::Value query, key, value, output, lse, starts;
  ExprAttr heads, kvHeads, seq, scale, dropout;
};
mlir::LogicalResult verifyAttention(mlir::Operation *op, const AttentionShape &shape);
mlir::LogicalResult verifyMean(mlir::Operation *op, llvm::StringRef name, mlir::Value tensor,
                               mlir::Value valid);
mlir::LogicalResult verifyBalanceLoss(mlir::Operation *op, mlir::Value scores, mlir::Value valid,
                                      ExprAttr topK, ExprAttr seq);

} // namespace contraflow::nn

#endif
