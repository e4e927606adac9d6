//===- RegisterAll.h - the only list of passes ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_REGISTERALL_H
#define CONTRAFLOW_PASSES_REGISTERALL_H

namespace contraflow {

/// The passes of every phase, and the phases as pipelines (passes/Pipelines.h).
void registerAllPasses();

} // namespace contraflow

#endif
