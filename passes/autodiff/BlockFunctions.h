//===- BlockFunctions.h - one block, cut into the functions of a step -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block is first unrolled into the whole of its step: one straight line of operations, forward, then
// gradients, with an argument for everything that comes from outside. Every function is then a slice of this
// line: choose results, walk back, and what the walk meets but may not enter becomes an argument. So what is
// saved is found, not decided: it is what the slice of a backward meets in the forward part.
//
//     line:            x, w, d_y, acc | y = linear x, w | dx = ..., dw = ..., acc' = accumulate acc, dw
//     forward          results y, saved
//     backward_input   results dx, gradients that can't be deferred      may enter the gradient part
//     backward_weight  results deferrable gradients                      may enter what backward_input left
//     backward         both at once: same operations, same bits
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_AUTODIFF_BLOCKFUNCTIONS_H
#define CONTRAFLOW_PASSES_AUTODIFF_BLOCKFUNCTIONS_H

#include "passes/autodiff/Gradient.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>

namespace contraflow::autodiff {

/// What the graph knows about a kind of block.
struct BlockUse {
  /// Per output: whether any use in the graph sends a gradient. Where none does, the functions have no
  /// argument for it; where some do, those that don't pass zeros.
  llvm::SmallVector<bool> outputGradients;
  /// Losses enter the gradient with weight / micro-batches.
  int64_t microBatches = 1;
};

/// Which outputs of each block called by `graph` get a gradient from any of the calls.
llvm::MapVector<nn::BlockOp, BlockUse> computeBlockUses(nn::GraphOp graph, int64_t microBatches);

/// Sets the role of an argument or a result.
void setArgumentRole(mlir::func::FuncOp function, unsigned index, nn::RoleAttr role);
void setResultRole(mlir::func::FuncOp function, unsigned index, nn::RoleAttr role);
/// Null where there is none.
nn::RoleAttr getArgumentRole(mlir::func::FuncOp function, unsigned index);
nn::RoleAttr getResultRole(mlir::func::FuncOp function, unsigned index);

/// A value and what it is to the outside.
struct Slot {
  mlir::Value value;
  nn::RoleKind kind;
  std::string name;
  /// The argument whose memory the value takes; null: none.
  mlir::Value tied;
};

class BlockFunctions {
public:
  /// Unrolls a bound block. Without `use` it is not for training: there is no gradient part, and nothing is
  /// random.
  static mlir::FailureOr<std::unique_ptr<BlockFunctions>> build(nn::BlockOp block, const BlockUse *use);

  /// Each builds `<block>.<what>` where `builder` stands; the backward functions are null when they would
  /// return nothing.
  mlir::func::FuncOp buildForward(mlir::OpBuilder &builder);
  mlir::func::FuncOp buildEvaluate(mlir::OpBuilder &builder, bool keepLosses);
  mlir::func::FuncOp buildBackwardInput(mlir::OpBuilder &builder);
  mlir::func::FuncOp buildBackwardWeight(mlir::OpBuilder &builder);
  mlir::func::FuncOp buildBackward(mlir::OpBuilder &builder);

  /// Trainable parameters that no loss and no output with a gradient depends on.
  llvm::ArrayRef<std::string> getParametersWithoutGradient() const { return withoutGradient; }

private:
  explicit BlockFunctions(nn::BlockOp block);
  mlir::Value addArgument(mlir::Type type, nn::RoleKind kind, llvm::StringRef name);
  void unrollForward(bool isTraining);
  void unrollOperation(mlir::OpBuilder &builder, mlir::Operation &op, mlir::IRMapping &mapping,
                       bool isTraining);
  mlir::LogicalResult unrollBackward(const BlockUse &use);
  void nameKeptValues();
  mlir::func::FuncOp emit(mlir::OpBuilder &builder, llvm::StringRef what, llvm::ArrayRef<Slot> results,
                          llvm::ArrayRef<nn::RoleKind> always,
                          llvm::function_ref<bool(mlir::Operation *)> belongs);

  nn::BlockOp block;
  /// Owns the straight line; in no module, without type or terminator.
  mlir::OwningOpRef<mlir::func::FuncOp> holder;
  mlir::Block &line;
  /// Role of every value of the line that may be passed between functions.
  llvm::DenseMap<mlir::Value, Slot> slots;
  /// Position in the line, of arguments and results of operations.
  llvm::DenseMap<mlir::Value, unsigned> position;
  llvm::DenseSet<mlir::Operation *> forwardOps;
  llvm::DenseSet<mlir::Operation *> inputOps;
  /// The key of all random numbers of the block; null before it is needed. Streams are counted.
  mlir::Value randomKey;
  int64_t numStreams = 0;
  llvm::SmallVector<Slot> outputs, losses, loads, metrics, saved;
  llvm::SmallVector<Slot> inputGradients, immediateGradients, deferredGradients, savedInputs;
  llvm::SmallVector<std::string> withoutGradient;
  /// Losses in the line with their weights.
  llvm::SmallVector<std::pair<mlir::Value, double>> lossValues;
};

} // namespace contraflow::autodiff

#endif
