//===- Report.h - the numbers of a step and their names -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_METRICS_REPORT_H
#define CONTRAFLOW_RUNTIME_METRICS_REPORT_H

#include "runtime/abi/Manifest.h"
#include "runtime/abi/MetricTags.h"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace contraflow::metrics {

using abi::Number;

/// A row of the table in README.md. `<name>` and `<layer>` in a tag are the model's.
struct Description {
  std::string tag, unit, meaning;
};
std::vector<Description> describe();

/// One number, or one list of numbers, under the tag that it has everywhere.
struct Entry {
  std::string tag;
  std::vector<double> values;
  bool isList = false;
  /// Whether this step has it.
  bool isPresent = false;
};

/// The numbers of one step. Allocates in its constructor only.
class Report {
public:
  /// Throws base::Error where the model gives two metrics one tag.
  explicit Report(const abi::Manifest &manifest);

  /// Forgets the step before.
  void begin(int64_t step);
  /// A loss sets its perplexity as well.
  void set(Number number, double value);
  /// One per name, in the order of the manifest.
  void setLosses(std::span<const std::pair<std::string, double>> losses);
  /// `sums`: of all metrics of the manifest one after the other, over the micro-batches of the step.
  void setMetrics(std::span<const double> sums, int64_t microBatches);
  /// The same of a validation, of which ratios are reported.
  void setValidationMetrics(std::span<const double> sums);

  int64_t getStep() const { return step; }
  const std::vector<Entry> &getEntries() const { return entries; }

private:
  /// Where the values of a metric go; -1: nowhere.
  struct Places {
    int value = -1, validation = -1, list = -1, violation = -1;
  };
  int add(std::string tag, int64_t listSize = -1);
  void put(int index, double value);
  void putRatio(int index, std::span<const double> sumAndCount);

  const abi::Manifest &manifest;
  int64_t step = 0;
  std::vector<Entry> entries;
  /// Entries of the losses, and of each metric of the manifest.
  std::vector<int> losses;
  std::vector<Places> places;
};

/// The largest load divided by the mean load, minus 1 (MaxVio of arXiv 2408.15664, section 4.1); 0 where
/// there is no load.
double largestViolation(std::span<const double> loads);

} // namespace contraflow::metrics

#endif
