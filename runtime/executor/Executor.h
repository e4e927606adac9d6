//===- Executor.h - walks the programs of a manifest ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_EXECUTOR_EXECUTOR_H
#define CONTRAFLOW_RUNTIME_EXECUTOR_EXECUTOR_H

#include "runtime/abi/Manifest.h"
#include "runtime/comm/Queue.h"
#include "runtime/device/cpu/Arena.h"
#include "runtime/device/cpu/Pool.h"
#include "runtime/executor/Checker.h"
#include "runtime/executor/Object.h"
#include "runtime/executor/Profile.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace contraflow::executor {

/// The rows of a program with addresses in place of offsets.
struct Table {
  struct Call {
    /// Null where the row is about messages.
    cf_function function;
    void *const *bases;
    const abi::Row *row;
  };
  std::vector<Call> calls;
  std::vector<void *> bases;
  std::string program;
};

/// Generated code, the arena that it works on and the threads that it runs on: what one rank computes with.
class Executor {
public:
  /// Checks that this machine can run the code and loads it. The manifest must stay alive, and the queue,
  /// which carries collectives; without one, programs that have some are refused. The thread that makes it is
  /// the one that runs programs.
  Executor(const abi::Manifest &manifest, const std::string &object, int threads,
           comm::Queue *queue = nullptr);
  ~Executor();

  const abi::Manifest &getManifest() const { return manifest; }
  device::Pool &getPool() { return pool; }

  /// Throws base::Error where the manifest has no such program.
  const Table &getTable(const std::string &program) const;
  /// The rows of `program` on other memory: what points into the region `from` points to the same place of
  /// the region `to`, which has its layout.
  Table redirect(const std::string &program, const char *from, const char *to);

  /// Calls rows [begin, end) in order.
  void run(const Table &table, size_t begin, size_t end);
  void run(const Table &table) { run(table, 0, table.calls.size()); }

  std::span<float> floats(int64_t offset, int64_t count) {
    return {reinterpret_cast<float *>(arena.at(offset)), size_t(count)};
  }
  std::span<int32_t> ids(int64_t offset, int64_t count) {
    return {reinterpret_cast<int32_t *>(arena.at(offset)), size_t(count)};
  }
  /// A parameter's elements in one of the regions that share a layout.
  std::span<float> parameter(const char *region, const abi::Parameter &parameter);

  /// Takes the time of every function and parallel region from now on.
  void startProfile();
  /// Empty without startProfile().
  std::string printProfile() const;

private:
  void callRow(const Table &table, size_t index);
  void runRow(const Table &table, size_t index);
  void start(size_t index, const abi::Row &row);

  const abi::Manifest &manifest;
  device::Pool pool;
  device::Arena arena;
  Object object;
  std::map<std::string, Table> tables;
  comm::Queue *queue;
  /// By axis; empty without a queue.
  std::vector<comm::Group> groups;
  /// Of the collectives of the program that runs, by row.
  std::vector<comm::Ticket> tickets;
  std::unique_ptr<Profile> profile;
  /// Null where the build is not a checked one.
  std::unique_ptr<Checker> checker;
};

/// On a crash in generated code prints the row that ran, before the process ends as it would have. Of the
/// main thread: it gets a stack for this.
void installCrashReport();

} // namespace contraflow::executor

#endif
