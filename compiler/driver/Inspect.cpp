//===- Inspect.cpp - contraflow inspect -----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Commands.h"
#include "compiler/driver/Inspect.h"

#include "compiler/driver/Phases.h"
#include "compiler/frontend/Parameters.h"
#include "runtime/abi/Manifest.h"
#include "runtime/abi/Payload.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

namespace contraflow::driver {
namespace {

/// 1234567 as "1,234,567".
std::string group(int64_t number) {
  std::string digits = std::to_string(number);
  for (int64_t at = int64_t(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    digits.insert(at, ",");
  return digits;
}

std::string getShapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

//===----------------------------------------------------------------------===//
// Run files
//===----------------------------------------------------------------------===//

nlohmann::json toJson(const frontend::ParameterCount &count) {
  return {{"total", count.total}, {"activated", count.activated}, {"buffers", count.buffers}};
}

int inspectRunFile(const std::string &path, const InspectOptions &options) {
  CompileOptions compileOptions;
  compileOptions.stopAfter = "frontend";
  Compilation compilation(compileOptions);
  if (!compilation.load(path) || !compilation.run())
    return 1;
  mlir::FailureOr<frontend::ParameterSummary> summary = frontend::countParameters(compilation.getModule());
  if (mlir::failed(summary))
    return 1;
  if (options.json) {
    nlohmann::json blocks = nlohmann::json::array(), tensors = nlohmann::json::array();
    for (const frontend::BlockCount &block : summary->blocks) {
      nlohmann::json entry = toJson(block.count);
      entry["block"] = block.block;
      entry["instances"] = block.instances;
      blocks.push_back(entry);
    }
    for (const frontend::ParameterInfo &parameter : summary->parameters)
      tensors.push_back({{"name", parameter.name},
                         {"shape", parameter.shape},
                         {"elements", parameter.elements},
                         {"activated", parameter.activated},
                         {"buffer", parameter.isBuffer},
                         {"auxiliary", parameter.isAuxiliary},
                         {"block", parameter.block}});
    nlohmann::json json = {{"parameters", toJson(summary->model)},
                           {"auxiliary", toJson(summary->auxiliary)},
                           {"blocks", blocks},
                           {"tensors", tensors}};
    llvm::outs() << json.dump(1) << "\n";
    return 0;
  }
  llvm::outs() << frontend::formatSummary(*summary);
  if (options.tensors)
    for (const frontend::ParameterInfo &parameter : summary->parameters)
      llvm::outs() << llvm::formatv("{0,-72} {1,20}{2}\n", parameter.name, getShapeText(parameter.shape),
                                    parameter.isBuffer ? "  buffer" : "");
  return 0;
}

//===----------------------------------------------------------------------===//
// Trainers
//===----------------------------------------------------------------------===//

void printMemory(const abi::Manifest &manifest, bool everything) {
  struct Line {
    int64_t offset, bytes;
    std::string name;
  };
  std::vector<Line> lines;
  for (const auto &[name, region] : manifest.regions)
    lines.push_back({region.offset, region.bytes, name});
  if (everything) {
    int64_t ids = manifest.batch * manifest.seq * 4;
    if (manifest.scalars >= 0)
      lines.push_back({manifest.scalars, 64, "scalars"});
    for (auto [offset, bytes, name] : {std::tuple{manifest.inputs.tokens, ids * manifest.microBatches, "tokens"},
                                       std::tuple{manifest.inputs.starts, ids * manifest.microBatches, "starts"},
                                       std::tuple{manifest.inputs.generateTokens, manifest.seq * 4, "generate tokens"},
                                       std::tuple{manifest.inputs.generateStarts, manifest.seq * 4, "generate starts"}})
      if (offset >= 0)
        lines.push_back({offset, bytes, name});
    for (const abi::Loss &loss : manifest.losses)
      lines.push_back({loss.offset, 4, "loss " + loss.name});
    for (const abi::Load &load : manifest.loads)
      lines.push_back({load.offset, load.experts * 4, "load " + load.name});
    for (const abi::Output &output : manifest.outputs) {
      int64_t bytes = 4;
      for (int64_t size : output.shape)
        bytes *= size;
      lines.push_back({output.offset, bytes, output.program + " output " + output.name});
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line &a, const Line &b) { return a.offset < b.offset; });
  for (const Line &line : lines)
    llvm::outs() << llvm::formatv("  {0,18} {1,18}  {2}\n", group(line.offset), group(line.bytes), line.name);
  llvm::outs() << llvm::formatv("  {0,18} {1,18}  arena, in bytes\n", 0, group(manifest.arenaBytes));
}

void printParameters(const abi::Manifest &manifest) {
  struct Count {
    int64_t tensors = 0, elements = 0, buffers = 0;
  };
  llvm::MapVector<llvm::StringRef, Count> blocks;
  Count all;
  for (const abi::Parameter &parameter : manifest.parameters)
    for (Count *count : {&blocks[parameter.block], &all}) {
      ++count->tensors;
      (parameter.trainable ? count->elements : count->buffers) += parameter.elements();
    }
  auto print = [](llvm::StringRef name, const Count &count) {
    llvm::outs() << llvm::formatv("  {0,-40} {1,8} tensors {2,20} parameters", name, count.tensors,
                                  group(count.elements));
    if (count.buffers)
      llvm::outs() << " + " << group(count.buffers) << " of buffers";
    llvm::outs() << "\n";
  };
  for (auto &[name, count] : blocks)
    print(name, count);
  print("all", all);
}

void printProgram(const abi::Manifest &manifest) {
  for (const auto &[name, rows] : manifest.programs) {
    llvm::outs() << "program " << name << "\n";
    for (const abi::Row &row : rows)
      llvm::outs() << llvm::formatv("  {0,-16} {1,4}  {2,-32} {3}\n", row.direction,
                                    row.microBatch < 0 ? "" : std::to_string(row.microBatch), row.layer,
                                    manifest.functions[row.function]);
  }
}

nlohmann::json describe(const abi::Manifest &manifest, const abi::Payload &payload) {
  nlohmann::json json = nlohmann::json::parse(payload.manifest);
  json["object_bytes"] = payload.object.size();
  json["manifest_bytes"] = payload.manifest.size();
  int64_t total = 0, buffers = 0;
  for (const abi::Parameter &parameter : manifest.parameters)
    (parameter.trainable ? total : buffers) += parameter.elements();
  json["parameter_count"] = total;
  json["buffer_count"] = buffers;
  return json;
}

int inspectTrainer(const std::string &path, const InspectOptions &options) {
  std::optional<abi::Payload> payload = abi::readPayload(path);
  if (!payload)
    return fail("'" + path + "' is neither a run file (.json) nor a trainer"), 1;
  abi::Manifest manifest = abi::Manifest::fromJson(payload->manifest);
  if (options.json) {
    llvm::outs() << describe(manifest, *payload).dump(1) << "\n";
    return 0;
  }
  llvm::outs() << "model       " << manifest.model << ", build " << manifest.buildId << "\n";
  llvm::outs() << "step        " << manifest.microBatches * manifest.batch << " sequences of " << manifest.seq
               << " tokens, " << manifest.microBatches
               << (manifest.microBatches == 1 ? " micro-batch, " : " micro-batches, ")
               << llvm::formatv("{0:F3}", manifest.flopsPerStep * 1e-9) << " Gflop\n";
  llvm::outs() << "code        " << group(payload->object.size()) << " bytes, " << manifest.functions.size()
               << " functions\n";
  llvm::outs() << "programs    ";
  const char *separator = "";
  for (const auto &[name, rows] : manifest.programs) {
    llvm::outs() << separator << name << " " << rows.size() << " rows";
    separator = ", ";
  }
  llvm::outs() << "\nparameters\n";
  printParameters(manifest);
  if (options.tensors)
    for (const abi::Parameter &parameter : manifest.parameters)
      llvm::outs() << llvm::formatv("  {0,-72} {1,20}{2}\n", parameter.name, getShapeText(parameter.shape),
                                    parameter.trainable ? "" : "  buffer");
  llvm::outs() << "memory\n";
  printMemory(manifest, options.memory);
  if (options.program)
    printProgram(manifest);
  return 0;
}

} // namespace

int inspect(const Options &commandLine) {
  const std::string &path = commandLine.input;
  InspectOptions options = {commandLine.json, commandLine.tensors, commandLine.memory, commandLine.program};
  if (!llvm::sys::fs::exists(path))
    return fail("there is no file '" + path + "'"), 1;
  if (llvm::sys::path::extension(path) == ".json")
    return inspectRunFile(path, options);
  return inspectTrainer(path, options);
}

} // namespace contraflow::driver
