//===- Options.h - the command line of contraflow -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table (Options.cpp) makes the parser, `--help` and the lists of each command. Options of contraflow-opt
// are MLIR's: the table has the names of those that its help lists, MLIR's registry what they do.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_DRIVER_OPTIONS_H
#define CONTRAFLOW_COMPILER_DRIVER_OPTIONS_H

#include <optional>
#include <string>
#include <vector>

namespace contraflow::driver {

enum class Command { Compile, Train, Inspect, Verify, Help, Version };

struct Options {
  Command command = Command::Help;
  /// Of which command `--help` tells; empty: of all.
  std::string helpTopic;
  /// The run file, IR, trainer or folder.
  std::string input;
  std::string output;
  /// Names of phases; empty: not given.
  std::string stopAfter;
  std::string startFrom;
  std::string dumpPhases;
  std::string reproducer;
  std::string models;
  std::string keep;
  bool timing = false;
  bool checked = false;
  bool json = false;
  bool run = false;
  bool tensors = false;
  bool memory = false;
  bool program = false;
  bool operations = false;
  std::string svg;
  std::string programSvg;
  int threads = 0;
  /// The options of `compile` that decide what is compiled, as they were given.
  std::vector<std::string> replayed;
  /// Of --set, `optimizer.lr=3e-4`.
  std::vector<std::string> assignments;
  /// What `train` hands on.
  std::vector<std::string> trainerArguments;
};

/// Nothing on an error; `errors` then says all that are wrong, without "error: ".
std::optional<Options> parseOptions(const std::vector<std::string> &arguments,
                                    std::vector<std::string> &errors);

/// What `--help` prints about a command; empty: about all.
std::string getHelp(const std::string &topic);
/// The lines of `contraflow-opt --help` about options. MLIR's have to be registered.
std::string getOptOptionsHelp();

} // namespace contraflow::driver

#endif
