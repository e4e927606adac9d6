//===- Main.cpp - contraflow ----------------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Commands.h"
#include "compiler/driver/CrashReport.h"
#include "compiler/driver/OptHelp.h"
#include "compiler/driver/Phases.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace contraflow::driver;

static int run(int argc, char **argv) {
  std::string error;
  std::optional<Options> options = parseOptions(std::vector<std::string>(argv + 1, argv + argc), error);
  if (!options)
    return fail(error), 2;
  static int anchor;
  std::string executable = llvm::sys::fs::getMainExecutable(argv[0], &anchor);
  installCrashReports(executable);
  switch (options->command) {
  case Command::Compile:
    return compile(*options, executable);
  case Command::Train:
    return train(*options, executable);
  case Command::Inspect:
    return inspect(*options);
  case Command::Verify:
    return verify(*options, executable);
  case Command::Version:
    return printVersion("contraflow"), 0;
  case Command::Help:
    llvm::outs() << getHelp(options->helpTopic);
    return 0;
  }
  return 2;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  try {
    return run(argc, argv);
  } catch (const std::exception &error) {
    fail(error.what());
    // Nobody expected it; where a phase runs, that is a defect of the compiler.
    reportFailure();
    return 1;
  }
}
