//===- Anchors.h - one emitter per anchor of nn.kernel --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_ANCHORS_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_ANCHORS_H

#include "passes/lowering/cpu/Emitter.h"

namespace contraflow::cpu {

mlir::LogicalResult emitRows(KernelEmission &kernel);
mlir::LogicalResult emitColumnReduce(KernelEmission &kernel);
mlir::LogicalResult emitRoute(KernelEmission &kernel);
mlir::LogicalResult emitMatmul(KernelEmission &kernel);
mlir::LogicalResult emitGroupedMatmul(KernelEmission &kernel);
mlir::LogicalResult emitAttention(KernelEmission &kernel);
mlir::LogicalResult emitAttentionGrad(KernelEmission &kernel);

} // namespace contraflow::cpu

#endif
