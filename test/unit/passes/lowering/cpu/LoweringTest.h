//===- LoweringTest.h - functions of kernels, compiled, against the interpreter //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_LOWERINGTEST_H
#define CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_LOWERINGTEST_H

#include "dialects/nn/KernelBuilder.h"
#include "test/support/JitModule.h"

#include <gtest/gtest.h>
#include <random>

namespace contraflow::test {

/// One function of kernels: arguments are added first, then kernels are built.
class FunctionCase {
public:
  FunctionCase();

  /// Adds an argument with random numbers in [-1, 1), or the given ones.
  mlir::Value argument(llvm::ArrayRef<int64_t> shape);
  mlir::Value argument(llvm::ArrayRef<int64_t> shape, std::vector<double> values, bool integers = false);
  /// i32 numbers in [low, high).
  mlir::Value indices(llvm::ArrayRef<int64_t> shape, int64_t low, int64_t high);

  nn::KernelBuilder kernel(llvm::ArrayRef<int64_t> domain) {
    return nn::KernelBuilder(builder, builder.getUnknownLoc(), "test", domain);
  }
  nn::KernelBuilder kernel(mlir::Attribute anchor, llvm::ArrayRef<int64_t> domain) {
    return nn::KernelBuilder(builder, builder.getUnknownLoc(), "test", anchor, domain);
  }
  nn::TensorType type(llvm::ArrayRef<int64_t> shape, bool integers = false);

  /// Ends the function with these results and compares what is compiled with what is interpreted, for
  /// several instruction sets, one and two threads, tasks in both orders. Elements may differ by `tolerance`
  /// times the largest magnitude of the result; i32 not at all.
  void check(mlir::ValueRange results, double tolerance = 2e-6);

  std::mt19937 random{7};
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  mlir::OpBuilder builder;
  std::vector<Array> arrays;
};

} // namespace contraflow::test

#endif
