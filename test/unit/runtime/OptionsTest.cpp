//===- OptionsTest.cpp - the command line ---------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cli/Options.h"
#include "runtime/base/Error.h"
#include "test/unit/runtime/Support.h"

#include <cstring>
#include <regex>

namespace contraflow::cli {

namespace {

using base::text;
using test::errorOf;

std::string errorFor(const std::vector<std::string> &arguments) {
  return errorOf([&] { parseOptions(arguments); });
}

TEST(Options, ReadsATrainingRun) {
  Options options =
      parseOptions({"--data", "a", "b", "--include", "*.h", "--data", "c", "--steps=30", "--seed", "7",
                    "--held-out", "0.25", "--set", "optimizer.lr=1", "train.log_every=3", "--profile"});
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
  EXPECT_CONTAINS(errorFor({"--steps", "-3"}), "expected a whole number of 0 or more");
  EXPECT_CONTAINS(errorFor({"--threads", "0"}), "expected a whole number of 1 or more");
  EXPECT_CONTAINS(errorFor({"--threads", "4097"}), "--threads is 4097, expected 4096 at most");
  EXPECT_CONTAINS(errorFor({"--threads", "99999999999"}), "--threads is 99999999999, expected 4096 at most");
  EXPECT_CONTAINS(errorFor({"--steps", "9223372036854775808"}),
                  "--steps is '9223372036854775808', expected a whole number of at most 1000000000000000");
  for (std::vector<std::string> before : {std::vector<std::string>{"--steps"},
                                          {"--sample-length"},
                                          {"generate", "--length"},
                                          {"probe", "--steps"}}) {
    before.push_back("1000000000000001");
    EXPECT_CONTAINS(errorFor(before), "expected a whole number of at most 1000000000000000");
  }
  EXPECT_EQ(parseOptions({"--steps", "1000000000000000"}).steps, 1000000000000000);
  for (const char *value : {"1e999", "1e-999", "1e39"})
    EXPECT_CONTAINS(errorFor({"--temperature", value}), "expected a number that single precision holds");
  for (const char *value : {"inf", "-1e999", "-1", "x"})
    EXPECT_CONTAINS(errorFor({"--temperature", value}), "expected a finite number of 0 or more");
  EXPECT_CONTAINS(errorFor({"--seed", "18446744073709551616"}), "of at most 18446744073709551615");
  EXPECT_CONTAINS(errorFor({"--steps", "-9223372036854775809"}), "expected a whole number of 0 or more");
  EXPECT_CONTAINS(errorFor({"--steps", "1.5"}), "--steps is '1.5', expected a whole number of 0 or more");
  EXPECT_CONTAINS(errorFor({"--temperature", "nan"}), "--temperature is 'nan'");
  EXPECT_CONTAINS(errorFor({"--profile=yes"}), "'--profile' takes no value");
  EXPECT_EQ(errorFor({"probe", "--stesp"}), "unknown option '--stesp'; did you mean '--steps'?\n"
                                            "contraflow: error: probe: expected --ids FILE\n"
                                            "contraflow: error: probe: expected --out FILE");
}

TEST(Options, TakesNoEmptyValueAndNoOptionForAValue) {
  for (const char *option : {"--metrics", "--tensorboard", "--checkpoint", "--initialize", "--resume",
                             "--data", "--include", "--steps", "--set"}) {
    std::string wanted = text("'", option, "': expected ");
    EXPECT_CONTAINS(errorFor({option, ""}), wanted);
    EXPECT_CONTAINS(errorFor({text(option, "=")}), wanted);
  }
  EXPECT_CONTAINS(errorFor({"--data", "a", ""}), "'--data': expected PATH...");
  EXPECT_CONTAINS(errorFor({"--metrics", "--tensorboard", "x"}), "'--metrics': expected FILE");
  EXPECT_CONTAINS(errorFor({"--metrics", "-h"}), "'--metrics': expected FILE");
  EXPECT_EQ(parseOptions({"generate", "--prompt", ""}).prompt, "");
}

TEST(Options, TakesAValueFromOnePlaceOnly) {
  struct Pair {
    const char *option, *value, *assignment;
  };
  for (auto [option, value, assignment] :
       {Pair{"--data", "a", "data.paths=b"}, Pair{"--include", "*.h", "data.include=*.c"},
        Pair{"--held-out", "0.1", "data.held_out=0.2"}, Pair{"--steps", "3", "train.steps=4"},
        Pair{"--seed", "1", "seed=2"}}) {
    std::string key(assignment, std::strchr(assignment, '='));
    EXPECT_EQ(errorFor({option, value, "--set", assignment}),
              text(option, " and --set ", key, " exclude each other"));
    EXPECT_EQ(errorFor({option, value, "--set", assignment, text(key, "[0]=1"), assignment}),
              text(option, " and --set ", key, " exclude each other"));
    EXPECT_CONTAINS(errorFor({option, value, "--set", text(key, "[0]=1")}), "exclude each other");
    parseOptions({option, value, "--set", "optimizer.lr=1"});
    parseOptions({"--set", assignment});
  }
}

// The command line is frozen: a change of options or of settings shows in help.txt.
TEST(Options, HelpIsTheOneThatPeopleKnow) {
  EXPECT_EQ(helpText("trainer", std::nullopt), test::read(SOURCE_DIR "/test/unit/runtime/help.txt"));
}

TEST(Options, HelpOfACommandIsOfItAlone) {
  EXPECT_EQ(parseOptions({"--help"}).helpTopic, std::nullopt);
  for (Command topic : {Command::Train, Command::Generate, Command::Export, Command::Probe, Command::Info}) {
    std::string help = helpText("./trainer", topic);
    for (auto [name, option] : {std::pair{Command::Train, "--sample-length"},
                                {Command::Generate, "--prompt"},
                                {Command::Export, "--folder"},
                                {Command::Probe, "--ids"},
                                {Command::Info, "--json"}})
      EXPECT_EQ(help.find(option) != std::string::npos, name == topic) << option << "\n" << help;
    bool takesKeys = topic == Command::Train || topic == Command::Probe;
    EXPECT_EQ(help.find("optimizer.warmup_steps") != std::string::npos, takesKeys);
    EXPECT_CONTAINS(help, "--version");
  }
  Options generate = parseOptions({"generate", "-h"});
  EXPECT_EQ(generate.command, Command::Help);
  EXPECT_EQ(generate.helpTopic, Command::Generate);
  EXPECT_TRUE(
      helpText("./trainer", Command::Generate).starts_with("usage: ./trainer generate [OPTION...]\n"));
}

TEST(Options, HelpListsWhatTheParserTakes) {
  std::string help = helpText("trainer", std::nullopt);
  std::regex option("\n  (--[a-z-]+)");
  int found = 0;
  for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it, ++found)
    EXPECT_EQ(errorFor({(*it)[1].str() + "=x"}).find("unknown option"), std::string::npos) << (*it)[1];
  EXPECT_GT(found, 20);
}

} // namespace

} // namespace contraflow::cli
