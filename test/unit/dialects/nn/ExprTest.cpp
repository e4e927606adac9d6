//===- ExprTest.cpp - the expression language ------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/Expr.h"

#include <gtest/gtest.h>
#include <random>

using namespace contraflow::nn;

namespace {

Expr parse(llvm::StringRef text) {
  llvm::Expected<Expr> expr = Expr::parse(text);
  EXPECT_TRUE(static_cast<bool>(expr)) << text.str();
  return *expr;
}

std::string errorOf(llvm::StringRef text, const ExprEnvironment &environment = {}) {
  llvm::Expected<Expr> expr = Expr::parse(text);
  if (!expr)
    return llvm::toString(expr.takeError());
  llvm::Expected<ExprValue> value = expr->evaluate(environment);
  return value ? "no error" : llvm::toString(value.takeError());
}

TEST(Expr, EqualPolynomialsHaveEqualText) {
  EXPECT_EQ(parse("heads*(nope + rope)").str(), parse("rope*heads + heads*nope").str());
  EXPECT_EQ(parse("heads*(nope + rope)").str(), "heads*nope + heads*rope");
  EXPECT_EQ(parse("3*t*k + e + 1").str(), "e + 3*k*t + 1");
  EXPECT_EQ(parse("a - a").str(), "0");
  EXPECT_EQ(parse("-(a - 2)").str(), "-a + 2");
}

TEST(Expr, CoefficientsThatOverflowMakeNoPolynomial) {
  EXPECT_FALSE(toPolynomial(parse("4*(9223372036854775807*x)")));
  EXPECT_FALSE(toPolynomial(parse("9223372036854775807*x + x")));
  EXPECT_TRUE(toPolynomial(parse("9223372036854775806*x + x")));
}

TEST(Expr, DivisionOfPolynomialsIsExactOrNothing) {
  auto divide = [](llvm::StringRef dividend, llvm::StringRef divisor) -> std::string {
    std::optional<Expr> quotient = divideExactly(parse(dividend), parse(divisor));
    return quotient ? quotient->str() : "none";
  };
  EXPECT_EQ(divide("6*heads*dim", "2*heads"), "3*dim");
  EXPECT_EQ(divide("kv*dv*heads", "kv"), "dv*heads");
  EXPECT_EQ(divide("heads*(nope + rope)", "heads"), "nope + rope");
  EXPECT_EQ(divide("a*a - b*b", "a + b"), "a - b");
  EXPECT_EQ(divide("a*a*c + 2*a*b*c + b*b*c - 4*c", "a + b - 2"), "a*c + b*c + 2*c");
  EXPECT_EQ(divide("0", "a"), "0");
  EXPECT_EQ(divide("a", "0"), "none");
  EXPECT_EQ(divide("a", "2"), "none");
  EXPECT_EQ(divide("a + 1", "a"), "none");
  EXPECT_EQ(divide("a*b", "a*a"), "none");
  EXPECT_EQ(divide("a/b", "a"), "none");
}

TEST(Expr, TextParsesBackToItself) {
  for (const char *text :
       {"sqrt(a + 1)*2.5", "if(has(q), 1, a/b)", "not a == 3 or b", "a/(b*c)", "(a/b)/c", "a/(b/c)", "1.0e-6",
        "0.1*m*log(f) + 1.0", "score == \"sigmoid\"", "(a < b) and (c >= 2)", "2*(a/b)", "(a + b)/c",
        "-(a/b)", "min(a, max(b, 2))", "1.5 - (a/b - 2)"}) {
    std::string once = parse(text).str();
    EXPECT_EQ(parse(once).str(), once) << text;
  }
}

/// A random expression over a, b, c together with its value, computed independently.
std::pair<std::string, double> randomExpr(std::mt19937 &random, int depth) {
  static const double values[] = {3, 5, 7};
  if (!depth || random() % 4 == 0) {
    unsigned pick = random() % 4;
    if (pick == 3) {
      int constant = 1 + random() % 9;
      return {std::to_string(constant), constant};
    }
    return {std::string(1, "abc"[pick]), values[pick]};
  }
  auto [left, x] = randomExpr(random, depth - 1);
  auto [right, y] = randomExpr(random, depth - 1);
  switch (random() % 4) {
  case 0:
    return {"(" + left + " + " + right + ")", x + y};
  case 1:
    return {"(" + left + " - " + right + ")", x - y};
  case 2:
    return {"(" + left + ") * (" + right + ")", x * y};
  default:
    return y == 0 ? std::make_pair(left, x) : std::make_pair("(" + left + ") / (" + right + ")", x / y);
  }
}

TEST(Expr, PrintingKeepsTheValue) {
  std::mt19937 random(1);
  ExprEnvironment environment;
  environment["a"] = int64_t(3);
  environment["b"] = int64_t(5);
  environment["c"] = int64_t(7);
  for (int i = 0; i < 2000; ++i) {
    auto [text, wanted] = randomExpr(random, 5);
    Expr expr = parse("1.0*(" + text + ")");
    Expr again = parse(expr.str());
    double value = llvm::cantFail(again.evaluateFloat(environment));
    EXPECT_NEAR(value, wanted, 1e-9 * (1 + std::abs(wanted))) << text << " printed as " << expr.str();
  }
}

TEST(Expr, IntegersStayIntegersWhereDivisionIsExact) {
  ExprEnvironment environment;
  environment["hidden"] = int64_t(128);
  environment["heads"] = int64_t(4);
  EXPECT_EQ(llvm::cantFail(parse("hidden / heads").evaluateInt(environment)), 32);
  EXPECT_EQ(errorOf("hidden / 0", environment), "division by zero");
  llvm::Expected<int64_t> inexact = parse("hidden / 3").evaluateInt(environment);
  EXPECT_EQ(llvm::toString(inexact.takeError()).substr(0, 40), "expected an integer for 'hidden / 3', fo");
}

TEST(Expr, NullIsTestedByHas) {
  ExprEnvironment environment;
  environment["q"] = std::monostate();
  EXPECT_FALSE(llvm::cantFail(parse("has(q)").evaluateBool(environment)));
  EXPECT_EQ(errorOf("q + 1", environment), "'+' needs numbers, found null and 1");
}

TEST(Expr, ErrorsNameWhatWasFound) {
  EXPECT_EQ(errorOf("a +"), "expected a number, a name or '(' in expression, found the end");
  EXPECT_EQ(errorOf("(a"), "expected ')' in expression, found the end");
  EXPECT_EQ(errorOf("a b"), "unexpected 'b' after expression");
  EXPECT_EQ(errorOf("nobody"), "unknown name 'nobody'");
  EXPECT_EQ(errorOf("sin(1)"), "unknown function 'sin'");
  EXPECT_EQ(errorOf("9223372036854775807 + 1 + 0*sqrt(4)"), "'+' overflows: 9223372036854775807 and 1");
  EXPECT_EQ(errorOf("log(0)"), "'log(0)' is not finite");
  EXPECT_EQ(errorOf("1.0e300*1.0e300"), "'*' overflows: 1.0e+300 and 1.0e+300");
  EXPECT_EQ(errorOf("(-9223372036854775807 - 1)/(-1) + 0*sqrt(4)"),
            "'-' overflows: 0 and -9223372036854775808");
  EXPECT_EQ(errorOf("\"a\\b\""),
            "text in an expression holds no quotes, backslashes or control characters, found the end");
}

TEST(Expr, NumbersThatDoNotFitAreErrors) {
  EXPECT_EQ(errorOf("floor(1.0e30)"), "'floor(1.0e+30)' is no 64-bit integer");
  EXPECT_EQ(errorOf("ceil(-1.0e30)"), "'ceil(-1.0e+30)' is no 64-bit integer");
  EXPECT_EQ(errorOf("floor(9223372036854775807.0)"), "'floor(9223372036854775808.0)' is no 64-bit integer");
  EXPECT_EQ(errorOf("floor(-9223372036854775808.0)"), "no error");
  EXPECT_EQ(errorOf("pow(10, 400)"), "'pow(10, 400)' is not finite");
  EXPECT_EQ(errorOf("pow(-1, 0.5)"), "'pow(-1, 0.5)' is not finite");
}

TEST(Expr, SizesAreLimited) {
  auto repeat = [](const std::string &text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i)
      result += text;
    return result;
  };
  EXPECT_EQ(errorOf(repeat("1 + ", 400) + "1"), "no error");
  // Each would exhaust the stack of whoever walks it.
  for (const char *part : {"1 + ", "(", "-", "not ", "f("})
    EXPECT_EQ(errorOf(repeat(part, 100000)).substr(0, 29), "expected a shorter expression") << part;
  EXPECT_EQ(errorOf("\"" + repeat("x", 2000) + "\""),
            "expected an expression of at most 1000 characters, multiplied out it has 2002");
  // 2^10 terms of up to ten factors, and 2^26 terms, which are more than a polynomial may have.
  std::string product = "1";
  for (char name = 'a'; name <= 'z'; ++name) {
    product += std::string("*(") + name + " + 1)";
    if (name == 'j')
      EXPECT_EQ(errorOf(product).substr(0, 49), "expected an expression of at most 1000 characters");
  }
  EXPECT_NE(errorOf(product), "no error");
}

TEST(Expr, SubstitutionBindsNames) {
  Expr bound = parse("heads*(nope + rope)").substitute([](llvm::StringRef name) -> std::optional<Expr> {
    if (name == "heads")
      return Expr::constant(int64_t(4));
    return std::nullopt;
  });
  EXPECT_EQ(bound.str(), "4*nope + 4*rope");
}

} // namespace
