//===- RowsTest.cpp - kernels of rows, compiled ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoweringTest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;
using nn::KernelBuilder;
using nn::Scalar;
using nn::Scalars;

namespace {

using In = ArrayRef<Scalar>;

const std::vector<std::pair<int64_t, int64_t>> kShapes{
    {1, 1},    {1, 17},   {3, 3},     {17, 1},    {127, 1},   {127, 2},   {64, 3},
    {33, 4},   {127, 7},  {17, 16},   {3, 127},   {127, 17},  {127, 127}, {40, 256},
    {5, 1000}, {2, 4096}, {1, 40000}, {3, 70001}, {200, 300},
};

class RowsShapes : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
protected:
  int64_t rows = GetParam().first, columns = GetParam().second;
};
INSTANTIATE_TEST_SUITE_P(Shapes, RowsShapes, testing::ValuesIn(kShapes), [](const auto &info) {
  return std::to_string(info.param.first) + "x" + std::to_string(info.param.second);
});

TEST_P(RowsShapes, Elementwise) {
  FunctionCase c;
  Value gate = c.argument({rows, columns}), up = c.argument({rows, columns});
  KernelBuilder k = c.kernel({rows, columns});
  k.input(gate, {k.d(0), k.d(1)});
  k.input(up, {k.d(0), k.d(1)});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  nn::KernelOp op =
      k.build([](nn::Region &, In in) -> Scalars { return {in[0] * nn::sigmoid(in[0]) * in[1]}; });
  c.check(op.getResults());
}

TEST_P(RowsShapes, BroadcastOfRowsAndColumns) {
  FunctionCase c;
  Value x = c.argument({rows, columns}), bias = c.argument({columns}), scale = c.argument({rows}),
        one = c.argument({1});
  KernelBuilder k = c.kernel({rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  k.input(bias, {k.d(1)});
  k.input(scale, {k.d(0)});
  k.input(one, {k.c(0)});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars { return {in[0] * in[2] + in[1] * in[3]}; });
  c.check(op.getResults());
}

TEST_P(RowsShapes, NormWithResultPerRow) {
  FunctionCase c;
  Value x = c.argument({rows, columns}), w = c.argument({columns});
  KernelBuilder k = c.kernel({rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  k.input(w, {k.d(1)});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  k.result({rows}, {k.d(0)});
  nn::KernelOp op = k.build([&](nn::Region &, In in) -> Scalars {
    Scalar rstd = nn::rsqrt(nn::rowSum(in[0] * in[0]) * (1.0 / columns) + 1e-3);
    return {in[0] * rstd * in[1], rstd};
  });
  c.check(op.getResults());
}

TEST_P(RowsShapes, SoftmaxInPlace) {
  FunctionCase c;
  Value x = c.argument({rows, columns});
  KernelBuilder k = c.kernel({rows, columns});
  unsigned input = k.input(x, {k.d(0), k.d(1)});
  k.tiedResult(input, {k.d(0), k.d(1)});
  k.result({rows}, {k.d(0)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars {
    Scalar max = nn::rowMax(in[0] * 8.0), e = nn::exp(in[0] * 8.0 - max), sum = nn::rowSum(e);
    return {e / sum, max + nn::log(sum)};
  });
  c.check(op.getResults());
}

TEST_P(RowsShapes, ThreeReductionsInTurn) {
  FunctionCase c;
  Value x = c.argument({rows, columns});
  KernelBuilder k = c.kernel({rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  k.result({rows}, {k.d(0)});
  nn::KernelOp op = k.build([&](nn::Region &, In in) -> Scalars {
    Scalar mean = nn::rowSum(in[0]) * (1.0 / columns), d = in[0] - mean;
    Scalar variance = nn::rowSum(d * d) * (1.0 / columns) + 0.1, y = d / nn::sqrt(variance);
    Scalar top = nn::rowMax(y);
    return {nn::exp(y - top), nn::rowSum(nn::exp(y - top))};
  });
  c.check(op.getResults());
}

TEST_P(RowsShapes, IndicesAndComparisons) {
  FunctionCase c;
  Value x = c.argument({rows, columns}), target = c.indices({rows}, -1, columns);
  KernelBuilder k = c.kernel({rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  int64_t targets = k.input(target, {k.d(0)});
  k.input(x, {k.d(0), k.s(0)}, {targets});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  k.result({rows}, {k.d(0)});
  nn::KernelOp op = k.build([](nn::Region &region, In in) -> Scalars {
    Scalar hit = nn::select(nn::equal(region.index(1), in[1]), 1.0, 0.0);
    return {in[0] - hit, nn::rowSum(in[0]) - in[2]};
  });
  c.check(op.getResults());
}

TEST_P(RowsShapes, GatheredRowsReadAndWritten) {
  FunctionCase c;
  Value ids = c.indices({rows}, -2, 11), table = c.argument({11, columns});
  // Where rows go: every row once, some nowhere.
  std::vector<double> to(rows);
  for (int64_t r = 0; r < rows; ++r)
    to[r] = r % 5 == 3 ? -1 : rows - 1 - r;
  Value places = c.argument({rows}, to, /*integers=*/true), old = c.argument({rows, columns});
  KernelBuilder k = c.kernel({rows, columns});
  int64_t id = k.input(ids, {k.d(0)}), place = k.input(places, {k.d(0)});
  k.input(table, {k.s(0), k.d(1)}, {id});
  unsigned tied = k.input(old, {k.s(0), k.d(1)}, {place});
  k.tiedResult(tied, {k.s(0), k.d(1)}, {place});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars { return {in[2] * 2.0 + in[3]}; });
  c.check(op.getResults());
}

TEST_P(RowsShapes, TransposedReadAndWrite) {
  FunctionCase c;
  Value x = c.argument({columns, rows}), y = c.argument({rows, columns});
  KernelBuilder k = c.kernel({rows, columns});
  k.input(x, {k.d(1), k.d(0)});
  k.result({rows, columns}, {k.d(0), k.d(1)});
  nn::KernelOp first = k.build([](nn::Region &, In in) -> Scalars { return {in[0]}; });
  KernelBuilder l = c.kernel({rows, columns});
  l.input(y, {l.d(0), l.d(1)});
  l.result({columns, rows}, {l.d(1), l.d(0)});
  nn::KernelOp second = l.build([](nn::Region &, In in) -> Scalars { return {in[0] * 3.0}; });
  c.check({first.getResult(0), second.getResult(0)});
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

class RowsWidths : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Widths, RowsWidths, testing::Values(1, 2, 3, 5, 8, 16, 17, 24, 32, 64, 127));

/// y[2 j] and y[2 j + 1] from pairs, both as strided accesses and as `mod` and `floordiv`.
TEST_P(RowsWidths, Pairs) {
  int64_t pairs = GetParam(), rows = 37, width = 2 * pairs;
  FunctionCase c;
  Value x = c.argument({rows, width}), angles = c.argument({7, pairs});
  KernelBuilder k = c.kernel({rows, 2, pairs});
  AffineExpr which = k.d(1), pair = k.d(2);
  k.input(x, {k.d(0), pair * 2 + which});
  k.input(x, {k.d(0), pair * 2 + 1 - which});
  k.input(angles, {k.d(0) % 7, pair});
  k.result({rows, width}, {k.d(0), pair * 2 + which});
  nn::KernelOp strided = k.build([](nn::Region &, In in) -> Scalars { return {in[0] * in[2] + in[1]}; });

  KernelBuilder l = c.kernel({rows, width});
  l.input(x, {l.d(0), l.d(1)});
  l.input(x, {l.d(0), l.d(1) + 1 - (l.d(1) % 2) * 2});
  l.input(angles, {l.d(0) % 7, l.d(1).floorDiv(2)});
  l.result({rows, width}, {l.d(0), l.d(1)});
  nn::KernelOp flat = l.build([](nn::Region &, In in) -> Scalars { return {in[0] * in[2] + in[1]}; });
  c.check({strided.getResult(0), flat.getResult(0)});
}

TEST_P(RowsWidths, HeadsInAndOut) {
  int64_t width = GetParam(), rows = 19, heads = 3;
  FunctionCase c;
  Value a = c.argument({rows, heads * width}), b = c.argument({rows, heads * (width + 5)});
  KernelBuilder k = c.kernel({rows, heads, width});
  k.input(a, {k.d(0), k.d(1) * width + k.d(2)});
  unsigned into = k.input(b, {k.d(0), k.d(1) * (width + 5) + k.d(2) + 2});
  k.tiedResult(into, {k.d(0), k.d(1) * (width + 5) + k.d(2) + 2});
  nn::KernelOp moved = k.build([](nn::Region &, In in) -> Scalars { return {in[0]}; });
  // Flat columns; heads and columns in them by division.
  KernelBuilder l = c.kernel({rows, heads * width});
  l.input(moved.getResult(0), {l.d(0), l.d(1).floorDiv(width) * (width + 5) + l.d(1) % width + 2});
  l.input(a, {l.d(0), (l.d(1) + width) % (heads * width)});
  l.result({rows, heads * width}, {l.d(0), l.d(1)});
  nn::KernelOp flat = l.build([](nn::Region &, In in) -> Scalars { return {in[0] - in[1]}; });
  c.check({moved.getResult(0), flat.getResult(0)});
}

TEST_P(RowsWidths, SumsPerGroupOfColumns) {
  int64_t width = GetParam(), rows = 45, heads = 2;
  FunctionCase c;
  Value x = c.argument({rows, heads * width});
  KernelBuilder k = c.kernel({rows, heads, width});
  k.input(x, {k.d(0), k.d(1) * width + k.d(2)});
  k.result({rows * heads}, {k.d(0) * heads + k.d(1)});
  k.result({rows, heads * width}, {k.d(0), k.d(1) * width + k.d(2)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars {
    Scalar sum = nn::rowSum(in[0]);
    return {sum, in[0] / (nn::rowMax(in[0] * in[0]) + 1.0)};
  });
  c.check(op.getResults());
}

/// Sums of rows that are chosen by index, as the combination of experts does.
TEST_P(RowsWidths, GatheredRowsOfAStridedTable) {
  int64_t width = GetParam(), tokens = 41, topK = 3;
  FunctionCase c;
  Value table = c.indices({2 * tokens * topK}, -1, tokens * topK), y = c.argument({tokens * topK, width}),
        gates = c.argument({tokens, topK});
  KernelBuilder k = c.kernel({tokens, width});
  for (int64_t i = 0; i < topK; ++i) {
    int64_t row = k.input(table, {k.d(0) * topK + i + tokens * topK});
    k.input(y, {k.s(0), k.d(1)}, {row});
    k.input(gates, {k.d(0), k.c(i)});
  }
  k.result({tokens, width}, {k.d(0), k.d(1)});
  nn::KernelOp op =
      k.build([](nn::Region &, In in) -> Scalars { return {in[1] * in[2] + in[4] * in[5] + in[7] * in[8]}; });
  KernelBuilder l = c.kernel({tokens * topK, width});
  int64_t source = l.input(table, {l.d(0)});
  l.input(y, {l.s(0).floorDiv(topK), l.d(1)}, {source});
  l.result({tokens * topK, width}, {l.d(0), l.d(1)});
  nn::KernelOp copy = l.build([](nn::Region &, In in) -> Scalars { return {in[1]}; });
  c.check({op.getResult(0), copy.getResult(0)});
}

TEST_P(RowsWidths, Integers) {
  int64_t width = GetParam(), rows = 23;
  FunctionCase c;
  Value ids = c.indices({rows, width}, -3, 40);
  KernelBuilder k = c.kernel({rows, width});
  k.input(ids, {k.d(0), k.d(1)});
  k.result(c.type({rows, width}, true), {k.d(0), k.d(1)});
  k.result({rows, width}, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &region, In in) -> Scalars {
    OpBuilder &b = *in[0].builder;
    Scalar shifted{in[0].builder, arith::AddIOp::create(b, in[0].loc(), in[0].value, region.index(0).value)};
    return {nn::Scalar{in[0].builder, arith::SelectOp::create(b, in[0].loc(), nn::isValid(in[0]).value,
                                                              shifted.value, in[0].value)},
            nn::select(nn::isValid(in[0]), 1.0, -1.0)};
  });
  c.check(op.getResults());
}

//===----------------------------------------------------------------------===//
// Long rows
//===----------------------------------------------------------------------===//

TEST(Rows, SumOfMillions) {
  for (int64_t count : {1000003, 4 << 20}) {
    FunctionCase c;
    Value x = c.argument({count});
    KernelBuilder k = c.kernel({1, count});
    k.input(x, {k.d(1)});
    k.result({1}, {k.c(0)});
    k.result({1}, {k.c(0)});
    nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars {
      return {nn::sqrt(nn::rowSum(in[0] * in[0])), nn::rowMax(in[0])};
    });
    c.check(op.getResults(), 2e-7);
  }
}

TEST(Rows, TiedSumOfALongRow) {
  FunctionCase c;
  Value x = c.argument({2, 600000}), sum = c.argument({2});
  KernelBuilder k = c.kernel({2, 600000});
  k.input(x, {k.d(0), k.d(1)});
  unsigned into = k.input(sum, {k.d(0)});
  k.tiedResult(into, {k.d(0)});
  k.result({2, 600000}, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars {
    Scalar total = in[1] + nn::rowSum(in[0]);
    return {total, in[0] * total};
  });
  c.check(op.getResults(), 1e-5);
}

TEST(Rows, AdamWOfALongRow) {
  constexpr int64_t kCount = 300007;
  FunctionCase c;
  Value p = c.argument({1, kCount}), m = c.argument({1, kCount}), g = c.argument({1, kCount});
  std::vector<double> squares(kCount, 0.25);
  Value v = c.argument({1, kCount}, squares);
  Value scalars = c.argument({16}, {0.5, 0.25, 0.125, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  KernelBuilder k = c.kernel({1, kCount});
  for (Value tensor : {p, m, v, g})
    k.input(tensor, {k.d(0), k.d(1)});
  for (int64_t i = 0; i < 4; ++i)
    k.input(scalars, {k.c(i)});
  for (unsigned i = 0; i < 3; ++i)
    k.tiedResult(i, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars {
    Scalar step = in[4] / in[5], scale = 1.0 / in[6], grad = in[3] * in[7];
    Scalar m = 0.9 * in[1] + 0.1 * grad, v = 0.95 * in[2] + 0.05 * (grad * grad);
    return {in[0] * 0.99 - step * m / (nn::sqrt(v * scale) + 1e-8), m, v};
  });
  c.check(op.getResults());
}

/// The values of two kernels in a row, one of them over a constant table.
TEST(Rows, TablesAndSeveralKernels) {
  FunctionCase c;
  Value x = c.argument({6, 10});
  auto tableType = RankedTensorType::get({3, 10}, c.builder.getF32Type());
  std::vector<float> numbers(30);
  for (int i = 0; i < 30; ++i)
    numbers[i] = i * 0.5f;
  Value table = nn::ConstantTableOp::create(c.builder, c.builder.getUnknownLoc(), c.type({3, 10}),
                                            DenseElementsAttr::get(tableType, ArrayRef<float>(numbers)));
  SmallVector<Value> results;
  for (int repeat = 0; repeat < 2; ++repeat) {
    KernelBuilder k = c.kernel({6, 10});
    k.input(repeat ? results[0] : x, {k.d(0), k.d(1)});
    k.input(table, {k.d(0) % 3, k.d(1)});
    k.result({6, 10}, {k.d(0), k.d(1)});
    results.push_back(k.build([](nn::Region &, In in) -> Scalars { return {in[0] + in[1]}; }).getResult(0));
  }
  c.check(results);
}

TEST(Rows, NothingIsReadToFill) {
  FunctionCase c;
  KernelBuilder k = c.kernel({3, 50});
  k.result({3, 50}, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &region, In) -> Scalars { return {region.constant(2.5)}; });
  c.check(op.getResults());
}

//===----------------------------------------------------------------------===//
// The object
//===----------------------------------------------------------------------===//

TEST(Rows, EqualKernelsShareTheirCode) {
  FunctionCase c;
  Value x = c.argument({64, 100}), y = x;
  for (int i = 0; i < 20; ++i) {
    KernelBuilder k = c.kernel({64, 100});
    k.input(y, {k.d(0), k.d(1)});
    k.result({64, 100}, {k.d(0), k.d(1)});
    y = k.build([](nn::Region &, In in) -> Scalars { return {nn::tanh(in[0])}; }).getResult(0);
  }
  func::ReturnOp::create(c.builder, c.builder.getUnknownLoc(), y);
  c.function.setFunctionType(c.builder.getFunctionType({x.getType()}, {y.getType()}));
  auto jit = JitModule::compile(*c.module, machineFor());
  ASSERT_TRUE(jit);
  EXPECT_LT(jit->object.object.size(), 12000u);
  EXPECT_EQ(jit->object.functions, std::vector<std::string>{"f"});
}

} // namespace
