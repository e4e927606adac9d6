//===- Options.h - the command line of a trainer --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CLI_OPTIONS_H
#define CONTRAFLOW_RUNTIME_CLI_OPTIONS_H

#include "runtime/train/Generator.h"
#include "runtime/train/Probe.h"
#include "runtime/train/Trainer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace contraflow::cli {

enum class Command { Train, Generate, Export, Probe, Info, Version, Help };

struct Options {
  Command command = Command::Train;
  /// The one whose help is asked for; nothing: all of them.
  std::optional<Command> helpTopic;

  int threads = 0; // 0: as many as processors.
  bool profile = false;
  /// All ranks of a run are threads of this process.
  bool inProcess = false;
  std::vector<std::string> assignments;
  std::optional<uint64_t> seed;

  std::vector<std::string> data;
  std::vector<std::string> include;
  std::optional<double> heldOut;
  std::optional<int64_t> steps;
  bool checkpointGiven = false;
  /// `--resume` without a folder: the one of --checkpoint.
  bool resume = false;
  train::TrainOptions train;

  /// Of generate and export: the averages in place of the parameters.
  bool averages = false;
  std::string prompt;
  train::SamplingOptions sampling;

  train::ProbeOptions probe;
  std::string exportFolder;
  bool json = false;
};

/// Throws base::Error on an unknown option, a missing or a bad value.
Options parseOptions(const std::vector<std::string> &arguments);

/// What --help prints, of one command or all of them, made from the table that parses.
std::string helpText(const std::string &program, std::optional<Command> topic);

} // namespace contraflow::cli

#endif
