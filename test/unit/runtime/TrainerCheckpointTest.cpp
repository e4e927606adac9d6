//===- TrainerCheckpointTest.cpp - what a trainer saves and goes on from --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Folder.h"
#include "test/unit/runtime/TrainerFixture.h"

#include <atomic>
#include <cmath>
#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

namespace contraflow {

namespace {

using test::CommandResult;

class TrainerCheckpoints : public test::TrainerFixture {};

TEST_F(TrainerCheckpoints, ResumesWithTheSameBits) {
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

TEST_F(TrainerCheckpoints, RefusesToResumeSomethingElse) {
  train("a", "--steps 2");
  folder.write("other.h", "something else");
  auto errorOf = [&](const std::string &arguments) {
    CommandResult result = run("--data text --sample-length 0 " + arguments);
    EXPECT_EQ(result.code, 1);
    return result.text;
  };
  EXPECT_CONTAINS(errorOf("--resume none"), "cannot open 'none'");
  for (const char *seed : {"--seed 9", "--set seed=9"})
    EXPECT_CONTAINS(errorOf(std::string("--resume a ") + seed), "the checkpoint has seed 1, not 9");
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
  EXPECT_CONTAINS(errorOf("--resume other --checkpoint b"),
                  "'other' is damaged: its header has lost its checksum");
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

TEST_F(TrainerCheckpoints, ResumesTheNewestWholeCheckpoint) {
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
  EXPECT_CONTAINS(result.text, "contraflow: warning: skipped a checkpoint: " + damage);
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
  // Nor is one whose file is a link to nothing.
  std::filesystem::create_directory(folder / "a/step-00000010");
  std::filesystem::create_symlink("none", folder / "a/step-00000010/model.safetensors");
  result = run("--data text --sample-length 0 --steps 10 --resume a");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.text,
                  "contraflow: warning: skipped a checkpoint: cannot open 'a/step-00000010/model.");
  EXPECT_EQ(stepsIn("a/earlier-2"), "10");
  // A checkpoint that is named itself is used or refused.
  for (std::string use : {"--data text --checkpoint b --resume", "--data text --checkpoint b --initialize",
                          "generate --prompt a --checkpoint"}) {
    result = run(use + " a/earlier-1/step-00000005");
    EXPECT_EQ(result.code, 1) << use;
    EXPECT_CONTAINS(result.text, "a/earlier-1/step-00000005/model.safetensors' is damaged: tensor");
  }
}

TEST_F(TrainerCheckpoints, KeepsTheLastCheckpointsAndEveryNth) {
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

TEST_F(TrainerCheckpoints, DeletesNoFilesOfOthers) {
  const std::string arguments =
      " --data text --sample-length 0 --checkpoint a --set train.checkpoint_every=1 "
      "train.keep_last=1 --steps ";
  EXPECT_EQ(run(arguments + "2").code, 0);
  folder.write("a/step-00000002/notes.txt", "mine");
  folder.write("a/step-00000003.partial/notes.txt", "mine, too");
  folder.write("a/step-00000003.partial/model.safetensors.partial", "half");
  CommandResult result = run("--resume" + arguments + "4");
  EXPECT_EQ(result.code, 0) << result.text;
  EXPECT_EQ(stepsIn("a"), "4");
  EXPECT_EQ(test::read(folder / "a/step-00000002/notes.txt"), "mine");
  EXPECT_FALSE(std::filesystem::exists(folder / "a/step-00000002/model.safetensors"));
  // The folder of a step that is written again.
  EXPECT_EQ(run("--seed 3" + arguments + "2").code, 0);
  EXPECT_EQ(stepsIn("a"), "2");
  EXPECT_EQ(test::read(folder / "a/step-00000002/notes.txt"), "mine");
  size_t found = 0;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder / "a"))
    found += entry.is_regular_file() && test::read(entry.path()) == "mine, too";
  EXPECT_EQ(found, 1u);
}

TEST_F(TrainerCheckpoints, SharesNoCheckpointFolder) {
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

// Those that end take their folders away.
TEST_F(TrainerCheckpoints, LocksTheFolderThatHasTheName) {
  std::string path = folder / "shared";
  std::filesystem::create_directory(path);
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  EXPECT_TRUE(checkpoint::hasName(descriptor, path));
  std::filesystem::remove(path);
  EXPECT_FALSE(checkpoint::hasName(descriptor, path));
  std::filesystem::create_directory(path);
  EXPECT_FALSE(checkpoint::hasName(descriptor, path));
  close(descriptor);
}

TEST_F(TrainerCheckpoints, HasOneTrainerAtATime) {
  std::atomic<int> holders{0}, claims{0};
  auto claimOften = [&] {
    for (int i = 0; i < 300; ++i) {
      checkpoint::Folder shared(folder / "shared", [](const std::string &) {});
      std::string error = test::errorOf([&] { shared.claim(); });
      if (error.find("another trainer") != std::string::npos)
        continue;
      EXPECT_EQ(error, "no error");
      ++claims;
      EXPECT_EQ(++holders, 1);
      // Long enough for another one to come in.
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      EXPECT_TRUE(std::filesystem::exists(folder / "shared"));
      --holders;
    }
  };
  std::thread first(claimOften), second(claimOften);
  claimOften();
  first.join();
  second.join();
  EXPECT_GT(claims, 0);
}

TEST_F(TrainerCheckpoints, ResumesARunOfAsManyStepsAsThereMayBe) {
  const std::string most = std::to_string(abi::kMaxCount), arguments = "--data text --sample-length 0 ";
  EXPECT_CONTAINS(run("--data none --steps " + std::to_string(abi::kMaxCount + 1)).text,
                  "expected a whole number of at most " + most);
  pid_t child = start("--data text --steps " + most);
  kill(child, SIGTERM);
  EXPECT_EQ(exitStatusOf(child), 130);
  std::string step = std::to_string(abi::stateOf(abi::SafetensorsFile(newest("a")))->step);
  CommandResult result = run(arguments + "--resume a --steps " + step);
  EXPECT_EQ(result.code, 0) << result.text;
}

TEST_F(TrainerCheckpoints, TakesANewCheckpointFolderWhenItStarts) {
  pid_t child = start("--data text --steps 100000000");
  CommandResult result = run("--data text --steps 1 --sample-length 0 --checkpoint a");
  kill(child, SIGTERM);
  EXPECT_EQ(result.code, 1);
  EXPECT_CONTAINS(result.text, "error: another trainer writes checkpoints to 'a'");
  EXPECT_EQ(result.text.find("step "), std::string::npos) << result.text;
  EXPECT_EQ(exitStatusOf(child), 130);
  EXPECT_EQ(stepsIn("a").find(' '), std::string::npos);
  // What a run that fails has made goes away.
  EXPECT_EQ(run("--data text --steps 1 --checkpoint new/a --metrics none/x").code, 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

TEST_F(TrainerCheckpoints, KeepsTheCheckpointsOfEarlierRuns) {
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

TEST_F(TrainerCheckpoints, KeepsTheCheckpointOfAnotherRunWhenItResumes) {
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

TEST_F(TrainerCheckpoints, RefusesToResumeBeyondTheLastStep) {
  train("a", "--steps 3");
  CommandResult result = run("--data text --steps 2 --resume a --checkpoint b --metrics b.json");
  EXPECT_EQ(result.code, 1) << result.text;
  EXPECT_CONTAINS(result.text, "error: the checkpoint is at step 3, --steps is 2; ask for more steps, or");
  EXPECT_FALSE(std::filesystem::exists(folder / "b"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.json"));
}

TEST_F(TrainerCheckpoints, MakesTheCheckpointFolderWhenItSaves) {
  EXPECT_EQ(run("--data text --steps 0 --sample-length 0 --checkpoint new/a").code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
  EXPECT_EQ(run("--data text --steps 1 --sample-length 0 --checkpoint new/a").code, 0);
  EXPECT_EQ(stepsIn("new/a"), "1");
  CommandResult result = run("--data text --checkpoint trainer/a");
  EXPECT_CONTAINS(result.text, "cannot write checkpoints to 'trainer/a': '");
  EXPECT_CONTAINS(result.text, "/trainer' is no folder; name another");
  EXPECT_EQ(result.text.find("data: "), std::string::npos) << result.text;
}

TEST_F(TrainerCheckpoints, WritesPublishedNamesAndState) {
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

TEST_F(TrainerCheckpoints, BeginsWithGivenParameters) {
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
  abi::writeSafetensors(folder / "unfit",
                        {{"table.weight", {abi::ElementType::F32, {258}, wrong.data()}},
                         {"items.0.count", {abi::ElementType::F32, {4}, wrong.data()}},
                         {"items.1.count", {abi::ElementType::F32, {2, 2}, wrong.data()}}},
                        {});
  EXPECT_CONTAINS(run("--data text --initialize unfit").text,
                  "'unfit': tensor 'table.weight' has shape [258], expected [258, 258], tensor "
                  "'items.1.count' has shape [2, 2], expected [4]; use");
  EXPECT_CONTAINS(run("--data text --initialize few").text,
                  "lacks 2 of 3 tensors: 'table.weight', 'items.1.count'");
  EXPECT_CONTAINS(run("generate --checkpoint few").text, "lacks 2 of 3 tensors");
}

TEST_F(TrainerCheckpoints, NamesATensorThatIsNotFinite) {
  abi::Manifest manifest = test::programManifest();
  executor::Executor executor(manifest, test::read(PROGRAM), 2);
  checkpoint::requireFinite(executor, 6);
  executor.parameter("parameters", manifest.parameters.front()).back() = INFINITY;
  EXPECT_CONTAINS(test::errorOf([&] { checkpoint::requireFinite(executor, 6); }),
                  "tensor 'table.weight' holds numbers that are not finite after step 6");
}

TEST_F(TrainerCheckpoints, NeverSavesABrokenModel) {
  auto good = train("a", "--steps 5");
  auto goodWithoutText = train("b", "--steps 5 --held-out 0");
  auto errorOf = [&](const std::string &arguments) {
    CommandResult result = run("--data text --sample-length 0 --steps 9 " + arguments);
    EXPECT_EQ(result.code, 1) << result.text;
    return result.text;
  };
  // Every step has a finite loss and a finite gradient; the update of step 6 breaks the parameters: they get
  // as large as floats can be, so that the next loss is infinite.
  const std::string large = " --set optimizer.lr=1e38 ";
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=1"),
                  "error: the validation loss is inf after step 6; lower optimizer.lr");
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=1"),
                  "the checkpoint of step 5 is whole");
  EXPECT_CONTAINS(errorOf("--resume a" + large + "train.validate_every=0 train.checkpoint_every=1"),
                  "error: the loss is inf with the parameters of step 6, which were not saved");
  EXPECT_EQ(numbersIn(newest("a")), good.first);
  EXPECT_CONTAINS(errorOf("--held-out 0 --resume b --steps 6" + large), "with the parameters of step 6");
  EXPECT_EQ(numbersIn(newest("b")), goodWithoutText.first);
  // Nor does a new run push an old checkpoint aside for one.
  EXPECT_CONTAINS(errorOf("--checkpoint a" + large + "train.checkpoint_every=1"),
                  "with the parameters of step 1");
  EXPECT_EQ(numbersIn(newest("a")), good.first);
  EXPECT_FALSE(std::filesystem::exists(folder / "a/earlier-1"));
}

TEST_F(TrainerCheckpoints, LeavesAWholeCheckpointWhereverItIsKilled) {
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

TEST_F(TrainerCheckpoints, TrainsNothingThatCannotBeSaved) {
  auto first = train("a", "--steps 2");
  CommandResult result = test::runCommand("cd " + folder.path.string() +
                                          " && ulimit -f 100 && ./trainer --data text --steps 4 --resume a");
  EXPECT_EQ(result.code, 1) << result.text;
  EXPECT_CONTAINS(result.text,
                  "error: a checkpoint in 'a' needs 798800 bytes, files of this process may have ");
  EXPECT_EQ(result.text.find("step 3"), std::string::npos) << result.text;
  EXPECT_EQ(stepsIn("a"), "2");
  EXPECT_EQ(numbersIn(newest("a")), first.first);
  // Nothing is left to save.
  result =
      test::runCommand("cd " + folder.path.string() +
                       " && ulimit -f 100 && ./trainer --data text --steps 2 --sample-length 0 --resume a");
  EXPECT_EQ(result.code, 0) << result.text;
}

TEST_F(TrainerCheckpoints, GoesOnWhenACheckpointDoesNotFit) {
  auto limitFiles = [](pid_t process, rlim_t bytes) {
    rlimit limit = {bytes, RLIM_INFINITY};
    EXPECT_EQ(prlimit(process, RLIMIT_FSIZE, &limit, nullptr), 0);
  };
  auto countWarnings = [&] {
    std::string text = test::read(folder / "out"), warning = "has no checkpoint: cannot write 'a/step-";
    int count = 0;
    for (size_t at = text.find(warning); at != std::string::npos; at = text.find(warning, at + 1))
      ++count;
    return count;
  };
  // A checkpoint has some bytes more. The limit is that of `out`, too, which must not be full of lines by
  // then.
  constexpr rlim_t kTooFew = 790'000;
  pid_t child = start("--data text --steps 10000000 --set train.checkpoint_every=20 train.log_every=100000");
  waitFor([&] { return !stepsIn("a").empty(); });
  limitFiles(child, kTooFew);
  waitFor([&] { return countWarnings() >= 2; });
  std::string kept = stepsIn("a"), bytes = test::read(newest("a"));
  waitFor([&] { return countWarnings() >= 4; });
  EXPECT_EQ(stepsIn("a"), kept);
  EXPECT_TRUE(test::read(newest("a")) == bytes);
  EXPECT_NO_THROW(abi::verifyChecksums(abi::SafetensorsFile(newest("a"))));
  // There is room again.
  limitFiles(child, RLIM_INFINITY);
  waitFor([&] { return stepsIn("a") != kept; });
  // The last one has to be written; a warning says that there are steps to lose.
  int warnings = countWarnings();
  limitFiles(child, kTooFew);
  waitFor([&] { return countWarnings() > warnings; });
  kill(child, SIGTERM);
  EXPECT_EQ(exitStatusOf(child), 1);
  std::string text = test::read(folder / "out");
  EXPECT_CONTAINS(text, "model.safetensors': File too large; it needs ");
  EXPECT_CONTAINS(text, "; the run goes on\n");
  EXPECT_CONTAINS(text, "contraflow: error: cannot write 'a/step-");
  for (int64_t step : abi::stepsIn(folder / "a"))
    EXPECT_NO_THROW(abi::verifyChecksums(
        abi::SafetensorsFile(folder / ("a/" + abi::stepFolder(step) + "/model.safetensors"))));
  for (const auto &entry : std::filesystem::directory_iterator(folder / "a"))
    EXPECT_NE(entry.path().extension(), ".partial");
}

// Any error of the file system, and of any function that asks it: a path that leads to itself fails them all.
TEST_F(TrainerCheckpoints, GoesOnWhileTheFolderCannotBeReached) {
  auto countWarnings = [&] {
    std::string text = test::read(folder / "out"), warning = "; the run goes on\n";
    int count = 0;
    for (size_t at = text.find(warning); at != std::string::npos; at = text.find(warning, at + 1))
      ++count;
    return count;
  };
  std::filesystem::create_symlink("a", folder / "other");
  // At once: what is in between neither is there nor is not.
  auto exchange = [&] {
    return renameat2(AT_FDCWD, (folder / "a").c_str(), AT_FDCWD, (folder / "other").c_str(), RENAME_EXCHANGE);
  };
  pid_t child = start("--data text --steps 10000000 --set train.checkpoint_every=20 train.log_every=100000");
  waitFor([&] { return !stepsIn("a").empty(); });
  ASSERT_EQ(exchange(), 0);
  waitFor([&] { return countWarnings() >= 2; });
  std::string kept = stepsIn("other");
  EXPECT_NO_THROW(abi::verifyChecksums(abi::SafetensorsFile(newest("other"))));
  ASSERT_EQ(exchange(), 0);
  waitFor([&] { return stepsIn("a") != kept; });
  kill(child, SIGTERM);
  EXPECT_EQ(exitStatusOf(child), 130);
  EXPECT_CONTAINS(test::read(folder / "out"), "cannot make the checkpoint folder 'a': ");
  EXPECT_NO_THROW(abi::verifyChecksums(abi::SafetensorsFile(newest("a"))));
  for (const auto &entry : std::filesystem::directory_iterator(folder / "a"))
    EXPECT_NE(entry.path().extension(), ".partial");
}

} // namespace

} // namespace contraflow
