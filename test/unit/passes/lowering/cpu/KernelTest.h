//===- KernelTest.h - compiled kernels against the interpreter ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_KERNELTEST_H
#define CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_KERNELTEST_H

#include "test/support/KernelInterpreter.h"
#include "test/support/KernelJit.h"

#include "gtest/gtest.h"

#include <random>

namespace contraflow::test {

inline mlir::MLIRContext &context() {
  static std::unique_ptr<mlir::MLIRContext> instance = makeContext();
  return *instance;
}

/// `<2 x 3>` for {2, 3}.
std::string tensorText(llvm::ArrayRef<int64_t> shape, llvm::StringRef suffix = "");

/// Values in [-1, 1) that f32 holds exactly.
Array randomArray(llvm::ArrayRef<int64_t> shape, std::mt19937 &random);

/// Runs a kernel compiled for `target` on one and on two threads and compares it with the interpreter. Both runs must
/// give the same bits. Operands end at pages that must not be touched, and scratch begins as NaN.
/// An element may differ by `tolerance` times the value that the kernel gives for the magnitudes of its
/// inputs where `relativeToMagnitudes`, else times the largest magnitude of its result.
void expectMatches(const ParsedKernel &kernel, llvm::ArrayRef<Array> inputs, const cpu::CpuTarget &target,
                   double tolerance, bool relativeToMagnitudes);

/// Targets that this machine can run, widest first.
std::vector<cpu::CpuTarget> runnableTargets();

} // namespace contraflow::test

#endif
