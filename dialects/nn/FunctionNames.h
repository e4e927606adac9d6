//===- FunctionNames.h - what the functions of a step are called ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `<kind>.<what>`: the kind of block that a function was made of, and its part in a step. Functions that
// belong to no block have the kinds `graph` and `step`. Autodiff makes the functions, the schedule calls them
// by name.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_FUNCTIONNAMES_H
#define CONTRAFLOW_DIALECTS_NN_FUNCTIONNAMES_H

#include "dialects/nn/NN.h"

namespace contraflow::nn {

constexpr llvm::StringLiteral kForward = "forward";
constexpr llvm::StringLiteral kEvaluate = "evaluate";
constexpr llvm::StringLiteral kBackward = "backward";
constexpr llvm::StringLiteral kBackwardInput = "backward_input";
constexpr llvm::StringLiteral kBackwardWeight = "backward_weight";
constexpr llvm::StringLiteral kOptimizer = "optimizer";
constexpr llvm::StringLiteral kUpdate = "update";

constexpr llvm::StringLiteral kGraphKind = "graph";
constexpr llvm::StringLiteral kStepKind = "step";
constexpr llvm::StringLiteral kStepBegin = "step.begin";
constexpr llvm::StringLiteral kStepClip = "step.clip";
constexpr llvm::StringLiteral kStepEma = "step.ema";
/// Followed by what is summed over ranks: an argument of `step.begin`.
constexpr llvm::StringLiteral kStepReduce = "step.reduce_";

/// `layer_moe.forward`.
std::string getFunctionName(llvm::StringRef kind, llvm::StringRef what);

/// `graph.shift.2048.by.1.seq.512.starts`: ids moved along their sequence, as `shift` moves them.
std::string getShiftName(ShiftOp shift);
/// `graph.add.2048x256`: adds a tensor to another.
std::string getAddName(TensorType type);
/// `graph.zero.2048x256`: fills a tensor with zeros.
std::string getZeroName(TensorType type);

} // namespace contraflow::nn

#endif
