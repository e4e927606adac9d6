//===- RunFileTest.cpp - run files: defaults, errors, what is shipped -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Parser/Parser.h"
#include "test/unit/compiler/frontend/Fixture.h"
#include <cmath>

namespace contraflow::frontend {
namespace {

using RunFileTest = FrontendTest;

TEST_F(RunFileTest, HasDefaults) {
  std::optional<RunFile> run = parse(R"({"model": {"hidden_size": 4}, "batch": {"sequence": 128}})");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_EQ(run->name, "run");
  EXPECT_EQ(run->architecture, (folder / "model.mlir").string());
  EXPECT_EQ(run->target.kind, "cpu");
  EXPECT_EQ(run->tokens, 128);
  EXPECT_EQ(run->getBatch(), 1);
  EXPECT_EQ(run->optimizer.beta2, 0.95);
  EXPECT_FALSE(run->documentMask);
  EXPECT_EQ(run->config.find("hidden_size")->get(), 4);
}

TEST_F(RunFileTest, ReadsEveryKey) {
  std::optional<RunFile> run = parse(R"({
    "name": "mine", "model": {}, "architecture": "other.mlir", "target": {"kind": "cpu", "isa": "avx2,fma"},
    "batch": {"sequence": 16, "tokens": 256, "micro_batches": 4}, "loss": {"anything": 1},
    "bias_update_rate": 0.5, "document_mask": true, "init": {"std": 0.1}, "ema": {"decay": 0.999},
    "dropout": {"hidden": 0.1, "anything": 0.2},
    "optimizer": {"lr": 2, "min_lr": 1, "betas": [0.1, 0.2], "eps": 3, "weight_decay": 4, "clip_norm": 5,
                  "schedule": "cosine", "warmup_steps": 6},
    "train": {"steps": 8, "validate_every": 2, "validation_tokens": 3, "checkpoint_every": 4, "log_every": 5,
              "keep_last": 6, "keep_every": 7},
    "data": {"paths": ["a"], "include": "*.h", "held_out": 0.5}, "seed": 18446744073709551615})");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_EQ(run->name, "mine");
  EXPECT_EQ(run->architecture, (folder / "other.mlir").string());
  EXPECT_EQ(run->getBatch(), 4);
  EXPECT_EQ(run->optimizer.beta1, 0.1);
  EXPECT_EQ(run->ema.decay, 0.999);
  EXPECT_EQ(run->optimizer.schedule, "cosine");
  EXPECT_EQ(run->data.include, std::vector<std::string>{"*.h"});
  EXPECT_EQ(run->seed, UINT64_MAX);
  EXPECT_EQ(run->train.keepLast, 6);
  EXPECT_EQ(run->train.keepEvery, 7);
  // What the trainer carries reads as the same run.
  nlohmann::json resolved = run->resolve();
  std::optional<RunFile> again = parse(resolved.dump());
  ASSERT_TRUE(again) << diagnostics;
  resolved.erase("architecture");
  nlohmann::json other = again->resolve();
  other.erase("architecture");
  EXPECT_EQ(other, resolved);
}

TEST_F(RunFileTest, ReportsAllErrorsOfAFile) {
  EXPECT_FALSE(parse(R"({
  "modle": {},
  "batch": {"sequence": 16, "tokens": 40, "micro_batches": 2},
  "optimizer": {"lr": "high", "betas": [0.9, 1], "schedul": "cosine"},
  "target": {"kind": "tpu"},
  "data": 3
})"));
  EXPECT_EQ(
      diagnostics,
      "run.json:1:1: error: key 'model' is missing\n"
      "run.json:5:14: error: target.kind: expected one of \"cpu\", found \"tpu\"\n"
      "run.json:3:29: error: batch.tokens: expected a multiple of sequence * micro_batches = 32, found 40\n"
      "run.json:4:17: error: optimizer.lr: expected a number of 0 or more, found \"high\"\n"
      "run.json:4:46: error: optimizer.betas[1]: expected a number of 0 or more and below 1, found 1\n"
      "run.json:4:50: error: optimizer: unknown key 'schedul'; did you mean 'schedule'?\n"
      "run.json:6:3: error: data: expected an object, found 3\n"
      "run.json:2:3: error: unknown key 'modle'; did you mean 'model'?\n");
}

TEST_F(RunFileTest, SharesAreBelowOne) {
  EXPECT_FALSE(parse(R"({"model": {}, "batch": {"sequence": 1},
 "ema": {"decay": 1},
 "dropout": {"hidden": 1.0, "attention": -0.1, "mine": "high"}})"));
  EXPECT_EQ(
      diagnostics,
      "run.json:3:29: error: dropout.attention: expected a number of 0 or more and below 1, found -0.1\n"
      "run.json:3:14: error: dropout.hidden: expected a number of 0 or more and below 1, found 1.0\n"
      "run.json:3:48: error: dropout.mine: expected a number of 0 or more and below 1, found \"high\"\n"
      "run.json:2:10: error: ema.decay: expected a number of 0 or more and below 1, found 1\n");
}

TEST_F(RunFileTest, RefusesABatchThatCannotBeCounted) {
  EXPECT_FALSE(parse(R"({"model": {}, "batch": {"sequence": 4611686018427387904, "micro_batches": 5000}})"));
  EXPECT_FALSE(parse(R"({"model": {}, "batch": {"sequence": 4096, "tokens": 1099511627776}})"));
  EXPECT_EQ(diagnostics,
            "run.json:1:25: error: batch.sequence: expected an integer of 1 to 2147483647, found "
            "4611686018427387904\n"
            "run.json:1:58: error: batch.micro_batches: expected an integer of 1 to 4096, found 5000\n"
            "run.json:1:43: error: batch.tokens: a micro-batch has 1099511627776 tokens, expected at "
            "most 2147483647; raise batch.micro_batches\n");
}

TEST_F(RunFileTest, FindsTheArchitectureOfAModelType) {
  std::string models = CONTRAFLOW_SOURCE_DIR "/models";
  EXPECT_EQ(findArchitecture(context, models, "deepseek_v2"), models + "/deepseek-v3/model.mlir");
  EXPECT_EQ(findArchitecture(context, models, "llama"), models + "/llama/model.mlir");
  EXPECT_EQ(findArchitecture(context, models, "gpt2"), "");
  EXPECT_EQ(findArchitecture(context, models + "/nowhere", "llama"), "");
}

TEST_F(RunFileTest, ReadsAConfigurationFromItsFile) {
  write("config.json", "{\"hidden_size\": 7}");
  std::optional<RunFile> run = parse(R"({"model": "config.json", "batch": {"sequence": 1}})");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_EQ(run->config.find("hidden_size")->get(), 7);
  EXPECT_FALSE(parse(R"({"model": "missing.json", "batch": {"sequence": 1}})"));
  EXPECT_EQ(std::count(diagnostics.begin(), diagnostics.end(), '\n'), 1);
  EXPECT_EQ(diagnostics.find("run.json:1:2: error: model: there is no file '"), 0u) << diagnostics;
  EXPECT_NE(diagnostics.find("missing.json'"), std::string::npos) << diagnostics;
  EXPECT_FALSE(parse(R"({"model": ".", "batch": {"sequence": 1}})")) << "a folder is no configuration";
}

TEST_F(RunFileTest, AssignmentsOverrideKeysOfBothFiles) {
  write("config.json", "{\"hidden_size\": 7, \"rope_scaling\": null}");
  std::string text = R"({"model": "config.json", "batch": {"sequence": 1}, "optimizer": {"lr": 1}})";
  JsonDiagnostics found;
  std::optional<RunFile> run =
      RunFile::parse(text, (folder / "run.json").string(), found,
                     {"optimizer.lr=2", "model.hidden_size=8", "model.rope_scaling.factor=4",
                      "batch.tokens=3", "name=other"});
  ASSERT_TRUE(run);
  EXPECT_EQ(run->optimizer.learningRate, 2);
  EXPECT_EQ(run->tokens, 3);
  EXPECT_EQ(run->name, "other");
  nlohmann::json resolved = run->resolve();
  EXPECT_EQ(resolved["model"].dump(), R"({"hidden_size":8,"rope_scaling":{"factor":4}})");
  EXPECT_EQ(resolved["optimizer"]["lr"], 2);
  EXPECT_FALSE(
      RunFile::parse(text, (folder / "run.json").string(), found, {"optimizer.lr=x", "train.stps=1"}));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].str(),
            "--set optimizer.lr=x: error: optimizer.lr: expected a number of 0 or more, found \"x\"");
  EXPECT_EQ(found[1].str(), "--set train.stps=1: error: train: unknown key 'stps'; did you mean 'steps'?");
}

TEST_F(RunFileTest, AModelMayBeGivenOnTheCommandLine) {
  std::string config = write("other.json", "{\"hidden_size\": 9}");
  JsonDiagnostics found;
  std::optional<RunFile> run =
      RunFile::parse(R"({"model": {}, "batch": {"sequence": 1}})", (folder / "run.json").string(), found,
                     {"model=" + config, "model.hidden_size=10"});
  ASSERT_TRUE(run);
  EXPECT_EQ(run->config.find("hidden_size")->get(), 10);
}

TEST_F(RunFileTest, ContradictionsOfShortRunsAreWarnings) {
  EXPECT_TRUE(parse(R"({"model": {}, "batch": {"sequence": 1}, "optimizer": {"warmup_steps": 5},
"train": {"steps": 4, "validate_every": 6, "checkpoint_every": 7}})"))
      << diagnostics;
  EXPECT_EQ(
      diagnostics,
      "run.json:1:55: warning: optimizer.warmup_steps: 5 is more than train.steps = 4: the run ends before "
      "its warm-up\n"
      "run.json:2:23: warning: train.validate_every: 6 is more than train.steps = 4: it happens at the end "
      "only\n"
      "run.json:2:44: warning: train.checkpoint_every: 7 is more than train.steps = 4: it happens at the end "
      "only\n");
  diagnostics.clear();
  // A constant rate has no end to fall to.
  EXPECT_TRUE(parse(R"({"model": {}, "batch": {"sequence": 1}, "optimizer": {"lr": 1, "min_lr": 2}})"));
  EXPECT_FALSE(parse(
      R"({"model": {}, "batch": {"sequence": 1}, "optimizer": {"lr": 1, "min_lr": 2, "schedule": "cosine"}})"));
  EXPECT_EQ(diagnostics,
            "run.json:1:64: error: optimizer.min_lr: expected at most optimizer.lr = 1.0, to which a "
            "cosine falls, found 2.0\n");
}

TEST_F(RunFileTest, SaysWhichKeysThereAre) {
  EXPECT_FALSE(parse(R"({"model": {}, "batch": {"sequence": 1}, "init": {"zeta": 1}})"));
  EXPECT_EQ(diagnostics, "run.json:1:50: error: init: unknown key 'zeta', expected one of std\n");
}

TEST_F(RunFileTest, EveryRunFileThatIsShippedBuilds) {
  unsigned count = 0;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(CONTRAFLOW_SOURCE_DIR "/models")) {
    std::string path = entry.path().string();
    if (entry.path().extension() != ".json" || entry.path().filename() == "schema.json")
      continue;
    ++count;
    JsonDiagnostics found;
    std::optional<RunFile> run = RunFile::load(path, found);
    ASSERT_TRUE(run) << path;
    EXPECT_TRUE(buildModel(context, *run)) << path << "\n" << diagnostics;
  }
  EXPECT_GE(count, 6u);
  EXPECT_EQ(diagnostics, "");
}

TEST_F(RunFileTest, AnArchitectureIsAFile) {
  write("config.json", "{\"model_type\": \"m\"}");
  std::optional<RunFile> run =
      parse("{\"model\": \"config.json\",\n\"architecture\": \".\", \"batch\": {\"sequence\": 1}}");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_FALSE(buildModel(context, *run));
  EXPECT_EQ(diagnostics, "run.json:2:1: error: architecture: expected a .mlir file, found the folder '.'\n");
}

TEST_F(RunFileTest, TheReleasedConfigurationsHaveYarn) {
  // What the released models compute: the factors that cosines, sines and attention scores are multiplied by.
  for (auto [file, mscale] : {std::pair("671b", 1.0), std::pair("16b", 0.707)}) {
    auto module = buildShipped("deepseek-v3/" + std::string(file) + ".json");
    ASSERT_TRUE(module) << diagnostics;
    double logFactor = 0.1 * mscale * std::log(40.0) + 1, scale = logFactor * logFactor / std::sqrt(192.0);
    unsigned ropes = 0, attentions = 0;
    module->walk([&](nn::RopeOp rope) {
      ++ropes;
      EXPECT_EQ(nn::getFloat(rope.getFactor()), 40);
      EXPECT_EQ(nn::getFloat(rope.getOriginalLength()), 4096);
      EXPECT_EQ(nn::getFloat(rope.getAttentionFactor()), 1);
    });
    module->walk([&](nn::AttentionOp attention) {
      ++attentions;
      EXPECT_NEAR(nn::getFloat(attention.getScale()), scale, 1e-15);
    });
    EXPECT_TRUE(ropes && attentions);
  }
}

//===----------------------------------------------------------------------===//
// models/schema.json
//===----------------------------------------------------------------------===//

class SchemaTest : public FrontendTest {
protected:
  void SetUp() override {
    FrontendTest::SetUp();
    schema = nlohmann::json::parse(read(getModelPath("schema.json")));
  }

  /// Whether the compiler reads a run file that has `value` at `path`.
  bool accepts(const std::vector<std::string> &path, const nlohmann::json &value) {
    nlohmann::json text = {{"model", nlohmann::json::object()}, {"batch", {{"sequence", 1}}}};
    nlohmann::json *target = &text;
    for (const std::string &key : path)
      target = &(*target)[key];
    *target = value;
    bool accepted = parse(text.dump()).has_value();
    diagnostics.clear();
    return accepted;
  }

  /// Compares the values that the schema allows at `path` with those that the compiler does.
  void compareValues(const std::vector<std::string> &path, const nlohmann::json &property) {
    std::string name = path.back(), type = property.value("type", property.contains("enum") ? "enum" : "any");
    if (type == "integer" || type == "number") {
      double minimum = property.at("minimum");
      auto number = [&](double value) {
        return type == "integer" ? nlohmann::json(int64_t(value)) : nlohmann::json(value);
      };
      EXPECT_TRUE(accepts(path, number(minimum))) << name;
      EXPECT_FALSE(accepts(path, number(minimum - 1))) << name;
      EXPECT_FALSE(accepts(path, "text")) << name;
      EXPECT_EQ(accepts(path, minimum + 0.5), type == "number") << name;
      if (property.contains("maximum")) {
        EXPECT_TRUE(accepts(path, number(property["maximum"]))) << name;
        EXPECT_FALSE(accepts(path, number(double(property["maximum"]) + 1))) << name;
      }
      if (property.contains("exclusiveMaximum")) {
        EXPECT_FALSE(accepts(path, number(property["exclusiveMaximum"]))) << name;
      }
    } else if (type == "boolean") {
      EXPECT_TRUE(accepts(path, true) && accepts(path, false)) << name;
      EXPECT_FALSE(accepts(path, 1)) << name;
    } else if (type == "string") {
      EXPECT_TRUE(accepts(path, "text")) << name;
      EXPECT_FALSE(accepts(path, 1)) << name;
    } else if (type == "enum") {
      for (const nlohmann::json &choice : property["enum"])
        EXPECT_TRUE(accepts(path, choice)) << name;
      EXPECT_FALSE(accepts(path, "text")) << name;
    } else if (type == "array") {
      EXPECT_TRUE(accepts(path, property["default"])) << name;
      EXPECT_FALSE(accepts(path, nlohmann::json::array())) << name;
      EXPECT_FALSE(accepts(path, 1)) << name;
    } else {
      for (const nlohmann::json &choice : property.at("oneOf"))
        EXPECT_TRUE(accepts(path, choice["type"] == "string"  ? nlohmann::json("text")
                                  : choice["type"] == "array" ? nlohmann::json({"text"})
                                                              : nlohmann::json::object()))
            << name;
      EXPECT_FALSE(accepts(path, 1)) << name;
    }
  }

  /// Sections whose keys the architecture declares.
  static bool isOfArchitecture(const std::string &key) { return key == "loss" || key == "dropout"; }

  nlohmann::json schema;
};

TEST_F(SchemaTest, HasTheKeysOfTheCompiler) {
  // A loop over items() does not keep a temporary alive.
  nlohmann::json run = parse(R"({"model": {}, "batch": {"sequence": 1}})")->resolve();
  for (const auto &[key, value] : run.items()) {
    ASSERT_TRUE(schema["properties"].contains(key)) << key;
    // A configuration is Hugging Face's; everything else is closed.
    if (value.is_object() && key != "model")
      for (const auto &[inner, ignored] : value.items())
        EXPECT_TRUE(schema["properties"][key]["properties"].contains(inner)) << key << "." << inner;
  }
}

TEST_F(SchemaTest, HasTheDefaultsOfTheCompiler) {
  nlohmann::json run = parse(R"({"model": {}, "batch": {"sequence": 1}})")->resolve();
  unsigned count = 0;
  auto compare = [&](const nlohmann::json &properties, const nlohmann::json &values) {
    for (const auto &[key, property] : properties.items())
      if (property.contains("default") && key != "architecture") {
        ++count;
        EXPECT_EQ(property["default"], values.value(key, nlohmann::json())) << key;
      }
  };
  compare(schema["properties"], run);
  for (const auto &[key, property] : schema["properties"].items())
    if (property.contains("properties") && !isOfArchitecture(key))
      compare(property["properties"], run[key]);
  EXPECT_EQ(schema["properties"]["architecture"]["default"], "model.mlir");
  EXPECT_GE(count, 20u);
}

TEST_F(SchemaTest, HasTheTypesAndRangesOfTheCompiler) {
  for (const auto &[key, property] : schema["properties"].items()) {
    // A path of a configuration is read at once.
    if (isOfArchitecture(key) || key == "model" || key == "$schema")
      continue;
    if (!property.contains("properties")) {
      compareValues({key}, property);
      continue;
    }
    EXPECT_FALSE(accepts({key}, 1)) << key;
    EXPECT_FALSE(accepts({key, "unknown"}, 1)) << key;
    for (const auto &[inner, nested] : property["properties"].items())
      compareValues({key, inner}, nested);
  }
}

TEST_F(SchemaTest, HasTheKeysOfDeepSeek) {
  context.loadDialect<nn::NNDialect>();
  auto source = mlir::parseSourceFile<mlir::ModuleOp>(getModelPath("deepseek-v3/model.mlir"), &context);
  ASSERT_TRUE(source);
  std::map<std::string, size_t> counts;
  nn::ModelOp model = *source->getOps<nn::ModelOp>().begin();
  for (auto config : model.getBody().getOps<nn::ConfigOp>()) {
    std::string path = mlir::cast<mlir::StringAttr>(config.getPaths()[0]).getValue().str();
    if (!config.getRun())
      continue;
    size_t point = path.find('.');
    std::string section = point == std::string::npos ? "" : path.substr(0, point);
    ++counts[section];
    const nlohmann::json &properties =
        section.empty() ? schema["properties"] : schema["properties"][section]["properties"];
    std::string key = path.substr(point + 1);
    ASSERT_TRUE(properties.contains(key)) << path;
    const nlohmann::json &property = properties[key];
    EXPECT_EQ(property["type"], config.getKind() == nn::ConfigKind::Float ? "number" : "boolean") << path;
    // Where the default is a key of the configuration, the schema says so in words.
    ASSERT_TRUE(config.getDefaultValue()) << path;
    nlohmann::json defaultValue =
        nlohmann::json::parse(config.getDefaultValue()->getText().str(), nullptr, /*allow_exceptions=*/false);
    EXPECT_EQ(property.value("default", nlohmann::json()),
              defaultValue.is_discarded() ? nlohmann::json() : defaultValue)
        << path;
    if (property.contains("minimum")) {
      ASSERT_TRUE(config.getMinimum()) << path;
      EXPECT_EQ(property["minimum"], nn::getFloat(*config.getMinimum())) << path;
    }
  }
  for (const char *section : {"loss", "dropout"})
    EXPECT_EQ(schema["properties"][section]["properties"].size(), counts[section]) << section;
}

} // namespace
} // namespace contraflow::frontend
