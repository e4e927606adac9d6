//===- Phases.h - from a run file to a trainer, phase by phase ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_PHASES_H
#define CONTRAFLOW_COMPILER_DRIVER_PHASES_H

#include "compiler/driver/PhaseTable.h"
#include "compiler/frontend/RunFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace contraflow::driver {

/// What a compilation does besides compiling. Empty members are off.
struct CompileOptions {
  std::string stopAfter;
  std::string startFrom;
  std::string dumpPhases;
  /// Folder for what replays a phase that failed.
  std::string reproducer;
  /// The options of the command line that decide what is compiled, for the process that makes a reproducer.
  std::vector<std::string> replayed;
  bool timing = false;
  /// Of --set.
  std::vector<std::string> assignments;
  /// The trainer looks at its memory while it runs.
  bool checked = false;
};

/// One compilation. Errors are printed to standard error as they occur; the functions then return false.
class Compilation {
public:
  explicit Compilation(CompileOptions options);
  ~Compilation();

  /// Reads a run file (.json), or IR that an earlier compilation wrote (.mlir).
  bool load(const std::string &input);

  /// Runs the phases between what was loaded and the link, or the phase to stop after.
  bool run() { return runUntil(options.stopAfter); }
  /// The same up to this phase; nothing is left to do where it has passed.
  bool runUntil(const std::string &last);
  bool hasPassed(const std::string &phase) const { return findPhase(phase)->number <= done; }
  /// The IR as it is now.
  std::string printModule();

  /// Code and manifest; after `run`.
  bool link(const std::string &stub, const std::string &output);

  mlir::MLIRContext &getContext() { return *context; }
  mlir::ModuleOp getModule() { return *module; }
  /// Null where IR was loaded.
  const frontend::RunFile *getRunFile() const { return runFile ? &*runFile : nullptr; }
  /// Files that `load` read: what it was given, and what a run file names.
  std::vector<std::string> getInputs() const;
  /// The IR that run() writes beside what it makes (--dump-phases).
  std::vector<std::string> getDumps() const;

private:
  std::string getDump(const Phase &phase) const;
  bool loadRunFile();
  bool loadModule();
  bool verifyLoaded();
  bool markChecked();
  bool runFrontend();
  bool runPipeline(const Phase &phase);
  bool finishPhase(const Phase &phase, double seconds);
  void prepareReproducer(const Phase &phase);
  bool failPhase(bool isDefect);
  bool failLink(llvm::Error error);
  void report(const frontend::JsonDiagnostics &diagnostics);

  CompileOptions options;
  std::string input;
  std::unique_ptr<mlir::MLIRContext> context;
  std::optional<frontend::RunFile> runFile;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// Number of the last phase that is done.
  unsigned done = 0;
  /// That of the phase that wrote the input; 0 of run files.
  unsigned loaded = 0;
};

/// Prints "contraflow: error: ..." to standard error and returns false.
bool fail(const std::string &message);

/// Whether two files are one, be it there already or not: of what is not, only an absolute path is resolved.
bool isSameFile(const std::string &first, const std::string &second);

/// False, after an error, where the file that `option` names to be written is one of `inputs`, or one of them
/// has its name until it is whole.
bool checkOutput(llvm::StringRef option, const std::string &file, llvm::ArrayRef<std::string> inputs);

/// Writes a text file, all or nothing; false after an error.
bool writeText(const std::string &path, llvm::StringRef text);

} // namespace contraflow::driver

#endif
