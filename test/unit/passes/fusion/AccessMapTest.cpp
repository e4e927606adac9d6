//===- AccessMapTest.cpp - simplified maps are equal functions ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/fusion/AccessMap.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace contraflow::fusion;

namespace {

class AccessMap : public testing::Test {
protected:
  AffineExpr d(unsigned i) { return getAffineDimExpr(i, &context); }
  AffineExpr s(unsigned i) { return getAffineSymbolExpr(i, &context); }
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }

  static int64_t evaluate(AffineExpr expr, ArrayRef<int64_t> dims, ArrayRef<int64_t> symbols) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return constant.getValue();
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return dims[dim.getPosition()];
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      return symbols[symbol.getPosition()];
    auto binary = cast<AffineBinaryOpExpr>(expr);
    int64_t a = evaluate(binary.getLHS(), dims, symbols), b = evaluate(binary.getRHS(), dims, symbols);
    auto floorDiv = [](int64_t a, int64_t b) { return a / b - (a % b < 0); };
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      return a + b;
    case AffineExprKind::Mul:
      return a * b;
    case AffineExprKind::Mod:
      return a - floorDiv(a, b) * b;
    case AffineExprKind::FloorDiv:
      return floorDiv(a, b);
    default:
      return -floorDiv(-a, b);
    }
  }

  /// A random expression of dimensions and one symbol.
  AffineExpr expression(unsigned dims, int depth) {
    if (depth == 0)
      return pick(0, 5) == 0 ? s(0) : d(pick(0, dims - 1));
    AffineExpr a = expression(dims, depth - 1), b = expression(dims, depth - 1);
    int64_t c = pick(1, 7);
    switch (pick(0, 4)) {
    case 0:
      return a + b * c;
    case 1:
      return a * c + b;
    case 2:
      return (a * c + b).floorDiv(pick(1, 9));
    case 3:
      return (a * c + b) % pick(1, 9);
    default:
      return a - b + c;
    }
  }

  template <typename Body> void forEachPoint(ArrayRef<int64_t> sizes, Body body) {
    SmallVector<int64_t> point(sizes.size(), 0);
    while (true) {
      body(ArrayRef<int64_t>(point));
      int i = sizes.size() - 1;
      while (i >= 0 && ++point[i] == sizes[i])
        point[i--] = 0;
      if (i < 0)
        return;
    }
  }

  MLIRContext context;
  std::mt19937 random{7};
};

TEST_F(AccessMap, CancelsDivisionsOfKnownRange) {
  AffineExpr x = d(0) * 64 + d(1);
  EXPECT_EQ(simplify(x.floorDiv(64), {4, 64}), d(0));
  EXPECT_EQ(simplify(x % 64, {4, 64}), d(1));
  // A wider digit would carry.
  EXPECT_NE(simplify(x % 64, {4, 65}), d(1));
  EXPECT_EQ(simplify((d(0) * 64 + d(1) * 2 + d(2)).floorDiv(2) % 32, {4, 32, 2}), d(1));
  EXPECT_EQ(simplify((d(0) * 8 + d(1)).floorDiv(4), {3, 4}), d(0) * 2);
  EXPECT_EQ(simplify(d(0).floorDiv(8) * 8 + d(0) % 8, {100}), d(0));
  EXPECT_EQ(simplify((s(0) * 4 + d(0)).floorDiv(4), {4}), s(0));
  EXPECT_EQ(simplify(d(0) + d(1), {5, 1}), d(0));
}

TEST_F(AccessMap, SimplifiedExpressionsAreEqualFunctions) {
  for (int round = 0; round < 2000; ++round) {
    SmallVector<int64_t> sizes;
    for (int i = pick(1, 3); i > 0; --i)
      sizes.push_back(pick(1, 6));
    AffineExpr expr = expression(sizes.size(), pick(1, 3)), simple = simplify(expr, sizes);
    forEachPoint(sizes, [&](ArrayRef<int64_t> point) {
      for (int64_t symbol : {0, 1, 5, 17})
        ASSERT_EQ(evaluate(expr, point, {symbol}), evaluate(simple, point, {symbol})) << "round " << round;
    });
  }
}

TEST_F(AccessMap, InvertsMixedRadixMaps) {
  for (int round = 0; round < 500; ++round) {
    // Digits are dealt to coordinates in random order; the last dealt is the lowest.
    SmallVector<int64_t> domain, shape(pick(1, 3), 1);
    SmallVector<AffineExpr> coordinates(shape.size(), getAffineConstantExpr(0, &context));
    SmallVector<unsigned> order;
    for (int i = pick(1, 4); i > 0; --i) {
      order.push_back(domain.size());
      domain.push_back(pick(1, 5));
    }
    std::shuffle(order.begin(), order.end(), random);
    for (unsigned dim : order) {
      unsigned i = pick(0, shape.size() - 1);
      coordinates[i] = coordinates[i] + d(dim) * shape[i];
      shape[i] *= domain[dim];
    }
    AffineMap map = AffineMap::get(domain.size(), 0, coordinates, &context);
    std::optional<AffineMap> inverse = invert(map, domain, shape);
    ASSERT_TRUE(inverse.has_value()) << "round " << round;
    forEachPoint(domain, [&](ArrayRef<int64_t> point) {
      SmallVector<int64_t> at;
      for (AffineExpr expr : map.getResults())
        at.push_back(evaluate(expr, point, {}));
      for (unsigned i = 0; i < domain.size(); ++i)
        ASSERT_EQ(evaluate(inverse->getResult(i), at, {}), point[i]) << "round " << round;
    });
    // There and back again is seen to be the identity.
    AffineMap same = compose(*inverse, map, domain);
    for (unsigned i = 0; i < domain.size(); ++i)
      EXPECT_EQ(same.getResult(i), domain[i] == 1 ? getAffineConstantExpr(0, &context) : d(i))
          << "round " << round;
  }
}

TEST_F(AccessMap, RefusesMapsThatMissOrRepeatElements) {
  auto map = [&](AffineExpr expr, unsigned dims) { return AffineMap::get(dims, 0, {expr}, &context); };
  EXPECT_TRUE(invert(map(d(0) * 4 + d(1), 2), {3, 4}, {12}).has_value());
  EXPECT_FALSE(invert(map(d(0) * 4 + d(1), 2), {3, 4}, {13}).has_value()); // misses the last
  EXPECT_FALSE(invert(map(d(0) * 5 + d(1), 2), {3, 4}, {15}).has_value()); // holes
  EXPECT_FALSE(invert(map(d(0) * 3 + d(1), 2), {3, 4}, {12}).has_value()); // overlaps
  EXPECT_FALSE(invert(map(d(0), 2), {3, 4}, {3}).has_value());             // forgets d1
  EXPECT_FALSE(invert(map(d(0) + 1, 1), {3}, {4}).has_value());            // offset
}

TEST_F(AccessMap, KnowsStrides) {
  AffineMap map = AffineMap::get(3, 0, {d(0) * 4 + d(1), d(2).floorDiv(2)}, &context);
  EXPECT_TRUE(isStridedAlong(map, 0));
  EXPECT_FALSE(isStridedAlong(map, 2));
  EXPECT_FALSE(isStrided(map));
  EXPECT_TRUE(isStrided(AffineMap::get(2, 0, {d(0) * 4 + d(1) + 3}, &context)));
}

} // namespace
