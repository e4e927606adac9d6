//===- FusionTest.cpp - fused kernels compute what separate ones do -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions are interpreted before and after `fusion-fuse-elementwise`: paths of real models, and random
// graphs of operations that share values in every way a graph can.
//===----------------------------------------------------------------------===//
#include "dialects/nn/NN.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/fusion/Passes.h"
#include "test/support/KernelInterpreter.h"
#include "gtest/gtest.h"
#include <map>
#include <random>

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;

namespace {

class Fusion : public testing::Test {
protected:
  Fusion() {
    context.loadDialect<nn::NNDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
  }

  Array normal(ArrayRef<int64_t> shape) {
    Array array(shape);
    std::normal_distribution<double> distribution;
    for (double &x : array.data)
      x = distribution(random);
    return array;
  }
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }

  /// The arguments of a function: random numbers, or what `given` says.
  std::vector<Array> arguments(func::FuncOp function, const std::map<unsigned, Array> &given) {
    std::vector<Array> arrays;
    for (BlockArgument argument : function.getArguments()) {
      auto it = given.find(argument.getArgNumber());
      arrays.push_back(it != given.end() ? it->second
                                         : normal(cast<nn::TensorType>(argument.getType()).getStaticShape()));
    }
    return arrays;
  }

  /// Interprets before and after fusion; returns the numbers of kernels before and after.
  std::pair<int64_t, int64_t> compare(const std::string &text, const std::map<unsigned, Array> &given = {}) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << "does not parse:\n" << text;
      return {0, 0};
    }
    auto function = *module->getOps<func::FuncOp>().begin();
    auto runPass = [&](std::unique_ptr<Pass> pass) {
      PassManager pm(&context);
      pm.addNestedPass<func::FuncOp>(std::move(pass));
      EXPECT_TRUE(succeeded(pm.run(*module))) << text;
    };
    auto count = [&] { return llvm::range_size(function.getBody().front().getOps<nn::KernelOp>()); };
    runPass(fusion::createBuildKernelsPass());
    runPass(fusion::createVerifyKernelsPass());
    int64_t before = count();
    std::vector<Array> in = arguments(function, given);
    FailureOr<std::vector<Array>> wanted = interpretFunction(function, in);
    // Small tensors are worth sharing here.
    runPass(fusion::createFuseElementwisePass({/*minSharedElements=*/1}));
    runPass(fusion::createVerifyKernelsPass());
    FailureOr<std::vector<Array>> found = interpretFunction(function, in);
    if (failed(wanted) || failed(found)) {
      ADD_FAILURE() << "does not run:\n" << text;
      return {0, 0};
    }
    for (size_t i = 0; i < wanted->size(); ++i)
      for (int64_t j = 0; j < (*wanted)[i].size(); ++j)
        if (!(std::fabs((*found)[i][j] - (*wanted)[i][j]) <= 1e-9 * (1 + std::fabs((*wanted)[i][j])))) {
          std::string dump;
          llvm::raw_string_ostream(dump) << *module;
          ADD_FAILURE() << "result " << i << " at " << j << ": found " << (*found)[i][j] << ", wanted "
                        << (*wanted)[i][j] << "\n"
                        << text << dump;
          return {0, 0};
        }
    return {before, count()};
  }

  MLIRContext context;
  std::mt19937 random{11};
};

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

//===----------------------------------------------------------------------===//
// Paths of models
//===----------------------------------------------------------------------===//

/// Split, rotate, join: the parts are written where they belong, v is read where it lies.
TEST_F(Fusion, LatentAttention) {
  for (const char *style : {"interleaved", "half"}) {
    auto [before, after] = compare(replaced(R"(
func.func @f(%q: !nn.tensor<10 x 12>, %kv: !nn.tensor<10 x 14>, %kr: !nn.tensor<10 x 4>) -> !nn.tensor<10 x 10> {
  %qn = nn.slice %q heads(2) offset(0) size(2) : <10 x 12> -> <10 x 4>
  %qr = nn.slice %q heads(2) offset(2) size(4) : <10 x 12> -> <10 x 8>
  %qt = nn.rope %qr head_dim(4) seq(5) theta(100.0) style("STYLE") : <10 x 8>
  %qq = nn.concat %qn, %qt heads(2) : (<10 x 4>, <10 x 8>) -> <10 x 12>
  %kn = nn.slice %kv heads(2) offset(0) size(2) : <10 x 14> -> <10 x 4>
  %v = nn.slice %kv heads(2) offset(2) size(5) : <10 x 14> -> <10 x 10>
  %kt = nn.rope %kr head_dim(4) seq(5) theta(100.0) style("STYLE") : <10 x 4>
  %kb = nn.broadcast %kt heads(2) : <10 x 4> -> <10 x 8>
  %kk = nn.concat %kn, %kb heads(2) : (<10 x 4>, <10 x 8>) -> <10 x 12>
  %o, %l = nn.attention %qq, %kk, %v causal heads(2) kv_heads(2) seq(5) scale(0.5)
      : (<10 x 12>, <10 x 12>, <10 x 10>) -> (<10 x 10>, <10 x 2>)
  return %o : !nn.tensor<10 x 10>
})",
                                            "STYLE", style));
    EXPECT_EQ(before, 12);
    EXPECT_EQ(after, 6); // q in two parts; rope of k, k in two parts; attention
  }
}

TEST_F(Fusion, LatentAttentionBackward) {
  auto [before, after] = compare(R"(
func.func @f(%d: !nn.tensor<10 x 10>, %q: !nn.tensor<10 x 12>, %k: !nn.tensor<10 x 12>, %v: !nn.tensor<10 x 10>)
    -> (!nn.tensor<10 x 12>, !nn.tensor<10 x 14>, !nn.tensor<10 x 4>) {
  %o, %l = nn.attention %q, %k, %v causal heads(2) kv_heads(2) seq(5) scale(0.5)
      : (<10 x 12>, <10 x 12>, <10 x 10>) -> (<10 x 10>, <10 x 2>)
  %dq, %dk, %dv = nn.attention_input_grad %d, %q, %k, %v, %o, %l causal heads(2) kv_heads(2) seq(5) scale(0.5)
      : <10 x 10>, <10 x 12>, <10 x 12>, <10 x 10>, <10 x 2>
  %qn = nn.slice %dq heads(2) offset(0) size(2) : <10 x 12> -> <10 x 4>
  %qr = nn.slice %dq heads(2) offset(2) size(4) : <10 x 12> -> <10 x 8>
  %qt = nn.rope_input_grad %qr head_dim(4) seq(5) theta(100.0) : <10 x 8>
  %rq = nn.concat %qn, %qt heads(2) : (<10 x 4>, <10 x 8>) -> <10 x 12>
  %kn = nn.slice %dk heads(2) offset(0) size(2) : <10 x 12> -> <10 x 4>
  %kr = nn.slice %dk heads(2) offset(2) size(4) : <10 x 12> -> <10 x 8>
  %ks = nn.broadcast_input_grad %kr heads(2) : <10 x 8> -> <10 x 4>
  %kt = nn.rope_input_grad %ks head_dim(4) seq(5) theta(100.0) : <10 x 4>
  %rkv = nn.concat %kn, %dv heads(2) : (<10 x 4>, <10 x 10>) -> <10 x 14>
  return %rq, %rkv, %kt : !nn.tensor<10 x 12>, !nn.tensor<10 x 14>, !nn.tensor<10 x 4>
})");
  EXPECT_EQ(before, 13);
  EXPECT_EQ(after, 8);
}

/// Unpermute, shared expert, residual: one kernel. The norm of the next layer joins it.
TEST_F(Fusion, ResidualChain) {
  Array routing({3 * 6 + 2 + 1},
                std::vector<double>{0, 1, 1, 0, 0, 1, 0, 3, 4, 1, 2, 5, 0, 3, 4, 1, 2, 5, 0, 3, 6});
  auto [before, after] = compare(R"(
func.func @f(%y: !nn.tensor<6 x 8>, %r: !nn.tensor<21 : i32>, %g: !nn.tensor<3 x 2>,
             %s: !nn.tensor<3 x 8>, %x: !nn.tensor<3 x 8>,
             %w: !nn.tensor<8>) -> (!nn.tensor<3 x 8>, !nn.tensor<3 x 8>) {
  %u = nn.unpermute %y, %r, %g : (<6 x 8>, <21 : i32>, <3 x 2>) -> <3 x 8>
  %a = nn.add %s, %u : <3 x 8>
  %h = nn.add %x, %a : <3 x 8>
  %n = nn.rms_norm %h, %w eps(0.001) : <3 x 8>, <8>
  return %h, %n : !nn.tensor<3 x 8>, !nn.tensor<3 x 8>
})",
                                 {{1, routing}});
  EXPECT_EQ(before, 4);
  EXPECT_EQ(after, 2); // too many streams to read twice for the norm
}

TEST_F(Fusion, ResidualIntoNorm) {
  auto [before, after] = compare(R"(
func.func @f(%x: !nn.tensor<3 x 8>, %y: !nn.tensor<3 x 8>, %w: !nn.tensor<8>)
    -> (!nn.tensor<3 x 8>, !nn.tensor<3 x 8>) {
  %h = nn.add %x, %y : <3 x 8>
  %n = nn.rms_norm %h, %w eps(0.001) : <3 x 8>, <8>
  return %h, %n : !nn.tensor<3 x 8>, !nn.tensor<3 x 8>
})");
  EXPECT_EQ(before, 2);
  EXPECT_EQ(after, 1);
}

/// The gradient of a norm is added to the gradient that passes it by.
TEST_F(Fusion, GradientOfResidual) {
  auto [before, after] = compare(R"(
func.func @f(%d: !nn.tensor<3 x 8>, %e: !nn.tensor<3 x 8>, %x: !nn.tensor<3 x 8>, %w: !nn.tensor<8>)
    -> !nn.tensor<3 x 8> {
  %g = nn.rms_norm_input_grad %d, %x, %w eps(0.001) : <3 x 8>, <8>
  %s = nn.add %e, %g : <3 x 8>
  return %s : !nn.tensor<3 x 8>
})");
  EXPECT_EQ(before, 2);
  EXPECT_EQ(after, 1);
}

/// Products add to what they are added to.
TEST_F(Fusion, Accumulation) {
  auto [before, after] = compare(R"(
func.func @f(%d: !nn.tensor<3 x 8>, %e: !nn.tensor<3 x 8>, %x: !nn.tensor<3 x 5>,
             %w1: !nn.tensor<8 x 5>, %w2: !nn.tensor<8 x 5>,
             %acc: !nn.tensor<8 x 5>, %ids: !nn.tensor<3 : i32>, %table: !nn.tensor<7 x 8>, %norm: !nn.tensor<8>)
    -> (!nn.tensor<3 x 5>, !nn.tensor<8 x 5>, !nn.tensor<7 x 8>, !nn.tensor<8>) {
  %a = nn.linear_input_grad %d, %w1 : (<3 x 8>, <8 x 5>) -> <3 x 5>
  %b = nn.linear_input_grad %e, %w2 : (<3 x 8>, <8 x 5>) -> <3 x 5>
  %dx = nn.add %a, %b : <3 x 5>
  %g = nn.linear_weight_grad %d, %x : (<3 x 8>, <3 x 5>) -> <8 x 5>
  %acc2 = nn.accumulate %acc, %g : <8 x 5>
  %t = nn.embedding_weight_grad %d, %ids : (<3 x 8>, <3 : i32>) -> <7 x 8>
  %table2 = nn.accumulate %table, %t : <7 x 8>
  %n = nn.rms_norm_weight_grad %d, %e eps(0.001) : <3 x 8> -> <8>
  %norm2 = nn.accumulate %norm, %n : <8>
  return %dx, %acc2, %table2, %norm2 : !nn.tensor<3 x 5>, !nn.tensor<8 x 5>, !nn.tensor<7 x 8>, !nn.tensor<8>
})",
                                 {{6, Array({3}, std::vector<double>{2, -1, 2})}});
  EXPECT_EQ(before, 12);
  EXPECT_EQ(after, 6); // two products for dx, one weight, the embedding, rstd, the norm
}

/// The norm's two gradients want the same reciprocal norms.
TEST_F(Fusion, Siblings) {
  auto [before, after] = compare(R"(
func.func @f(%d: !nn.tensor<3 x 8>, %e: !nn.tensor<3 x 8>, %x: !nn.tensor<3 x 8>, %w: !nn.tensor<8>)
    -> (!nn.tensor<3 x 8>, !nn.tensor<8>) {
  %g = nn.rms_norm_input_grad %d, %x, %w eps(0.001) : <3 x 8>, <8>
  %s = nn.add %e, %g : <3 x 8>
  %n = nn.rms_norm_weight_grad %d, %x eps(0.001) : <3 x 8> -> <8>
  return %s, %n : !nn.tensor<3 x 8>, !nn.tensor<8>
})");
  EXPECT_EQ(before, 5);
  EXPECT_EQ(after, 3);
}

//===----------------------------------------------------------------------===//
// Random graphs
//===----------------------------------------------------------------------===//

/// Writes a function over tensors of 6 tokens (2 sequences of 3, 2 choices of 3 experts) with random
/// operations.
class Generator {
public:
  explicit Generator(std::mt19937 &random) : random(random) {
    for (int64_t columns : {4, 4, 8, 8, 12})
      values.push_back({argument("<6 x " + std::to_string(columns) + ">"), columns});
    ids = argument("<6 : i32>");
    routing = argument("<40 : i32>");
    gates = argument("<6 x 2>");
  }

  std::string run(int operations) {
    for (int i = 0; i < operations; ++i)
      step();
    for (int i = 0; i < 3; ++i) {
      const Named &value = some();
      addResult(value.name, type(value.columns));
    }
    return "func.func @f(" + parameters + ") -> (" + resultTypes + ") {\n" + body + "  return " + results +
           " : " + resultTypes + "\n}\n";
  }

  /// Arguments that are not random numbers.
  std::map<unsigned, Array> given() const {
    Array table({40});
    const int experts[12] = {0, 2, 1, 0, 2, 1, 0, 1, 1, 2, 0, 2};
    int row = 0;
    for (int e = 0; e < 3; ++e) {
      table[36 + e] = row;
      for (int i = 0; i < 12; ++i)
        if (experts[i] == e) {
          table[i] = e;
          table[12 + i] = row;
          table[24 + row++] = i;
        }
    }
    table[39] = row;
    return {{5, Array({6}, std::vector<double>{1, -1, 0, 3, 1, -1})}, {6, table}};
  }

private:
  struct Named {
    std::string name;
    int64_t columns;
  };

  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  const Named &some() { return values[values.size() - 1 - pick(0, std::min<int64_t>(values.size() - 1, 5))]; }
  std::string argument(const std::string &type) {
    std::string name = "%a" + std::to_string(numArguments++);
    parameters += (parameters.empty() ? "" : ", ") + name + ": !nn.tensor" + type;
    return name;
  }
  std::string fresh() { return "%v" + std::to_string(numValues++); }
  static std::string type(int64_t columns, int64_t rows = 6) {
    return "<" + std::to_string(rows) + " x " + std::to_string(columns) + ">";
  }
  static std::string vec(int64_t size) { return "<" + std::to_string(size) + ">"; }
  void line(const std::string &text) { body += "  " + text + "\n"; }
  void push(const std::string &text, int64_t columns) {
    std::string name = fresh();
    line(name + " = " + text);
    values.push_back({name, columns});
  }
  void addResult(const std::string &name, const std::string &type) {
    results += (results.empty() ? "" : ", ") + name;
    resultTypes += (resultTypes.empty() ? "!nn.tensor" : ", !nn.tensor") + type;
  }
  std::string str(int64_t x) { return std::to_string(x); }

  void step() {
    Named x = some(), y = some();
    std::string t = type(x.columns);
    switch (pick(0, 17)) {
    case 0:
    case 1:
      for (const Named &other : llvm::reverse(values))
        if (other.columns == x.columns && (other.name != x.name || pick(0, 4) == 0)) {
          static constexpr const char *kOps[] = {"add", "add", "mul", "sub"};
          return push("nn." + std::string(kOps[pick(0, 3)]) + " " + x.name + ", " + other.name + " : " + t,
                      x.columns);
        }
      return;
    case 2:
      return push((pick(0, 1) ? "nn.silu " : "nn.tanh ") + x.name + " : " + t, x.columns);
    case 3:
    case 4: {
      int64_t heads = x.columns % 2 == 0 ? pick(1, 2) : 1, width = x.columns / heads;
      int64_t size = pick(1, width), offset = pick(0, width - size);
      return push("nn.slice " + x.name + " heads(" + str(heads) + ") offset(" + str(offset) + ") size(" +
                      str(size) + ") : " + t + " -> " + type(heads * size),
                  heads * size);
    }
    case 5:
    case 6: {
      if (x.columns + y.columns > 40)
        return;
      int64_t heads = x.columns % 2 == 0 && y.columns % 2 == 0 ? pick(1, 2) : 1;
      return push("nn.concat " + x.name + ", " + y.name + " heads(" + str(heads) + ") : (" + t + ", " +
                      type(y.columns) + ") -> " + type(x.columns + y.columns),
                  x.columns + y.columns);
    }
    case 7:
      if (x.columns > 16)
        return;
      return push("nn.broadcast " + x.name + " heads(2) : " + t + " -> " + type(2 * x.columns),
                  2 * x.columns);
    case 8:
      if (x.columns % 4)
        return;
      return push((pick(0, 1) ? "nn.rope " : "nn.rope_input_grad ") + x.name +
                      " head_dim(4) seq(3) theta(100.0) style(\"" + (pick(0, 1) ? "half" : "interleaved") +
                      "\") : " + t,
                  x.columns);
    case 9: {
      int64_t width = x.columns % 2 == 0 && pick(0, 1) ? x.columns / 2 : x.columns;
      return push("nn.rms_norm " + x.name + ", " + argument(vec(width)) + " eps(0.01) : " + t + ", " +
                      vec(width),
                  x.columns);
    }
    case 10: {
      int64_t out = pick(1, 8);
      return push("nn.linear " + x.name + ", " + argument(type(x.columns, out)) + " : (" + t + ", " +
                      type(x.columns, out) + ") -> " + type(out),
                  out);
    }
    case 11: { // gradients into accumulators
      std::string gradient = fresh(), sum = fresh();
      std::string g = type(y.columns, x.columns);
      line(gradient + " = nn.linear_weight_grad " + x.name + ", " + y.name + " : (" + t + ", " +
           type(y.columns) + ") -> " + g);
      line(sum + " = nn.accumulate " + argument(g) + ", " + gradient + " : " + g);
      return addResult(sum, g);
    }
    case 12: {
      std::string gradient = fresh(), sum = fresh(), g = type(x.columns, 5);
      line(gradient + " = nn.embedding_weight_grad " + x.name + ", " + ids + " : (" + t + ", <6 : i32>) -> " +
           g);
      line(sum + " = nn.accumulate " + argument(g) + ", " + gradient + " : " + g);
      return addResult(sum, g);
    }
    case 13: { // through the rows of the experts and back
      std::string rows = fresh(), active = fresh(), wide = type(x.columns, 12);
      line(rows + " = nn.permute " + x.name + ", " + routing + " top_k(2) : (" + t + ", <40 : i32>) -> " +
           wide);
      line(active + " = nn.silu " + rows + " : " + wide);
      if (pick(0, 1))
        return push("nn.permute_input_grad " + active + ", " + routing + " top_k(2) : (" + wide +
                        ", <40 : i32>) -> " + t,
                    x.columns);
      return push("nn.unpermute " + active + ", " + routing + ", " + gates + " : (" + wide +
                      ", <40 : i32>, <6 x 2>) -> " + t,
                  x.columns);
    }
    case 14: {
      if (x.columns % 2)
        return;
      std::string narrow = fresh(), active = fresh(), n = type(x.columns / 2, 12);
      line(narrow + " = nn.reshape " + x.name + " : " + t + " -> " + n);
      line(active + " = nn.tanh " + narrow + " : " + n);
      return push("nn.reshape " + active + " : " + n + " -> " + t, x.columns);
    }
    case 15: {
      int64_t width = x.columns + pick(0, 3), offset = pick(0, width - x.columns);
      return push("nn.slice_input_grad " + x.name + " offset(" + str(offset) + ") : " + t + " -> " +
                      type(width),
                  width);
    }
    case 16:
      if (x.columns % 2)
        return;
      return push("nn.broadcast_input_grad " + x.name + " heads(2) : " + t + " -> " + type(x.columns / 2),
                  x.columns / 2);
    default: { // a bias and its gradient
      std::string sum = fresh();
      line(sum + " = nn.reduce_sum " + x.name + " : " + t + " -> " + vec(x.columns));
      return push("nn.add " + x.name + ", " + sum + " : " + t + ", " + vec(x.columns), x.columns);
    }
    }
  }

  std::mt19937 &random;
  std::vector<Named> values;
  std::string parameters, body, results, resultTypes, ids, routing, gates;
  int numArguments = 0, numValues = 0;
};

TEST_F(Fusion, RandomGraphs) {
  int64_t before = 0, after = 0;
  for (int round = 0; round < 400 && !HasFailure(); ++round) {
    Generator generator(random);
    std::string text = generator.run(pick(2, 24));
    auto [b, a] = compare(text, generator.given());
    before += b;
    after += a;
  }
  EXPECT_LT(after, before * 3 / 4);
}

} // namespace
