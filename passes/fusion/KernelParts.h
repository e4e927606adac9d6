//===- KernelParts.h - kernels taken apart and put together ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fusion makes one kernel of two. `KernelParts` is a rows or column_reduce kernel under construction: parts
// of existing kernels are added, each with the map from the new domain to its own.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_FUSION_KERNELPARTS_H
#define CONTRAFLOW_PASSES_FUSION_KERNELPARTS_H

#include "dialects/nn/NN.h"
#include "mlir/IR/IRMapping.h"

namespace contraflow::fusion {

//===----------------------------------------------------------------------===//
// Questions about one kernel
//===----------------------------------------------------------------------===//

bool isRows(nn::KernelOp kernel);
/// Whether the kernel computes every point by itself: a rows kernel without reductions.
bool isPointwise(nn::KernelOp kernel);
/// Whether the kernel only moves numbers: one fresh result, one input that it yields unchanged. Returns the
/// number of the input.
std::optional<unsigned> getMovedInput(nn::KernelOp kernel);
/// Whether the kernel adds two of its inputs. Returns their numbers, the one of the tied result first where
/// there is one.
std::optional<std::pair<unsigned, unsigned>> getAddedInputs(nn::KernelOp kernel);
/// Whether every element that the chain of kernels behind `value` wrote is zero.
bool isZeroFill(mlir::Value value);
bool hasTiedResult(nn::KernelOp kernel);
bool isTiedInput(nn::KernelOp kernel, unsigned input);
bool isGatherSource(nn::KernelOp kernel, unsigned input);
/// Exponentials, logarithms, divisions and the like, which a kernel with reductions would compute once per
/// pass.
bool isExpensive(nn::KernelOp kernel);

//===----------------------------------------------------------------------===//
// A kernel under construction
//===----------------------------------------------------------------------===//

class KernelParts {
public:
  KernelParts(mlir::Location loc, mlir::Attribute anchor, llvm::ArrayRef<int64_t> domain);

  /// Adds the inputs of `kernel` except `skipped` as seen through `change`, which sends the new domain to
  /// that of the kernel. Symbols of `change` are given by the inputs `gather` of this kernel. Returns the
  /// number here of every input, -1 for those skipped.
  llvm::SmallVector<int64_t> addInputs(nn::KernelOp kernel, mlir::AffineMap change,
                                       llvm::ArrayRef<int64_t> gather, llvm::ArrayRef<unsigned> skipped = {});
  /// Adds the operations of the region of `kernel`, whose input i is input `numbers[i]` here, or `given[i]`
  /// where that is -1. Returns what it yields.
  llvm::SmallVector<mlir::Value> addBody(nn::KernelOp kernel, mlir::AffineMap change,
                                         llvm::ArrayRef<int64_t> numbers,
                                         llvm::ArrayRef<mlir::Value> given = {});
  /// Adds result `i` of `kernel`, of the value `yielded`.
  void addResult(nn::KernelOp kernel, unsigned i, mlir::AffineMap change, llvm::ArrayRef<int64_t> numbers,
                 mlir::Value yielded);

  /// Whether this is a kernel that may be built: gathered inputs and tied ones obey the rules of nn.kernel,
  /// vectors run along strides, and it is not too large.
  bool isLegal() const;
  nn::KernelOp build(mlir::OpBuilder &builder, llvm::StringRef label);

private:
  struct Operand {
    mlir::Value value; // of inputs
    mlir::Type type;
    mlir::AffineMap map;
    llvm::SmallVector<int64_t> gather;
    int64_t tied = -1;     // of results
    mlir::Value yielded{}; // of results
  };
  mlir::AffineMap seenThrough(mlir::AffineMap map, mlir::AffineMap change) const;
  void mergeEqualOperations();
  void dropDeadInputs();

  mlir::Location loc;
  mlir::Attribute anchor;
  llvm::SmallVector<int64_t> domain;
  llvm::SmallVector<Operand> inputs, results;
  std::unique_ptr<mlir::Region> region;
  mlir::Block *block;
};

} // namespace contraflow::fusion

#endif
