//===- InspectCheckpoint.cpp - contraflow inspect CHECKPOINT --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/InspectCheckpoint.h"

#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"
#include "runtime/abi/CheckpointFormat.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <exception>
#include <nlohmann/json.hpp>

using nlohmann::json;

namespace contraflow::driver {
namespace {

/// One file, as far as it could be read.
struct Checkpoint {
  std::string path;
  uint64_t bytes = 0;
  /// Empty: nothing is wrong.
  std::string error;
  /// Where nothing is wrong.
  std::optional<abi::SafetensorsFile> file;
  std::optional<abi::TrainingState> state;
};

void forEachOnAllThreads(int64_t count, const std::function<void(int64_t)> &body) {
  llvm::parallelFor(0, size_t(count), [&](size_t i) { body(int64_t(i)); });
}

Checkpoint readCheckpoint(const std::string &path) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  // A file without a size cannot be opened either.
  if (llvm::sys::fs::file_size(path, checkpoint.bytes))
    checkpoint.bytes = 0;
  try {
    abi::SafetensorsFile file(path);
    abi::verifyChecksums(file, forEachOnAllThreads);
    checkpoint.state = abi::stateOf(file);
    checkpoint.file.emplace(std::move(file));
  } catch (const std::exception &error) {
    checkpoint.error = error.what();
  }
  return checkpoint;
}

/// Elements of the tensors of a file.
struct Elements {
  int64_t parameters = 0;
  int64_t averages = 0;
  int64_t optimizer = 0;
};

Elements countElements(const abi::SafetensorsFile &file) {
  Elements elements;
  for (const auto &[name, tensor] : file.getTensors()) {
    bool isMoment = name.starts_with(abi::kFirstMomentPrefix) || name.starts_with(abi::kSecondMomentPrefix);
    int64_t &sum = isMoment                                ? elements.optimizer
                   : name.starts_with(abi::kAveragePrefix) ? elements.averages
                                                           : elements.parameters;
    sum += tensor.elements();
  }
  return elements;
}

json toJson(const Checkpoint &newest, bool everyTensor) {
  Elements elements = countElements(*newest.file);
  json result = {{"path", newest.path},
                 {"checksums", abi::hasChecksums(*newest.file)},
                 {"tensor_count", newest.file->getTensors().size()},
                 {"parameters", elements.parameters},
                 {"averages", elements.averages},
                 {"optimizer", elements.optimizer}};
  if (const std::optional<abi::TrainingState> &state = newest.state) {
    result["step"] = state->step;
    result["data_position"] = state->dataPosition;
    result["seed"] = state->seed;
    result["data_fingerprint"] = state->dataFingerprint;
    result["build_id"] = state->buildId;
    result["model"] = state->model;
    result["run"] = json::parse(state->run, nullptr, /*allow_exceptions=*/false);
  }
  if (!everyTensor)
    return result;
  result["tensors"] = json::array();
  for (const auto &[name, tensor] : newest.file->getTensors())
    result["tensors"].push_back(
        {{"name", name}, {"dtype", abi::nameOf(tensor.type)}, {"shape", tensor.shape}});
  return result;
}

json toJson(const std::vector<Checkpoint> &checkpoints) {
  json result = json::array();
  for (const Checkpoint &checkpoint : checkpoints) {
    json entry = {
        {"path", checkpoint.path}, {"bytes", checkpoint.bytes}, {"whole", checkpoint.error.empty()}};
    if (!checkpoint.error.empty())
      entry["error"] = checkpoint.error;
    result.push_back(std::move(entry));
  }
  return result;
}

void printNewest(const Checkpoint &newest, bool everyTensor) {
  auto print = [](llvm::StringRef name, const std::string &text) {
    llvm::outs() << llvm::formatv("{0,-12} {1}\n", name, text);
  };
  if (const std::optional<abi::TrainingState> &state = newest.state) {
    print("model", state->model + ", build " + state->buildId);
    print("step", llvm::formatv("{0:N}, {1:N} sequences read, seed {2}", state->step, state->dataPosition,
                                state->seed));
  }
  Elements elements = countElements(*newest.file);
  std::string averages = elements.averages ? llvm::formatv("{0:N} averages, ", elements.averages).str() : "";
  print("parameters",
        llvm::formatv("{0:N}, {1}{2:N} numbers of the optimizer, in {3:N} tensors", elements.parameters,
                      averages, elements.optimizer, newest.file->getTensors().size()));
  print("checksums", abi::hasChecksums(*newest.file) ? "of the header and every tensor"
                     : abi::isExport(*newest.file)   ? "none: an export has none"
                                                     : "none: another program wrote this file");
  if (!everyTensor)
    return;
  llvm::outs() << "\n";
  for (const auto &[name, tensor] : newest.file->getTensors())
    llvm::outs() << llvm::formatv("  {0,-88} {1,-4} {2}\n", name, abi::nameOf(tensor.type),
                                  abi::shapeText(tensor.shape));
}

void printList(const std::vector<Checkpoint> &checkpoints) {
  llvm::outs() << llvm::formatv("\n{0,20}  checkpoint\n", "bytes");
  for (const Checkpoint &checkpoint : checkpoints)
    llvm::outs() << llvm::formatv("{0,20:N}  {1}{2}\n", checkpoint.bytes, checkpoint.path,
                                  checkpoint.error.empty() ? "" : ": " + checkpoint.error);
}

} // namespace

/// Whether a checkpoint has what is asked for; an error if not.
static bool checkOptions(const std::string &path, const InspectOptions &options) {
  std::pair<const char *, bool> programs[] = {{"--memory", options.report.memory},
                                              {"--program", options.report.program},
                                              {"--ops", options.report.operations},
                                              {"--svg", !options.svg.empty()},
                                              {"--program-svg", !options.programSvg.empty()}};
  bool ok = true;
  for (auto [option, isGiven] : programs)
    if (isGiven)
      ok = fail(message<ErrorId::CheckpointLacks>(option, path, "program"));
  return ok;
}

bool isCheckpoint(const std::string &path) {
  return llvm::sys::fs::is_directory(path) || llvm::sys::path::extension(path) == ".safetensors";
}

int inspectCheckpoint(const std::string &path, const InspectOptions &options) {
  if (!checkOptions(path, options))
    return 1;
  std::vector<Checkpoint> checkpoints;
  for (const std::string &file : abi::findCheckpoints(path))
    checkpoints.push_back(readCheckpoint(file));
  auto isWhole = [](const Checkpoint &checkpoint) { return checkpoint.error.empty(); };
  auto newest = llvm::find_if(checkpoints, isWhole);
  bool lacksRun = options.run && newest != checkpoints.end() && !newest->state;
  if (lacksRun) {
    fail(message<ErrorId::CheckpointLacks>("--run", newest->path, "run file"));
    return 1;
  }
  if (options.json) {
    json result = newest == checkpoints.end() ? json::object() : toJson(*newest, options.report.tensors);
    result["checkpoints"] = toJson(checkpoints);
    llvm::outs() << result.dump(1, ' ', false, json::error_handler_t::replace) << "\n";
  } else {
    if (newest != checkpoints.end())
      printNewest(*newest, options.report.tensors);
    printList(checkpoints);
    if (options.run && newest != checkpoints.end())
      printRun(newest->state->run);
  }
  return llvm::all_of(checkpoints, isWhole) ? 0 : 1;
}

} // namespace contraflow::driver
