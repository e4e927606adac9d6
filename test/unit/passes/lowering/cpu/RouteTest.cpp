//===- RouteTest.cpp - choice of experts, compiled ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoweringTest.h"

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;
using nn::KernelBuilder;

namespace {

struct RouteShape {
  int64_t tokens, experts, topK, groups, limit, groupTop;
};

class Route : public testing::TestWithParam<RouteShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Route,
                         testing::Values(RouteShape{1, 1, 1, 1, 1, 1}, RouteShape{3, 4, 2, 1, 1, 1},
                                         RouteShape{127, 16, 4, 4, 2, 2}, RouteShape{17, 8, 2, 4, 2, 2},
                                         RouteShape{2048, 16, 4, 4, 2, 2}, RouteShape{300, 64, 8, 8, 4, 1},
                                         RouteShape{40, 256, 8, 8, 4, 2}, RouteShape{5, 6, 6, 1, 1, 1},
                                         RouteShape{64, 9, 3, 3, 1, 3}));

Attribute anchorOf(FunctionCase &c, const RouteShape &s, bool normalize, bool bias, bool valid, int64_t seq) {
  return nn::RouteAnchorAttr::get(c.context.get(), s.groups, s.limit, s.groupTop, normalize,
                                  // Negative gates look like ids that do not count.
                                  c.builder.getF32FloatAttr(normalize ? 2.5f : -2.5f), bias, valid, seq);
}

/// Scores of few different values, so that ties are frequent.
Value makeScores(FunctionCase &c, const RouteShape &s, bool ties) {
  std::vector<double> scores(s.tokens * s.experts);
  for (double &score : scores)
    score = ties ? (c.random() % 4) / 4.0 + 0.125 : (c.random() % 100000) / 131072.0;
  return c.argument({s.tokens, s.experts}, scores);
}

TEST_P(Route, GatesTableAndLoad) {
  RouteShape s = GetParam();
  for (bool ties : {false, true})
    for (bool options : {false, true}) {
      FunctionCase c;
      Value scores = makeScores(c, s, ties), bias = c.argument({s.experts}),
            valid = c.indices({s.tokens}, -1, 3);
      if (ties) // Sums stay exact, so that ties are ties.
        for (double &b : c.arrays[1].data)
          b = std::floor(b * 4) / 4;
      KernelBuilder k = c.kernel(anchorOf(c, s, options, options, options, 0), {s.tokens, s.experts, s.topK});
      k.input(scores, {k.d(0), k.d(1)});
      if (options) {
        k.input(bias, {k.d(1)});
        k.input(valid, {k.d(0)});
      }
      k.result({s.tokens, s.topK}, {k.d(0), k.d(2)});
      k.result(c.type({3 * s.tokens * s.topK + s.experts + 1}, true), {k.c(0)});
      k.result({s.experts}, {k.d(1)});
      c.check(k.build().getResults());
    }
}

TEST_P(Route, CountsPerSequence) {
  RouteShape s = GetParam();
  for (int64_t sequences : {int64_t(1), s.tokens % 4 == 0 ? int64_t(4) : s.tokens})
    for (bool options : {false, true}) {
      FunctionCase c;
      Value scores = makeScores(c, s, true), valid = c.indices({s.tokens}, -1, 3);
      int64_t seq = s.tokens / sequences;
      KernelBuilder k = c.kernel(anchorOf(c, s, false, false, options, seq), {s.tokens, s.experts, s.topK});
      k.input(scores, {k.d(0), k.d(1)});
      if (options)
        k.input(valid, {k.d(0)});
      k.result({sequences, s.experts}, {k.d(0).floorDiv(seq), k.d(1)});
      c.check(k.build().getResults());
    }
}

} // namespace
