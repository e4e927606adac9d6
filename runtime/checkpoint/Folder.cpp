//===- Folder.cpp - the folder that a run writes its checkpoints to -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/checkpoint/Folder.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <ranges>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contraflow::checkpoint {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
namespace fs = std::filesystem;

namespace {

constexpr const char *kPartial = ".partial";

/// Makes a folder and those above it, and adds them to `made`; their names outlive a power cut.
void makeFolder(const fs::path &path, std::vector<fs::path> &made) {
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error))
    return;
  makeFolder(path.parent_path(), made);
  if (fs::create_directory(path, error))
    made.push_back(path);
  std::error_code none;
  if (error && !fs::is_directory(path, none))
    throw Error(message<ErrorId::CheckpointFolder>(path.string(), error.message()));
  base::syncFolder(path.parent_path().string());
}

void makeFolder(const fs::path &path) {
  std::vector<fs::path> made;
  makeFolder(path, made);
}

void move(const fs::path &from, const fs::path &to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    throw Error(message<ErrorId::CheckpointMove>(from.string(), to.string(), error.message()));
}

/// Deletes what a checkpoint is made of, and its folder unless somebody keeps files there. False where that
/// cannot be.
bool removeCheckpoint(const fs::path &folder, std::error_code &error) {
  fs::path file = folder / abi::kCheckpointFile;
  for (const fs::path &path : {file, fs::path(file.string() + kPartial)})
    if (fs::remove(path, error); error)
      return false;
  fs::remove(folder, error);
  return !error || error == std::errc::directory_not_empty;
}

/// Whether the file of a checkpoint is all that its folder holds.
bool holdsNothingElse(const fs::path &folder) {
  std::error_code error;
  fs::directory_iterator entry(folder, error), end;
  return !error && entry != end && entry->path().filename() == abi::kCheckpointFile &&
         entry.increment(error) == end;
}

/// Deletes a folder at the end of a scope unless it was renamed.
struct PartialFolder {
  fs::path path;
  ~PartialFolder() {
    std::error_code error;
    removeCheckpoint(path, error);
  }
};

} // namespace

bool hasName(int descriptor, const std::string &path) {
  struct stat opened, named;
  return fstat(descriptor, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

Folder::Folder(std::string path, Say say) : path(std::move(path)), say(std::move(say)) {}

Folder::~Folder() {
  // Folders that are not empty stay. Before the lock ends: nobody shall take a folder that goes away.
  std::error_code error;
  for (const fs::path &folder : std::views::reverse(made))
    fs::remove(folder, error);
  if (descriptor >= 0)
    close(descriptor);
}

void Folder::claim() {
  lock();
  removeLeftovers();
  if (std::vector<int64_t> foreign = foreignSteps(); !foreign.empty())
    say(text("note: '", path, "' holds checkpoints that this run does not continue, the last one of step ",
             foreign.back(), "; they move to '", nextEarlierFolder(), "' when it saves its first"));
}

/// A trainer that ends takes away a folder that it made, whoever has opened it by then: a lock counts only
/// when the folder still has its name.
void Folder::lock() {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    makeFolder(path, made);
    if (tryLock())
      return;
  }
  throw Error(message<ErrorId::CheckpointInUse>(path));
}

/// False where the folder went away in between.
bool Folder::tryLock() {
  auto refuse = [&] { throw Error(message<ErrorId::CheckpointUnwritable>(path, std::strerror(errno))); };
  if (descriptor >= 0)
    close(descriptor);
  descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0 && errno != ENOENT)
    refuse();
  if (descriptor < 0)
    return false;
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      // Made here, but the other's now.
      made.clear();
      throw Error(message<ErrorId::CheckpointInUse>(path));
    }
    // File systems without locks are no reason to refuse a run.
    if (errno != EOPNOTSUPP && errno != ENOLCK && errno != ENOSYS)
      refuse();
  }
  return hasName(descriptor, path);
}

void Folder::removeLeftovers() {
  std::vector<fs::path> leftovers;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    fs::path name = entry->path().filename();
    if (name.extension() == kPartial && abi::stepOfFolder(name.stem().string()))
      leftovers.push_back(entry->path());
  }
  for (const fs::path &leftover : leftovers) {
    bool isRemoved = removeCheckpoint(leftover, error);
    if (std::error_code ignored; !isRemoved || !fs::exists(leftover, ignored))
      say(text(isRemoved ? "removed '" : "warning: cannot remove '", leftover.string(),
               "', which a run that was killed left"));
  }
}

std::vector<int64_t> Folder::foreignSteps() const {
  std::vector<int64_t> steps = abi::stepsIn(path);
  std::erase_if(steps, [&](int64_t step) { return step <= ownUntil; });
  return steps;
}

std::string Folder::nextEarlierFolder() const {
  for (int64_t number = 1;; ++number) {
    fs::path folder = fs::path(path) / text("earlier-", number);
    std::error_code error;
    if (!fs::exists(fs::symlink_status(folder, error)))
      return folder.string();
  }
}

/// The oldest first: killed in between, the run that they are of can still continue from its newest.
void Folder::setAside() {
  std::vector<int64_t> foreign = foreignSteps();
  if (foreign.empty())
    return;
  std::string earlier = nextEarlierFolder();
  makeFolder(earlier);
  for (int64_t step : foreign)
    move(fs::path(path) / abi::stepFolder(step), fs::path(earlier) / abi::stepFolder(step));
  base::syncFolder(earlier);
  say(text("kept the checkpoints of an earlier run in '", earlier, "'"));
}

std::string Folder::fileOf(int64_t step) const {
  return (fs::path(path) / abi::stepFolder(step) / abi::kCheckpointFile).string();
}

void Folder::requireRoom(const std::vector<abi::NamedTensor> &tensors) const {
  // The header has a few bytes more.
  uint64_t needed = 0;
  for (const auto &[name, tensor] : tensors)
    needed += uint64_t(tensor.bytes());
  rlimit limit = {};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed)
    throw Error(message<ErrorId::CheckpointNoRoom>(
        path, needed, text("files of this process may have ", uint64_t(limit.rlim_cur), " (ulimit -f)")));
  if (std::optional<uint64_t> free = base::freeBytes(path); free && *free < needed)
    throw Error(message<ErrorId::CheckpointNoRoom>(path, needed, text(*free, " are free")));
}

void Folder::save(const std::vector<abi::NamedTensor> &tensors, const abi::Metadata &metadata, int64_t step,
                  const Retention &retention) {
  fs::path target = fs::path(path) / abi::stepFolder(step);
  PartialFolder partial{target.string() + kPartial};
  makeFolder(partial.path);
  abi::writeSafetensors((partial.path / abi::kCheckpointFile).string(), tensors, metadata);
  setAside();
  // What holds files of somebody else stayed when its checkpoint went.
  std::error_code error;
  bool isThere = fs::is_directory(target, error) && !fs::is_empty(target, error);
  if (isThere)
    move(partial.path / abi::kCheckpointFile, target / abi::kCheckpointFile);
  else
    move(partial.path, target);
  ownUntil = step;
  if (isThere)
    base::syncFolder(target.string());
  base::syncFolder(path);
  removeOld(retention);
}

void Folder::removeOld(const Retention &retention) {
  std::vector<int64_t> steps = abi::stepsIn(path);
  if (retention.last == 0 || int64_t(steps.size()) <= retention.last)
    return;
  steps.resize(steps.size() - size_t(retention.last));
  for (int64_t step : steps) {
    if (retention.every > 0 && step % retention.every == 0)
      continue;
    fs::path folder = fs::path(path) / abi::stepFolder(step), partial = folder.string() + kPartial;
    std::error_code error;
    // Killed in between, no folder is left that looks like a checkpoint.
    if (holdsNothingElse(folder))
      fs::rename(folder, partial, error);
    else
      partial = folder;
    if (error || !removeCheckpoint(partial, error))
      say(text("warning: cannot delete the old checkpoint '", folder.string(), "': ", error.message()));
  }
}

} // namespace contraflow::checkpoint
