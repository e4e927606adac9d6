//===- Expr.cpp - expressions over configuration values -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/Expr.h"
#include "dialects/nn/ExprNode.h"

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace contraflow::nn {

namespace {

Expr makeNode(std::string op, std::vector<Expr> operands, std::string text = "") {
  Expr::Node node;
  node.op = std::move(op);
  node.operands = std::move(operands);
  node.text = std::move(text);
  return Expr(std::make_shared<const Expr::Node>(std::move(node)));
}

//===----------------------------------------------------------------------===//
// Tokens: from a string, or from an MLIR parser
//===----------------------------------------------------------------------===//

constexpr llvm::StringLiteral kTooLarge = "number is too large";

class Tokens {
public:
  virtual ~Tokens() = default;
  virtual bool word(std::string &word) = 0;
  virtual bool keyword(llvm::StringRef word) = 0;
  virtual bool integer(int64_t &value) = 0;
  virtual bool string(std::string &value) = 0;
  virtual bool real(double &value) = 0;
  /// Whether an integer that was just read goes on with an exponent, which only numbers with a point have.
  virtual bool isAtExponent() = 0;
  virtual bool punctuation(char c) = 0;
  virtual void error(llvm::StringRef message) = 0;
};

class StringTokens : public Tokens {
public:
  explicit StringTokens(llvm::StringRef text) : rest(text.ltrim()) {}

  bool word(std::string &word) override {
    if (rest.empty() || !(llvm::isAlpha(rest[0]) || rest[0] == '_'))
      return false;
    word = rest.take_while([](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; }).str();
    advance(word.size());
    return true;
  }
  bool keyword(llvm::StringRef expected) override {
    llvm::StringRef saved = rest;
    std::string found;
    if (word(found) && found == expected)
      return true;
    rest = saved;
    return false;
  }
  bool integer(int64_t &value) override {
    llvm::StringRef digits = rest.take_while(llvm::isDigit);
    llvm::StringRef after = rest.drop_front(digits.size());
    if (digits.empty() || after.starts_with(".") || after.starts_with("e") || digits.getAsInteger(10, value))
      return false;
    advance(digits.size());
    return true;
  }
  bool string(std::string &value) override {
    if (!rest.starts_with("\""))
      return false;
    size_t end = rest.find('"', 1);
    if (end == llvm::StringRef::npos)
      return false;
    value = rest.slice(1, end).str();
    advance(end + 1);
    return true;
  }
  bool real(double &value) override {
    size_t size = 0;
    while (size < rest.size() &&
           (llvm::isDigit(rest[size]) || rest[size] == '.' || rest[size] == 'e' ||
            ((rest[size] == '-' || rest[size] == '+') && size && rest[size - 1] == 'e')))
      ++size;
    if (!size || rest.take_front(size).getAsDouble(value))
      return false;
    advance(size);
    return true;
  }
  // Here such a number is a real one.
  bool isAtExponent() override { return false; }
  bool punctuation(char c) override {
    if (rest.empty() || rest[0] != c)
      return false;
    advance(1);
    return true;
  }
  void error(llvm::StringRef text) override {
    if (message.empty())
      message = (text + (rest.empty() ? llvm::Twine(", found the end") : ", found '" + rest + "'")).str();
  }

  llvm::StringRef rest;
  std::string message;

private:
  void advance(size_t size) { rest = rest.drop_front(size).ltrim(); }
};

class ParserTokens : public Tokens {
public:
  explicit ParserTokens(mlir::AsmParser &parser) : parser(parser) {}

  bool word(std::string &word) override {
    llvm::StringRef text;
    if (mlir::failed(parser.parseOptionalKeyword(&text)))
      return false;
    word = text.str();
    return true;
  }
  bool keyword(llvm::StringRef word) override { return mlir::succeeded(parser.parseOptionalKeyword(word)); }
  bool integer(int64_t &value) override {
    mlir::OptionalParseResult result = parser.parseOptionalDecimalInteger(value);
    return result.has_value() && mlir::succeeded(*result);
  }
  bool string(std::string &value) override { return mlir::succeeded(parser.parseOptionalString(&value)); }
  bool real(double &value) override {
    llvm::SMLoc begin = parser.getCurrentLocation();
    failedInParser = mlir::failed(parser.parseFloat(value));
    if (!failedInParser && !std::isfinite(value)) {
      parser.emitError(begin, kTooLarge);
      failedInParser = true;
    }
    return !failedInParser;
  }
  bool isAtExponent() override {
    const char *next = parser.getCurrentLocation().getPointer();
    return llvm::isDigit(next[-1]) && llvm::toLower(next[0]) == 'e' &&
           (llvm::isDigit(next[1]) || next[1] == '-' || next[1] == '+');
  }
  bool punctuation(char c) override {
    switch (c) {
    case '+':
      return mlir::succeeded(parser.parseOptionalPlus());
    case '-':
      return mlir::succeeded(parser.parseOptionalMinus());
    case '*':
      return mlir::succeeded(parser.parseOptionalStar());
    case '/':
      return mlir::succeeded(parser.parseOptionalSlash());
    case '(':
      return mlir::succeeded(parser.parseOptionalLParen());
    case ')':
      return mlir::succeeded(parser.parseOptionalRParen());
    case ',':
      return mlir::succeeded(parser.parseOptionalComma());
    case '<':
      return mlir::succeeded(parser.parseOptionalLess());
    case '>':
      return mlir::succeeded(parser.parseOptionalGreater());
    case '=':
      return mlir::succeeded(parser.parseOptionalEqual());
    default:
      return false; // '!' starts a type in MLIR text; write `not (a == b)`.
    }
  }
  void error(llvm::StringRef message) override {
    if (!failedInParser)
      parser.emitError(parser.getCurrentLocation(), message);
    failedInParser = true;
  }

private:
  mlir::AsmParser &parser;
  bool failedInParser = false;
};

//===----------------------------------------------------------------------===//
// Grammar
//===----------------------------------------------------------------------===//

/// Characters of the canonical text of an expression that somebody wrote. Whoever walks an expression
/// recurses, and products of sums grow without bound.
constexpr size_t kMaxText = 1000;
/// Operands, parentheses and signs: at most two come from each character.
constexpr unsigned kMaxParts = 2 * kMaxText;

class Grammar {
public:
  using Result = std::optional<Expr>;
  Grammar(Tokens &tokens, bool ordering, unsigned maxParts = kMaxParts)
      : tokens(tokens), ordering(ordering), maxParts(maxParts) {}

  Result parseSum() {
    Result lhs = parseProduct();
    while (lhs) {
      std::string op = tokens.punctuation('+') ? "+" : tokens.punctuation('-') ? "-" : "";
      if (op.empty())
        return lhs;
      lhs = binary(op, *lhs, parseProduct());
    }
    return lhs;
  }

  Result parseExpr() {
    Result lhs = parseAnd();
    while (lhs && tokens.keyword("or"))
      lhs = binary("or", *lhs, parseAnd());
    return lhs;
  }

private:
  static Result binary(std::string op, const Expr &lhs, const Result &rhs) {
    if (!rhs)
      return std::nullopt;
    return makeNode(std::move(op), {lhs, *rhs});
  }

  Result parseAnd() {
    Result lhs = parseNot();
    while (lhs && tokens.keyword("and"))
      lhs = binary("and", *lhs, parseNot());
    return lhs;
  }

  /// False, after an error, where the expression has become too large.
  bool countPart() {
    if (++parts <= maxParts)
      return true;
    tokens.error("expected a shorter expression");
    return false;
  }

  Result parseNot() {
    if (!countPart())
      return std::nullopt;
    if (!tokens.keyword("not"))
      return parseCompare();
    Result operand = parseNot();
    return operand ? Result(makeNode("not", {*operand})) : std::nullopt;
  }

  Result parseCompare() {
    Result lhs = parseSum();
    if (!lhs)
      return lhs;
    std::string op;
    if (tokens.punctuation('=')) {
      if (!tokens.punctuation('=')) {
        tokens.error("expected '=='");
        return std::nullopt;
      }
      op = "==";
    } else if (tokens.punctuation('!')) {
      if (!tokens.punctuation('=')) {
        tokens.error("expected '!='");
        return std::nullopt;
      }
      op = "!=";
    } else if (ordering || depth) {
      for (char c : {'<', '>'})
        if (op.empty() && tokens.punctuation(c))
          op = std::string(1, c) + (tokens.punctuation('=') ? "=" : "");
    }
    return op.empty() ? lhs : binary(op, *lhs, parseSum());
  }

  Result parseProduct() {
    Result lhs = parseUnary();
    while (lhs) {
      std::string op = tokens.punctuation('*') ? "*" : tokens.punctuation('/') ? "/" : "";
      if (op.empty())
        return lhs;
      lhs = binary(op, *lhs, parseUnary());
    }
    return lhs;
  }

  Result parseUnary() {
    if (!countPart())
      return std::nullopt;
    if (!tokens.punctuation('-'))
      return parsePrimary();
    Result operand = parseUnary();
    return operand ? Result(makeNode("neg", {*operand})) : std::nullopt;
  }

  Result parseParenthesized() {
    ++depth;
    Result inner = parseExpr();
    --depth;
    if (inner && !tokens.punctuation(')')) {
      tokens.error("expected ')' in expression");
      return std::nullopt;
    }
    return inner;
  }

  Result parseCall(std::string name) {
    std::vector<Expr> arguments;
    ++depth;
    do {
      Result argument = parseExpr();
      if (!argument)
        return std::nullopt;
      arguments.push_back(*argument);
    } while (tokens.punctuation(','));
    --depth;
    if (!tokens.punctuation(')')) {
      tokens.error("expected ')' after the arguments of '" + name + "'");
      return std::nullopt;
    }
    return makeNode("call", std::move(arguments), std::move(name));
  }

  Result parsePrimary() {
    if (tokens.punctuation('('))
      return parseParenthesized();
    int64_t integer;
    if (tokens.integer(integer)) {
      if (!tokens.isAtExponent())
        return Expr::constant(integer);
      tokens.error("a number with an exponent needs a point, such as 1.0e6");
      return std::nullopt;
    }
    std::string text;
    if (tokens.string(text)) {
      // Canonical text has no escapes, so that it can be read back.
      if (text.find_first_of("\"\\") == std::string::npos && llvm::all_of(text, llvm::isPrint))
        return makeNode("string", {}, text);
      tokens.error("text in an expression holds no quotes, backslashes or control characters");
      return std::nullopt;
    }
    if (tokens.word(text)) {
      if (tokens.punctuation('('))
        return parseCall(text);
      return Expr::name(text);
    }
    double real;
    if (tokens.real(real)) {
      if (std::isfinite(real))
        return Expr::constant(real);
      tokens.error(kTooLarge);
      return std::nullopt;
    }
    tokens.error("expected a number, a name or '(' in expression");
    return std::nullopt;
  }

  Tokens &tokens;
  bool ordering;
  unsigned maxParts;
  int depth = 0;
  unsigned parts = 0;
};

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

/// Binding strength, for parentheses when printing.
int precedence(const std::string &op) {
  if (op == "or")
    return 1;
  if (op == "and")
    return 2;
  if (op == "not")
    return 3;
  if (op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">=")
    return 4;
  if (op == "+" || op == "-")
    return 5;
  if (op == "*" || op == "/")
    return 6;
  if (op == "neg")
    return 7;
  return 8;
}

/// The shortest text that reads back as the same number.
std::string printReal(double value) {
  char buffer[32];
  std::string text(buffer, std::to_chars(buffer, std::end(buffer), value).ptr);
  // MLIR's lexer wants a point in a float.
  if (text.find('.') == std::string::npos)
    text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

std::string printOperand(const Expr &operand, int parent) {
  std::string text = operand.str();
  int own = precedence(operand.getNode().op);
  if (std::optional<Polynomial> polynomial = toPolynomial(operand)) {
    bool single = polynomial->size() == 1 && polynomial->begin()->second >= 0;
    bool atom = polynomial->empty() ||
                (single && (polynomial->begin()->first.size() + (polynomial->begin()->second != 1) <= 1));
    own = atom ? 8 : single ? 6 : 5;
  }
  return own <= parent ? "(" + text + ")" : text;
}

} // namespace

//===----------------------------------------------------------------------===//
// Public interface
//===----------------------------------------------------------------------===//

std::string describe(const ExprValue &value) {
  if (const auto *integer = std::get_if<int64_t>(&value))
    return std::to_string(*integer);
  if (const auto *real = std::get_if<double>(&value))
    return printReal(*real);
  if (const auto *boolean = std::get_if<bool>(&value))
    return *boolean ? "true" : "false";
  if (const auto *text = std::get_if<std::string>(&value))
    return "\"" + *text + "\"";
  return "null";
}

Expr Expr::constant(int64_t value) {
  Node node;
  node.op = "int";
  node.integer = value;
  return Expr(std::make_shared<const Node>(std::move(node)));
}

Expr Expr::constant(double value) {
  Node node;
  node.op = "float";
  node.real = value;
  return Expr(std::make_shared<const Node>(std::move(node)));
}

Expr Expr::name(llvm::StringRef name) { return makeNode("name", {}, name.str()); }

static llvm::Expected<Expr> parseText(llvm::StringRef text, unsigned maxParts) {
  StringTokens tokens(text);
  Grammar grammar(tokens, /*ordering=*/true, maxParts);
  std::optional<Expr> result = grammar.parseExpr();
  if (!result)
    return fail(tokens.message);
  if (!tokens.rest.empty())
    return fail("unexpected '" + tokens.rest + "' after expression");
  return *result;
}

/// Why an expression that was written is too large, or nothing.
static std::optional<std::string> getSizeError(const Expr &expr) {
  size_t size = expr.str().size();
  if (size <= kMaxText)
    return std::nullopt;
  return "expected an expression of at most " + std::to_string(kMaxText) +
         " characters, multiplied out it has " + std::to_string(size);
}

/// Why an expression that was written is refused, or nothing.
static std::optional<std::string> getError(const Expr &expr) {
  std::optional<std::string> error = getSizeError(expr);
  return error ? error : getWrittenError(expr);
}

llvm::Expected<Expr> Expr::parse(llvm::StringRef text) {
  llvm::Expected<Expr> result = parseText(text, kMaxParts);
  if (result)
    if (std::optional<std::string> error = getError(*result))
      return fail(*error);
  return result;
}

Expr Expr::parseCanonical(llvm::StringRef text) {
  return llvm::cantFail(parseText(text, std::numeric_limits<unsigned>::max()));
}

std::optional<Expr> Expr::parse(mlir::AsmParser &parser, bool dimension) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  ParserTokens tokens(parser);
  Grammar grammar(tokens, /*ordering=*/false);
  std::optional<Expr> result = dimension ? grammar.parseSum() : grammar.parseExpr();
  std::optional<std::string> error = result ? getError(*result) : std::nullopt;
  if (!error)
    return result;
  parser.emitError(loc, *error);
  return std::nullopt;
}

std::optional<Polynomial> toPolynomial(const Expr &expr) {
  const Expr::Node &node = expr.getNode();
  if (node.op == "int") {
    Polynomial polynomial;
    addTerm(polynomial, {}, node.integer);
    return polynomial;
  }
  if (node.op == "name") {
    if (node.text == "true" || node.text == "false")
      return std::nullopt;
    return Polynomial{{{node.text}, 1}};
  }
  if (node.op != "+" && node.op != "-" && node.op != "*" && node.op != "neg")
    return std::nullopt;
  std::optional<Polynomial> lhs = toPolynomial(node.operands[0]);
  if (!lhs)
    return std::nullopt;
  if (node.op == "neg")
    return multiply(*lhs, Polynomial{{{}, -1}});
  std::optional<Polynomial> rhs = toPolynomial(node.operands[1]);
  if (!rhs)
    return std::nullopt;
  if (node.op != "*") {
    if (node.op == "-")
      rhs = multiply(*rhs, Polynomial{{{}, -1}});
    for (const auto &[factors, coefficient] : rhs.value_or(Polynomial()))
      if (!addTerm(*lhs, factors, coefficient))
        return std::nullopt;
    return rhs ? lhs : std::nullopt;
  }
  return multiply(*lhs, *rhs);
}

std::optional<Expr> divideExactly(const Expr &dividend, const Expr &divisor) {
  std::optional<Polynomial> above = toPolynomial(dividend), below = toPolynomial(divisor);
  std::optional<Polynomial> quotient = above && below ? divide(*above, *below) : std::nullopt;
  if (!quotient)
    return std::nullopt;
  Expr sum = Expr::constant(int64_t(0));
  for (const auto &[factors, coefficient] : *quotient) {
    Expr term = Expr::constant(coefficient);
    for (const std::string &factor : factors)
      term = term * Expr::name(factor);
    sum = sum + term;
  }
  return sum;
}

std::string Expr::str() const {
  if (std::optional<Polynomial> polynomial = toPolynomial(*this))
    return print(*polynomial);
  if (node->op == "float")
    return printReal(node->real);
  if (node->op == "string")
    return "\"" + node->text + "\"";
  if (node->op == "name")
    return node->text;
  if (node->op == "call") {
    std::vector<std::string> arguments;
    for (const Expr &operand : node->operands)
      arguments.push_back(operand.str());
    return node->text + "(" + llvm::join(arguments, ", ") + ")";
  }
  int own = precedence(node->op);
  if (node->op == "neg")
    return "-" + printOperand(node->operands[0], own);
  if (node->op == "not")
    return "not " + printOperand(node->operands[0], own - 1);
  // Left-associative: an equal operator on the left needs no parentheses, comparisons do not chain.
  // `!=` cannot be written in MLIR text, where '!' starts a type.
  if (node->op == "!=")
    return "not (" + printOperand(node->operands[0], own) + " == " + printOperand(node->operands[1], own) +
           ")";
  std::string lhs = printOperand(node->operands[0], own == 4 ? own : own - 1);
  std::string rhs = printOperand(node->operands[1], own);
  std::string text = lhs + " " + node->op + " " + rhs;
  // An ordering is parenthesised, because `>` closes an attribute.
  return own == 4 && node->op != "==" ? "(" + text + ")" : text;
}

Expr Expr::substitute(llvm::function_ref<std::optional<Expr>(llvm::StringRef)> values) const {
  if (node->op == "name") {
    std::optional<Expr> value = values(node->text);
    return value ? *value : *this;
  }
  if (node->operands.empty())
    return *this;
  Node copy = *node;
  for (Expr &operand : copy.operands)
    operand = operand.substitute(values);
  return Expr(std::make_shared<const Node>(std::move(copy)));
}

void Expr::forEachName(llvm::function_ref<void(llvm::StringRef)> visit) const {
  if (node->op == "name")
    visit(node->text);
  for (const Expr &operand : node->operands)
    operand.forEachName(visit);
}

std::optional<int64_t> Expr::getConstant() const {
  std::optional<Polynomial> polynomial = toPolynomial(*this);
  if (!polynomial)
    return std::nullopt;
  if (polynomial->empty())
    return 0;
  if (polynomial->size() == 1 && polynomial->begin()->first.empty())
    return polynomial->begin()->second;
  return std::nullopt;
}

Expr operator+(const Expr &lhs, const Expr &rhs) { return makeNode("+", {lhs, rhs}); }
Expr operator-(const Expr &lhs, const Expr &rhs) { return makeNode("-", {lhs, rhs}); }
Expr operator*(const Expr &lhs, const Expr &rhs) { return makeNode("*", {lhs, rhs}); }

} // namespace contraflow::nn
