//===- GradientTest.cpp - gradient rules against finite differences -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every rule is tested as users meet it: a block around the operation, the forward and backward functions
// that autodiff writes, in double precision, against central differences of sum(output * random) + losses.
//===----------------------------------------------------------------------===//
#include "test/unit/passes/autodiff/BlockHarness.h"

#include <cmath>

using namespace contraflow;
using namespace contraflow::autodiff;
using test::Array;

namespace {

/// Relative to the largest gradient of the tensor. Central differences with h = 1e-5 are good to h^2 = 1e-10
/// plus rounding 1e-16 / h = 1e-11; constants of kernels are f32 (6e-8).
constexpr double kTolerance = 1e-6;
constexpr double kStep = 1e-5;
/// Elements compared per tensor; all if there are fewer.
constexpr int64_t kProbes = 12;

struct Case {
  const char *name;
  /// Arguments, results and body of the block.
  std::string block;
  int64_t idLimit = 1;
  int64_t seq = 1;
};

double dot(const Array &a, const Array &b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

/// What the block's functions say the loss is: outputs against their gradients, plus weighted losses.
double computeLoss(BlockHarness &harness, Arrays values) {
  if (!harness.run(harness.evaluate, values))
    return NAN;
  double loss = 0;
  for (unsigned i = 0; values.count("output_grad:" + std::to_string(i)); ++i)
    loss += dot(values["output:" + std::to_string(i)], values["output_grad:" + std::to_string(i)]);
  for (auto op : harness.block.getBody().getOps<nn::LossOp>())
    loss += nn::getFloat(op.getWeight()) * values["loss:" + op.getName().str()][0];
  return loss;
}

void compareWithDifferences(BlockHarness &harness, const Arrays &arguments, const Arrays &gradients,
                            const std::string &from, const std::string &to) {
  auto value = arguments.find(from);
  ASSERT_NE(value, arguments.end()) << from;
  auto gradient = gradients.find(to);
  ASSERT_NE(gradient, gradients.end()) << to;
  double scale = 1e-3;
  for (double x : gradient->second.data)
    scale = std::max(scale, std::abs(x));
  int64_t size = value->second.size();
  int64_t stride = std::max<int64_t>(1, size / kProbes) | 1;
  for (int64_t i = 0, probe = 0; probe < std::min(size, kProbes); ++probe, i = (i + stride) % size) {
    Arrays changed = arguments;
    changed[from][i] = value->second[i] + kStep;
    double above = computeLoss(harness, changed);
    changed[from][i] = value->second[i] - kStep;
    double below = computeLoss(harness, changed);
    EXPECT_NEAR(gradient->second[i], (above - below) / (2 * kStep), kTolerance * scale)
        << to << " element " << i << " of " << size;
  }
}

void checkBlock(const Case &test) {
  BlockHarness harness("nn.block @f" + test.block);
  ASSERT_TRUE(harness);
  Arrays arguments = harness.makeArguments(test.idLimit, test.seq, /*seed=*/7);
  harness.addOutputGradients(arguments, /*seed=*/8);

  Arrays merged = arguments;
  ASSERT_TRUE(harness.run(harness.forward, merged));
  Arrays split = merged;
  ASSERT_TRUE(harness.run(harness.backward, merged));
  ASSERT_TRUE(harness.run(harness.backwardInput, split));
  ASSERT_TRUE(harness.run(harness.backwardWeight, split));

  // The merged backward is the oracle of the split one: same operations, same bits.
  for (const auto &[key, array] : merged)
    EXPECT_EQ(array.data, split[key].data) << key;

  unsigned compared = 0;
  for (const auto &[key, array] : arguments) {
    auto [kind, name] = llvm::StringRef(key).split(':');
    std::string gradient = ((kind == "input"   ? "input_grad:"
                             : kind == "param" ? "grad:"
                                               : "grad_arg:") +
                            name)
                               .str();
    if (!merged.count(gradient))
      continue;
    ++compared;
    compareWithDifferences(harness, arguments, merged, key, gradient);
  }
  EXPECT_GT(compared, 0u);
}

std::string replace(std::string text, std::initializer_list<std::pair<const char *, int64_t>> values) {
  for (auto [name, value] : values)
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, strlen(name), std::to_string(value));
  return text;
}

/// `name`, for each size pair.
void addSizes(std::vector<Case> &cases, const char *name, const std::string &text) {
  for (auto [rows, columns] : {std::pair{1, 127}, {3, 17}, {17, 3}, {127, 1}})
    cases.push_back({name, replace(text, {{"$T", rows}, {"$C", columns}})});
}

std::string unary(const std::string &op, const std::string &attributes = "") {
  return "(%x: <$T x $C>) -> (<$T x $C>) { %y = " + op + " %x " + attributes +
         " : <$T x $C>\n nn.yield %y : <$T x $C> }";
}

std::string binary(const std::string &op, const std::string &rhs) {
  return "(%x: <$T x $C>, %z: " + rhs + ") -> (<$T x $C>) { %y = " + op + " %x, %z : <$T x $C>" +
         (rhs == "<$T x $C>" ? "" : ", " + rhs) + "\n nn.yield %y : <$T x $C> }";
}

std::vector<Case> makeOperationCases() {
  std::vector<Case> cases;
  for (const char *op : {"nn.sigmoid", "nn.silu", "nn.tanh", "nn.gelu"})
    addSizes(cases, op, unary(op));
  addSizes(cases, "nn.gelu", unary("nn.gelu", "approximate(\"tanh\")"));
  addSizes(cases, "nn.scale", unary("nn.scale", "by(-0.7)"));
  // The key is zero: the same mask in every function.
  addSizes(cases, "nn.dropout", unary("nn.dropout", "p(0.3)"));
  for (const char *op : {"nn.add", "nn.sub", "nn.mul"})
    for (const char *rhs : {"<$T x $C>", "<$C>", "<$T x 1>", "<1>"})
      addSizes(cases, op, binary(op, rhs));
  addSizes(cases, "nn.swiglu", binary("nn.swiglu", "<$T x $C>"));
  // One value on both sides: two contributions.
  addSizes(cases, "nn.mul",
           "(%x: <$T x $C>) -> (<$T x $C>) { %y = nn.mul %x, %x : <$T x $C>\n nn.yield %y : <$T x $C> }");

  for (auto [rows, in, out] : {std::tuple{1, 17, 127}, {3, 127, 1}, {17, 3, 17}, {127, 1, 3}})
    cases.push_back({"nn.linear", replace("(%x: <$T x $I>) -> (<$T x $O>) { %w = nn.param \"w\" : <$O x $I>\n"
                                          "%y = nn.linear %x, %w : (<$T x $I>, <$O x $I>) -> <$T x $O>\n"
                                          "nn.yield %y : <$T x $O> }",
                                          {{"$T", rows}, {"$I", in}, {"$O", out}})});
  for (auto [rows, vocab, width] : {std::tuple{1, 3, 17}, {17, 3, 3}, {127, 17, 1}})
    cases.push_back({"nn.embedding",
                     replace("(%ids: <$T : i32>, %table: <$V x $C> param) -> (<$T x $C>) {\n"
                             "%y = nn.embedding %ids, %table : (<$T : i32>, <$V x $C>) -> <$T x $C>\n"
                             "nn.yield %y : <$T x $C> }",
                             {{"$T", rows}, {"$V", vocab}, {"$C", width}}),
                     vocab});
  for (auto [rows, columns, width] :
       {std::tuple{1, 127, 127}, {17, 3, 3}, {3, 51, 17}, {127, 6, 3}, {3, 17, 1}})
    cases.push_back(
        {"nn.rms_norm",
         replace("(%x: <$T x $C>) -> (<$T x $C>) { %w = nn.param \"w\" : <$W>\n"
                 "%y = nn.rms_norm %x, %w eps(1.0e-3) : <$T x $C>, <$W>\n nn.yield %y : <$T x $C> }",
                 {{"$T", rows}, {"$C", columns}, {"$W", width}})});
  for (const char *style : {"interleaved", "half"})
    for (auto [rows, seq, heads, width] : {std::tuple{3, 3, 1, 2}, {51, 17, 3, 6}, {127, 127, 1, 4}})
      cases.push_back(
          {"nn.rope", replace("(%x: <$T x $C>) -> (<$T x $C>) {\n %y = nn.rope %x head_dim($D) seq($S) "
                              "theta(100.0) style(\"" +
                                  std::string(style) + "\") : <$T x $C>\n nn.yield %y : <$T x $C> }",
                              {{"$T", rows}, {"$C", heads * width}, {"$D", width}, {"$S", seq}})});

  struct Attention {
    int64_t batch, seq, heads, kvHeads, d, dv;
    bool causal, starts, lse = false, drops = false;
  };
  for (const Attention &a :
       {Attention{1, 1, 1, 1, 3, 1, true, false}, Attention{2, 3, 2, 2, 3, 5, true, false},
        Attention{1, 17, 3, 1, 5, 3, false, false}, Attention{1, 17, 4, 2, 3, 3, true, true},
        Attention{1, 127, 1, 1, 1, 3, true, false}, Attention{1, 3, 2, 2, 3, 5, true, false, true},
        Attention{2, 17, 4, 2, 3, 3, true, true, true}, Attention{1, 17, 3, 1, 5, 3, false, false, true},
        Attention{2, 17, 4, 2, 3, 3, true, true, true, true},
        Attention{1, 6, 2, 1, 3, 5, false, false, false, true}})
    cases.push_back(
        {"nn.attention",
         replace("(%q: <$T x $Q>, %k: <$T x $K>, %v: <$T x $V>, %starts: <$T : i32>) -> (<$T x $O>" +
                     std::string(a.lse ? ", <$T x $H>" : "") +
                     ") {\n"
                     "%o, %lse = nn.attention %q, %k, %v " +
                     std::string(a.starts ? "starts(%starts : <$T : i32>) " : "") +
                     (a.causal ? "causal " : "") + "heads($H) kv_heads($G) seq($S) scale(0.6)" +
                     (a.drops ? " dropout(0.4)" : "") +
                     "\n"
                     ": (<$T x $Q>, <$T x $K>, <$T x $V>) -> (<$T x $O>, <$T x $H>)\n"
                     "nn.yield " +
                     (a.lse ? "%o, %lse : <$T x $O>, <$T x $H> }" : "%o : <$T x $O> }"),
                 {{"$T", a.batch * a.seq},
                  {"$Q", a.heads * a.d},
                  {"$K", a.kvHeads * a.d},
                  {"$V", a.kvHeads * a.dv},
                  {"$O", a.heads * a.dv},
                  {"$H", a.heads},
                  {"$G", a.kvHeads},
                  {"$S", a.seq}}),
         1, a.seq});

  for (auto [rows, heads, left, right] : {std::tuple{1, 1, 17, 3}, {17, 3, 1, 3}, {127, 1, 1, 1}})
    cases.push_back(
        {"nn.concat", replace("(%a: <$T x $L>, %b: <$T x $R>) -> (<$T x $C>) {\n"
                              "%y = nn.concat %a, %b heads($H) : (<$T x $L>, <$T x $R>) -> <$T x $C>\n"
                              "nn.yield %y : <$T x $C> }",
                              {{"$T", rows},
                               {"$H", heads},
                               {"$L", heads * left},
                               {"$R", heads * right},
                               {"$C", heads * (left + right)}})});
  for (auto [rows, heads, width, offset, size] :
       {std::tuple{1, 1, 17, 3, 3}, {17, 3, 3, 0, 1}, {3, 127, 3, 2, 1}})
    cases.push_back(
        {"nn.slice", replace("(%x: <$T x $C>) -> (<$T x $O>) {\n"
                             "%y = nn.slice %x heads($H) offset($F) size($Z) : <$T x $C> -> <$T x $O>\n"
                             "nn.yield %y : <$T x $O> }",
                             {{"$T", rows},
                              {"$H", heads},
                              {"$C", heads * width},
                              {"$F", offset},
                              {"$Z", size},
                              {"$O", heads * size}})});
  for (auto [rows, heads, width] : {std::tuple{1, 3, 17}, {17, 1, 3}, {3, 127, 1}})
    cases.push_back(
        {"nn.broadcast", replace("(%x: <$T x $C>) -> (<$T x $O>) {\n"
                                 "%y = nn.broadcast %x heads($H) : <$T x $C> -> <$T x $O>\n"
                                 "nn.yield %y : <$T x $O> }",
                                 {{"$T", rows}, {"$H", heads}, {"$C", width}, {"$O", heads * width}})});
  cases.push_back({"nn.reshape", "(%x: <17 x 6>) -> (<51 x 2>) { %y = nn.reshape %x : <17 x 6> -> <51 x 2>\n"
                                 "nn.yield %y : <51 x 2> }"});

  for (auto [rows, vocab] : {std::pair{1, 3}, {17, 127}, {127, 3}, {3, 1}})
    cases.push_back({"nn.cross_entropy",
                     replace("(%x: <$T x $V>, %targets: <$T : i32>) -> () {\n"
                             "%l, %lse = nn.cross_entropy %x, %targets : <$T x $V>, <$T : i32>\n"
                             "nn.loss \"main\" weight(0.3) %l : <1>\n nn.yield }",
                             {{"$T", rows}, {"$V", vocab}}),
                     vocab});
  // With its own loss and without; of all rows and of valid ones.
  for (const char *loss : {"", "nn.loss \"main\" weight(0.3) %l : <1>\n"})
    for (const char *valid : {"", "valid(%targets : <$T : i32>)"})
      for (auto [rows, vocab] : {std::pair{1, 3}, {17, 127}, {127, 3}, {3, 1}})
        cases.push_back({"nn.mean",
                         replace("(%x: <$T x $V>, %targets: <$T : i32>) -> () {\n"
                                 "%l, %lse = nn.cross_entropy %x, %targets : <$T x $V>, <$T : i32>\n" +
                                     std::string(loss) + "%s = nn.mul %lse, %lse : <$T>\n%z = nn.mean %s " +
                                     valid + " : <$T>\nnn.loss \"z\" weight(0.7) %z : <1>\n nn.yield }",
                                 {{"$T", rows}, {"$V", vocab}}),
                         vocab});
  for (const char *valid : {"", "valid(%ids : <17 : i32>)"})
    cases.push_back({"nn.mean",
                     "(%x: <17 x 3>, %ids: <17 : i32>) -> () {\n%z = nn.mean %x " + std::string(valid) +
                         " : <17 x 3>\nnn.loss \"z\" weight(0.7) %z : <1>\n nn.yield }",
                     2});

  for (const char *valid : {"", "valid(%ids : <$T : i32>)"})
    for (auto [rows, seq, experts, k] : {std::tuple{3, 3, 3, 1}, {34, 17, 8, 2}, {17, 17, 17, 3}})
      cases.push_back(
          {"nn.balance_loss",
           replace("(%logits: <$T x $E>, %ids: <$T : i32>) -> () {\n %s = nn.sigmoid %logits : <$T x $E>\n"
                   "%l = nn.balance_loss %s " +
                       std::string(valid) +
                       " top_k($K) seq($S) : <$T x $E>\n"
                       "nn.loss \"balance\" weight(2.0) %l : <1>\n nn.yield }",
                   {{"$T", rows}, {"$E", experts}, {"$K", k}, {"$S", seq}}),
           2});

  struct Route {
    int64_t rows, experts, k, groups, limit;
    const char *score, *group, *normalize;
  };
  for (const Route &r :
       {Route{1, 3, 1, 1, 1, "sigmoid", "max", "true"}, Route{17, 8, 2, 4, 2, "sigmoid", "top2sum", "true"},
        Route{17, 9, 3, 3, 1, "softmax", "max", "false"}, Route{127, 4, 2, 1, 1, "softmax", "max", "true"},
        Route{3, 17, 3, 1, 1, "sigmoid", "max", "false"}})
    cases.push_back(
        {"nn.route",
         replace("(%logits: <$T x $E>) -> (<$T x $K>, <$T x $E>) {\n"
                 "%g, %s, %r, %l = nn.route %logits top_k($K) groups($G) group_limit($M) group_score(\"" +
                     std::string(r.group) + "\") score(\"" + r.score + "\") normalize(" + r.normalize +
                     ") scale(2.5) : <$T x $E>\n nn.yield %g, %s : <$T x $K>, <$T x $E> }",
                 {{"$T", r.rows}, {"$E", r.experts}, {"$K", r.k}, {"$G", r.groups}, {"$M", r.limit}})});

  // Operations over routed rows, behind a router whose logits are an input.
  auto routed = [&](const char *name, std::string results, std::string body) {
    for (auto [rows, experts, k, width] :
         {std::tuple{1, 3, 2, 17}, {17, 3, 1, 3}, {17, 8, 3, 1}, {3, 17, 3, 5}})
      cases.push_back(
          {name,
           replace("(%logits: <$T x $E>, %x: <$T x $C>, %rows: <$R x $C>) -> (" + results +
                       ") {\n%g, %s, %r, %l = nn.route %logits top_k($K) score(\"sigmoid\") normalize(true) "
                       "scale(1.5) : <$T x $E>\n" +
                       body,
                   {{"$T", rows},
                    {"$E", experts},
                    {"$K", k},
                    {"$C", width},
                    {"$R", rows * k},
                    {"$O", width + 2},
                    {"$N", 3 * rows * k + experts + 1}})});
  };
  routed(
      "nn.permute", "<$R x $C>",
      "%y = nn.permute %x, %r top_k($K) : (<$T x $C>, <$N : i32>) -> <$R x $C>\n nn.yield %y : <$R x $C> }");
  routed("nn.unpermute", "<$T x $C>",
         "%y = nn.unpermute %rows, %r, %g : (<$R x $C>, <$N : i32>, <$T x $K>) -> <$T x $C>\n nn.yield %y : "
         "<$T x $C> }");
  routed("nn.grouped_linear", "<$R x $O>",
         "%w = nn.param \"w.{e}\" over e : <$E x $O x $C>\n"
         "%y = nn.grouped_linear %rows, %w, %r : (<$R x $C>, <$E x $O x $C>, <$N : i32>) -> <$R x $O>\n"
         "nn.yield %y : <$R x $O> }");
  return cases;
}

TEST(Gradient, OfEveryOperation) {
  for (const Case &test : makeOperationCases()) {
    SCOPED_TRACE(test.name + test.block);
    checkBlock(test);
    if (testing::Test::HasFailure())
      break;
  }
}

TEST(Gradient, NoOperationIsLeftOut) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect>();
  std::vector<Case> cases = makeOperationCases();
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations())
    if (name.hasInterface<nn::DifferentiableOp>())
      EXPECT_TRUE(llvm::any_of(cases, [&](const Case &c) { return name.getStringRef() == c.name; }))
          << name.getStringRef().str() << " has a gradient rule but no test";
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

TEST(Gradient, OfLatentAttention) {
  checkBlock({"mla", R"((%x: <10 x 7>, %starts: <10 : i32>) -> (<10 x 7>) {
    %nw = nn.param "norm.weight" init(ones) : <7>
    %n = nn.rms_norm %x, %nw eps(1.0e-6) : <10 x 7>, <7>
    %wqa = nn.param "q_a_proj.weight" : <5 x 7>
    %qa = nn.linear %n, %wqa : (<10 x 7>, <5 x 7>) -> <10 x 5>
    %qnw = nn.param "q_a_layernorm.weight" init(ones) : <5>
    %qn = nn.rms_norm %qa, %qnw eps(1.0e-6) : <10 x 5>, <5>
    %wqb = nn.param "q_b_proj.weight" : <10 x 5>
    %q = nn.linear %qn, %wqb : (<10 x 5>, <10 x 5>) -> <10 x 10>
    %q0 = nn.slice %q heads(2) offset(0) size(3) : <10 x 10> -> <10 x 6>
    %q1 = nn.slice %q heads(2) offset(3) size(2) : <10 x 10> -> <10 x 4>
    %q2 = nn.rope %q1 head_dim(2) seq(5) theta(100.0) : <10 x 4>
    %query = nn.concat %q0, %q2 heads(2) : (<10 x 6>, <10 x 4>) -> <10 x 10>
    %wkva = nn.param "kv_a_proj_with_mqa.weight" : <6 x 7>
    %kva = nn.linear %n, %wkva : (<10 x 7>, <6 x 7>) -> <10 x 6>
    %c = nn.slice %kva offset(0) size(4) : <10 x 6> -> <10 x 4>
    %kr0 = nn.slice %kva offset(4) size(2) : <10 x 6> -> <10 x 2>
    %kr1 = nn.rope %kr0 head_dim(2) seq(5) theta(100.0) : <10 x 2>
    %kr = nn.broadcast %kr1 heads(2) : <10 x 2> -> <10 x 4>
    %knw = nn.param "kv_a_layernorm.weight" init(ones) : <4>
    %cn = nn.rms_norm %c, %knw eps(1.0e-6) : <10 x 4>, <4>
    %wkvb = nn.param "kv_b_proj.weight" : <16 x 4>
    %kv = nn.linear %cn, %wkvb : (<10 x 4>, <16 x 4>) -> <10 x 16>
    %k0 = nn.slice %kv heads(2) offset(0) size(3) : <10 x 16> -> <10 x 6>
    %v = nn.slice %kv heads(2) offset(3) size(5) : <10 x 16> -> <10 x 10>
    %key = nn.concat %k0, %kr heads(2) : (<10 x 6>, <10 x 4>) -> <10 x 10>
    %o, %lse = nn.attention %query, %key, %v starts(%starts : <10 : i32>) causal
             heads(2) kv_heads(2) seq(5) scale(0.447)
             : (<10 x 10>, <10 x 10>, <10 x 10>) -> (<10 x 10>, <10 x 2>)
    %wo = nn.param "o_proj.weight" : <7 x 10>
    %y = nn.linear %o, %wo : (<10 x 10>, <7 x 10>) -> <10 x 7>
    %out = nn.add %x, %y : <10 x 7>
    nn.yield %out : <10 x 7>
  })",
              1, 5});
}

TEST(Gradient, OfExperts) {
  checkBlock({"moe", R"((%logits: <9 x 6>, %x: <9 x 5>, %ids: <9 : i32>) -> (<9 x 5>) {
    %bias = nn.param "bias" init(zeros) buffer : <6>
    %g, %s, %r, %load = nn.route %logits bias(%bias : <6>) valid(%ids : <9 : i32>) top_k(2) groups(3) group_limit(2)
      group_score("top2sum") score("sigmoid") normalize(true) scale(2.5) : <9 x 6>
    nn.update %bias, %load rate(0.001) : <6>
    %balance = nn.balance_loss %s valid(%ids : <9 : i32>) top_k(2) seq(3) : <9 x 6>
    nn.loss "balance" weight(0.5) %balance : <1>
    %rows = nn.permute %x, %r top_k(2) : (<9 x 5>, <61 : i32>) -> <18 x 5>
    %wg = nn.param "experts.{e}.gate_proj.weight" over e : <6 x 4 x 5>
    %wu = nn.param "experts.{e}.up_proj.weight" over e : <6 x 4 x 5>
    %wd = nn.param "experts.{e}.down_proj.weight" over e : <6 x 5 x 4>
    %a = nn.grouped_linear %rows, %wg, %r : (<18 x 5>, <6 x 4 x 5>, <61 : i32>) -> <18 x 4>
    %b = nn.grouped_linear %rows, %wu, %r : (<18 x 5>, <6 x 4 x 5>, <61 : i32>) -> <18 x 4>
    %h = nn.swiglu %a, %b : <18 x 4>
    %y = nn.grouped_linear %h, %wd, %r : (<18 x 4>, <6 x 5 x 4>, <61 : i32>) -> <18 x 5>
    %sum = nn.unpermute %y, %r, %g : (<18 x 5>, <61 : i32>, <9 x 2>) -> <9 x 5>
    %out = nn.add %x, %sum : <9 x 5>
    nn.yield %out : <9 x 5>
  })",
              2, 3});
}

/// The logits of a router come from a weight: its gradient passes gates and balance loss.
TEST(Gradient, OfRouterWeight) {
  checkBlock({"router", R"((%x: <9 x 5>) -> (<9 x 5>) {
    %w = nn.param "gate.weight" : <4 x 5>
    %z = nn.linear %x, %w : (<9 x 5>, <4 x 5>) -> <9 x 4>
    %g, %s, %r, %load = nn.route %z top_k(2) score("softmax") normalize(true) scale(1.0) : <9 x 4>
    %balance = nn.balance_loss %s top_k(2) seq(9) : <9 x 4>
    nn.loss "balance" weight(0.5) %balance : <1>
    %rows = nn.permute %x, %r top_k(2) : (<9 x 5>, <59 : i32>) -> <18 x 5>
    %t = nn.tanh %rows : <18 x 5>
    %y = nn.unpermute %t, %r, %g : (<18 x 5>, <59 : i32>, <9 x 2>) -> <9 x 5>
    nn.yield %y : <9 x 5>
  })"});
}

/// A parameter with several uses, some of which are not as a weight.
TEST(Gradient, OfSharedParameters) {
  checkBlock({"shared", R"((%ids: <5 : i32>, %table: <7 x 3> param, %targets: <5 : i32>) -> (<5 x 3>) {
    %w = nn.param "w" : <3 x 3>
    %v = nn.param "v" : <3>
    %x = nn.embedding %ids, %table : (<5 : i32>, <7 x 3>) -> <5 x 3>
    %a = nn.linear %x, %w : (<5 x 3>, <3 x 3>) -> <5 x 3>
    %b = nn.linear %a, %w : (<5 x 3>, <3 x 3>) -> <5 x 3>
    %c = nn.mul %b, %v : <5 x 3>, <3>
    %d = nn.rms_norm %c, %v eps(1.0e-2) : <5 x 3>, <3>
    %e = nn.add %d, %x : <5 x 3>
    %l = nn.linear %e, %table : (<5 x 3>, <7 x 3>) -> <5 x 7>
    %loss, %lse = nn.cross_entropy %l, %targets : <5 x 7>, <5 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.loss "again" weight(0.25) %loss : <1>
    nn.yield %e : <5 x 3>
  })",
              7});
}

/// A weight that is computed: the gradient of the weight goes on to what it was computed from.
TEST(Gradient, OfComputedWeights) {
  checkBlock({"computed", R"((%x: <5 x 4>) -> (<5 x 6>) {
    %flat = nn.param "flat" : <24>
    %s = nn.param "s" : <1>
    %m = nn.reshape %flat : <24> -> <6 x 4>
    %w = nn.mul %m, %s : <6 x 4>, <1>
    %y = nn.linear %x, %w : (<5 x 4>, <6 x 4>) -> <5 x 6>
    nn.yield %y : <5 x 6>
  })"});
}

/// Inputs that come straight out, one value as two outputs: every result has memory of its own.
TEST(Gradient, OfPassedValues) {
  checkBlock({"passed", R"((%x: <3 x 2>, %z: <3 x 2>) -> (<3 x 2>, <3 x 2>, <3 x 2>) {
    %y = nn.add %x, %z : <3 x 2>
    nn.yield %y, %x, %y : <3 x 2>, <3 x 2>, <3 x 2>
  })"});
}

TEST(Gradient, OfLossIsDividedByMicroBatches) {
  const char *text = R"(nn.block @f(%x: <3 x 4>, %targets: <3 : i32>) -> () {
    %loss, %lse = nn.cross_entropy %x, %targets : <3 x 4>, <3 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield
  })";
  BlockHarness one(text), four(text, /*microBatches=*/4);
  Arrays arguments = one.makeArguments(4, 1, 3), other = arguments;
  ASSERT_TRUE(one.run(one.forward, arguments) && one.run(one.backward, arguments));
  ASSERT_TRUE(four.run(four.forward, other) && four.run(four.backward, other));
  for (int64_t i = 0; i < 12; ++i)
    EXPECT_DOUBLE_EQ(arguments["input_grad:x"][i], 4 * other["input_grad:x"][i]);
  EXPECT_EQ(arguments["loss:main"].data, other["loss:main"].data);
}

/// A kind gets a gradient for an output if any call does; logits that nobody differentiates have none.
TEST(BlockUses, FollowLossesThroughTheGraph) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    nn.block @two(%x: <3 x 2>) -> (<3 x 2>, <3 x 2>) {
      %a = nn.tanh %x : <3 x 2>
      %b = nn.silu %x : <3 x 2>
      nn.yield %a, %b : <3 x 2>, <3 x 2>
    }
    nn.block @head(%x: <3 x 2>, %ids: <3 : i32>) -> (<3 x 2>) {
      %loss, %lse = nn.cross_entropy %x, %ids : <3 x 2>, <3 : i32>
      nn.loss "main" weight(1) %loss : <1>
      nn.yield %x : <3 x 2>
    }
    nn.block @embed(%ids: <3 : i32>) -> (<3 x 2>) {
      %w = nn.param "w" : <5 x 2>
      %x = nn.embedding %ids, %w : (<3 : i32>, <5 x 2>) -> <3 x 2>
      nn.yield %x : <3 x 2>
    }
    nn.graph @train(%tokens: <3 : i32>, %starts: <3 : i32>) {
      %x = nn.call @embed(%tokens) : (<3 : i32>) -> (<3 x 2>)
      %a, %b = nn.call @two(%x) : (<3 x 2>) -> (<3 x 2>, <3 x 2>)
      %c, %d = nn.call @two(%b) : (<3 x 2>) -> (<3 x 2>, <3 x 2>)
      %logits = nn.call @head(%c, %tokens) : (<3 x 2>, <3 : i32>) -> (<3 x 2>)
      %e, %f = nn.call @two(%logits) : (<3 x 2>) -> (<3 x 2>, <3 x 2>)
    })",
                                                        &context);
  ASSERT_TRUE(module);
  auto uses = computeBlockUses(module->lookupSymbol<nn::GraphOp>("train"), 3);
  auto get = [&](llvm::StringRef name) { return uses.lookup(module->lookupSymbol<nn::BlockOp>(name)); };
  // The loss of @head reaches output 0 of the second call, and through it output 1 of the first.
  EXPECT_EQ(get("two").outputGradients, (llvm::SmallVector<bool>{true, true}));
  // @two could send a gradient to the logits: its kind gets gradients elsewhere. This call passes zeros on.
  EXPECT_EQ(get("head").outputGradients, (llvm::SmallVector<bool>{true}));
  EXPECT_EQ(get("embed").outputGradients, (llvm::SmallVector<bool>{true}));
  EXPECT_EQ(get("embed").microBatches, 3);
}

/// Accumulators keep what they hold: micro-batches add up.
TEST(Gradient, AddsToAccumulators) {
  BlockHarness harness(R"(nn.block @f(%x: <3 x 4>) -> (<3 x 2>) {
    %w = nn.param "w" : <2 x 4>
    %y = nn.linear %x, %w : (<3 x 4>, <2 x 4>) -> <3 x 2>
    nn.yield %y : <3 x 2>
  })");
  Arrays values = harness.makeArguments(1, 1, 3);
  harness.addOutputGradients(values, 4);
  ASSERT_TRUE(harness.run(harness.forward, values));
  ASSERT_TRUE(harness.run(harness.backwardWeight, values));
  Array first = values["grad:w"];
  ASSERT_TRUE(harness.run(harness.backwardWeight, values));
  for (int64_t i = 0; i < first.size(); ++i)
    EXPECT_DOUBLE_EQ(values["grad:w"][i], 2 * first[i]);
}

} // namespace
