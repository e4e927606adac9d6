//===- CostTest.cpp - flops and bytes of operations, counted by hand ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace contraflow;

namespace {

class Cost : public testing::Test {
protected:
  Cost() { context.loadDialect<nn::NNDialect, func::FuncDialect>(); }

  /// Operands of every test. T = 8 tokens in 2 sequences, E = 4 experts, K = 2.
  void check(llvm::StringRef op, int64_t flops, int64_t bytes) {
    std::string text = R"(
      func.func @f(%x: !nn.tensor<8 x 16>, %g: !nn.tensor<8 x 16>, %w: !nn.tensor<3 x 16>, %dy: !nn.tensor<8 x 3>,
                   %v: !nn.tensor<16>, %table: !nn.tensor<100 x 16>, %ids: !nn.tensor<8 : i32>,
                   %rows: !nn.tensor<16 x 16>, %experts: !nn.tensor<4 x 3 x 16>, %drows: !nn.tensor<16 x 3>,
                   %routing: !nn.tensor<53 : i32>, %logits: !nn.tensor<8 x 4>, %gates: !nn.tensor<8 x 2>,
                   %lse: !nn.tensor<8 x 2>, %one: !nn.tensor<1>, %scalars: !nn.tensor<16>) {
        )" + op.str() + "\n        return\n      }";
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module) << op.str();
    Operation *first = &(*module->getOps<func::FuncOp>().begin()).front().front();
    auto cost = llvm::dyn_cast<nn::CostOp>(first);
    ASSERT_TRUE(cost) << op.str();
    EXPECT_EQ(cost.getFlops(), flops) << op.str();
    EXPECT_EQ(cost.getBytes(), bytes) << op.str();
  }

  MLIRContext context;
};

TEST_F(Cost, EmbeddingReadsOnlyRowsThatAreLookedUp) {
  check("%y = nn.embedding %ids, %table : (<8 : i32>, <100 x 16>) -> <8 x 16>", 0, 4 * (8 + 2 * 8 * 16));
  check("%y = nn.embedding_weight_grad %x, %ids : (<8 x 16>, <8 : i32>) -> <100 x 16>", 8 * 16,
        4 * (8 * 16 + 8 + 100 * 16));
}

TEST_F(Cost, MatrixProductsCountTwoPerMultiplyAdd) {
  int64_t flops = 2 * 8 * 3 * 16, bytes = 4 * (8 * 16 + 3 * 16 + 8 * 3);
  check("%y = nn.linear %x, %w : (<8 x 16>, <3 x 16>) -> <8 x 3>", flops, bytes);
  check("%y = nn.linear_input_grad %dy, %w : (<8 x 3>, <3 x 16>) -> <8 x 16>", flops, bytes);
  check("%y = nn.linear_weight_grad %dy, %x : (<8 x 3>, <8 x 16>) -> <3 x 16>", flops, bytes);
}

TEST_F(Cost, GroupedProductsCountEveryRowOnceAndEveryWeightOnce) {
  int64_t flops = 2 * 16 * 3 * 16, bytes = 4 * (16 * 16 + 4 * 3 * 16 + 53 + 16 * 3);
  check(
      "%y = nn.grouped_linear %rows, %experts, %routing : (<16 x 16>, <4 x 3 x 16>, <53 : i32>) -> <16 x 3>",
      flops, bytes);
  check("%y = nn.grouped_linear_input_grad %drows, %experts, %routing"
        " : (<16 x 3>, <4 x 3 x 16>, <53 : i32>) -> <16 x 16>",
        flops, bytes);
  check("%y = nn.grouped_linear_weight_grad %drows, %rows, %routing"
        " : (<16 x 3>, <16 x 16>, <53 : i32>) -> <4 x 3 x 16>",
        flops, bytes);
}

TEST_F(Cost, CausalAttentionCountsVisiblePairsOnly) {
  // 2 heads of 8, 2 sequences of 4: 10 visible pairs per sequence and head, 16 without the mask.
  int64_t bytes = 4 * (4 * 8 * 16 + 8 * 2);
  check("%o, %l = nn.attention %x, %x, %x causal heads(2) kv_heads(2) seq(4) scale(1.0)"
        " : (<8 x 16>, <8 x 16>, <8 x 16>) -> (<8 x 16>, <8 x 2>)",
        2 * 2 * 10 * (2 * 8 + 2 * 8 + 5), bytes);
  check("%o, %l = nn.attention %x, %x, %x heads(2) kv_heads(2) seq(4) scale(1.0)"
        " : (<8 x 16>, <8 x 16>, <8 x 16>) -> (<8 x 16>, <8 x 2>)",
        2 * 2 * 16 * (2 * 8 + 2 * 8 + 5), bytes);
  // Five products instead of two, and rowsum(grad * output).
  check("%a, %b, %c = nn.attention_input_grad %g, %x, %x, %x, %x, %lse causal heads(2) kv_heads(2) seq(4) "
        "scale(1.0)"
        " : <8 x 16>, <8 x 16>, <8 x 16>, <8 x 16>, <8 x 2>",
        2 * 2 * 10 * (10 * 8 + 6) + 2 * 8 * 16, 4 * (8 * 8 * 16 + 8 * 2));
}

TEST_F(Cost, LayoutComputesNothingAndReadsOnlyWhatItKeeps) {
  check("%y = nn.slice %x offset(0) size(4) : <8 x 16> -> <8 x 4>", 0, 4 * 2 * 8 * 4);
  check("%y = nn.concat %x, %g : (<8 x 16>, <8 x 16>) -> <8 x 32>", 0, 4 * 2 * 8 * 32);
  check("%y = nn.broadcast %x heads(3) : <8 x 16> -> <8 x 48>", 0, 4 * 8 * 64);
}

TEST_F(Cost, RowwiseOperationsAreProportionalToElements) {
  check("%y = nn.add %x, %v : <8 x 16>, <16>", 8 * 16, 4 * (2 * 8 * 16 + 16));
  check("%y = nn.rms_norm %x, %v eps(1.0e-6) : <8 x 16>, <16>", 4 * 8 * 16, 4 * (2 * 8 * 16 + 16));
  check("%a, %b = nn.cross_entropy %logits, %ids : <8 x 4>, <8 : i32>", 4 * 8 * 4, 4 * (8 * 4 + 8 + 1 + 8));
  check("%y = nn.unpermute %rows, %routing, %gates : (<16 x 16>, <53 : i32>, <8 x 2>) -> <8 x 16>",
        2 * 16 * 16, 4 * (16 * 16 + 53 + 8 * 2 + 8 * 16));
  check("%p, %m, %u = nn.adamw %x, %x, %x, %x, %scalars beta1(0.9) beta2(0.95) eps(1.0e-8) weight_decay(0.1)"
        " : <8 x 16>",
        16 * 8 * 16, 4 * (7 * 8 * 16 + 16));
}

/// Nobody forgets the interface: every operation that computes on tensors has a cost and kernels.
TEST_F(Cost, EveryComputeOperationHasACostAndKernels) {
  int count = 0;
  for (RegisteredOperationName name : context.getRegisteredOperations()) {
    if (name.getDialectNamespace() != "nn" || !name.hasInterface<nn::CostOp>())
      continue;
    ++count;
    EXPECT_TRUE(name.hasInterface<nn::KernelizableOp>()) << name.getStringRef().str();
  }
  for (RegisteredOperationName name : context.getRegisteredOperations())
    if (name.hasInterface<nn::DifferentiableOp>())
      EXPECT_TRUE(name.hasInterface<nn::CostOp>()) << name.getStringRef().str();
  EXPECT_GE(count, 50);
}

} // namespace
