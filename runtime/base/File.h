//===- File.h - files that are read whole and written all or nothing ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_FILE_H
#define CONTRAFLOW_RUNTIME_BASE_FILE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contraflow::base {

/// A read-only view of a file. The pages come from the page cache when they are touched.
class MappedFile {
public:
  explicit MappedFile(const std::string &path);
  ~MappedFile();
  MappedFile(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  std::string_view bytes() const { return {data, size}; }

  /// Reads a part of bytes() from the disk. False where the disk cannot or the file became shorter: touching
  /// it would end the process. (True on a Linux before 5.14, which cannot tell.)
  static bool load(std::string_view part);

private:
  const char *data = nullptr;
  size_t size = 0;
};

/// The content of a regular file; throws Error.
std::string readFile(const std::string &path);

/// Whether all bytes were written, however often a signal came in between; errno says why not.
bool writeAll(int descriptor, std::string_view bytes);

/// What a file at `path` or below it can take of its disk; nothing where the file system does not say.
std::optional<uint64_t> freeBytes(const std::string &path);

/// Makes names that were added to a folder or taken out of it outlive a power cut; throws Error.
void syncFolder(const std::string &path);

/// Writes beside the target and replaces it in one step: after a crash at any moment the old or
/// the new file is there, whole. Without commit() the target stays as it was. Only a regular file is
/// replaced, no folder, device or pipe.
class AtomicFile {
public:
  explicit AtomicFile(const std::string &path, unsigned mode = 0644);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;

  /// Throws where `path` is no regular file, or where one of the files that a command reads has the name
  /// beside it under which it is written: what is there is deleted.
  static void requireTarget(const std::string &path, const std::vector<std::string> &inputs);

  /// Takes the space of the whole file, so that a full disk is an error before anything is written. Does
  /// nothing where the file system cannot.
  void reserve(size_t bytes);
  void write(std::string_view bytes);
  /// Syncs the file, renames it and syncs the directory.
  void commit();

private:
  std::string path;
  std::string temporary;
  int descriptor = -1;
};

} // namespace contraflow::base

#endif
