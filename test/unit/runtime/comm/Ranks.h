//===- Ranks.h - ranks that are threads of a test -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_RANKS_H
#define CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_RANKS_H

#include "runtime/comm/Inprocess.h"
#include "test/unit/runtime/comm/Checks.h"

#include <thread>

namespace contraflow::test {

/// Runs `body` on every rank; what each of them threw, empty where it did not.
inline std::vector<std::string> runRanks(int size, const comm::QueueOptions &options,
                                         const std::function<void(comm::Queue &)> &body) {
  std::shared_ptr<comm::World> world = comm::makeWorld(size);
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::unique_ptr<comm::Queue>> queues(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      auto &queue = queues[size_t(rank)];
      queue = std::make_unique<comm::Queue>([&] { return comm::makeInprocessEngine(world, rank); }, options);
      try {
        body(*queue);
      } catch (const std::exception &error) {
        errors[size_t(rank)] = error.what();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  return errors;
}

} // namespace contraflow::test

#endif
