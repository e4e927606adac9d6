//===- NNOpText.h - assembly directives and attributes of compute ops -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNOPTEXT_H
#define CONTRAFLOW_DIALECTS_NN_NNOPTEXT_H

#include "dialects/nn/Expr.h"
#include "mlir/IR/OpImplementation.h"
#include <string>

namespace contraflow::nn {

class ExprAttr;

/// Values of bound attributes; the verifiers have seen that they are of this kind.
int64_t getInt(ExprAttr attr);
double getFloat(ExprAttr attr);
bool getBool(ExprAttr attr);
std::string getString(ExprAttr attr);

/// Whether the expression holds no configuration value, so that `getInt` and its like may be asked.
bool isBound(ExprAttr attr);

/// What an attribute is where the text does not say it.
ExprAttr getDefaultExpr(mlir::MLIRContext *context, const Expr &value);
ExprAttr getDefaultExpr(mlir::MLIRContext *context, int value);
ExprAttr getDefaultExpr(mlir::MLIRContext *context, double value);
ExprAttr getDefaultExpr(mlir::MLIRContext *context, const char *value);

/// custom<Yarn>: `yarn(factor = 40.0, beta_fast = 32, beta_slow = 1, original_length = 4096, attention_factor
/// = 1.0)`.
mlir::OptionalParseResult parseYarn(mlir::OpAsmParser &parser, ExprAttr &factor, ExprAttr &betaFast,
                                    ExprAttr &betaSlow, ExprAttr &originalLength, ExprAttr &attentionFactor);
void printYarn(mlir::OpAsmPrinter &printer, mlir::Operation *op, ExprAttr factor, ExprAttr betaFast,
               ExprAttr betaSlow, ExprAttr originalLength, ExprAttr attentionFactor);

/// custom<BinaryTypes>: one type for both operands, or two.
mlir::ParseResult parseBinaryTypes(mlir::OpAsmParser &parser, mlir::Type &lhs, mlir::Type &rhs);
void printBinaryTypes(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::Type lhs, mlir::Type rhs);

} // namespace contraflow::nn

#endif
