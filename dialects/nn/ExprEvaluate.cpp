//===- ExprEvaluate.cpp - values of expressions ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/ExprNode.h"

#include "llvm/ADT/STLExtras.h"
#include <cmath>

namespace contraflow::nn {

namespace {

bool isNumber(const ExprValue &value) {
  return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
}

double toDouble(const ExprValue &value) {
  if (const auto *integer = std::get_if<int64_t>(&value))
    return static_cast<double>(*integer);
  return std::get<double>(value);
}

llvm::Expected<bool> toBool(const ExprValue &value) {
  if (const auto *boolean = std::get_if<bool>(&value))
    return *boolean;
  return fail("expected a condition, found " + describe(value));
}

llvm::Expected<ExprValue> arithmetic(const std::string &op, const ExprValue &lhs, const ExprValue &rhs) {
  if (!isNumber(lhs) || !isNumber(rhs))
    return fail("'" + op + "' needs numbers, found " + describe(lhs) + " and " + describe(rhs));
  const auto *a = std::get_if<int64_t>(&lhs), *b = std::get_if<int64_t>(&rhs);
  if (a && b && op != "/") {
    int64_t result;
    bool overflow = op == "+"   ? __builtin_add_overflow(*a, *b, &result)
                    : op == "-" ? __builtin_sub_overflow(*a, *b, &result)
                                : __builtin_mul_overflow(*a, *b, &result);
    if (overflow)
      return fail("'" + op + "' overflows: " + describe(lhs) + " and " + describe(rhs));
    return ExprValue(result);
  }
  if (op == "/") {
    if (toDouble(rhs) == 0)
      return fail("division by zero");
    // Dividing by -1 could overflow.
    if (a && b && *b != -1 && *a % *b == 0)
      return ExprValue(*a / *b);
    if (a && b && *b == -1)
      return arithmetic("-", ExprValue(int64_t(0)), lhs);
  }
  double x = toDouble(lhs), y = toDouble(rhs);
  double result = op == "+" ? x + y : op == "-" ? x - y : op == "*" ? x * y : x / y;
  if (!std::isfinite(result))
    return fail("'" + op + "' overflows: " + describe(lhs) + " and " + describe(rhs));
  return ExprValue(result);
}

llvm::Expected<ExprValue> compare(const std::string &op, const ExprValue &lhs, const ExprValue &rhs) {
  if (op == "==" || op == "!=") {
    // A value may be compared with one that is absent.
    bool isNull = std::holds_alternative<std::monostate>(lhs) || std::holds_alternative<std::monostate>(rhs);
    if (!isNull && !(isNumber(lhs) && isNumber(rhs)) && lhs.index() != rhs.index())
      return fail("'" + op + "' needs values of one kind, found " + describe(lhs) + " and " + describe(rhs));
    bool equal = isNumber(lhs) && isNumber(rhs) ? toDouble(lhs) == toDouble(rhs) : lhs == rhs;
    return ExprValue(equal == (op == "=="));
  }
  if (!isNumber(lhs) || !isNumber(rhs))
    return fail("'" + op + "' needs numbers, found " + describe(lhs) + " and " + describe(rhs));
  double x = toDouble(lhs), y = toDouble(rhs);
  return ExprValue(op == "<" ? x < y : op == "<=" ? x <= y : op == ">" ? x > y : x >= y);
}

llvm::Expected<ExprValue> callFunction(const std::string &name, llvm::ArrayRef<ExprValue> arguments) {
  for (const ExprValue &argument : arguments)
    if (!isNumber(argument))
      return fail("'" + name + "' needs numbers, found " + describe(argument));
  auto unary = [&](double (*function)(double)) -> llvm::Expected<ExprValue> {
    if (arguments.size() != 1)
      return fail("'" + name + "' takes 1 argument, found " + llvm::Twine(arguments.size()));
    double result = function(toDouble(arguments[0]));
    if (!std::isfinite(result))
      return fail("'" + name + "(" + describe(arguments[0]) + ")' is not finite");
    return ExprValue(result);
  };
  if (name == "sqrt")
    return unary([](double x) { return std::sqrt(x); });
  if (name == "log")
    return unary([](double x) { return std::log(x); });
  if (name == "exp")
    return unary([](double x) { return std::exp(x); });
  if (name == "floor" || name == "ceil") {
    double (*round)(double) = name == "floor" ? static_cast<double (*)(double)>(std::floor)
                                              : static_cast<double (*)(double)>(std::ceil);
    llvm::Expected<ExprValue> result = unary(round);
    if (!result)
      return result;
    double whole = std::get<double>(*result);
    if (whole < -0x1p63 || whole >= 0x1p63)
      return fail("'" + name + "(" + describe(arguments[0]) + ")' is no 64-bit integer");
    return ExprValue(static_cast<int64_t>(whole));
  }
  if (name == "min" || name == "max" || name == "pow") {
    if (arguments.size() != 2)
      return fail("'" + name + "' takes 2 arguments, found " + llvm::Twine(arguments.size()));
    if (name == "pow") {
      double result = std::pow(toDouble(arguments[0]), toDouble(arguments[1]));
      if (!std::isfinite(result))
        return fail("'pow(" + describe(arguments[0]) + ", " + describe(arguments[1]) + ")' is not finite");
      return ExprValue(result);
    }
    bool first = (toDouble(arguments[0]) < toDouble(arguments[1])) == (name == "min");
    return arguments[first ? 0 : 1];
  }
  return fail("unknown function '" + name + "'");
}

} // namespace

static llvm::Expected<ExprValue> lookUp(const std::string &name, const ExprEnvironment &environment) {
  if (name == "true" || name == "false")
    return ExprValue(name == "true");
  auto it = environment.find(name);
  if (it == environment.end())
    return fail("unknown name '" + name + "'");
  return it->second;
}

static llvm::Expected<ExprValue> evaluateHas(const std::vector<Expr> &operands,
                                             const ExprEnvironment &environment) {
  if (operands.size() != 1)
    return fail("'has' takes 1 argument, found " + llvm::Twine(operands.size()));
  llvm::Expected<ExprValue> value = operands[0].evaluate(environment);
  if (!value)
    return value.takeError();
  return ExprValue(!std::holds_alternative<std::monostate>(*value));
}

static llvm::Expected<ExprValue> evaluateIf(const std::vector<Expr> &operands,
                                            const ExprEnvironment &environment) {
  if (operands.size() != 3)
    return fail("'if' takes 3 arguments, found " + llvm::Twine(operands.size()));
  llvm::Expected<bool> condition = operands[0].evaluateBool(environment);
  if (!condition)
    return condition.takeError();
  return operands[*condition ? 1 : 2].evaluate(environment);
}

/// `and` and `or`: the second operand is evaluated where the first does not decide.
static llvm::Expected<ExprValue> evaluateLogical(const std::string &op, const std::vector<Expr> &operands,
                                                 const ExprEnvironment &environment) {
  llvm::Expected<bool> lhs = operands[0].evaluateBool(environment);
  if (!lhs)
    return lhs.takeError();
  if (*lhs == (op == "or"))
    return ExprValue(*lhs);
  llvm::Expected<bool> rhs = operands[1].evaluateBool(environment);
  if (!rhs)
    return rhs.takeError();
  return ExprValue(*rhs);
}

llvm::Expected<ExprValue> Expr::evaluate(const ExprEnvironment &environment) const {
  const std::string &op = node->op;
  if (op == "int")
    return ExprValue(node->integer);
  if (op == "float")
    return ExprValue(node->real);
  if (op == "string")
    return ExprValue(node->text);
  if (op == "name")
    return lookUp(node->text, environment);
  if (op == "call" && node->text == "has")
    return evaluateHas(node->operands, environment);
  if (op == "call" && node->text == "if")
    return evaluateIf(node->operands, environment);
  if (op == "and" || op == "or")
    return evaluateLogical(op, node->operands, environment);
  std::vector<ExprValue> values;
  for (const Expr &operand : node->operands) {
    llvm::Expected<ExprValue> value = operand.evaluate(environment);
    if (!value)
      return value.takeError();
    values.push_back(*value);
  }
  if (op == "call")
    return callFunction(node->text, values);
  if (op == "neg")
    return arithmetic("-", ExprValue(int64_t(0)), values[0]);
  if (op == "not") {
    llvm::Expected<bool> value = toBool(values[0]);
    if (!value)
      return value.takeError();
    return ExprValue(!*value);
  }
  if (llvm::is_contained({"==", "!=", "<", "<=", ">", ">="}, op))
    return compare(op, values[0], values[1]);
  return arithmetic(op, values[0], values[1]);
}

llvm::Expected<int64_t> Expr::evaluateInt(const ExprEnvironment &environment) const {
  llvm::Expected<ExprValue> value = evaluate(environment);
  if (!value)
    return value.takeError();
  if (const auto *integer = std::get_if<int64_t>(&*value))
    return *integer;
  return fail("expected an integer for '" + str() + "', found " + describe(*value));
}

llvm::Expected<double> Expr::evaluateFloat(const ExprEnvironment &environment) const {
  llvm::Expected<ExprValue> value = evaluate(environment);
  if (!value)
    return value.takeError();
  if (isNumber(*value))
    return toDouble(*value);
  return fail("expected a number for '" + str() + "', found " + describe(*value));
}

llvm::Expected<bool> Expr::evaluateBool(const ExprEnvironment &environment) const {
  llvm::Expected<ExprValue> value = evaluate(environment);
  if (!value)
    return value.takeError();
  return toBool(*value);
}

} // namespace contraflow::nn
