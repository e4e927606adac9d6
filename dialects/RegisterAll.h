//===- RegisterAll.h - the only list of dialects --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_REGISTERALL_H
#define CONTRAFLOW_DIALECTS_REGISTERALL_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace contraflow {

/// Our dialects and those of MLIR that programs pass through.
void registerAllDialects(mlir::DialectRegistry &registry);

} // namespace contraflow

#endif
