//===- Checkpoint.h - parameters and training state of an executor --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CHECKPOINT_CHECKPOINT_H
#define CONTRAFLOW_RUNTIME_CHECKPOINT_CHECKPOINT_H

#include "runtime/abi/CheckpointFormat.h"
#include "runtime/executor/Executor.h"

#include <functional>
#include <string>
#include <vector>

namespace contraflow::checkpoint {

/// Where lines for people go.
using Say = std::function<void(const std::string &)>;
/// For commands whose standard output is their result.
void sayOnError(const std::string &line);

/// What a checkpoint is opened for.
enum class Use {
  /// Parameters alone; the file may be of another program.
  Parameters,
  /// Averages of parameters in their place.
  Averages,
  /// All that a run continues from.
  Run
};

/// The newest checkpoint that `path` stands for (see abi::findCheckpoints) and that can be used: whole, with
/// the tensors of this trainer and, for Use::Run, a state. Says why it skipped a newer one. Throws
/// base::Error where none is left.
abi::SafetensorsFile open(executor::Executor &executor, const std::string &path, Use use, const Say &say);

/// Tensors named <prefix><published name> over the arena's memory, experts one by one.
std::vector<abi::NamedTensor> tensorsOf(executor::Executor &executor, const char *region,
                                        const std::string &prefix, bool onlyTrainable);

/// All that a run continues from: parameters, what the optimizer keeps as optimizer.<what>.<name>, and
/// averages of the parameters, where the trainer has them, as ema.<name>.
std::vector<abi::NamedTensor> tensorsOfRun(executor::Executor &executor);

/// Throws base::Error naming a tensor of tensorsOfRun() that holds a number that is not finite.
void requireFinite(executor::Executor &executor, int64_t step);

/// Throws base::Error naming a parameter that is not finite since it was read from a file.
void requireFiniteParameters(executor::Executor &executor, const std::string &path);

/// The threads of an executor, for abi::verifyChecksums and abi::checkpointMetadata.
abi::ForEach forEachOn(executor::Executor &executor);

/// Reads every parameter; throws base::Error naming a tensor that is missing or has another shape, before
/// anything is changed. Returns the names of tensors in the file that nothing used and that are no state of a
/// run.
std::vector<std::string> loadParameters(executor::Executor &executor, const abi::SafetensorsFile &file);
/// Reads the averages of a file in place of the parameters.
void loadAverages(executor::Executor &executor, const abi::SafetensorsFile &file);
bool holdsAverages(const abi::SafetensorsFile &file);

/// Reads tensorsOfRun(), averages only where the file holds them, and returns the state.
abi::TrainingState resume(executor::Executor &executor, const abi::SafetensorsFile &file);

} // namespace contraflow::checkpoint

#endif
