//===- Probe.h - a few steps on given ids, with everything written down ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_PROBE_H
#define CONTRAFLOW_RUNTIME_TRAIN_PROBE_H

#include "runtime/executor/Executor.h"
#include "runtime/train/Settings.h"

#include <string>

namespace contraflow::train {

struct ProbeOptions {
  /// Parameters under their published names; empty: initial ones.
  std::string parameters;
  /// Holds `input_ids`, as many as a step has, and may hold `starts`: per id, where in its sequence its
  /// document begins.
  std::string ids;
  std::string out;
  int64_t steps = 3;
};

/// Runs one forward and backward and `steps` optimizer steps on the same batch and writes
///
///   <output>         each output of the program `evaluate`, [rows of all micro-batches, ...]
///   loss.<name>, loss.total, gradient_norm   of the first step, [1]
///   metric.<name>    sums over the micro-batches of the first step
///   totals           total loss before each step and after the last, [steps + 1]
///   grad.<name>      gradients of the first step
///   after<steps>.<name>   all parameters after the last step
///
/// as F32. Throws base::Error.
void probe(executor::Executor &executor, const Settings &settings, const ProbeOptions &options);

} // namespace contraflow::train

#endif
