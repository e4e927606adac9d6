//===- Random.h - random numbers from keys and counters --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_COMMON_RANDOM_H
#define CONTRAFLOW_PASSES_LOWERING_COMMON_RANDOM_H

#include "dialects/nn/NN.h"
#include "mlir/IR/Builders.h"

#include <array>

namespace contraflow::lowering {

/// Four random words; all values are i32, or vectors of i32 of one length.
using RandomWords = std::array<mlir::Value, 4>;

/// Philox 4x32-10 (Salmon et al., SC 2011): a bijection of the counter that the key chooses.
RandomWords emitPhilox(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value key0, mlir::Value key1,
                       RandomWords counter);

/// A number as a value of the type of `like`.
mlir::Value emitWord(mlir::OpBuilder &builder, mlir::Value like, uint32_t number);

/// Whether the points of a word are kept.
mlir::Value emitKeep(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value word, nn::DropAttr drop);

/// What `op` says, for operands that may be vectors in place of its own.
mlir::Value emitRandomKeep(mlir::OpBuilder &builder, mlir::Location loc, nn::RandomKeepOp op,
                           mlir::ValueRange operands);

} // namespace contraflow::lowering

#endif
