//===- Report.cpp - what a manifest says, as text and as JSON -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Report.h"

#include "compiler/inspect/Costs.h"
#include "compiler/inspect/MemoryMap.h"
#include "compiler/inspect/Text.h"
#include "runtime/abi/Abi.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

#include <nlohmann/json.hpp>

using llvm::StringRef;
using nlohmann::json;

namespace contraflow::inspect {

std::string formatStep(int64_t microBatches, int64_t batch, int64_t sequence, int64_t ranks) {
  std::string each = ranks > 1 ? " on " + group(ranks) + " ranks, each " : ": ";
  return count(ranks * microBatches * batch * sequence, "token") + each + group(microBatches) +
         (microBatches == 1 ? " micro-batch of " : " micro-batches of ") + count(batch, "sequence") + " of " +
         count(sequence, "token");
}

json stepToJson(int64_t microBatches, int64_t batch, int64_t sequence, int64_t ranks) {
  return {{"tokens", ranks * microBatches * batch * sequence},
          {"ranks", ranks},
          {"micro_batches", microBatches},
          {"sequences", batch},
          {"sequence", sequence}};
}

std::string formatField(const std::string &name, const std::string &text) {
  return llvm::formatv("{0,-12} {1}\n", name, text);
}

std::string formatTensor(const std::string &name, const std::vector<int64_t> &shape, bool isBuffer) {
  std::string sizes;
  for (int64_t size : shape)
    sizes += (sizes.empty() ? "" : " x ") + std::to_string(size);
  return llvm::formatv("  {0,-72} {1,20}{2}\n", name, sizes, isBuffer ? "  buffer" : "");
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

namespace {

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
  static const abi::Program kNone;
  const abi::Program *train = manifest.findProgram("train");
  for (const abi::Row &row : train ? *train : kNone)
    if (auto found = blocks.find(row.block); found != blocks.end())
      found->second.instances += instances.insert(row.block + " " + row.layer).second;
  return blocks;
}

} // namespace

std::string formatParameters(const abi::Manifest &manifest, const ReportOptions &options) {
  std::string text;
  auto print = [&](StringRef name, const std::string &instances, const std::string &parameters,
                   const std::string &buffers) {
    text += llvm::formatv("{0,-40} {1,9} {2,20} {3,12}\n", name, instances, parameters, buffers);
  };
  text += "\n";
  print("block", "instances", "parameters", "buffers");
  BlockSize all;
  for (auto &[name, size] : getBlocks(manifest)) {
    print(name.empty() ? "(shared)" : name, size.instances ? group(size.instances) : "", group(size.elements),
          group(size.buffers));
    all.elements += size.elements;
    all.buffers += size.buffers;
  }
  print("all", "", group(all.elements), group(all.buffers));
  if (options.tensors)
    for (const abi::Parameter &parameter : manifest.parameters)
      text += formatTensor(parameter.name, parameter.shape, !parameter.trainable);
  return text;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {

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
    for (const abi::Metric &metric : manifest.metrics)
      add(metric.offset, metric.count * 4, "  metric " + metric.name);
    for (const abi::RandomKeys &keys : manifest.randomKeys)
      add(keys.offset, manifest.microBatches * CF_RANDOM_KEY_WORDS * 4, "  random keys " + keys.name);
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
double getRatio(const abi::Manifest &manifest) {
  return double(manifest.arenaBytes) / double(std::max<int64_t>(manifest.maxLiveBytes, 1));
}

std::string formatMemory(const abi::Manifest &manifest, bool everything) {
  std::string text = llvm::formatv("\n{0,20} {1,20} {2,7}  memory\n", "offset", "bytes", "share");
  auto print = [&](const std::string &name, int64_t offset, int64_t bytes) {
    text += llvm::formatv("{0,20} {1,20} {2,6:F1}%  {3}\n", group(offset), group(bytes),
                          getPercent(double(bytes), double(manifest.arenaBytes)), name);
  };
  for (const Range &range : getRanges(manifest, everything))
    print(range.name, range.offset, range.bytes);
  print("arena", 0, manifest.arenaBytes);
  print(llvm::formatv("most live bytes of a row; the arena is {0:F4} times that", getRatio(manifest)), 0,
        manifest.maxLiveBytes);
  // Known when there is code.
  if (manifest.scratchBytesPerWorker)
    text += llvm::formatv("{0,20} {1,20} {0,7}  scratch of each thread\n", "",
                          group(manifest.scratchBytesPerWorker));
  if (everything)
    for (const auto &[name, rows] : manifest.programs)
      text += formatMemoryMap(MemoryMap(manifest, name));
  return text;
}

json memoryToJson(const abi::Manifest &manifest, const std::string &program) {
  MemoryMap map(manifest, program);
  json buffers = json::array();
  for (const abi::Buffer &buffer : map.getBuffers())
    buffers.push_back({{"name", buffer.name},
                       {"kind", buffer.kind},
                       {"offset", buffer.offset},
                       {"bytes", buffer.bytes},
                       {"first", buffer.first},
                       {"last", buffer.last},
                       {"persistent", buffer.persistent}});
  return {{"rows", map.getNumRows()},
          {"peak_row", map.getPeakRow()},
          {"live_bytes", map.getPeak()},
          {"persistent_bytes", map.getKeptEnd()},
          {"buffers", buffers}};
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// Rows of a program by direction, in the order of first appearance.
llvm::MapVector<StringRef, int64_t> countRows(const abi::Program &program) {
  llvm::MapVector<StringRef, int64_t> counts;
  for (const abi::Row &row : program)
    ++counts[row.direction];
  return counts;
}

/// What one call of each function costs, by name.
llvm::StringMap<Cost> getCallCosts(const abi::Manifest &manifest, const std::string &program) {
  llvm::StringMap<Cost> costs;
  for (const FunctionCost &function : getCosts(manifest, program))
    costs[function.function] = function.cost;
  return costs;
}

std::string formatRows(const abi::Manifest &manifest, const std::string &program) {
  llvm::StringMap<Cost> costs = getCallCosts(manifest, program);
  std::string text = llvm::formatv("  {0,6} {1,-16} {2,4}  {3,-32} {4,-40} {5,12} {6,12}\n", "row",
                                   "direction", "mb", "layer", "function", "Mflop", "MB");
  const abi::Program &rows = *manifest.findProgram(program);
  for (auto [index, row] : llvm::enumerate(rows)) {
    std::string function = manifest.describe(rows, row);
    const Cost &cost = costs[function];
    text += llvm::formatv("  {0,6} {1,-16} {2,4}  {3,-32} {4,-40} {5,12:F3} {6,12:F3}\n", index,
                          row.direction, row.microBatch < 0 ? "" : std::to_string(row.microBatch), row.layer,
                          function, cost.flops * 1e-6, double(cost.getBytes()) * 1e-6);
  }
  return text;
}

/// Below it a double holds every integer.
constexpr double kMostExact = 0x1p53;

json costToJson(const Cost &cost) {
  // As an integer where it is one for certain.
  json flops = cost.flops;
  if (cost.flops < kMostExact)
    flops = int64_t(cost.flops);
  return {{"flops", flops}, {"bytes_read", cost.bytesRead}, {"bytes_written", cost.bytesWritten}};
}

json rowsToJson(const abi::Manifest &manifest, const std::string &program) {
  llvm::StringMap<Cost> costs = getCallCosts(manifest, program);
  json rows = json::array();
  const abi::Program &all = *manifest.findProgram(program);
  for (const abi::Row &row : all) {
    std::string function = manifest.describe(all, row);
    json entry = costToJson(costs[function]);
    entry.update({{"function", function},
                  {"bases", row.bases},
                  {"micro_batch", row.microBatch},
                  {"block", row.block},
                  {"layer", row.layer},
                  {"direction", row.direction}});
    rows.push_back(std::move(entry));
  }
  return rows;
}

json operationToJson(const OperationCost &operation, bool withName) {
  json entry = costToJson(operation.cost);
  entry.update({{"op", operation.op}, {"count", operation.count}});
  if (withName)
    entry["name"] = operation.name;
  return entry;
}

json operationsToJson(const abi::Manifest &manifest, const std::string &program) {
  std::vector<FunctionCost> costs = getCosts(manifest, program);
  json kinds = json::array(), functions = json::array();
  for (const OperationCost &kind : sumByKind(costs))
    kinds.push_back(operationToJson(kind, /*withName=*/false));
  for (const FunctionCost &function : costs) {
    json operations = json::array();
    for (const OperationCost &operation : function.operations)
      operations.push_back(operationToJson(operation, /*withName=*/true));
    json entry = costToJson(function.cost);
    entry.update({{"function", function.function}, {"calls", function.calls}, {"operations", operations}});
    functions.push_back(std::move(entry));
  }
  json result = costToJson(sum(costs));
  result.update({{"kinds", kinds}, {"functions", functions}});
  return result;
}

} // namespace

std::string formatPrograms(const abi::Manifest &manifest, const ReportOptions &options) {
  std::string text = formatMemory(manifest, options.memory) + "\nprogram\n";
  for (const auto &[name, rows] : manifest.programs) {
    text += llvm::formatv("{0,-12} {1,8} rows: ", name, group(int64_t(rows.size())));
    llvm::ListSeparator separator;
    for (auto &[direction, number] : countRows(rows))
      text += (StringRef(separator) + direction + " " + group(number)).str();
    text += "\n";
    if (options.program)
      text += formatRows(manifest, name);
  }
  if (options.operations)
    text += formatCosts(getCosts(manifest, "train"));
  return text;
}

json toJson(const abi::Manifest &manifest, const ReportOptions &options) {
  json blocks = json::array(), result;
  int64_t elements = 0, buffers = 0;
  for (auto &[name, size] : getBlocks(manifest)) {
    blocks.push_back({{"block", name.str()},
                      {"instances", size.instances},
                      {"parameters", size.elements},
                      {"buffers", size.buffers}});
    elements += size.elements;
    buffers += size.buffers;
  }
  result = {{"model", manifest.model},
            {"build_id", manifest.buildId},
            {"isa", manifest.isa},
            {"step", stepToJson(manifest.microBatches, manifest.batch, manifest.seq, manifest.mesh.dp)},
            {"vocab", manifest.vocab},
            {"flops_per_step", manifest.flopsPerStep},
            {"parameters", elements},
            {"buffers", buffers},
            {"blocks", blocks},
            {"arena_bytes", manifest.arenaBytes},
            {"max_live_bytes", manifest.maxLiveBytes},
            {"scratch_bytes_per_worker", manifest.scratchBytesPerWorker},
            {"functions", manifest.functions.size()}};
  for (const auto &[name, region] : manifest.regions)
    result["regions"][name] = {{"offset", region.offset}, {"bytes", region.bytes}};
  for (const auto &[name, rows] : manifest.programs) {
    result["programs"][name] = rows.size();
    for (auto &[direction, number] : countRows(rows))
      result["directions"][name][direction.str()] = number;
    if (options.program)
      result["rows"][name] = rowsToJson(manifest, name);
    if (options.memory)
      result["memory"][name] = memoryToJson(manifest, name);
    if (options.operations)
      result["operations"][name] = operationsToJson(manifest, name);
  }
  if (options.memory)
    for (const Range &range : getRanges(manifest, /*everything=*/true))
      result["addresses"].push_back(
          {{"name", StringRef(range.name).ltrim().str()}, {"offset", range.offset}, {"bytes", range.bytes}});
  // The manifest's own list says all there is to say.
  if (options.tensors)
    result["tensors"] = json::parse(manifest.toJson())["parameters"];
  return result;
}

} // namespace contraflow::inspect
