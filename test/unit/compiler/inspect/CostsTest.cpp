//===- CostsTest.cpp - what a step costs, from a manifest -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Costs.h"
#include "compiler/inspect/ProgramFlame.h"
#include "test/unit/compiler/inspect/Fixture.h"

#include "gtest/gtest.h"

namespace contraflow::inspect {

namespace {

TEST(Costs, CountCallsAndMergeEqualOperations) {
  std::vector<FunctionCost> functions = getCosts(test::makeManifest(), "train");
  ASSERT_EQ(functions.size(), 4u);
  EXPECT_EQ(functions[0].function, "step.begin");
  EXPECT_TRUE(functions[0].operations.empty());
  const FunctionCost &forward = functions[1];
  EXPECT_EQ(forward.calls, 2);
  ASSERT_EQ(forward.operations.size(), 2u);
  EXPECT_EQ(forward.operations[0].getLabel(), "linear q");
  EXPECT_EQ(forward.operations[1].getLabel(), "add");
  EXPECT_EQ(forward.operations[1].count, 2);
  EXPECT_EQ(forward.operations[1].cost.flops, 10);
  EXPECT_EQ(forward.cost.flops, 50);
  EXPECT_EQ(forward.cost.bytesRead, 36);
  EXPECT_EQ(forward.cost.bytesWritten, 12);
  EXPECT_DOUBLE_EQ(forward.cost.getIntensity(), 50.0 / 48);
}

TEST(Costs, AddUpToTheFlopsOfTheStep) {
  abi::Manifest manifest = test::makeManifest();
  std::vector<FunctionCost> functions = getCosts(manifest, "train");
  EXPECT_EQ(sum(functions).flops, manifest.flopsPerStep);
  std::vector<OperationCost> kinds = sumByKind(functions);
  double flops = 0;
  int64_t count = 0;
  for (const OperationCost &kind : kinds) {
    flops += kind.cost.flops;
    count += kind.count;
  }
  EXPECT_EQ(flops, sum(functions).flops);
  EXPECT_EQ(count, 2 * 3 + 2 * 2 + 2 * 1);
  // The most flops first.
  ASSERT_EQ(kinds.size(), 4u);
  EXPECT_EQ(kinds[0].op, "linear_input_grad");
  EXPECT_EQ(kinds[3].op, "add");
  EXPECT_EQ(kinds[3].count, 6);
}

/// DeepSeek-V3 does 1.6e19 in a step of its batch.
TEST(Costs, AddUpToMoreThanAnIntegerHolds) {
  abi::Manifest manifest = test::makeManifest();
  manifest.operations["layer.forward"] = {{"linear", "q", int64_t(1) << 62, 1, 1},
                                          {"linear", "k", int64_t(1) << 62, 1, 1}};
  std::vector<FunctionCost> functions = getCosts(manifest, "train");
  EXPECT_EQ(functions[1].cost.flops, 0x1p63);
  EXPECT_GE(sum(functions).flops, 0x1p64);
  EXPECT_EQ(sumByKind(functions)[0].cost.flops, 0x1p64);
  EXPECT_NE(drawFlame(buildFlame(manifest, "train"), "m").find("18.45 Eflop"), std::string::npos);
}

TEST(Costs, AreNothingWhereThereIsNoProgram) {
  EXPECT_TRUE(getCosts(test::makeManifest(), "none").empty());
  EXPECT_TRUE(getCosts(test::makeManifest(), "generate").empty());
  EXPECT_EQ(sum({}).getIntensity(), 0);
}

TEST(Costs, ReadAsATable) {
  std::string text = formatCosts(getCosts(test::makeManifest(), "train"));
  EXPECT_NE(text.find("kind of operation"), std::string::npos);
  EXPECT_NE(text.find("        2         0.000   23.5%        0.000        0.000       1.67    linear q\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("100.0%"), std::string::npos);
  EXPECT_NE(text.find("the gradient of attention computes again"), std::string::npos);
}

/// What a node costs is what its children cost.
void checkSums(const FlameNode &node) {
  if (node.children.empty())
    return;
  Cost total;
  for (const FlameNode &child : node.children) {
    total += child.cost;
    checkSums(child);
  }
  EXPECT_EQ(total.flops, node.cost.flops) << node.name;
  EXPECT_EQ(total.getBytes(), node.cost.getBytes()) << node.name;
}

TEST(ProgramFlame, NestsMicroBatchesLayersRowsAndOperations) {
  FlameNode root = buildFlame(test::makeManifest(), "train");
  EXPECT_EQ(root.cost.flops, 340);
  checkSums(root);
  ASSERT_EQ(root.children.size(), 4u);
  EXPECT_EQ(root.children[0].name, "begin");
  const FlameNode &backward = root.children[2];
  EXPECT_EQ(backward.name, "backward 0");
  ASSERT_EQ(backward.children.size(), 2u);
  EXPECT_EQ(backward.children[0].name, "b");
  EXPECT_EQ(backward.children[1].children[0].name, "layer.backward_input");
  EXPECT_EQ(backward.children[1].children[0].children[0].name, "linear_input_grad q");
}

TEST(ProgramFlame, LeavesOutWhatIsTooNarrow) {
  abi::Manifest manifest = test::makeManifest();
  manifest.operations["layer.forward"].push_back({"huge", "", 1000000, 1, 1});
  std::string picture = drawFlame(buildFlame(manifest, "train"), "m");
  EXPECT_EQ(picture, drawFlame(buildFlame(manifest, "train"), "m"));
  // Above widths are flops, of which the optimizer has none to speak of; below they are bytes.
  size_t bytes = picture.find("width: bytes");
  EXPECT_EQ(picture.substr(0, bytes).find("<title>optimizer"), std::string::npos);
  EXPECT_NE(picture.substr(bytes).find("<title>optimizer"), std::string::npos);
}

} // namespace

} // namespace contraflow::inspect
