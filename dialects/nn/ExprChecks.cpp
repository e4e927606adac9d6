//===- ExprChecks.cpp - what is wrong with an expression as it is written -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/ExprNode.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

namespace contraflow::nn {

/// The number of arguments that a function takes; 0 if there is no such function.
static unsigned getArity(llvm::StringRef function) {
  return llvm::StringSwitch<unsigned>(function)
      .Case("if", 3)
      .Cases({"min", "max", "pow"}, 2)
      .Cases({"has", "sqrt", "log", "exp", "floor", "ceil"}, 1)
      .Default(0);
}

static std::optional<std::string> getArityError(const Expr::Node &call) {
  unsigned arity = getArity(call.text);
  if (!arity)
    return "unknown function '" + call.text + "'";
  if (arity == call.operands.size())
    return std::nullopt;
  return "'" + call.text + "' takes " + std::to_string(arity) + (arity == 1 ? " argument" : " arguments") +
         ", found " + std::to_string(call.operands.size());
}

/// The value of an operand that is a literal.
static std::optional<ExprValue> getLiteral(const Expr &expr) {
  const Expr::Node &node = expr.getNode();
  bool isLiteral = llvm::is_contained({"int", "float", "string"}, node.op) ||
                   (node.op == "name" && (node.text == "true" || node.text == "false"));
  if (!isLiteral)
    return std::nullopt;
  return llvm::cantFail(expr.evaluate(ExprEnvironment()));
}

static ValueKind getKind(const ExprValue &value) {
  return std::holds_alternative<bool>(value)          ? ValueKind::Bool
         : std::holds_alternative<std::string>(value) ? ValueKind::Text
                                                      : ValueKind::Number;
}

/// The fault of the first operand that has no value, or one that is not `wanted`.
static std::optional<ExprFault> findFault(llvm::ArrayRef<Expr> operands, ValueKind wanted,
                                          const ExprEnvironment &environment) {
  for (const Expr &operand : operands) {
    llvm::Expected<ExprValue> value = operand.evaluate(environment);
    if (!value) {
      llvm::consumeError(value.takeError());
      return findFault(operand, environment);
    }
    bool isBool = std::holds_alternative<bool>(*value);
    bool isNumber = std::holds_alternative<int64_t>(*value) || std::holds_alternative<double>(*value);
    if ((wanted == ValueKind::Bool && !isBool) || (wanted == ValueKind::Number && !isNumber))
      return ExprFault{operand, wanted};
  }
  return std::nullopt;
}

ExprFault findFault(const Expr &expr, const ExprEnvironment &environment) {
  const Expr::Node &node = expr.getNode();
  llvm::ArrayRef<Expr> operands = node.operands;
  if (node.op == "call" && node.text == "if") {
    if (std::optional<ExprFault> fault = findFault(operands.take_front(), ValueKind::Bool, environment))
      return *fault;
    return findFault(operands[llvm::cantFail(operands[0].evaluateBool(environment)) ? 1 : 2], environment);
  }
  bool isLogical = llvm::is_contained({"and", "or", "not"}, node.op);
  bool takesAll = node.op == "==" || node.op == "!=" || (node.op == "call" && node.text == "has");
  ValueKind wanted = isLogical ? ValueKind::Bool : takesAll ? ValueKind::Any : ValueKind::Number;
  if (std::optional<ExprFault> fault = findFault(operands, wanted, environment))
    return *fault;
  // Values of two kinds: none of the one that varies is like the other.
  if (node.op == "==" || node.op == "!=") {
    size_t varies = getLiteral(operands[0]) ? 1 : 0;
    return {operands[varies], getKind(llvm::cantFail(operands[1 - varies].evaluate(environment)))};
  }
  // The dividend has no part in a division by zero.
  if (node.op == "/" && llvm::cantFail(operands[1].evaluateFloat(environment)) == 0)
    return {operands[1]};
  return {expr};
}

/// Whether an expression is 0 as it is written.
static bool isZero(const Expr &expr) {
  return expr.getConstant() == 0 || (expr.getNode().op == "float" && expr.getNode().real == 0);
}

std::optional<std::string> getWrittenError(const Expr &expr) {
  const Expr::Node &node = expr.getNode();
  for (const Expr &operand : node.operands)
    if (std::optional<std::string> error = getWrittenError(operand))
      return error;
  if (node.op == "call")
    if (std::optional<std::string> error = getArityError(node))
      return error;
  bool isIf = node.op == "call" && node.text == "if", isHas = node.op == "call" && node.text == "has";
  bool isLogical = llvm::is_contained({"and", "or", "not"}, node.op);
  bool comparesEqual = node.op == "==" || node.op == "!=";
  if (node.op == "/" && isZero(node.operands[1]))
    return "division by zero";
  for (auto [i, operand] : llvm::enumerate(node.operands)) {
    std::optional<ExprValue> literal = getLiteral(operand);
    if (!literal || isHas || comparesEqual)
      continue;
    if (isLogical || (isIf && i == 0)) {
      if (!std::holds_alternative<bool>(*literal))
        return "expected a condition, found " + describe(*literal);
    } else if (!isIf && !std::holds_alternative<int64_t>(*literal) &&
               !std::holds_alternative<double>(*literal)) {
      std::string name = node.op == "call" ? node.text : node.op == "neg" ? "-" : node.op;
      return "'" + name + "' needs numbers, found " + describe(*literal);
    }
  }
  return std::nullopt;
}

} // namespace contraflow::nn
