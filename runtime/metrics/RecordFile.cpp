//===- RecordFile.cpp - a file that grows record by record ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/RecordFile.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace contraflow::metrics {

namespace {

/// While it lives, writing to a pipe without a reader is an error and no signal: a signal would end the run.
class PipeSignalBlock {
public:
  PipeSignalBlock() {
    sigemptyset(&pipeSignal);
    sigaddset(&pipeSignal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipeSignal, &before);
  }
  ~PipeSignalBlock() {
    timespec now = {};
    while (sigtimedwait(&pipeSignal, nullptr, &now) < 0 && errno == EINTR)
      continue;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  PipeSignalBlock(const PipeSignalBlock &) = delete;

private:
  sigset_t pipeSignal, before;
};

} // namespace

RecordFile::RecordFile(std::string name)
    : path(std::move(name)), descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor < 0)
    throw base::Error(base::message<base::ErrorId::FileUnwritable>(path, std::strerror(errno)));
}

RecordFile::~RecordFile() { close(descriptor); }

void RecordFile::append(std::string_view record, int64_t step) {
  off_t end = lseek(descriptor, 0, SEEK_END);
  PipeSignalBlock block;
  if (base::writeAll(descriptor, record))
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
