//===- File.cpp - files that are read whole and written all or nothing ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/File.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

namespace contraflow::base {

namespace {

[[noreturn]] void fail(const std::string &verb, const std::string &path) {
  throw Error(message<ErrorId::FileOperation>(verb, path, std::strerror(errno)));
}

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
};

/// File systems over a network can be interrupted here.
bool sync(int descriptor) {
  int result = 0;
  do
    result = fsync(descriptor);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Opens a regular file for reading and tells its size. Without O_NONBLOCK a fifo would block here.
Descriptor openRegular(const std::string &path, size_t &size) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0)
    fail("open", path);
  struct stat status;
  if (fstat(file.number, &status) != 0)
    fail("read", path);
  if (!S_ISREG(status.st_mode))
    throw Error(message<ErrorId::FileNotRegular>(path));
  size = size_t(status.st_size);
  return Descriptor{std::exchange(file.number, -1)};
}

} // namespace

MappedFile::MappedFile(const std::string &path) {
  Descriptor file = openRegular(path, size);
  if (size == 0)
    return;
  void *mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (mapping == MAP_FAILED)
    fail("map", path);
  data = static_cast<const char *>(mapping);
}

MappedFile::~MappedFile() {
  if (data)
    munmap(const_cast<char *>(data), size);
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data(std::exchange(other.data, nullptr)), size(std::exchange(other.size, 0)) {}

bool MappedFile::load(std::string_view part) {
  auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  auto begin = reinterpret_cast<uintptr_t>(part.data()), end = begin + part.size();
  begin -= begin % page;
  while (end > begin && madvise(reinterpret_cast<void *>(begin), end - begin, MADV_POPULATE_READ) != 0) {
    if (errno == EINVAL)
      return true;
    if (errno != EINTR && errno != EAGAIN)
      return false;
  }
  return true;
}

std::string readFile(const std::string &path) {
  size_t size = 0;
  Descriptor file = openRegular(path, size);
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t count = read(file.number, content.data() + done, size - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      fail("read", path);
    if (count == 0)
      break; // The file became shorter while it was read.
    done += size_t(count);
  }
  content.resize(done);
  return content;
}

bool writeAll(int descriptor, std::string_view bytes) {
  // Linux writes at most 2 GiB a call.
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    bytes.remove_prefix(size_t(count));
  }
  return true;
}

std::optional<uint64_t> freeBytes(const std::string &path) {
  struct statvfs status;
  // File systems that cannot tell say that they have no blocks at all.
  if (statvfs(path.c_str(), &status) != 0 || status.f_blocks == 0)
    return std::nullopt;
  return uint64_t(status.f_bavail) * status.f_frsize;
}

void syncFolder(const std::string &path) {
  Descriptor folder{open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.number < 0 || !sync(folder.number))
    fail("sync the folder", path);
}

constexpr const char *kPartial = ".partial";

AtomicFile::AtomicFile(const std::string &path, unsigned mode) : path(path), temporary(path + kPartial) {
  requireTarget(path, {});
  // What a process that was killed left. Not opened: it may be a link to something, or a pipe.
  unlink(temporary.c_str());
  descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0)
    fail("create", temporary);
  if (fchmod(descriptor, mode) != 0) {
    int reason = errno;
    close(std::exchange(descriptor, -1));
    unlink(temporary.c_str());
    errno = reason;
    fail("set the mode of", temporary);
  }
}

void AtomicFile::requireTarget(const std::string &path, const std::vector<std::string> &inputs) {
  struct stat status;
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw Error(message<ErrorId::FileUnwritable>(path, "it is not a regular file"));
  std::error_code error;
  for (const std::string &input : inputs)
    if (std::filesystem::equivalent(input, path + kPartial, error))
      throw Error(message<ErrorId::FileOverInput>(input, path));
}

AtomicFile::~AtomicFile() {
  if (descriptor < 0)
    return;
  close(descriptor);
  unlink(temporary.c_str());
}

void AtomicFile::reserve(size_t bytes) {
  int result = 0;
  do
    result = bytes == 0 ? 0 : fallocate(descriptor, 0, 0, off_t(bytes));
  while (result != 0 && errno == EINTR);
  if (result == 0 || (errno != ENOSPC && errno != EDQUOT && errno != EFBIG))
    return;
  std::string reason = text(std::strerror(errno), "; it needs ", bytes, " bytes");
  if (errno == ENOSPC)
    if (std::optional<uint64_t> free = freeBytes(temporary))
      reason += text(", ", *free, " are free");
  throw Error(message<ErrorId::FileUnwritable>(path, reason));
}

void AtomicFile::write(std::string_view bytes) {
  if (!writeAll(descriptor, bytes))
    fail("write", temporary);
}

void AtomicFile::commit() {
  if (!sync(descriptor))
    fail("sync", temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0)
    fail("replace", path);
  close(std::exchange(descriptor, -1));
  syncFolder(std::filesystem::path(path).parent_path().string());
}

} // namespace contraflow::base
