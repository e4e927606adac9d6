//===- Export.cpp - a model alone, as other programs read it --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Export.h"
#include "runtime/base/Error.h"
#include "runtime/checkpoint/Checkpoint.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace contraflow::checkpoint {

using base::ErrorId;
using base::message;
namespace fs = std::filesystem;

void exportModel(executor::Executor &executor, const std::string &folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error && !fs::is_directory(folder))
    throw base::Error(message<ErrorId::FolderUnmakable>(folder, error.message()));
  // The keys keep the order that people wrote them in.
  auto run = nlohmann::ordered_json::parse(executor.getManifest().run);
  base::AtomicFile config((fs::path(folder) / "config.json").string());
  config.write(run.value("model", nlohmann::ordered_json::object()).dump(2) + "\n");
  config.commit();
  abi::writeSafetensors((fs::path(folder) / "model.safetensors").string(),
                        tensorsOf(executor, "parameters", "", false), {{"format", "pt"}});
}

} // namespace contraflow::checkpoint
