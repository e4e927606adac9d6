//===- Instantiate.h - from a model with names to kinds of blocks ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_INSTANTIATE_H
#define CONTRAFLOW_COMPILER_FRONTEND_INSTANTIATE_H

#include "dialects/nn/NN.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace contraflow::frontend {

/// The model with every name replaced by its value:
///
/// - `nn.graph @train`, and `nn.graph @generate` for one sequence and what the output "logits" needs, without
/// losses. Both
///   hold `nn.param`, `nn.shift`, `nn.call` and `nn.output` only: choices are made and repetitions written
///   out.
/// - a `nn.block` for every kind: a block with its dimensions and its blocks, all of whose calls are inlined.
/// Calls that
///   differ in neither share a kind. Arguments that a kind does not use are dropped, and those that a
///   call passes the same value are one. Kinds of `@generate` have the parameters of those of `@train`, in
///   the same order.
/// - names of parameters are those of the checkpoint once the `prefix` of the call is before them.
///
/// `environment` has values for everything that the model declares.
mlir::OwningOpRef<mlir::ModuleOp> instantiate(nn::ModelOp model, const nn::ExprEnvironment &environment);

} // namespace contraflow::frontend

#endif
