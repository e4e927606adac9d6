//===- Initialize.h - parameters before the first step --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_INITIALIZE_H
#define CONTRAFLOW_RUNTIME_TRAIN_INITIALIZE_H

#include "runtime/executor/Executor.h"

#include <span>
#include <string>

namespace contraflow::train {

/// Fills `values` with normal(0, std). Element i is a function of seed, name and i only.
void fillNormal(device::Pool &pool, std::span<float> values, const std::string &name, uint64_t seed,
                double std);

/// Averages of parameters, where the trainer has any, begin as the parameters.
void initializeAverages(executor::Executor &executor);

/// Every parameter as its manifest entry says; moments become zero.
void initializeParameters(executor::Executor &executor, uint64_t seed, double std);

} // namespace contraflow::train

#endif
