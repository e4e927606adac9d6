//===- OptHelp.cpp - what contraflow-opt --help prints --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's own text lists every option of every library that is linked, some 500 lines; it stays at
// --help-hidden.
#include "compiler/driver/OptHelp.h"

#include "compiler/driver/Options.h"
#include "passes/Pipelines.h"
#include "runtime/abi/Abi.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/Timing.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

using namespace mlir;

namespace contraflow::driver {
namespace {

/// Where the descriptions of passes and of their options begin.
constexpr size_t kColumn = 49;

/// As MlirOptMain does, which prints a help of its own.
void registerOptions() {
  static DialectRegistry registry;
  MlirOptMainConfig::registerCLOptions(registry);
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
}

/// The registry of passes can be asked for names, but not which there are: the parser of options knows.
std::vector<std::string> getPassNames() {
  std::vector<std::string> names;
  for (auto [name, option] : llvm::cl::getRegisteredOptions())
    if (PassInfo::lookup(name))
      names.push_back(name.str());
  llvm::sort(names);
  return names;
}

} // namespace

void printOptHelp() {
  registerOptions();
  llvm::raw_ostream &out = llvm::outs();
  out << "contraflow-opt runs phases and passes on a file, in the order of the command line.\n\n"
         "usage: contraflow-opt [FILE.mlir] [--PHASE...] [--PASS...] [OPTION...]\n\nphases:\n";
  for (const PhasePipeline &phase : getPhasePipelines())
    PassPipelineInfo::lookup(phase.name)->printHelpStr(4, kColumn);
  std::vector<std::string> names = getPassNames();
  auto print = [&](llvm::StringRef title, llvm::StringRef prefix) {
    out << "\npasses of " << title << ":\n";
    llvm::erase_if(names, [&](const std::string &name) {
      if (llvm::StringRef(name).starts_with(prefix))
        PassInfo::lookup(name)->printHelpStr(4, kColumn);
      return llvm::StringRef(name).starts_with(prefix);
    });
  };
  for (const PhasePipeline &phase : getPhasePipelines())
    print("passes/" + phase.name.str(), phase.name.str() + "-");
  // No phase of the compiler yet.
  print("passes/parallel", "parallel-");
  print("passes", "phase-");
  print("MLIR", "");
  out << "\noptions:\n" << getOptOptionsHelp();
}

void printVersion(const char *program) {
  llvm::outs() << program << " " << CONTRAFLOW_VERSION << " (ABI " << CF_ABI_VERSION << ", LLVM "
               << LLVM_VERSION_STRING << ")\n";
}

} // namespace contraflow::driver
