//===- RunFile.h - what a user asks for, typed and checked ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_RUNFILE_H
#define CONTRAFLOW_COMPILER_FRONTEND_RUNFILE_H

#include "compiler/frontend/JsonReader.h"
#include "runtime/abi/Mesh.h"

namespace contraflow::frontend {

/// A run file (models/schema.json) and the model configuration that it names. Members have the defaults of
/// keys that may be missing.
struct RunFile {
  /// Reads a run file, and the config.json if it names one. Nothing if there is an error; `diagnostics` has
  /// all of a file's errors, and may have warnings in any case. `assignments` override keys.
  static std::optional<RunFile> load(const std::string &path, JsonDiagnostics &diagnostics,
                                     const std::vector<std::string> &assignments = {});
  /// As `load`, from text. Paths in it are relative to the folder of `path`, which also stands in
  /// diagnostics.
  static std::optional<RunFile> parse(const std::string &text, const std::string &path,
                                      JsonDiagnostics &diagnostics,
                                      const std::vector<std::string> &assignments = {});
  /// As `parse`, but what could be read is there in spite of errors: they need not be all. Nothing if the
  /// text is no run file at all.
  static std::optional<RunFile> read(const std::string &text, const std::string &path,
                                     JsonDiagnostics &diagnostics,
                                     const std::vector<std::string> &assignments = {});

  /// Objects whose keys the architecture declares.
  static constexpr const char *kModelSections[] = {"loss", "dropout"};

  /// Key paths of everything that a run file may hold, except `$schema`, `architecture` and those in
  /// kModelSections.
  static const std::vector<std::string> &getKeys();

  /// The run file with its own defaults filled in and the configuration inline. Those of kModelSections come
  /// from the architecture (`resolveRun` in BindConfig.h).
  nlohmann::json resolve() const;

  /// Sequences in a micro-batch of one rank.
  int64_t getBatch() const {
    int64_t part = sequence * microBatches * mesh.dp;
    return part > 0 ? tokens / part : 0;
  }

  /// Keys whose values are reported to be wrong: `BindConfig`, which reads some of them too, need not say it
  /// again.
  std::vector<std::string> refused;

  /// Path of the run file; its name without folder and ending names the model.
  std::string path;
  std::string name;
  /// The run file, for values that only the architecture knows (`nn.config ... = run "..."`).
  JsonValue run;
  /// The Hugging Face configuration, inline or in a file of its own.
  JsonValue config;
  /// False only after an error.
  bool hasConfig = false;
  /// Path of the .mlir file.
  std::string architecture;

  struct Target {
    std::string kind = "cpu";
    /// "native", or a processor name of LLVM such as "x86-64-v3".
    std::string isa = "native";
  } target;

  /// The ranks that train together.
  abi::Mesh mesh;

  int64_t sequence = 0;
  /// In a step, on all ranks.
  int64_t tokens = 0;
  /// Of one rank.
  int64_t microBatches = 1;

  bool documentMask = false;
  double biasUpdateRate = 1e-3;
  double initStd = 0.006;

  struct Optimizer {
    double learningRate = 1e-3;
    double minLearningRate = 0;
    double beta1 = 0.9;
    double beta2 = 0.95;
    double eps = 1e-8;
    double weightDecay = 0.1;
    /// 0: no clipping.
    double clipNorm = 1.0;
    std::string schedule = "constant";
    int64_t warmupSteps = 0;
  } optimizer;

  /// Exponential moving averages of the parameters.
  struct Ema {
    /// 0: none.
    double decay = 0;
  } ema;

  struct Train {
    int64_t steps = 1000;
    int64_t validateEvery = 100;
    int64_t validationTokens = 65536;
    int64_t checkpointEvery = 0;
    int64_t keepLast = 2;
    int64_t keepEvery = 0;
    int64_t logEvery = 10;
  } train;

  struct Data {
    std::vector<std::string> paths;
    std::vector<std::string> include;
    double heldOut = 0.05;
  } data;

  uint64_t seed = 1;
};

} // namespace contraflow::frontend

#endif
