//===- CheckpointFormat.h - what makes a safetensors file a checkpoint ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_CHECKPOINTFORMAT_H
#define CONTRAFLOW_RUNTIME_ABI_CHECKPOINTFORMAT_H

#include "runtime/abi/Safetensors.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace contraflow::abi {

/// A reader refuses files of a version above its own. Changes whenever a key below changes its meaning.
constexpr int64_t kCheckpointVersion = 1;

/// Names of tensors that are no parameters begin so.
constexpr const char *kOptimizerPrefix = "optimizer.", *kAveragePrefix = "ema.";

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
  /// The run file with the values that the run really had.
  std::string run;
};

/// Calls body(0) to body(count - 1), in any order and on any threads.
using ForEach = std::function<void(int64_t count, const std::function<void(int64_t)> &body)>;

/// One call after the other.
void forEachInOrder(int64_t count, const std::function<void(int64_t)> &body);

/// The metadata of a checkpoint: the version, the state, and checksums of the header and of every tensor
/// (`checksum.<name>`), so that no byte of the file is without one.
Metadata checkpointMetadata(const std::vector<NamedTensor> &tensors, const TrainingState &state,
                            const ForEach &forEach = forEachInOrder);

/// The metadata of what `export` writes.
Metadata exportMetadata();
bool isExport(const SafetensorsFile &file);

/// False: another program or `export` wrote this file, it has no checksums. Of what has any metadata of ours
/// all are expected.
bool hasChecksums(const SafetensorsFile &file);

/// Reads every byte of a file with checksums and throws base::Error naming the first tensor that has not its
/// own, or saying that one is missing or that the version is newer. (Opening the file has checked its
/// header.)
void verifyChecksums(const SafetensorsFile &file, const ForEach &forEach = forEachInOrder);

/// The state in a file's metadata; nothing where it is no checkpoint of a run.
std::optional<TrainingState> stateOf(const SafetensorsFile &file);

/// Names of tensors that are no parameters begin with one of these and end with that of a parameter.
constexpr const char *kFirstMomentPrefix = "optimizer.exp_avg.";
constexpr const char *kSecondMomentPrefix = "optimizer.exp_avg_sq.";

/// The file of a checkpoint in its folder.
constexpr const char *kCheckpointFile = "model.safetensors";

/// The folder of a checkpoint in that of its run: "step-00001000".
std::string stepFolder(int64_t step);
/// The step of such a name; nothing for another one.
std::optional<int64_t> stepOfFolder(const std::string &name);
/// The steps whose checkpoints are in `folder`, in order; none where it cannot be read.
std::vector<int64_t> stepsIn(const std::string &folder);

/// Whether a file that is there is a checkpoint of a run, whole or not.
bool isCheckpoint(const std::string &file);

/// The files that `path` may stand for, the newest first: the checkpoints of a run's folder, else the file of
/// any other folder, else `path` itself. Throws base::Error for a folder without any.
std::vector<std::string> findCheckpoints(const std::string &path);

} // namespace contraflow::abi

#endif
