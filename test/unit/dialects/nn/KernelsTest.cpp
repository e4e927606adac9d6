//===- KernelsTest.cpp - kernels of every operation against formulas ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every operation is built into kernels, the kernels are interpreted in double precision, and the result is
// compared with a reference written from the formula. Gradients are compared with numerical derivatives of
// the reference along random directions. Sizes are odd: 1, 3, 17, 127. The same cases run compiled, see
// test/unit/passes/lowering/cpu/OperationsTest.cpp, which defines CONTRAFLOW_COMPILED and includes this file.
// Losses and the optimizer are in LossKernelsTest.cpp.
//===----------------------------------------------------------------------===//
#include "test/unit/dialects/nn/KernelsFixture.h"
#include <numeric>

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;

#ifndef CONTRAFLOW_COMPILED
/// Kernels hold f32 constants (eps, scales, angles) and everything else is exact to double precision.
const double contraflow::test::kTolerance = 2e-6;

FailureOr<std::vector<Array>> contraflow::test::execute(func::FuncOp function, ArrayRef<Array> arguments) {
  return interpretFunction(function, arguments);
}
#endif

namespace {

//===----------------------------------------------------------------------===//
// Matrix products and lookups
//===----------------------------------------------------------------------===//

TEST_F(Kernels, Embedding) {
  for (auto [tokens, vocab, hidden] : {std::tuple(1, 1, 1), std::tuple(17, 3, 127), std::tuple(127, 17, 3)}) {
    Call call{{ids(tokens, -1, vocab - 1), normal({vocab, hidden})}, {0}};
    Array y = run(call,
                  "%r = nn.embedding %a0, %a1 : (" + call.t(0) + ", " + call.t(1) + ") -> <" + str(tokens) +
                      " x " + str(hidden) + ">",
                  {"%r"}, {"<" + str(tokens) + " x " + str(hidden) + ">"})[0];
    expectNear(y, reference::embedding(call.arguments[0], call.arguments[1]), "embedding");

    Array grad = normal(y.shape);
    Call back{{grad, call.arguments[0]}, {1}};
    Array d =
        run(back,
            "%r = nn.embedding_weight_grad %a0, %a1 : (" + back.t(0) + ", " + back.t(1) + ") -> " + call.t(1),
            {"%r"}, {call.t(1)})[0];
    auto f = [&](const Array &table) { return reference::embedding(call.arguments[0], table); };
    expectGradient(d, call.arguments[1], grad, f, "embedding_weight_grad");
  }
}

TEST_F(Kernels, Linear) {
  for (auto [tokens, out, in] : {std::tuple(1, 1, 1), std::tuple(3, 17, 127), std::tuple(17, 127, 3)}) {
    Call call{{normal({tokens, in}), normal({out, in})}, {}};
    std::string y = "<" + str(tokens) + " x " + str(out) + ">";
    Array found =
        run(call, "%r = nn.linear %a0, %a1 : (" + call.t(0) + ", " + call.t(1) + ") -> " + y, {"%r"}, {y})[0];
    expectNear(found, reference::linear(call.arguments[0], call.arguments[1]), "linear");

    Array grad = normal(found.shape);
    Call input{{grad, call.arguments[1]}, {}}, weight{{grad, call.arguments[0]}, {}};
    Array dx =
        run(input,
            "%r = nn.linear_input_grad %a0, %a1 : (" + input.t(0) + ", " + input.t(1) + ") -> " + call.t(0),
            {"%r"}, {call.t(0)})[0];
    Array dw = run(weight,
                   "%r = nn.linear_weight_grad %a0, %a1 : (" + weight.t(0) + ", " + weight.t(1) + ") -> " +
                       call.t(1),
                   {"%r"}, {call.t(1)})[0];
    const Array &x = call.arguments[0], &w = call.arguments[1];
    expectGradient(
        dx, x, grad, [&](const Array &at) { return reference::linear(at, w); }, "linear_input_grad");
    expectGradient(
        dw, w, grad, [&](const Array &at) { return reference::linear(x, at); }, "linear_weight_grad");
  }
}

//===----------------------------------------------------------------------===//
// Norm, rotation, attention
//===----------------------------------------------------------------------===//

TEST_F(Kernels, RmsNorm) {
  for (auto [tokens, groups, width] :
       {std::tuple(1, 1, 1), std::tuple(17, 1, 127), std::tuple(3, 3, 17), std::tuple(127, 17, 1)}) {
    double eps = 0.01;
    Call call{{normal({tokens, groups * width}), normal({width})}, {}};
    const Array &x = call.arguments[0], &w = call.arguments[1];
    Array y = run(call, "%r = nn.rms_norm %a0, %a1 eps(" + num(eps) + ") : " + call.t(0) + ", " + call.t(1),
                  {"%r"}, {call.t(0)})[0];
    expectNear(y, reference::rmsNorm(x, w, eps), "rms_norm");

    Array grad = normal(x.shape);
    Call input{{grad, x, w}, {}}, weight{{grad, x}, {}};
    Array dx = run(input,
                   "%r = nn.rms_norm_input_grad %a0, %a1, %a2 eps(" + num(eps) + ") : " + input.t(1) + ", " +
                       input.t(2),
                   {"%r"}, {call.t(0)})[0];
    Array dw = run(weight,
                   "%r = nn.rms_norm_weight_grad %a0, %a1 eps(" + num(eps) + ") : " + weight.t(1) + " -> " +
                       call.t(1),
                   {"%r"}, {call.t(1)})[0];
    expectGradient(
        dx, x, grad, [&](const Array &at) { return reference::rmsNorm(at, w, eps); }, "rms_norm_input_grad");
    expectGradient(
        dw, w, grad, [&](const Array &at) { return reference::rmsNorm(x, at, eps); }, "rms_norm_weight_grad");
  }
}

TEST_F(Kernels, Rope) {
  for (auto [sequences, seq, heads, size] :
       {std::tuple(1, 1, 1, 2), std::tuple(3, 17, 1, 6), std::tuple(1, 127, 3, 34), std::tuple(2, 3, 17, 64)})
    for (bool interleaved : {true, false})
      for (double factor : {1.0, 40.0}) {
        reference::Rope options{size, seq, 10000.0, interleaved, factor, 32, 1, 64, factor == 1 ? 1 : 0.707};
        Call call{{normal({sequences * seq, heads * size})}, {}};
        const Array &x = call.arguments[0];
        std::string attributes = " head_dim(" + str(size) + ") seq(" + str(seq) +
                                 ") theta(10000.0) style(\"" + (interleaved ? "interleaved" : "half") +
                                 "\") ";
        if (factor != 1)
          attributes += "yarn(factor = 40.0, beta_fast = 32, beta_slow = 1, original_length = 64, "
                        "attention_factor = 0.707) ";
        Array y = run(call, "%r = nn.rope %a0" + attributes + ": " + call.t(0), {"%r"}, {call.t(0)})[0];
        expectNear(y, reference::rope(x, options), "rope");
        Call back{{normal(x.shape)}, {}};
        Array d =
            run(back, "%r = nn.rope_input_grad %a0" + attributes + ": " + call.t(0), {"%r"}, {call.t(0)})[0];
        expectGradient(
            d, x, back.arguments[0], [&](const Array &at) { return reference::rope(at, options); },
            "rope_input_grad");
      }
}

TEST_F(Kernels, Attention) {
  for (auto [sequences, seq, heads, kvHeads, size, vSize] :
       {std::tuple(1, 1, 1, 1, 1, 1), std::tuple(2, 17, 3, 3, 5, 3), std::tuple(1, 17, 6, 2, 3, 17),
        std::tuple(3, 3, 4, 1, 17, 1)})
    for (bool causal : {true, false})
      for (bool hasStarts : {false, true}) {
        int64_t rows = sequences * seq;
        reference::Attention options{heads, kvHeads, seq, 0.25, causal};
        Array q = normal({rows, heads * size}), k = normal({rows, kvHeads * size}),
              v = normal({rows, kvHeads * vSize});
        Array starts({rows});
        for (int64_t t = 0; t < rows; ++t)
          starts[t] = std::uniform_int_distribution<int64_t>(0, t % seq)(random);
        const Array *mask = hasStarts ? &starts : nullptr;
        Call call{{q, k, v}, {3}};
        if (hasStarts)
          call.arguments.push_back(starts);
        std::string attributes = std::string(hasStarts ? " starts(%aN : " + type(starts, true) + ")" : "") +
                                 (causal ? " causal" : "") + " heads(" + str(heads) + ") kv_heads(" +
                                 str(kvHeads) + ") seq(" + str(seq) + ") scale(0.25)";
        auto withStarts = [&](const std::string &name) {
          std::string text = attributes;
          if (size_t at = text.find("%aN"); at != std::string::npos)
            text.replace(at, 3, name);
          return text;
        };
        std::string o = "<" + str(rows) + " x " + str(heads * vSize) + ">",
                    lse = "<" + str(rows) + " x " + str(heads) + ">";
        std::vector<Array> found =
            run(call,
                "%r, %l = nn.attention %a0, %a1, %a2" + withStarts("%a3") + " : (" + call.t(0) + ", " +
                    call.t(1) + ", " + call.t(2) + ") -> (" + o + ", " + lse + ")",
                {"%r", "%l"}, {o, lse});
        expectNear(found[0], reference::attention(q, k, v, mask, options), "attention");

        Array grad = normal(found[0].shape);
        Call back{{grad, q, k, v, found[0], found[1]}, {6}};
        if (hasStarts)
          back.arguments.push_back(starts);
        std::vector<Array> d = run(back,
                                   "%q, %k, %v = nn.attention_input_grad %a0, %a1, %a2, %a3, %a4, %a5" +
                                       withStarts("%a6") + " : " + back.t(0) + ", " + back.t(1) + ", " +
                                       back.t(2) + ", " + back.t(3) + ", " + back.t(5),
                                   {"%q", "%k", "%v"}, {back.t(1), back.t(2), back.t(3)});
        expectGradient(
            d[0], q, grad, [&](const Array &at) { return reference::attention(at, k, v, mask, options); },
            "dq");
        expectGradient(
            d[1], k, grad, [&](const Array &at) { return reference::attention(q, at, v, mask, options); },
            "dk");
        expectGradient(
            d[2], v, grad, [&](const Array &at) { return reference::attention(q, k, at, mask, options); },
            "dv");

        expectNear(found[1], reference::attentionLse(q, k, mask, options), "lse of attention");
        Array lseGrad = normal({rows, heads});
        back.arguments.insert(back.arguments.begin() + 6, lseGrad);
        back.idArguments = {7};
        std::vector<Array> both =
            run(back,
                "%q, %k, %v = nn.attention_input_grad %a0, %a1, %a2, %a3, %a4, %a5 lse_grad(%a6 : " + lse +
                    ")" + withStarts("%a7") + " : " + back.t(0) + ", " + back.t(1) + ", " + back.t(2) + ", " +
                    back.t(3) + ", " + back.t(5),
                {"%q", "%k", "%v"}, {back.t(1), back.t(2), back.t(3)});
        auto weighted = [&](const Array &query, const Array &key) {
          Array output = reference::attention(query, key, v, mask, options);
          Array rowLse = reference::attentionLse(query, key, mask, options);
          double sum = std::inner_product(output.data.begin(), output.data.end(), grad.data.begin(), 0.0);
          sum = std::inner_product(rowLse.data.begin(), rowLse.data.end(), lseGrad.data.begin(), sum);
          return Array({1}, std::vector<double>{sum});
        };
        Array one({1}, std::vector<double>{1});
        expectGradient(both[0], q, one, [&](const Array &at) { return weighted(at, k); }, "dq with lse_grad");
        expectGradient(both[1], k, one, [&](const Array &at) { return weighted(q, at); }, "dk with lse_grad");
        EXPECT_EQ(both[2].data, d[2].data) << "dv does not depend on lse_grad";
      }
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// Words are i32: those of the upper half are negative.
Array randomKey(int64_t microBatch) {
  return Array({4}, std::vector<double>{-1234567891, 987654321, double(microBatch), 0});
}

TEST_F(Kernels, Dropout) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{1, 1}, {17, 3}, {3, 127}, {70, 64}, {5, 1000}})
    for (double p : {0.1, 0.5, 0.9999})
      for (int64_t microBatch : {0, 1, 5}) {
        reference::Drop drop{p, randomKey(microBatch), microBatch + 3};
        Call call{{normal(shape), drop.key}, {1}};
        std::string text = "%r = nn.dropout %a0 p(" + num(p) + ") random(%a1 : <4 : i32>) stream(" +
                           str(drop.stream) + ") : " + call.t(0);
        Array factors = reference::dropFactors(shape, drop);
        auto f = [&](const Array &x) {
          return reference::zip(x, factors, [](double a, double b) { return a * b; });
        };
        expectNear(run(call, text, {"%r"}, {call.t(0)})[0], f(call.arguments[0]), "dropout");
        // The gradient is the same operation: what is dropped sends nothing back.
        Call back{{normal(shape), drop.key}, {1}};
        expectGradient(run(back, text, {"%r"}, {call.t(0)})[0], call.arguments[0], back.arguments[0], f,
                       "gradient of dropout");
      }
}

TEST_F(Kernels, AttentionDropout) {
  for (auto [sequences, seq, heads, kvHeads, size, vSize] :
       {std::tuple(1, 3, 1, 1, 2, 1), std::tuple(2, 17, 3, 3, 5, 3), std::tuple(2, 35, 4, 2, 3, 17)})
    for (bool hasStarts : {false, true}) {
      int64_t rows = sequences * seq;
      reference::Attention options{heads, kvHeads, seq, 0.25, !hasStarts, {0.3, randomKey(2), 6}};
      Array q = normal({rows, heads * size}), k = normal({rows, kvHeads * size}),
            v = normal({rows, kvHeads * vSize}), starts({rows});
      for (int64_t t = 0; t < rows; ++t)
        starts[t] = std::uniform_int_distribution<int64_t>(0, t % seq)(random);
      const Array *mask = hasStarts ? &starts : nullptr;
      // Starts and the key stand last, in this order.
      auto attributes = [&](Call &call) {
        unsigned next = call.arguments.size();
        std::string text =
            hasStarts ? " starts(%a" + str(next++) + " : " + type(starts, true) + ")" : " causal";
        if (hasStarts)
          call.arguments.push_back(starts);
        call.arguments.push_back(options.drop.key);
        for (unsigned i = next - hasStarts; i < call.arguments.size(); ++i)
          call.idArguments.push_back(i);
        return text + " heads(" + str(heads) + ") kv_heads(" + str(kvHeads) + ") seq(" + str(seq) +
               ") scale(0.25) dropout(0.3) random(%a" + str(next) + " : <4 : i32>) stream(6)";
      };
      std::string o = "<" + str(rows) + " x " + str(heads * vSize) + ">",
                  lse = "<" + str(rows) + " x " + str(heads) + ">";
      Call call{{q, k, v}, {}};
      std::string suffix = attributes(call);
      std::vector<Array> found =
          run(call,
              "%r, %l = nn.attention %a0, %a1, %a2" + suffix + " : (" + call.t(0) + ", " + call.t(1) + ", " +
                  call.t(2) + ") -> (" + o + ", " + lse + ")",
              {"%r", "%l"}, {o, lse});
      expectNear(found[0], reference::attention(q, k, v, mask, options), "attention with dropout");
      expectNear(found[1], reference::attentionLse(q, k, mask, options), "lse does not depend on dropout");

      Array grad = normal(found[0].shape);
      Call back{{grad, q, k, v, found[0], found[1]}, {}};
      suffix = attributes(back);
      std::vector<Array> d =
          run(back,
              "%q, %k, %v = nn.attention_input_grad %a0, %a1, %a2, %a3, %a4, %a5" + suffix + " : " +
                  back.t(0) + ", " + back.t(1) + ", " + back.t(2) + ", " + back.t(3) + ", " + back.t(5),
              {"%q", "%k", "%v"}, {back.t(1), back.t(2), back.t(3)});
      auto f = [&](const Array &query, const Array &key, const Array &value) {
        return reference::attention(query, key, value, mask, options);
      };
      expectGradient(d[0], q, grad, [&](const Array &at) { return f(at, k, v); }, "dq with dropout");
      expectGradient(d[1], k, grad, [&](const Array &at) { return f(q, at, v); }, "dk with dropout");
      expectGradient(d[2], v, grad, [&](const Array &at) { return f(q, k, at); }, "dv with dropout");
    }
}

// Of many points a share of p is dropped; rows, columns, streams, steps and micro-batches differ.
TEST_F(Kernels, DropoutDropsAShareOfP) {
  const std::vector<int64_t> shape{64, 512};
  auto kept = [&](const Array &key, int64_t stream, double p) {
    Array factors = reference::dropFactors(shape, {p, key, stream});
    return reference::map(factors, [](double x) { return x != 0; });
  };
  auto share = [](const Array &a, const Array &b) {
    return std::inner_product(a.data.begin(), a.data.end(), b.data.begin(), 0.0) / double(a.size());
  };
  for (double p : {0.1, 0.25, 0.5}) {
    Array first = kept(randomKey(0), 0, p);
    double error = 5 * std::sqrt(p * (1 - p) / double(first.size()));
    EXPECT_NEAR(share(first, first), 1 - p, error);
    Array otherKey = randomKey(0);
    otherKey[1] += 1;
    for (const Array &other : {kept(randomKey(1), 0, p), kept(randomKey(0), 1, p), kept(otherKey, 0, p)})
      EXPECT_NEAR(share(first, other), (1 - p) * (1 - p), error) << "masks depend on each other";
    // Neighbours in a row and in a column.
    Array right = first, below = first;
    std::rotate(right.data.begin(), right.data.begin() + 1, right.data.end());
    std::rotate(below.data.begin(), below.data.begin() + shape[1], below.data.end());
    EXPECT_NEAR(share(first, right), (1 - p) * (1 - p), error);
    EXPECT_NEAR(share(first, below), (1 - p) * (1 - p), error);
  }
  // The rows of two micro-batches are those of one of twice the size.
  Array whole = reference::dropFactors({128, 16}, {0.5, randomKey(0), 2});
  for (int64_t m = 0; m < 2; ++m) {
    Array half = reference::dropFactors({64, 16}, {0.5, randomKey(m), 2});
    EXPECT_TRUE(std::equal(half.data.begin(), half.data.end(), whole.data.begin() + m * 64 * 16));
  }
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

TEST_F(Kernels, Unary) {
  struct Case {
    std::string op, attributes, value; // what the gradient takes: the input or the output
    std::function<double(double)> f;
  };
  const Case cases[] = {
      {"sigmoid", "", "output", reference::sigmoid},
      {"tanh", "", "output", [](double x) { return std::tanh(x); }},
      {"silu", "", "input", reference::silu},
      {"gelu", "", "input", [](double x) { return reference::gelu(x, false); }},
      {"gelu", " approximate(\"tanh\")", "input", [](double x) { return reference::gelu(x, true); }},
      {"scale", " by(-2.5)", "", [](double x) { return -2.5 * x; }},
  };
  for (const std::vector<int64_t> &shape : {std::vector<int64_t>{1}, {127}, {3, 17}, {3, 1, 17}})
    for (const Case &c : cases) {
      Call call{{normal(shape, 2)}, {}};
      const Array &x = call.arguments[0];
      Array y =
          run(call, "%r = nn." + c.op + " %a0" + c.attributes + " : " + call.t(0), {"%r"}, {call.t(0)})[0];
      expectNear(y, reference::map(x, c.f), c.op);
      if (c.value.empty())
        continue;
      Call back{{normal(shape), c.value == "input" ? x : y}, {}};
      Array d = run(back, "%r = nn." + c.op + "_input_grad %a0, %a1" + c.attributes + " : " + call.t(0),
                    {"%r"}, {call.t(0)})[0];
      expectGradient(
          d, x, back.arguments[0], [&](const Array &at) { return reference::map(at, c.f); },
          c.op + "_input_grad");
    }
}

TEST_F(Kernels, Binary) {
  const std::pair<std::string, std::function<double(double, double)>> cases[] = {
      {"add", [](double x, double y) { return x + y; }},
      {"sub", [](double x, double y) { return x - y; }},
      {"mul", [](double x, double y) { return x * y; }},
  };
  for (auto &[op, f] : cases)
    for (auto [rows, columns] : {std::pair(1, 1), std::pair(17, 3), std::pair(3, 127)})
      for (const std::vector<int64_t> &right :
           {std::vector<int64_t>{rows, columns}, {columns}, {1}, {rows, 1}, {1, columns}}) {
        Call call{{normal({rows, columns}), normal(right)}, {}};
        Array y = run(call, "%r = nn." + op + " %a0, %a1 : " + call.t(0) + ", " + call.t(1), {"%r"},
                      {call.t(0)})[0];
        Array wanted(y.shape);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c) {
            int64_t i = right.size() == 2 && right[0] != 1 ? r * right[1] + (right[1] == 1 ? 0 : c)
                                                           : (right.back() == 1 ? 0 : c);
            wanted(r, c) = f(call.arguments[0](r, c), call.arguments[1][i]);
          }
        expectNear(y, wanted, op);
      }
}

TEST_F(Kernels, Swiglu) {
  for (const std::vector<int64_t> &shape : {std::vector<int64_t>{1, 1}, {17, 127}}) {
    Call call{{normal(shape), normal(shape)}, {}};
    const Array &gate = call.arguments[0], &up = call.arguments[1];
    auto f = [](const Array &gate, const Array &up) {
      return reference::zip(gate, up, [](double g, double u) { return reference::silu(g) * u; });
    };
    Array y = run(call, "%r = nn.swiglu %a0, %a1 : " + call.t(0), {"%r"}, {call.t(0)})[0];
    expectNear(y, f(gate, up), "swiglu");
    Call back{{normal(shape), gate, up}, {}};
    std::vector<Array> d = run(back, "%g, %u = nn.swiglu_input_grad %a0, %a1, %a2 : " + call.t(0),
                               {"%g", "%u"}, {call.t(0), call.t(0)});
    expectGradient(d[0], gate, back.arguments[0], [&](const Array &at) { return f(at, up); }, "gate_grad");
    expectGradient(d[1], up, back.arguments[0], [&](const Array &at) { return f(gate, at); }, "up_grad");
  }
}

TEST_F(Kernels, ReduceSum) {
  const std::vector<int64_t> cases[][2] = {
      {{17, 3}, {3}},          {{17, 3}, {17, 1}}, {{17, 3}, {1}},        {{17, 3}, {1, 3}},
      {{17, 3}, {1, 1}},       {{127}, {1}},       {{3, 17, 5}, {17, 5}}, {{3, 17, 5}, {3, 1, 5}},
      {{3, 17, 5}, {17, 1}},   {{3, 17, 5}, {5}},  {{3, 17, 5}, {1}},     {{3, 17, 5}, {3, 17, 1}},
      {{3, 17, 5}, {3, 1, 1}}, {{1, 17}, {1, 1}},  {{17, 1}, {1}},        {{2, 3, 5, 7}, {3, 1, 7}},
  };
  for (auto &[from, to] : cases) {
    Call call{{normal(from)}, {}};
    Array wanted(to);
    const Array &x = call.arguments[0];
    for (int64_t i = 0; i < x.size(); ++i) {
      int64_t rest = i, at = 0, stride = 1;
      for (size_t j = 0; j < from.size(); ++j) {
        int64_t c = rest % from[from.size() - 1 - j];
        rest /= from[from.size() - 1 - j];
        if (j < to.size()) {
          int64_t size = to[to.size() - 1 - j];
          at += (size == 1 ? 0 : c) * stride;
          stride *= size;
        }
      }
      wanted[at] += x[i];
    }
    std::string t = type(wanted);
    Array y = run(call, "%r = nn.reduce_sum %a0 : " + call.t(0) + " -> " + t, {"%r"}, {t})[0];
    expectNear(y, wanted, "reduce_sum " + call.t(0) + " -> " + t);
  }
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

TEST_F(Kernels, ConcatSliceBroadcast) {
  for (auto [rows, heads, left, right] : {std::tuple(1, 1, 1, 1), std::tuple(17, 3, 5, 3),
                                          std::tuple(3, 1, 127, 17), std::tuple(3, 40, 3, 1)}) {
    Call call{{normal({rows, heads * left}), normal({rows, heads * right})}, {}};
    const Array &a = call.arguments[0], &b = call.arguments[1];
    std::string t = "<" + str(rows) + " x " + str(heads * (left + right)) + ">",
                h = " heads(" + str(heads) + ")";
    Array y = run(call, "%r = nn.concat %a0, %a1" + h + " : (" + call.t(0) + ", " + call.t(1) + ") -> " + t,
                  {"%r"}, {t})[0];
    expectNear(y, reference::concat(a, b, heads), "concat");

    Call whole{{y}, {}};
    Array part = run(whole,
                     "%r = nn.slice %a0" + h + " offset(" + str(left) + ") size(" + str(right) + ") : " + t +
                         " -> " + call.t(1),
                     {"%r"}, {call.t(1)})[0];
    expectNear(part, b, "slice");

    Call back{{b}, {}};
    auto slice = [&](const Array &at) { return reference::slice(at, heads, left, right); };
    Array d = run(
        back, "%r = nn.slice_input_grad %a0" + h + " offset(" + str(left) + ") : " + call.t(1) + " -> " + t,
        {"%r"}, {t})[0];
    expectGradient(d, y, b, slice, "slice_input_grad");
    if (left > 1) {
      auto middle = [&](const Array &at) { return reference::slice(at, heads, left - 1, right); };
      Array d2 = run(back,
                     "%r = nn.slice_input_grad %a0" + h + " offset(" + str(left - 1) + ") : " + call.t(1) +
                         " -> " + t,
                     {"%r"}, {t})[0];
      expectGradient(d2, y, b, middle, "slice_input_grad");
    }

    Call narrow{{normal({rows, left})}, {}};
    Array wide = run(narrow, "%r = nn.broadcast %a0" + h + " : " + narrow.t(0) + " -> " + call.t(0), {"%r"},
                     {call.t(0)})[0];
    expectNear(wide, reference::broadcast(narrow.arguments[0], heads), "broadcast");
    Array sum =
        run({{a}, {}}, "%r = nn.broadcast_input_grad %a0" + h + " : " + call.t(0) + " -> " + narrow.t(0),
            {"%r"}, {narrow.t(0)})[0];
    expectGradient(
        sum, narrow.arguments[0], a, [&](const Array &at) { return reference::broadcast(at, heads); },
        "broadcast_input_grad");
  }
}

TEST_F(Kernels, Reshape) {
  const std::vector<int64_t> cases[][2] = {{{6, 35}, {210}},    {{6, 35}, {42, 5}},    {{6, 35}, {10, 21}},
                                           {{210}, {2, 3, 35}}, {{2, 3, 35}, {6, 35}}, {{1}, {1, 1}},
                                           {{17, 1}, {17}},     {{4, 6}, {8, 3}},      {{4, 6}, {3, 8}}};
  for (auto &[from, to] : cases) {
    Call call{{normal(from)}, {}};
    Array wanted(to, call.arguments[0].data);
    Array y =
        run(call, "%r = nn.reshape %a0 : " + call.t(0) + " -> " + type(wanted), {"%r"}, {type(wanted)})[0];
    expectNear(y, wanted, "reshape " + call.t(0) + " -> " + type(wanted));
  }
}

TEST_F(Kernels, Shift) {
  for (auto [sequences, seq, by] :
       {std::tuple(1, 1, 0), std::tuple(3, 17, 2), std::tuple(2, 3, 2), std::tuple(2, 3, 0)}) {
    Call call{{ids(sequences * seq, 0, 300)}, {0}};
    Array y = run(call, "%r = nn.shift %a0 by(" + str(by) + ") seq(" + str(seq) + ") : " + call.t(0), {"%r"},
                  {call.t(0)})[0];
    expectNear(y, reference::shift(call.arguments[0], by, seq), "shift");

    // Documents of one to three ids.
    Array starts({sequences * seq});
    for (int64_t t = 0; t < sequences * seq; ++t)
      starts[t] = double(t % seq / 3 * 3 + (t % 2 ? t % 3 : 0));
    call.arguments.push_back(starts);
    call.idArguments.push_back(1);
    Array z = run(call,
                  "%r = nn.shift %a0 starts(%a1 : " + call.t(1) + ") by(" + str(by) + ") seq(" + str(seq) +
                      ") : " + call.t(0),
                  {"%r"}, {call.t(0)})[0];
    expectNear(z, reference::shift(call.arguments[0], by, seq, &starts), "shift within documents");
  }
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

struct RouteCase {
  int64_t tokens, experts;
  reference::Route options;
  bool hasBias, hasValid;
};

const RouteCase kRoutes[] = {
    {17, 8, {2, 4, 2, false, false, true, 2.5}, true, true},
    {127, 16, {4, 4, 2, false, false, true, 2.5}, true, false},
    {3, 6, {3, 1, 1, true, true, false, 1.0}, false, false},
    {17, 6, {2, 3, 2, true, true, true, 16.0}, false, true},
    {1, 1, {1, 1, 1, false, true, true, 1.0}, true, true},
    {17, 3, {3, 1, 1, false, true, false, 0.5}, false, false},
};

TEST_F(Kernels, Route) {
  for (const RouteCase &c : kRoutes) {
    const reference::Route &options = c.options;
    Call call{{normal({c.tokens, c.experts}), normal({c.experts}, 0.1), ids(c.tokens, -1, 2)}, {2}};
    const Array &logits = call.arguments[0];
    const Array *bias = c.hasBias ? &call.arguments[1] : nullptr,
                *valid = c.hasValid ? &call.arguments[2] : nullptr;
    int64_t rows = c.tokens * options.topK;
    Array gates({c.tokens, options.topK}), table({3 * rows + c.experts + 1});
    std::string score = options.softmax ? "softmax" : "sigmoid";
    std::string tail = " score(\"" + score + "\") normalize(" + (options.normalize ? "true" : "false") +
                       ") scale(" + num(options.scale) + ")";
    std::string op =
        "%g, %s, %r, %l = nn.route %a0" + std::string(bias ? " bias(%a1 : " + call.t(1) + ")" : "") +
        (valid ? " valid(%a2 : " + call.t(2) + ")" : "") + " top_k(" + str(options.topK) + ") groups(" +
        str(options.groups) + ") group_limit(" + str(options.groupLimit) + ") group_score(\"" +
        (options.groupMax ? "max" : "top2sum") + "\")" + tail + " : " + call.t(0);
    std::vector<Array> found =
        run(call, op, {"%g", "%s", "%r", "%l"}, {type(gates), call.t(0), type(table, true), call.t(1)});
    reference::Routed wanted = reference::route(logits, bias, valid, options);
    expectNear(found[0], wanted.gates, "gates");
    expectNear(found[1], wanted.scores, "scores");
    expectNear(found[2], wanted.routing, "routing");
    expectNear(found[3], wanted.load, "load");

    // The choice is piecewise constant: differentiate with the choice of the unmoved logits.
    auto gatesOf = [&](const Array &at) {
      Array scores = reference::route(at, nullptr, nullptr, options).scores, y(gates.shape);
      for (int64_t t = 0; t < c.tokens; ++t) {
        double sum = 1e-20;
        for (int64_t k = 0; k < options.topK; ++k)
          sum += scores(t, wanted.routing[t * options.topK + k]);
        for (int64_t k = 0; k < options.topK; ++k)
          y(t, k) =
              scores(t, wanted.routing[t * options.topK + k]) / (options.normalize ? sum : 1) * options.scale;
      }
      return y;
    };
    auto scoresOf = [&](const Array &at) { return reference::route(at, nullptr, nullptr, options).scores; };
    Call back{{wanted.scores, wanted.routing, normal(gates.shape), normal(logits.shape)}, {1}};
    auto grad = [&](bool ofGates, bool ofScores) {
      return run(back,
                 "%r = nn.route_input_grad %a0, %a1" +
                     std::string(ofGates ? " gates(%a2 : " + back.t(2) + ")" : "") +
                     (ofScores ? " scores(%a3 : " + back.t(3) + ")" : "") + " top_k(" + str(options.topK) +
                     ")" + tail + " : " + back.t(0) + ", " + back.t(1),
                 {"%r"}, {call.t(0)})[0];
    };
    Array dGates = grad(true, false), dScores = grad(false, true), dBoth = grad(true, true);
    expectGradient(dGates, logits, back.arguments[2], gatesOf, "route_input_grad of gates");
    expectGradient(dScores, logits, back.arguments[3], scoresOf, "route_input_grad of scores");
    expectNear(dBoth, reference::zip(dGates, dScores, [](double a, double b) { return a + b; }),
               "route_input_grad");
  }
}

/// What is added to all logits of a softmax changes nothing, however large it is.
TEST_F(Kernels, RouteOfLargeLogits) {
  Call call{{normal({17, 8})}, {}};
  Array &logits = call.arguments[0];
  for (int64_t i = 0; i < logits.size(); ++i)
    logits[i] = std::round(logits[i] * 1024) / 1024; // The sums below are floats.
  std::vector<std::string> types = {"<17 x 2>", "<17 x 8>", "<111 : i32>", "<8>"};
  auto route = [&] {
    return run(
        call,
        "%g, %s, %r, %l = nn.route %a0 top_k(2) score(\"softmax\") normalize(true) scale(1.0) : <17 x 8>",
        {"%g", "%s", "%r", "%l"}, types);
  };
  std::vector<Array> wanted = route();
  for (int64_t i = 0; i < logits.size(); ++i)
    logits[i] += 4096;
  std::vector<Array> found = route();
  for (size_t i = 0; i < wanted.size(); ++i)
    expectNear(found[i], wanted[i], "result " + str(i));
}

TEST_F(Kernels, PermuteUnpermuteGroupedLinear) {
  for (const RouteCase &c : kRoutes)
    for (int64_t hidden : {1, 17}) {
      int64_t topK = c.options.topK, rows = c.tokens * topK, inner = 3;
      Array routing = reference::route(normal({c.tokens, c.experts}), nullptr, nullptr, c.options).routing;
      Array x = normal({c.tokens, hidden}), gates = normal({c.tokens, topK}), y = normal({rows, hidden});
      std::string r = type(routing, true), wide = type(y), narrow = type(x), k = " top_k(" + str(topK) + ")";

      Array permuted = run({{x, routing}, {1}},
                           "%r = nn.permute %a0, %a1" + k + " : (" + narrow + ", " + r + ") -> " + wide,
                           {"%r"}, {wide})[0];
      expectNear(permuted, reference::permute(x, routing, topK), "permute");
      Array dx = run({{y, routing}, {1}},
                     "%r = nn.permute_input_grad %a0, %a1" + k + " : (" + wide + ", " + r + ") -> " + narrow,
                     {"%r"}, {narrow})[0];
      expectGradient(
          dx, x, y, [&](const Array &at) { return reference::permute(at, routing, topK); },
          "permute_input_grad");

      Array combined =
          run({{y, routing, gates}, {1}},
              "%r = nn.unpermute %a0, %a1, %a2 : (" + wide + ", " + r + ", " + type(gates) + ") -> " + narrow,
              {"%r"}, {narrow})[0];
      expectNear(combined, reference::unpermute(y, routing, gates), "unpermute");
      Array dRows = run({{x, routing, gates}, {1}},
                        "%r = nn.unpermute_rows_grad %a0, %a1, %a2 : (" + narrow + ", " + r + ", " +
                            type(gates) + ") -> " + wide,
                        {"%r"}, {wide})[0];
      Array dGates = run({{x, y, routing}, {2}},
                         "%r = nn.unpermute_gates_grad %a0, %a1, %a2 : (" + narrow + ", " + wide + ", " + r +
                             ") -> " + type(gates),
                         {"%r"}, {type(gates)})[0];
      expectGradient(
          dRows, y, x, [&](const Array &at) { return reference::unpermute(at, routing, gates); },
          "unpermute_rows_grad");
      expectGradient(
          dGates, gates, x, [&](const Array &at) { return reference::unpermute(y, routing, at); },
          "unpermute_gates_grad");

      Array w = normal({c.experts, inner, hidden}), dy = normal({rows, inner});
      Array h = run({{y, w, routing}, {2}},
                    "%r = nn.grouped_linear %a0, %a1, %a2 : (" + wide + ", " + type(w) + ", " + r + ") -> " +
                        type(dy),
                    {"%r"}, {type(dy)})[0];
      expectNear(h, reference::groupedLinear(y, w, routing), "grouped_linear");
      Array dIn = run({{dy, w, routing}, {2}},
                      "%r = nn.grouped_linear_input_grad %a0, %a1, %a2 : (" + type(dy) + ", " + type(w) +
                          ", " + r + ") -> " + wide,
                      {"%r"}, {wide})[0];
      Array dW = run({{dy, y, routing}, {2}},
                     "%r = nn.grouped_linear_weight_grad %a0, %a1, %a2 : (" + type(dy) + ", " + wide + ", " +
                         r + ") -> " + type(w),
                     {"%r"}, {type(w)})[0];
      expectGradient(
          dIn, y, dy, [&](const Array &at) { return reference::groupedLinear(at, w, routing); },
          "grouped_linear_input_grad");
      expectGradient(
          dW, w, dy, [&](const Array &at) { return reference::groupedLinear(y, at, routing); },
          "grouped_linear_weight_grad");
    }
}

TEST_F(Kernels, BalanceLoss) {
  for (auto [sequences, seq, experts, topK] :
       {std::tuple(1, 1, 1, 1), std::tuple(3, 17, 8, 2), std::tuple(2, 127, 3, 3), std::tuple(17, 3, 17, 4)})
    for (bool hasValid : {false, true}) {
      Call call{{normal({sequences * seq, experts}), ids(sequences * seq, -1, 1)}, {1}};
      // Far enough from each other for the choice to stay under the small steps of a numerical derivative: no
      // gradient goes through the counts.
      Array &scores = call.arguments[0];
      for (int64_t t = 0; t < sequences * seq; ++t) {
        auto row = scores.data.begin() + t * experts;
        for (int64_t e = 0; e < experts; ++e)
          row[e] = 0.05 * (e + 1);
        std::shuffle(row, row + experts, random);
      }
      const Array *valid = hasValid ? &call.arguments[1] : nullptr;
      std::string attributes = std::string(hasValid ? " valid(%aN : " + call.t(1) + ")" : "") + " top_k(" +
                               str(topK) + ") seq(" + str(seq) + ") : " + call.t(0);
      auto named = [&](const std::string &name) {
        std::string text = attributes;
        if (size_t at = text.find("%aN"); at != std::string::npos)
          text.replace(at, 3, name);
        return text;
      };
      Array loss = run(call, "%r = nn.balance_loss %a0" + named("%a1"), {"%r"}, {"<1>"})[0];
      expectNear(loss, reference::balanceLoss(scores, valid, topK, seq), "balance_loss");

      Call back{{normal({1}), scores, call.arguments[1]}, {2}};
      Array d = run(back, "%r = nn.balance_loss_input_grad %a0, %a1" + named("%a2"), {"%r"}, {call.t(0)})[0];
      expectGradient(
          d, scores, back.arguments[0],
          [&](const Array &at) { return reference::balanceLoss(at, valid, topK, seq); },
          "balance_loss_input_grad");
    }
}

TEST_F(Kernels, BiasUpdate) {
  Call call{{normal({17}), Array({17})}, {}};
  double mean = 0;
  for (int64_t i = 0; i < 17; ++i)
    mean += (call.arguments[1][i] = i % 3) / 17.0;
  Array wanted = reference::zip(call.arguments[0], call.arguments[1], [&](double bias, double load) {
    return bias + 0.25 * (mean > load ? 1 : mean < load ? -1 : 0);
  });
  expectNear(run(call, "%r = nn.bias_update %a0, %a1 rate(0.25) : <17>", {"%r"}, {"<17>"})[0], wanted,
             "bias_update");
}

} // namespace
