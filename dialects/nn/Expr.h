//===- Expr.h - expressions over configuration values ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One language for dimensions, conditions and scalar attributes:
//
//   expr    := and ("or" and)*            and  := not ("and" not)*
//   not     := "not" not | compare        compare := sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum)?
//   sum     := product (("+" | "-") product)*
//   product := unary (("*" | "/") unary)*  unary := "-" unary | primary
//   primary := integer | float | "text" | name | name "(" expr ("," expr)* ")" | "(" expr ")"
//
// `<`, `<=`, `>`, `>=` and `!=` need parentheses in .mlir text, where `>` closes an attribute.
// Functions: if(condition, a, b), has(name), min, max, sqrt, log, exp, pow, floor, ceil.
// Dividing two integers gives an integer when it is exact and a float otherwise.
//
// Integer polynomials (what `+`, `-` and `*` build from integers and names) have a normal form: products
// expanded, terms and factors sorted. `heads*(nope + rope)` and `rope*heads + heads*nope` print alike, and so
// compare equal, which a plain affine map could not tell.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_EXPR_H
#define CONTRAFLOW_DIALECTS_NN_EXPR_H

#include "dialects/nn/Polynomial.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace mlir {
class AsmParser;
} // namespace mlir

namespace contraflow::nn {

/// What an expression evaluates to; `std::monostate` is an absent (null) configuration value.
using ExprValue = std::variant<std::monostate, int64_t, double, bool, std::string>;

/// Values of names.
using ExprEnvironment = llvm::StringMap<ExprValue>;

/// How a value reads in a diagnostic: `3`, `0.5`, `true`, `"softmax"`, `null`.
std::string describe(const ExprValue &value);

/// What a value has to be. A float is no integer even if it has no fraction.
enum class ValueKind { Any, Bool, Text, Integer, Number };

/// An immutable expression.
class Expr {
public:
  struct Node;

  static Expr constant(int64_t value);
  static Expr constant(double value);
  static Expr name(llvm::StringRef name);

  /// Parses the whole of `text`.
  static llvm::Expected<Expr> parse(llvm::StringRef text);
  /// Reads what `str` wrote, however long sums and products of expressions have become.
  static Expr parseCanonical(llvm::StringRef text);
  /// Parses at the position of `parser`; an error has been reported where this returns nothing.
  /// A dimension stops before comparison operators and `x`.
  static std::optional<Expr> parse(mlir::AsmParser &parser, bool dimension);

  /// Canonical text; equal texts mean equal expressions.
  std::string str() const;

  /// Evaluates; the error says which name is unknown or absent, or which operation has no meaning.
  llvm::Expected<ExprValue> evaluate(const ExprEnvironment &environment) const;
  llvm::Expected<int64_t> evaluateInt(const ExprEnvironment &environment) const;
  llvm::Expected<double> evaluateFloat(const ExprEnvironment &environment) const;
  llvm::Expected<bool> evaluateBool(const ExprEnvironment &environment) const;

  /// Replaces names by expressions; names not in `values` stay.
  Expr substitute(llvm::function_ref<std::optional<Expr>(llvm::StringRef)> values) const;

  /// Calls `visit` for every name.
  void forEachName(llvm::function_ref<void(llvm::StringRef)> visit) const;

  /// The value, if this is an integer constant.
  std::optional<int64_t> getConstant() const;

  friend Expr operator+(const Expr &lhs, const Expr &rhs);
  friend Expr operator-(const Expr &lhs, const Expr &rhs);
  friend Expr operator*(const Expr &lhs, const Expr &rhs);
  friend bool operator==(const Expr &lhs, const Expr &rhs) { return lhs.str() == rhs.str(); }

  explicit Expr(std::shared_ptr<const Node> node) : node(std::move(node)) {}
  const Node &getNode() const { return *node; }

private:
  std::shared_ptr<const Node> node;
};

/// The normal form, if the expression is an integer polynomial.
std::optional<Polynomial> toPolynomial(const Expr &expr);

/// Why an expression has no value.
struct ExprFault {
  /// The part whose value makes it.
  Expr part;
  /// What that value would have to be.
  ValueKind wanted = ValueKind::Any;
};
/// Of an expression that has no value in `environment`.
ExprFault findFault(const Expr &expr, const ExprEnvironment &environment);

/// The expression that gives `dividend` when it is multiplied by `divisor`, if both are integer polynomials
/// and there is one: `6*heads*dim / (2*heads)` is `3*dim`.
std::optional<Expr> divideExactly(const Expr &dividend, const Expr &divisor);

} // namespace contraflow::nn

#endif
