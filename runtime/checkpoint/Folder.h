//===- Folder.h - the folder that a run writes its checkpoints to ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_CHECKPOINT_FOLDER_H
#define CONTRAFLOW_RUNTIME_CHECKPOINT_FOLDER_H

#include "runtime/checkpoint/Checkpoint.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace contraflow::checkpoint {

/// Which checkpoints stay when a new one is there.
struct Retention {
  /// The last so many; 0: all.
  int64_t last = 0;
  /// Those whose step this divides, too; 0: none.
  int64_t every = 0;
};

/// Whether what is open has this name, and not something else that was made after it went away.
bool hasName(int descriptor, const std::string &path);

/// <path>/step-<number>/model.safetensors for each checkpoint. A file with such a name is whole: its folder
/// is written as step-<number>.partial, synced and renamed, and renamed back before it is deleted. Files of
/// others in it stay, and it with them.
///
/// The folder holds checkpoints of one run. What an earlier one left there moves to <path>/earlier-<n> when
/// the first checkpoint of this run is written; nothing of it is deleted.
class Folder {
public:
  Folder(std::string path, Say say);
  ~Folder();
  Folder(const Folder &) = delete;

  /// The run continues the checkpoint of step `step` in this folder: it and older ones are its own. Without
  /// this call all are of an earlier run.
  void continueFrom(int64_t step) { ownUntil = step; }

  /// Makes the folder, keeps other processes from writing to it as long as this object lives, deletes what a
  /// killed run left and says what will become of the checkpoints of an earlier run. A folder that is made
  /// here and stays empty goes away with this object.
  void claim();

  /// After claim(): throws where not even one checkpoint with these tensors fits.
  void requireRoom(const std::vector<abi::NamedTensor> &tensors) const;

  /// After claim(): writes a checkpoint; then deletes what `retention` does not keep. When it throws, a
  /// std::exception, those that were there still are.
  void save(const std::vector<abi::NamedTensor> &tensors, const abi::Metadata &metadata, int64_t step,
            const Retention &retention);

  /// The step of the newest checkpoint of this run, -1 where there is none. After an error of save() it may
  /// be the one that was written: what failed then is to make it outlive a power cut.
  int64_t getNewest() const { return ownUntil; }

  /// The file of the checkpoint of a step.
  std::string fileOf(int64_t step) const;

private:
  void lock();
  bool tryLock();
  void removeLeftovers();
  std::vector<int64_t> foreignSteps() const;
  std::string nextEarlierFolder() const;
  void setAside();
  void removeOld(const Retention &retention);

  std::string path;
  Say say;
  /// Holds the lock; -1 where the folder is not claimed.
  int descriptor = -1;
  /// Folders that claim() made, the outermost first.
  std::vector<std::filesystem::path> made;
  int64_t ownUntil = -1;
};

} // namespace contraflow::checkpoint

#endif
