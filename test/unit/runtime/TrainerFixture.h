//===- TrainerFixture.h - a trainer with a program written by hand --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_RUNTIME_TRAINERFIXTURE_H
#define CONTRAFLOW_TEST_UNIT_RUNTIME_TRAINERFIXTURE_H

#include "runtime/abi/Payload.h"
#include "runtime/abi/Safetensors.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "test/unit/runtime/Support.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <functional>
#include <regex>
#include <thread>

namespace contraflow::test {

/// A trainer made of Program.c, and text to train it on.
class TrainerFixture : public testing::Test {
protected:
  void SetUp() override {
    makeTrainer(programManifest());
    std::string words[] = {"int ", "void ", "return ", "struct ", "if (x) "};
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (int k = 0; k < 40; ++k)
        text += words[(i * 7 + k * k) % 5];
      folder.write("text/" + std::to_string(i) + ".h", text + std::to_string(i) + "\n");
    }
  }

  void makeTrainer(const abi::Manifest &manifest) {
    abi::appendPayload(STUB, folder / "trainer", {read(PROGRAM), manifest.toJson()});
  }

  CommandResult run(const std::string &arguments) const {
    return runCommand("cd " + folder.path.string() + " && ./trainer " + arguments);
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
      // Where the tests began ignoring it, as nohup makes them, a trainer would too.
      std::signal(SIGHUP, SIG_DFL);
      std::string command =
          "cd " + folder.path.string() + " && exec ./trainer --checkpoint a --metrics a.json " + arguments +
          (arguments.find("--sample-length") == std::string::npos ? " --sample-length 0" : "") +
          " > out 2>&1";
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(99);
    }
    waitFor([&] { return std::filesystem::exists(folder / "a.json") && !read(folder / "a.json").empty(); });
    return child;
  }

  /// Fails where it is not so within a minute.
  static void waitFor(const std::function<bool()> &isThere) {
    auto begin = std::chrono::steady_clock::now();
    while (!isThere() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(60))
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(isThere());
  }

  /// As a shell tells it.
  static int exitStatusOf(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// The last validation loss that a run printed.
  static double validationLossIn(const std::string &text) {
    size_t at = text.rfind("validation loss ");
    return at == std::string::npos ? NAN : std::atof(text.c_str() + at + 16);
  }

  /// A checkpoint without its header, which tells settings, too.
  static std::string numbersIn(const std::string &path) {
    std::string bytes = read(path);
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

} // namespace contraflow::test

#endif
