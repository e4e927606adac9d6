//===- ExpertSplit.h - the experts of one block, spread over ranks --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_PARALLEL_EXPERTSPLIT_H
#define CONTRAFLOW_PASSES_PARALLEL_EXPERTSPLIT_H

#include "dialects/comm/Comm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace contraflow::parallel {

/// How experts are spread, and how much room there is for what comes.
struct SplitOptions {
  int64_t ranks = 1;
  double receiveBound = 2.0;
};

struct SplitCounts {
  int64_t dispatched = 0, combined = 0;
};

/// Room for the rows of `tokens` tokens of each rank with `topK` choices: `receiveBound` times what an even
/// load brings, never more than can come, never less than one token of each rank needs.
abi::RoutedLayout computeRoom(int64_t tokens, int64_t topK, int64_t experts, const SplitOptions &options);

/// Rewrites the functions of one kind of block as passes/parallel/Passes.td says. `forward` may be followed
/// by functions that take what it saves; `evaluate` may be null. A diagnostic where an operation stands
/// between ranks that cannot.
mlir::FailureOr<SplitCounts> splitExperts(mlir::func::FuncOp forward, mlir::func::FuncOp evaluate,
                                          llvm::ArrayRef<mlir::func::FuncOp> backward,
                                          const SplitOptions &options);

} // namespace contraflow::parallel

#endif
