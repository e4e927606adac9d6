//===- Generator.h - text that a model writes -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_TRAIN_GENERATOR_H
#define CONTRAFLOW_RUNTIME_TRAIN_GENERATOR_H

#include "runtime/executor/Executor.h"

#include <functional>
#include <span>
#include <string_view>

namespace contraflow::train {

struct SamplingOptions {
  /// Bytes to write at most.
  int64_t length = 400;
  /// 0: always the most probable byte.
  double temperature = 0.7;
  uint64_t seed = 1;
  /// The prompt is the beginning of a document.
  bool fromStart = true;
};

/// The index that is drawn from softmax(logits / temperature) by `uniform` in [0, 1); at temperature 0 the
/// first largest. Indices for which `allowed` is false are never drawn.
int64_t sample(std::span<const float> logits, double temperature, double uniform,
               const std::function<bool(int64_t)> &allowed);

/// Continues the prompt byte by byte with the program `generate` until eos or `length`, and hands each byte
/// to `write`. The whole visible text, at most one sequence, is computed anew for every byte. Throws
/// base::Error when the trainer cannot generate or the logits are not finite.
void generate(executor::Executor &executor, std::string_view prompt, const SamplingOptions &options,
              const std::function<void(char)> &write);

} // namespace contraflow::train

#endif
