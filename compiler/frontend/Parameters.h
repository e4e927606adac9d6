//===- Parameters.h - the parameters of a model, from its graph alone -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_PARAMETERS_H
#define CONTRAFLOW_COMPILER_FRONTEND_PARAMETERS_H

#include "dialects/nn/NN.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace contraflow::frontend {

/// A parameter of an instance of a block, or of the graph.
struct ParameterInfo {
  /// The published name; with `{e}` where checkpoints split it.
  std::string name;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  /// Elements that take part in computing one token: what a product with a matrix reads; a share of experts;
  /// none of an embedding, which is a look-up.
  int64_t activated = 0;
  /// Not trained by gradient.
  bool isBuffer = false;
  /// The logits do not depend on it (multi-token prediction).
  bool isAuxiliary = false;
  /// Kind of block; empty for the graph's own.
  std::string block;
  /// What the names of the instance begin with; empty for the graph's own.
  std::string prefix;
};

/// Sums over some of the parameters. Buffers are not in `total`.
struct ParameterCount {
  int64_t total = 0;
  int64_t activated = 0;
  int64_t buffers = 0;

  void add(const ParameterInfo &parameter);
};

/// One line of a summary by block.
struct BlockCount {
  std::string block;
  int64_t instances = 0;
  /// Of one instance.
  ParameterCount count;
};

/// What `contraflow inspect` says about size.
struct ParameterSummary {
  std::vector<ParameterInfo> parameters;
  /// What the logits depend on: the model that is deployed.
  ParameterCount model;
  /// What only training needs: blocks of multi-token prediction without what they share.
  ParameterCount auxiliary;
  /// Parameters of the graph, then blocks in the order of first use.
  std::vector<BlockCount> blocks;
};

/// Of a module that `buildModel` made (or a phase after it that keeps `nn.graph` and `nn.block`). A
/// diagnostic if there is no graph `@train`.
mlir::FailureOr<ParameterSummary> countParameters(mlir::ModuleOp module);

/// The summary as a table.
std::string formatSummary(const ParameterSummary &summary);

} // namespace contraflow::frontend

#endif
