//===- KernelBuilder.h - short, readable construction of nn.kernel --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel is built in three steps: its domain, its operands, its region.
//
//   KernelBuilder k(builder, loc, "rms_norm", RowsAnchorAttr::get(context), {tokens, width});
//   k.input(x, {k.d(0), k.d(1)});
//   k.input(weight, {k.d(1)});
//   k.result({tokens, width}, {k.d(0), k.d(1)});
//   KernelOp op = k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars {
//     Scalar rstd = rsqrt(rowSum(in[0] * in[0]) * (1.0 / width) + eps);
//     return {in[0] * rstd * in[1]};
//   });
//
// Scalars are values of the region with operators; each operator builds one operation of `arith`, `math` or
// `nn`.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_KERNELBUILDER_H
#define CONTRAFLOW_DIALECTS_NN_KERNELBUILDER_H

#include "dialects/nn/NN.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Scalars of a region
//===----------------------------------------------------------------------===//

/// A value of a region (f32, i32 or i1) that knows how to build more of them.
struct Scalar {
  mlir::OpBuilder *builder;
  mlir::Value value;

  mlir::Location loc() const { return value.getLoc(); }
};
using Scalars = llvm::SmallVector<Scalar>;

Scalar operator+(Scalar a, Scalar b);
Scalar operator-(Scalar a, Scalar b);
Scalar operator*(Scalar a, Scalar b);
Scalar operator/(Scalar a, Scalar b);
Scalar operator-(Scalar a);
Scalar operator+(Scalar a, double b);
Scalar operator-(Scalar a, double b);
Scalar operator*(Scalar a, double b);
Scalar operator+(double a, Scalar b);
Scalar operator-(double a, Scalar b);
Scalar operator*(double a, Scalar b);
Scalar operator/(double a, Scalar b);
Scalar exp(Scalar x);
Scalar log(Scalar x);
Scalar sqrt(Scalar x);
Scalar rsqrt(Scalar x);
Scalar tanh(Scalar x);
Scalar erf(Scalar x);
Scalar sigmoid(Scalar x);
Scalar max(Scalar a, double b);
/// Comparisons give an i1; none holds for a NaN. `equal` takes two i32, `less` two i32 or two f32,
/// `lessOrEqual` two f32.
Scalar equal(Scalar a, Scalar b);
Scalar less(Scalar a, Scalar b);
Scalar lessOrEqual(Scalar a, Scalar b);
/// Of an f32 with a number.
Scalar greater(Scalar a, double b);
Scalar less(Scalar a, double b);
/// Whether an i32 is not negative: ids below zero mean "none".
Scalar isValid(Scalar id);
Scalar select(Scalar condition, Scalar a, Scalar b);
Scalar select(Scalar condition, Scalar a, double b);
Scalar select(Scalar condition, double a, double b);
/// Whether the point at a row and column is kept; `key` are the first three words of a random key, `rows` the
/// number of rows that one micro-batch has.
Scalar randomKeep(llvm::ArrayRef<Scalar> key, Scalar row, Scalar column, int64_t rows, DropAttr drop);
/// Reductions over the columns of the row.
Scalar rowSum(Scalar x);
Scalar rowMax(Scalar x);

/// What a region has besides its arguments.
class Region {
public:
  Region(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}
  Scalar constant(double value);
  Scalar constantI32(int64_t value);
  /// The coordinate of the current point along domain dimension `dim`, an i32.
  Scalar index(unsigned dim);

private:
  mlir::OpBuilder &builder;
  mlir::Location loc;
};

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

class KernelBuilder {
public:
  using Coordinates = llvm::ArrayRef<mlir::AffineExpr>;
  using Body = llvm::function_ref<Scalars(Region &, llvm::ArrayRef<Scalar>)>;

  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef label, mlir::Attribute anchor,
                llvm::ArrayRef<int64_t> domain);
  /// A rows kernel.
  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef label,
                llvm::ArrayRef<int64_t> domain)
      : KernelBuilder(builder, loc, label, RowsAnchorAttr::get(builder.getContext()), domain) {}

  /// Coordinates: dimensions of the domain, symbols of the operand, constants.
  mlir::AffineExpr d(unsigned i) const { return mlir::getAffineDimExpr(i, builder.getContext()); }
  mlir::AffineExpr s(unsigned i) const { return mlir::getAffineSymbolExpr(i, builder.getContext()); }
  mlir::AffineExpr c(int64_t value) const { return mlir::getAffineConstantExpr(value, builder.getContext()); }

  /// Adds an input; its symbols are the inputs `gather`. Returns its number.
  unsigned input(mlir::Value tensor, Coordinates coordinates, llvm::ArrayRef<int64_t> gather = {});
  /// Adds a fresh f32 result.
  unsigned result(llvm::ArrayRef<int64_t> shape, Coordinates coordinates);
  unsigned result(TensorType type, Coordinates coordinates);
  /// Adds a result in the memory of input `input`.
  unsigned tiedResult(unsigned input, Coordinates coordinates, llvm::ArrayRef<int64_t> gather = {});

  KernelOp build();
  KernelOp build(Body body);

private:
  mlir::OpBuilder &builder;
  mlir::Location loc;
  std::string label;
  mlir::Attribute anchor;
  llvm::SmallVector<int64_t> domain;
  llvm::SmallVector<mlir::Value> inputs;
  llvm::SmallVector<mlir::Type> results;
  llvm::SmallVector<int64_t> tied;
  /// Maps and gather lists, of inputs and of results.
  llvm::SmallVector<mlir::Attribute> maps[2], gathers[2];
};

//===----------------------------------------------------------------------===//
// Kernels of frequent form
//===----------------------------------------------------------------------===//

/// The shape of a value whose type is bound.
llvm::SmallVector<int64_t> shapeOf(mlir::Value tensor);

/// The domain of an elementwise kernel over a tensor, and the coordinates of its points: the shape
/// itself, with a leading one for vectors so that there is a row.
struct PointwiseDomain {
  llvm::SmallVector<int64_t> sizes;
  llvm::SmallVector<mlir::AffineExpr> coordinates;
};
PointwiseDomain pointwiseDomain(mlir::MLIRContext *context, llvm::ArrayRef<int64_t> shape);

/// The coordinates of `tensor` when it is repeated to the points of `domain`, which runs over another tensor:
/// dimensions aligned at the right, those of size 1 repeated.
llvm::SmallVector<mlir::AffineExpr> repeatedCoordinates(mlir::Value tensor, const PointwiseDomain &domain);

/// What is dropped with probability `p`, by the random numbers of `stream`.
DropAttr getDrop(mlir::MLIRContext *context, double p, int64_t stream);

/// One result of the shape of `inputs[0]`; the other inputs are repeated to it.
mlir::Value buildPointwise(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef label,
                           mlir::ValueRange inputs, llvm::function_ref<Scalar(llvm::ArrayRef<Scalar>)> body);

/// A domain of rows, groups of columns ("heads") and columns of a group; without the heads where there is
/// one.
struct HeadDomain {
  HeadDomain(mlir::MLIRContext *context, int64_t rows, int64_t heads, int64_t columns);
  llvm::SmallVector<int64_t> sizes;
  mlir::AffineExpr row, head, column;
  /// The column of a matrix whose groups have `width` columns, `offset` into the group.
  mlir::AffineExpr in(int64_t width, int64_t offset = 0) const { return head * width + column + offset; }
};

/// Long vectors are cut into rows of this many elements, so that they have parallel rows.
constexpr int64_t kVectorRow = 4096;

/// A fresh tensor of one value.
mlir::Value buildFill(mlir::OpBuilder &builder, mlir::Location loc, TensorType type, double value);

} // namespace contraflow::nn

#endif
