//===- ParametersTest.cpp - published parameter counts --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/compiler/frontend/Fixture.h"

namespace contraflow::frontend {
namespace {

using ParametersTest = FrontendTest;

TEST_F(ParametersTest, DeepSeekV3) {
  auto module = buildShipped("deepseek-v3/671b.json");
  ASSERT_TRUE(module) << diagnostics;
  ParameterSummary summary = *countParameters(*module);
  EXPECT_EQ(summary.model.total, 671026404352);
  EXPECT_EQ(summary.model.buffers, 58 * 256);
  // The head is counted, the embedding is not.
  EXPECT_EQ(summary.model.activated, 36625603584);
  EXPECT_EQ(summary.auxiliary.total, 11610067968);
  EXPECT_EQ(summary.auxiliary.buffers, 256);
  EXPECT_EQ(summary.auxiliary.activated, 688100352);
}

TEST_F(ParametersTest, DeepSeekV2Lite) {
  auto module = buildShipped("deepseek-v3/16b.json");
  ASSERT_TRUE(module) << diagnostics;
  ParameterSummary summary = *countParameters(*module);
  EXPECT_EQ(summary.model.total, 15706484224);
  EXPECT_EQ(summary.model.buffers, 0);
  EXPECT_EQ(summary.auxiliary.total, 0);
}

TEST_F(ParametersTest, BlocksAddUpToTheModel) {
  for (const char *name :
       {"deepseek-v3/nano.json", "deepseek-v3/tiny.json", "deepseek-v3/small.json", "llama/tiny.json"}) {
    auto module = buildShipped(name);
    ASSERT_TRUE(module) << diagnostics;
    ParameterSummary summary = *countParameters(*module);
    int64_t total = 0, buffers = 0;
    for (const BlockCount &block : summary.blocks) {
      total += block.instances * block.count.total;
      buffers += block.instances * block.count.buffers;
    }
    EXPECT_EQ(total, summary.model.total + summary.auxiliary.total) << name;
    EXPECT_EQ(buffers, summary.model.buffers + summary.auxiliary.buffers) << name;
  }
}

TEST_F(ParametersTest, ATiedHeadIsActivated) {
  auto module = buildShipped("llama/tiny.json");
  ASSERT_TRUE(module) << diagnostics;
  ParameterSummary summary = *countParameters(*module);
  EXPECT_EQ(summary.model.activated, summary.model.total);
}

TEST_F(ParametersTest, NamesAreThoseOfHuggingFace) {
  auto module = buildShipped("deepseek-v3/nano.json");
  ASSERT_TRUE(module) << diagnostics;
  std::vector<std::string> names = getParameterNames(*module);
  for (const char *name : {"model.embed_tokens.weight",
                           "lm_head.weight",
                           "model.norm.weight",
                           "model.layers.0.input_layernorm.weight",
                           "model.layers.0.post_attention_layernorm.weight",
                           "model.layers.0.self_attn.q_a_proj.weight",
                           "model.layers.0.self_attn.q_a_layernorm.weight",
                           "model.layers.0.self_attn.q_b_proj.weight",
                           "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
                           "model.layers.0.self_attn.kv_a_layernorm.weight",
                           "model.layers.0.self_attn.kv_b_proj.weight",
                           "model.layers.0.self_attn.o_proj.weight",
                           "model.layers.0.mlp.gate_proj.weight",
                           "model.layers.1.mlp.gate.weight",
                           "model.layers.1.mlp.gate.e_score_correction_bias",
                           "model.layers.1.mlp.experts.{e}.up_proj.weight",
                           "model.layers.2.mlp.shared_experts.down_proj.weight",
                           "model.layers.3.eh_proj.weight",
                           "model.layers.3.enorm.weight",
                           "model.layers.3.hnorm.weight",
                           "model.layers.3.shared_head.norm.weight",
                           "model.layers.3.mlp.gate.e_score_correction_bias"})
    EXPECT_TRUE(llvm::is_contained(names, name)) << name;
  EXPECT_EQ(names.size(), 70u);
}

TEST_F(ParametersTest, SummaryIsATable) {
  auto module = buildShipped("deepseek-v3/nano.json");
  ASSERT_TRUE(module) << diagnostics;
  std::string text = formatSummary(*countParameters(*module));
  EXPECT_NE(text.find("layer_moe                        2              263,552"), std::string::npos) << text;
}

} // namespace
} // namespace contraflow::frontend
