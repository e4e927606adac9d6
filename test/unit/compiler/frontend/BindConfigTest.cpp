//===- BindConfigTest.cpp - configuration values: paths, nulls, errors ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/BindConfig.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/compiler/frontend/Fixture.h"
#include "llvm/Support/FormatVariadic.h"

namespace contraflow::frontend {
namespace {

class BindConfigTest : public FrontendTest {
protected:
  /// Binds declarations to a configuration (without its braces and model_type); `name = value` lines, or
  /// nothing.
  std::string bind(const std::string &declarations, const std::string &config, const std::string &more = "") {
    context.loadDialect<nn::NNDialect>();
    std::string path =
        write("model.mlir", "nn.model @m for [\"m\", \"n\"] {\n" + declarations +
                                "\nnn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}\n}\n");
    source = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
    if (!source)
      return "";
    write("config.json", "{\"model_type\": \"m\"" + std::string(config.empty() ? "" : ",\n") + config + "}");
    std::optional<RunFile> run =
        parse(R"({"model": "config.json", "batch": {"sequence": 8, "tokens": 32})" + more + "}");
    if (!run)
      return "";
    BoundConfig bound = bindConfig(*source->getOps<nn::ModelOp>().begin(), *run);
    if (!bound.holds)
      return "";
    resolved = resolveRun(*source->getOps<nn::ModelOp>().begin(), *run, bound);
    std::map<std::string, std::string> sorted;
    for (auto &entry : bound.environment)
      sorted[entry.first().str()] = nn::describe(entry.second);
    for (const char *name : {"batch", "seq", "tokens", "model_type"})
      sorted.erase(name);
    std::string text;
    for (auto &[name, value] : sorted)
      text += name + " = " + value + "\n";
    return text;
  }

  mlir::OwningOpRef<mlir::ModuleOp> source;
  /// The run file of the last `bind`.
  nlohmann::json resolved;
};

TEST_F(BindConfigTest, FirstPathThatHasAValueWins) {
  std::string declaration = "nn.config theta = [\"rope_theta\", \"rope.theta\"] : float default 1.0";
  EXPECT_EQ(bind(declaration, "\"rope_theta\": 2, \"rope\": {\"theta\": 2}"), "theta = 2.0\n");
  EXPECT_EQ(bind(declaration, "\"rope\": {\"theta\": 3.5}"), "theta = 3.5\n");
  EXPECT_EQ(bind(declaration, "\"rope_theta\": null, \"rope\": {\"theta\": 3}"), "theta = 3.0\n");
  EXPECT_EQ(bind(declaration, "\"rope\": null"), "theta = 1.0\n");
  EXPECT_EQ(diagnostics, "");
}

TEST_F(BindConfigTest, ResolvesRunFilesWithTheDefaultsOfTheModel) {
  std::string declaration = "nn.config w = run \"loss.weight\" : float default 0.3\n"
                            "nn.config c = \"c\" : float default 0.25\n"
                            "nn.config d = run [\"dropout.hidden\", \"dropout.old\"] : float default c\n"
                            "nn.config o = run \"loss.optional\" : float optional\n"
                            "nn.config r = run \"bias_update_rate\" : float default 0.5\n"
                            "nn.config n = run \"train.other\" : int default 3\n";
  bind(declaration, "");
  EXPECT_EQ(resolved["loss"].dump(), R"({"weight":0.3})");
  EXPECT_EQ(resolved["dropout"].dump(), R"({"hidden":0.25})");
  // The default of the run file itself.
  EXPECT_EQ(resolved["bias_update_rate"], 0.001);
  EXPECT_FALSE(resolved["train"].contains("other"));
  bind(declaration, "", ", \"loss\": {\"weight\": 1, \"optional\": 2}, \"dropout\": {\"old\": 0.5}");
  EXPECT_EQ(resolved["loss"].dump(), R"({"optional":2,"weight":1})");
  EXPECT_EQ(resolved["dropout"].dump(), R"({"old":0.5})");
  EXPECT_EQ(diagnostics, "");
}

TEST_F(BindConfigTest, NullIsAbsentWhereOptionalAndTheDefaultElsewhere) {
  std::string declaration = "nn.config a = \"a\" : dim optional default 5\n"
                            "nn.config b = \"b\" : dim optional\n"
                            "nn.config c = \"c\" : dim default 2*batch\n";
  EXPECT_EQ(bind(declaration, ""), "a = 5\nb = null\nc = 8\n");
  EXPECT_EQ(bind(declaration, "\"a\": null, \"b\": null, \"c\": null"), "a = null\nb = null\nc = 8\n");
  EXPECT_EQ(bind(declaration, "\"a\": 1, \"b\": 2, \"c\": 3"), "a = 1\nb = 2\nc = 3\n");
  EXPECT_EQ(diagnostics, "");
}

TEST_F(BindConfigTest, ReadsTheRunFile) {
  EXPECT_EQ(bind("nn.config w = run \"loss.w\" : float default 0.3", "", ", \"loss\": {\"w\": 0.5}"),
            "w = 0.5\n");
  EXPECT_EQ(bind("nn.config w = run \"loss.w\" : float default 0.3", ""), "w = 0.3\n");
}

TEST_F(BindConfigTest, EvaluatesLets) {
  EXPECT_EQ(bind("nn.config heads = \"heads\" : dim\n"
                 "nn.config rank = \"rank\" : dim optional\n"
                 "nn.let scale = if(has(rank), 1.0, 1/sqrt(heads))\n"
                 "nn.let new = model_type == \"m\"\n",
                 "\"heads\": 4"),
            "heads = 4\nnew = true\nrank = null\nscale = 0.5\n");
}

TEST_F(BindConfigTest, ReportsAllErrors) {
  EXPECT_EQ(bind("nn.config hidden = \"hidden_size\" : dim\n"
                 "nn.config heads = \"num_heads\" : dim\n"
                 "nn.config act = \"act\" : one_of[\"silu\", \"gelu\"] default \"silu\"\n"
                 "nn.config every = \"every\" : one_of[1] default 1\n"
                 "nn.config tied = \"tied\" : bool default false\n"
                 "nn.let size = hidden*heads\n",
                 "\"hiden_size\": 4, \"num_heads\": 0, \"act\": \"relu\",\n\"every\": 2, \"tied\": \"yes\""),
            "");
  EXPECT_EQ(diagnostics,
            "config.json:1:1: error: key 'hidden_size' is missing; did you mean 'hiden_size' to be it?\n"
            "model.mlir:2:1: note: read as 'hidden' here\n"
            "config.json:2:18: error: num_heads: expected an integer of 1 or more, found 0\n"
            "model.mlir:3:1: note: read as 'heads' here\n"
            "config.json:2:34: error: act: expected one of \"silu\", \"gelu\", found \"relu\"\n"
            "model.mlir:4:1: note: read as 'act' here\n"
            "config.json:3:1: error: every: expected 1, found 2\n"
            "model.mlir:5:1: note: read as 'every' here\n"
            "config.json:3:13: error: tied: expected true or false, found \"yes\"\n"
            "model.mlir:6:1: note: read as 'tied' here\n"
            "config.json:2:1: warning: nothing reads key 'hiden_size'; did you mean 'hidden_size'?\n");
}

TEST_F(BindConfigTest, WarnsOfAMisspeltKeyThatHasADefault) {
  EXPECT_EQ(bind("nn.config eps = \"rms_norm_eps\" : float default 1.0e-6", "\"rms_norm_epss\": 1"),
            "eps = 1.0e-06\n");
  EXPECT_EQ(diagnostics,
            "config.json:2:1: warning: nothing reads key 'rms_norm_epss'; did you mean 'rms_norm_eps'?\n");
}

TEST_F(BindConfigTest, KeysThatNoModelKnowsAreSilent) {
  EXPECT_EQ(bind("nn.config v = \"v_head_dim\" : dim\nnn.config n = \"num_layers\" : int default 1",
                 "\"v_head_dim\": 4, \"head_dim\": 3, \"torch_dtype\": \"bfloat16\", \"use_cache\": true"),
            "n = 1\nv = 4\n");
  EXPECT_EQ(diagnostics, "");
}

TEST_F(BindConfigTest, AKeyBesideTheOneItLooksLikeIsSuspectToo) {
  EXPECT_EQ(bind("nn.config n = \"num_layers\" : int", "\"num_layers\": 4,\n\"num_layer\": 3"), "n = 4\n");
  EXPECT_EQ(diagnostics,
            "config.json:3:1: warning: nothing reads key 'num_layer'; did you mean 'num_layers'?\n");
}

TEST_F(BindConfigTest, NumbersHaveRanges) {
  std::string declarations = "nn.config experts = \"experts\" : dim\n"
                             "nn.config layers = \"layers\" : int min(1)\n"
                             "nn.config depth = \"depth\" : int default 0\n"
                             "nn.config top_k = \"top_k\" : dim max(experts)\n"
                             "nn.config weight = run \"loss.weight\" : float min(0) default 1\n"
                             "nn.config offset = \"offset\" : int min(-2) default 0\n";
  EXPECT_EQ(bind(declarations, "\"experts\": 4, \"layers\": 1, \"depth\": 0, \"top_k\": 4, \"offset\": -2"),
            "depth = 0\nexperts = 4\nlayers = 1\noffset = -2\ntop_k = 4\nweight = 1.0\n");
  EXPECT_EQ(diagnostics, "");
  EXPECT_EQ(bind(declarations,
                 "\"experts\": 4,\n\"layers\": 0,\n\"depth\": -1,\n\"top_k\": 5,\n\"offset\": -3",
                 ", \"loss\": {\"weight\": -0.5}"),
            "");
  EXPECT_EQ(diagnostics, "config.json:3:1: error: layers: expected an integer of 1 or more, found 0\n"
                         "model.mlir:3:1: note: read as 'layers' here\n"
                         "config.json:4:1: error: depth: expected an integer of 0 or more, found -1\n"
                         "model.mlir:4:1: note: read as 'depth' here\n"
                         "config.json:5:1: error: top_k: expected an integer of 1 to 4, found 5\n"
                         "model.mlir:5:1: note: read as 'top_k' here\n"
                         "run.json:1:75: error: loss.weight: expected a number of 0 or more, found -0.5\n"
                         "model.mlir:6:1: note: read as 'weight' here\n"
                         "config.json:6:1: error: offset: expected an integer of -2 or more, found -3\n"
                         "model.mlir:7:1: note: read as 'offset' here\n");
}

TEST_F(BindConfigTest, AFloatStaysOneHoweverItIsWritten) {
  EXPECT_EQ(bind("nn.config a = \"a\" : float\nnn.let twice = 2*a", "\"a\": 4"), "a = 4.0\ntwice = 8.0\n");
}

TEST_F(BindConfigTest, ADefaultMayHaveAnException) {
  std::string declarations =
      "nn.config kind = \"rope.type\" : one_of[\"plain\", \"yarn\"] default \"plain\"\n"
      "nn.config factor = [\"factor\", \"rope.factor\"] : float default 1.0"
      " unless kind == \"yarn\"";
  EXPECT_EQ(bind(declarations, ""), "factor = 1.0\nkind = \"plain\"\n");
  EXPECT_EQ(bind(declarations, "\"rope\": {\"type\": \"yarn\", \"factor\": 40}"),
            "factor = 40.0\nkind = \"yarn\"\n");
  EXPECT_EQ(diagnostics, "");
  EXPECT_EQ(bind(declarations, "\"rope\": {\"type\": \"yarn\", \"facto\": 40}"), "");
  EXPECT_EQ(diagnostics,
            "config.json:2:1: error: key 'rope.factor' is missing, which has no default where "
            "kind == \"yarn\"; did you mean 'facto' to be it?\n"
            "model.mlir:3:1: note: read as 'factor' here\n"
            "config.json:2:26: warning: nothing reads key 'rope.facto'; did you mean 'rope.factor'?\n");
}

TEST_F(BindConfigTest, WhatHasKeysIsAnObject) {
  std::string declarations =
      "nn.config a = \"rope.a\" : int default 1\nnn.config b = \"rope.b\" : int default 2\n"
      "nn.let c = a + b";
  EXPECT_EQ(bind(declarations, "\"rope\": null"), "a = 1\nb = 2\nc = 3\n");
  EXPECT_EQ(bind(declarations, "\"rope\": {\"a\": 5, \"other\": 1}"), "a = 5\nb = 2\nc = 7\n");
  EXPECT_EQ(diagnostics, "config.json:2:18: warning: nothing reads key 'rope.other'\n");
  diagnostics.clear();
  EXPECT_EQ(bind(declarations, "\"rope\": \"yarn\""), "");
  EXPECT_EQ(diagnostics, "config.json:2:1: error: rope: expected an object, found \"yarn\"\n"
                         "model.mlir:2:1: note: read as 'a' here\n");
}

TEST_F(BindConfigTest, NamesAnExpressionThatHasNoValue) {
  EXPECT_EQ(bind("nn.config rank = \"rank\" : dim optional\nnn.let twice = 2*rank", ""), "");
  EXPECT_EQ(diagnostics, "model.mlir:3:1: error: '*' needs numbers, found 2 and null\n");
}

TEST_F(BindConfigTest, AKeyIsNamedOnceHoweverOftenItIsUsed) {
  std::string declarations = "nn.config a0 = \"a\" : dim";
  for (int i = 1; i <= 50; ++i)
    declarations += llvm::formatv("\nnn.let a{0} = min(a{1}, a{1})", i, i - 1);
  EXPECT_EQ(bind(declarations + "\nnn.let last = 1/(a50 - 3)", "\"a\": 3"), "");
  EXPECT_EQ(diagnostics,
            "config.json:2:1: error: a = 3: division by zero\nmodel.mlir:53:1: note: computed here\n");
}

TEST_F(BindConfigTest, ADefaultMustFit) {
  EXPECT_EQ(bind("nn.config head_dim = \"head_dim\" : dim default 10/4", ""), "");
  EXPECT_EQ(diagnostics,
            "model.mlir:2:1: error: default of 'head_dim': expected an integer of 1 or more, found 2.5\n");
}

TEST_F(BindConfigTest, ADefaultThatKeysMakeWrongIsTheirError) {
  EXPECT_EQ(bind("nn.config hidden = \"hidden_size\" : dim\nnn.config heads = \"heads\" : dim\n"
                 "nn.let share = hidden/heads\nnn.config head_dim = \"head_dim\" : dim default share",
                 "\"hidden_size\": 10,\n\"heads\": 4"),
            "");
  EXPECT_EQ(diagnostics,
            "config.json:2:1: error: hidden_size = 10: default of 'head_dim': expected an integer of 1 or "
            "more, found 2.5\n"
            "model.mlir:5:1: note: computed here\n"
            "config.json:3:1: note: heads = 4\n");
}

TEST_F(BindConfigTest, KeysOfOneValueDoNotContradictEachOther) {
  std::string declaration = "nn.config theta = [\"theta\", \"rope.theta\"] : float default 1.0";
  EXPECT_EQ(bind(declaration, "\"theta\": 4, \"rope\": {\"theta\": 4.0}"), "theta = 4.0\n");
  EXPECT_EQ(bind(declaration, "\"theta\": null, \"rope\": {\"theta\": 5}"), "theta = 5.0\n");
  EXPECT_EQ(diagnostics, "");
  EXPECT_EQ(bind(declaration, "\"theta\": 4,\n\"rope\": {\"theta\": 5}"), "");
  EXPECT_EQ(diagnostics,
            "config.json:3:10: error: rope.theta: found 5, which contradicts theta = 4; leave out one of "
            "them\n"
            "model.mlir:2:1: note: read as 'theta' here\n");
}

TEST_F(BindConfigTest, RefusesLossesThatTheModelHasNot) {
  EXPECT_EQ(bind("nn.config w = run \"loss.balance_alpha\" : float default 0.3", "",
                 ", \"loss\": {\"balance_alph\": 0.5}"),
            "");
  EXPECT_EQ(diagnostics.substr(diagnostics.find("error")),
            "error: unknown key 'loss.balance_alph'; did you mean 'loss.balance_alpha'?\n");
}

TEST_F(BindConfigTest, RefusesAModelTypeThatIsNotServed) {
  EXPECT_FALSE(build("nn.model @m for [\"m\", \"n\"] {\n"
                     "nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}\n}\n",
                     "{\n\"model_type\": \"gpt2\"}"));
  EXPECT_EQ(diagnostics, "config.json:2:1: error: model_type: '@m' serves \"m\", \"n\", found \"gpt2\"\n");
}

TEST_F(BindConfigTest, AModelTypeIsAString) {
  EXPECT_FALSE(build("nn.model @m for [\"m\"] {\n"
                     "nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}\n}\n",
                     "{\n\"model_type\": 3}"));
  EXPECT_EQ(diagnostics, "config.json:2:1: error: model_type: expected a string, found 3\n");
}

} // namespace
} // namespace contraflow::frontend
