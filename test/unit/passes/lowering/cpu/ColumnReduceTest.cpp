//===- ColumnReduceTest.cpp - sums over rows, compiled --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoweringTest.h"

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;
using nn::KernelBuilder;
using nn::Scalar;
using nn::Scalars;

namespace {

using In = ArrayRef<Scalar>;

class ColumnReduce : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
protected:
  int64_t rows = GetParam().first, columns = GetParam().second;
};
INSTANTIATE_TEST_SUITE_P(Shapes, ColumnReduce,
                         testing::Values(std::pair(1, 1), std::pair(3, 1), std::pair(1, 17),
                                         std::pair(127, 3), std::pair(17, 16), std::pair(33, 127),
                                         std::pair(50, 256), std::pair(9, 1000), std::pair(4, 3001)));

TEST_P(ColumnReduce, SumsOfProducts) {
  FunctionCase c;
  Value x = c.argument({rows, columns}), y = c.argument({rows, columns}), scale = c.argument({rows});
  Value sum = c.argument({columns}), other = c.argument({columns});
  KernelBuilder k = c.kernel(nn::ColumnReduceAnchorAttr::get(c.context.get()), {rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  k.input(y, {k.d(0), k.d(1)});
  k.input(scale, {k.d(0)});
  unsigned first = k.input(sum, {k.d(1)}), second = k.input(other, {k.d(1)});
  k.tiedResult(first, {k.d(1)});
  k.tiedResult(second, {k.d(1)});
  nn::KernelOp op =
      k.build([](nn::Region &, In in) -> Scalars { return {in[0] * in[1] * in[2], in[0] - in[1]}; });
  c.check(op.getResults());
}

TEST_P(ColumnReduce, RowsChosenByIndex) {
  FunctionCase c;
  Value x = c.argument({rows, columns}), ids = c.indices({rows}, -1, 5), table = c.argument({5, columns}),
        total = c.argument({columns});
  KernelBuilder k = c.kernel(nn::ColumnReduceAnchorAttr::get(c.context.get()), {rows, columns});
  k.input(x, {k.d(0), k.d(1)});
  int64_t id = k.input(ids, {k.d(0)});
  unsigned into = k.input(table, {k.s(0), k.d(1)}, {id}), all = k.input(total, {k.d(1)});
  k.tiedResult(into, {k.s(0), k.d(1)}, {id});
  k.tiedResult(all, {k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &, In in) -> Scalars { return {in[0] * 2.0, in[0]}; });
  c.check(op.getResults());
}

} // namespace
