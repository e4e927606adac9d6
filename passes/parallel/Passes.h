//===- Passes.h - the passes of the parallel phase ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_PARALLEL_PASSES_H
#define CONTRAFLOW_PASSES_PARALLEL_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace contraflow::parallel {

#define GEN_PASS_DECL
#include "passes/parallel/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/parallel/Passes.h.inc"

} // namespace contraflow::parallel

#endif
