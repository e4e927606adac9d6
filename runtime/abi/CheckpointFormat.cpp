//===- CheckpointFormat.cpp - what makes a safetensors file a checkpoint --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/CheckpointFormat.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <filesystem>

namespace contraflow::abi {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
namespace fs = std::filesystem;

namespace {

constexpr const char *kVersion = "checkpoint_version";
constexpr const char *kChecksumPrefix = "checksum.";
constexpr const char *kDataPosition = "data_position";
constexpr const char *kDataFingerprint = "data_fingerprint";
constexpr const char *kStepPrefix = "step-";
constexpr const char *kWriter = "writer", *kExportWriter = "contraflow export";

/// What one thread hashes at a time. A part of the format: the checksum of a tensor is the hash of the hashes
/// of its chunks, whose seeds are their numbers.
constexpr size_t kChunkBytes = 1 << 20;

struct Chunk {
  std::string_view bytes;
  /// In its tensor.
  uint64_t number;
};

/// The chunks of all tensors; appends to `ends` where those of each end.
std::vector<Chunk> chunksOf(const std::vector<NamedTensor> &tensors, std::vector<size_t> &ends) {
  std::vector<Chunk> chunks;
  for (const auto &[name, tensor] : tensors) {
    std::string_view bytes{static_cast<const char *>(tensor.data), size_t(tensor.bytes())};
    for (uint64_t number = 0; !bytes.empty(); ++number) {
      chunks.push_back({bytes.substr(0, kChunkBytes), number});
      bytes.remove_prefix(chunks.back().bytes.size());
    }
    ends.push_back(chunks.size());
  }
  return chunks;
}

/// In the order of `tensors`.
std::vector<std::string> checksumsOf(const std::vector<NamedTensor> &tensors, const ForEach &forEach) {
  std::vector<size_t> ends;
  std::vector<Chunk> chunks = chunksOf(tensors, ends);
  std::vector<uint64_t> hashes(chunks.size());
  forEach(int64_t(chunks.size()), [&](int64_t i) {
    hashes[size_t(i)] = base::hash64(chunks[size_t(i)].bytes, chunks[size_t(i)].number);
  });

  std::vector<std::string> checksums;
  size_t begin = 0;
  for (size_t end : ends) {
    std::string_view own{reinterpret_cast<const char *>(hashes.data() + begin), (end - begin) * 8};
    checksums.push_back(base::hashText(base::hash64(own)));
    begin = end;
  }
  return checksums;
}

template <typename T> T number(const SafetensorsFile &file, const char *key) {
  auto found = file.getMetadata().find(key);
  if (found == file.getMetadata().end())
    throw Error(message<ErrorId::StateMissing>(file.getPath(), key));
  const std::string &value = found->second;
  T result{};
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size())
    throw Error(message<ErrorId::StateNoNumber>(file.getPath(), key, value));
  return result;
}

std::string word(const SafetensorsFile &file, const char *key) {
  auto found = file.getMetadata().find(key);
  return found == file.getMetadata().end() ? "" : found->second;
}

/// Every tensor can be read from the disk.
void requireReadable(const SafetensorsFile &file, const std::vector<NamedTensor> &tensors,
                     const ForEach &forEach) {
  std::vector<size_t> ends;
  std::vector<Chunk> chunks = chunksOf(tensors, ends);
  std::atomic<int64_t> bad{-1};
  forEach(int64_t(chunks.size()), [&](int64_t i) {
    if (!base::MappedFile::load(chunks[size_t(i)].bytes))
      bad = i;
  });
  if (bad < 0)
    return;
  auto tensor = std::upper_bound(ends.begin(), ends.end(), size_t(bad)) - ends.begin();
  throw Error(message<ErrorId::TensorUnreadable>(file.getPath(), tensors[size_t(tensor)].name));
}

/// A key that no other program writes: damage to one of them leaves the others.
bool isOurs(const std::string &key) {
  return key == kVersion || key == kHeaderChecksum || key == kDataPosition || key == kDataFingerprint ||
         key.starts_with(kChecksumPrefix);
}

void requireVersion(const SafetensorsFile &file) {
  int64_t version = number<int64_t>(file, kVersion);
  if (version > kCheckpointVersion)
    throw Error(message<ErrorId::CheckpointVersion>(file.getPath(), version, kCheckpointVersion));
}

} // namespace

void forEachInOrder(int64_t count, const std::function<void(int64_t)> &body) {
  for (int64_t i = 0; i < count; ++i)
    body(i);
}

Metadata checkpointMetadata(const std::vector<NamedTensor> &tensors, const TrainingState &state,
                            const ForEach &forEach) {
  Metadata metadata = {{"format", "pt"},
                       {kVersion, std::to_string(kCheckpointVersion)},
                       {kHeaderChecksum, ""},
                       {"step", std::to_string(state.step)},
                       {kDataPosition, std::to_string(state.dataPosition)},
                       {"seed", std::to_string(state.seed)},
                       {kDataFingerprint, std::to_string(state.dataFingerprint)},
                       {"build_id", state.buildId},
                       {"model", state.model},
                       {"run", state.run}};
  std::vector<std::string> checksums = checksumsOf(tensors, forEach);
  for (size_t i = 0; i < tensors.size(); ++i)
    metadata[kChecksumPrefix + tensors[i].name] = checksums[i];
  return metadata;
}

Metadata exportMetadata() { return {{"format", "pt"}, {kWriter, kExportWriter}}; }

bool isExport(const SafetensorsFile &file) { return word(file, kWriter) == kExportWriter; }

bool hasChecksums(const SafetensorsFile &file) {
  const Metadata &metadata = file.getMetadata();
  return std::any_of(metadata.begin(), metadata.end(), [](auto &entry) { return isOurs(entry.first); });
}

void verifyChecksums(const SafetensorsFile &file, const ForEach &forEach) {
  if (!hasChecksums(file))
    return;
  const Metadata &metadata = file.getMetadata();
  if (!file.hasHeaderChecksum())
    throw Error(message<ErrorId::HeaderChecksumLost>(file.getPath()));
  requireVersion(file);
  std::vector<NamedTensor> tensors;
  for (const auto &[name, tensor] : file.getTensors())
    tensors.push_back({name, tensor});
  requireReadable(file, tensors, forEach);
  std::vector<std::string> found = checksumsOf(tensors, forEach);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string &name = tensors[i].name;
    auto written = metadata.find(kChecksumPrefix + name);
    if (written == metadata.end())
      throw Error(message<ErrorId::TensorChecksumMissing>(file.getPath(), name));
    if (written->second != found[i])
      throw Error(message<ErrorId::TensorDamaged>(file.getPath(), name, found[i], written->second));
  }
}

std::optional<TrainingState> stateOf(const SafetensorsFile &file) {
  if (!file.getMetadata().contains("step"))
    return std::nullopt;
  TrainingState state;
  state.step = number<int64_t>(file, "step");
  state.dataPosition = number<int64_t>(file, kDataPosition);
  state.seed = number<uint64_t>(file, "seed");
  state.dataFingerprint = number<uint64_t>(file, kDataFingerprint);
  state.buildId = word(file, "build_id");
  state.model = word(file, "model");
  state.run = word(file, "run");
  if (state.step < 0 || state.dataPosition < 0)
    throw Error(message<ErrorId::StateNegative>(file.getPath()));
  return state;
}

std::string stepFolder(int64_t step) {
  std::string number = std::to_string(step);
  return kStepPrefix + std::string(8 - std::min<size_t>(number.size(), 8), '0') + number;
}

std::optional<int64_t> stepOfFolder(const std::string &name) {
  if (!name.starts_with(kStepPrefix))
    return std::nullopt;
  int64_t step = 0;
  const char *begin = name.data() + std::string_view(kStepPrefix).size(), *end = name.data() + name.size();
  auto [parsed, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || parsed != end || step < 0 || stepFolder(step) != name)
    return std::nullopt;
  return step;
}

/// Files of others may stay where a checkpoint was deleted. A folder that lost its file without that, or what
/// its link leads to, is one of a checkpoint, and opening it says so.
static bool holdsOthersOnly(const fs::path &folder) {
  std::error_code error;
  // Where rights are missing it is not known.
  bool hasNoFile = fs::symlink_status(folder / kCheckpointFile, error).type() == fs::file_type::not_found;
  return hasNoFile && !fs::is_empty(folder, error) && !error;
}

std::vector<int64_t> stepsIn(const std::string &folder) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::optional<int64_t> step = stepOfFolder(entry->path().filename().string());
    if (step && !holdsOthersOnly(entry->path()))
      steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

bool isCheckpoint(const std::string &file) {
  fs::path path = fs::absolute(file).lexically_normal();
  if (path.filename() == kCheckpointFile && stepOfFolder(path.parent_path().filename().string()))
    return true;
  try {
    return hasChecksums(SafetensorsFile(file));
  } catch (const Error &) {
    return false;
  }
}

std::vector<std::string> findCheckpoints(const std::string &path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return {path};
  std::vector<std::string> files;
  for (int64_t step : stepsIn(path))
    files.insert(files.begin(), (fs::path(path) / stepFolder(step) / kCheckpointFile).string());
  fs::path direct = fs::path(path) / kCheckpointFile;
  if (files.empty() && fs::exists(direct, error))
    files.push_back(direct.string());
  if (files.empty())
    throw Error(message<ErrorId::CheckpointMissing>(path, kStepPrefix, kCheckpointFile));
  return files;
}

} // namespace contraflow::abi
