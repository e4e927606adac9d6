//===- Report.cpp - the numbers of a step and their names -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/Report.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace contraflow::metrics {

std::vector<Description> describe() {
  std::vector<Description> rows;
  for (const abi::NumberInfo &info : abi::kNumbers)
    rows.push_back({info.tag, info.unit, info.meaning});
  rows.push_back({abi::getLossTag("<name>"), "",
                  "every loss of the model (`nn.loss`) without its weight, mean over micro-batches"});
  for (const abi::MetricInfo &info :
       {abi::kMean, abi::kRatio, abi::kValidationRatio, abi::kLoad, abi::kViolation})
    rows.push_back({abi::getTag(info, "<layer>.<name>"), info.unit, info.meaning});
  return rows;
}

double largestViolation(std::span<const double> loads) {
  double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  return sum > 0 ? *std::max_element(loads.begin(), loads.end()) * double(loads.size()) / sum - 1 : 0;
}

Report::Report(const abi::Manifest &manifest) : manifest(manifest) {
  for (const abi::NumberInfo &info : abi::kNumbers)
    add(info.tag);
  for (const std::string &name : manifest.lossNames())
    losses.push_back(add(abi::getLossTag(name)));
  for (const abi::Metric &metric : manifest.metrics) {
    Places &at = places.emplace_back();
    std::vector<std::string> tags = abi::getTags(metric.kind, metric.name);
    switch (metric.kind) {
    case abi::MetricKind::Mean:
      at.value = add(tags[0]);
      break;
    case abi::MetricKind::Ratio:
      at.value = add(tags[0]);
      at.validation = add(tags[1]);
      break;
    case abi::MetricKind::Load:
      at.list = add(tags[0], metric.count);
      at.violation = add(tags[1]);
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
