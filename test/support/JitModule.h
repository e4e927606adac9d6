//===- JitModule.h - runs functions of kernels as lowering/cpu compiles them //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The object that a user would get, loaded into the test: `compileToObject`, then LLJIT for nothing but
// loading. Buffers have guard bytes on both sides, so that a write past a tensor is found, and memory that
// nobody has written holds NaN.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_TEST_SUPPORT_JITMODULE_H
#define CONTRAFLOW_TEST_SUPPORT_JITMODULE_H

#include "passes/lowering/cpu/CpuPipeline.h"
#include "test/support/KernelInterpreter.h"

#include <memory>

namespace contraflow::test {

/// How the runtime's part is played.
struct JitThreads {
  int count = 1;
  /// Chunks in reverse order: nothing may depend on the order of tasks.
  bool backwards = false;
};

/// Machine code of a module.
class JitModule {
public:
  /// Compiles the functions of `module`, which is left as it is; locations that are missing are made (see
  /// `assignLocations`). Null after printing the error.
  /// `parallelFor` is what generated code calls as cf_parallel_for; null for the one that `call` sets up.
  static std::unique_ptr<JitModule> compile(mlir::ModuleOp module, const cpu::CpuMachine &machine,
                                            void *parallelFor = nullptr);
  ~JitModule();

  /// Calls `name(bases)`.
  void call(llvm::StringRef name, llvm::ArrayRef<void *> bases, JitThreads threads = {});
  /// The function `name`, for who brings scratch and threads along.
  void (*lookup(llvm::StringRef name))(void *const *bases);

  cpu::CompiledObject object;
  double compileSeconds = 0;

private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation;
};

/// The machine that we are on; or one of its subsets, such as "x86-64-v3".
cpu::CpuMachine machineFor(llvm::StringRef isa = "native");

/// The trivial allocation: every argument and every fresh result of a kernel has a base of its own, in order.
/// Returns the number of bases. For tests that have no memory phase.
int64_t assignLocations(mlir::func::FuncOp function);

/// Runs a function of kernels on arrays, one per argument in, one per result out; reports a write outside of
/// the tensors as a failure. `module` holds exactly this function, with trivial locations.
mlir::FailureOr<std::vector<Array>> runFunction(JitModule &jit, mlir::func::FuncOp function,
                                                llvm::ArrayRef<Array> arguments, JitThreads threads = {});

} // namespace contraflow::test

#endif
