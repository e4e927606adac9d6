//===- MetricTags.h - the names under which numbers of a run are reported -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one table of what is reported: JSON lines, TensorBoard and the table of runtime/metrics/README.md are
// made from it or compared with it, and the compiler refuses a metric whose tag is there already.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_ABI_METRICTAGS_H
#define CONTRAFLOW_RUNTIME_ABI_METRICTAGS_H

#include "runtime/abi/Manifest.h"

#include <iterator>
#include <string>
#include <vector>

namespace contraflow::abi {

/// What every run reports, whatever its model.
enum class Number {
  Loss,
  Perplexity,
  Total,
  ValidationLoss,
  ValidationPerplexity,
  ValidationLossEma,
  GradientNorm,
  LearningRate,
  StepSeconds,
  TokensPerSecond,
  GigaflopsPerSecond,
  ArenaBytes,
  ResidentBytes,
  PeakResidentBytes,
  Count,
};

struct NumberInfo {
  const char *tag, *unit, *meaning;
};

/// In the order of the enumeration.
inline constexpr NumberInfo kNumbers[] = {
    {"loss", "nats per token", "the loss that people watch, before the update of the step"},
    {"perplexity", "", "exp(loss)"},
    {"total", "", "what the step minimises: the weighted sum of all losses"},
    {"validation_loss", "nats per token",
     "the loss on held-out text, after the update; of steps that validate"},
    {"validation_perplexity", "", "exp(validation_loss)"},
    {"validation_loss_ema", "nats per token",
     "validation_loss of the averages of parameters, where there are some"},
    {"gradient_norm", "", "2-norm of all gradients, before clipping"},
    {"learning_rate", "", "of the step's update"},
    {"step_seconds", "s", "forward, backward and update of this step"},
    {"tokens_per_second", "tokens/s", "mean over the steps since the last progress line"},
    {"gigaflops_per_second", "GFLOP/s",
     "operations of the model (`contraflow inspect`), those of recomputed scores included, / step_seconds"},
    {"arena_bytes", "bytes", "memory planned by the compiler"},
    {"resident_bytes", "bytes", "memory of the process that is in RAM, text included"},
    {"peak_resident_bytes", "bytes", "the most so far"},
};
static_assert(std::size(kNumbers) == size_t(Number::Count));

/// What a metric of the model is reported as.
struct MetricInfo {
  const char *prefix, *suffix, *unit, *meaning;
};
inline constexpr MetricInfo kMean = {"", "", "", "`nn.metric mean`: mean over micro-batches"};
inline constexpr MetricInfo kRatio = {"", "", "", "`nn.metric ratio`: sum / count over all micro-batches"};
inline constexpr MetricInfo kValidationRatio = {"validation_", "", "",
                                                "the same on held-out text; of steps that validate"};
inline constexpr MetricInfo kLoad = {
    "", "", "tokens", "`nn.metric load`: a list (TensorBoard: a histogram), one number per expert"};
inline constexpr MetricInfo kViolation = {"", "_violation", "", "largest load / mean load - 1 of that list"};

/// "model.layers.1.mlp.load" is "load/model.layers.1.mlp": what it is first, so that curves of one kind stand
/// together.
std::string getTag(const MetricInfo &info, const std::string &name);
std::string getLossTag(const std::string &name);
/// All tags of a metric: of a ratio and of a load the value's first.
std::vector<std::string> getTags(MetricKind kind, const std::string &name);

} // namespace contraflow::abi

#endif
