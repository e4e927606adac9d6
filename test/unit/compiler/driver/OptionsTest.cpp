//===- OptionsTest.cpp - the command line as a table ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Options.h"

#include "gtest/gtest.h"

using namespace contraflow::driver;

namespace {

Options parse(const std::vector<std::string> &arguments) {
  std::vector<std::string> errors;
  std::optional<Options> options = parseOptions(arguments, errors);
  EXPECT_TRUE(options) << (errors.empty() ? "" : errors.front());
  return options.value_or(Options());
}

TEST(DriverOptions, NoArgumentsAskForHelp) {
  EXPECT_EQ(parse({}).command, Command::Help);
  EXPECT_EQ(parse({"help", "compile"}).helpTopic, "compile");
  EXPECT_EQ(parse({"inspect", "-h"}).helpTopic, "inspect");
}

TEST(DriverOptions, ValuesAttachedOrNot) {
  for (const std::vector<std::string> &arguments :
       {std::vector<std::string>{"compile", "run.json", "-o", "out", "--stop-after", "fusion"},
        std::vector<std::string>{"compile", "-o", "out", "--stop-after=fusion", "run.json"},
        std::vector<std::string>{"compile", "--output=out", "run.json", "--stop-after=fusion"}}) {
    Options options = parse(arguments);
    EXPECT_EQ(options.command, Command::Compile);
    EXPECT_EQ(options.input, "run.json");
    EXPECT_EQ(options.output, "out");
    EXPECT_EQ(options.stopAfter, "fusion");
  }
}

TEST(DriverOptions, TrainHandsOnWhatItDoesNotKnow) {
  Options options = parse(
      {"train", "run.json", "--data", "a", "b", "-o", "t", "--steps=3", "--temperature", "0.5", "--profile"});
  EXPECT_EQ(options.input, "run.json");
  EXPECT_EQ(options.output, "t");
  EXPECT_EQ(options.trainerArguments,
            (std::vector<std::string>{"--data", "a", "b", "--steps=3", "--temperature", "0.5", "--profile"}));
  // What is the compilation's is not handed on.
  options = parse({"train", "run.json", "--crash-reproducer=kept", "--checked"});
  EXPECT_EQ(options.reproducer, "kept");
  EXPECT_TRUE(options.trainerArguments.empty());
}

TEST(DriverOptions, EveryOptionIsInTheHelpOfItsCommands) {
  std::string all = getHelp("");
  for (const char *command : {"compile", "train", "inspect", "verify"}) {
    std::string help = getHelp(command);
    EXPECT_NE(all.find(std::string("contraflow ") + command), std::string::npos);
    for (size_t at = help.find("    --"); at != std::string::npos; at = help.find("    --", at + 1)) {
      std::string name = help.substr(at + 4, help.find(' ', at + 4) - at - 4);
      EXPECT_NE(all.find(name), std::string::npos) << name;
    }
  }
}

TEST(DriverOptions, WhatDecidesTheIrIsReplayed) {
  Options options = parse({"compile", "a.mlir", "--start-from", "fusion", "-o", "t", "--timing"});
  EXPECT_EQ(options.replayed, (std::vector<std::string>{"--start-from=fusion"}));
  EXPECT_EQ(parse({"compile", "a.json", "--set", "a=1", "b=2"}).replayed,
            (std::vector<std::string>{"--set=a=1", "--set=b=2"}));
}

TEST(DriverOptions, OptionsOfOptAreNoneOfTheCompiler) {
  EXPECT_EQ(getHelp("").find("--split-input-file"), std::string::npos);
  EXPECT_NE(getOptOptionsHelp().find("--split-input-file"), std::string::npos);
  EXPECT_EQ(getOptOptionsHelp().find("--stop-after"), std::string::npos);
  std::vector<std::string> errors;
  EXPECT_FALSE(parseOptions({"compile", "a.mlir", "--split-input-file"}, errors));
  EXPECT_EQ(errors.at(0), "unknown option '--split-input-file'; see contraflow compile --help");
}

TEST(DriverOptions, SetTakesWhatLooksLikeAnAssignment) {
  Options options = parse(
      {"train", "run.json", "--set", "a=1", "b.c={\"d\": 2}", "--steps", "3", "--set=e=", "--set", "f=-1"});
  EXPECT_EQ(options.assignments, (std::vector<std::string>{"a=1", "b.c={\"d\": 2}", "e=", "f=-1"}));
  EXPECT_EQ(options.trainerArguments, (std::vector<std::string>{"--steps", "3"}));
  EXPECT_EQ(parse({"compile", "--set", "a=1", "run.json"}).input, "run.json");
}

TEST(DriverOptions, NothingIsAnOptionBehindTwoDashes) {
  EXPECT_EQ(parse({"compile", "-o", "t", "--", "--run.json"}).input, "--run.json");
  Options options = parse({"train", "--checked", "run.json", "--", "--steps", "3", "--set", "a=1"});
  EXPECT_TRUE(options.checked);
  EXPECT_EQ(options.trainerArguments, (std::vector<std::string>{"--steps", "3", "--set", "a=1"}));
}

TEST(DriverOptions, ErrorsSayWhatWasFoundAndWanted) {
  auto getErrors = [](const std::vector<std::string> &arguments) {
    std::vector<std::string> errors;
    EXPECT_FALSE(parseOptions(arguments, errors));
    return errors;
  };
  auto getError = [&](const std::vector<std::string> &arguments) { return getErrors(arguments).at(0); };
  EXPECT_EQ(getError({"verify"}), "expected FOLDER; see contraflow verify --help");
  EXPECT_EQ(getError({"verify", "f", "--threads", "0"}),
            "'--threads': expected N, found '0'; see contraflow verify --help");
  EXPECT_EQ(getError({"compile", "a", "--output="}),
            "'--output': expected FILE, found ''; see contraflow compile --help");
  EXPECT_EQ(getError({"--json"}), "expected a command; see contraflow --help");
  EXPECT_EQ(getError({"compile", "r.json", "--set", "seed"}),
            "'--set': expected KEY=VALUE..., found 'seed'; see contraflow compile --help");
  EXPECT_EQ(getError({"inspct"}), "unknown command 'inspct'; did you mean 'inspect'?");
  // All that is wrong is said at once.
  EXPECT_EQ(getErrors({"inspect", "a", "b", "--jsn"}),
            (std::vector<std::string>{"unexpected argument 'b'; see contraflow inspect --help",
                                      "unknown option '--jsn'; did you mean '--json'?"}));
}

} // namespace
