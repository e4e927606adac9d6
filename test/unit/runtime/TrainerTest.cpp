//===- TrainerTest.cpp - a whole trainer with a program written by hand ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Probe.h"
#include "test/unit/runtime/TrainerFixture.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <regex>
#include <sys/file.h>
#include <thread>

namespace contraflow {

namespace {

using test::CommandResult;
using test::Folder;

class Trainer : public test::TrainerFixture {};

/// The calls of a line of a profile: "ms % calls us/call [one thread % Gflop/s] name".
int64_t callsIn(const std::string &profile, const std::string &name) {
  std::smatch match;
  std::regex line("\n +[0-9.]+ +[0-9.]+ +([0-9]+) +[0-9.]+( +[0-9.]+ +[0-9.]+)?  " + name + "\n");
  return std::regex_search(profile, match, line) ? std::stoll(match[1]) : -1;
}

TEST_F(Trainer, LearnsReportsAndWrites) {
  CommandResult result = run("train --data text --include '*.h' --steps 60 --threads 2 --sample-length 20");
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_CONTAINS(result.text, "data: 30 files: ");
  EXPECT_CONTAINS(result.text, "step  5/60  loss ");
  EXPECT_CONTAINS(result.text, "  val ");
  EXPECT_CONTAINS(result.text, "lr 5.00e-02");
  EXPECT_CONTAINS(result.text, "GFLOP/s");
  EXPECT_CONTAINS(result.text, "--- continuation ---");
  // Squared error: 0.5 for the right byte without knowledge.
  EXPECT_LT(validationLossIn(result.text), 0.35) << result.text;
  EXPECT_TRUE(std::filesystem::exists(folder / "checkpoint/step-00000060/model.safetensors"));

  CommandResult text = run("generate --prompt 'a v' --length 2 --temperature 0");
  EXPECT_EQ(text.code, 0);
  EXPECT_CONTAINS(text.text, "a voi\n");
  EXPECT_EQ(run("generate --prompt a --length 50 --seed 3").text,
            run("generate --prompt a --length 50 --seed 3 --threads 1").text);
  EXPECT_NE(run("generate --prompt a --length 50 --seed 3").text,
            run("generate --prompt a --length 50 --seed 4").text);
}

TEST_F(Trainer, GivesTheSameBitsTwiceAndOnAnyNumberOfThreads) {
  auto first = train("first", "--threads 1"), second = train("second", "--threads 1"),
       third = train("third", "--threads 3");
  EXPECT_FALSE(first.first.empty());
  EXPECT_EQ(std::count(first.second.begin(), first.second.end(), '\n'), 20);
  EXPECT_TRUE(first == second);
  EXPECT_TRUE(first == third);
  EXPECT_FALSE(first == train("other", "--seed 5"));
}

TEST_F(Trainer, TellsThatItsOutputIsLostUnlessNobodyReadsIt) {
  const std::string train = "--data text --steps 1 --sample-length 0 --checkpoint a";
  CommandResult result = run(train + " > /dev/full");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.text, "contraflow: error: cannot write standard output: No space left on device\n");
  EXPECT_EQ(stepsIn("a"), "1");
  for (const std::string &arguments :
       {std::string("generate --checkpoint a --length 3"), train, std::string("info")})
    EXPECT_EQ(run("--version > /dev/null; (trap '' PIPE; ./trainer " + arguments + ") | true").text, "")
        << arguments;
}

TEST_F(Trainer, WritesTheMetricsOfEachStepOnce) {
  auto whole = train("whole", "--steps 6");
  auto first = train("a", "--steps 4");
  EXPECT_TRUE(first == train("a", "--steps 4"));
  // A crash after step 5: its line is there and a part of the next one, but no checkpoint.
  std::string lines = test::read(folder / "a.json");
  folder.write("a.json", lines + "{\"step\":5,\"loss\":1.0}\n{\"step\":6,\"lo");
  EXPECT_TRUE(whole == train("a", "--steps 6 --resume"));
  folder.write("notes", "one\n");
  for (const char *run : {"", "--resume a "}) {
    CommandResult result = this->run(std::string("--data text --steps 7 --metrics notes ") + run);
    EXPECT_EQ(result.code, 1);
    EXPECT_CONTAINS(result.text, "error: 'notes' is no file of metrics: line 1 has no step; name another");
    EXPECT_EQ(result.text.find("data: "), std::string::npos) << result.text;
    EXPECT_EQ(test::read(folder / "notes"), "one\n");
  }
}

TEST_F(Trainer, ReportsTheSameInEveryFormat) {
  train("a", "--steps 3 --set train.validate_every=2 --tensorboard board");
  std::string lines = test::read(folder / "a.json"), events;
  for (const auto &entry : std::filesystem::directory_iterator(folder / "board"))
    events += test::read(entry.path().string());
  auto countIn = [](const std::string &text, const std::string &part) {
    int64_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++count;
    return count;
  };
  // After steps 2 and 3 comes a validation.
  for (auto [tag, count] : {std::pair("loss", 3), std::pair("losses/main", 3), std::pair("perplexity", 3),
                            std::pair("error/model.layers.0", 3), std::pair("validation_loss", 2),
                            std::pair("learning_rate", 3), std::pair("arena_bytes", 3),
                            std::pair("gigaflops_per_second", 3), std::pair("peak_resident_bytes", 3)}) {
    std::string name = tag;
    EXPECT_EQ(countIn(lines, "\"" + name + "\":"), count) << name;
    // A tag follows its length.
    EXPECT_EQ(countIn(events, std::string(1, char(name.size())) + name), count) << name;
  }
}

TEST_F(Trainer, StopsAtALossThatIsNotFinite) {
  // The bad byte is at the end of one document of many.
  folder.write("bad/0.h", std::string(200, 'a') + "\1");
  CommandResult result =
      run("--data text bad --held-out 0 --steps 400 --set train.checkpoint_every=1 --checkpoint a");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: the loss is inf at step ");
  EXPECT_CONTAINS(result.text, "(micro-batch ");
  EXPECT_CONTAINS(result.text, "lower optimizer.lr");
  EXPECT_CONTAINS(result.text, "bad/0.h bytes ");
  // What was saved is from before.
  if (!stepsIn("a").empty()) {
    abi::SafetensorsFile file(newest("a"));
    std::vector<float> table(258 * 258);
    file.readFloats("table.weight", {258, 258}, table);
    for (float value : table)
      ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_F(Trainer, BlamesNoUpdateBeforeTheFirst) {
  CommandResult result = run("--data text --held-out 0 --steps 2 --set init.std=1e38");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, " at step 1");
  EXPECT_CONTAINS(result.text,
                  "; no update was made yet: lower init.std or the weights in loss; the batch holds");
  EXPECT_EQ(result.text.find("optimizer.lr"), std::string::npos) << result.text;
  using abi::ElementType;
  std::vector<float> large(258 * 258, 3e38f), count(4);
  for (size_t i = 0; i < large.size(); i += 2)
    large[i] = -large[i];
  abi::writeSafetensors(folder / "large",
                        {{"table.weight", {ElementType::F32, {258, 258}, large.data()}},
                         {"items.0.count", {ElementType::F32, {4}, count.data()}},
                         {"items.1.count", {ElementType::F32, {4}, count.data()}}},
                        {});
  EXPECT_CONTAINS(run("--data text --held-out 0 --steps 2 --initialize large").text,
                  "; no update was made yet: initialize with another file or lower the weights in loss");
}

TEST_F(Trainer, ChecksArgumentsBeforeItReadsText) {
  train("a", "--steps 2");
  auto errorOf = [&](const std::string &arguments) {
    CommandResult result = run("--data text --checkpoint new " + arguments);
    EXPECT_EQ(result.code, 1) << result.text;
    EXPECT_EQ(result.text.find("data: "), std::string::npos) << result.text;
    EXPECT_EQ(result.text.find("step "), std::string::npos) << result.text;
    return result.text;
  };
  EXPECT_CONTAINS(errorOf("--initialize none"), "error: cannot open 'none'");
  EXPECT_CONTAINS(errorOf("--resume none"), "error: cannot open 'none'");
  EXPECT_CONTAINS(errorOf("--resume text"),
                  "error: there is no checkpoint in 'text'; expected a folder step-");
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
  EXPECT_CONTAINS(errorOf("--metrics none/x"), "cannot write 'none/x'");
  EXPECT_CONTAINS(errorOf("--tensorboard trainer"), "cannot write event files to 'trainer': '");
  EXPECT_CONTAINS(errorOf("--data nowhere --tensorboard board"), "data path 'nowhere' does not exist");
  EXPECT_FALSE(std::filesystem::exists(folder / "board"));
  EXPECT_CONTAINS(errorOf("--data nowhere --metrics x"), "data path 'nowhere' does not exist");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  std::string all = errorOf("--data none nowhere --metrics new --tensorboard trainer --held-out 2");
  for (const char *message :
       {"data path 'none' does not", "data path 'nowhere' does not", "--metrics names 'new'",
        "cannot write event files to 'trainer'", "the held-out share is 2"})
    EXPECT_CONTAINS(all, std::string("contraflow: error: ") + message);
  folder.write("trailing", test::read(newest("a")) + "four");
  for (std::string use : {"--initialize trailing", "--resume trailing"})
    EXPECT_CONTAINS(errorOf(use), "error: 'trailing': 4 bytes follow the last tensor");
}

TEST_F(Trainer, GoesOnWhenMetricsCannotBeWritten) {
  CommandResult result = run("--data text --steps 3 --sample-length 0 --metrics /dev/full");
  EXPECT_EQ(result.code, 0);
  std::string warning =
      "warning: cannot write '/dev/full': No space left on device; reports are missing from step 1 on";
  EXPECT_CONTAINS(result.text, warning);
  EXPECT_EQ(result.text.find(warning), result.text.rfind(warning));
  EXPECT_CONTAINS(result.text, "step 3/3");
}

TEST_F(Trainer, SaysWhenItIsCut) {
  std::string trainer = test::read(folder / "trainer");
  folder.write("trainer", trainer.substr(0, trainer.size() - 100));
  CommandResult result = run("--data text");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: '" + folder / "trainer" + "' is cut: it has ");
  EXPECT_CONTAINS(result.text, "copy or compile it again");
}

TEST_F(Trainer, ContinuesAnyPrompt) {
  train("checkpoint", "--steps 5");
  auto outputOf = [&](const std::string &arguments) {
    CommandResult result = run("generate --temperature 0 " + arguments);
    EXPECT_EQ(result.code, 0) << result.text;
    return result.text;
  };
  // A sequence has 32 ids: the text goes on with what fits.
  std::string longPrompt(100, 'r');
  std::string text = outputOf("--length 100 --prompt " + longPrompt);
  EXPECT_EQ(text.substr(0, 100), longPrompt);
  EXPECT_EQ(text.substr(100), outputOf("--length 100 --prompt r").substr(1));
  EXPECT_EQ(outputOf("--length 0 --prompt ''"), "\n");
  EXPECT_EQ(outputOf("--length 0 --prompt \"$(printf 'a\\377\\200')\""), "a\377\200\n");
  outputOf("--length 5 --prompt ''");
  outputOf("--length 5");
  outputOf("--length 5 --prompt \"$(printf '\\377')\"");
}

TEST_F(Trainer, SaysWhichRowCrashed) {
  folder.write("crash.h", std::string(5000, '\2'));
  CommandResult result = run("--data crash.h");
  EXPECT_NE(result.code, 0);
  EXPECT_CONTAINS(result.text,
                  "crashed (signal 11, op 'table_train', layer 'model.layers.0', micro-batch 0)");
}

TEST_F(Trainer, SavesWhenItIsInterrupted) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    std::filesystem::remove_all(folder / "a");
    pid_t child = start("--data text --steps 100000000");
    kill(child, signal);
    EXPECT_EQ(exitStatusOf(child), 130);
    int64_t step = abi::stateOf(abi::SafetensorsFile(newest("a")))->step;
    EXPECT_GT(step, 0);
    EXPECT_CONTAINS(test::read(folder / "out"), "stopped after step " + std::to_string(step));
    // The same bits as a run of that many steps.
    EXPECT_EQ(train("b", "--steps " + std::to_string(step)).first, numbersIn(newest("a")));
  }
}

TEST_F(Trainer, SavesWhenNobodyReadsItsOutput) {
  test::runCommand(
      "cd " + folder.path.string() +
      " && ./trainer --data text --steps 100000000 --checkpoint a --set train.log_every=1 | head -n 3");
  EXPECT_EQ(abi::stepsIn(folder / "a").size(), 1u);
}

TEST_F(Trainer, WritesMetricsToAPipe) {
  CommandResult result = run("--data text --steps 1 --sample-length 0 --metrics /dev/stdout");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "{\"step\":1,\"loss\":");
}

TEST_F(Trainer, EndsWhenNobodyReadsItsSample) {
  folder.write("command",
               "timeout 60 ./trainer --data text --steps 20 --temperature 0 --sample-length 1000000000 "
               "| head -c 10000 > out\necho status ${PIPESTATUS[0]}\n");
  CommandResult result = test::runCommand("cd " + folder.path.string() + " && bash command");
  EXPECT_CONTAINS(result.text, "status 141");
  EXPECT_EQ(stepsIn("checkpoint"), "20");
}

TEST_F(Trainer, EndsAValidationWhenItIsInterrupted) {
  folder.write("long.h", std::string(8 << 20, 'x') + "\n");
  // Step 2 ends with a validation of seconds. On a crowded machine the signal comes before it: again, then.
  int64_t lines = 0;
  for (int64_t wait = 100; lines < 2 && wait <= 3200; wait *= 2) {
    std::filesystem::remove_all(folder / "a");
    pid_t child = start(
        "--data long.h --steps 1000 --held-out 0.9 --set train.validate_every=2 train.validation_tokens=1e9");
    std::this_thread::sleep_for(std::chrono::milliseconds(wait));
    kill(child, SIGTERM);
    EXPECT_EQ(exitStatusOf(child), 130);
    std::string metrics = test::read(folder / "a.json");
    lines = std::count(metrics.begin(), metrics.end(), '\n');
    EXPECT_EQ(stepsIn("a"), std::to_string(lines));
    EXPECT_EQ(metrics.find("validation_loss"), std::string::npos);
  }
  EXPECT_EQ(lines, 2) << "no signal came in a validation";
}

TEST_F(Trainer, IgnoresAtTheEndWhatItIgnoredBefore) {
  // As a script does for what it starts with `&`.
  std::signal(SIGINT, SIG_IGN);
  pid_t child = start("--data text --steps 1 --temperature 0 --sample-length 1000000000");
  std::signal(SIGINT, SIG_DFL);
  waitFor([&] { return test::read(folder / "out").find("--- continuation") != std::string::npos; });
  kill(child, SIGINT);
  kill(child, SIGTERM);
  EXPECT_EQ(exitStatusOf(child), 128 + SIGTERM);
}

TEST_F(Trainer, EndsAtOnceWithTheSecondSignal) {
  train("a", "--steps 1");
  pid_t child = start("--data text --steps 100000000 --resume");
  // Both come before it runs again.
  kill(child, SIGSTOP);
  kill(child, SIGINT);
  kill(child, SIGTERM);
  kill(child, SIGCONT);
  EXPECT_GT(exitStatusOf(child), 128);
  EXPECT_EQ(stepsIn("a"), "1");
}

TEST_F(Trainer, ProbesEveryResult) {
  std::vector<int32_t> ids(2 * 2 * 32);
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = int32_t('a' + i % 7);
  std::vector<float> table(258 * 258), count(4);
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = float(i % 13) * 0.01f;
  abi::writeSafetensors(folder / "ids", {{"input_ids", {abi::ElementType::I32, {4, 32}, ids.data()}}}, {});
  abi::writeSafetensors(folder / "parameters",
                        {{"table.weight", {abi::ElementType::F32, {258, 258}, table.data()}},
                         {"items.0.count", {abi::ElementType::F32, {4}, count.data()}},
                         {"items.1.count", {abi::ElementType::F32, {4}, count.data()}},
                         {"unknown", {abi::ElementType::F32, {4}, count.data()}}},
                        {});
  CommandResult result = run("probe --parameters parameters --ids ids --steps 3 --out result");
  ASSERT_EQ(result.code, 0) << result.text;
  EXPECT_CONTAINS(result.text, "nothing uses tensor 'unknown'");
  abi::SafetensorsFile file(folder / "result");
  EXPECT_EQ(file.get("logits").shape, (std::vector<int64_t>{4 * 32, 258}));
  for (const char *name : {"loss.main", "loss.total", "gradient_norm"})
    EXPECT_EQ(file.get(name).shape, (std::vector<int64_t>{1}));
  EXPECT_EQ(file.get("grad.table.weight").shape, (std::vector<int64_t>{258, 258}));
  EXPECT_EQ(file.find("grad.items.0.count"), nullptr);
  std::vector<float> totals(4), loss(1), logits(128 * 258), after(4);
  file.readFloats("totals", {4}, totals);
  file.readFloats("loss.main", {1}, loss);
  EXPECT_EQ(totals[0], loss[0]);
  EXPECT_LT(totals[3], totals[0]);
  file.readFloats("logits", {128, 258}, logits);
  // Row 127 is micro-batch 1: its id is 'a' + 127 % 7.
  EXPECT_EQ(logits[127 * 258 + 5], 20 * table[size_t(ids[127]) * 258 + 5]);
  file.readFloats("after3.items.0.count", {4}, after);
  EXPECT_EQ(after[0], 3);
  EXPECT_EQ(run("probe --parameters parameters --ids ids --out again --threads 1").code, 0);
  EXPECT_EQ(test::read(folder / "again"), test::read(folder / "result"));
  EXPECT_CONTAINS(run("probe --parameters parameters --ids parameters --out x").text,
                  "has no tensor 'input_ids'");
  ids.resize(64);
  abi::writeSafetensors(folder / "short", {{"input_ids", {abi::ElementType::I32, {2, 32}, ids.data()}}}, {});
  EXPECT_CONTAINS(run("probe --ids short --out x").text,
                  "input_ids has 64 ids, a step of this trainer has 128");
  ids.resize(128, 300);
  abi::writeSafetensors(folder / "large", {{"input_ids", {abi::ElementType::I32, {4, 32}, ids.data()}}}, {});
  EXPECT_CONTAINS(run("probe --ids large --out x").text, "input_ids holds 300, the vocabulary has 258");
  std::vector<int32_t> valid(128, 7), starts(128, 0);
  starts[66] = 3;
  abi::writeSafetensors(folder / "late",
                        {{"input_ids", {abi::ElementType::I32, {4, 32}, valid.data()}},
                         {"starts", {abi::ElementType::I32, {4, 32}, starts.data()}}},
                        {});
  EXPECT_CONTAINS(run("probe --ids late --out x").text,
                  "starts holds 3 at position 2 of its sequence, expected 0 to the position itself");
}

TEST_F(Trainer, SaysWhatItIsAndWhereTimeGoes) {
  CommandResult info = run("--info");
  EXPECT_EQ(info.code, 0);
  EXPECT_CONTAINS(info.text, "66564 trained, 8 in buffers");
  EXPECT_CONTAINS(info.text, "2 micro-batches of 2 sequences of 32 ids");
  EXPECT_EQ(run("--info --json").text, test::programManifest().toJson());
  CommandResult profile = run("--data text --steps 2 --profile --sample-length 0");
  EXPECT_CONTAINS(profile.text, "table_optimizer");
  // A static function: its name comes from the object's symbol table. Two steps have two micro-batches.
  EXPECT_EQ(callsIn(profile.text, "table_train"), 4) << profile.text;
  EXPECT_EQ(callsIn(profile.text, "rowsBody"), 4) << profile.text;
  // What the manifest says of a function's operations, by the time that it took.
  EXPECT_TRUE(std::regex_search(profile.text, std::regex(" [1-9][0-9]*\\.[0-9]  table_train\n")))
      << profile.text;
  EXPECT_TRUE(std::regex_search(profile.text, std::regex(" 0\\.0  table_update\n"))) << profile.text;
  // The runtime's own regions: one tensor is filled with random numbers, one checkpoint is looked
  // at and gets its checksums.
  EXPECT_EQ(callsIn(profile.text, "outside"), 3) << profile.text;
  CommandResult help = run("--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_CONTAINS(help.text, "--resume [DIR]");
}

TEST_F(Trainer, RefusesBadInputClearly) {
  struct Case {
    const char *arguments;
    int code;
    const char *message;
  };
  const Case cases[] = {
      {"", 1, "error: there is no training text"},
      {"--data nowhere", 1, "'nowhere' does not exist"},
      {"--data text --checkpoint trainer", 1, "cannot write checkpoints to 'trainer'"},
      {"--data text --metrics none/x", 1, "cannot write 'none/x'"},
      {"--data text --threads 4096", 2, "error: --threads is 4096, expected "},
      {"generate --checkpoint text/0.h", 1, "'text/0.h' is no safetensors file"},
      {"--data text --set optimizer.lr=fast", 1, "optimizer.lr is \"fast\""},
      {"--what", 2, "unknown option '--what'"},
      {"generate --checkpoint none", 1, "cannot open 'none'"},
  };
  for (const Case &test : cases) {
    CommandResult result = run(test.arguments);
    EXPECT_EQ(result.code, test.code) << test.arguments;
    EXPECT_CONTAINS(result.text, test.message);
  }
  EXPECT_CONTAINS(test::runCommand(STUB " --info").text, "has no program in it");
}

TEST_F(Trainer, RefusesABadPayloadClearly) {
  auto errorWith = [&](std::function<void(abi::Manifest &)> change) {
    abi::Manifest manifest = test::programManifest();
    change(manifest);
    makeTrainer(manifest);
    CommandResult result = run("--data text");
    EXPECT_EQ(result.code, 1) << result.text;
    return result.text;
  };
  EXPECT_CONTAINS(errorWith([](abi::Manifest &m) { m.functions[0] = "missing"; }),
                  "has no function 'missing'");
  EXPECT_CONTAINS(errorWith([](abi::Manifest &m) { m.isa = {"sse4.2", "avx512er"}; }),
                  "compiled for a processor with avx512er");
  EXPECT_CONTAINS(errorWith([](abi::Manifest &m) { m.arenaBytes = int64_t(1) << 50; }),
                  "the trainer needs 1.00 PiB of memory, this machine has ");
  EXPECT_CONTAINS(errorWith([](abi::Manifest &m) { m.programs.erase("train"), m.memory.clear(); }),
                  "no program 'train'");
  EXPECT_CONTAINS(errorWith([](abi::Manifest &m) { m.eos = 300; }), "the vocabulary has 258 ids");
  abi::appendPayload(STUB, folder / "trainer", {"no object", test::programManifest().toJson()});
  EXPECT_CONTAINS(run("--data text").text, "cannot load the generated code");
  abi::appendPayload(STUB, folder / "trainer", {test::read(PROGRAM), "{}"});
  EXPECT_CONTAINS(run("--data text").text, "manifest: $.version is missing");
}

} // namespace

} // namespace contraflow
