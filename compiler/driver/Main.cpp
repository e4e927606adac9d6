//===- Main.cpp - contraflow ----------------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Commands.h"
#include "compiler/driver/CrashReport.h"
#include "compiler/driver/OptHelp.h"
#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>

using namespace contraflow;
using namespace contraflow::driver;

static int run(int argc, char **argv) {
  std::vector<std::string> errors;
  std::optional<Options> options = parseOptions(std::vector<std::string>(argv + 1, argv + argc), errors);
  if (!options) {
    for (const std::string &error : errors)
      fail(error);
    return 2;
  }
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
  // A file size limit becomes an error of write(), which names the file, in place of a silent end.
  std::signal(SIGXFSZ, SIG_IGN);
  int status = 1;
  try {
    status = run(argc, argv);
  } catch (const std::exception &error) {
    fail(error.what());
    // Nobody expected it; where a phase runs, that is a defect of the compiler.
    reportFailure();
  }
  // What was printed to a full disk or a closed pipe would end the process in a destructor.
  llvm::outs().flush();
  if (std::error_code code = llvm::outs().error()) {
    llvm::outs().clear_error();
    fail(message<ErrorId::FileUnwritable>("standard output", code.message()));
    return 1;
  }
  return status;
}
