//===- OptionsTest.cpp - the command line ---------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cli/Options.h"
#include "test/unit/runtime/Support.h"

#include <regex>

namespace contraflow::cli {

namespace {

using test::errorOf;

std::string errorFor(const std::vector<std::string> &arguments) {
  return errorOf([&] { parseOptions(arguments); });
}

TEST(Options, ReadsATrainingRun) {
  Options options =
      parseOptions({"--data", "a", "b", "--include", "*.h", "--data", "c", "--steps=30", "--seed", "7",
                    "--held-out", "0.25", "--set", "optimizer.lr=1", "train.steps=3", "--profile"});
  EXPECT_EQ(options.command, Command::Train);
  EXPECT_EQ(options.data, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(options.include, (std::vector<std::string>{"*.h"}));
  EXPECT_EQ(options.steps, 30);
  EXPECT_EQ(options.seed, 7u);
  EXPECT_TRUE(options.train.seedGiven);
  EXPECT_EQ(options.heldOut, 0.25);
  EXPECT_EQ(options.assignments.size(), 2u);
  EXPECT_TRUE(options.profile);
  EXPECT_EQ(options.train.checkpoint, "checkpoint");
  EXPECT_FALSE(options.train.resume.has_value());
  EXPECT_EQ(parseOptions({"train", "--steps", "3"}).steps, 3);
}

TEST(Options, KnowsBothWaysToGiveASeed) {
  EXPECT_TRUE(parseOptions({"--set", "seed=7"}).train.seedGiven);
  EXPECT_FALSE(parseOptions({"--set", "train.steps=3"}).train.seedGiven);
}

TEST(Options, ResumesWhereItSaves) {
  EXPECT_EQ(parseOptions({"--resume"}).train.resume, "checkpoint");
  EXPECT_EQ(parseOptions({"--resume", "--checkpoint", "x"}).train.resume, "x");
  Options elsewhere = parseOptions({"--resume", "x"});
  EXPECT_EQ(elsewhere.train.resume, "x");
  EXPECT_EQ(elsewhere.train.checkpoint, "x");
  Options both = parseOptions({"--resume", "x", "--checkpoint", "y"});
  EXPECT_EQ(both.train.resume, "x");
  EXPECT_EQ(both.train.checkpoint, "y");
  EXPECT_CONTAINS(errorFor({"--resume", "--initialize", "x"}), "exclude each other");
}

TEST(Options, ReadsOtherCommands) {
  Options generate = parseOptions({"generate", "--prompt", "-x -", "--length", "5", "--temperature", "0"});
  EXPECT_EQ(generate.command, Command::Generate);
  EXPECT_EQ(generate.prompt, "-x -");
  EXPECT_EQ(generate.sampling.length, 5);
  EXPECT_EQ(generate.sampling.temperature, 0);
  EXPECT_EQ(parseOptions({"generate", "--prompt=--x"}).prompt, "--x");
  Options probe = parseOptions({"probe", "--ids", "i", "--out", "o", "--steps", "2"});
  EXPECT_EQ(probe.command, Command::Probe);
  EXPECT_EQ(probe.probe.steps, 2);
  EXPECT_EQ(parseOptions({"--info"}).command, Command::Info);
  EXPECT_TRUE(parseOptions({"--info", "--json"}).json);
  EXPECT_TRUE(parseOptions({"info", "--json"}).json);
  EXPECT_EQ(parseOptions({"-h"}).command, Command::Help);
}

TEST(Options, RefusesWhatItDoesNotKnow) {
  EXPECT_CONTAINS(errorFor({"dance"}), "unexpected argument 'dance'");
  EXPECT_CONTAINS(errorFor({"--dance"}), "unknown option '--dance'");
  EXPECT_CONTAINS(errorFor({"--prompt", "x"}), "no option of this command");
  EXPECT_CONTAINS(errorFor({"--steps"}), "'--steps': expected N");
  EXPECT_CONTAINS(errorFor({"--data", "--steps", "3"}), "'--data': expected PATH...");
  EXPECT_CONTAINS(errorFor({"--steps", "three"}), "--steps is 'three'");
  EXPECT_CONTAINS(errorFor({"--steps", "-3"}), "expected a number of 0 or more");
  EXPECT_CONTAINS(errorFor({"--threads", "0"}), "expected a number of 1 or more");
  EXPECT_CONTAINS(errorFor({"--threads", "4097"}), "--threads is 4097, expected 4096 at most");
  EXPECT_CONTAINS(errorFor({"--threads", "99999999999"}), "--threads is '99999999999'");
  EXPECT_CONTAINS(errorFor({"--temperature", "nan"}), "--temperature is 'nan'");
  EXPECT_CONTAINS(errorFor({"--profile=yes"}), "'--profile' takes no value");
  EXPECT_EQ(errorFor({"probe", "--stesp"}), "unknown option '--stesp'; did you mean '--steps'?\n"
                                            "contraflow: error: probe: expected --ids FILE\n"
                                            "contraflow: error: probe: expected --out FILE");
}

// The command line is frozen: a change of options or of settings shows in help.txt.
TEST(Options, HelpIsTheOneThatPeopleKnow) {
  EXPECT_EQ(helpText("trainer"), test::read(SOURCE_DIR "/test/unit/runtime/help.txt"));
}

TEST(Options, HelpListsWhatTheParserTakes) {
  std::string help = helpText("trainer");
  std::regex option("\n  (--[a-z-]+)");
  int found = 0;
  for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it, ++found)
    EXPECT_EQ(errorFor({(*it)[1].str() + "=x"}).find("unknown option"), std::string::npos) << (*it)[1];
  EXPECT_GT(found, 20);
}

} // namespace

} // namespace contraflow::cli
