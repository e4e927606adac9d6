//===- ExpandMathTest.cpp - errors of the polynomials, over all of their range //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"
#include "test/support/JitModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;

namespace {

constexpr int64_t kCount = 1 << 16;

/// Applies the math operation `Op` to many numbers with generated code.
template <typename Op> std::vector<float> apply(const std::vector<float> &x, StringRef isa) {
  DialectRegistry registry;
  cpu::registerCpuPipelineDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto type = nn::TensorType::get(&context, {kCount}, builder.getF32Type());
  auto function =
      func::FuncOp::create(builder, module->getLoc(), "f", builder.getFunctionType({type}, {type}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  nn::KernelBuilder k(builder, module->getLoc(), "math", {1, kCount});
  k.input(function.getArgument(0), {k.d(1)});
  k.result(type, {k.d(1)});
  nn::KernelOp kernel = k.build([&](nn::Region &, ArrayRef<nn::Scalar> in) -> nn::Scalars {
    OpBuilder &inner = *in[0].builder;
    return {nn::Scalar{in[0].builder, Op::create(inner, module->getLoc(), in[0].value)}};
  });
  func::ReturnOp::create(builder, module->getLoc(), kernel.getResults());
  auto jit = JitModule::compile(*module, machineFor(isa));
  if (!jit)
    return {};
  std::vector<float> input(x), output(kCount);
  input.resize(kCount);
  jit->call("f", {input.data(), output.data()}, {});
  output.resize(x.size());
  return output;
}

/// Distance in units of the last place of the exact value.
double ulps(float actual, double exact) {
  float rounded = exact;
  if (std::isnan(exact) || std::isnan(actual))
    return std::isnan(exact) && std::isnan(actual) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(actual))
    return actual == rounded ? 0 : std::abs(double(actual) - double(rounded)) < 1e33 ? 1 : INFINITY;
  int exponent;
  std::frexp(exact, &exponent);
  double ulp = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::abs(actual - exact) / ulp;
}

/// Numbers of both signs whose exponents are spread evenly, up to `limit`.
std::vector<float> spread(double smallest, double limit, bool negative) {
  std::vector<float> x;
  int64_t count = kCount - 64, half = negative ? count / 2 : count;
  for (int64_t i = 0; i < half; ++i) {
    double t = smallest * std::pow(limit / smallest, double(i) / (half - 1));
    x.push_back(t);
    if (negative)
      x.push_back(-t);
  }
  return x;
}

std::vector<float> linear(double low, double high) {
  std::vector<float> x;
  for (int64_t i = 0; i < kCount - 64; ++i)
    x.push_back(low + (high - low) * i / (kCount - 65));
  return x;
}

template <typename Op>
void check(std::vector<float> x, double (*exact)(double), double bound, double absolute = 0) {
  for (StringRef isa : {"native", "x86-64-v3"}) {
    std::vector<float> y = apply<Op>(x, isa);
    ASSERT_EQ(y.size(), x.size());
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = ulps(y[i], exact(double(x[i])));
      if (absolute && std::abs(y[i] - exact(double(x[i]))) <= absolute)
        error = 0;
      if (error > worst) {
        worst = error;
        where = x[i];
      }
    }
    EXPECT_LE(worst, bound) << "at " << where << " for " << isa.str();
  }
}

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> with(std::vector<float> x, std::initializer_list<float> more) {
  x.insert(x.end(), more);
  return x;
}

TEST(ExpandMath, Exp) {
  check<math::ExpOp>(with(linear(-104, 89), {0, -0.0f, 1, -1, 88, 88.72283f, 88.7229f, 1000, -87.34f,
                                             -103.97f, -200, -1e30f, kInf, -kInf, kNaN}),
                     std::exp, 1.5);
  check<math::ExpOp>(spread(1e-30, 1, true), std::exp, 1.5);
}
TEST(ExpandMath, Exp2) {
  check<math::Exp2Op>(with(linear(-149.5, 128), {0, 1, -1, 127.99f, 1000, -1000, kInf, -kInf, kNaN}),
                      std::exp2, 1.5);
}
TEST(ExpandMath, Log) {
  check<math::LogOp>(with(spread(1e-44, 3e38, false), {1, 0, -0.0f, -1, kInf, -kInf, kNaN}), std::log, 1.5);
  check<math::LogOp>(linear(0.5, 2), std::log, 1.5);
}
TEST(ExpandMath, Log1p) {
  check<math::Log1pOp>(with(spread(1e-30, 0.999, true), {0, -1, -2, 1, 100, 1e30f, kInf, kNaN}), std::log1p,
                       2.5);
  check<math::Log1pOp>(spread(1e-30, 1e30, false), std::log1p, 2.5);
}
TEST(ExpandMath, Tanh) {
  check<math::TanhOp>(with(spread(1e-30, 100, true), {0, kInf, -kInf, kNaN}), std::tanh, 2.5);
}
TEST(ExpandMath, Erf) {
  check<math::ErfOp>(with(spread(1e-30, 100, true), {0, kInf, -kInf, kNaN}), std::erf, 2.5);
}
TEST(ExpandMath, SinAndCos) {
  // Near their zeros the error is a part of the rounding of the angle: absolute.
  for (double limit : {10.0, 1000.0, 131072.0}) {
    check<math::SinOp>(linear(-limit, limit), std::sin, 2, 1e-7);
    check<math::CosOp>(linear(-limit, limit), std::cos, 2, 1e-7);
  }
  check<math::SinOp>(spread(1e-30, 1, true), std::sin, 2);
}
TEST(ExpandMath, Rsqrt) {
  check<math::RsqrtOp>(
      with(spread(1e-37, 3e38, false), {1, 0, kInf}), [](double x) { return 1 / std::sqrt(x); }, 1.5);
}

} // namespace
