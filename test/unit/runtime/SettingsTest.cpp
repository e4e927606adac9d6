//===- SettingsTest.cpp - keys of a run file, learning rates --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Settings.h"
#include "test/unit/runtime/Support.h"

#include <algorithm>

namespace contraflow::train {

namespace {

using test::errorOf;

TEST(LearningRate, RisesThenStays) {
  Settings settings;
  settings.learningRate = 0.4;
  settings.warmupSteps = 4;
  settings.steps = 10;
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 1), 0.1);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 4), 0.4);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 5), 0.4);
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 1000), 0.4);
}

TEST(LearningRate, FallsAlongACosine) {
  Settings settings;
  settings.schedule = "cosine";
  settings.learningRate = 1.1;
  settings.minLearningRate = 0.1;
  settings.warmupSteps = 10;
  settings.steps = 110;
  EXPECT_DOUBLE_EQ(learningRateAt(settings, 10), 1.1);
  EXPECT_NEAR(learningRateAt(settings, 60), 0.6, 1e-12);
  EXPECT_NEAR(learningRateAt(settings, 110), 0.1, 1e-12);
  EXPECT_NEAR(learningRateAt(settings, 500), 0.1, 1e-12);
  for (int64_t step = 11; step <= 110; ++step)
    EXPECT_LT(learningRateAt(settings, step), learningRateAt(settings, step - 1));
  settings.warmupSteps = 0;
  settings.steps = 0;
  EXPECT_NEAR(learningRateAt(settings, 1), 0.1, 1e-12);
}

TEST(Settings, WritesWhatARunReallyHad) {
  const std::string run = R"({"name": "x", "optimizer": {"lr": 0.002, "eps": 1e-8}, "train": {"steps": 7}})";
  Settings settings = Settings::parse(run, {"optimizer.lr=0.25", "train.steps=9", "data.paths=here"});
  settings.seed = 18446744073709551615ull;
  std::string written = settings.writeInto(run);
  EXPECT_CONTAINS(written, R"("name":"x")");
  EXPECT_CONTAINS(written, R"("eps":1e-08,"lr":0.25,)");
  EXPECT_CONTAINS(written, R"("paths":["here"])");
  Settings again = Settings::parse(written, {});
  EXPECT_EQ(again.seed, settings.seed);
  EXPECT_EQ(again.steps, 9);
  EXPECT_EQ(again.writeInto(written), written);

  EXPECT_EQ(settings.changesSince(written), std::vector<std::string>());
  EXPECT_EQ(settings.changesSince(run), std::vector<std::string>{"optimizer.lr is 0.25, it was 0.002"});
  // Written before there was such a bound.
  EXPECT_EQ(settings.changesSince(R"({"optimizer": {"lr": 1e300}})").front(),
            "optimizer.lr is 0.25, it was 1e+300");
  // The number of steps shapes a cosine and nothing else.
  settings.schedule = "cosine";
  EXPECT_EQ(settings.changesSince(run).back(),
            "train.steps, over which the learning rate falls, is 9, it was 7");
}

TEST(Settings, ReadsTheRunFileThenAssignments) {
  Settings settings = Settings::parse(
      R"({"optimizer": {"lr": 0.002, "betas": [0.8, 0.9], "schedule": "cosine"}, "train": {"steps": 7},
          "data": {"include": "*.h", "paths": ["a", "b"]}, "seed": 18446744073709551615, "unknown": {"x": 1},
          "document_mask": true})",
      {"optimizer.lr=1e-3", "optimizer.schedule=constant", "train.validation_tokens=1e4"});
  EXPECT_EQ(settings.learningRate, 1e-3);
  EXPECT_EQ(settings.betas, (std::vector<double>{0.8, 0.9}));
  EXPECT_EQ(settings.schedule, "constant");
  EXPECT_EQ(settings.steps, 7);
  EXPECT_EQ(settings.validationTokens, 10000);
  EXPECT_EQ(settings.dataInclude, (std::vector<std::string>{"*.h"}));
  EXPECT_EQ(settings.dataPaths, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(settings.seed, 18446744073709551615ull);
  EXPECT_TRUE(settings.documentMask);
}

TEST(Settings, NamesTheKeyThatIsWrong) {
  auto errorFor = [](const std::string &run, std::vector<std::string> assignments = {}) {
    return errorOf([&] { Settings::parse(run, assignments); });
  };
  EXPECT_CONTAINS(errorFor("[]"), "not a JSON object");
  EXPECT_CONTAINS(errorFor(R"({"optimizer": {"lr": "big"}})"), "optimizer.lr is \"big\", expected a number");
  EXPECT_CONTAINS(errorFor(R"({"optimizer": {"lr": -1}})"), "optimizer.lr is -1");
  EXPECT_CONTAINS(errorFor(R"({"train": {"steps": 1.5}})"), "train.steps is 1.5, expected a whole number");
  EXPECT_CONTAINS(errorFor(R"({"train": {"steps": 1e300}})"), "train.steps");
  EXPECT_CONTAINS(errorFor(R"({"train": {"steps": 1000000000000001}})"),
                  "train.steps is 1000000000000001, expected a whole number of at most 1000000000000000");
  EXPECT_EQ(Settings::parse(R"({"train": {"steps": 1000000000000000}})", {}).steps, 1000000000000000);
  EXPECT_CONTAINS(errorFor("{}", {"optimizer.lr=1e300"}), "expected a number that single precision holds");
  EXPECT_CONTAINS(errorFor(R"({"seed": -1})"), "seed is -1");
  EXPECT_CONTAINS(errorFor(R"({"optimizer": {"schedule": "sine"}})"), "expected constant or cosine");
  EXPECT_CONTAINS(errorFor(R"({"optimizer": {"betas": [0.9]}})"), "two numbers below 1");
  EXPECT_CONTAINS(errorFor(R"({"data": {"held_out": 1}})"), "data.held_out is 1");
  EXPECT_CONTAINS(errorFor(R"({"document_mask": 1})"), "expected true or false");
  EXPECT_CONTAINS(errorFor("{}", {"optimizer.lr"}), "expected KEY=VALUE");
  // These are compiled into the program.
  std::string run = R"({"optimizer": {"weight_decay": 0.1}, "model": {"hidden_size": 4}})";
  EXPECT_EQ(errorFor("{}", {"optimizer.betas=[0, 0]"}),
            "--set optimizer.betas=[0, 0]: this key is compiled in; compile again with 'contraflow compile "
            "RUN.json --set optimizer.betas=[0, 0]'");
  EXPECT_CONTAINS(errorFor(run, {"optimizer.weight_decay=0"}), "this key is compiled in");
  EXPECT_CONTAINS(errorFor(run, {"model.hidden_size=8"}), "this key is compiled in");
  EXPECT_EQ(errorFor(run, {"optimizer.rl=0"}),
            "--set optimizer.rl=0: unknown key 'optimizer.rl'; did you mean 'optimizer.lr'?");
  // All that are wrong are said at once.
  EXPECT_EQ(errorFor(run, {"optimizer.lr=x", "seed=-1"}),
            "--set optimizer.lr=x: optimizer.lr is \"x\", expected a number that is not negative\n"
            "contraflow: error: --set seed=-1: seed is -1, expected a whole number that is not negative");
  EXPECT_CONTAINS(errorFor(R"({"optimizer": {"lr": 1e-3, "min_lr": 2e-3, "schedule": "cosine"}})"),
                  "optimizer.min_lr is 0.002, expected at most optimizer.lr = 0.001");
}

} // namespace

} // namespace contraflow::train
