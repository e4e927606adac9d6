//===- KernelText.h - one nn.kernel from text -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_SUPPORT_KERNELTEXT_H
#define CONTRAFLOW_TEST_SUPPORT_KERNELTEXT_H

#include "dialects/nn/NN.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace contraflow::test {

/// A context with every dialect that kernels and their lowering use.
std::unique_ptr<mlir::MLIRContext> makeKernelContext();

/// `<2 x 3>` for {2, 3}; `suffix` may be " : i32".
std::string tensorText(llvm::ArrayRef<int64_t> shape, llvm::StringRef suffix = "");

/// A kernel in a module whose only function, @kernel, holds nothing else.
struct ParsedKernel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  nn::KernelOp op;
};
/// The kernel `nn.kernel "test" <head> ins(%0, %1, ... : <input types>) <tail>`; null with a message where
/// the text is wrong.
ParsedKernel parseKernel(mlir::MLIRContext &context, llvm::StringRef head,
                         llvm::ArrayRef<std::string> inputTypes, llvm::StringRef tail);

} // namespace contraflow::test

#endif
