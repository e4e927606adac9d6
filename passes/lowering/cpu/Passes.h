//===- Passes.h - passes that turn kernels into code for the CPU ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_PASSES_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace contraflow::cpu {
#define GEN_PASS_DECL
#include "passes/lowering/cpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/lowering/cpu/Passes.h.inc"
} // namespace contraflow::cpu

#endif
