//===- KernelInterpreter.h - executes nn.kernel as its description says it ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle that kernel builders, fusion and lowerings are tested against. It follows the description
// of `nn.kernel` in dialects/nn/NNKernel.td word by word, in double precision, with no regard to speed, and
// shares no code with any lowering. What it finds wrong with a kernel (a coordinate out of bounds, a
// per-row result that differs between columns, an element of a fresh result that is read before
// anything wrote it shows as NaN) is an error or a NaN, never a guess.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_TEST_SUPPORT_KERNELINTERPRETER_H
#define CONTRAFLOW_TEST_SUPPORT_KERNELINTERPRETER_H

#include "dialects/nn/NN.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <vector>

namespace contraflow::test {

/// A dense row-major tensor. Both f32 and i32 elements are held as doubles (exact for every i32).
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> data;

  Array() = default;
  explicit Array(llvm::ArrayRef<int64_t> shape, double fill = 0.0);
  explicit Array(std::initializer_list<int64_t> shape, double fill = 0.0)
      : Array(llvm::ArrayRef<int64_t>(shape), fill) {}
  Array(llvm::ArrayRef<int64_t> shape, std::vector<double> data);

  int64_t size() const { return data.size(); }
  double &operator[](int64_t i) { return data[i]; }
  double operator[](int64_t i) const { return data[i]; }
  /// Element of a matrix.
  double &operator()(int64_t r, int64_t c) { return data[r * shape.back() + c]; }
  double operator()(int64_t r, int64_t c) const { return data[r * shape.back() + c]; }
};

/// Executes one kernel. Results of one kernel never share memory; a tied result starts as a copy of its
/// input.
mlir::LogicalResult interpretKernel(nn::KernelOp kernel, llvm::ArrayRef<const Array *> inputs,
                                    std::vector<Array> &results);

/// What a constant table holds, or an attribute of elements.
Array toArray(mlir::ElementsAttr elements);

/// Executes the body of a function that holds only kernels, constant tables and a return; one array per
/// argument in, one per result out. Failures are reported at the operation.
mlir::FailureOr<std::vector<Array>> interpretFunction(mlir::func::FuncOp function,
                                                      llvm::ArrayRef<Array> arguments);

} // namespace contraflow::test

#endif
