//===- Passes.h - passes that lowerings of all targets share --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_PASSES_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace contraflow::lowering {
#define GEN_PASS_DECL
#include "passes/lowering/common/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/lowering/common/Passes.h.inc"
} // namespace contraflow::lowering

#endif
