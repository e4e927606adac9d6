//===- Export.h - a model alone, as other programs read it ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CHECKPOINT_EXPORT_H
#define CONTRAFLOW_RUNTIME_CHECKPOINT_EXPORT_H

#include "runtime/executor/Executor.h"

#include <string>

namespace contraflow::checkpoint {

/// Throws base::Error where an export to the folder would hit a checkpoint or a file that is no export.
void requireExportFolder(const std::string &folder);

/// Writes <folder>/config.json, the configuration that the model was compiled from, and
/// <folder>/model.safetensors, the parameters of the arena under their published names: what Hugging Face
/// transformers loads. Makes the folder.
void exportModel(executor::Executor &executor, const std::string &folder);

} // namespace contraflow::checkpoint

#endif
