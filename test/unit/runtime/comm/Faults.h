//===- Faults.h - ranks that err on purpose -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_FAULTS_H
#define CONTRAFLOW_TEST_UNIT_RUNTIME_COMM_FAULTS_H

#include "test/unit/runtime/comm/Checks.h"

namespace contraflow::test {

/// What a rank does in place of the second of three rounds of actions that all others do.
struct Fault {
  const char *name;
  void (*run)(comm::Queue &, const comm::Group &);
  const char *message; ///< what the report begins with; # stands for the rank
  bool needsThird;     ///< two ranks cannot tell who of them errs
};

const std::vector<Fault> &getFaults();

/// Three rounds of actions, the second with the fault where this rank is the culprit.
void runWithFault(comm::Queue &queue, const Fault &fault, int culprit);

/// Whether the report names the culprit as it should.
bool names(const std::string &report, const Fault &fault, int culprit, int size);

comm::QueueOptions makeFaultOptions(std::function<void(const std::string &)> report);

} // namespace contraflow::test

#endif
