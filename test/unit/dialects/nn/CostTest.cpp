//===- CostTest.cpp - flops and bytes of operations, counted by hand ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace contraflow;

namespace {

// T = 8 tokens in 2 sequences of 4, H = 16 columns, E = 4 experts, K = 2 choices, so 16 rows.
constexpr int64_t kTokens = 8, kColumns = 16, kExperts = 4, kChoices = 2, kRows = kTokens * kChoices;
/// Elements of the operands below.
constexpr int64_t kInput = kTokens * kColumns, kRowElements = kRows * kColumns, kLogits = kTokens * kExperts,
                  kGates = kTokens * kChoices, kRouting = 3 * kRows + kExperts + 1;

constexpr llvm::StringLiteral kOperands = R"(
    %x: !nn.tensor<8 x 16>, %g: !nn.tensor<8 x 16>, %w: !nn.tensor<3 x 16>, %dy: !nn.tensor<8 x 3>,
    %v: !nn.tensor<16>, %table: !nn.tensor<100 x 16>, %ids: !nn.tensor<8 : i32>, %rows: !nn.tensor<16 x 16>,
    %experts: !nn.tensor<4 x 3 x 16>, %drows: !nn.tensor<16 x 3>, %routing: !nn.tensor<53 : i32>,
    %logits: !nn.tensor<8 x 4>, %gates: !nn.tensor<8 x 2>, %lse: !nn.tensor<8 x 2>, %row: !nn.tensor<8>,
    %wide: !nn.tensor<8 x 48>, %key: !nn.tensor<8 x 8>, %bias: !nn.tensor<4>, %one: !nn.tensor<1>,
    %scalars: !nn.tensor<16>, %words: !nn.tensor<4 : i32>)";

struct Case {
  /// One operation.
  llvm::StringLiteral text;
  int64_t flops;
  /// Of four bytes each.
  int64_t elements;
};

// Flops that stand as a sum of products say, per element, what is computed.
const Case kCases[] = {
    // Only the rows that are looked up are read.
    {"%y = nn.embedding %ids, %table : (<8 : i32>, <100 x 16>) -> <8 x 16>", 0, 8 + 2 * kInput},
    {"%y = nn.embedding_weight_grad %x, %ids : (<8 x 16>, <8 : i32>) -> <100 x 16>", kInput,
     kInput + 8 + 100 * 16},
    // Two per multiply-add, for 8 x 3 sums of 16, 8 x 16 of 3, and 3 x 16 of 8.
    {"%y = nn.linear %x, %w : (<8 x 16>, <3 x 16>) -> <8 x 3>", 2 * 8 * 3 * 16, kInput + 3 * 16 + 8 * 3},
    {"%y = nn.linear_input_grad %dy, %w : (<8 x 3>, <3 x 16>) -> <8 x 16>", 2 * 8 * 3 * 16,
     kInput + 3 * 16 + 8 * 3},
    {"%y = nn.linear_weight_grad %dy, %x : (<8 x 3>, <8 x 16>) -> <3 x 16>", 2 * 8 * 3 * 16,
     kInput + 3 * 16 + 8 * 3},
    // Every row meets one expert; every weight is read once.
    {"%y = nn.grouped_linear %rows, %experts, %routing : (<16 x 16>, <4 x 3 x 16>, <53 : i32>) -> <16 x 3>",
     2 * 16 * 3 * 16, kRowElements + 4 * 3 * 16 + kRouting + 16 * 3},
    {"%y = nn.grouped_linear_input_grad %drows, %experts, %routing"
     " : (<16 x 3>, <4 x 3 x 16>, <53 : i32>) -> <16 x 16>",
     2 * 16 * 3 * 16, kRowElements + 4 * 3 * 16 + kRouting + 16 * 3},
    {"%y = nn.grouped_linear_weight_grad %drows, %rows, %routing"
     " : (<16 x 3>, <16 x 16>, <53 : i32>) -> <4 x 3 x 16>",
     2 * 16 * 3 * 16, kRowElements + 4 * 3 * 16 + kRouting + 16 * 3},
    // Square and sum, times the root, times the weight.
    {"%y = nn.rms_norm %x, %v eps(1.0e-6) : <8 x 16>, <16>", (2 + 1 + 1) * kInput, 2 * kInput + 16},
    // Square and sum; weight, product, sum; mean, difference, root.
    {"%y = nn.rms_norm_input_grad %g, %x, %v eps(1.0e-6) : <8 x 16>, <16>", (2 + 3 + 3) * kInput,
     3 * kInput + 16},
    // Square and sum; root, product, sum.
    {"%y = nn.rms_norm_weight_grad %g, %x eps(1.0e-6) : <8 x 16> -> <16>", (2 + 3) * kInput, 2 * kInput + 16},
    // Two products and a sum.
    {"%y = nn.rope %x head_dim(8) seq(4) theta(10000.0) : <8 x 16>", 3 * kInput, 2 * kInput},
    {"%y = nn.rope_input_grad %x head_dim(8) seq(4) theta(10000.0) : <8 x 16>", 3 * kInput, 2 * kInput},
    // Two heads of 8; a sequence of 4 has 10 visible pairs, 16 without the mask. Per pair two products of 8,
    // and scale,
    // maximum, difference, exp, sum.
    {"%o, %l = nn.attention %x, %x, %x causal heads(2) kv_heads(2) seq(4) scale(1.0)"
     " : (<8 x 16>, <8 x 16>, <8 x 16>) -> (<8 x 16>, <8 x 2>)",
     2 * 2 * 10 * (2 * 8 + 2 * 8 + 5), 4 * kInput + 8 * 2},
    {"%o, %l = nn.attention %x, %x, %x heads(2) kv_heads(2) seq(4) scale(1.0)"
     " : (<8 x 16>, <8 x 16>, <8 x 16>) -> (<8 x 16>, <8 x 2>)",
     2 * 2 * 16 * (2 * 8 + 2 * 8 + 5), 4 * kInput + 8 * 2},
    // Dropping: a comparison and a product more per pair, two products in the gradient; and four words of a
    // key.
    {"%o, %l = nn.attention %x, %x, %x causal heads(2) kv_heads(2) seq(4) scale(1.0) dropout(0.1)"
     " random(%words : <4 : i32>) : (<8 x 16>, <8 x 16>, <8 x 16>) -> (<8 x 16>, <8 x 2>)",
     2 * 2 * 10 * (2 * 8 + 2 * 8 + 5 + 2), 4 * kInput + 8 * 2 + 4},
    {"%a, %b, %c = nn.attention_input_grad %g, %x, %x, %x, %x, %lse causal heads(2) kv_heads(2) seq(4) "
     "scale(1.0) dropout(0.1) random(%words : <4 : i32>)"
     " : <8 x 16>, <8 x 16>, <8 x 16>, <8 x 16>, <8 x 2>",
     2 * 2 * 10 * (3 * 2 * 8 + 2 * 2 * 8 + 6 + 3) + 2 * kInput, 8 * kInput + 8 * 2 + 4},
    // One key of 8 and one value of 4 for two heads of queries: the scores are those of two heads.
    {"%o, %l = nn.attention %x, %key, %logits starts(%ids : <8 : i32>) causal heads(2) kv_heads(1) seq(4) "
     "scale(1.0)"
     " : (<8 x 16>, <8 x 8>, <8 x 4>) -> (<8 x 8>, <8 x 2>)",
     2 * 2 * 10 * (2 * 8 + 2 * 4 + 5), kInput + 8 * 8 + 8 * 4 + 8 + 8 * 8 + 8 * 2},
    // Five products instead of two; scale, difference, exp, difference, product, scale; and the product of
    // gradient
    // and output, summed.
    {"%a, %b, %c = nn.attention_input_grad %g, %x, %x, %x, %x, %lse causal heads(2) kv_heads(2) seq(4) "
     "scale(1.0)"
     " : <8 x 16>, <8 x 16>, <8 x 16>, <8 x 16>, <8 x 2>",
     2 * 2 * 10 * (3 * 2 * 8 + 2 * 2 * 8 + 6) + 2 * kInput, 8 * kInput + 8 * 2},
    // And per row and head the gradient of lse, subtracted.
    {"%a, %b, %c = nn.attention_input_grad %g, %x, %x, %x, %x, %lse lse_grad(%lse : <8 x 2>) causal heads(2) "
     "kv_heads(2) seq(4) scale(1.0)"
     " : <8 x 16>, <8 x 16>, <8 x 16>, <8 x 16>, <8 x 2>",
     2 * 2 * 10 * (3 * 2 * 8 + 2 * 2 * 8 + 6) + 2 * kInput + 8 * 2, 8 * kInput + 2 * 8 * 2},
    // Maximum, difference, exp, sum.
    // Two comparisons and a sum per logit.
    {"%y = nn.accuracy %logits, %ids : <8 x 4>, <8 : i32>", 3 * kLogits, kLogits + 8 + 2},
    {"%a, %b = nn.cross_entropy %logits, %ids : <8 x 4>, <8 : i32>", 4 * kLogits, kLogits + 8 + 1 + 8},
    // Minus lse, exp, minus one or zero, times the gradient.
    {"%y = nn.cross_entropy_input_grad %one, %logits, %ids, %row : <8 x 4>, <8 : i32>, <8>", 4 * kLogits,
     1 + kLogits + 8 + 8 + kLogits},
    // And per row the sum of both factors.
    {"%y = nn.cross_entropy_input_grad %one, %logits, %ids, %row lse_grad(%row : <8>) : <8 x 4>, <8 : i32>, "
     "<8>",
     4 * kLogits + 8, 1 + kLogits + 8 + 8 + 8 + kLogits},
    {"%y = nn.mean %x valid(%ids : <8 : i32>) : <8 x 16>", kInput, kInput + 8 + 1},
    {"%y = nn.mean_input_grad %one valid(%ids : <8 : i32>) : <8 x 16>", 0, 1 + 8 + kInput},

    {"%y = nn.add %x, %v : <8 x 16>, <16>", kInput, 2 * kInput + 16},
    {"%y = nn.sub %x, %g : <8 x 16>", kInput, 3 * kInput},
    {"%y = nn.mul %x, %g : <8 x 16>", kInput, 3 * kInput},
    {"%y = nn.scale %x by(0.5) : <8 x 16>", kInput, 2 * kInput},
    // Comparison and product.
    {"%y = nn.dropout %x p(0.1) random(%words : <4 : i32>) : <8 x 16>", 2 * kInput, 2 * kInput + 4},
    {"%y = nn.accumulate %x, %g : <8 x 16>", kInput, 3 * kInput},
    {"%y = nn.reduce_sum %x : <8 x 16> -> <16>", kInput, kInput + 16},
    // Negate, exp, add, divide; silu has a product more, swiglu two.
    {"%y = nn.sigmoid %x : <8 x 16>", 4 * kInput, 2 * kInput},
    {"%y = nn.silu %x : <8 x 16>", 5 * kInput, 2 * kInput},
    {"%y = nn.swiglu %x, %g : <8 x 16>", 6 * kInput, 3 * kInput},
    // y (1 - y) and 1 - y^2, times the gradient.
    {"%y = nn.sigmoid_input_grad %g, %x : <8 x 16>", 3 * kInput, 3 * kInput},
    {"%y = nn.tanh_input_grad %g, %x : <8 x 16>", 3 * kInput, 3 * kInput},
    // The sigmoid s again; 1 - s, times x, plus 1, times s, times the gradient.
    {"%y = nn.silu_input_grad %g, %x : <8 x 16>", (4 + 5) * kInput, 3 * kInput},
    // The same times up; and grad * gate * s.
    {"%a, %b = nn.swiglu_input_grad %g, %x, %x : <8 x 16>", (4 + 5 + 1 + 2) * kInput, 5 * kInput},
    // What is a polynomial counts by convention.
    {"%y = nn.tanh %x : <8 x 16>", 5 * kInput, 2 * kInput},
    {"%y = nn.gelu %x : <8 x 16>", 12 * kInput, 2 * kInput},
    {"%y = nn.gelu_input_grad %g, %x : <8 x 16>", 18 * kInput, 3 * kInput},

    // Nothing is computed, and only what is kept is read.
    {"%y = nn.slice %x offset(0) size(4) : <8 x 16> -> <8 x 4>", 0, 2 * 8 * 4},
    {"%y = nn.slice_input_grad %logits offset(0) : <8 x 4> -> <8 x 16>", 0, 8 * 4 + kInput},
    {"%y = nn.concat %x, %g : (<8 x 16>, <8 x 16>) -> <8 x 32>", 0, 2 * 8 * 32},
    {"%y = nn.broadcast %x heads(3) : <8 x 16> -> <8 x 48>", 0, kInput + 3 * kInput},
    {"%y = nn.broadcast_input_grad %wide heads(3) : <8 x 48> -> <8 x 16>", 3 * kInput, kInput + 3 * kInput},
    {"%y = nn.reshape %x : <8 x 16> -> <16 x 8>", 0, 2 * kInput},
    {"%y = nn.shift %ids by(1) seq(4) : <8 : i32>", 0, 2 * 8},
    {"%y = nn.zero : <8 x 16>", 0, kInput},
    {"%y = nn.fill with(0.5) : <8 x 16>", 0, kInput},
    {"%y = nn.copy %x : <8 x 16>", 0, 2 * kInput},

    // Per logit a sigmoid (4), the bias and a comparison per choice; per gate sum, quotient and scale.
    {"%a, %b, %c, %d = nn.route %logits top_k(2) score(\"sigmoid\") normalize(true) scale(2.5) : <8 x 4>",
     (4 + 1 + kChoices) * kLogits + 3 * kGates, kLogits + kGates + kLogits + kRouting + kExperts},
    {"%a, %b, %c, %d = nn.route %logits bias(%bias : <4>) valid(%ids : <8 : i32>) top_k(2) score(\"softmax\")"
     " normalize(false) scale(1.0) : <8 x 4>",
     (4 + 1 + kChoices) * kLogits + 3 * kGates,
     kLogits + kExperts + 8 + kGates + kLogits + kRouting + kExperts},
    // Per score the sum of both gradients and d s (1 - s); per gate sum of scores, its inverse and square,
    // products
    // with gradient and score, sum, difference.
    {"%y = nn.route_input_grad %logits, %routing gates(%gates : <8 x 2>) top_k(2) score(\"sigmoid\") "
     "normalize(true)"
     " scale(2.5) : <8 x 4>, <53 : i32>",
     (1 + 3) * kLogits + 7 * kGates, kLogits + kRouting + kGates + kLogits},
    {"%y = nn.permute %x, %routing top_k(2) : (<8 x 16>, <53 : i32>) -> <16 x 16>", 0,
     kInput + kRouting + kRowElements},
    {"%y = nn.permute_input_grad %rows, %routing top_k(2) : (<16 x 16>, <53 : i32>) -> <8 x 16>",
     kRowElements, kRowElements + kRouting + kInput},
    {"%y = nn.unpermute %rows, %routing, %gates : (<16 x 16>, <53 : i32>, <8 x 2>) -> <8 x 16>",
     2 * kRowElements, kRowElements + kRouting + kGates + kInput},
    {"%y = nn.unpermute_rows_grad %x, %routing, %gates : (<8 x 16>, <53 : i32>, <8 x 2>) -> <16 x 16>",
     kRowElements, kInput + kRouting + kGates + kRowElements},
    {"%y = nn.unpermute_gates_grad %x, %rows, %routing : (<8 x 16>, <16 x 16>, <53 : i32>) -> <8 x 2>",
     2 * kRowElements, kInput + kRowElements + kRouting + kGates},
    // Per score the sum of its row, the quotient, the sum over tokens, the product with f; a comparison per
    // choice.
    {"%y = nn.balance_loss %logits top_k(2) seq(4) : <8 x 4>", (4 + kChoices) * kLogits, kLogits + 1},
    // f again; sum and quotient, product with f and its sum, difference, factor.
    {"%y = nn.balance_loss_input_grad %one, %logits top_k(2) seq(4) : <8 x 4>", (6 + kChoices) * kLogits,
     1 + 2 * kLogits},
    // Mean, difference, sign, rate, sum.
    {"%y = nn.bias_update %bias, %bias rate(1.0e-3) : <4>", 5 * kExperts, 3 * kExperts},

    {"%y = nn.sum_squares %x : <8 x 16>", 2 * kInput, kInput + 1},
    // Root, sum, quotient, minimum.
    {"%y = nn.clip_factor %one, %scalars max_norm(1.0)", 4, 1 + 16 + 16},
    // Clip; 3 for m, 4 for v; 2 for the decay; two quotients, root, sum, product, difference.
    // Difference, product, sum.
    {"%e = nn.ema %x, %x decay(0.99) : <8 x 16>", 3 * kInput, 3 * kInput},
    {"%p, %m, %u = nn.adamw %x, %x, %x, %x, %scalars beta1(0.9) beta2(0.95) eps(1.0e-8) weight_decay(0.1)"
     " : <8 x 16>",
     (1 + 3 + 4 + 2 + 6) * kInput, 7 * kInput + 16},
};

class Cost : public testing::Test {
protected:
  Cost() { context.loadDialect<nn::NNDialect, func::FuncDialect>(); }

  /// The operation of a case, within `module`.
  Operation *parse(const Case &c, OwningOpRef<ModuleOp> &module) {
    std::string text = "func.func @f(" + kOperands.str() + ") {\n" + c.text.str() + "\nreturn\n}";
    module = parseSourceString<ModuleOp>(text, &context);
    return module ? &(*module->getOps<func::FuncOp>().begin()).front().front() : nullptr;
  }

  std::vector<RegisteredOperationName> getKernelizableOps() {
    std::vector<RegisteredOperationName> names;
    for (RegisteredOperationName name : context.getRegisteredOperations())
      if (name.hasInterface<nn::KernelizableOp>())
        names.push_back(name);
    return names;
  }

  MLIRContext context;
};

TEST_F(Cost, IsWhatHandsCount) {
  for (const Case &c : kCases) {
    OwningOpRef<ModuleOp> module;
    Operation *op = parse(c, module);
    ASSERT_TRUE(op) << c.text.str();
    auto cost = llvm::dyn_cast<nn::CostOp>(op);
    ASSERT_TRUE(cost) << c.text.str();
    EXPECT_EQ(cost.getFlops(), c.flops) << c.text.str();
    EXPECT_EQ(cost.getBytesRead() + cost.getBytesWritten(), 4 * c.elements) << c.text.str();
  }
}

/// Nobody forgets the interface, nor to count: every operation that becomes kernels has a cost, and a case
/// above.
TEST_F(Cost, EveryKernelizableOperationIsCounted) {
  llvm::StringSet<> counted;
  for (const Case &c : kCases) {
    OwningOpRef<ModuleOp> module;
    if (Operation *op = parse(c, module))
      counted.insert(op->getName().getStringRef());
  }
  for (RegisteredOperationName name : getKernelizableOps()) {
    EXPECT_TRUE(name.hasInterface<nn::CostOp>()) << name.getStringRef().str();
    EXPECT_TRUE(counted.contains(name.getStringRef())) << name.getStringRef().str();
  }
  for (RegisteredOperationName name : context.getRegisteredOperations())
    if (name.hasInterface<nn::DifferentiableOp>())
      EXPECT_TRUE(name.hasInterface<nn::KernelizableOp>()) << name.getStringRef().str();
  EXPECT_GE(counted.size(), 55u);
}

/// Types of results follow from operands and attributes, but where a size is in neither.
TEST_F(Cost, TypesAreInferredWhereOperandsSayThem) {
  // A shape that is the operation's own argument; dimensions that a gradient has summed away or brings back.
  llvm::StringSet<> excused = {"nn.reshape",
                               "nn.zero",
                               "nn.fill",
                               "nn.embedding_weight_grad",
                               "nn.rms_norm_weight_grad",
                               "nn.reduce_sum",
                               "nn.slice_input_grad",
                               "nn.broadcast_input_grad",
                               "nn.permute_input_grad",
                               "nn.unpermute_gates_grad",
                               "nn.mean_input_grad"};
  for (RegisteredOperationName name : getKernelizableOps())
    EXPECT_EQ(name.hasInterface<InferTypeOpInterface>(), !excused.contains(name.getStringRef()))
        << name.getStringRef().str();
  for (const Case &c : kCases) {
    OwningOpRef<ModuleOp> module;
    Operation *op = parse(c, module);
    auto rule = op ? dyn_cast<InferTypeOpInterface>(op) : InferTypeOpInterface();
    if (!rule)
      continue;
    SmallVector<Type> types;
    EXPECT_TRUE(succeeded(rule.inferReturnTypes(&context, op->getLoc(), op->getOperands(),
                                                op->getRawDictionaryAttrs(), op->getPropertiesStorage(),
                                                op->getRegions(), types)))
        << c.text.str();
    EXPECT_EQ(types, llvm::to_vector(op->getResultTypes())) << c.text.str();
  }
}

} // namespace
