//===- KernelBuilder.cpp - short, readable construction of nn.kernel ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

namespace {

template <typename Op> Scalar unary(Scalar x) {
  return {x.builder, Op::create(*x.builder, x.loc(), x.value)};
}

template <typename Op> Scalar binary(Scalar a, Scalar b) {
  return {a.builder, Op::create(*a.builder, a.loc(), a.value, b.value)};
}

/// A number of the type of `like`.
Scalar number(Scalar like, double value) {
  Type type = like.value.getType();
  TypedAttr attr = type.isF32() ? TypedAttr(like.builder->getF32FloatAttr(value))
                                : TypedAttr(like.builder->getI32IntegerAttr(static_cast<int32_t>(value)));
  return {like.builder, arith::ConstantOp::create(*like.builder, like.loc(), attr)};
}

Scalar compare(arith::CmpFPredicate predicate, Scalar a, Scalar b) {
  return {a.builder, arith::CmpFOp::create(*a.builder, a.loc(), predicate, a.value, b.value)};
}

Scalar compare(arith::CmpIPredicate predicate, Scalar a, Scalar b) {
  return {a.builder, arith::CmpIOp::create(*a.builder, a.loc(), predicate, a.value, b.value)};
}

} // namespace

Scalar operator+(Scalar a, Scalar b) { return binary<arith::AddFOp>(a, b); }
Scalar operator-(Scalar a, Scalar b) { return binary<arith::SubFOp>(a, b); }
Scalar operator*(Scalar a, Scalar b) { return binary<arith::MulFOp>(a, b); }
Scalar operator/(Scalar a, Scalar b) { return binary<arith::DivFOp>(a, b); }
Scalar operator-(Scalar a) { return unary<arith::NegFOp>(a); }
Scalar operator+(Scalar a, double b) { return a + number(a, b); }
Scalar operator-(Scalar a, double b) { return a - number(a, b); }
Scalar operator*(Scalar a, double b) { return a * number(a, b); }
Scalar operator+(double a, Scalar b) { return number(b, a) + b; }
Scalar operator-(double a, Scalar b) { return number(b, a) - b; }
Scalar operator*(double a, Scalar b) { return number(b, a) * b; }
Scalar operator/(double a, Scalar b) { return number(b, a) / b; }
Scalar exp(Scalar x) { return unary<math::ExpOp>(x); }
Scalar log(Scalar x) { return unary<math::LogOp>(x); }
Scalar sqrt(Scalar x) { return unary<math::SqrtOp>(x); }
Scalar rsqrt(Scalar x) { return unary<math::RsqrtOp>(x); }
Scalar tanh(Scalar x) { return unary<math::TanhOp>(x); }
Scalar erf(Scalar x) { return unary<math::ErfOp>(x); }
Scalar sigmoid(Scalar x) { return 1.0 / (1.0 + exp(-x)); }
Scalar max(Scalar a, double b) { return binary<arith::MaximumFOp>(a, number(a, b)); }
Scalar equal(Scalar a, Scalar b) { return compare(arith::CmpIPredicate::eq, a, b); }
Scalar greater(Scalar a, double b) { return compare(arith::CmpFPredicate::OGT, a, number(a, b)); }
Scalar less(Scalar a, double b) { return compare(arith::CmpFPredicate::OLT, a, number(a, b)); }
Scalar less(Scalar a, Scalar b) {
  return a.value.getType().isF32() ? compare(arith::CmpFPredicate::OLT, a, b)
                                   : compare(arith::CmpIPredicate::slt, a, b);
}
Scalar lessOrEqual(Scalar a, Scalar b) { return compare(arith::CmpFPredicate::OLE, a, b); }
Scalar isValid(Scalar id) { return compare(arith::CmpIPredicate::sge, id, number(id, 0)); }
Scalar randomKeep(ArrayRef<Scalar> key, Scalar row, Scalar column, int64_t rows, DropAttr drop) {
  return {row.builder, RandomKeepOp::create(*row.builder, row.loc(), row.builder->getI1Type(), key[0].value,
                                            key[1].value, key[2].value, row.value, column.value,
                                            row.builder->getI64IntegerAttr(rows), drop)};
}
Scalar rowSum(Scalar x) {
  return {x.builder, RowSumOp::create(*x.builder, x.loc(), x.value.getType(), x.value)};
}
Scalar rowMax(Scalar x) {
  return {x.builder, RowMaxOp::create(*x.builder, x.loc(), x.value.getType(), x.value)};
}

Scalar select(Scalar condition, Scalar a, Scalar b) {
  return {a.builder, arith::SelectOp::create(*a.builder, a.loc(), condition.value, a.value, b.value)};
}
Scalar select(Scalar condition, Scalar a, double b) { return select(condition, a, number(a, b)); }
Scalar select(Scalar condition, double a, double b) {
  Region region(*condition.builder, condition.loc());
  return select(condition, region.constant(a), region.constant(b));
}

Scalar Region::constant(double value) {
  return {&builder, arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value))};
}
Scalar Region::constantI32(int64_t value) {
  return {&builder, arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(value))};
}
Scalar Region::index(unsigned dim) {
  return {&builder, DomainIndexOp::create(builder, loc, builder.getI32Type(), dim)};
}

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(OpBuilder &builder, Location loc, StringRef label, Attribute anchor,
                             ArrayRef<int64_t> domain)
    : builder(builder), loc(loc), label(label), anchor(anchor), domain(domain) {}

unsigned KernelBuilder::input(Value tensor, Coordinates coordinates, ArrayRef<int64_t> gather) {
  inputs.push_back(tensor);
  maps[0].push_back(
      AffineMapAttr::get(AffineMap::get(domain.size(), gather.size(), coordinates, builder.getContext())));
  gathers[0].push_back(builder.getDenseI64ArrayAttr(gather));
  return inputs.size() - 1;
}

unsigned KernelBuilder::result(TensorType type, Coordinates coordinates) {
  results.push_back(type);
  tied.push_back(-1);
  maps[1].push_back(AffineMapAttr::get(AffineMap::get(domain.size(), 0, coordinates, builder.getContext())));
  gathers[1].push_back(builder.getDenseI64ArrayAttr({}));
  return results.size() - 1;
}

unsigned KernelBuilder::result(ArrayRef<int64_t> shape, Coordinates coordinates) {
  return result(TensorType::get(builder.getContext(), shape, builder.getF32Type()), coordinates);
}

unsigned KernelBuilder::tiedResult(unsigned input, Coordinates coordinates, ArrayRef<int64_t> gather) {
  results.push_back(inputs[input].getType());
  tied.push_back(input);
  maps[1].push_back(
      AffineMapAttr::get(AffineMap::get(domain.size(), gather.size(), coordinates, builder.getContext())));
  gathers[1].push_back(builder.getDenseI64ArrayAttr(gather));
  return results.size() - 1;
}

KernelOp KernelBuilder::build() {
  SmallVector<Attribute> allMaps(maps[0]), allGathers(gathers[0]);
  allMaps.append(maps[1]);
  allGathers.append(gathers[1]);
  return KernelOp::create(builder, loc, TypeRange(results), builder.getStringAttr(label), anchor,
                          builder.getDenseI64ArrayAttr(domain), inputs, builder.getArrayAttr(allMaps),
                          builder.getArrayAttr(allGathers), builder.getDenseI64ArrayAttr(tied));
}

KernelOp KernelBuilder::build(Body body) {
  KernelOp kernel = build();
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&kernel.getBody());
  Scalars arguments;
  for (Value tensor : inputs)
    arguments.push_back(
        {&builder, block->addArgument(llvm::cast<TensorType>(tensor.getType()).getElementType(), loc)});
  Region region(builder, loc);
  SmallVector<Value> yielded;
  for (Scalar scalar : body(region, arguments))
    yielded.push_back(scalar.value);
  KernelYieldOp::create(builder, loc, yielded);
  return kernel;
}

//===----------------------------------------------------------------------===//
// Kernels of frequent form
//===----------------------------------------------------------------------===//

SmallVector<int64_t> shapeOf(Value tensor) {
  return llvm::cast<TensorType>(tensor.getType()).getStaticShape();
}

PointwiseDomain pointwiseDomain(MLIRContext *context, ArrayRef<int64_t> shape) {
  PointwiseDomain domain;
  domain.sizes.assign(shape.begin(), shape.end());
  if (shape.size() == 1)
    domain.sizes.insert(domain.sizes.begin(), 1);
  for (unsigned i = domain.sizes.size() - shape.size(); i < domain.sizes.size(); ++i)
    domain.coordinates.push_back(getAffineDimExpr(i, context));
  return domain;
}

SmallVector<AffineExpr> repeatedCoordinates(Value tensor, const PointwiseDomain &domain) {
  SmallVector<int64_t> shape = shapeOf(tensor);
  SmallVector<AffineExpr> coordinates;
  size_t skipped = domain.coordinates.size() - shape.size();
  for (auto [size, expr] : llvm::zip_equal(shape, ArrayRef(domain.coordinates).drop_front(skipped)))
    coordinates.push_back(size == 1 ? getAffineConstantExpr(0, tensor.getContext()) : expr);
  return coordinates;
}

Value buildPointwise(OpBuilder &builder, Location loc, StringRef label, ValueRange inputs,
                     function_ref<Scalar(ArrayRef<Scalar>)> body) {
  PointwiseDomain domain = pointwiseDomain(builder.getContext(), shapeOf(inputs[0]));
  KernelBuilder k(builder, loc, label, domain.sizes);
  k.input(inputs[0], domain.coordinates);
  for (Value input : inputs.drop_front())
    k.input(input, repeatedCoordinates(input, domain));
  k.result(llvm::cast<TensorType>(inputs[0].getType()), domain.coordinates);
  return k.build([&](Region &, ArrayRef<Scalar> in) -> Scalars { return {body(in)}; }).getResult(0);
}

HeadDomain::HeadDomain(MLIRContext *context, int64_t rows, int64_t heads, int64_t columns)
    : sizes{rows, columns}, row(getAffineDimExpr(0, context)), head(getAffineConstantExpr(0, context)),
      column(getAffineDimExpr(1, context)) {
  if (heads == 1)
    return;
  sizes.insert(sizes.begin() + 1, heads);
  head = column;
  column = getAffineDimExpr(2, context);
}

DropAttr getDrop(MLIRContext *context, double p, int64_t stream) {
  return DropAttr::get(context, getDropThreshold(p), Builder(context).getF32FloatAttr(1 / (1 - p)), stream);
}

Value buildFill(OpBuilder &builder, Location loc, TensorType type, double value) {
  auto body = [&](Region &region, ArrayRef<Scalar>) -> Scalars {
    return {type.getElementType().isF32() ? region.constant(value)
                                          : region.constantI32(static_cast<int64_t>(value))};
  };
  int64_t size = type.getNumElements(), rows = size / kVectorRow, rest = size % kVectorRow;
  if (type.getRank() != 1 || rows < 2) {
    PointwiseDomain domain = pointwiseDomain(builder.getContext(), type.getStaticShape());
    KernelBuilder k(builder, loc, "fill", domain.sizes);
    k.result(type, domain.coordinates);
    return k.build(body).getResult(0);
  }
  KernelBuilder k(builder, loc, "fill", {rows, kVectorRow});
  k.result(type, {k.d(0) * kVectorRow + k.d(1)});
  Value filled = k.build(body).getResult(0);
  if (rest) {
    KernelBuilder tail(builder, loc, "fill_rest", {1, rest});
    AffineExpr element = tail.d(1) + rows * kVectorRow;
    tail.tiedResult(tail.input(filled, {element}), {element});
    filled = tail.build(body).getResult(0);
  }
  return filled;
}

} // namespace contraflow::nn
