//===- RecordFile.cpp - a file that grows record by record ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/RecordFile.h"
#include "runtime/base/Error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace contraflow::metrics {

namespace {

/// Whether all bytes were written; errno says why not.
bool writeAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    bytes.remove_prefix(size_t(count));
  }
  return true;
}

} // namespace

RecordFile::RecordFile(std::string name)
    : path(std::move(name)), descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor < 0)
    throw base::Error(base::message<base::ErrorId::FileUnwritable>(path, std::strerror(errno)));
}

RecordFile::~RecordFile() { close(descriptor); }

void RecordFile::append(std::string_view record, int64_t step) {
  off_t end = lseek(descriptor, 0, SEEK_END);
  if (writeAll(descriptor, record))
    return;
  int reason = errno;
  // A piece of a record would make what follows it unreadable. A pipe has no end to go back to.
  if (end >= 0 && ftruncate(descriptor, end) != 0 && errno != EINVAL)
    reason = errno;
  if (warned)
    return;
  warned = true;
  std::fprintf(stderr, "contraflow: warning: cannot write '%s': %s; reports are missing from step %lld on\n",
               path.c_str(), std::strerror(reason), static_cast<long long>(step));
}

} // namespace contraflow::metrics
