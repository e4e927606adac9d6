//===- CompilerTargets.cpp - files that the compiler reads ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/Frontend.h"
#include "dialects/RegisterAll.h"
#include "dialects/nn/NN.h"
#include "passes/Pipelines.h"
#include "test/fuzz/SourceDir.h"
#include "test/fuzz/Targets.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using contraflow::frontend::JsonDiagnostics;
using contraflow::frontend::RunFile;

namespace contraflow::fuzz {
namespace {

/// A context that counts errors in place of printing them. One per input: what one leaves behind must not
/// change what the next does.
class Session {
public:
  Session() : context(makeRegistry(), MLIRContext::Threading::DISABLED) {
    context.loadAllAvailableDialects();
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      // Printing an operation is part of reporting it.
      require(!diagnostic.str().empty(), "a diagnostic says something");
      errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
      return success();
    });
  }

  MLIRContext context;
  unsigned errors = 0;

private:
  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registerAllDialects(registry);
    return registry;
  }
};

std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  return text;
}

/// What --dump-phases writes can be read again, and says the same.
void requireRoundTrip(Session &session, ModuleOp module) {
  std::string text = print(module);
  OwningOpRef<ModuleOp> again = parseSourceString<ModuleOp>(text, &session.context);
  require(again && print(*again) == text, "IR that was built survives being written");
}

std::string readShipped(const char *path) {
  auto buffer = llvm::MemoryBuffer::getFile(std::string(CONTRAFLOW_SOURCE_DIR "/models/") + path);
  require(bool(buffer), "shipped models can be read");
  return (*buffer)->getBuffer().str();
}

std::optional<RunFile> parseRunFile(const std::string &text) {
  JsonDiagnostics diagnostics;
  std::optional<RunFile> run = RunFile::parse(text, "run.json", diagnostics);
  require(run.has_value() != frontend::hasErrors(diagnostics), "a run file is refused with a message only");
  return run;
}

/// A run file whose step is small, for a configuration that is added later.
RunFile makeSmallRun() {
  return *parseRunFile(R"({"model": {}, "batch": {"sequence": 8, "tokens": 16, "micro_batches": 2},
    "loss": {"mtp_weight": 0.3, "balance_alpha": 0.001}})");
}

void buildAndCheck(Session &session, ModuleOp source, const RunFile &run) {
  OwningOpRef<ModuleOp> module = frontend::buildModel(source, run);
  require(bool(module) == (session.errors == 0), "a model is refused with a message only");
  if (module)
    requireRoundTrip(session, *module);
}

} // namespace

void runRunFile(std::string_view input) {
  std::optional<RunFile> run = parseRunFile(std::string(input));
  if (!run)
    return;
  std::string resolved = run->resolve().dump();
  std::optional<RunFile> again = parseRunFile(resolved);
  require(again && again->resolve().dump() == resolved, "the resolved run file is one that says the same");
}

void runConfig(std::string_view input) {
  static const std::string models[] = {readShipped("deepseek-v3/model.mlir"),
                                       readShipped("llama/model.mlir")};
  RunFile run = makeSmallRun();
  JsonDiagnostics diagnostics;
  std::optional<frontend::JsonValue> config =
      frontend::JsonDocument::parse("config.json", std::string(input), diagnostics);
  // One that has a key twice is read all the same, for what else is wrong.
  require(config.has_value() || frontend::hasErrors(diagnostics),
          "a configuration is refused with a message");
  if (frontend::hasErrors(diagnostics))
    return;
  run.config = *config;
  for (const std::string &model : models) {
    Session session;
    OwningOpRef<ModuleOp> source = parseSourceString<ModuleOp>(model, &session.context);
    buildAndCheck(session, *source, run);
  }
}

void runModel(std::string_view input) {
  static const std::string nano = readShipped("deepseek-v3/nano.json");
  RunFile run = makeSmallRun();
  run.config = parseRunFile(nano)->config;
  Session session;
  OwningOpRef<ModuleOp> source = parseSourceString<ModuleOp>(llvm::StringRef(input), &session.context);
  require(bool(source) == (session.errors == 0), "a model that is no MLIR is refused with a message");
  if (!source)
    return;
  requireRoundTrip(session, *source);
  buildAndCheck(session, *source, run);
}

/// As `contraflow compile FILE.mlir --stop-after=memory`: the checks of the phase that wrote it, then what
/// follows.
void runIr(std::string_view input) {
  Session session;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(llvm::StringRef(input), &session.context);
  require(bool(module) == (session.errors == 0), "IR that cannot be parsed is refused with a message");
  auto written = module ? nn::getAttr<nn::NNDialect::PhaseAttrHelper>(*module) : StringAttr();
  if (!written)
    return;
  bool isDone = written.getValue() == "frontend";
  PassManager passes(&session.context);
  for (const PhasePipeline &pipeline : getPhasePipelines()) {
    if (pipeline.name == "lowering")
      break;
    if (isDone)
      pipeline.build(passes);
    if (pipeline.name != written.getValue())
      continue;
    pipeline.buildVerifier(passes);
    isDone = true;
  }
  bool succeeds = succeeded(passes.run(*module));
  require(succeeds == (session.errors == 0), "a phase fails with a message only");
  if (succeeds)
    requireRoundTrip(session, *module);
}

} // namespace contraflow::fuzz
