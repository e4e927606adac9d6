//===- Object.h - generated code in this process --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_EXECUTOR_OBJECT_H
#define CONTRAFLOW_RUNTIME_EXECUTOR_OBJECT_H

#include "runtime/abi/Abi.h"

#include <map>
#include <string>

namespace contraflow::executor {

/// A shared object that is loaded from memory, without a file on disk.
class Object {
public:
  /// Throws base::Error when the bytes are no object for this machine.
  explicit Object(const std::string &bytes);
  ~Object();
  Object(const Object &) = delete;
  Object &operator=(const Object &) = delete;

  /// Throws base::Error when the object does not export it.
  cf_function resolve(const std::string &name) const;

  /// The name of the function (exported or not) that `address` lies in; "" where it lies in none.
  std::string nameOf(const void *address) const;

private:
  void readSymbols(const std::string &bytes);

  void *handle = nullptr;
  uintptr_t loadAddress = 0;
  struct Symbol {
    std::string name;
    uint64_t bytes;
  };
  /// Offset from the load address -> the function that starts there.
  std::map<uint64_t, Symbol> symbols;
};

} // namespace contraflow::executor

#endif
