//===- BlockHarness.h - runs the functions of a block in double precision -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_PASSES_AUTODIFF_BLOCKHARNESS_H
#define CONTRAFLOW_TEST_UNIT_PASSES_AUTODIFF_BLOCKHARNESS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "passes/autodiff/BlockFunctions.h"
#include "test/support/KernelInterpreter.h"
#include "gtest/gtest.h"

#include <map>
#include <random>

namespace contraflow::autodiff {

/// Arguments and results of functions by `kind:name`, for example `input:x`.
using Arrays = std::map<std::string, test::Array>;

/// One block, given as text, as functions of kernels.
class BlockHarness {
public:
  /// `text` is a module with one block. Every output gets a gradient.
  explicit BlockHarness(const std::string &text, int64_t microBatches = 1) {
    context.loadDialect<nn::NNDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << "does not parse:\n" << text;
      return;
    }
    block = *module->getOps<nn::BlockOp>().begin();
    BlockUse use;
    use.outputGradients.assign(block.getResultTypes().size(), true);
    use.microBatches = microBatches;
    auto functions = BlockFunctions::build(block, &use);
    if (failed(functions)) {
      ADD_FAILURE() << "no gradient:\n" << text;
      return;
    }
    mlir::OpBuilder builder = mlir::OpBuilder::atBlockEnd(module->getBody());
    forward = (*functions)->buildForward(builder);
    evaluate = (*functions)->buildEvaluate(builder, /*keepLosses=*/true);
    backwardInput = (*functions)->buildBackwardInput(builder);
    backwardWeight = (*functions)->buildBackwardWeight(builder);
    backward = (*functions)->buildBackward(builder);
    EXPECT_TRUE(succeeded(mlir::verify(*module)));
    for (auto function : module->getOps<mlir::func::FuncOp>())
      toKernels(function);
  }

  explicit operator bool() const { return backward != nullptr; }

  /// Random values for inputs and parameters, zeros for accumulators. Ids are below `idLimit`, some of them
  /// -1; an argument called `starts` holds positions within sequences of `seq`.
  Arrays makeArguments(int64_t idLimit, int64_t seq, unsigned seed) {
    std::mt19937 random(seed);
    Arrays values;
    auto add = [&](const std::string &key, mlir::Type type, bool isLogits) {
      auto tensor = llvm::cast<nn::TensorType>(type);
      test::Array array(tensor.getStaticShape());
      std::normal_distribution<double> normal(0, 0.7);
      for (int64_t i = 0; i < array.size(); ++i) {
        if (tensor.getElementType().isF32())
          array[i] = normal(random);
        else if (key == "input:starts")
          array[i] = static_cast<double>(random() % (i % seq + 1));
        else
          array[i] = static_cast<double>(random() % (idLimit + 1)) - 1;
      }
      if (isLogits)
        separate(array, random);
      values[key] = array;
    };
    for (auto argument : block.getBody().getArguments()) {
      std::string name = block.getArgName(argument.getArgNumber()).str();
      bool isParam = block.isParamArg(argument.getArgNumber());
      add((isParam ? "param_arg:" : "input:") + name, argument.getType(), name == "logits");
    }
    for (auto param : block.getBody().getOps<nn::ParamOp>())
      add("param:" + param.getName().str(), param.getType(), false);
    return values;
  }

  /// Calls a function with what `values` has under the name of each argument, else with zeros; adds its
  /// results to `values`.
  bool run(mlir::func::FuncOp function, Arrays &values) {
    if (!function)
      return true;
    std::vector<test::Array> arguments;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto found = values.find(key(getArgumentRole(function, i)));
      auto type = llvm::cast<nn::TensorType>(function.getArgument(i).getType());
      arguments.push_back(found != values.end() ? found->second : test::Array(type.getStaticShape()));
    }
    auto results = test::interpretFunction(function, arguments);
    if (failed(results)) {
      ADD_FAILURE() << "cannot be interpreted: " << function.getSymName().str();
      return false;
    }
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      values[key(getResultRole(function, i))] = (*results)[i];
    return true;
  }

  /// A random gradient for every output.
  void addOutputGradients(Arrays &values, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0, 1);
    for (auto [i, type] : llvm::enumerate(block.getResultTypes().getAsValueRange<mlir::TypeAttr>())) {
      test::Array array(llvm::cast<nn::TensorType>(type).getStaticShape());
      for (double &x : array.data)
        x = normal(random);
      values["output_grad:" + std::to_string(i)] = array;
    }
  }

  static std::string key(nn::RoleAttr role) {
    return (stringifyRoleKind(role.getKind()) + ":" + role.getName()).str();
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  nn::BlockOp block;
  mlir::func::FuncOp forward, evaluate, backwardInput, backwardWeight, backward;

private:
  /// Rows whose values differ by at least 0.08, so that no choice changes under a finite difference.
  static void separate(test::Array &array, std::mt19937 &random) {
    int64_t columns = array.shape.back();
    std::vector<double> row(columns);
    for (int64_t r = 0; r < array.size() / columns; ++r) {
      for (int64_t c = 0; c < columns; ++c)
        row[c] = 0.1 * (c - columns / 2) + 0.02 * static_cast<double>(random() % 1000) / 1000;
      std::shuffle(row.begin(), row.end(), random);
      std::copy(row.begin(), row.end(), array.data.begin() + r * columns);
    }
  }

  static void toKernels(mlir::func::FuncOp function) {
    for (mlir::Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      auto kernelizable = llvm::dyn_cast<nn::KernelizableOp>(op);
      if (!kernelizable)
        continue;
      mlir::OpBuilder builder(&op);
      llvm::SmallVector<mlir::Value> replacements;
      if (failed(kernelizable.buildKernels(builder, replacements))) {
        ADD_FAILURE() << "no kernels for " << op.getName().getStringRef().str();
        return;
      }
      op.replaceAllUsesWith(replacements);
      op.erase();
    }
  }
};

} // namespace contraflow::autodiff

#endif
