//===- Checkpoint.h - parameters and training state in one file -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CHECKPOINT_CHECKPOINT_H
#define CONTRAFLOW_RUNTIME_CHECKPOINT_CHECKPOINT_H

#include "runtime/abi/Safetensors.h"
#include "runtime/executor/Executor.h"

#include <optional>
#include <string>
#include <vector>

namespace contraflow::checkpoint {

/// What a run needs besides tensors to continue with the same bits. Random numbers have no state: they are
/// functions of seed, step and position.
struct TrainingState {
  /// Steps that are done.
  int64_t step = 0;
  /// Sequences that were read.
  int64_t dataPosition = 0;
  uint64_t seed = 0;
  /// Of the documents and the length of sequences.
  uint64_t dataFingerprint = 0;
  std::string buildId;
  std::string model;
  /// The run file.
  std::string run;
};

/// `path` itself, or the checkpoint in it where it is a directory.
std::string fileOf(const std::string &path);

/// Tensors named <prefix><published name> over the arena's memory, experts one by one.
std::vector<abi::NamedTensor> tensorsOf(executor::Executor &executor, const char *region,
                                        const std::string &prefix, bool onlyTrainable);

/// Writes parameters, both moments (optimizer.exp_avg.<name>, optimizer.exp_avg_sq.<name>) and the state, in
/// __metadata__, to <folder>/model.safetensors, all or nothing. Makes the folder.
void save(executor::Executor &executor, const std::string &folder, const TrainingState &state);

/// Throws base::Error naming a tensor when save() would write a number that is not finite.
void requireFinite(executor::Executor &executor, int64_t step);

/// Reads every parameter; throws base::Error naming a tensor that is missing or has another shape, before
/// anything is changed. Returns the names of tensors in the file that nothing used and that are no optimizer
/// state.
std::vector<std::string> loadParameters(executor::Executor &executor, const abi::SafetensorsFile &file);

/// Parameters, moments and state of a file that save() wrote.
TrainingState resume(executor::Executor &executor, const abi::SafetensorsFile &file);

/// The state in a file's metadata; nothing where it is no checkpoint of a run.
std::optional<TrainingState> stateOf(const abi::SafetensorsFile &file);

} // namespace contraflow::checkpoint

#endif
