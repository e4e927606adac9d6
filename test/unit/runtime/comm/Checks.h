//===- Checks.h - what every engine has to do -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_CHECKS_H
#define CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_CHECKS_H

#include "runtime/comm/Queue.h"

namespace contraflow::test {

/// Runs on every rank of a world of any size at the same time. Throws std::runtime_error where a result is
/// wrong; returns a hash of the rank's results, which all engines have to agree about.
struct Check {
  const char *name;
  uint64_t (*run)(comm::Queue &);
};

const std::vector<Check> &getChecks();

/// With which they run; segments are short, so that few numbers make several.
comm::QueueOptions makeCheckOptions();

/// Runs all checks; "NAME HASH" for each, the hash of the results of all ranks, the same on every rank.
std::vector<std::string> runChecks(comm::Queue &queue);

/// All ranks of the world.
comm::Group makeWorldGroup(const comm::Queue &queue);

} // namespace contraflow::test

#endif
