//===- LossKernelsTest.cpp - kernels of losses and of the optimizer -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// As KernelsTest.cpp. The same cases run compiled, see test/unit/passes/lowering/cpu/OperationsTest.cpp,
// which includes this file.
//===----------------------------------------------------------------------===//
#include "test/unit/dialects/nn/KernelsFixture.h"

using namespace contraflow;
using namespace contraflow::test;

namespace {

TEST_F(Kernels, CrossEntropy) {
  for (auto [tokens, vocab, low] :
       {std::tuple(1, 1, 0), std::tuple(17, 127, -20), std::tuple(127, 3, 0), std::tuple(3, 17, -1)})
    for (bool none : {false, true}) {
      Call call{{normal({tokens, vocab}, 3), none ? ids(tokens, -1, -1) : ids(tokens, low, vocab - 1)}, {1}};
      const Array &logits = call.arguments[0], &targets = call.arguments[1];
      std::string lse = "<" + str(tokens) + ">";
      std::vector<Array> found =
          run(call, "%r, %l = nn.cross_entropy %a0, %a1 : " + call.t(0) + ", " + call.t(1), {"%r", "%l"},
              {"<1>", lse});
      expectNear(found[0], reference::crossEntropy(logits, targets), "cross_entropy");
      Call back{{normal({1}), logits, targets, found[1]}, {2}};
      Array d = run(back,
                    "%r = nn.cross_entropy_input_grad %a0, %a1, %a2, %a3 : " + call.t(0) + ", " + call.t(1) +
                        ", " + lse,
                    {"%r"}, {call.t(0)})[0];
      expectGradient(
          d, logits, back.arguments[0], [&](const Array &at) { return reference::crossEntropy(at, targets); },
          "cross_entropy_input_grad");

      expectNear(found[1], reference::logSumExp(logits), "lse of cross_entropy");
      back.arguments.push_back(normal({tokens}));
      Array both = run(back,
                       "%r = nn.cross_entropy_input_grad %a0, %a1, %a2, %a3 lse_grad(%a4 : " + lse +
                           ") : " + call.t(0) + ", " + call.t(1) + ", " + lse,
                       {"%r"}, {call.t(0)})[0];
      auto weighted = [&](const Array &at) {
        Array sum = reference::crossEntropy(at, targets), rows = reference::logSumExp(at);
        sum[0] *= back.arguments[0][0];
        for (int64_t t = 0; t < tokens; ++t)
          sum[0] += back.arguments[4][t] * rows[t];
        return sum;
      };
      expectGradient(both, logits, Array({1}, std::vector<double>{1}), weighted,
                     "cross_entropy_input_grad with lse_grad");
    }
}

TEST_F(Kernels, Accuracy) {
  for (auto [tokens, vocab] :
       {std::tuple(1, 1), std::tuple(17, 127), std::tuple(127, 3), std::tuple(300, 17)})
    for (int levels : {1, 3, 1000}) {
      // Few levels make many ties, of which the lowest index counts.
      Call call{{normal({tokens, vocab}, 3), ids(tokens, -1, vocab - 1)}, {1}};
      for (double &value : call.arguments[0].data)
        value = std::round(value * levels) / levels;
      Array &logits = call.arguments[0], &targets = call.arguments[1];
      // Every second target is the largest, which chance seldom hits, or the last of the largest.
      for (int64_t t = 0; t < tokens; t += 2) {
        double *row = &logits[t * vocab];
        targets[t] = double(std::max_element(row, row + vocab) - row);
        row[vocab - 1] = t % 4 == 0 ? row[vocab - 1] : row[int64_t(targets[t])];
      }
      std::vector<Array> found =
          run(call, "%r = nn.accuracy %a0, %a1 : " + call.t(0) + ", " + call.t(1), {"%r"}, {"<2>"});
      Array wanted = reference::accuracy(logits, targets);
      EXPECT_EQ(found[0].data, wanted.data) << tokens << " x " << vocab;
      EXPECT_GE(wanted[0] * 2 + 1, tokens);
    }
}

TEST_F(Kernels, AccuracyIgnoresWhatIsNoNumber) {
  double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  Call call{{Array({5, 2}, {1, nan, nan, 1, infinity, 1, -infinity, -infinity, nan, nan}),
             Array({5}, std::vector<double>{0, 0, 0, 0, 1})},
            {1}};
  std::vector<Array> found =
      run(call, "%r = nn.accuracy %a0, %a1 : " + call.t(0) + ", " + call.t(1), {"%r"}, {"<2>"});
  EXPECT_EQ(found[0].data, (std::vector<double>{2, 5}));
}

TEST_F(Kernels, Mean) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{1}, {17}, {127}, {4099}, {1, 1}, {17, 3}, {3, 127}, {127, 17}})
    for (int low : {-20, -1, 0}) {
      Call call{{normal(shape), ids(shape[0], low, low == -20 ? -1 : 3)}, {1}};
      for (bool hasValid : {false, true}) {
        const Array *valid = hasValid ? &call.arguments[1] : nullptr;
        auto text = [&](const std::string &name) {
          return (hasValid ? " valid(" + name + " : " + call.t(1) + ")" : "") + " : " + call.t(0);
        };
        expectNear(run(call, "%r = nn.mean %a0" + text("%a1"), {"%r"}, {"<1>"})[0],
                   reference::mean(call.arguments[0], valid), "mean");
        Call back{{normal({1}), call.arguments[1]}, {1}};
        Array d = run(back, "%r = nn.mean_input_grad %a0" + text("%a1"), {"%r"}, {call.t(0)})[0];
        expectGradient(
            d, call.arguments[0], back.arguments[0],
            [&](const Array &at) { return reference::mean(at, valid); }, "mean_input_grad");
      }
    }
}

TEST_F(Kernels, ZeroAndAccumulate) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{1}, {17, 3}, {3, 17, 5}, {4096}, {8192}, {12289}}) {
    Array zero(shape);
    expectNear(run({{}, {}}, "%r = nn.zero : " + type(zero), {"%r"}, {type(zero)})[0], zero, "zero");
    Call call{{normal(shape), normal(shape)}, {}};
    Array wanted =
        reference::zip(call.arguments[0], call.arguments[1], [](double a, double b) { return a + b; });
    expectNear(run(call, "%r = nn.accumulate %a0, %a1 : " + call.t(0), {"%r"}, {call.t(0)})[0], wanted,
               "accumulate");
    expectNear(run({{}, {}}, "%r = nn.fill with(-0.25) : " + type(zero), {"%r"}, {type(zero)})[0],
               Array(shape, -0.25), "fill");
    Call one{{normal(shape)}, {}};
    expectNear(run(one, "%r = nn.copy %a0 : " + one.t(0), {"%r"}, {one.t(0)})[0], one.arguments[0], "copy");
  }
}

TEST_F(Kernels, SumSquares) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{1}, {17}, {4096}, {4097}, {12289}, {17, 3}, {3, 17, 5}, {5000, 3}}) {
    Call call{{normal(shape)}, {}};
    double sum = 0;
    for (double x : call.arguments[0].data)
      sum += x * x;
    Array wanted({1}, std::vector<double>{sum});
    expectNear(run(call, "%r = nn.sum_squares %a0 : " + call.t(0), {"%r"}, {"<1>"})[0], wanted,
               "sum_squares");
  }
}

TEST_F(Kernels, ClipFactor) {
  for (double squares : {0.0, 0.25, 9.0})
    for (double limit : {0.0, 1.0}) {
      Call call{{Array({1}, std::vector<double>{squares}), normal({16})}, {}};
      Array wanted = call.arguments[1];
      wanted[3] = limit == 0 ? 1 : std::min(1.0, limit / (std::sqrt(squares) + 1e-6));
      wanted[4] = std::sqrt(squares);
      expectNear(run(call, "%r = nn.clip_factor %a0, %a1 max_norm(" + num(limit) + ")", {"%r"}, {"<16>"})[0],
                 wanted, "clip_factor");
    }
}

TEST_F(Kernels, Ema) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{1}, {4097}, {8192}, {12289}, {17, 3}, {3, 17, 5}}) {
    Call call{{normal(shape), normal(shape)}, {}};
    Array wanted = reference::zip(call.arguments[0], call.arguments[1],
                                  [](double average, double x) { return 0.99 * average + 0.01 * x; });
    expectNear(run(call, "%r = nn.ema %a0, %a1 decay(0.99) : " + call.t(0), {"%r"}, {call.t(0)})[0], wanted,
               "ema");
    // An average that its value has reached stays there, to the bit.
    Array reached = call.arguments[0];
    for (double &value : reached.data)
      value = double(float(value));
    Call same{{reached, reached}, {}};
    EXPECT_EQ(run(same, "%r = nn.ema %a0, %a1 decay(0.99) : " + call.t(0), {"%r"}, {call.t(0)})[0].data,
              reached.data);
  }
}

TEST_F(Kernels, AdamW) {
  for (const std::vector<int64_t> &shape : {std::vector<int64_t>{1}, {127}, {17, 3}, {3, 17, 5}}) {
    Call call{{normal(shape), normal(shape), normal(shape, 0.1), normal(shape), normal({16})}, {}};
    reference::AdamW options{0.9, 0.95, 1e-3, 0.1, 0.01, 0.3, 0.4, 0.5};
    Array &scalars = call.arguments[4];
    scalars[0] = options.lr;
    scalars[1] = options.correction1;
    scalars[2] = options.correction2;
    scalars[3] = options.clip;
    Array &v = call.arguments[3];
    v = reference::map(v, [](double x) { return x * x; });
    std::string t = call.t(0);
    std::vector<Array> found = run(call,
                                   "%p, %m, %v = nn.adamw %a0, %a1, %a2, %a3, %a4 beta1(0.9) beta2(0.95) "
                                   "eps(0.001) weight_decay(0.1) : " +
                                       t,
                                   {"%p", "%m", "%v"}, {t, t, t});
    Array p = call.arguments[0], m = call.arguments[2], second = v;
    reference::adamw(p, call.arguments[1], m, second, options);
    expectNear(found[0], p, "param");
    expectNear(found[1], m, "first moment");
    expectNear(found[2], second, "second moment");
  }
}

} // namespace
