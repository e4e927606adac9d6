//===- AccessMap.cpp - algebra of the maps of a kernel --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "passes/fusion/AccessMap.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <numeric>

using namespace mlir;

namespace contraflow::fusion {

namespace {

constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

/// The largest value of an expression whose smallest one is 0 or more, or nothing where it may be negative.
/// kUnbounded where there is no bound.
struct Range {
  int64_t low, high;
};

int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/// `constant + sum of coefficient * atom`; atoms are dimensions, symbols, and floordiv and mod of something
/// simplified.
struct Sum {
  struct Term {
    AffineExpr atom;
    int64_t coefficient;
  };
  SmallVector<Term> terms;
  int64_t constant = 0;

  void add(AffineExpr atom, int64_t coefficient) {
    for (Term &term : terms)
      if (term.atom == atom) {
        term.coefficient += coefficient;
        return;
      }
    terms.push_back({atom, coefficient});
  }
  void add(const Sum &other, int64_t factor) {
    for (const Term &term : other.terms)
      add(term.atom, term.coefficient * factor);
    constant += other.constant * factor;
    llvm::erase_if(terms, [](const Term &term) { return term.coefficient == 0; });
  }
};

class Simplifier {
public:
  Simplifier(MLIRContext *context, ArrayRef<int64_t> sizes) : context(context), sizes(sizes) {}

  AffineExpr run(AffineExpr expr) { return build(sumOf(expr)); }

private:
  Sum sumOf(AffineExpr expr) {
    Sum sum;
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      sum.constant = constant.getValue();
      return sum;
    }
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      // A dimension of size 1 is 0.
      if (dim.getPosition() >= sizes.size() || sizes[dim.getPosition()] != 1)
        sum.add(expr, 1);
      return sum;
    }
    if (isa<AffineSymbolExpr>(expr)) {
      sum.add(expr, 1);
      return sum;
    }
    auto binary = cast<AffineBinaryOpExpr>(expr);
    Sum lhs = sumOf(binary.getLHS()), rhs = sumOf(binary.getRHS());
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      lhs.add(rhs, 1);
      return recombine(lhs);
    case AffineExprKind::Mul:
      if (!lhs.terms.empty()) {
        sum.add(lhs, rhs.constant);
        return sum;
      }
      sum.add(rhs, lhs.constant);
      return sum;
    case AffineExprKind::FloorDiv:
      return recombine(divide(lhs, rhs.constant));
    case AffineExprKind::Mod:
      return recombine(remainder(lhs, rhs.constant));
    default: // ceildiv a by b
      lhs.constant += rhs.constant - 1;
      return recombine(divide(lhs, rhs.constant));
    }
  }

  /// The part of `sum` whose coefficients are multiples of `divisor`, divided by it, and the rest.
  std::pair<Sum, Sum> split(const Sum &sum, int64_t divisor) {
    Sum multiple, rest;
    for (const Sum::Term &term : sum.terms) {
      int64_t part = floorDiv(term.coefficient, divisor);
      if (term.coefficient % divisor == 0)
        multiple.terms.push_back({term.atom, part});
      else
        rest.terms.push_back(term);
    }
    multiple.constant = floorDiv(sum.constant, divisor);
    rest.constant = sum.constant - multiple.constant * divisor;
    return {multiple, rest};
  }

  /// A factor g of `divisor` such that the coefficients of `sum` that g does not divide make a number in [0,
  /// g); 1 where there is none.
  int64_t commonFactor(const Sum &sum, int64_t divisor) {
    int64_t best = 1;
    for (const Sum::Term &term : sum.terms) {
      int64_t g = std::gcd(term.coefficient, divisor);
      if (g <= best)
        continue;
      Range range = rangeOf(split(sum, g).second);
      if (range.low >= 0 && range.high < g)
        best = g;
    }
    return best;
  }

  Sum divide(const Sum &sum, int64_t divisor) {
    if (divisor == 1)
      return sum;
    auto [multiple, rest] = split(sum, divisor);
    Range range = rangeOf(rest);
    if (range.low >= 0 && range.high < divisor)
      return multiple;
    // (g*a + b) floordiv (g*m) = a floordiv m for 0 <= b < g.
    if (int64_t g = commonFactor(rest, divisor); g > 1)
      multiple.add(divideAtom(split(rest, g).first, divisor / g), 1);
    else
      multiple.add(divideAtom(rest, divisor), 1);
    return multiple;
  }

  Sum divideAtom(const Sum &sum, int64_t divisor) {
    Sum result;
    if (divisor == 1)
      return sum;
    // (x floordiv a) floordiv b = x floordiv (a*b).
    if (sum.terms.size() == 1 && sum.terms[0].coefficient == 1 && sum.constant == 0 &&
        sum.terms[0].atom.getKind() == AffineExprKind::FloorDiv) {
      auto inner = cast<AffineBinaryOpExpr>(sum.terms[0].atom);
      int64_t by = cast<AffineConstantExpr>(inner.getRHS()).getValue();
      return divide(sumOf(inner.getLHS()), by * divisor);
    }
    // (x mod (a*b)) floordiv a = (x floordiv a) mod b.
    if (sum.terms.size() == 1 && sum.terms[0].coefficient == 1 && sum.constant == 0 &&
        sum.terms[0].atom.getKind() == AffineExprKind::Mod) {
      auto inner = cast<AffineBinaryOpExpr>(sum.terms[0].atom);
      int64_t modulus = cast<AffineConstantExpr>(inner.getRHS()).getValue();
      if (modulus % divisor == 0)
        return remainder(divide(sumOf(inner.getLHS()), divisor), modulus / divisor);
    }
    result.add(build(sum).floorDiv(divisor), 1);
    return result;
  }

  Sum remainder(const Sum &sum, int64_t divisor) {
    Sum rest = split(sum, divisor).second;
    Range range = rangeOf(rest);
    if (range.low >= 0 && range.high < divisor)
      return rest;
    // (g*a + b) mod (g*m) = g * (a mod m) + b for 0 <= b < g.
    if (int64_t g = commonFactor(rest, divisor); g > 1) {
      auto [a, b] = split(rest, g);
      b.add(remainderAtom(a, divisor / g), g);
      return b;
    }
    return remainderAtom(rest, divisor);
  }

  Sum remainderAtom(const Sum &sum, int64_t divisor) {
    Sum result;
    if (divisor == 1)
      return result;
    // (x mod (a*b)) mod a = x mod a.
    if (sum.terms.size() == 1 && sum.terms[0].coefficient == 1 && sum.constant == 0 &&
        sum.terms[0].atom.getKind() == AffineExprKind::Mod) {
      auto inner = cast<AffineBinaryOpExpr>(sum.terms[0].atom);
      if (cast<AffineConstantExpr>(inner.getRHS()).getValue() % divisor == 0)
        return remainder(sumOf(inner.getLHS()), divisor);
    }
    result.add(build(sum) % divisor, 1);
    return result;
  }

  /// c*a*(x floordiv a) + c*(x mod a) = c*x.
  Sum recombine(Sum sum) {
    for (const Sum::Term &mod : sum.terms) {
      if (mod.atom.getKind() != AffineExprKind::Mod)
        continue;
      auto binary = cast<AffineBinaryOpExpr>(mod.atom);
      int64_t by = cast<AffineConstantExpr>(binary.getRHS()).getValue();
      Sum whole = sumOf(binary.getLHS());
      // What the quotient looks like once it is simplified.
      Sum quotient = divide(whole, by);
      if (quotient.terms.size() != 1 || quotient.constant != 0)
        continue;
      for (const Sum::Term &div : sum.terms)
        if (div.atom == quotient.terms[0].atom &&
            div.coefficient * quotient.terms[0].coefficient == mod.coefficient * by &&
            quotient.terms[0].coefficient == 1) {
          Sum result = sum;
          llvm::erase_if(result.terms, [&](const Sum::Term &term) {
            return term.atom == mod.atom || term.atom == div.atom;
          });
          result.add(whole, mod.coefficient);
          return recombine(result);
        }
    }
    return sum;
  }

  Range rangeOf(AffineExpr atom) {
    if (auto dim = dyn_cast<AffineDimExpr>(atom))
      return {0, dim.getPosition() < sizes.size() ? sizes[dim.getPosition()] - 1 : kUnbounded};
    if (isa<AffineSymbolExpr>(atom))
      return {0, kUnbounded};
    auto binary = cast<AffineBinaryOpExpr>(atom);
    int64_t by = cast<AffineConstantExpr>(binary.getRHS()).getValue();
    Range inner = rangeOf(sumOf(binary.getLHS()));
    if (atom.getKind() == AffineExprKind::Mod)
      return {0, by - 1};
    return {inner.low == -kUnbounded ? -kUnbounded : floorDiv(inner.low, by),
            inner.high == kUnbounded ? kUnbounded : floorDiv(inner.high, by)};
  }

  Range rangeOf(const Sum &sum) {
    Range total{sum.constant, sum.constant};
    auto add = [](int64_t a, int64_t b, int64_t bound) {
      return std::abs(a) == kUnbounded || std::abs(b) == kUnbounded ? bound : a + b;
    };
    for (const Sum::Term &term : sum.terms) {
      Range range = rangeOf(term.atom);
      auto times = [&](int64_t bound) {
        if (std::abs(bound) == kUnbounded)
          return (bound > 0) == (term.coefficient > 0) ? kUnbounded : -kUnbounded;
        return bound * term.coefficient;
      };
      int64_t low = times(range.low), high = times(range.high);
      if (term.coefficient < 0)
        std::swap(low, high);
      total = {add(total.low, low, -kUnbounded), add(total.high, high, kUnbounded)};
    }
    return total;
  }

  /// Terms in a fixed order, so that equal sums are equal expressions: dimensions, symbols, then the rest as
  /// found.
  AffineExpr build(const Sum &sum) {
    SmallVector<Sum::Term> terms(sum.terms);
    auto rank = [](AffineExpr atom) -> int64_t {
      if (auto dim = dyn_cast<AffineDimExpr>(atom))
        return dim.getPosition();
      if (auto symbol = dyn_cast<AffineSymbolExpr>(atom))
        return (int64_t(1) << 32) + symbol.getPosition();
      return int64_t(1) << 33;
    };
    llvm::stable_sort(terms,
                      [&](const Sum::Term &a, const Sum::Term &b) { return rank(a.atom) < rank(b.atom); });
    AffineExpr expr = getAffineConstantExpr(0, context);
    for (const Sum::Term &term : terms)
      expr = expr + term.atom * term.coefficient;
    return expr + sum.constant;
  }

  MLIRContext *context;
  ArrayRef<int64_t> sizes;
};

/// A dimension of the domain as a digit of a coordinate.
struct Digit {
  unsigned dim;
  int64_t stride;
};

/// The digits of `expr` apart from a constant that is added to `offset`, or nothing where it is no sum of
/// positive multiples of dimensions.
std::optional<SmallVector<Digit>> digitsOf(AffineExpr expr, int64_t &offset) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    offset += constant.getValue();
    return SmallVector<Digit>();
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return SmallVector<Digit>{{dim.getPosition(), 1}};
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  if (expr.getKind() == AffineExprKind::Mul) {
    auto dim = dyn_cast<AffineDimExpr>(binary.getLHS());
    auto stride = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!dim || !stride || stride.getValue() <= 0)
      return std::nullopt;
    return SmallVector<Digit>{{dim.getPosition(), stride.getValue()}};
  }
  if (expr.getKind() != AffineExprKind::Add)
    return std::nullopt;
  auto lhs = digitsOf(binary.getLHS(), offset), rhs = digitsOf(binary.getRHS(), offset);
  if (!lhs || !rhs)
    return std::nullopt;
  lhs->append(*rhs);
  return lhs;
}

} // namespace

AffineExpr simplify(AffineExpr expr, ArrayRef<int64_t> sizes) {
  return Simplifier(expr.getContext(), sizes).run(expr);
}

AffineMap simplify(AffineMap map, ArrayRef<int64_t> sizes) {
  SmallVector<AffineExpr> results;
  for (AffineExpr expr : map.getResults())
    results.push_back(simplify(expr, sizes));
  return AffineMap::get(map.getNumDims(), map.getNumSymbols(), results, map.getContext());
}

std::optional<AffineMap> invert(AffineMap map, ArrayRef<int64_t> domain, ArrayRef<int64_t> shape) {
  MLIRContext *context = map.getContext();
  if (map.getNumSymbols())
    return std::nullopt;
  SmallVector<AffineExpr> inverse(domain.size());
  for (unsigned i = 0; i < domain.size(); ++i)
    if (domain[i] == 1)
      inverse[i] = getAffineConstantExpr(0, context);
  for (unsigned i = 0; i < shape.size(); ++i) {
    int64_t offset = 0;
    auto digits = digitsOf(simplify(map.getResult(i), domain), offset);
    if (!digits || offset != 0)
      return std::nullopt;
    llvm::sort(*digits, [](const Digit &a, const Digit &b) { return a.stride < b.stride; });
    // The number that the digits so far can count to.
    int64_t count = 1;
    AffineExpr coordinate = getAffineDimExpr(i, context);
    for (const Digit &digit : *digits) {
      if (digit.stride != count || inverse[digit.dim])
        return std::nullopt;
      count *= domain[digit.dim];
      AffineExpr quotient = coordinate.floorDiv(digit.stride);
      inverse[digit.dim] = count == shape[i] ? quotient : quotient % domain[digit.dim];
    }
    if (count != shape[i])
      return std::nullopt;
  }
  if (!llvm::all_of(inverse, [](AffineExpr expr) { return static_cast<bool>(expr); }))
    return std::nullopt;
  return AffineMap::get(shape.size(), 0, inverse, context);
}

bool isInjective(AffineMap map, ArrayRef<int64_t> domain) {
  SmallVector<bool> seen(domain.size(), false);
  for (AffineExpr expr : map.getResults()) {
    int64_t offset = 0;
    auto digits = digitsOf(simplify(expr, domain), offset);
    if (!digits)
      return false;
    llvm::sort(*digits, [](const Digit &a, const Digit &b) { return a.stride < b.stride; });
    // The largest number that the lower digits make.
    int64_t below = 0;
    for (const Digit &digit : *digits) {
      if (digit.stride <= below || seen[digit.dim])
        return false;
      below += digit.stride * (domain[digit.dim] - 1);
      seen[digit.dim] = true;
    }
  }
  for (size_t i = 0; i < domain.size(); ++i)
    if (domain[i] > 1 && !seen[i])
      return false;
  return true;
}

AffineMap compose(AffineMap outer, AffineMap inner, ArrayRef<int64_t> sizes) {
  SmallVector<AffineExpr> symbols;
  for (unsigned i = 0; i < outer.getNumSymbols(); ++i)
    symbols.push_back(getAffineSymbolExpr(i, outer.getContext()));
  unsigned numSymbols = std::max(outer.getNumSymbols(), inner.getNumSymbols());
  SmallVector<AffineExpr> results;
  for (AffineExpr expr : outer.getResults())
    results.push_back(simplify(expr.replaceDimsAndSymbols(inner.getResults(), symbols), sizes));
  return AffineMap::get(inner.getNumDims(), numSymbols, results, outer.getContext());
}

namespace {

bool isStridedAlong(AffineExpr expr, unsigned dim) {
  if (!expr.isFunctionOfDim(dim))
    return true;
  if (isa<AffineDimExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || (expr.getKind() != AffineExprKind::Add && expr.getKind() != AffineExprKind::Mul))
    return false;
  return isStridedAlong(binary.getLHS(), dim) && isStridedAlong(binary.getRHS(), dim);
}

} // namespace

bool isStridedAlong(AffineMap map, unsigned dim) {
  return llvm::all_of(map.getResults(), [&](AffineExpr expr) { return isStridedAlong(expr, dim); });
}

bool isStrided(AffineMap map) {
  if (map.getNumSymbols())
    return false;
  auto strided = [](AffineExpr expr) {
    bool pure = true;
    expr.walk([&](AffineExpr part) {
      if (part.getKind() == AffineExprKind::Mod || part.getKind() == AffineExprKind::FloorDiv ||
          part.getKind() == AffineExprKind::CeilDiv)
        pure = false;
    });
    return pure;
  };
  return llvm::all_of(map.getResults(), strided);
}

} // namespace contraflow::fusion
