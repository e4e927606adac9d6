//===- RunFileTest.cpp - run files: defaults, errors, what is shipped -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/compiler/frontend/Fixture.h"

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
    "bias_update_rate": 0.5, "document_mask": true, "init": {"std": 0.1},
    "optimizer": {"lr": 1, "min_lr": 2, "betas": [0.1, 0.2], "eps": 3, "weight_decay": 4, "clip_norm": 5,
                  "schedule": "cosine", "warmup_steps": 6},
    "train": {"steps": 1, "validate_every": 2, "validation_tokens": 3, "checkpoint_every": 4, "log_every": 5},
    "data": {"paths": ["a"], "include": "*.h", "held_out": 0.5}, "seed": 18446744073709551615})");
  ASSERT_TRUE(run) << diagnostics;
  EXPECT_EQ(run->name, "mine");
  EXPECT_EQ(run->architecture, (folder / "other.mlir").string());
  EXPECT_EQ(run->getBatch(), 4);
  EXPECT_EQ(run->optimizer.beta1, 0.1);
  EXPECT_EQ(run->optimizer.schedule, "cosine");
  EXPECT_EQ(run->data.include, std::vector<std::string>{"*.h"});
  EXPECT_EQ(run->seed, UINT64_MAX);
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
      "run.json:4:17: error: optimizer.lr: expected a number of 0.0 or more, found \"high\"\n"
      "run.json:4:46: error: optimizer.betas[1]: expected a number of 0 or more and below 1, found 1\n"
      "run.json:4:50: error: unknown key 'schedul'; did you mean 'schedule'?\n"
      "run.json:6:3: error: data: expected an object, found 3\n"
      "run.json:2:3: error: unknown key 'modle'; did you mean 'model'?\n");
}

TEST_F(RunFileTest, RefusesABatchThatCannotBeCounted) {
  EXPECT_FALSE(parse(R"({"model": {}, "batch": {"sequence": 4611686018427387904, "micro_batches": 4}})"));
  EXPECT_EQ(diagnostics, "run.json:1:15: error: batch: sequence * micro_batches is too large\n");
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
  EXPECT_EQ(diagnostics, "missing.json: error: cannot be read: No such file or directory\n");
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

TEST_F(RunFileTest, TheSchemaKnowsTheKeysThatAreShipped) {
  nlohmann::json schema = nlohmann::json::parse(read(getModelPath("schema.json")));
  RunFile run = *parse(R"({"model": {}, "batch": {"sequence": 1}})");
  for (const auto &[key, value] : run.resolve().items()) {
    ASSERT_TRUE(schema["properties"].contains(key)) << key;
    // A configuration is Hugging Face's; everything else is closed.
    if (value.is_object() && key != "model")
      for (const auto &[inner, ignored] : value.items())
        EXPECT_TRUE(schema["properties"][key]["properties"].contains(inner)) << key << "." << inner;
  }
}

} // namespace
} // namespace contraflow::frontend
