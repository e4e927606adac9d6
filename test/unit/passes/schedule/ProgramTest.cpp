//===- ProgramTest.cpp - programs of any length, and what they cannot miss ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/RegisterAll.h"
#include "dialects/pipe/Pipe.h"
#include "passes/Pipelines.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace contraflow;

namespace {

/// Two instances of a block, a value with two readers, a table that two blocks share, a loss.
constexpr const char *kModel = R"mlir(
  nn.block @embed(%ids: <4 : i32>, %table: <8 x 16> param) -> (<4 x 16>) {
    %x = nn.embedding %ids, %table : (<4 : i32>, <8 x 16>) -> <4 x 16>
    nn.yield %x : <4 x 16>
  }
  nn.block @layer(%x: <4 x 16>) -> (<4 x 16>) {
    %w = nn.param "weight" : <16 x 16>
    %y = nn.linear %x, %w : (<4 x 16>, <16 x 16>) -> <4 x 16>
    nn.yield %y : <4 x 16>
  }
  nn.block @predict(%a: <4 x 16>, %b: <4 x 16>, %targets: <4 : i32>, %table: <8 x 16> param) -> (<4 x 8>) {
    %h = nn.add %a, %b : <4 x 16>
    %logits = nn.linear %h, %table : (<4 x 16>, <8 x 16>) -> <4 x 8>
    %loss, %lse = nn.cross_entropy %logits, %targets : <4 x 8>, <4 : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield %logits : <4 x 8>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %table = nn.param "table.weight" : <8 x 16>
    %x = nn.call @embed(%tokens, %table) : (<4 : i32>, <8 x 16>) -> (<4 x 16>)
    %a = nn.call @layer(%x) prefix("layers.0") : (<4 x 16>) -> (<4 x 16>)
    %b = nn.call @layer(%a) prefix("layers.1") : (<4 x 16>) -> (<4 x 16>)
    %next = nn.shift %tokens by(1) seq(4) : <4 : i32>
    %logits = nn.call @predict(%x, %b, %next, %table) : (<4 x 16>, <4 x 16>, <4 : i32>, <8 x 16>) -> (<4 x 8>)
    nn.output "logits" %logits : <4 x 8>
  }
)mlir";

class ProgramTest : public testing::Test {
protected:
  ProgramTest() {
    DialectRegistry registry;
    registerAllDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->loadAllAvailableDialects();
    // Programs that are refused say so; how is a matter of other tests.
    context->getDiagEngine().registerHandler([](Diagnostic &) { return success(); });
  }

  OwningOpRef<ModuleOp> build(int64_t microBatches) {
    std::string text =
        "module attributes {nn.batch = 1 : i64, nn.seq = 4 : i64, nn.vocab = 8 : i64, nn.micro_batches = " +
        std::to_string(microBatches) + " : i64} {" + kModel + "}";
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, context.get());
    PassManager passes(context.get());
    for (const PhasePipeline &phase : getPhasePipelines())
      if (phase.name == "autodiff" || phase.name == "fusion")
        phase.build(passes);
    passes.addPass(schedule::createBuildProgramPass());
    if (!module || failed(passes.run(*module)))
      return nullptr;
    return module;
  }

  bool accepts(ModuleOp module) {
    PassManager passes(context.get());
    passes.addPass(schedule::createVerifyProgramPass());
    return succeeded(passes.run(module));
  }

  static SmallVector<pipe::RunOp> getRuns(ModuleOp module) {
    return llvm::to_vector(module.lookupSymbol<pipe::ProgramOp>("train").getBody().getOps<pipe::RunOp>());
  }

  std::unique_ptr<MLIRContext> context;
};

TEST_F(ProgramTest, GrowsByTheSameRowsWithEveryMicroBatch) {
  size_t one = 0, perMicroBatch = 0;
  for (int64_t count = 1; count <= 4; ++count) {
    OwningOpRef<ModuleOp> module = build(count);
    ASSERT_TRUE(module);
    EXPECT_TRUE(accepts(*module));
    SmallVector<pipe::RunOp> runs = getRuns(*module);
    size_t ofMicroBatches = llvm::count_if(runs, [](pipe::RunOp run) { return run.isOfMicroBatch(); });
    if (count == 1) {
      one = runs.size();
      perMicroBatch = ofMicroBatches;
    }
    EXPECT_EQ(runs.size(), one + (count - 1) * perMicroBatch);
    EXPECT_EQ(ofMicroBatches, count * perMicroBatch);
  }
}

TEST_F(ProgramTest, NeedsEveryRowThatMakesSomething) {
  OwningOpRef<ModuleOp> whole = build(2);
  ASSERT_TRUE(whole);
  for (size_t i = 0, e = getRuns(*whole).size(); i < e; ++i) {
    OwningOpRef<ModuleOp> module = whole->clone();
    pipe::RunOp run = getRuns(*module)[i];
    // What begins, clips and updates changes numbers and leaves none out; a sum leaves out a part.
    bool isNeeded = run.isOfMicroBatch() && !run.getFunction().starts_with("graph.add");
    std::string name =
        (run.getFunction() + " " + pipe::getSlotText(run.getDirection(), run.getMicroBatch())).str();
    run.erase();
    EXPECT_EQ(accepts(*module), !isNeeded) << "without " << name;
  }
}

TEST_F(ProgramTest, HasEveryRowOnce) {
  OwningOpRef<ModuleOp> whole = build(1);
  ASSERT_TRUE(whole);
  for (size_t i = 0, e = getRuns(*whole).size(); i < e; ++i) {
    OwningOpRef<ModuleOp> module = whole->clone();
    pipe::RunOp run = getRuns(*module)[i];
    if (!run.isOfMicroBatch() || run.getFunction().starts_with("graph.add"))
      continue;
    OpBuilder builder(run);
    builder.clone(*run);
    EXPECT_FALSE(accepts(*module)) << "twice " << run.getFunction().str();
  }
}

TEST_F(ProgramTest, RunsNoBackwardBeforeItsForward) {
  OwningOpRef<ModuleOp> whole = build(1);
  ASSERT_TRUE(whole);
  SmallVector<pipe::RunOp> runs = getRuns(*whole);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].getDirection() != pipe::Direction::backward_input)
      continue;
    OwningOpRef<ModuleOp> module = whole->clone();
    SmallVector<pipe::RunOp> copies = getRuns(*module);
    copies[i]->moveBefore(copies.front());
    EXPECT_FALSE(accepts(*module)) << runs[i].getFunction().str();
  }
}

} // namespace
