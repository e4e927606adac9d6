//===- InstantiateTest.cpp - kinds, instances, and edited models ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/ErrorNotes.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/compiler/frontend/Fixture.h"

namespace contraflow::frontend {
namespace {

class InstantiateTest : public FrontendTest {
protected:
  /// A model whose middle is `blocks` and `graph`; ids are embedded as %x, and the graph leaves its result in
  /// %y.
  static std::string makeModel(const std::string &blocks, const std::string &graph) {
    return R"(nn.model @m for ["m"] {
  nn.config hidden = "hidden_size" : dim
  nn.config layers = "num_layers" : int default 2
  nn.config rank = "rank" : dim optional
  nn.block @embed(%ids: <tokens : i32>, %w: <16 x hidden> param) -> (<tokens x hidden>) {
    %x = nn.embedding %ids, %w : (<tokens : i32>, <16 x hidden>) -> <tokens x hidden>
    nn.yield %x : <tokens x hidden>
  }
  nn.block @linear<in, out>(%x: <tokens x in>) -> (<tokens x out>) {
    %w = nn.param "weight" : <out x in>
    %y = nn.linear %x, %w : (<tokens x in>, <out x in>) -> <tokens x out>
    nn.yield %y : <tokens x out>
  }
  nn.block @head(%x: <tokens x hidden>, %ids: <tokens : i32>, %w: <16 x hidden> param) -> (<tokens x 16>) {
    %y = nn.linear %x, %w : (<tokens x hidden>, <16 x hidden>) -> <tokens x 16>
    %loss, %lse = nn.cross_entropy %y, %ids : <tokens x 16>, <tokens : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield %y : <tokens x 16>
  }
)" + blocks +
           R"(
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    %table = nn.param "table" : <16 x hidden>
    %x = nn.call @embed(%tokens, %table) : (<tokens : i32>, <16 x hidden>) -> (<tokens x hidden>)
)" + graph +
           R"(
    %next = nn.shift %tokens by(1) seq(seq) : <tokens : i32>
    %logits = nn.call @head(%y, %next, %table) : (<tokens x hidden>, <tokens : i32>, <16 x hidden>) -> (<tokens x 16>)
    nn.output "logits" %logits : <tokens x 16>
  }
}
)";
  }

  static constexpr const char *kConfig = "{\"model_type\": \"m\", \"hidden_size\": 4}";

  /// The model of `architecture` with every `from` replaced by `to`; each must be there.
  std::string edit(const std::string &architecture,
                   const std::vector<std::pair<std::string, std::string>> &edits) {
    std::string text = read(getModelPath(architecture + "/model.mlir"));
    for (const auto &[from, to] : edits) {
      size_t at = text.find(from);
      EXPECT_NE(at, std::string::npos) << from;
      if (at == std::string::npos)
        return "";
      text.replace(at, from.size(), to);
    }
    return text;
  }

  /// The configuration of nano.json.
  std::string getNano(const nlohmann::json &changes = {}) {
    nlohmann::json config = nlohmann::json::parse(read(getModelPath("deepseek-v3/nano.json")))["model"];
    if (!changes.is_null())
      config.update(changes);
    return config.dump();
  }
};

using Strings = std::vector<std::string>;

TEST_F(InstantiateTest, CallsWithTheSameBindingsShareAKind) {
  auto module = build(makeModel("", R"(
    %y = nn.repeat i = 0 to layers carry(%a = %x : <tokens x hidden>) {
      %b = nn.call @linear<hidden, 2*hidden>(%a) prefix("up.{i}") : (<tokens x hidden>) -> (<tokens x 2*hidden>)
      %c = nn.call @linear<hidden + hidden, hidden>(%b) prefix("down.{layers - i}")
         : (<tokens x 2*hidden>) -> (<tokens x hidden>)
      nn.yield %c : <tokens x hidden>
    })"),
                      kConfig);
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(getCalls(*module, "train"), (Strings{"embed ", "linear_4_8 up.0", "linear_8_4 down.2",
                                                 "linear_4_8 up.1", "linear_8_4 down.1", "head "}));
  EXPECT_EQ(getParameterNames(*module),
            (Strings{"table", "up.0.weight", "down.2.weight", "up.1.weight", "down.1.weight"}));
  EXPECT_EQ(diagnostics, "");
}

TEST_F(InstantiateTest, GenerateIsOneSequenceWithoutLosses) {
  auto module = build(
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
      kConfig);
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(getCalls(*module, "generate"),
            (Strings{"embed_generate ", "linear_4_4_generate ", "head_generate "}));
  auto kind = module->lookupSymbol<nn::BlockOp>("head_generate");
  EXPECT_EQ(kind.getNumArguments(), 2u);
  EXPECT_TRUE(kind.getBody().getOps<nn::LossOp>().empty());
  auto argument = mlir::cast<nn::TensorType>(kind.getBody().getArgument(0).getType());
  EXPECT_EQ(argument.getStaticShape(), (llvm::SmallVector<int64_t>{8, 4}));
  EXPECT_TRUE(module->lookupSymbol<nn::GraphOp>("generate").getBody().getOps<nn::ShiftOp>().empty());
  EXPECT_EQ((*module)->getAttrOfType<mlir::IntegerAttr>("nn.batch").getInt(), 4);
  EXPECT_EQ((*module)->getAttrOfType<mlir::IntegerAttr>("nn.vocab").getInt(), 16);
}

TEST_F(InstantiateTest, GenerateKeepsParametersThatOnlyALossNeeds) {
  // `b` must lie where it lies in training.
  auto module = build(makeModel(R"(
  nn.block @two(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %a = nn.param "a" : <1>
    %b = nn.param "b" : <hidden>
    nn.loss "size" weight(1) %a : <1>
    %y = nn.add %x, %b : <tokens x hidden>, <hidden>
    nn.yield %y : <tokens x hidden>
  })",
                                "%y = nn.call @two(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                      kConfig);
  ASSERT_TRUE(module) << diagnostics;
  Strings names;
  for (auto param : module->lookupSymbol<nn::BlockOp>("two_generate").getBody().getOps<nn::ParamOp>())
    names.push_back(param.getName().str());
  EXPECT_EQ(names, (Strings{"a", "b"}));
}

TEST_F(InstantiateTest, NestedCallsAreInlinedUnderTheirPrefixes) {
  auto module = build(makeModel(R"(
  nn.block @outer(@f)(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %a = nn.call @f(%x) prefix("first") : (<tokens x hidden>) -> (<tokens x hidden>)
    %b = nn.repeat i = 0 to 2 carry(%c = %a : <tokens x hidden>) {
      %d = nn.call @f(%c) prefix("more.{i}") : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %d : <tokens x hidden>
    }
    nn.yield %b : <tokens x hidden>
  })",
                                R"(%y = nn.call @outer(@outer(@linear<hidden, hidden>))(%x) prefix("p")
       : (<tokens x hidden>) -> (<tokens x hidden>))"),
                      kConfig);
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(getCalls(*module, "train"), (Strings{"embed ", "outer_outer_linear_4_4 p", "head "}));
  Strings names = getParameterNames(*module);
  ASSERT_EQ(names.size(), 10u);
  EXPECT_EQ(names[1], "p.first.first.weight");
  EXPECT_EQ(names[9], "p.more.1.more.1.weight");
}

TEST_F(InstantiateTest, ChoicesFollowTheConfiguration) {
  std::string model = makeModel(R"(
  nn.block @choice(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.if has(rank) -> <tokens x hidden> {
      %a = nn.call @linear<hidden, rank>(%x) prefix("a") : (<tokens x hidden>) -> (<tokens x rank>)
      %b = nn.call @linear<rank, hidden>(%a) prefix("b") : (<tokens x rank>) -> (<tokens x hidden>)
      nn.yield %b : <tokens x hidden>
    } else {
      %a = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %a : <tokens x hidden>
    }
    nn.yield %y : <tokens x hidden>
  })",
                                "%y = nn.call @choice(%x) : (<tokens x hidden>) -> (<tokens x hidden>)");
  auto without = build(model, kConfig);
  ASSERT_TRUE(without) << diagnostics;
  EXPECT_EQ(getParameterNames(*without), (Strings{"table", "weight"}));
  auto with = build(model, "{\"model_type\": \"m\", \"hidden_size\": 4, \"rank\": 2}");
  ASSERT_TRUE(with) << diagnostics;
  EXPECT_EQ(getParameterNames(*with), (Strings{"table", "a.weight", "b.weight"}));
}

TEST_F(InstantiateTest, TheIndexOfSplitParametersIsCalledE) {
  auto module = build(makeModel(R"(
  nn.block @split(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %w = nn.param "experts.{n}.w{1 + 1}" over n : <2 x hidden>
    %f = nn.reshape %w : <2 x hidden> -> <2*hidden>
    %b = nn.param "b" : <hidden>
    %y = nn.add %x, %b : <tokens x hidden>, <hidden>
    %s = nn.reshape %f : <2*hidden> -> <hidden x 2>
    %z = nn.linear %y, %s : (<tokens x hidden>, <hidden x 2>) -> <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  })",
                                "%y = nn.call @split(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                      kConfig);
  // hidden is 4 and not 2.
  ASSERT_FALSE(module);
  auto fits = build(makeModel(R"(
  nn.block @split(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %w = nn.param "experts.{n}.w{1 + 1}" over n : <hidden x hidden>
    %y = nn.linear %x, %w : (<tokens x hidden>, <hidden x hidden>) -> <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  })",
                              "%y = nn.call @split(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                    kConfig);
  ASSERT_TRUE(fits) << diagnostics;
  EXPECT_EQ(getParameterNames(*fits), (Strings{"table", "experts.{e}.w2"}));
}

TEST_F(InstantiateTest, ArgumentsWithOneValueAreOne) {
  auto module = build(makeModel(R"(
  nn.block @tied(%x: <tokens x hidden>, %a: <16 x hidden> param, %b: <16 x hidden> param,
                 %unused: <tokens : i32>) -> (<tokens x hidden>) {
    %u = nn.linear %x, %a : (<tokens x hidden>, <16 x hidden>) -> <tokens x 16>
    %v = nn.linear %x, %b : (<tokens x hidden>, <16 x hidden>) -> <tokens x 16>
    %w = nn.param "w" : <hidden x 16>
    %s = nn.add %u, %v : <tokens x 16>
    %y = nn.linear %s, %w : (<tokens x 16>, <hidden x 16>) -> <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  })",
                                R"(%y = nn.call @tied(%x, %table, %table, %tokens)
       : (<tokens x hidden>, <16 x hidden>, <16 x hidden>, <tokens : i32>) -> (<tokens x hidden>))"),
                      kConfig);
  ASSERT_TRUE(module) << diagnostics;
  auto kind = module->lookupSymbol<nn::BlockOp>("tied");
  ASSERT_EQ(kind.getNumArguments(), 2u);
  EXPECT_EQ(kind.getArgName(1), "a");
  EXPECT_TRUE(kind.isParamArg(1));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST_F(InstantiateTest, RefusesABlockThatCallsItself) {
  EXPECT_FALSE(build(makeModel(R"(
  nn.block @f(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  })",
                               "%y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                     kConfig));
  EXPECT_EQ(diagnostics, "model.mlir:22:10: error: 'nn.call' op '@f' calls itself\n");
}

TEST_F(InstantiateTest, RefusesABlockThatDoesNotFitABlockParameter) {
  EXPECT_FALSE(build(
      makeModel(R"(
  nn.block @outer(@f)(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  })",
                "%y = nn.call @outer(@linear<hidden, 3>)(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
      kConfig));
  EXPECT_EQ(diagnostics,
            "model.mlir:22:10: error: 'nn.call' op result 0 is '!nn.tensor<32 x 4>', '@linear' has "
            "'!nn.tensor<32 x 3>'\n"
            "model.mlir:9:3: note: the block that is called\n"
            "model.mlir:28:6: note: it is passed here\n"
            "config.json:1:21: note: hidden_size = 4 is 'hidden'\n");
}

TEST_F(InstantiateTest, RefusesTwoParametersOfOneName) {
  std::string call = "nn.call @linear<hidden, hidden>";
  std::string type = " : (<tokens x hidden>) -> (<tokens x hidden>)\n";
  EXPECT_FALSE(
      build(makeModel("", "%a = " + call + "(%x)" + type + "%y = " + call + "(%a)" + type), kConfig));
  EXPECT_NE(diagnostics.find("names a parameter 'weight' that is there already"), std::string::npos)
      << diagnostics;
  diagnostics.clear();
  EXPECT_FALSE(
      build(makeModel("nn.block @f(%x: <tokens x hidden>) -> (<tokens x hidden>) {\n%a = " + call + "(%x)" +
                          type + "%y = " + call + "(%a)" + type + "nn.yield %y : <tokens x hidden>\n}",
                      "%y = nn.call @f(%x)" + type),
            kConfig));
  EXPECT_NE(diagnostics.find("names 'weight' a second time in '@f'"), std::string::npos) << diagnostics;
}

TEST_F(InstantiateTest, MetricsAreNamedAsParametersAre) {
  std::string blocks = R"(
  nn.block @inner(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %m = nn.mean %x : <tokens x hidden>
    nn.repeat i = 0 to layers {
      nn.metric mean "mean_{i}" %m : <1>
    }
    nn.yield %x : <tokens x hidden>
  }
  nn.block @outer(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.call @inner(%x) prefix("in") : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  })";
  std::string call = "nn.call @outer(%x) ", type = " : (<tokens x hidden>) -> (<tokens x hidden>)\n";
  auto module = build(makeModel(blocks, "%y = " + call + "prefix(\"a\")" + type), kConfig);
  ASSERT_TRUE(module) << diagnostics;
  Strings names;
  for (auto metric : module->lookupSymbol<nn::BlockOp>("outer").getBody().getOps<nn::MetricOp>())
    names.push_back(metric.getName().str());
  EXPECT_EQ(names, (Strings{"in.mean_0", "in.mean_1"}));
  EXPECT_TRUE(module->lookupSymbol<nn::BlockOp>("outer_generate").getBody().getOps<nn::MetricOp>().empty());

  EXPECT_FALSE(build(makeModel(blocks, "%z = " + call + type + "%y = " + call + type), kConfig));
  EXPECT_EQ(diagnostics,
            "model.mlir:36:6: error: 'nn.call' op reports a metric 'in.mean_0' that is there already; "
            "give one of the calls a prefix of its own\n"
            "model.mlir:24:7: note: the first metric of this name\n"
            "config.json:1:21: note: hidden_size = 4 is 'hidden'\n");
}

TEST_F(InstantiateTest, MetricsHaveTagsOfTheirOwn) {
  auto errorOf = [&](const std::string &metrics) {
    diagnostics.clear();
    EXPECT_FALSE(build(makeModel(R"(
  nn.block @f(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %m = nn.mean %x : <tokens x hidden>
    )" + metrics + R"(
    nn.yield %x : <tokens x hidden>
  })",
                                 "%y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)\n"),
                       kConfig));
    return diagnostics.substr(0, diagnostics.find('\n'));
  };
  const std::string advice = ", as which another number is reported; give it another name";
  EXPECT_EQ(errorOf("nn.metric mean \"gradient_norm\" %m : <1>"),
            "model.mlir:23:5: error: 'nn.metric' op reports metric 'gradient_norm' as 'gradient_norm'" +
                advice);
  EXPECT_NE(errorOf("nn.metric mean \"a\" %m : <1> nn.metric mean \"main.losses\" %m : <1>")
                .find("reports metric 'main.losses' as 'losses/main'" + advice),
            std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, ParametersOfTheGraphGoToArgumentsMarkedParam) {
  EXPECT_FALSE(build(
      makeModel(R"(
  nn.block @f(%x: <tokens x hidden>, %w: <16 x hidden>) -> (<tokens x hidden>) {
    nn.yield %x : <tokens x hidden>
  })",
                "%y = nn.call @f(%x, %table) : (<tokens x hidden>, <16 x hidden>) -> (<tokens x hidden>)"),
      kConfig));
  EXPECT_NE(diagnostics.find("operand 1 is a parameter, argument 'w' of '@f' is not marked 'param'"),
            std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, NamesANullThatADimensionNeeds) {
  EXPECT_FALSE(build(
      makeModel("", "%a = nn.call @linear<hidden, rank>(%x) : (<tokens x hidden>) -> (<tokens x rank>)\n"
                    "%y = nn.call @linear<rank, hidden>(%a) : (<tokens x rank>) -> (<tokens x hidden>)"),
      kConfig));
  EXPECT_NE(diagnostics.find("dimension 'out' must be an integer of 1 or more, found null"),
            std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, RefusesSizesThatCannotBeCounted) {
  EXPECT_FALSE(build(
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
      "{\"model_type\": \"m\", \"hidden_size\": 4000000000}"));
  EXPECT_NE(diagnostics.find("is too large here"), std::string::npos) << diagnostics;
}

TEST_F(InstantiateTest, AFloatIsNoDimension) {
  EXPECT_FALSE(
      build(makeModel("nn.config width = \"width\" : float\n",
                      "%y0 = nn.call @linear<hidden, width>(%x) : (<tokens x hidden>) -> (<tokens x width>)\n"
                      "%y = nn.call @linear<width, hidden>(%y0) : (<tokens x width>) -> (<tokens x hidden>)"),
            "{\"model_type\": \"m\", \"hidden_size\": 4,\n\"width\": 4}"));
  EXPECT_NE(diagnostics.find("dimension 'out' must be an integer of 1 or more, found 4.0"), std::string::npos)
      << diagnostics;
  // No value of the key would be one.
  EXPECT_NE(diagnostics.find("config.json:2:1: note: width = 4 is 'width'"), std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, AnErrorIsThereOnceAndNamesItsKeys) {
  // Two kinds of layers and their twins of generation have the error; what it is about comes from two keys.
  EXPECT_FALSE(
      build(makeModel(R"(
  nn.config heads = "heads" : dim
  nn.let half = heads/2
  nn.block @turn<width>(%x: <tokens x width>) -> (<tokens x width>) {
    %w = nn.param "w" : <width x half*rank>
    %s = nn.slice %x heads(half) offset(0) size(rank) : <tokens x width> -> <tokens x half*rank>
    %y = nn.linear %s, %w : (<tokens x half*rank>, <width x half*rank>) -> <tokens x width>
    nn.yield %y : <tokens x width>
  }
  nn.block @both(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %a = nn.call @turn<hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
    %b = nn.call @turn<hidden>(%a) prefix("b") : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %b : <tokens x hidden>
  })",
                      R"(%z = nn.call @both(%x) prefix("a") : (<tokens x hidden>) -> (<tokens x hidden>)
    %y = nn.call @turn<hidden>(%z) prefix("b") : (<tokens x hidden>) -> (<tokens x hidden>))"),
            "{\"model_type\": \"m\", \"hidden_size\": 4,\n\"heads\": 6,\n\"rank\": 9}"));
  EXPECT_EQ(llvm::StringRef(diagnostics).count("error:"), 1u) << diagnostics;
  EXPECT_NE(diagnostics.find("config.json:2:1: error: heads = 6: "), std::string::npos) << diagnostics;
  EXPECT_EQ(diagnostics.find("is 'tokens'"), std::string::npos) << diagnostics;
}

TEST_F(InstantiateTest, ErrorsOfTwoOperandsAreTwo) {
  context.loadDialect<nn::NNDialect>();
  std::string path =
      write("model.mlir", makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> "
                                        "(<tokens x hidden>)"));
  auto source = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
  ASSERT_TRUE(source) << diagnostics;
  nn::ModelOp model = *source->getOps<nn::ModelOp>().begin();
  BoundConfig config;
  ErrorNotes notes(model, config);
  // Instances of a block differ in values.
  for (int64_t size : {4, 8})
    for (unsigned operand : {0, 1})
      model.getGraph().emitOpError() << "(C1) operand " << operand << " of size " << size
                                     << " must be 1, found " << size;
  EXPECT_EQ(diagnostics,
            "model.mlir:21:3: error: 'nn.graph' op (C1) operand 0 of size 4 must be 1, found 4\n"
            "model.mlir:21:3: error: 'nn.graph' op (C1) operand 1 of size 4 must be 1, found 4\n");
}

TEST_F(InstantiateTest, LoopsInLoopsDoNotFillTheMemory) {
  EXPECT_FALSE(build(makeModel("", R"(
    %y = nn.repeat i = 0 to 1000 carry(%a = %x : <tokens x hidden>) {
      %b = nn.repeat j = 0 to 1000 carry(%c = %a : <tokens x hidden>) {
        %d = nn.call @linear<hidden, hidden>(%c) prefix("{i}.{j}") : (<tokens x hidden>) -> (<tokens x hidden>)
        nn.yield %d : <tokens x hidden>
      }
      nn.yield %b : <tokens x hidden>
    })"),
                     kConfig));
  EXPECT_NE(diagnostics.find("'nn.call' op makes the model larger than 100000 operations"), std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, RefusesABlockThatCallsItselfWithAnotherDimension) {
  EXPECT_FALSE(build(makeModel(R"(
  nn.block @f<n>(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %y = nn.call @f<n + 1>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  })",
                               "%y = nn.call @f<1>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                     kConfig));
  EXPECT_NE(diagnostics.find("'nn.call' op is in more than 100 calls"), std::string::npos) << diagnostics;
}

TEST_F(InstantiateTest, DimensionsOfDimensionsDoNotFillTheMemory) {
  // Each call names its dimension twenty times: 20^12 names, were they not counted once.
  std::string twenty = "n";
  for (int i = 1; i < 20; ++i)
    twenty = "min(n, " + twenty + ")";
  std::string type = " : (<tokens x hidden>) -> (<tokens x hidden>)\n", blocks;
  for (int i = 0; i < 12; ++i) {
    std::string next = i == 11 ? "@linear<hidden, n + 1>" : "@f" + std::to_string(i + 1) + "<" + twenty + ">";
    blocks += "nn.block @f" + std::to_string(i) +
              "<n>(%x: <tokens x hidden>) -> (<tokens x hidden>) {\n%y = nn.call " + next + "(%x)" + type +
              "nn.yield %y : <tokens x hidden>\n}\n";
  }
  EXPECT_FALSE(build(makeModel(blocks, "%y = nn.call @f0<hidden>(%x)" + type), kConfig));
  EXPECT_NE(diagnostics, "");
}

TEST_F(InstantiateTest, BlocksOfBlocksDoNotFillTheMemory) {
  std::string given = "@linear<hidden, hidden>";
  for (int i = 0; i < 10; ++i)
    given = "@twice(" + given + ", " + given + ")";
  std::string type = " : (<tokens x hidden>) -> (<tokens x hidden>)\n";
  EXPECT_FALSE(build(makeModel("nn.block @twice(@f, @g)(%x: <tokens x hidden>) -> (<tokens x hidden>) {\n"
                               "%y = nn.call @f(%x) prefix(\"f\")" +
                                   type + "%z = nn.call @g(%y) prefix(\"g\")" + type +
                                   "nn.yield %z : <tokens x hidden>\n}",
                               "%y = nn.call " + given + "(%x) prefix(\"p\")" + type),
                     kConfig));
  EXPECT_NE(diagnostics.find("'nn.call' op passes more than 1000 blocks"), std::string::npos) << diagnostics;
}

TEST_F(InstantiateTest, ADefaultIsNamedWhereNoKeyIs) {
  EXPECT_FALSE(
      build(makeModel("", "%y = nn.repeat i = 0 to 1001*layers carry(%a = %x : <tokens x hidden>) {\n"
                          "nn.yield %a : <tokens x hidden>\n}"),
            kConfig));
  EXPECT_NE(diagnostics.find("'nn.repeat' op repeats 2002 times, at most 1000 can be"), std::string::npos)
      << diagnostics;
  EXPECT_NE(diagnostics.find("model.mlir:3:3: note: 'layers' is 2, as no key says otherwise"),
            std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, NeedsALossThatCounts) {
  std::string model =
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)");
  std::string loss = "nn.loss \"main\" weight(1) %loss : <1>";
  size_t at = model.find(loss);
  ASSERT_NE(at, std::string::npos);
  for (std::string other : {"", "nn.loss \"main\" weight(0) %loss : <1>"}) {
    diagnostics.clear();
    std::string edited = model;
    EXPECT_FALSE(build(edited.replace(at, loss.size(), other), kConfig));
    EXPECT_NE(diagnostics.find("calls no block with an nn.loss of a weight above 0"), std::string::npos)
        << diagnostics;
  }
  // One of weight 0 beside it is reported only.
  EXPECT_TRUE(build(std::string(model).insert(at, "nn.loss \"other\" weight(0) %loss : <1>\n"), kConfig));
}

TEST_F(InstantiateTest, ASequenceHasATokenToPredict) {
  std::string model =
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)");
  write("model.mlir", model);
  std::optional<RunFile> run =
      parse("{\"model\": {\"model_type\": \"m\", \"hidden_size\": 4}, \"batch\": {\n\"sequence\": 1}}");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_FALSE(buildModel(context, *run));
  EXPECT_NE(diagnostics.find(
                "run.json:2:1: error: batch.sequence = 1: 'nn.shift' op (C1) by must be less than seq, found "
                "1 and 1: no token would be left\n"),
            std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, IdsOfTheConfigurationAreInItsVocabulary) {
  std::string model =
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)");
  auto config = [](const std::string &bos, const std::string &eos) {
    return "{\"model_type\": \"m\", \"hidden_size\": 4,\n\"bos_token_id\": " + bos +
           ",\n\"eos_token_id\": " + eos + "}";
  };
  EXPECT_TRUE(build(model, config("0", "15"))) << diagnostics;
  EXPECT_TRUE(build(model, config("null", "[1, 2]"))) << diagnostics;
  EXPECT_EQ(diagnostics, "");
  EXPECT_FALSE(build(model, config("16", "[1, -1]")));
  EXPECT_EQ(diagnostics, "config.json:2:1: error: bos_token_id: expected an id of 0 to 15, found 16\n"
                         "config.json:3:21: error: eos_token_id[1]: expected an id of 0 to 15, found -1\n");
  diagnostics.clear();
  EXPECT_FALSE(build(model, config("\"a\"", "1.5")));
  EXPECT_EQ(diagnostics, "config.json:2:1: error: bos_token_id: expected an id of 0 to 15, found \"a\"\n"
                         "config.json:3:1: error: eos_token_id: expected an id of 0 to 15, found 1.5\n");
}

TEST_F(InstantiateTest, YarnHasAFactorAndAFactorHasAType) {
  for (const char *architecture : {"deepseek-v3", "llama"}) {
    std::string model = read(getModelPath(std::string(architecture) + "/model.mlir"));
    std::string file = std::string(architecture) + (*architecture == 'l' ? "/tiny.json" : "/nano.json");
    nlohmann::json config = nlohmann::json::parse(read(getModelPath(file)))["model"];
    for (auto [rope, wanted] : {std::pair("{\"type\": \"yarn\"}", "key 'rope_scaling.factor' is missing"),
                                std::pair("{\"factor\": 4}", "key 'rope_scaling.rope_type' is missing"),
                                std::pair("{\"type\": \"yarn\", \"factor\": 0.5}",
                                          "factor: expected a number of 1 or more, found 0.5"),
                                std::pair("\"yarn\"", "rope_scaling: expected an object, found \"yarn\"")}) {
      diagnostics.clear();
      config["rope_scaling"] = nlohmann::json::parse(rope);
      EXPECT_FALSE(build(model, config.dump())) << rope;
      EXPECT_NE(diagnostics.find(wanted), std::string::npos) << rope << "\n" << diagnostics;
    }
  }
}

TEST_F(InstantiateTest, WarnsOfAParameterThatNothingUses) {
  auto module = build(makeModel(R"(
  nn.block @f(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %w = nn.param "w" : <hidden>
    nn.yield %x : <tokens x hidden>
  })",
                                "%y = nn.call @f(%x) : (<tokens x hidden>) -> (<tokens x hidden>)"),
                      kConfig);
  ASSERT_TRUE(module);
  EXPECT_EQ(diagnostics, "model.mlir:22:10: warning: nothing uses parameter 'w'; it is left out\n");
  EXPECT_EQ(getParameterNames(*module), Strings{"table"});
}

TEST_F(InstantiateTest, NeedsAnOutputCalledLogits) {
  std::string model =
      makeModel("", "%y = nn.call @linear<hidden, hidden>(%x) : (<tokens x hidden>) -> (<tokens x hidden>)");
  model.replace(model.find("\"logits\""), 8, "\"scores\"");
  EXPECT_FALSE(build(model, kConfig));
  EXPECT_NE(diagnostics.find("'nn.graph' op has no output \"logits\""), std::string::npos) << diagnostics;
}

//===----------------------------------------------------------------------===//
// The models that are shipped, as they are
//===----------------------------------------------------------------------===//

TEST_F(InstantiateTest, DeepSeekIsTwoKindsOfLayers) {
  auto module = build(read(getModelPath("deepseek-v3/model.mlir")), getNano({{"num_hidden_layers", 5}}));
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(getCalls(*module, "train"),
            (Strings{"embed ", "layer_mlp_256 model.layers.0", "layer_moe model.layers.1",
                     "layer_moe model.layers.2", "layer_moe model.layers.3", "layer_moe model.layers.4",
                     "predict ", "mtp model.layers.5"}));
  EXPECT_EQ(diagnostics, "");
}

TEST_F(InstantiateTest, MtpOfDepthTwoSharesIdsAndHead) {
  auto module =
      build(read(getModelPath("deepseek-v3/model.mlir")), getNano({{"num_nextn_predict_layers", 2}}));
  ASSERT_TRUE(module) << diagnostics;
  Strings calls = getCalls(*module, "train");
  EXPECT_EQ(calls[calls.size() - 2], "mtp model.layers.3");
  EXPECT_EQ(calls.back(), "mtp model.layers.4");
  auto train = module->lookupSymbol<nn::GraphOp>("train");
  // By 1, 2 and 3: the targets of one depth are the ids of the next.
  EXPECT_EQ(llvm::range_size(train.getBody().getOps<nn::ShiftOp>()), 3u);
  // The mean over depths is what is reported and weighted.
  EXPECT_NE(print(*module).find(" by(0.5) : <1>"), std::string::npos);
  EXPECT_NE(print(*module).find("nn.loss \"mtp\" weight(0.3)"), std::string::npos);
  EXPECT_NE(print(*module).find("nn.output \"mtp_logits_2\""), std::string::npos);
}

TEST_F(InstantiateTest, SoftmaxScaleAndYarnFollowTheConfiguration) {
  nlohmann::json yarn = {{"type", "yarn"},
                         {"factor", 40.0},
                         {"beta_fast", 32},
                         {"beta_slow", 1},
                         {"mscale", 1.0},
                         {"mscale_all_dim", 1.0},
                         {"original_max_position_embeddings", 4096}};
  nlohmann::json sizes = {{"qk_nope_head_dim", 128}, {"qk_rope_head_dim", 64}};
  std::string model = read(getModelPath("deepseek-v3/model.mlir"));
  auto plain = build(model, getNano(sizes));
  ASSERT_TRUE(plain) << diagnostics;
  EXPECT_NE(print(*plain).find("scale(0.0721687836"), std::string::npos);
  sizes["rope_scaling"] = yarn;
  auto scaled = build(model, getNano(sizes));
  ASSERT_TRUE(scaled) << diagnostics;
  EXPECT_NE(print(*scaled).find("scale(0.1352337788"), std::string::npos);
  EXPECT_NE(print(*scaled).find("factor = 40.0, beta_fast = 32.0, beta_slow = 1.0, original_length = 4096"),
            std::string::npos);
  // The newer form says the same.
  sizes.erase("rope_scaling");
  yarn.erase("type");
  yarn["rope_type"] = "yarn";
  yarn["rope_theta"] = 10000.0;
  sizes["rope_parameters"] = yarn;
  auto newer = build(model, getNano(sizes));
  ASSERT_TRUE(newer) << diagnostics;
  EXPECT_EQ(print(*newer), print(*scaled));
}

TEST_F(InstantiateTest, RoutingFollowsTheMethod) {
  std::string model = read(getModelPath("deepseek-v3/model.mlir"));
  auto getRoute = [&](const nlohmann::json &changes) {
    auto module = build(model, getNano(changes));
    EXPECT_TRUE(module) << diagnostics;
    std::string text = module ? print(*module) : "";
    size_t at = text.find("nn.route");
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_NE(getRoute({}).find("bias("), std::string::npos);
  EXPECT_NE(
      getRoute({}).find(
          "groups(4) group_limit(2) group_score(\"top2sum\") score(\"sigmoid\") normalize(true) scale(2.5)"),
      std::string::npos);
  // Defaults of deepseek_v3 stand in for keys that are left out.
  nlohmann::json config = nlohmann::json::parse(getNano());
  nlohmann::json v2 = {{"model_type", "deepseek_v2"},
                       {"topk_method", "group_limited_greedy"},
                       {"scoring_func", "softmax"},
                       {"routed_scaling_factor", 16.0}};
  std::string limited = getRoute(v2);
  EXPECT_EQ(limited.find("bias("), std::string::npos);
  EXPECT_NE(limited.find("groups(4) group_limit(2) score(\"softmax\") normalize(false) scale(16.0)"),
            std::string::npos)
      << limited;
  v2["topk_method"] = "greedy";
  EXPECT_EQ(getRoute(v2).find("groups("), std::string::npos);
}

TEST_F(InstantiateTest, KeysOfDeepSeekMayBeMissing) {
  nlohmann::json config = nlohmann::json::parse(getNano());
  for (const char *key :
       {"rope_interleave", "scoring_func", "topk_method", "norm_topk_prob", "routed_scaling_factor",
        "rope_theta", "rms_norm_eps", "hidden_act", "tie_word_embeddings", "attention_bias",
        "num_key_value_heads", "n_shared_experts", "architectures", "max_position_embeddings"})
    config.erase(key);
  std::string model = read(getModelPath("deepseek-v3/model.mlir"));
  auto sparse = build(model, config.dump());
  ASSERT_TRUE(sparse) << diagnostics;
  auto full = build(model, getNano({{"max_position_embeddings", 4096}}));
  ASSERT_TRUE(full) << diagnostics;
  EXPECT_EQ(print(*sparse), print(*full));
}

TEST_F(InstantiateTest, LlamaTiesItsHeadIfAsked) {
  std::string model = read(getModelPath("llama/model.mlir"));
  nlohmann::json config = {{"model_type", "llama"},    {"vocab_size", 32},       {"hidden_size", 16},
                           {"intermediate_size", 24},  {"num_hidden_layers", 1}, {"num_attention_heads", 4},
                           {"num_key_value_heads", 2}, {"attention_bias", true}};
  auto untied = build(model, config.dump());
  ASSERT_TRUE(untied) << diagnostics;
  Strings names = getParameterNames(*untied);
  EXPECT_EQ(names[0], "model.embed_tokens.weight");
  EXPECT_EQ(names[1], "lm_head.weight");
  EXPECT_TRUE(llvm::is_contained(names, "model.layers.0.self_attn.q_proj.bias"));
  EXPECT_NE(print(*untied).find("heads(4) kv_heads(2) seq(8) scale(0.5)"), std::string::npos);
  config["tie_word_embeddings"] = true;
  auto tied = build(model, config.dump());
  ASSERT_TRUE(tied) << diagnostics;
  EXPECT_EQ(getParameterNames(*tied).size(), names.size() - 1);
  config["hidden_act"] = "gelu";
  EXPECT_FALSE(build(model, config.dump()));
  EXPECT_NE(diagnostics.find("hidden_act: expected \"silu\", found \"gelu\""), std::string::npos)
      << diagnostics;
}

TEST_F(InstantiateTest, ADocumentMaskReachesAttention) {
  std::string model = read(getModelPath("deepseek-v3/model.mlir"));
  auto module = build(model, getNano(), ", \"document_mask\": true");
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_NE(print(*module).find("starts(%starts : <32 : i32>)"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Edited copies
//===----------------------------------------------------------------------===//

TEST_F(InstantiateTest, EditedNormOfQueriesAndKeysPerHead) {
  auto module = build(edit("deepseek-v3", {{"%query  = nn.concat", "%query0 = nn.concat"},
                                           {"%key    = nn.concat", "%key0 = nn.concat"},
                                           {"    %mixed = nn.if", R"(
    %query = nn.call @norm_heads(%query0) prefix("q_norm")
           : (<tokens x heads*(nope + rope)>) -> (<tokens x heads*(nope + rope)>)
    %key = nn.call @norm_heads(%key0) prefix("k_norm")
         : (<tokens x heads*(nope + rope)>) -> (<tokens x heads*(nope + rope)>)
    %mixed = nn.if)"},
                                           {"  nn.block @queries", R"(
  nn.block @norm_heads(%x: <tokens x heads*(nope + rope)>) -> (<tokens x heads*(nope + rope)>) {
    %w = nn.param "weight" init(ones) : <nope + rope>
    %y = nn.rms_norm %x, %w eps(eps) : <tokens x heads*(nope + rope)>, <nope + rope>
    nn.yield %y : <tokens x heads*(nope + rope)>
  }
  nn.block @queries)"}}),
                      getNano());
  ASSERT_TRUE(module) << diagnostics;
  Strings names = getParameterNames(*module);
  EXPECT_TRUE(llvm::is_contained(names, "model.layers.2.self_attn.k_norm.weight"));
  EXPECT_TRUE(llvm::is_contained(names, "model.layers.3.self_attn.q_norm.weight"));
  EXPECT_EQ(diagnostics, "");
}

TEST_F(InstantiateTest, EditedAttentionAndFeedForwardInParallel) {
  auto module =
      build(edit("deepseek-v3", {{R"(nn.call @norm<hidden, eps>(%c) prefix("post_attention_layernorm"))",
                                  R"(nn.call @norm<hidden, eps>(%x) prefix("post_attention_layernorm"))"}}),
            getNano());
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(countParameters(*module)->model.total, 734464);
}

TEST_F(InstantiateTest, EditedThirdRangeOfLayers) {
  auto module = build(edit("deepseek-v3", {{"%h2 = nn.repeat i = dense_layers to layers",
                                            "%h15 = nn.repeat i = dense_layers to layers - 1"},
                                           {"    %next = nn.shift", R"(
    %h2 = nn.repeat i = layers - 1 to layers carry(%x = %h15 : <tokens x hidden>) {
      %y = nn.call @layer(@mlp<3*ffn>)(%x, %tokens, %starts) prefix("model.layers.{i}")
         : (<tokens x hidden>, <tokens : i32>, <tokens : i32>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    %next = nn.shift)"}}),
                      getNano());
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_EQ(getCalls(*module, "train")[3], "layer_mlp_768 model.layers.2");
}

TEST_F(InstantiateTest, EditedActivation) {
  auto module = build(edit("deepseek-v3", {{"%h    = nn.swiglu %gate, %up : <tokens x inner>",
                                            "%g = nn.gelu %gate : <tokens x inner>\n"
                                            "%t = nn.tanh %up : <tokens x inner>\n"
                                            "%h = nn.mul %g, %t : <tokens x inner>"}}),
                      getNano());
  ASSERT_TRUE(module) << diagnostics;
  EXPECT_NE(print(*module).find("nn.gelu %"), std::string::npos);
}

} // namespace
} // namespace contraflow::frontend
