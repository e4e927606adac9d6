//===- OperationsTest.cpp - every operation, compiled, against its formula ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cases of test/unit/dialects/nn/*KernelsTest.cpp, with machine code in the place of the interpreter:
// what kernels say is proven there, here that what they say is what runs, in single precision.
//===----------------------------------------------------------------------===//
#include "test/support/JitModule.h"
#include "test/unit/dialects/nn/KernelsFixture.h"

#include <cmath>

namespace contraflow::test {

/// Sums of up to 127 x 17 products of normal numbers, in f32, relative to the largest element.
const double kTolerance = 1e-5;

/// Runs on one thread and on two; both must give the same bits.
mlir::FailureOr<std::vector<Array>> execute(mlir::func::FuncOp function, llvm::ArrayRef<Array> arguments) {
  auto jit = JitModule::compile(function->getParentOfType<mlir::ModuleOp>(), machineFor());
  if (!jit)
    return mlir::failure();
  mlir::FailureOr<std::vector<Array>> once = runFunction(*jit, function, arguments);
  mlir::FailureOr<std::vector<Array>> again = runFunction(*jit, function, arguments, {2, /*backwards=*/true});
  if (mlir::failed(once) || mlir::failed(again))
    return mlir::failure();
  for (size_t i = 0; i < once->size(); ++i)
    for (int64_t k = 0; k < (*once)[i].size(); ++k)
      if ((*once)[i][k] != (*again)[i][k] && !std::isnan((*once)[i][k])) {
        ADD_FAILURE() << "element " << k << " of result " << i << " depends on the number of threads";
        return once;
      }
  return once;
}

} // namespace contraflow::test

#define CONTRAFLOW_COMPILED
#include "test/unit/dialects/nn/KernelsTest.cpp"
#include "test/unit/dialects/nn/LossKernelsTest.cpp"
