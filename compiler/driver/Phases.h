//===- Phases.h - from a run file to a trainer, phase by phase ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_PHASES_H
#define CONTRAFLOW_COMPILER_DRIVER_PHASES_H

#include "compiler/frontend/RunFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace contraflow::driver {

/// A step of the compilation with a name on the command line.
struct Phase {
  /// 1 is the first.
  unsigned number;
  std::string name;
  std::string summary;
};

/// frontend, the pipelines of passes/Pipelines.h, link.
const std::vector<Phase> &getPhases();
/// Null where there is none.
const Phase *findPhase(const std::string &name);
/// "frontend, autodiff, ...".
std::string getPhaseNames();

/// What a compilation does besides compiling. Empty members are off.
struct CompileOptions {
  std::string stopAfter;
  std::string startFrom;
  std::string dumpPhases;
  std::string reproducer;
  bool timing = false;
};

/// One compilation. Errors are printed to standard error as they occur; the functions then return false.
class Compilation {
public:
  explicit Compilation(CompileOptions options);
  ~Compilation();

  /// Reads a run file (.json), or IR that an earlier compilation wrote (.mlir).
  bool load(const std::string &input);

  /// Runs the phases between what was loaded and the link, or the phase to stop after.
  bool run();
  /// The IR as it is now.
  std::string printModule();

  /// Code and manifest; after `run`.
  bool link(const std::string &stub, const std::string &output);

  mlir::MLIRContext &getContext() { return *context; }
  mlir::ModuleOp getModule() { return *module; }

private:
  bool verifyLoaded();
  bool runFrontend();
  bool runPipeline(const Phase &phase);
  bool finishPhase(const Phase &phase, double seconds);
  void report(const frontend::JsonDiagnostics &diagnostics);

  CompileOptions options;
  std::unique_ptr<mlir::MLIRContext> context;
  std::optional<frontend::RunFile> runFile;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// Number of the last phase that is done.
  unsigned done = 0;
};

/// Prints "contraflow: error: ..." to standard error and returns false.
bool fail(const std::string &message);

} // namespace contraflow::driver

#endif
