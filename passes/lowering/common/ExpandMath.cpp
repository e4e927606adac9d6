//===- ExpandMath.cpp - exp, log, tanh, erf, sin, cos as polynomials ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated code calls no libm: a scalar libm call per vector lane is slow, and its bits vary by
// machine. Every function is a range reduction and a polynomial in fused multiply-adds, with the error
// bound that `test/unit/passes/lowering/cpu/ExpandMathTest.cpp` measures over all of its range. Upstream's
// approximations are not used: their exp saturates, their sin and cos lose all digits at the angles that long
// sequences reach.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/common/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#define DEBUG_TYPE "lowering-expand-math"

namespace contraflow::lowering {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "passes/lowering/common/Passes.h.inc"
} // namespace contraflow::lowering

using namespace mlir;

namespace {

/// Writes f32 formulas for one shape: a scalar, or a vector of any length.
class Formula {
public:
  Formula(OpBuilder &builder, Location loc, Type type) : b(builder), loc(loc), type(type) {
    auto vector = llvm::dyn_cast<VectorType>(type);
    intType = vector ? Type(vector.clone(b.getI32Type())) : Type(b.getI32Type());
  }

  Value f(float value) { return constant(b.getF32FloatAttr(value), type); }
  Value i(int32_t value) { return constant(b.getI32IntegerAttr(value), intType); }

  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  Value neg(Value x) { return arith::NegFOp::create(b, loc, x); }
  Value abs(Value x) { return math::AbsFOp::create(b, loc, x); }
  Value copysign(Value x, Value y) { return math::CopySignOp::create(b, loc, x, y); }
  Value less(Value x, Value y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y); }
  Value equal(Value x, Value y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value isub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value iadd(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value iand(Value x, int32_t y) { return arith::AndIOp::create(b, loc, x, i(y)); }
  Value shl(Value x, int32_t y) { return arith::ShLIOp::create(b, loc, x, i(y)); }
  Value sar(Value x, int32_t y) { return arith::ShRSIOp::create(b, loc, x, i(y)); }
  Value bits(Value x) { return arith::BitcastOp::create(b, loc, intType, x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, loc, type, x); }
  Value toFloat(Value x) { return arith::SIToFPOp::create(b, loc, type, x); }
  Value ieq(Value x, int32_t y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, i(y)); }

  /// Horner's rule; coefficients from the highest power down.
  Value polynomial(Value x, ArrayRef<float> coefficients) {
    Value sum = f(coefficients.front());
    for (float c : coefficients.drop_front())
      sum = fma(sum, x, f(c));
    return sum;
  }

  /// x * y, rounded to the nearest integer, as a float and as its bits' low part. Adding 1.5 * 2^23
  /// leaves the integer in the low bits of the significand; exact for |x * y| < 2^22.
  std::pair<Value, Value> nearest(Value x, float y) {
    Value shifted = fma(x, f(y), f(12582912.0f));
    return {sub(shifted, f(12582912.0f)), isub(bits(shifted), i(0x4B400000))};
  }

  Value exp(Value x);
  Value exp2(Value x);
  Value log(Value x);
  Value log1p(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value sincos(Value x, bool cosine);

private:
  Value scaledExp(Value r, Value n);
  Value clamp(Value x, float low, float high) {
    x = select(less(x, f(low)), f(low), x);
    return select(less(f(high), x), f(high), x);
  }
  Value constant(TypedAttr scalar, Type shape) {
    if (auto vector = llvm::dyn_cast<VectorType>(shape))
      return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, Attribute(scalar)));
    return arith::ConstantOp::create(b, loc, scalar);
  }

  OpBuilder &b;
  Location loc;
  Type type, intType;
};

/// e^x = 2^n e^r, |r| <= ln(2) / 2. Not-a-number passes through the ordered comparisons.
Value Formula::exp(Value x) {
  x = clamp(x, -105.0f, 89.0f);
  auto [n, bitsOfN] = nearest(x, 1.44269504f);
  Value r = fma(n, f(-0.693359375f), x);
  r = fma(n, f(2.12194440e-4f), r);
  return scaledExp(r, bitsOfN);
}

/// 2^x = 2^n e^((x - n) ln(2)).
Value Formula::exp2(Value x) {
  x = clamp(x, -151.0f, 129.0f);
  auto [n, bitsOfN] = nearest(x, 1.0f);
  return scaledExp(mul(sub(x, n), f(0.693147181f)), bitsOfN);
}

/// 2^n e^r. The power of two is applied in two halves, so that results reach the denormals and infinity.
Value Formula::scaledExp(Value r, Value n) {
  Value p = polynomial(r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f});
  p = add(fma(p, mul(r, r), r), f(1.0f));
  Value half = sar(n, 1);
  auto power = [&](Value e) { return fromBits(shl(iadd(e, i(127)), 23)); };
  return mul(mul(p, power(half)), power(isub(n, half)));
}

/// log(x) = e log(2) + log(m), sqrt(1/2) <= m < sqrt(2).
Value Formula::log(Value x) {
  Value tiny = less(x, f(1.17549435e-38f));
  Value scaled = select(tiny, mul(x, f(8388608.0f)), x);
  // Subtracting the bits of sqrt(1/2) puts the boundary between two exponents there.
  Value shifted = isub(bits(scaled), i(0x3F3504F3));
  Value e = toFloat(sar(shifted, 23));
  e = select(tiny, sub(e, f(23.0f)), e);
  Value m = sub(fromBits(iadd(iand(shifted, 0x007FFFFF), i(0x3F3504F3))), f(1.0f));
  Value z = mul(m, m);
  Value p = polynomial(m, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f,
                           1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f,
                           3.3333331174e-1f});
  p = mul(mul(p, m), z);
  p = fma(e, f(-2.12194440e-4f), p);
  p = fma(z, f(-0.5f), p);
  Value result = fma(e, f(0.693359375f), add(m, p));
  float infinity = std::numeric_limits<float>::infinity();
  result = select(equal(x, f(infinity)), x, result);
  result = select(equal(x, f(0.0f)), f(-infinity), result);
  // Negative, and not-a-number.
  Value valid = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, x, f(0.0f));
  return select(valid, result, f(std::numeric_limits<float>::quiet_NaN()));
}

/// log(u) with u = 1 + x rounded, plus the first-order correction of that rounding.
Value Formula::log1p(Value x) {
  Value u = add(x, f(1.0f));
  Value correction = div(sub(x, sub(u, f(1.0f))), u);
  Value result = add(log(u), correction);
  Value special = less(abs(u), f(std::numeric_limits<float>::infinity()));
  result = select(special, result, u);
  return select(equal(u, f(0.0f)), f(-std::numeric_limits<float>::infinity()), result);
}

Value Formula::tanh(Value x) {
  Value magnitude = abs(x);
  Value z = mul(x, x);
  Value p = polynomial(
      z, {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f});
  Value small = fma(mul(p, z), x, x);
  Value large = sub(f(1.0f), div(f(2.0f), add(exp(add(magnitude, magnitude)), f(1.0f))));
  return select(less(magnitude, f(0.625f)), small, copysign(large, x));
}

/// Two polynomials; the outer one is of log(erfc).
Value Formula::erf(Value x) {
  Value t = abs(x);
  Value s = mul(x, x);
  Value r = fma(f(-1.72853470e-5f), t, f(3.83197126e-4f));
  Value u = fma(f(-3.88396438e-3f), t, f(2.42546219e-2f));
  r = fma(r, s, u);
  r = fma(r, t, f(-1.06777877e-1f));
  r = fma(r, t, f(-6.34846687e-1f));
  r = fma(r, t, f(-1.28717512e-1f));
  r = fma(r, t, neg(t));
  Value outer = copysign(sub(f(1.0f), exp(r)), x);
  // Beyond 4 the result is 1, and the polynomial, having left its range, may turn back.
  outer = select(less(f(4.0f), t), copysign(f(1.0f), x), outer);
  Value p = polynomial(
      s, {-5.96761703e-4f, 4.99119423e-3f, -2.67681349e-2f, 1.12819925e-1f, -3.76125336e-1f, 1.28379166e-1f});
  Value inner = fma(p, x, x);
  return select(less(f(0.927734375f), t), outer, inner);
}

/// x = n pi/2 + r; pi/2 in three parts, so that r keeps its digits for |x| < 2^22.
Value Formula::sincos(Value x, bool cosine) {
  auto [n, quadrant] = nearest(x, 0.636619772f);
  if (cosine)
    quadrant = iadd(quadrant, i(1));
  Value r = fma(n, f(-1.57079601e+00f), x);
  r = fma(n, f(-3.13916473e-07f), r);
  r = fma(n, f(-5.39030253e-15f), r);
  Value z = mul(r, r);
  Value s = polynomial(z, {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f});
  s = fma(mul(s, z), r, r);
  Value c = polynomial(z, {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f});
  c = add(fma(mul(c, z), z, mul(z, f(-0.5f))), f(1.0f));
  Value result = select(ieq(iand(quadrant, 1), 0), s, c);
  // Quadrants 2 and 3 are negative: move bit 1 to the sign.
  Value sign = shl(iand(quadrant, 2), 30);
  return fromBits(arith::XOrIOp::create(b, loc, bits(result), sign));
}

/// The expansion of `op` where it is a function that would otherwise become a call; null elsewhere.
Value expand(OpBuilder &builder, Operation *op, bool hasFma) {
  Type type = op->getResult(0).getType();
  if (!getElementTypeOrSelf(type).isF32())
    return {};
  Formula formula(builder, op->getLoc(), type);
  Value x = op->getOperand(0);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return formula.exp(x); })
      .Case([&](math::Exp2Op) { return formula.exp2(x); })
      .Case([&](math::LogOp) { return formula.log(x); })
      .Case([&](math::Log1pOp) { return formula.log1p(x); })
      .Case([&](math::TanhOp) { return formula.tanh(x); })
      .Case([&](math::ErfOp) { return formula.erf(x); })
      .Case([&](math::SinOp) { return formula.sincos(x, false); })
      .Case([&](math::CosOp) { return formula.sincos(x, true); })
      .Case([&](math::RsqrtOp) {
        return formula.div(formula.f(1.0f), math::SqrtOp::create(builder, op->getLoc(), x));
      })
      .Case([&](math::FmaOp fma) {
        return hasFma ? Value() : formula.add(formula.mul(fma.getA(), fma.getB()), fma.getC());
      })
      .Default([](Operation *) { return Value(); });
}

/// Operations on values that every target has as instructions.
bool isInstruction(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CopySignOp, math::FmaOp, math::SqrtOp, math::FloorOp,
             math::CeilOp, math::TruncOp, math::RoundEvenOp, math::IsNaNOp, math::IsInfOp, math::IsFiniteOp,
             math::ClampFOp>(op);
}

struct ExpandMathPass : contraflow::lowering::impl::ExpandMathPassBase<ExpandMathPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Operation *> worklist;
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
        worklist.push_back(op);
    });
    bool failed = false;
    // Expansions hold math.fma, and only that: visited again where it must go, too.
    for (size_t next = 0; next < worklist.size(); ++next) {
      Operation *op = worklist[next];
      OpBuilder builder(op);
      Operation *before = op->getPrevNode();
      Value value = expand(builder, op, fma);
      if (!value) {
        if (!isInstruction(op)) {
          op->emitOpError() << "has no expansion for " << op->getResult(0).getType();
          failed = true;
        }
        continue;
      }
      for (Operation *made = before ? before->getNextNode() : &op->getBlock()->front(); made != op;
           made = made->getNextNode())
        if (isa_and_nonnull<math::MathDialect>(made->getDialect()))
          worklist.push_back(made);
      op->getResult(0).replaceAllUsesWith(value);
      op->erase();
      ++numExpanded;
    }
    if (failed)
      signalPassFailure();
  }
};

} // namespace
