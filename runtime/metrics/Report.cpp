//===- Report.cpp - the numbers of a step and their names -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/Report.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace contraflow::metrics {

using base::text;

namespace {

struct NumberInfo {
  const char *tag, *unit, *meaning;
};

/// In the order of the enumeration.
constexpr NumberInfo kNumbers[] = {
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
    {"gigaflops_per_second", "GFLOP/s", "operations of the model (`contraflow inspect`) / step_seconds"},
    {"arena_bytes", "bytes", "memory planned by the compiler"},
    {"resident_bytes", "bytes", "memory of the process that is in RAM, text included"},
    {"peak_resident_bytes", "bytes", "the most so far"},
};

struct ModelInfo {
  const char *prefix, *suffix, *unit, *meaning;
};

/// What metrics of the model are reported as.
constexpr ModelInfo kMean = {"", "", "", "`nn.metric mean`: mean over micro-batches"};
constexpr ModelInfo kRatio = {"", "", "", "`nn.metric ratio`: sum / count over all micro-batches"};
constexpr ModelInfo kValidationRatio = {"validation_", "", "",
                                        "the same on held-out text; of steps that validate"};
constexpr ModelInfo kLoad = {"", "", "tokens",
                             "`nn.metric load`: a list (TensorBoard: a histogram), one number per expert"};
constexpr ModelInfo kViolation = {"", "_violation", "", "largest load / mean load - 1 of that list"};

/// "model.layers.1.mlp.load" is "load/model.layers.1.mlp": what it is first, so that curves of one kind stand
/// together.
std::string getTag(const ModelInfo &info, const std::string &name) {
  size_t point = name.rfind('.');
  if (point == std::string::npos)
    return text(info.prefix, name, info.suffix);
  return text(info.prefix, name.substr(point + 1), info.suffix, "/", name.substr(0, point));
}

} // namespace

std::vector<Description> describe() {
  std::vector<Description> rows;
  for (const NumberInfo &info : kNumbers)
    rows.push_back({info.tag, info.unit, info.meaning});
  rows.push_back({"losses/<name>", "",
                  "every loss of the model (`nn.loss`) without its weight, mean over micro-batches"});
  for (const ModelInfo &info : {kMean, kRatio, kValidationRatio, kLoad, kViolation})
    rows.push_back({getTag(info, "<layer>.<name>"), info.unit, info.meaning});
  return rows;
}

double largestViolation(std::span<const double> loads) {
  double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  return sum > 0 ? *std::max_element(loads.begin(), loads.end()) * double(loads.size()) / sum - 1 : 0;
}

Report::Report(const abi::Manifest &manifest) : manifest(manifest) {
  for (const NumberInfo &info : kNumbers)
    add(info.tag);
  for (const std::string &name : manifest.lossNames())
    losses.push_back(add("losses/" + name));
  for (const abi::Metric &metric : manifest.metrics) {
    Places &at = places.emplace_back();
    switch (metric.kind) {
    case abi::MetricKind::Mean:
      at.value = add(getTag(kMean, metric.name));
      break;
    case abi::MetricKind::Ratio:
      at.value = add(getTag(kRatio, metric.name));
      at.validation = add(getTag(kValidationRatio, metric.name));
      break;
    case abi::MetricKind::Load:
      at.list = add(getTag(kLoad, metric.name), metric.count);
      at.violation = add(getTag(kViolation, metric.name));
      break;
    }
  }
}

int Report::add(std::string tag, int64_t listSize) {
  if (std::any_of(entries.begin(), entries.end(), [&](const Entry &entry) { return entry.tag == tag; }))
    throw base::Error(base::message<base::ErrorId::MetricTwice>(tag));
  bool isList = listSize >= 0;
  entries.push_back({std::move(tag), std::vector<double>(isList ? size_t(listSize) : 1), isList, false});
  return int(entries.size()) - 1;
}

void Report::begin(int64_t number) {
  step = number;
  for (Entry &entry : entries)
    entry.isPresent = false;
}

void Report::put(int index, double value) {
  Entry &entry = entries[size_t(index)];
  entry.values[0] = value;
  entry.isPresent = true;
}

void Report::set(Number number, double value) {
  put(int(number), value);
  if (number == Number::Loss)
    put(int(Number::Perplexity), std::exp(value));
  if (number == Number::ValidationLoss)
    put(int(Number::ValidationPerplexity), std::exp(value));
}

void Report::setLosses(std::span<const std::pair<std::string, double>> values) {
  for (size_t i = 0; i < losses.size(); ++i)
    put(losses[i], values[i].second);
}

/// Of nothing there is no ratio.
void Report::putRatio(int index, std::span<const double> sumAndCount) {
  if (sumAndCount[1] > 0)
    put(index, sumAndCount[0] / sumAndCount[1]);
}

void Report::setMetrics(std::span<const double> sums, int64_t microBatches) {
  for (size_t i = 0; i < places.size(); ++i) {
    const Places &at = places[i];
    std::span<const double> values = sums.first(size_t(manifest.metrics[i].count));
    sums = sums.subspan(values.size());
    switch (manifest.metrics[i].kind) {
    case abi::MetricKind::Mean:
      put(at.value, values[0] / double(microBatches));
      break;
    case abi::MetricKind::Ratio:
      putRatio(at.value, values);
      break;
    case abi::MetricKind::Load:
      std::ranges::copy(values, entries[size_t(at.list)].values.begin());
      entries[size_t(at.list)].isPresent = true;
      put(at.violation, largestViolation(values));
      break;
    }
  }
}

void Report::setValidationMetrics(std::span<const double> sums) {
  for (size_t i = 0; i < places.size(); ++i) {
    if (manifest.metrics[i].kind == abi::MetricKind::Ratio)
      putRatio(places[i].validation, sums);
    sums = sums.subspan(size_t(manifest.metrics[i].count));
  }
}

} // namespace contraflow::metrics
