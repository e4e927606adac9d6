//===- KernelJit.h - runs one nn.kernel as lowering/cpu compiles it -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_SUPPORT_KERNELJIT_H
#define CONTRAFLOW_TEST_SUPPORT_KERNELJIT_H

#include "dialects/nn/NN.h"
#include "passes/lowering/cpu/Emitter.h"

#include <memory>

namespace contraflow::test {

/// A context with every dialect that kernels and their lowering use.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// The kernel in the text of one `nn.kernel` whose operands are %0, %1, ...: `module` keeps it alive.
struct ParsedKernel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  nn::KernelOp op;
};
/// `attributes` is what stands between `nn.kernel "label"` and `ins`, `rest` what follows the inputs' types.
ParsedKernel parseKernel(mlir::MLIRContext &context, llvm::StringRef anchorAndDomain,
                         llvm::ArrayRef<std::string> inputTypes, llvm::StringRef rest);

/// Machine code of one kernel; entry(bases) takes one pointer per input, then one per result (of a tied
/// result: that of its input).
class JitKernel {
public:
  static std::unique_ptr<JitKernel> compile(nn::KernelOp kernel, const cpu::CpuTarget &target);
  ~JitKernel();

  /// Runs the kernel with `threads` threads; scratch is filled with NaN first where `poison`.
  void run(llvm::ArrayRef<void *> bases, int threads = 1, bool poison = false);

  int64_t scratchBytes = 0;
  double compileSeconds = 0.0;

private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation;
};

/// The target that this machine's features allow.
cpu::CpuTarget hostTarget();

} // namespace contraflow::test

#endif
