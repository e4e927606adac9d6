//===- CrashReport.h - what a crash leaves behind -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compilation that crashes leaves a folder with the input of the phase that it was in, and prints the
// command that replays this phase alone. Nothing of that is taken from the memory of the process that
// crashed: inputs are copied, and IR is made again by a new process that stops before the phase, for the same
// input gives the same IR. So a compilation that does not crash pays nothing.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_DRIVER_CRASHREPORT_H
#define CONTRAFLOW_COMPILER_DRIVER_CRASHREPORT_H

#include <string>
#include <vector>

namespace contraflow::driver {

/// What replays the phase that begins.
struct Reproducer {
  /// A file of the folder: a text, or a copy of `source`.
  struct File {
    std::string name;
    std::string text;
    std::string source;
  };

  /// What is said to have crashed, "phase 'fusion'".
  std::string subject;
  std::string folder;
  std::vector<File> files;
  /// Of a contraflow that writes the IR before the phase into the folder; empty where files are enough.
  std::vector<std::string> arguments;
  std::string command;
};

/// Where reproducers go unless the user says: a name that no other process has, in a folder that can be
/// written.
std::string getDefaultReproducerFolder();

/// From here on a crash of the process is reported; `executable` is the path of the running program.
void installCrashReports(const std::string &executable);

/// What a crash is to leave from now on.
void setReproducer(Reproducer reproducer);
/// Nothing more to replay.
void clearReproducer();

/// Writes the current reproducer because of a failure that is no crash. False where there is none.
bool reportFailure();

} // namespace contraflow::driver

#endif
