//===- NNKernelsElementwise.cpp - kernels of arithmetic and of movement ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"

#include <cmath>

using namespace mlir;

namespace contraflow::nn {

namespace {

using Replacements = SmallVectorImpl<Value>;

LogicalResult pointwise(Operation *op, OpBuilder &builder, Replacements &replacements,
                        function_ref<Scalar(ArrayRef<Scalar>)> body) {
  replacements.push_back(
      buildPointwise(builder, op->getLoc(), op->getName().stripDialect(), op->getOperands(), body));
  return success();
}

int64_t rowsOf(Value matrix) { return shapeOf(matrix)[0]; }
int64_t columnsOf(Value matrix) { return shapeOf(matrix)[1]; }

/// Copies the points of `domain` from one place to another.
Value buildMove(KernelBuilder &k, Value source, KernelBuilder::Coordinates from, Type type,
                KernelBuilder::Coordinates to) {
  k.input(source, from);
  k.result(llvm::cast<TensorType>(type), to);
  return k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0]}; }).getResult(0);
}

} // namespace

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

LogicalResult DropoutOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  if (!getRandom())
    return failure();
  SmallVector<int64_t> shape = shapeOf(getInput());
  DropAttr drop = getDrop(getContext(), getFloat(getP()), getStream());
  KernelBuilder k(builder, getLoc(), "dropout", shape);
  k.input(getInput(), {k.d(0), k.d(1)});
  for (int64_t word = 0; word < 3; ++word)
    k.input(getRandom(), {k.c(word)});
  k.result(shape, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([&](Region &region, ArrayRef<Scalar> in) -> Scalars {
    Scalar keep = randomKeep(in.drop_front(), region.index(0), region.index(1), shape[0], drop);
    return {select(keep, in[0] * drop.getScale().getValueAsDouble(), 0.0)};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult AddOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return in[0] + in[1]; });
}

LogicalResult SubOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return in[0] - in[1]; });
}

LogicalResult MulOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return in[0] * in[1]; });
}

LogicalResult SwigluOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements,
                   [](ArrayRef<Scalar> in) { return in[0] * sigmoid(in[0]) * in[1]; });
}

LogicalResult ScaleOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  double by = getFloat(getBy());
  return pointwise(*this, builder, replacements, [&](ArrayRef<Scalar> in) { return in[0] * by; });
}

LogicalResult SigmoidOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return sigmoid(in[0]); });
}

LogicalResult SiluOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return in[0] * sigmoid(in[0]); });
}

LogicalResult TanhOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) { return tanh(in[0]); });
}

LogicalResult GeluOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  bool tanhForm = getString(getApproximate()) == "tanh";
  return pointwise(*this, builder, replacements, [&](ArrayRef<Scalar> in) {
    Scalar x = in[0];
    if (tanhForm)
      return 0.5 * x * (1.0 + tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * (x * x * x))));
    return 0.5 * x * (1.0 + erf(x * std::sqrt(0.5)));
  });
}

//===----------------------------------------------------------------------===//
// Gradients of arithmetic
//===----------------------------------------------------------------------===//

LogicalResult SigmoidInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements,
                   [](ArrayRef<Scalar> in) { return in[0] * in[1] * (1.0 - in[1]); });
}

LogicalResult TanhInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements,
                   [](ArrayRef<Scalar> in) { return in[0] * (1.0 - in[1] * in[1]); });
}

LogicalResult SiluInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  return pointwise(*this, builder, replacements, [](ArrayRef<Scalar> in) {
    Scalar s = sigmoid(in[1]);
    return in[0] * s * (1.0 + in[1] * (1.0 - s));
  });
}

LogicalResult GeluInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  bool tanhForm = getString(getApproximate()) == "tanh";
  return pointwise(*this, builder, replacements, [&](ArrayRef<Scalar> in) {
    Scalar grad = in[0], x = in[1];
    if (!tanhForm)
      return grad *
             (0.5 * (1.0 + erf(x * std::sqrt(0.5))) + std::sqrt(0.5 / M_PI) * (x * exp(-0.5 * (x * x))));
    double c = std::sqrt(2 / M_PI);
    Scalar t = tanh(c * (x + 0.044715 * (x * x * x)));
    Scalar inner = c * (1.0 + 3 * 0.044715 * (x * x));
    return grad * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner);
  });
}

LogicalResult SwigluInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  PointwiseDomain domain = pointwiseDomain(getContext(), shapeOf(getGate()));
  KernelBuilder k(builder, getLoc(), "swiglu_input_grad", domain.sizes);
  for (Value input : getOperands())
    k.input(input, domain.coordinates);
  for (Value result : getResults())
    k.result(llvm::cast<TensorType>(result.getType()), domain.coordinates);
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar grad = in[0], gate = in[1], up = in[2], s = sigmoid(gate);
    return {grad * up * s * (1.0 + gate * (1.0 - s)), grad * gate * s};
  });
  llvm::append_range(replacements, kernel.getResults());
  return success();
}

namespace {

/// Sums the dimensions of `input` that are `reduced`; those of `output` are its last ones. Rows of the kernel
/// are the points that stay, its column is the number of the point that is summed.
Value buildSum(OpBuilder &builder, Location loc, Value input, ArrayRef<bool> reduced, TensorType output) {
  SmallVector<int64_t> shape = shapeOf(input), domain;
  SmallVector<AffineExpr> from, to;
  int64_t count = 1;
  for (auto [size, gone] : llvm::zip_equal(shape, reduced)) {
    from.push_back(getAffineDimExpr(domain.size(), builder.getContext()));
    to.push_back(gone ? getAffineConstantExpr(0, builder.getContext()) : from.back());
    if (gone)
      count *= size;
    else
      domain.push_back(size);
  }
  if (domain.empty())
    domain.push_back(1);
  AffineExpr column = getAffineDimExpr(domain.size(), builder.getContext());
  domain.push_back(count);
  int64_t stride = count;
  for (size_t i = 0; i < shape.size(); ++i)
    if (reduced[i]) {
      AffineExpr rest = stride == count ? column : column % stride;
      stride /= shape[i];
      from[i] = rest.floorDiv(stride);
    }
  KernelBuilder k(builder, loc, "reduce_sum", domain);
  k.input(input, from);
  k.result(output, ArrayRef(to).take_back(output.getRank()));
  return k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(in[0])}; }).getResult(0);
}

} // namespace

LogicalResult ReduceSumOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  Value input = getInput();
  auto output = llvm::cast<TensorType>(getOutput().getType());
  SmallVector<int64_t> shape = shapeOf(input), kept = output.getStaticShape();
  kept.insert(kept.begin(), shape.size() - kept.size(), 1);
  SmallVector<bool> reduced;
  for (auto [from, to] : llvm::zip_equal(shape, kept))
    reduced.push_back(from != to);
  // Columns and rows in turn: each kernel has many rows, or keeps the order of memory.
  if (reduced.back() && llvm::count(reduced, true) > 1) {
    SmallVector<bool> last(shape.size(), false);
    last.back() = true;
    shape.back() = 1;
    input =
        buildSum(builder, getLoc(), input, last, TensorType::get(getContext(), shape, builder.getF32Type()));
    reduced.back() = false;
  }
  if (shape.size() == 2 && reduced[0] && !reduced[1] && shape[1] > 1) {
    KernelBuilder k(builder, getLoc(), "reduce_sum", ColumnReduceAnchorAttr::get(getContext()), shape);
    SmallVector<AffineExpr> to(output.getRank(), k.c(0));
    to.back() = k.d(1);
    k.input(input, {k.d(0), k.d(1)});
    k.tiedResult(k.input(buildFill(builder, getLoc(), output, 0), to), to);
    replacements.push_back(
        k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0]}; }).getResult(0));
  } else {
    replacements.push_back(buildSum(builder, getLoc(), input, reduced, output));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

/// Two kernels that write their columns of one buffer, so that producers of lhs and rhs can take their place.
LogicalResult ConcatOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t rows = rowsOf(getLhs()), heads = getInt(getHeads());
  int64_t left = columnsOf(getLhs()) / heads, right = columnsOf(getRhs()) / heads;
  HeadDomain lhs(getContext(), rows, heads, left);
  KernelBuilder first(builder, getLoc(), "concat_lhs", lhs.sizes);
  Value half = buildMove(first, getLhs(), {lhs.row, lhs.in(left)}, getOutput().getType(),
                         {lhs.row, lhs.in(left + right)});
  HeadDomain rhs(getContext(), rows, heads, right);
  KernelBuilder second(builder, getLoc(), "concat_rhs", rhs.sizes);
  second.input(getRhs(), {rhs.row, rhs.in(right)});
  unsigned target = second.input(half, {rhs.row, rhs.in(left + right, left)});
  second.tiedResult(target, {rhs.row, rhs.in(left + right, left)});
  KernelOp kernel = second.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {in[0]}; });
  replacements.push_back(kernel.getResult(0));
  return success();
}

LogicalResult SliceOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t heads = getInt(getHeads()), size = getInt(getSize());
  HeadDomain domain(getContext(), rowsOf(getInput()), heads, size);
  KernelBuilder k(builder, getLoc(), "slice", domain.sizes);
  replacements.push_back(
      buildMove(k, getInput(), {domain.row, domain.in(columnsOf(getInput()) / heads, getInt(getOffset()))},
                getOutput().getType(), {domain.row, domain.in(size)}));
  return success();
}

LogicalResult BroadcastOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t width = columnsOf(getInput());
  HeadDomain domain(getContext(), rowsOf(getInput()), getInt(getHeads()), width);
  KernelBuilder k(builder, getLoc(), "broadcast", domain.sizes);
  replacements.push_back(buildMove(k, getInput(), {domain.row, domain.column}, getOutput().getType(),
                                   {domain.row, domain.in(width)}));
  return success();
}

/// Three kernels that write their columns of one buffer: the gradient, and zeros on both sides.
LogicalResult SliceInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t rows = rowsOf(getGrad()), heads = getInt(getHeads()), offset = getInt(getOffset());
  int64_t size = columnsOf(getGrad()) / heads, width = columnsOf(getOutput()) / heads;
  HeadDomain middle(getContext(), rows, heads, size);
  KernelBuilder k(builder, getLoc(), "slice_input_grad", middle.sizes);
  Value output = buildMove(k, getGrad(), {middle.row, middle.in(size)}, getOutput().getType(),
                           {middle.row, middle.in(width, offset)});
  for (auto [begin, end] : {std::pair(int64_t(0), offset), std::pair(offset + size, width)}) {
    if (begin == end)
      continue;
    HeadDomain side(getContext(), rows, heads, end - begin);
    KernelBuilder zeros(builder, getLoc(), "slice_zeros", side.sizes);
    unsigned target = zeros.input(output, {side.row, side.in(width, begin)});
    zeros.tiedResult(target, {side.row, side.in(width, begin)});
    output = zeros.build([](Region &region, ArrayRef<Scalar>) -> Scalars { return {region.constant(0)}; })
                 .getResult(0);
  }
  replacements.push_back(output);
  return success();
}

/// Heads are summed as operands where they are few; else along the (strided) row.
LogicalResult BroadcastInputGradOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  constexpr int64_t kMaxOperands = 32;
  int64_t heads = getInt(getHeads()), rows = rowsOf(getOutput()), width = columnsOf(getOutput());
  auto output = llvm::cast<TensorType>(getOutput().getType());
  if (heads > kMaxOperands) {
    KernelBuilder k(builder, getLoc(), "broadcast_input_grad", {rows, width, heads});
    k.input(getGrad(), {k.d(0), k.d(2) * width + k.d(1)});
    k.result(output, {k.d(0), k.d(1)});
    replacements.push_back(
        k.build([](Region &, ArrayRef<Scalar> in) -> Scalars { return {rowSum(in[0])}; }).getResult(0));
    return success();
  }
  KernelBuilder k(builder, getLoc(), "broadcast_input_grad", {rows, width});
  for (int64_t h = 0; h < heads; ++h)
    k.input(getGrad(), {k.d(0), k.d(1) + h * width});
  k.result(output, {k.d(0), k.d(1)});
  KernelOp kernel = k.build([](Region &, ArrayRef<Scalar> in) -> Scalars {
    Scalar sum = in[0];
    for (Scalar x : in.drop_front())
      sum = sum + x;
    return {sum};
  });
  replacements.push_back(kernel.getResult(0));
  return success();
}

namespace {

/// Suffix products of a shape, the whole number first, 1 last: the strides at which a coordinate steps.
SmallVector<int64_t> suffixProducts(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> products{1};
  for (int64_t size : llvm::reverse(shape))
    products.push_back(products.back() * size);
  std::reverse(products.begin(), products.end());
  return products;
}

/// The coarsest domain in which the coordinates of two shapes of equal size are sums of products of
/// dimensions, or nothing where sizes do not divide each other (2 x 3 and 3 x 2).
std::optional<SmallVector<int64_t>> commonRefinement(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  SmallVector<int64_t> cuts = suffixProducts(a);
  cuts.append(suffixProducts(b));
  llvm::sort(cuts, std::greater<>());
  cuts.erase(llvm::unique(cuts), cuts.end());
  SmallVector<int64_t> domain;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    if (cuts[i] % cuts[i + 1])
      return std::nullopt;
    domain.push_back(cuts[i] / cuts[i + 1]);
  }
  while (domain.size() < 2)
    domain.insert(domain.begin(), 1);
  return domain;
}

/// Coordinates, in a tensor of `shape`, of the points of a domain that is a refinement of the shape.
SmallVector<AffineExpr> refinedCoordinates(MLIRContext *context, ArrayRef<int64_t> shape,
                                           ArrayRef<int64_t> domain) {
  SmallVector<int64_t> strides = suffixProducts(domain);
  SmallVector<int64_t> products = suffixProducts(shape);
  SmallVector<AffineExpr> coordinates;
  for (size_t i = 0; i < shape.size(); ++i) {
    AffineExpr expr = getAffineConstantExpr(0, context);
    for (size_t j = 0; j < domain.size(); ++j)
      if (domain[j] > 1 && strides[j + 1] >= products[i + 1] && strides[j] <= products[i])
        expr = expr + getAffineDimExpr(j, context) * (strides[j + 1] / products[i + 1]);
    coordinates.push_back(expr);
  }
  return coordinates;
}

/// Coordinates in a tensor of `shape` of element number `index`.
SmallVector<AffineExpr> delinearize(AffineExpr index, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> products = suffixProducts(shape);
  SmallVector<AffineExpr> coordinates;
  for (size_t i = 0; i < shape.size(); ++i) {
    AffineExpr rest = i == 0 ? index : index % products[i];
    coordinates.push_back(rest.floorDiv(products[i + 1]));
  }
  return coordinates;
}

} // namespace

LogicalResult ReshapeOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  SmallVector<int64_t> from = shapeOf(getInput()), to = shapeOf(getOutput());
  if (std::optional<SmallVector<int64_t>> domain = commonRefinement(from, to)) {
    KernelBuilder k(builder, getLoc(), "reshape", *domain);
    replacements.push_back(buildMove(k, getInput(), refinedCoordinates(getContext(), from, *domain),
                                     getOutput().getType(), refinedCoordinates(getContext(), to, *domain)));
    return success();
  }
  PointwiseDomain domain = pointwiseDomain(getContext(), to);
  KernelBuilder k(builder, getLoc(), "reshape", domain.sizes);
  AffineExpr index = k.c(0);
  for (auto [expr, size] : llvm::zip_equal(domain.coordinates, to))
    index = index * size + expr;
  replacements.push_back(
      buildMove(k, getInput(), delinearize(index, from), getOutput().getType(), domain.coordinates));
  return success();
}

/// The ids `by` positions later, into a tensor of -1: a kernel never reads out of bounds. Another document's
/// ids are -1 too.
LogicalResult ShiftOp::buildKernels(OpBuilder &builder, Replacements &replacements) {
  int64_t by = getInt(getBy()), seq = getInt(getSeq()), sequences = shapeOf(getIds())[0] / seq;
  auto type = llvm::cast<TensorType>(getOutput().getType());
  Value output = buildFill(builder, getLoc(), type, -1);
  if (by < seq) {
    KernelBuilder k(builder, getLoc(), "shift", {sequences, seq - by});
    k.input(getIds(), {k.d(0) * seq + k.d(1) + by});
    k.tiedResult(k.input(output, {k.d(0) * seq + k.d(1)}), {k.d(0) * seq + k.d(1)});
    if (getStarts()) {
      k.input(getStarts(), {k.d(0) * seq + k.d(1)});
      k.input(getStarts(), {k.d(0) * seq + k.d(1) + by});
    }
    output = k.build([](Region &region, ArrayRef<Scalar> in) -> Scalars {
                if (in.size() == 2)
                  return {in[0]};
                return {select(equal(in[2], in[3]), in[0], region.constantI32(-1))};
              }).getResult(0);
  }
  replacements.push_back(output);
  return success();
}

} // namespace contraflow::nn
