//===- LoweringTest.cpp - functions of kernels, compiled, against the interpreter //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoweringTest.h"

#include "mlir/IR/Verifier.h"

#include <cmath>

using namespace mlir;

namespace contraflow::test {

static std::unique_ptr<MLIRContext> makeCaseContext() {
  DialectRegistry registry;
  cpu::registerCpuPipelineDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

FunctionCase::FunctionCase() : context(makeCaseContext()), builder(context.get()) {
  module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToStart(module->getBody());
  function = func::FuncOp::create(builder, builder.getUnknownLoc(), "f", builder.getFunctionType({}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
}

nn::TensorType FunctionCase::type(ArrayRef<int64_t> shape, bool integers) {
  return nn::TensorType::get(context.get(), shape,
                             integers ? Type(builder.getI32Type()) : builder.getF32Type());
}

Value FunctionCase::argument(ArrayRef<int64_t> shape, std::vector<double> values, bool integers) {
  arrays.emplace_back(shape, std::move(values));
  return function.getBody().front().addArgument(type(shape, integers), builder.getUnknownLoc());
}

Value FunctionCase::argument(ArrayRef<int64_t> shape) {
  Array array(shape);
  // All bits of a float: squares of short numbers round in one direction.
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (double &x : array.data)
    x = distribution(random);
  return argument(shape, std::move(array.data));
}

Value FunctionCase::indices(ArrayRef<int64_t> shape, int64_t low, int64_t high) {
  Array array(shape);
  std::uniform_int_distribution<int64_t> distribution(low, high - 1);
  for (double &x : array.data)
    x = distribution(random);
  return argument(shape, std::move(array.data), /*integers=*/true);
}

static void expectClose(const Array &actual, const Array &expected, bool integers, double tolerance) {
  double scale = 0;
  for (double x : expected.data)
    if (std::isfinite(x))
      scale = std::max(scale, std::abs(x));
  double bound = integers ? 0 : tolerance * scale;
  for (int64_t i = 0; i < expected.size(); ++i) {
    // What nobody writes is not compared.
    if (std::isnan(expected[i]))
      continue;
    if (!(std::abs(actual[i] - expected[i]) <= bound)) {
      ADD_FAILURE() << "element " << i << " of " << expected.size() << " is " << actual[i] << ", wanted "
                    << expected[i];
      return;
    }
  }
}

void FunctionCase::check(ValueRange results, double tolerance) {
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setFunctionType(
      builder.getFunctionType(function.getBody().getArgumentTypes(), ValueRange(results).getTypes()));
  ASSERT_TRUE(succeeded(verify(*module)));
  FailureOr<std::vector<Array>> expected = interpretFunction(function, arrays);
  ASSERT_TRUE(succeeded(expected));
  for (StringRef isa : {"native", "x86-64-v3", "x86-64-v2"}) {
    SCOPED_TRACE(isa.str());
    std::unique_ptr<JitModule> jit = JitModule::compile(*module, machineFor(isa));
    ASSERT_TRUE(jit);
    FailureOr<std::vector<Array>> actual = runFunction(*jit, function, arrays);
    ASSERT_TRUE(succeeded(actual));
    for (auto [i, result] : llvm::enumerate(results)) {
      SCOPED_TRACE("result " + std::to_string(i));
      bool integers = llvm::cast<nn::TensorType>(result.getType()).getElementType().isInteger();
      expectClose((*actual)[i], (*expected)[i], integers, tolerance);
    }
    for (JitThreads threads : {JitThreads{1, true}, JitThreads{2, false}}) {
      FailureOr<std::vector<Array>> again = runFunction(*jit, function, arrays, threads);
      ASSERT_TRUE(succeeded(again));
      for (size_t i = 0; i < again->size(); ++i)
        for (int64_t k = 0; k < (*again)[i].size(); ++k)
          if ((*again)[i][k] != (*actual)[i][k] &&
              !(std::isnan((*again)[i][k]) && std::isnan((*actual)[i][k]))) {
            ADD_FAILURE() << "element " << k << " depends on the number of threads";
            return;
          }
    }
  }
}

} // namespace contraflow::test
