//===- Compile.cpp - the commands that compile ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Commands.h"
#include "compiler/driver/Phases.h"
#include "compiler/driver/Verify.h"
#include "compiler/errors/Errors.h"
#include "compiler/linker/Linker.h"
#include "runtime/abi/Payload.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace contraflow::driver {
namespace {

CompileOptions getCompileOptions(const Options &options) {
  CompileOptions result;
  result.stopAfter = options.stopAfter;
  result.startFrom = options.startFrom;
  result.dumpPhases = options.dumpPhases;
  result.reproducer = options.reproducer;
  result.replayed = options.replayed;
  result.timing = options.timing;
  result.assignments = options.assignments;
  result.checked = options.checked;
  return result;
}

/// Where the IR of --stop-after goes; nothing is printed if it is on disk already.
bool writeModule(Compilation &compilation, const Options &options) {
  if (options.output.empty() && !options.dumpPhases.empty())
    return true;
  if (!options.output.empty())
    return writeText(options.output, compilation.printModule());
  llvm::outs() << compilation.printModule();
  return true;
}

/// The file that a link names; a trainer takes the place of files only. False after an error.
bool resolveOutput(std::string &output) {
  llvm::SmallString<128> path;
  if (!llvm::sys::fs::exists(output) || llvm::sys::fs::real_path(output, path))
    return true;
  if (!llvm::sys::fs::is_regular_file(output) && !llvm::sys::fs::is_directory(output))
    return fail(message<ErrorId::FileUnwritable>("'" + output + "'", "it is not a regular file"));
  output = path.str().str();
  return true;
}

/// What `file` takes the place of can be made again: a trainer, IR, or nothing. A run file or a text is
/// somebody's work, and its name is soon typed behind -o instead of before it. False after an error.
bool checkReplaced(const std::string &file, bool links) {
  uint64_t bytes = 0;
  if (!llvm::sys::fs::is_regular_file(file) || llvm::sys::fs::file_size(file, bytes) || bytes == 0)
    return true;
  if (links ? abi::endsAsTrainer(file) : llvm::sys::path::extension(file) == ".mlir")
    return true;
  return fail(message<ErrorId::OutputOverFile>("--output", file, links ? "trainer" : "IR (.mlir)"));
}

bool checkWritten(std::string &output, bool links, const std::vector<std::string> &inputs) {
  if (!checkOutput("--output", output, inputs) || !checkReplaced(output, links))
    return false;
  return !links || (resolveOutput(output) && checkOutput("--output", output, inputs));
}

/// `output` is empty where IR goes to standard output, or nowhere but to `dumps`.
bool checkDumps(const std::string &output, const std::vector<std::string> &dumps,
                const std::vector<std::string> &inputs) {
  for (const std::string &dump : dumps) {
    if (!checkOutput("--dump-phases", dump, inputs))
      return false;
    if (!output.empty() && isSameFile(output, dump))
      return fail(message<ErrorId::OutputOfTwo>("--output", output, "--dump-phases"));
  }
  return true;
}

/// The `models` of the nearest folder above the executable that has one; else that of the source tree.
std::string findModels(llvm::StringRef executable) {
  for (llvm::StringRef folder = llvm::sys::path::parent_path(executable); !folder.empty();
       folder = llvm::sys::path::parent_path(folder))
    for (const char *name : {"models", "share/contraflow/models"}) {
      llvm::SmallString<128> path(folder);
      llvm::sys::path::append(path, name);
      if (llvm::sys::fs::is_directory(path))
        return std::string(path);
    }
  return CONTRAFLOW_MODELS;
}

} // namespace

int compile(const Options &options, const std::string &executable) {
  bool links = options.stopAfter.empty() || options.stopAfter == "link";
  std::string output = options.output.empty() && links ? "trainer" : options.output;
  std::string stub;
  if (links) {
    // Before the work, because it is the usual mistake of an installation.
    llvm::Expected<std::string> found = linker::findStub(executable);
    if (!found) {
      fail(llvm::toString(found.takeError()));
      return 1;
    }
    stub = std::move(*found);
  }

  Compilation compilation(getCompileOptions(options));
  if (!compilation.load(options.input))
    return 1;
  // The programs that work here are read, too.
  std::vector<std::string> inputs = compilation.getInputs();
  inputs.insert(inputs.end(), {stub, executable});
  if ((!output.empty() && !checkWritten(output, links, inputs)) ||
      !checkDumps(output, compilation.getDumps(), inputs) || !compilation.run())
    return 1;
  bool written = links ? compilation.link(stub, output) : writeModule(compilation, options);
  return written ? 0 : 1;
}

int train(const Options &options, const std::string &executable) {
  Options compileOptions = options;
  if (compileOptions.output.empty())
    compileOptions.output = "trainer";
  if (int status = compile(compileOptions, executable))
    return status;
  std::string path = compileOptions.output;
  if (path.find('/') == std::string::npos)
    path = "./" + path;
  std::vector<std::string> arguments = {path, "train"};
  // Ranks, where the run file has some, are threads of the trainer.
  arguments.push_back("--in-process");
  arguments.insert(arguments.end(), options.trainerArguments.begin(), options.trainerArguments.end());
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  llvm::outs().flush();
  execv(path.c_str(), pointers.data());
  fail(message<ErrorId::TrainerNotStarted>(path, std::strerror(errno)));
  return 1;
}

int verify(const Options &options, const std::string &executable) {
  VerifyOptions verifyOptions;
  verifyOptions.models = options.models.empty() ? findModels(executable) : options.models;
  verifyOptions.keep = options.keep;
  verifyOptions.threads = options.threads;
  verifyOptions.json = options.json;
  return verifyFolder(options.input, verifyOptions,
                      [&](const std::string &runFile, const std::string &trainer) {
                        Options compileOptions = options;
                        compileOptions.input = runFile;
                        compileOptions.output = trainer;
                        return compile(compileOptions, executable) == 0;
                      });
}

} // namespace contraflow::driver
