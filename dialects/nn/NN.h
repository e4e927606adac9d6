//===- NN.h - the dialect a model is written in ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NN_H
#define CONTRAFLOW_DIALECTS_NN_NN_H

#include "dialects/nn/Expr.h"
#include "dialects/nn/NNOpText.h"
#include "dialects/nn/NNStructure.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/nn/NNEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NNAttributes.h.inc"

// After the attributes that its accessors return.
#include "dialects/nn/NNDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NNTypes.h.inc"

#include "dialects/nn/NNInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/nn/NN.h.inc"

namespace contraflow::nn {

/// Entries of the step scalars: CF_SCALAR_COUNT of runtime/abi/Abi.h.
constexpr int64_t kStepScalars = 16;

/// Words of a random key: CF_RANDOM_KEY_WORDS of runtime/abi/Abi.h.
constexpr int64_t kRandomKeyWords = 4;

/// The value of a bound attribute; the attribute must be an integer (number) constant.
int64_t getInt(ExprAttr attr);
double getFloat(ExprAttr attr);

/// Attributes that NNDialect declares, by their accessor: `getAttr<NNDialect::VocabAttrHelper>(module)`.
template <typename Helper> auto getAttr(mlir::Operation *op) { return Helper(op->getContext()).getAttr(op); }
template <typename Helper> int64_t getIntOr(mlir::Operation *op, int64_t otherwise) {
  mlir::IntegerAttr value = getAttr<Helper>(op);
  return value ? value.getInt() : otherwise;
}
template <typename Helper, typename Attr> void setAttr(mlir::Operation *op, Attr value) {
  Helper(op->getContext()).setAttr(op, value);
}
template <typename Helper> void setInt(mlir::Operation *op, int64_t value) {
  mlir::Type type = mlir::IntegerType::get(op->getContext(), 64);
  setAttr<Helper>(op, mlir::IntegerAttr::get(type, value));
}

/// Floating-point operations of a function: the sum of its `nn.costs`, 0 where it has none.
double getFlops(mlir::Operation *function);
/// The type of a random key.
TensorType getRandomKeyType(mlir::MLIRContext *context);
/// A random word below this number drops an element that is dropped with probability `p`.
uint32_t getDropThreshold(double p);

/// The canonical attribute of an expression.
ExprAttr getExprAttr(mlir::MLIRContext *context, const Expr &expr);
/// The expression that an attribute holds.
Expr getExpr(ExprAttr attr);
/// An attribute that holds a float constant.
ExprAttr getFloatAttr(mlir::MLIRContext *context, double value);

/// `<d0 x d1 : i32>`: a tensor type without its prefix, for `custom<TensorType>` in assembly formats.
mlir::ParseResult parseTensorType(mlir::AsmParser &parser, mlir::Type &type);
void printTensorType(mlir::AsmPrinter &printer, mlir::Operation *op, mlir::Type type);
void printTensorType(mlir::AsmPrinter &printer, mlir::Type type);
/// Comma-separated `<...>, <...>`, for `custom<TensorTypes>`.
mlir::ParseResult parseTensorTypes(mlir::AsmParser &parser, llvm::SmallVectorImpl<mlir::Type> &types);
void printTensorTypes(mlir::AsmPrinter &printer, mlir::Operation *op, mlir::TypeRange types);

} // namespace contraflow::nn

#endif
