//===- Passes.h - fusion: operations become kernels -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_FUSION_PASSES_H
#define CONTRAFLOW_PASSES_FUSION_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace contraflow::fusion {

#define GEN_PASS_DECL
#include "passes/fusion/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/fusion/Passes.h.inc"

/// The phase: every operation as kernels, fewer kernels, the check.
void buildFusionPipeline(mlir::OpPassManager &pm);

} // namespace contraflow::fusion

#endif
