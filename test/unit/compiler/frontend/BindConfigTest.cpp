//===- BindConfigTest.cpp - configuration values: paths, nulls, errors ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/BindConfig.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/compiler/frontend/Fixture.h"

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
    mlir::FailureOr<nn::ExprEnvironment> environment =
        bindConfig(*source->getOps<nn::ModelOp>().begin(), *run);
    if (mlir::failed(environment))
      return "";
    std::map<std::string, std::string> sorted;
    for (auto &entry : *environment)
      sorted[entry.first().str()] = nn::describe(entry.second);
    for (const char *name : {"batch", "seq", "tokens", "model_type"})
      sorted.erase(name);
    std::string text;
    for (auto &[name, value] : sorted)
      text += name + " = " + value + "\n";
    return text;
  }

  mlir::OwningOpRef<mlir::ModuleOp> source;
};

TEST_F(BindConfigTest, FirstPathThatHasAValueWins) {
  std::string declaration = "nn.config theta = [\"rope_theta\", \"rope.theta\"] : float default 1.0";
  EXPECT_EQ(bind(declaration, "\"rope_theta\": 2, \"rope\": {\"theta\": 3}"), "theta = 2\n");
  EXPECT_EQ(bind(declaration, "\"rope\": {\"theta\": 3.5}"), "theta = 3.5\n");
  EXPECT_EQ(bind(declaration, "\"rope_theta\": null, \"rope\": {\"theta\": 3}"), "theta = 3\n");
  EXPECT_EQ(bind(declaration, "\"rope\": null"), "theta = 1.0\n");
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

TEST_F(BindConfigTest, NamesAnExpressionThatHasNoValue) {
  EXPECT_EQ(bind("nn.config rank = \"rank\" : dim optional\nnn.let twice = 2*rank", ""), "");
  EXPECT_EQ(diagnostics, "model.mlir:3:1: error: '*' needs numbers, found 2 and null\n");
}

TEST_F(BindConfigTest, ADefaultMustFit) {
  EXPECT_EQ(bind("nn.config head_dim = \"head_dim\" : dim default 10/4", ""), "");
  EXPECT_EQ(diagnostics,
            "model.mlir:2:1: error: default of 'head_dim': expected an integer of 1 or more, found 2.5\n");
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

} // namespace
} // namespace contraflow::frontend
