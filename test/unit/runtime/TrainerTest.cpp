//===- TrainerTest.cpp - a whole trainer with a program written by hand ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Payload.h"
#include "runtime/abi/Safetensors.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/train/Probe.h"
#include "test/unit/runtime/Support.h"

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

/// A trainer made of Program.c, and text to train it on.
class Trainer : public testing::Test {
protected:
  void SetUp() override {
    makeTrainer(test::programManifest());
    std::string words[] = {"int ", "void ", "return ", "struct ", "if (x) "};
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (int k = 0; k < 40; ++k)
        text += words[(i * 7 + k * k) % 5];
      folder.write("text/" + std::to_string(i) + ".h", text + std::to_string(i) + "\n");
    }
  }

  void makeTrainer(const abi::Manifest &manifest) {
    abi::appendPayload(STUB, folder / "trainer", {test::read(PROGRAM), manifest.toJson()});
  }

  CommandResult run(const std::string &arguments) const {
    return test::runCommand("cd " + folder.path.string() + " && ./trainer " + arguments);
  }

  /// Trains and returns the numbers of the checkpoint and of the metrics without times and validations.
  std::pair<std::string, std::string> train(const std::string &name, const std::string &arguments) const {
    CommandResult result = run("--data text --sample-length 0 --checkpoint " + name + " --metrics " + name +
                               ".json " + arguments);
    EXPECT_EQ(result.code, 0) << result.text;
    const char *varying =
        ",\"(validation_[a-z]*|[a-z]*_seconds|[a-z]*_per_second|[a-z_]*resident_bytes)\":[^,}]*";
    std::string metrics;
    std::ifstream file(folder / (name + ".json"));
    for (std::string line; std::getline(file, line);)
      metrics += std::regex_replace(line, std::regex(varying), "") + "\n";
    return {numbersIn(newest(name)), metrics};
  }

  /// Starts a run in folder a and returns when it has done a step.
  pid_t start(const std::string &arguments) const {
    std::filesystem::remove(folder / "a.json");
    pid_t child = fork();
    if (child == 0) {
      std::string command = "cd " + folder.path.string() +
                            " && exec ./trainer --sample-length 0 --checkpoint a --metrics a.json " +
                            arguments + " > out 2>&1";
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(99);
    }
    auto begin = std::chrono::steady_clock::now();
    auto isBegun = [&] {
      return std::filesystem::exists(folder / "a.json") && !test::read(folder / "a.json").empty();
    };
    while (!isBegun() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(60))
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return child;
  }

  /// As a shell tells it.
  static int exitStatusOf(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// A checkpoint without its header, which tells settings, too.
  static std::string numbersIn(const std::string &path) {
    std::string bytes = test::read(path);
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    return bytes.substr(sizeof(header) + header);
  }

  /// The file of the newest checkpoint in a folder.
  std::string newest(const std::string &name) const { return abi::findCheckpoints(folder / name).front(); }

  std::string stepsIn(const std::string &name) const {
    std::string result;
    for (int64_t step : abi::stepsIn(folder / name))
      result += (result.empty() ? "" : " ") + std::to_string(step);
    return result;
  }

  Folder folder;
};

/// The last validation loss that a run printed.
double validationLossIn(const std::string &text) {
  size_t at = text.rfind("validation loss ");
  return at == std::string::npos ? NAN : std::atof(text.c_str() + at + 16);
}

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

TEST_F(Trainer, ResumesWithTheSameBits) {
  auto whole = train("whole", "--steps 20");
  auto half = train("half", "--steps 9");
  EXPECT_FALSE(whole == half);
  auto rest = train("half", "--steps 20 --resume --threads 2");
  EXPECT_TRUE(whole == rest);
  // From one folder to another, and from a checkpoint in the middle of a run.
  EXPECT_EQ(run("--data text --sample-length 0 --steps 7 --checkpoint a").code, 0);
  CommandResult result = run("--data text --sample-length 0 --steps 20 --resume a --checkpoint b");
  EXPECT_CONTAINS(result.text, "after step 7");
  EXPECT_EQ(numbersIn(newest("b")), whole.first);
  EXPECT_EQ(result.text.find("note: "), std::string::npos) << result.text;
  result = run("--data text --sample-length 0 --steps 9 --resume a --checkpoint c --set optimizer.lr=0.25");
  EXPECT_CONTAINS(result.text, "note: optimizer.lr is 0.25, it was 0.05 up to step 7");
  // Nothing is left to do.
  result = run("--data text --sample-length 0 --steps 20 --resume b");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "validation loss");
}

TEST_F(Trainer, RefusesToResumeSomethingElse) {
  train("a", "--steps 2");
  folder.write("other.h", "something else");
  auto errorOf = [&](const std::string &arguments) {
    CommandResult result = run("--data text --sample-length 0 " + arguments);
    EXPECT_EQ(result.code, 1);
    return result.text;
  };
  EXPECT_CONTAINS(errorOf("--resume none"), "cannot open 'none'");
  EXPECT_CONTAINS(errorOf("--resume a --seed 9"), "the checkpoint has seed 1, not 9");
  EXPECT_CONTAINS(errorOf("--resume a --data other.h"),
                  "error: the training text is not the text of the checkpoint");
  // The checkpoint of another model.
  std::vector<float> values(258);
  std::vector<abi::NamedTensor> row = {{"table.weight", {abi::ElementType::F32, {258}, values.data()}}};
  abi::TrainingState second;
  second.step = 2;
  abi::writeSafetensors(folder / "other", row, abi::checkpointMetadata(row, second));
  EXPECT_CONTAINS(errorOf("--resume other --checkpoint b"),
                  "tensor 'table.weight' has shape [258], expected [258, 258]; use a trainer that was");
  abi::Metadata state{{"step", "2"}, {"data_position", "8"}, {"seed", "1"}, {"data_fingerprint", "1"}};
  abi::writeSafetensors(folder / "other", row, state);
  EXPECT_CONTAINS(errorOf("--resume other --checkpoint b"), "'other' has no checksums; start a new run");
  abi::writeSafetensors(folder / "other", row, {});
  EXPECT_CONTAINS(errorOf("--resume other --checkpoint b"), "holds parameters, but no state of a run");
  abi::Metadata newer = abi::checkpointMetadata(row, second);
  newer["checkpoint_version"] = "2";
  abi::writeSafetensors(folder / "other", row, newer);
  EXPECT_CONTAINS(errorOf("--resume other --checkpoint b"),
                  "'other' is a checkpoint of version 2, this program reads 1 and older; use a newer build");
  std::filesystem::resize_file(newest("a"), 100000);
  EXPECT_CONTAINS(errorOf("--resume a"), "the file is cut");
}

TEST_F(Trainer, ResumesTheNewestWholeCheckpoint) {
  auto whole = train("whole", "--steps 9");
  train("a", "--steps 5 --set train.checkpoint_every=1 train.keep_last=0");
  EXPECT_EQ(stepsIn("a"), "1 2 3 4 5");
  auto fileOf = [&](int step) {
    return folder / ("a/step-0000000" + std::to_string(step) + "/model.safetensors");
  };
  std::string bytes = test::read(fileOf(5));
  bytes[bytes.size() - 70000] ^= 1;
  folder.write("a/step-00000005/model.safetensors", bytes);
  std::filesystem::resize_file(fileOf(4), 100000);
  std::filesystem::remove(fileOf(3));
  const std::string damage = "'a/step-00000005/model.safetensors' is damaged: tensor "
                             "'optimizer.exp_avg_sq.table.weight' has the checksum ";
  CommandResult result = run("generate --checkpoint a --prompt a --length 1");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "contraflow: warning: skipped a checkpoint: " + damage);
  result = run("--data text --sample-length 0 --steps 9 --resume a --set train.keep_last=0");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "warning: skipped a checkpoint: " + damage);
  EXPECT_CONTAINS(result.text, "warning: skipped a checkpoint: 'a/step-00000004/model.safetensors': tensor ");
  EXPECT_CONTAINS(result.text, "the file is cut");
  EXPECT_CONTAINS(result.text,
                  "warning: skipped a checkpoint: cannot open 'a/step-00000003/model.safetensors'");
  EXPECT_CONTAINS(result.text, "resuming 'a/step-00000002/model.safetensors' after step 2");
  // What was skipped is not in the way of this run's own checkpoints, and not deleted.
  EXPECT_CONTAINS(result.text, "kept the checkpoints of an earlier run in 'a/earlier-1'");
  EXPECT_EQ(stepsIn("a"), "1 2 9");
  EXPECT_EQ(stepsIn("a/earlier-1"), "3 4 5");
  EXPECT_EQ(numbersIn(newest("a")), whole.first);

  result = run("--data text --resume a/earlier-1 --checkpoint b");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: none of the 3 checkpoints in 'a/earlier-1' can be used");
  // A checkpoint that is named itself is used or refused.
  for (std::string use : {"--data text --checkpoint b --resume", "--data text --checkpoint b --initialize",
                          "generate --prompt a --checkpoint"}) {
    result = run(use + " a/earlier-1/step-00000005");
    EXPECT_EQ(result.code, 1) << use;
    EXPECT_CONTAINS(result.text, "a/earlier-1/step-00000005/model.safetensors' is damaged: tensor");
  }
}

TEST_F(Trainer, KeepsTheLastCheckpointsAndEveryNth) {
  const std::string arguments = " --data text --sample-length 0 --checkpoint a --steps 11 --set ";
  auto stepsWith = [&](const std::string &keys) {
    std::filesystem::remove_all(folder / "a");
    CommandResult result = run(arguments + keys);
    EXPECT_EQ(result.code, 0) << result.text;
    return stepsIn("a");
  };
  EXPECT_EQ(stepsWith("train.checkpoint_every=2"), "10 11");
  EXPECT_EQ(stepsWith("train.checkpoint_every=2 train.keep_last=1"), "11");
  EXPECT_EQ(stepsWith("train.checkpoint_every=2 train.keep_last=3"), "8 10 11");
  EXPECT_EQ(stepsWith("train.checkpoint_every=2 train.keep_last=0"), "2 4 6 8 10 11");
  EXPECT_EQ(stepsWith("train.checkpoint_every=2 train.keep_every=4"), "4 8 10 11");
  EXPECT_EQ(stepsWith("train.keep_every=3 train.keep_last=1"), "3 6 9 11");
  // Nothing else is left, and a resumed run goes on in the same way.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "a"), {}), 4);
  EXPECT_EQ(run("--resume --steps 13" + arguments + "train.keep_every=3 train.keep_last=2 --steps 13").code,
            0);
  EXPECT_EQ(stepsIn("a"), "3 6 9 12 13");
}

TEST_F(Trainer, SharesNoCheckpointFolder) {
  std::filesystem::create_directories(folder / "a/step-00000007.partial");
  folder.write("a/step-00000007.partial/model.safetensors.partial", "half");
  folder.write("a/step-7.partial/mine", "");
  // Another process holds the folder.
  int other = open((folder / "a").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  CommandResult result = run("--data text --steps 1 --sample-length 0 --checkpoint a");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: another trainer writes checkpoints to 'a'; wait for its end or name");
  EXPECT_TRUE(std::filesystem::exists(folder / "a/step-00000007.partial"));
  EXPECT_EQ(run("--data text --steps 1 --sample-length 0 --checkpoint b").code, 0);
  close(other);
  result = run("--data text --steps 1 --sample-length 0 --checkpoint a");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "removed 'a/step-00000007.partial', which a run that was killed left");
  EXPECT_FALSE(std::filesystem::exists(folder / "a/step-00000007.partial"));
  EXPECT_TRUE(std::filesystem::exists(folder / "a/step-7.partial/mine"));
}

TEST_F(Trainer, KeepsTheCheckpointsOfEarlierRuns) {
  auto first = train("a", "--steps 4 --set train.checkpoint_every=2");
  CommandResult result = run("--data text --sample-length 0 --checkpoint a --steps 3");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text, "note: 'a' holds checkpoints that this run does not continue, the last one of "
                               "step 4; they move to 'a/earlier-1' when it saves its first");
  EXPECT_EQ(stepsIn("a"), "3");
  EXPECT_EQ(stepsIn("a/earlier-1"), "2 4");
  EXPECT_EQ(numbersIn(newest("a/earlier-1")), first.first);
  // A run that ends in an error leaves all as they were.
  folder.write("bad.h", std::string(5000, '\1'));
  EXPECT_EQ(run("--data bad.h --checkpoint a").code, 1);
  EXPECT_EQ(stepsIn("a"), "3");
  train("a", "--steps 5");
  EXPECT_EQ(stepsIn("a"), "5");
  EXPECT_EQ(stepsIn("a/earlier-2"), "3");
  // Earlier ones can be continued, too.
  EXPECT_EQ(train("b", "--steps 6 --resume a/earlier-1").first, train("whole", "--steps 6").first);
}

TEST_F(Trainer, KeepsTheCheckpointOfAnotherRunWhenItResumes) {
  train("a", "--steps 2");
  auto other = train("b", "--steps 3 --seed 5");
  const std::string arguments = " --sample-length 0 --set train.checkpoint_every=1 --data text";
  CommandResult result = run("--resume a --checkpoint b --steps 5" + arguments);
  EXPECT_CONTAINS(result.text, "kept the checkpoints of an earlier run in 'b/earlier-1'");
  EXPECT_EQ(numbersIn(newest("b/earlier-1")), other.first);
  // The checkpoint that a run continues is its own, by whatever name; those after it are not.
  EXPECT_EQ(run("--resume ./b/step-00000004/model.safetensors --checkpoint b --steps 7" + arguments).code, 0);
  EXPECT_EQ(stepsIn("b"), "6 7");
  EXPECT_EQ(stepsIn("b/earlier-2"), "5");
}

TEST_F(Trainer, RefusesToResumeBeyondTheLastStep) {
  train("a", "--steps 3");
  CommandResult result = run("--data text --steps 2 --resume a --checkpoint b --metrics b.json");
  EXPECT_EQ(result.code, 1) << result.text;
  EXPECT_CONTAINS(result.text, "error: the checkpoint is at step 3, --steps is 2; ask for more steps, or");
  EXPECT_FALSE(std::filesystem::exists(folder / "b"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.json"));
}

TEST_F(Trainer, MakesTheCheckpointFolderWhenItSaves) {
  EXPECT_EQ(run("--data text --steps 0 --sample-length 0 --checkpoint new/a").code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
  EXPECT_EQ(run("--data text --steps 1 --sample-length 0 --checkpoint new/a").code, 0);
  EXPECT_EQ(stepsIn("new/a"), "1");
  CommandResult result = run("--data text --checkpoint trainer/a");
  EXPECT_CONTAINS(result.text, "cannot write checkpoints to 'trainer/a'");
  EXPECT_EQ(result.text.find("data: "), std::string::npos) << result.text;
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
  CommandResult result = run("--data text --steps 7 --resume a --metrics notes");
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: 'notes' is no file of metrics: line 1 has no step; name another");
  EXPECT_EQ(test::read(folder / "notes"), "one\n");
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

TEST_F(Trainer, WritesPublishedNamesAndState) {
  train("a", "--steps 3 --set train.checkpoint_every=2");
  abi::SafetensorsFile file(newest("a"));
  std::vector<std::string> names;
  for (const auto &[name, tensor] : file.getTensors())
    names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"items.0.count", "items.1.count", "optimizer.exp_avg.table.weight",
                                      "optimizer.exp_avg_sq.table.weight", "table.weight"}));
  std::vector<float> count(4);
  file.readFloats("items.1.count", {4}, count);
  EXPECT_EQ(count, (std::vector<float>{3, 3, 3, 3}));
  std::optional<abi::TrainingState> state = abi::stateOf(file);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->step, 3);
  EXPECT_EQ(state->dataPosition, 3 * 4);
  EXPECT_EQ(state->buildId, "by-hand");
  EXPECT_CONTAINS(state->run, R"("checkpoint_every":2,)");
}

TEST_F(Trainer, BeginsWithGivenParameters) {
  train("a", "--steps 30");
  std::string start =
      validationLossIn(run("--data text --steps 0 --sample-length 0").text) > 0.4 ? "high" : "low";
  EXPECT_EQ(start, "high");
  EXPECT_LT(validationLossIn(run("--data text --steps 0 --sample-length 0 --initialize a").text), 0.4);
  std::vector<float> wrong(258);
  abi::writeSafetensors(folder / "wrong", {{"table.weight", {abi::ElementType::F32, {258}, wrong.data()}}},
                        {});
  EXPECT_CONTAINS(run("--data text --initialize wrong").text,
                  "'table.weight' has shape [258], expected [258, 258]");
  abi::writeSafetensors(folder / "few", {{"items.0.count", {abi::ElementType::F32, {4}, wrong.data()}}}, {});
  EXPECT_CONTAINS(run("--data text --initialize few").text,
                  "lacks 2 of 3 tensors, the first is 'table.weight'");
  EXPECT_CONTAINS(run("generate --checkpoint few").text, "lacks 2 of 3 tensors");
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

TEST_F(Trainer, NeverSavesABrokenModel) {
  auto good = train("a", "--steps 5");
  auto goodWithoutText = train("b", "--steps 5 --held-out 0");
  auto errorOf = [&](const std::string &arguments) {
    CommandResult result = run("--data text --sample-length 0 --steps 9 " + arguments);
    EXPECT_EQ(result.code, 1) << result.text;
    return result.text;
  };
  // Every step has a finite loss and a finite gradient; the update of step 6 breaks the parameters: they get
  // as large as floats can be, so that the next loss is infinite, or infinite themselves.
  const std::string large = " --set optimizer.lr=1e38 ", infinite = " --set optimizer.lr=1e39 ";
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=1"),
                  "error: the validation loss is inf after step 6; lower optimizer.lr");
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=1"),
                  "the checkpoint of step 5 is whole");
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=0 train.checkpoint_every=1"),
                  "error: the loss is inf with the parameters of step 6, which were not saved");
  EXPECT_CONTAINS(errorOf("--resume a" + infinite + "train.validate_every=0 train.checkpoint_every=1"),
                  "error: tensor 'table.weight' holds numbers that are not finite after step 6");
  EXPECT_EQ(numbersIn(newest("a")), good.first);
  EXPECT_CONTAINS(errorOf("--held-out 0 --resume b --steps 6" + large), "with the parameters of step 6");
  EXPECT_EQ(numbersIn(newest("b")), goodWithoutText.first);
  // Nor does a new run push an old checkpoint aside for one.
  EXPECT_CONTAINS(errorOf("--checkpoint a" + large + "train.checkpoint_every=1"),
                  "with the parameters of step 1");
  EXPECT_EQ(numbersIn(newest("a")), good.first);
  EXPECT_FALSE(std::filesystem::exists(folder / "a/earlier-1"));
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
  EXPECT_CONTAINS(errorOf("--tensorboard trainer"), "cannot write event files to 'trainer'; name another");
  EXPECT_CONTAINS(errorOf("--data nowhere --tensorboard board"), "data path 'nowhere' does not exist");
  EXPECT_FALSE(std::filesystem::exists(folder / "board"));
  EXPECT_CONTAINS(errorOf("--data nowhere --metrics x"), "data path 'nowhere' does not exist");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
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

TEST_F(Trainer, EndsAValidationWhenItIsInterrupted) {
  folder.write("long.h", std::string(8 << 20, 'x') + "\n");
  // Step 2 ends with a validation of seconds.
  pid_t child = start(
      "--data long.h --steps 1000 --held-out 0.9 --set train.validate_every=2 train.validation_tokens=1e9");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  kill(child, SIGTERM);
  EXPECT_EQ(exitStatusOf(child), 130);
  EXPECT_EQ(stepsIn("a"), "2");
  std::string metrics = test::read(folder / "a.json");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 2);
  EXPECT_EQ(metrics.find("validation_loss"), std::string::npos);
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

TEST_F(Trainer, LeavesAWholeCheckpointWhereverItIsKilled) {
  int64_t step = 0;
  for (int round = 0; round < 8; ++round) {
    // A checkpoint after every step: most of the time goes into writing.
    std::string resume = stepsIn("a").empty() ? "" : " --resume";
    CommandResult result = test::runCommand(
        "cd " + folder.path.string() + " && timeout -s KILL 0." + std::to_string(1 + round) +
        " ./trainer --data text --steps 100000 --set train.checkpoint_every=1 --checkpoint a" + resume);
    EXPECT_EQ(result.code, 137) << result.text;
    if (stepsIn("a").empty())
      continue;
    abi::SafetensorsFile file(newest("a"));
    abi::verifyChecksums(file);
    int64_t now = abi::stateOf(file)->step;
    EXPECT_GE(now, step);
    step = now;
  }
  EXPECT_GT(step, 0);
  EXPECT_EQ(train("b", "--steps " + std::to_string(step)).first, numbersIn(newest("a")));
}

TEST_F(Trainer, KeepsTheOldFileWhenTheDiskIsFull) {
  auto first = train("a", "--steps 2");
  CommandResult result = test::runCommand("cd " + folder.path.string() +
                                          " && ulimit -f 100 && ./trainer --data text --steps 4 --resume a");
  EXPECT_EQ(result.code, 1) << result.text;
  EXPECT_CONTAINS(result.text, "error: cannot write 'a/step-00000004.partial/model.safetensors': File too "
                               "large; it needs ");
  EXPECT_EQ(stepsIn("a"), "2");
  EXPECT_EQ(numbersIn(newest("a")), first.first);
  EXPECT_FALSE(std::filesystem::exists(folder / "a/step-00000004.partial"));
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
  // The runtime's own regions: one tensor is filled with random numbers, one checkpoint gets its checksums.
  EXPECT_EQ(callsIn(profile.text, "outside"), 2) << profile.text;
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
      {"--data text --threads 4096", 1, "error: --threads is 4096, expected "},
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
