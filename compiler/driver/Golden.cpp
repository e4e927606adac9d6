//===- Golden.cpp - a recorded training step, and how close we come -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Golden.h"

#include <cmath>
#include <limits>

namespace contraflow::driver {
namespace {

using Floats = std::vector<float>;

Floats read(const abi::SafetensorsFile &file, const std::string &name) {
  const abi::TensorView &view = file.get(name);
  Floats values(view.elements());
  file.readFloats(name, view.shape, values);
  return values;
}

/// ||a - b|| / ||b||; 0 where both are zero.
double getNormError(const Floats &a, const Floats &b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    double d = double(a[i]) - double(b[i]);
    difference += d * d;
    norm += double(b[i]) * double(b[i]);
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

/// max|a - b| / max|b|.
double getMaxError(const Floats &a, const Floats &b) {
  double difference = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    double d = std::abs(double(a[i]) - double(b[i]));
    difference = std::isnan(d) ? d : std::max(difference, d);
    if (std::isnan(d))
      return d;
    largest = std::max(largest, std::abs(double(b[i])));
  }
  return difference == 0 ? 0 : difference / largest;
}

double getRelativeError(double a, double b) { return a == b ? 0 : std::abs(a - b) / std::abs(b); }

/// Tensors whose names begin with `goldenPrefix`, against those of the result that begin with `resultPrefix`.
Comparison compareTensors(const std::string &quantity, double bound, const std::string &goldenPrefix,
                          const std::string &resultPrefix, const abi::SafetensorsFile &result,
                          const abi::SafetensorsFile &golden) {
  Comparison comparison;
  comparison.quantity = quantity;
  comparison.bound = bound;
  for (const auto &[name, view] : golden.getTensors()) {
    if (!name.starts_with(goldenPrefix))
      continue;
    std::string parameter = name.substr(goldenPrefix.size());
    const abi::TensorView *other = result.find(resultPrefix + parameter);
    if (!other)
      comparison.problems.push_back("'" + parameter + "' is missing in the result");
    else if (other->shape != view.shape)
      comparison.problems.push_back("'" + parameter + "' has shape " + abi::shapeText(other->shape) + ", expected " +
                                    abi::shapeText(view.shape));
    else
      comparison.add(parameter, getNormError(read(result, resultPrefix + parameter), read(golden, name)));
  }
  return comparison;
}

/// Rows of a sequence that the golden leaves out at its end are not compared: multi-token prediction has no
/// valid input there.
void compareLogits(Comparison &comparison, const std::string &name, const std::string &resultName,
                   const abi::SafetensorsFile &result, const abi::SafetensorsFile &golden, int64_t sequence) {
  const abi::TensorView &wanted = golden.get(name);
  const abi::TensorView *found = result.find(resultName);
  if (!found) {
    comparison.problems.push_back("'" + resultName + "' is missing in the result");
    return;
  }
  int64_t vocab = wanted.shape.back(), rows = wanted.shape.size() == 3 ? wanted.shape[1] : sequence;
  int64_t batch = wanted.elements() / std::max<int64_t>(vocab * rows, 1);
  if (rows > sequence || found->elements() != batch * sequence * vocab) {
    comparison.problems.push_back("'" + resultName + "' has shape " + abi::shapeText(found->shape) + ", expected " +
                                  abi::shapeText(wanted.shape));
    return;
  }
  Floats all = read(result, resultName), kept;
  for (int64_t b = 0; b < batch; ++b)
    kept.insert(kept.end(), all.begin() + b * sequence * vocab, all.begin() + (b * sequence + rows) * vocab);
  comparison.add(name, getMaxError(kept, read(golden, name)));
}

Comparison compareLosses(const abi::SafetensorsFile &result, const nlohmann::json &meta) {
  Comparison comparison;
  comparison.quantity = "losses";
  comparison.bound = kLossBound;
  auto compare = [&](const std::string &name, const std::string &tensor, double wanted, double weight) {
    if (result.find(tensor))
      comparison.add(name, getRelativeError(weight * double(read(result, tensor).at(0)), wanted));
    else
      comparison.problems.push_back("'" + tensor + "' is missing in the result");
  };
  if (meta.contains("losses"))
    for (const auto &[name, value] : meta["losses"].items()) {
      // The balance loss is recorded with its weight, the others without.
      double weight = name == "balance" ? meta.value("balance_alpha", 0.0) : 1.0;
      if (value.is_number())
        compare(name, "loss." + name, value.get<double>(), weight);
    }
  if (meta.contains("total"))
    compare("total", "loss.total", meta["total"].get<double>(), 1);
  if (meta.contains("steps") && result.find("totals")) {
    Floats totals = read(result, "totals");
    for (size_t i = 0; i < meta["steps"].size(); ++i) {
      std::string name = "total before step " + std::to_string(i + 1);
      if (i < totals.size())
        comparison.add(name, getRelativeError(totals[i], meta["steps"][i].get<double>()));
      else
        comparison.problems.push_back(name + " is missing in the result");
    }
  }
  return comparison;
}

} // namespace

void Comparison::add(const std::string &name, double value) {
  ++count;
  if (count > 1 && !std::isnan(value) && !(value > error))
    return;
  if (count > 1 && std::isnan(error))
    return;
  error = value;
  worst = name;
}

std::vector<Comparison> compareWithGolden(const abi::SafetensorsFile &result, const abi::SafetensorsFile &golden,
                                          const nlohmann::json &meta, int64_t sequence) {
  std::vector<Comparison> comparisons = {compareLosses(result, meta)};

  Comparison logits;
  logits.quantity = "logits";
  logits.bound = kLogitsBound;
  for (const auto &[name, view] : golden.getTensors()) {
    if (name == "logits")
      compareLogits(logits, name, "logits", result, golden, sequence);
    else if (name == "mtp_logits")
      compareLogits(logits, name, "mtp_logits_1", result, golden, sequence);
    else if (name.starts_with("mtp_logits_"))
      compareLogits(logits, name, name, result, golden, sequence);
  }
  comparisons.push_back(logits);

  comparisons.push_back(compareTensors("gradients", kGradientBound, "grad.", "grad.", result, golden));
  // A gradient that the golden does not have is one that should not be there.
  for (const auto &[name, view] : result.getTensors())
    if (name.starts_with("grad.") && !golden.find(name))
      comparisons.back().problems.push_back("'" + name.substr(5) + "' is not in the recorded step");

  for (int64_t steps = 1; steps <= 100; ++steps) {
    std::string prefix = "after" + std::to_string(steps) + ".";
    Comparison parameters = compareTensors("parameters after " + std::to_string(steps) + " steps", kParameterBound, prefix,
                                           prefix, result, golden);
    if (parameters.count || !parameters.problems.empty())
      comparisons.push_back(parameters);
  }
  return comparisons;
}

} // namespace contraflow::driver
