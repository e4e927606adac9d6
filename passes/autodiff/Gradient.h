//===- Gradient.h - reverse sweep over a straight line of operations ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of a block has no control flow, so its gradient is one walk from the last operation to the
// first. An operation with a gradient on any result asks its rule (`DifferentiableOp`) for the gradients of
// its operands; a value with several uses gets their sum, added in the order of the walk (last use
// first), so that the bits never depend on anything but the text of the block.
//
// A leaf is where a gradient is wanted: an input (the sum is the answer) or a parameter (each contribution is
// added to the parameter's accumulator as soon as it exists, and no sum is ever materialised).
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_AUTODIFF_GRADIENT_H
#define CONTRAFLOW_PASSES_AUTODIFF_GRADIENT_H

#include "dialects/nn/NN.h"

namespace contraflow::autodiff {

/// Whether gradients flow through `value`: ids and routing tables are i32.
inline bool isFloat(mlir::Value value) {
  return llvm::cast<nn::TensorType>(value.getType()).getElementType().isF32();
}

/// A value whose gradient is known before the sweep: a loss or an output.
struct Seed {
  mlir::Value value;
  mlir::Value gradient;
};

/// A value whose gradient is wanted.
struct Leaf {
  mlir::Value value;
  /// What contributions are added to; null: the gradient itself is wanted.
  mlir::Value accumulator;
};

struct LeafGradient {
  /// The gradient, or the accumulator after the last contribution; null where no gradient arrives.
  mlir::Value value;
  /// Every contribution is a weight gradient that may run apart from the input gradients.
  bool deferrable = false;
};

/// Appends to `body` the operations that compute the gradient of every leaf, and returns one entry per leaf.
/// `body` has no terminator yet. Fails, with a diagnostic, at an operation that has no gradient rule.
mlir::FailureOr<llvm::SmallVector<LeafGradient>> buildGradients(mlir::Block &body, llvm::ArrayRef<Seed> seeds,
                                                                llvm::ArrayRef<Leaf> leaves);

/// The operations of `roots`' backward slice that `belongs` accepts, and the values where the slice stops.
/// Operations without operands (constants) always belong: they cost less than keeping their value.
struct Slice {
  llvm::DenseSet<mlir::Operation *> ops;
  llvm::SetVector<mlir::Value> captured;
};
Slice computeSlice(mlir::ValueRange roots, llvm::function_ref<bool(mlir::Operation *)> belongs);

} // namespace contraflow::autodiff

#endif
