//===- Arena.h - one piece of memory for everything -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_DEVICE_CPU_ARENA_H
#define CONTRAFLOW_RUNTIME_DEVICE_CPU_ARENA_H

#include <cstddef>
#include <cstdint>

namespace contraflow::device {

/// Zeroed memory in huge pages where the system has them, aligned to 2 MiB. Pages are taken when they are
/// first touched, so that a program that uses a part of an arena pays for that part.
class Arena {
public:
  /// `what` names it in errors. Throws base::Error when the machine cannot have that much.
  Arena(const char *what, int64_t bytes);
  ~Arena();
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;

  char *at(int64_t offset) { return begin + offset; }
  const char *at(int64_t offset) const { return begin + offset; }
  int64_t getBytes() const { return bytes; }

private:
  char *begin = nullptr;
  int64_t bytes = 0;
  void *mapping = nullptr;
  size_t mappingBytes = 0;
};

} // namespace contraflow::device

#endif
