//===- KernelTest.h - compiled kernels against the interpreter ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_KERNELTEST_H
#define CONTRAFLOW_TEST_UNIT_PASSES_LOWERING_CPU_KERNELTEST_H

#include "test/support/JitModule.h"
#include "test/support/KernelText.h"

#include "gtest/gtest.h"

#include <random>

namespace contraflow::test {

inline mlir::MLIRContext &context() {
  static std::unique_ptr<mlir::MLIRContext> instance = makeKernelContext();
  return *instance;
}

/// Values in [-1, 1) that f32 holds exactly.
Array randomArray(llvm::ArrayRef<int64_t> shape, std::mt19937 &random);

/// Runs a kernel compiled for `machine` on one and on two threads and compares it with the interpreter. Both
/// runs must give the same bits. Operands end at pages that must not be touched, and scratch begins as NaN.
/// An element may differ by `tolerance` times the value that the kernel gives for the magnitudes of its
/// inputs where `relativeToMagnitudes`, else times the largest magnitude of its result.
void expectMatches(const ParsedKernel &kernel, llvm::ArrayRef<Array> inputs, const cpu::CpuMachine &machine,
                   double tolerance, bool relativeToMagnitudes);

/// Machines with registers of different widths that this one can play, widest first.
const std::vector<cpu::CpuMachine> &machines();

} // namespace contraflow::test

#endif
