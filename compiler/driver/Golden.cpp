//===- Golden.cpp - a recorded training step, and how close we come -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Golden.h"

#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"
#include "compiler/frontend/JsonReader.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <limits>

namespace contraflow::driver {

using frontend::JsonDiagnostics;
using frontend::JsonValue;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

/// Reads the members of meta.json and remembers what is wrong with them.
class MetaReader {
public:
  MetaReader(JsonValue root, JsonDiagnostics &diagnostics)
      : root(std::move(root)), diagnostics(diagnostics) {}

  /// Missing and null count as zero where the number is not required.
  double readNumber(const std::string &key, bool required) {
    std::optional<JsonValue> value = root.find(key);
    if (!value || value->get().is_null()) {
      if (required)
        diagnostics.push_back(root.makeDiagnostic(message<ErrorId::KeyMissing>(key, "")));
      return 0;
    }
    return toNumber(*value);
  }

  /// As `readNumber` of what need not be there, of 0 or more.
  double readWeight(const std::string &key) {
    double weight = readNumber(key, /*required=*/false);
    if (weight < 0)
      refuse(root.find(key), key, "a number of 0 or more");
    return weight;
  }

  std::vector<double> readNumbers(const std::string &key) {
    std::vector<double> numbers;
    std::optional<JsonValue> value = root.find(key);
    if (!value || !value->get().is_array()) {
      refuse(value, key, "an array of numbers");
      return numbers;
    }
    for (size_t i = 0; i < value->get().size(); ++i)
      numbers.push_back(toNumber(value->at(i)));
    return numbers;
  }

  std::vector<std::pair<std::string, double>> readLosses() {
    std::vector<std::pair<std::string, double>> losses;
    std::optional<JsonValue> value = root.find("losses");
    if (!value || !value->get().is_object()) {
      refuse(value, "losses", "an object of numbers");
      return losses;
    }
    for (const auto &[name, json] : value->get().items())
      if (std::optional<JsonValue> loss = value->find(name); loss && !json.is_null())
        losses.emplace_back(name, toNumber(*loss));
    return losses;
  }

private:
  double toNumber(const JsonValue &value) {
    if (!value.get().is_number()) {
      diagnostics.push_back(value.makeDiagnostic(
          message<ErrorId::ValueUnexpected>("a number", frontend::describe(value.get()))));
      return 0;
    }
    return value.get().get<double>();
  }

  void refuse(const std::optional<JsonValue> &value, const std::string &key, const std::string &wanted) {
    diagnostics.push_back(
        value ? value->makeDiagnostic(
                    message<ErrorId::ValueUnexpected>(wanted, frontend::describe(value->get())))
              : root.makeDiagnostic(message<ErrorId::KeyMissing>(key, ", expected " + wanted)));
  }

  JsonValue root;
  JsonDiagnostics &diagnostics;
};

std::string joinPath(const std::string &folder, const std::string &file) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, file);
  return path.str().str();
}

} // namespace

std::optional<GoldenMeta> GoldenMeta::read(const std::string &path) {
  JsonDiagnostics diagnostics;
  GoldenMeta meta;
  if (std::optional<JsonValue> root = frontend::JsonDocument::read(path, diagnostics)) {
    MetaReader reader(*root, diagnostics);
    meta.mtpWeight = reader.readWeight("mtp_weight");
    meta.balanceAlpha = reader.readWeight("balance_alpha");
    meta.losses = reader.readLosses();
    meta.total = reader.readNumber("total", /*required=*/true);
    meta.steps = reader.readNumbers("steps");
  }
  for (const frontend::JsonDiagnostic &diagnostic : diagnostics)
    llvm::errs() << diagnostic.str() << "\n";
  if (frontend::hasErrors(diagnostics))
    return std::nullopt;
  return meta;
}

std::string Golden::getPath(const std::string &file) const { return joinPath(folder, file); }

std::optional<Golden> Golden::open(const std::string &folder) {
  if (!llvm::sys::fs::is_directory(folder)) {
    fail(message<ErrorId::FolderMissing>(folder));
    return std::nullopt;
  }
  bool complete = true;
  for (const char *name : {"config.json", "model.safetensors", "io.safetensors", "meta.json"})
    if (!llvm::sys::fs::exists(joinPath(folder, name)))
      complete = fail(message<ErrorId::FolderIncomplete>(folder, name));
  if (!complete)
    return std::nullopt;
  std::optional<GoldenMeta> meta = GoldenMeta::read(joinPath(folder, "meta.json"));
  if (!meta)
    return std::nullopt;
  Golden golden{folder, abi::SafetensorsFile(joinPath(folder, "model.safetensors")),
                abi::SafetensorsFile(joinPath(folder, "io.safetensors")), std::move(*meta)};
  const abi::TensorView &ids = golden.io.get("input_ids");
  if (ids.shape.size() != 2 || ids.elements() == 0) {
    fail(message<ErrorId::TensorShape>(golden.io.getPath(), "input_ids", abi::shapeText(ids.shape),
                                       "[sequences, tokens]"));
    return std::nullopt;
  }
  golden.batch = ids.shape[0];
  golden.sequence = ids.shape[1];
  golden.ids = golden.io.readIds("input_ids");
  return golden;
}

//===----------------------------------------------------------------------===//
// Comparing
//===----------------------------------------------------------------------===//

namespace {

using Floats = std::vector<float>;

Floats read(const abi::SafetensorsFile &file, const std::string &name) {
  const abi::TensorView &view = file.get(name);
  Floats values(view.elements());
  file.readFloats(name, view.shape, values);
  return values;
}

/// 0 / 0 is no error, and anything else / 0 is an infinite one. Not a number stays so.
double getRatio(double difference, double size) { return difference == 0 ? 0 : difference / size; }

/// Of two tensors: norms and largest elements of what one is, and of what the other differs by.
struct Distance {
  double difference = 0, norm = 0;
  /// Not a number if one is.
  double largestDifference = 0, largest = 0;

  Distance(llvm::ArrayRef<float> found, llvm::ArrayRef<float> recorded) {
    for (auto [a, b] : llvm::zip_equal(found, recorded)) {
      double d = std::abs(double(a) - double(b));
      difference += d * d;
      norm += double(b) * double(b);
      largestDifference = std::isnan(d) || d > largestDifference ? d : largestDifference;
      largest = std::max(largest, std::abs(double(b)));
    }
    difference = std::sqrt(difference);
    norm = std::sqrt(norm);
  }

  double getNormError() const { return getRatio(difference, norm); }
  double getMaxError() const { return getRatio(largestDifference, largest); }
};

double getRelativeError(double a, double b) { return getRatio(std::abs(a - b), std::abs(b)); }

class Comparer {
public:
  Comparer(const abi::SafetensorsFile &result, const Golden &golden) : result(result), golden(golden) {}

  Comparison compareLosses() {
    Comparison comparison{Quantity::Losses};
    auto compare = [&](const std::string &name, double wanted, double weight) {
      if (result.find("loss." + name))
        comparison.add(name, getRelativeError(weight * double(read(result, "loss." + name).at(0)), wanted));
      else if (wanted != 0)
        comparison.problems.push_back("the compiled model has no loss '" + name + "'");
    };
    for (const auto &[name, value] : golden.meta.losses)
      compare(name, value, name == "balance" ? golden.meta.balanceAlpha : 1.0);
    compare("total", golden.meta.total, 1);
    return comparison;
  }

  Comparison compareSteps() {
    Comparison comparison{Quantity::StepLosses};
    Floats totals = read(result, "totals");
    const std::vector<double> &wanted = golden.meta.steps;
    if (wanted.size() != totals.size())
      comparison.problems.push_back("meta.json has " + std::to_string(wanted.size()) +
                                    " in 'steps', expected " + std::to_string(totals.size()));
    for (size_t i = 0; i < std::min(wanted.size(), totals.size()); ++i)
      comparison.add("after step " + std::to_string(i), getRelativeError(totals[i], wanted[i]));
    return comparison;
  }

  Comparison compareLogits() {
    Comparison comparison{Quantity::Logits};
    compareLogits(comparison, "logits", "logits");
    return comparison;
  }

  /// `mtp_logits` is depth 1; more depths would be `mtp_logits_<k>`, as the model's outputs are.
  Comparison compareMtpLogits() {
    Comparison comparison{Quantity::MtpLogits};
    for (const auto &[name, view] : golden.io.getTensors())
      if (name == "mtp_logits")
        compareLogits(comparison, name, "mtp_logits_1");
      else if (name.starts_with("mtp_logits_"))
        compareLogits(comparison, name, name);
    return comparison;
  }

  /// Those that are not zero, and those that are.
  std::pair<Comparison, Comparison> compareGradients() {
    double all = getGradientNorm();
    Comparison comparison{Quantity::Gradients}, zero{Quantity::ZeroGradients};
    forEachTensor("grad.", comparison, [&](const std::string &name, const Distance &distance) {
      bool isOver = !(distance.getNormError() <= getBound(Quantity::Gradients).bound);
      if (!isOver || !(distance.norm <= kZeroGradient * all))
        return comparison.add(name, distance.getNormError());
      zero.add(name, getRatio(distance.difference, all));
      zero.exceptions.push_back(name);
    });
    for (const auto &[name, view] : result.getTensors())
      if (name.starts_with("grad.") && !golden.io.find(name))
        comparison.problems.push_back("the folder has no '" + name + "'");
    return {comparison, zero};
  }

  /// Those with a gradient, and the others, which noise moves.
  std::pair<Comparison, Comparison> compareParameters(const std::vector<std::string> &withZeroGradient) {
    std::string prefix = "after" + std::to_string(kVerifySteps) + ".";
    Comparison comparison{Quantity::Parameters}, unmoved{Quantity::UnmovedParameters};
    forEachTensor(prefix, comparison, [&](const std::string &name, const Distance &distance) {
      if (llvm::is_contained(withZeroGradient, name))
        unmoved.add(name, distance.largestDifference / (kVerifySteps * kVerifyRate));
      else
        comparison.add(name, distance.getNormError());
    });
    // What has no gradient is not trained, and the folder does not have to repeat it.
    for (const auto &[name, view] : result.getTensors())
      if (name.starts_with("grad.") && !golden.io.find(prefix + name.substr(5)))
        comparison.problems.push_back("the folder has no '" + prefix + name.substr(5) + "'");
    return {comparison, unmoved};
  }

private:
  /// Of all recorded gradients together.
  double getGradientNorm() const {
    double squares = 0;
    for (const auto &[name, view] : golden.io.getTensors())
      if (name.starts_with("grad."))
        for (float value : read(golden.io, name))
          squares += double(value) * double(value);
    return std::sqrt(squares);
  }

  /// Calls `visit` for all tensors of the folder that begin with `prefix`, and adds what cannot be compared
  /// to the problems. One without elements (the weights of zero shared experts) says nothing, and the
  /// compiled model need not have it.
  void forEachTensor(const std::string &prefix, Comparison &comparison,
                     llvm::function_ref<void(const std::string &, const Distance &)> visit) {
    for (const auto &[name, view] : golden.io.getTensors()) {
      if (!name.starts_with(prefix) || view.elements() == 0)
        continue;
      const abi::TensorView *found = result.find(name);
      if (!found)
        comparison.problems.push_back("the compiled model has no '" + name + "'");
      else if (found->shape != view.shape)
        comparison.problems.push_back("'" + name + "' has shape " + abi::shapeText(view.shape) +
                                      ", the compiled model has " + abi::shapeText(found->shape));
      else
        visit(name.substr(prefix.size()), Distance(read(result, name), read(golden.io, name)));
    }
  }

  /// The model has a row for every token, the folder the first rows of every sequence: at the last ones,
  /// predictions of tokens further ahead have no input.
  void compareLogits(Comparison &comparison, const std::string &name, const std::string &resultName) {
    const abi::TensorView *wanted = golden.io.find(name), *found = result.find(resultName);
    if (!wanted || !found) {
      comparison.problems.push_back((wanted ? "the compiled model has no '" : "the folder has no '") + name +
                                    "'");
      return;
    }
    std::vector<int64_t> shape = wanted->shape;
    if (shape.size() != 3 || shape[0] != golden.batch || shape[1] > golden.sequence ||
        found->elements() != golden.batch * golden.sequence * shape[2]) {
      comparison.problems.push_back("'" + name + "' has shape " + abi::shapeText(shape) +
                                    ", the compiled model has " + abi::shapeText(found->shape) + " of " +
                                    std::to_string(golden.sequence) + " rows a sequence");
      return;
    }
    Floats recorded = read(golden.io, name), computed = read(result, resultName), kept;
    for (int64_t b = 0; b < shape[0]; ++b) {
      auto sequence = computed.begin() + b * golden.sequence * shape[2];
      kept.insert(kept.end(), sequence, sequence + shape[1] * shape[2]);
    }
    comparison.add(name, Distance(kept, recorded).getMaxError());
  }

  const abi::SafetensorsFile &result;
  const Golden &golden;
};

} // namespace

void Comparison::add(const std::string &name, double value) {
  // Not a number is worse than any.
  if (std::isnan(value))
    value = std::numeric_limits<double>::infinity();
  over += value > getBound(quantity).bound;
  if (count++ == 0 || value > error) {
    error = value;
    worst = name;
  }
}

std::vector<Comparison> compareWithGolden(const abi::SafetensorsFile &result, const Golden &golden) {
  Comparer comparer(result, golden);
  auto [gradients, zeroGradients] = comparer.compareGradients();
  auto [parameters, unmovedParameters] = comparer.compareParameters(zeroGradients.exceptions);
  std::vector<Comparison> comparisons = {comparer.compareLosses(), comparer.compareSteps(),
                                         comparer.compareLogits(), comparer.compareMtpLogits(),
                                         std::move(gradients),     std::move(zeroGradients),
                                         std::move(parameters),    std::move(unmovedParameters)};
  std::erase_if(comparisons,
                [](const Comparison &comparison) { return !comparison.count && comparison.isOk(); });
  return comparisons;
}

std::vector<std::string> getExceptions(const std::vector<Comparison> &comparisons) {
  std::vector<std::string> lines;
  for (const Comparison &comparison : comparisons)
    for (const std::string &name : comparison.exceptions)
      lines.push_back("the gradient of '" + name +
                      "' is zero but for rounding: it is compared with the norm of all gradients");
  return lines;
}

std::vector<std::string> getUnrecorded(const abi::SafetensorsFile &result, const Golden &golden) {
  std::vector<std::string> lines;
  for (const auto &[name, view] : result.getTensors()) {
    llvm::StringRef loss = name;
    if (loss.consume_front("loss.") && loss != "total" &&
        llvm::none_of(golden.meta.losses, [&](const auto &entry) { return entry.first == loss; }))
      lines.push_back("the folder records no loss '" + loss.str() + "': it is not compared");
    bool isFirstDepth = name == "mtp_logits_1" && golden.io.find("mtp_logits");
    if (llvm::StringRef(name).starts_with("mtp_logits_") && !isFirstDepth && !golden.io.find(name))
      lines.push_back("the folder records no '" + name + "': they are not compared");
  }
  return lines;
}

} // namespace contraflow::driver
