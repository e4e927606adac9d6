//===- Inspect.cpp - contraflow inspect -----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Inspect.h"

#include "compiler/driver/Commands.h"
#include "compiler/driver/InspectCheckpoint.h"
#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"
#include "compiler/frontend/Parameters.h"
#include "compiler/linker/ManifestWriter.h"
#include "runtime/abi/Abi.h"
#include "runtime/abi/Manifest.h"
#include "runtime/abi/Payload.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

using namespace mlir;
using nlohmann::json;

namespace contraflow::driver {
namespace {

/// 1234567 as "1,234,567".
std::string group(int64_t number) { return llvm::formatv("{0:N}", number).str(); }

/// "1 sequence", "2 sequences".
std::string count(int64_t number, StringRef noun) {
  return (group(number) + " " + noun + (number == 1 ? "" : "s")).str();
}

std::string getShapeText(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

void printTensor(StringRef name, ArrayRef<int64_t> shape, bool isBuffer) {
  llvm::outs() << llvm::formatv("  {0,-72} {1,20}{2}\n", name, getShapeText(shape),
                                isBuffer ? "  buffer" : "");
}

void printField(StringRef name, const std::string &text) {
  llvm::outs() << llvm::formatv("{0,-12} {1}\n", name, text);
}

/// The run file that IR or a trainer carries; null where it has none.
json parseRun(const std::string &text) {
  json run = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return run.is_discarded() ? json() : run;
}

/// As a run file that gives the same trainer.
void printRun(const std::string &text) { llvm::outs() << "\n" << parseRun(text).dump(2) << "\n"; }

/// What a step works on.
struct StepSize {
  int64_t microBatches, batch, sequence;

  int64_t getTokens() const { return microBatches * batch * sequence; }
  std::string str() const {
    return count(getTokens(), "token") + ": " + group(microBatches) +
           (microBatches == 1 ? " micro-batch of " : " micro-batches of ") + count(batch, "sequence") +
           " of " + count(sequence, "token");
  }
  json toJson() const {
    return {{"tokens", getTokens()},
            {"micro_batches", microBatches},
            {"sequences", batch},
            {"sequence", sequence}};
  }
};

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

int inspectModel(const std::string &path, const InspectOptions &options) {
  CompileOptions compileOptions;
  compileOptions.stopAfter = "frontend";
  compileOptions.assignments = options.assignments;
  Compilation compilation(compileOptions);
  bool isRunFile = llvm::sys::path::extension(path) != ".mlir";
  if (!compilation.load(path) || (isRunFile && !compilation.run()))
    return 1;
  ModuleOp module = compilation.getModule();
  FailureOr<frontend::ParameterSummary> summary = frontend::countParameters(module);
  if (failed(summary))
    return 1;
  auto getText = [](StringAttr value) { return value ? value.str() : std::string(); };
  std::string name = getText(nn::getAttr<nn::NNDialect::ModelNameAttrHelper>(module));
  std::string type = getText(nn::getAttr<nn::NNDialect::ModelTypeAttrHelper>(module));
  std::string run = getText(nn::getAttr<nn::NNDialect::RunAttrHelper>(module));
  int64_t vocab = nn::getIntOr<nn::NNDialect::VocabAttrHelper>(module, 0);
  StepSize step = {nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 0),
                   nn::getIntOr<nn::NNDialect::BatchAttrHelper>(module, 0),
                   nn::getIntOr<nn::NNDialect::SeqAttrHelper>(module, 0)};
  if (options.json) {
    json result = toJson(*summary, options.tensors);
    result["model"] = name;
    result["model_type"] = type;
    result["step"] = step.toJson();
    result["vocab"] = vocab;
    if (options.run)
      result["run"] = parseRun(run);
    llvm::outs() << result.dump(1) << "\n";
    return 0;
  }
  printField("model", name + " (" + type + ")");
  printField("step", step.str());
  printField("vocabulary", group(vocab));
  printField("parameters", group(summary->model.total) + ", activated " + group(summary->model.activated));
  if (summary->model.buffers)
    printField("bias", group(summary->model.buffers));
  if (summary->auxiliary.total)
    printField("mtp", group(summary->auxiliary.total) + ", bias " + group(summary->auxiliary.buffers));
  llvm::outs() << "\n" << frontend::formatSummary(*summary);
  if (options.tensors)
    for (const frontend::ParameterInfo &parameter : summary->parameters)
      printTensor(parameter.name, parameter.shape, parameter.isBuffer);
  if (options.run)
    printRun(run);
  return 0;
}

//===----------------------------------------------------------------------===//
// Trainers
//===----------------------------------------------------------------------===//

/// Parameters of all instances of a kind of block.
struct BlockSize {
  int64_t instances = 0;
  int64_t elements = 0;
  int64_t buffers = 0;
};

/// By kind of block, in the order of the manifest.
llvm::MapVector<StringRef, BlockSize> getBlocks(const abi::Manifest &manifest) {
  llvm::MapVector<StringRef, BlockSize> blocks;
  llvm::StringSet<> instances;
  for (const abi::Parameter &parameter : manifest.parameters) {
    BlockSize &size = blocks[parameter.block];
    (parameter.trainable ? size.elements : size.buffers) += parameter.elements();
  }
  const abi::Program *train = manifest.findProgram("train");
  for (const abi::Row &row : train ? *train : abi::Program())
    if (auto found = blocks.find(row.block); found != blocks.end())
      found->second.instances += instances.insert(row.block + " " + row.layer).second;
  return blocks;
}

/// Rows of a program by direction, in the order of first appearance.
llvm::MapVector<StringRef, int64_t> countRows(const abi::Program &program) {
  llvm::MapVector<StringRef, int64_t> counts;
  for (const abi::Row &row : program)
    ++counts[row.direction];
  return counts;
}

/// An address range of the arena with a name.
struct Range {
  int64_t offset;
  int64_t bytes;
  std::string name;
};

std::vector<Range> getRanges(const abi::Manifest &manifest, bool everything) {
  std::vector<Range> ranges;
  auto add = [&](int64_t offset, int64_t bytes, const std::string &name) {
    if (offset >= 0)
      ranges.push_back({offset, bytes, name});
  };
  for (const auto &[name, region] : manifest.regions)
    add(region.offset, region.bytes, name);
  if (everything) {
    int64_t step = manifest.microBatches * manifest.batch * manifest.seq * 4;
    add(manifest.scalars, CF_SCALAR_COUNT * 4, "  scalars");
    add(manifest.inputs.tokens, step, "  tokens");
    add(manifest.inputs.starts, step, "  starts");
    add(manifest.inputs.generateTokens, manifest.seq * 4, "  generate: tokens");
    add(manifest.inputs.generateStarts, manifest.seq * 4, "  generate: starts");
    for (const abi::Loss &loss : manifest.losses)
      add(loss.offset, 4, "  loss " + loss.name);
    for (const abi::Load &load : manifest.loads)
      add(load.offset, load.experts * 4, "  load " + load.name);
    for (const abi::Output &output : manifest.outputs) {
      int64_t bytes = 4;
      for (int64_t size : output.shape)
        bytes *= size;
      add(output.offset, bytes, "  " + output.program + ": " + output.name);
    }
  }
  // What holds others comes first.
  llvm::stable_sort(ranges, [](const Range &a, const Range &b) {
    return std::pair(a.offset, -a.bytes) < std::pair(b.offset, -b.bytes);
  });
  return ranges;
}

/// How far the plan is from the bound that no plan can pass.
std::string getRatioText(const abi::Manifest &manifest) {
  return llvm::formatv("{0:F4}",
                       double(manifest.arenaBytes) / double(std::max<int64_t>(manifest.maxLiveBytes, 1)))
      .str();
}

void printMemory(const abi::Manifest &manifest, bool everything) {
  llvm::outs() << llvm::formatv("\n{0,20} {1,20} {2,7}  memory\n", "offset", "bytes", "share");
  auto print = [&](StringRef name, int64_t offset, int64_t bytes) {
    double share = manifest.arenaBytes ? 100.0 * double(bytes) / double(manifest.arenaBytes) : 0;
    llvm::outs() << llvm::formatv("{0,20} {1,20} {2,6:F1}%  {3}\n", group(offset), group(bytes), share, name);
  };
  for (const Range &range : getRanges(manifest, everything))
    print(range.name, range.offset, range.bytes);
  print("arena", 0, manifest.arenaBytes);
  print(llvm::formatv("most live bytes of a row; the arena is {0} times that", getRatioText(manifest)).str(),
        0, manifest.maxLiveBytes);
  llvm::outs() << llvm::formatv("{0,20} {1,20} {0,7}  scratch of each thread\n", "",
                                group(manifest.scratchBytesPerWorker));
}

void printParameters(const abi::Manifest &manifest, bool everyTensor) {
  auto print = [](StringRef name, const BlockSize &size) {
    llvm::outs() << llvm::formatv("{0,-40} {1,9} {2,20} {3,12}\n", name,
                                  size.instances ? group(size.instances) : "", group(size.elements),
                                  group(size.buffers));
  };
  llvm::outs() << llvm::formatv("\n{0,-40} {1,9} {2,20} {3,12}\n", "block", "instances", "parameters",
                                "buffers");
  BlockSize all;
  for (auto &[name, size] : getBlocks(manifest)) {
    print(name.empty() ? "(shared)" : name, size);
    all.elements += size.elements;
    all.buffers += size.buffers;
  }
  print("all", all);
  if (everyTensor)
    for (const abi::Parameter &parameter : manifest.parameters)
      printTensor(parameter.name, parameter.shape, !parameter.trainable);
}

void printPrograms(const abi::Manifest &manifest, bool everyRow) {
  llvm::outs() << "\nprogram\n";
  for (const auto &[name, rows] : manifest.programs) {
    llvm::outs() << llvm::formatv("{0,-12} {1,8} rows: ", name, group(rows.size()));
    llvm::ListSeparator separator;
    for (auto &[direction, number] : countRows(rows))
      llvm::outs() << separator << direction << " " << group(number);
    llvm::outs() << "\n";
    if (!everyRow)
      continue;
    for (auto [i, row] : llvm::enumerate(rows))
      llvm::outs() << llvm::formatv("  {0,6} {1,-16} {2,4}  {3,-28} {4}\n", i, row.direction,
                                    row.microBatch < 0 ? "" : std::to_string(row.microBatch), row.layer,
                                    manifest.functions[row.function]);
  }
}

json toJson(const abi::Manifest &manifest, const abi::Payload &payload, const InspectOptions &options) {
  json blocks = json::array(), regions = json::object(), programs = json::object(),
       directions = json::object();
  int64_t elements = 0, buffers = 0;
  for (auto &[name, size] : getBlocks(manifest)) {
    blocks.push_back({{"block", name.str()},
                      {"instances", size.instances},
                      {"parameters", size.elements},
                      {"buffers", size.buffers}});
    elements += size.elements;
    buffers += size.buffers;
  }
  for (const auto &[name, region] : manifest.regions)
    regions[name] = {{"offset", region.offset}, {"bytes", region.bytes}};
  for (const auto &[name, rows] : manifest.programs) {
    programs[name] = rows.size();
    for (auto &[direction, number] : countRows(rows))
      directions[name][direction.str()] = number;
  }
  json result = {{"model", manifest.model},
                 {"build_id", manifest.buildId},
                 {"isa", manifest.isa},
                 {"step", StepSize{manifest.microBatches, manifest.batch, manifest.seq}.toJson()},
                 {"vocab", manifest.vocab},
                 {"flops_per_step", manifest.flopsPerStep},
                 {"parameters", elements},
                 {"buffers", buffers},
                 {"blocks", blocks},
                 {"arena_bytes", manifest.arenaBytes},
                 {"max_live_bytes", manifest.maxLiveBytes},
                 {"scratch_bytes_per_worker", manifest.scratchBytesPerWorker},
                 {"regions", regions},
                 {"programs", programs},
                 {"directions", directions},
                 {"functions", manifest.functions.size()},
                 {"object_bytes", payload.object.size()},
                 {"manifest_bytes", payload.manifest.size()}};
  // What lists everything is the manifest itself.
  json whole = options.tensors || options.program || options.memory ? json::parse(payload.manifest) : json();
  if (options.tensors)
    result["tensors"] = whole["parameters"];
  if (options.program)
    result["rows"] = whole["programs"];
  if (options.run)
    result["run"] = parseRun(manifest.run);
  if (options.memory)
    for (const Range &range : getRanges(manifest, /*everything=*/true))
      result["memory"].push_back(
          {{"name", StringRef(range.name).ltrim().str()}, {"offset", range.offset}, {"bytes", range.bytes}});
  return result;
}

int inspectTrainer(const std::string &path, const InspectOptions &options) {
  std::optional<abi::Payload> payload = abi::readPayload(path);
  if (!payload)
    return fail(message<ErrorId::InputUnknown>(path)), 1;
  abi::Manifest manifest = abi::Manifest::fromJson(payload->manifest);
  if (options.json) {
    llvm::outs() << toJson(manifest, *payload, options).dump(1) << "\n";
    return 0;
  }
  printField("model", manifest.model + ", build " + manifest.buildId);
  printField("step", StepSize{manifest.microBatches, manifest.batch, manifest.seq}.str());
  printField("work", llvm::formatv("{0:F3} Gflop a step", manifest.flopsPerStep * 1e-9).str());
  printField("vocabulary", group(manifest.vocab));
  printField("code",
             count(payload->object.size(), "byte") + ", " + count(manifest.functions.size(), "function"));
  printParameters(manifest, options.tensors);
  printMemory(manifest, options.memory);
  printPrograms(manifest, options.program);
  if (options.run)
    printRun(manifest.run);
  return 0;
}

} // namespace

int inspectFile(const std::string &path, const InspectOptions &options) {
  StringRef extension = llvm::sys::path::extension(path);
  // Of what is not there, the compilation says so.
  if (extension == ".json" || extension == ".mlir" || !llvm::sys::fs::exists(path))
    return inspectModel(path, options);
  if (!options.assignments.empty())
    return fail(message<ErrorId::AssignmentOfIr>(options.assignments.front(), path)), 1;
  if (isCheckpoint(path))
    return inspectCheckpoint(path, options);
  return inspectTrainer(path, options);
}

int inspect(const Options &options) {
  return inspectFile(options.input, {options.json, options.tensors, options.memory, options.program,
                                     options.run, options.assignments});
}

} // namespace contraflow::driver
