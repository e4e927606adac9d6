//===- Inspect.cpp - contraflow inspect -----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Inspect.h"

#include "compiler/driver/Commands.h"
#include "compiler/driver/InspectCheckpoint.h"
#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"
#include "compiler/frontend/Parameters.h"
#include "compiler/inspect/MemoryMap.h"
#include "compiler/inspect/ProgramFlame.h"
#include "compiler/inspect/Text.h"
#include "compiler/linker/ManifestWriter.h"
#include "runtime/abi/Manifest.h"
#include "runtime/abi/Payload.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <filesystem>

#include <nlohmann/json.hpp>

using namespace mlir;
using nlohmann::json;

namespace contraflow::driver {
namespace {

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

/// `inputs` are the files that were read. False after an error.
bool draw(const abi::Manifest &manifest, const InspectOptions &options, llvm::ArrayRef<std::string> inputs) {
  constexpr const char *kProgram = "train";
  if (options.svg.empty() && options.programSvg.empty())
    return true;
  if (!manifest.findProgram(kProgram))
    return fail(message<ErrorId::ProgramMissing>(kProgram));
  if (!checkOutput("--svg", options.svg, inputs) || !checkOutput("--program-svg", options.programSvg, inputs))
    return false;
  if (!options.svg.empty() && !options.programSvg.empty() && isSameFile(options.svg, options.programSvg))
    return fail(message<ErrorId::OutputOfTwo>("--program-svg", options.programSvg, "--svg"));
  if (!options.svg.empty() &&
      !writeText(options.svg, drawMemoryMap(inspect::MemoryMap(manifest, kProgram), manifest.model)))
    return false;
  return options.programSvg.empty() ||
         writeText(options.programSvg, drawFlame(inspect::buildFlame(manifest, kProgram), manifest.model));
}

/// The run file that IR or a trainer carries; null where it has none.
json parseRun(const std::string &text) {
  json run = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return run.is_discarded() ? json() : run;
}

//===----------------------------------------------------------------------===//
// Run files and IR
//===----------------------------------------------------------------------===//

json toJson(const frontend::ParameterSummary &summary, bool everyTensor) {
  json blocks = json::array(), tensors = json::array();
  for (const frontend::BlockCount &block : summary.blocks)
    blocks.push_back({{"block", block.block},
                      {"instances", block.instances},
                      {"total", block.count.total},
                      {"activated", block.count.activated},
                      {"bias", block.count.buffers}});
  json result = {{"total", summary.model.total},          {"activated", summary.model.activated},
                 {"bias", summary.model.buffers},         {"mtp", summary.auxiliary.total},
                 {"mtp_bias", summary.auxiliary.buffers}, {"blocks", blocks}};
  for (const frontend::ParameterInfo &parameter : summary.parameters)
    tensors.push_back({{"name", parameter.name},
                       {"shape", parameter.shape},
                       {"activated", parameter.activated},
                       {"buffer", parameter.isBuffer},
                       {"mtp", parameter.isAuxiliary},
                       {"block", parameter.block}});
  if (everyTensor)
    result["tensors"] = tensors;
  return result;
}

/// What the frontend knows of a model.
struct ModelFacts {
  std::string name, type;
  int64_t microBatches, batch, sequence, vocab, ranks;
  frontend::ParameterSummary summary;

  static FailureOr<ModelFacts> get(ModuleOp module) {
    FailureOr<frontend::ParameterSummary> summary = frontend::countParameters(module);
    if (failed(summary))
      return failure();
    auto getText = [](StringAttr value) { return value ? value.str() : std::string(); };
    return ModelFacts{getText(nn::getAttr<nn::NNDialect::ModelNameAttrHelper>(module)),
                      getText(nn::getAttr<nn::NNDialect::ModelTypeAttrHelper>(module)),
                      nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 0),
                      nn::getIntOr<nn::NNDialect::BatchAttrHelper>(module, 0),
                      nn::getIntOr<nn::NNDialect::SeqAttrHelper>(module, 0),
                      nn::getIntOr<nn::NNDialect::VocabAttrHelper>(module, 0),
                      nn::getIntOr<nn::NNDialect::ReplicasAttrHelper>(module, 1),
                      std::move(*summary)};
  }

  json toJson(bool everyTensor) const {
    json result = driver::toJson(summary, everyTensor);
    result["model"] = name;
    result["model_type"] = type;
    result["step"] = inspect::stepToJson(microBatches, batch, sequence, ranks);
    result["vocab"] = vocab;
    return result;
  }

  void print(bool everyTensor) const {
    using inspect::group;
    auto print = [](StringRef field, const std::string &text) {
      llvm::outs() << inspect::formatField(field.str(), text);
    };
    print("model", name + " (" + type + ")");
    print("step", inspect::formatStep(microBatches, batch, sequence, ranks));
    print("vocabulary", group(vocab));
    print("parameters", group(summary.model.total) + ", activated " + group(summary.model.activated));
    if (summary.model.buffers)
      print("bias", group(summary.model.buffers));
    if (summary.auxiliary.total)
      print("mtp", group(summary.auxiliary.total) + ", bias " + group(summary.auxiliary.buffers));
    llvm::outs() << "\n" << frontend::formatSummary(summary);
    if (everyTensor)
      for (const frontend::ParameterInfo &parameter : summary.parameters)
        llvm::outs() << inspect::formatTensor(parameter.name, parameter.shape, parameter.isBuffer);
  }
};

/// The manifest of a model that is compiled as far as everything has an address; nothing after an error.
std::optional<abi::Manifest> planPrograms(Compilation &compilation) {
  if (!compilation.runUntil("memory"))
    return std::nullopt;
  llvm::Expected<abi::Manifest> manifest = linker::buildManifest(compilation.getModule());
  if (!manifest) {
    fail(llvm::toString(manifest.takeError()));
    return std::nullopt;
  }
  return std::move(*manifest);
}

int inspectModel(const std::string &path, const InspectOptions &options) {
  CompileOptions compileOptions;
  compileOptions.assignments = options.assignments;
  Compilation compilation(compileOptions);
  if (!compilation.load(path) || !compilation.runUntil("frontend"))
    return 1;
  // Later phases have no graph, only programs.
  bool hasGraph = !compilation.hasPassed("schedule");
  json document;
  auto runAttribute = nn::getAttr<nn::NNDialect::RunAttrHelper>(compilation.getModule());
  std::string run = runAttribute ? runAttribute.str() : std::string();
  if (hasGraph) {
    FailureOr<ModelFacts> facts = ModelFacts::get(compilation.getModule());
    if (failed(facts))
      return 1;
    if (options.json)
      document = facts->toJson(options.report.tensors);
    else
      facts->print(options.report.tensors);
  }
  if (!hasGraph || options.needsPrograms()) {
    std::optional<abi::Manifest> manifest = planPrograms(compilation);
    if (!manifest || !draw(*manifest, options, compilation.getInputs()))
      return 1;
    inspect::ReportOptions report = options.report;
    report.tensors &= !hasGraph;
    if (options.json)
      document["compiled"] = inspect::toJson(*manifest, report);
    else
      llvm::outs() << (hasGraph ? "" : inspect::formatParameters(*manifest, report))
                   << inspect::formatPrograms(*manifest, report);
  }
  if (options.json && options.run)
    document["run"] = parseRun(run);
  if (options.json)
    llvm::outs() << document.dump(1) << "\n";
  else if (options.run)
    printRun(run);
  return 0;
}

//===----------------------------------------------------------------------===//
// Trainers
//===----------------------------------------------------------------------===//

int inspectTrainer(const std::string &path, const InspectOptions &options) {
  std::optional<abi::Payload> payload = abi::readPayload(path);
  if (!payload) {
    fail(message<ErrorId::InputUnknown>(path));
    return 1;
  }
  abi::Manifest manifest = abi::Manifest::fromJson(payload->manifest);
  if (!draw(manifest, options, path))
    return 1;
  if (options.json) {
    json document = inspect::toJson(manifest, options.report);
    document["object_bytes"] = payload->object.size();
    document["manifest_bytes"] = payload->manifest.size();
    if (options.run)
      document["run"] = parseRun(manifest.run);
    llvm::outs() << document.dump(1) << "\n";
    return 0;
  }
  auto print = [](StringRef field, const std::string &text) {
    llvm::outs() << inspect::formatField(field.str(), text);
  };
  print("model", manifest.model + ", build " + manifest.buildId);
  print("step", inspect::formatStep(manifest.microBatches, manifest.batch, manifest.seq, manifest.mesh.dp));
  print("work", llvm::formatv("{0:F3} Gflop a step", manifest.flopsPerStep * 1e-9).str());
  print("vocabulary", inspect::group(manifest.vocab));
  print("code", inspect::count(int64_t(payload->object.size()), "byte") + ", " +
                    inspect::count(int64_t(manifest.functions.size()), "function"));
  llvm::outs() << inspect::formatParameters(manifest, options.report)
               << inspect::formatPrograms(manifest, options.report);
  if (options.run)
    printRun(manifest.run);
  return 0;
}

} // namespace

void printRun(const std::string &run) { llvm::outs() << "\n" << parseRun(run).dump(2) << "\n"; }

int inspectFile(const std::string &path, const InspectOptions &options) {
  StringRef extension = llvm::sys::path::extension(path);
  // Of what is not there, the compilation says so.
  if (extension == ".json" || extension == ".mlir" || !llvm::sys::fs::exists(path))
    return inspectModel(path, options);
  if (!options.assignments.empty()) {
    fail(message<ErrorId::AssignmentOfCompiled>(options.assignments.front(), path));
    return 1;
  }
  if (isCheckpoint(path))
    return inspectCheckpoint(path, options);
  return inspectTrainer(path, options);
}

int inspect(const Options &options) {
  InspectOptions inspectOptions;
  inspectOptions.report = {options.tensors, options.memory, options.program, options.operations};
  inspectOptions.json = options.json;
  inspectOptions.run = options.run;
  inspectOptions.assignments = options.assignments;
  inspectOptions.svg = options.svg;
  inspectOptions.programSvg = options.programSvg;
  return inspectFile(options.input, inspectOptions);
}

} // namespace contraflow::driver
