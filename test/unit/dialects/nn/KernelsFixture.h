//===- KernelsFixture.h - operations to kernels, and what they compute ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_DIALECTS_NN_KERNELSFIXTURE_H
#define CONTRAFLOW_TEST_UNIT_DIALECTS_NN_KERNELSFIXTURE_H

#include "dialects/nn/NN.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "test/support/ReferenceOps.h"
#include "gtest/gtest.h"
#include <random>

namespace contraflow::test {

/// How the kernels of a function run, and the error relative to the largest element that this allows: each
/// test program defines both.
mlir::FailureOr<std::vector<Array>> execute(mlir::func::FuncOp function, llvm::ArrayRef<Array> arguments);
extern const double kTolerance;

class Kernels : public testing::Test {
protected:
  Kernels() {
    context.loadDialect<nn::NNDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect>();
  }

  Array normal(std::vector<int64_t> shape, double scale = 1) {
    Array array(shape);
    std::normal_distribution<double> distribution(0, scale);
    for (double &x : array.data)
      x = distribution(random);
    return array;
  }
  /// Ids in [low, high].
  Array ids(int64_t count, int64_t low, int64_t high) {
    Array array({count});
    std::uniform_int_distribution<int64_t> distribution(low, high);
    for (double &x : array.data)
      x = distribution(random);
    return array;
  }

  static std::string type(const Array &array, bool isId = false) {
    std::string text = "<";
    for (size_t i = 0; i < array.shape.size(); ++i)
      text += (i ? " x " : "") + std::to_string(array.shape[i]);
    return text + (isId ? " : i32>" : ">");
  }

  /// Text of the types of arguments: those at `idArguments` hold ids.
  struct Call {
    std::vector<Array> arguments;
    std::vector<unsigned> idArguments;
    std::string t(unsigned i) const { return type(arguments[i], llvm::is_contained(idArguments, i)); }
  };

  /// Runs the lines of a function body that names its arguments %a0, %a1, ... and results as `results` says.
  std::vector<Array> run(const Call &call, const std::string &body, const std::vector<std::string> &results,
                         const std::vector<std::string> &resultTypes) {
    std::string text = "func.func @f(";
    for (unsigned i = 0; i < call.arguments.size(); ++i)
      text += (i ? ", %a" : "%a") + std::to_string(i) + ": !nn.tensor" + call.t(i);
    std::string types;
    for (size_t i = 0; i < resultTypes.size(); ++i)
      types += (i ? ", !nn.tensor" : "!nn.tensor") + resultTypes[i];
    text += ") -> (" + types + ") {\n" + body + "\nreturn ";
    for (size_t i = 0; i < results.size(); ++i)
      text += (i ? ", " : "") + results[i];
    text += " : " + types + "\n}\n";
    mlir::OwningOpRef<mlir::ModuleOp> module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << "does not parse:\n" << text;
      return {};
    }
    auto function = *module->getOps<mlir::func::FuncOp>().begin();
    for (mlir::Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      auto kernelizable = llvm::dyn_cast<nn::KernelizableOp>(op);
      if (!kernelizable)
        continue;
      mlir::OpBuilder builder(&op);
      llvm::SmallVector<mlir::Value> replacements;
      EXPECT_TRUE(mlir::succeeded(kernelizable.buildKernels(builder, replacements))) << text;
      op.replaceAllUsesWith(replacements);
      op.erase();
    }
    EXPECT_TRUE(mlir::succeeded(mlir::verify(*module))) << text;
    mlir::FailureOr<std::vector<Array>> arrays = execute(function, call.arguments);
    if (mlir::failed(arrays)) {
      ADD_FAILURE() << "does not run:\n" << text;
      return {};
    }
    return *arrays;
  }

  static void expectNear(const Array &found, const Array &wanted, const std::string &what) {
    ASSERT_EQ(found.shape, wanted.shape) << what;
    double max = 1e-12;
    for (double x : wanted.data)
      max = std::max(max, std::fabs(x));
    for (int64_t i = 0; i < wanted.size(); ++i)
      ASSERT_LE(std::fabs(found[i] - wanted[i]), kTolerance * max)
          << what << " at " << i << ": found " << found[i] << ", wanted " << wanted[i];
  }

  /// <gradient, v> is the derivative of <upstream, f> along v, for a few v.
  void expectGradient(const Array &gradient, const Array &x, const Array &upstream,
                      const std::function<Array(const Array &)> &f, const std::string &what) {
    ASSERT_EQ(gradient.shape, x.shape) << what;
    auto dot = [](const Array &a, const Array &b) {
      double sum = 0;
      for (int64_t i = 0; i < a.size(); ++i)
        sum += a[i] * b[i];
      return sum;
    };
    for (int round = 0; round < 3; ++round) {
      Array direction = normal(x.shape);
      double wanted =
          reference::derivative([&](const Array &at) { return dot(upstream, f(at)); }, x, direction);
      double size = std::sqrt(dot(gradient, gradient)) + 1e-3;
      ASSERT_NEAR(dot(gradient, direction), wanted, 5 * kTolerance * size) << what;
    }
  }

  mlir::MLIRContext context;
  std::mt19937 random{42};
};

inline std::string num(double x) {
  std::ostringstream stream;
  stream.precision(9);
  stream << std::fixed << x;
  return stream.str();
}

inline std::string str(int64_t x) { return std::to_string(x); }

} // namespace contraflow::test

#endif
