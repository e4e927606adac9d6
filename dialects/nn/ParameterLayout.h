//===- ParameterLayout.h - where parameters lie, from the graph alone -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All parameters lie in one region. Gradients and both moments have regions of the same layout, so one offset
// serves all four. First come the parameters that `nn.graph @train` declares, then those of every call in
// the order of the calls:
//
//   region   | graph: table, head | call 0 (dense): w0, w1, .. | call 1 (moe): .. | call 2 (moe): .. |
//                                                              ^ offset of the instance
//                                                                ^ offset in the kind, the same for calls 1
//                                                                and 2
//
// A function compiled once for a kind therefore reaches every parameter of any of its instances from one
// base. All offsets are multiples of kParameterAlignment.
//
// The blocks and the graph of a bound module must still be there: autodiff keeps them, the schedule phase
// erases them when it has written what it knows into `pipe.parameter` operations.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_PARAMETERLAYOUT_H
#define CONTRAFLOW_DIALECTS_NN_PARAMETERLAYOUT_H

#include "dialects/nn/NN.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace contraflow::nn {

/// Every parameter begins at a multiple: of a cache line, and of the widest vector register.
constexpr int64_t kParameterAlignment = 64;

/// A parameter of a kind of block, or of the graph.
struct ParameterSlot {
  ParamOp op;
  /// Bytes from where the parameters of an instance begin.
  int64_t offset = 0;

  llvm::StringRef getName() const { return ParamOp(op).getName(); }
  TensorType getType() const { return llvm::cast<TensorType>(ParamOp(op).getResult().getType()); }
  /// Whether the optimizer trains it.
  bool isTrainable() const { return !ParamOp(op).getBuffer(); }
};

/// The parameters of a kind, in the order of declaration.
struct KindLayout {
  llvm::SmallVector<ParameterSlot> slots;
  int64_t bytes = 0;

  /// Null where there is none.
  const ParameterSlot *find(llvm::StringRef name) const;
};

/// A call of `nn.graph @train`.
struct InstanceLayout {
  CallOp call;
  /// Bytes from the start of the region.
  int64_t offset = 0;
};

class ParameterLayout {
public:
  /// The layout of a module that holds bound blocks and a bound graph `@train`; a diagnostic where it does
  /// not.
  static mlir::FailureOr<ParameterLayout> compute(mlir::ModuleOp module);

  GraphOp getGraph() const { return graph; }
  /// The parameters that the graph declares; they begin at offset 0.
  const KindLayout &getGraphLayout() const { return graphLayout; }
  /// The parameters of a block that some graph calls.
  const KindLayout &getKind(BlockOp block) const { return kinds.find(block)->second; }
  bool hasKind(BlockOp block) const { return kinds.contains(block); }
  llvm::ArrayRef<InstanceLayout> getInstances() const { return instances; }
  /// Size of the region in bytes, padding included.
  int64_t getBytes() const { return bytes; }
  /// The region as one vector of floats, for functions that treat all parameters alike.
  int64_t getNumElements() const { return bytes / 4; }

private:
  GraphOp graph;
  KindLayout graphLayout;
  llvm::MapVector<mlir::Operation *, KindLayout> kinds;
  llvm::SmallVector<InstanceLayout> instances;
  int64_t bytes = 0;
};

/// `prefix.name`, or `name` where there is no prefix.
std::string joinName(std::optional<llvm::StringRef> prefix, llvm::StringRef name);

} // namespace contraflow::nn

#endif
