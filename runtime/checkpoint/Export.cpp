//===- Export.cpp - a model alone, as other programs read it --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Export.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"
#include "runtime/checkpoint/Checkpoint.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace contraflow::checkpoint {

using base::ErrorId;
using base::message;
namespace fs = std::filesystem;

namespace {

constexpr const char *kConfigFile = "config.json";

bool isExport(const std::string &file) {
  try {
    return abi::isExport(abi::SafetensorsFile(file));
  } catch (const base::Error &) {
    return false;
  }
}

} // namespace

void requireExportFolder(const std::string &folder, const std::string &source) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (!path.has_filename())
    path = path.parent_path();
  std::string model = (fs::path(folder) / abi::kCheckpointFile).string(),
              config = (fs::path(folder) / kConfigFile).string();
  auto isThere = [](const std::string &file) {
    std::error_code error;
    return fs::exists(fs::symlink_status(file, error));
  };
  if (abi::stepOfFolder(path.filename().string()) || !abi::stepsIn(folder).empty() ||
      (isThere(model) && abi::isCheckpoint(model)))
    throw base::Error(message<ErrorId::ExportOverCheckpoint>(folder));
  bool isOurs = isExport(model);
  for (const std::string &file : {model, config})
    if (isThere(file) && !isOurs)
      throw base::Error(message<ErrorId::ExportOverFile>(file));
  for (const std::string &file : {model, config})
    base::AtomicFile::requireTarget(file, abi::findCheckpoints(source));
}

void exportModel(executor::Executor &executor, const std::string &folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error && !fs::is_directory(folder))
    throw base::Error(message<ErrorId::FolderUnmakable>(folder, error.message()));
  // First, so that what an export that was killed left is known as one.
  abi::writeSafetensors((fs::path(folder) / abi::kCheckpointFile).string(),
                        tensorsOf(executor, "parameters", "", false), abi::exportMetadata());
  auto run = nlohmann::json::parse(executor.getManifest().run);
  base::AtomicFile config((fs::path(folder) / kConfigFile).string());
  config.write(run.value("model", nlohmann::json::object()).dump(2) + "\n");
  config.commit();
}

} // namespace contraflow::checkpoint
