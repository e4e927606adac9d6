//===- Support.h - folders, and the trainer that the tests run ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_RUNTIME_SUPPORT_H
#define CONTRAFLOW_TEST_UNIT_RUNTIME_SUPPORT_H

#include "runtime/abi/Abi.h"
#include "runtime/abi/Manifest.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace contraflow::test {

/// A folder that goes away with its owner.
class Folder {
public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "contraflow-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder &) = delete;

  std::string operator/(const std::string &name) const { return (path / name).string(); }
  std::string write(const std::string &name, const std::string &content) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << content;
    return *this / name;
  }

  std::filesystem::path path;
};

inline std::string read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct CommandResult {
  int code = 0;
  /// Standard output and standard error.
  std::string text;
};

inline CommandResult runCommand(const std::string &command) {
  CommandResult result;
  FILE *pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  for (char buffer[4096]; size_t count = fread(buffer, 1, sizeof(buffer), pipe);)
    result.text.append(buffer, count);
  int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// The message of the exception that `body` throws.
template <typename Body> std::string errorOf(Body body) {
  try {
    body();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "no error";
}

#define EXPECT_CONTAINS(text, part)                                                                          \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << (text)

/// The manifest of Program.c.
inline abi::Manifest programManifest() {
  constexpr int64_t vocab = 258, seq = 32, batch = 2, microBatches = 2, buffer = 8;
  constexpr int64_t table = vocab * vocab * 4;
  abi::Manifest manifest;
  manifest.version = CF_ABI_VERSION;
  manifest.model = "table";
  manifest.buildId = "by-hand";
  manifest.run = R"({"optimizer": {"lr": 0.05, "betas": [0.9, 0.95]},
                     "train": {"steps": 20, "log_every": 5, "validate_every": 10}, "init": {"std": 0.01}})";
  manifest.batch = batch;
  manifest.seq = seq;
  manifest.vocab = vocab;
  manifest.microBatches = microBatches;
  manifest.flopsPerStep = 1e6;
  manifest.scratchBytesPerWorker = vocab * 4;
  int64_t at = 0;
  auto area = [&](int64_t bytes) {
    int64_t begin = at;
    at = (at + bytes + 63) / 64 * 64;
    return begin;
  };
  int64_t bufferOffset = (table + 63) / 64 * 64;
  int64_t parameters = area(bufferOffset + buffer * 4);
  manifest.regions["parameters"] = {parameters, bufferOffset + buffer * 4};
  for (const char *name : {"gradients", "first_moments", "second_moments"})
    manifest.regions[name] = {area(table), table};
  manifest.inputs.tokens = area(microBatches * batch * seq * 4);
  manifest.inputs.generateTokens = area(seq * 4);
  manifest.scalars = area(CF_SCALAR_COUNT * 4);
  int64_t loss = area(4), workspace = area(vocab * 4), logits = area(batch * seq * vocab * 4);
  manifest.arenaBytes = manifest.maxLiveBytes = at;

  manifest.parameters = {
      {"table.weight", {vocab, vocab}, 0, false, abi::Init::Normal, true, true, "table"},
      {"items.{e}.count", {2, 4}, bufferOffset, true, abi::Init::Zeros, false, false, "table"}};
  manifest.losses = {{"main", loss, 1.0}};
  // No function has metrics of its own: the same number, reported again.
  manifest.metrics = {{"model.layers.0.error", abi::MetricKind::Mean, loss, 1}};
  manifest.outputs = {{"evaluate", "logits", logits, {batch * seq, vocab}},
                      {"generate", "logits", logits, {seq, vocab}}};
  manifest.functions = {"step_begin", "table_train",     "table_evaluate", "table_generate",
                        "step_clip",  "table_optimizer", "table_update"};
  manifest.operations["table_train"] = {{"linear", "table", 10000000, 8, 4}};
  auto base = [&](const char *name) { return manifest.regions[name].offset; };
  abi::Program &train = manifest.programs["train"];
  train.push_back({0, {base("gradients"), loss}, -1, "", "", "begin"});
  for (int64_t m = 0; m < microBatches; ++m)
    train.push_back(
        {1,
         {parameters, base("gradients"), manifest.inputs.tokens + m * batch * seq * 4, loss, workspace},
         m,
         "table",
         "model.layers.0",
         "forward"});
  train.push_back({4, {base("gradients"), manifest.scalars}, -1, "", "", "clip"});
  train.push_back(
      {5,
       {parameters, base("gradients"), base("first_moments"), base("second_moments"), manifest.scalars},
       -1,
       "table",
       "",
       "optimizer"});
  train.push_back({6, {parameters + bufferOffset}, -1, "table", "", "update"});
  manifest.programs["evaluate"] = {{2,
                                    {parameters, -1, manifest.inputs.tokens, loss, workspace, logits},
                                    0,
                                    "table",
                                    "model.layers.0",
                                    "evaluate"}};
  manifest.programs["generate"] = {
      {3, {parameters, manifest.inputs.generateTokens, logits}, -1, "table", "", "evaluate"}};
  manifest.memory["train"] = {
      {"parameters", "parameters", parameters, bufferOffset + buffer * 4, 0, int64_t(train.size()), true},
      {"table_train", "workspace", workspace, vocab * 4, 1, microBatches}};
  return manifest;
}

} // namespace contraflow::test

#endif
