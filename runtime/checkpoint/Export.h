//===- Export.h - a model alone, as other programs read it ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CHECKPOINT_EXPORT_H
#define CONTRAFLOW_RUNTIME_CHECKPOINT_EXPORT_H

#include "runtime/executor/Executor.h"

#include <string>

namespace contraflow::checkpoint {

/// Throws base::Error where an export of the checkpoint `source` to the folder would hit a checkpoint, this
/// one included, or a file that is no export.
void requireExportFolder(const std::string &folder, const std::string &source);

/// Writes <folder>/config.json, the configuration that the model was compiled from, and
/// <folder>/model.safetensors, the parameters of the arena under their published names: what Hugging Face
/// transformers loads. Makes the folder.
void exportModel(executor::Executor &executor, const std::string &folder);

} // namespace contraflow::checkpoint

#endif
