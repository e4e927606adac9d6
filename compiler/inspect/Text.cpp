//===- Text.cpp - numbers as people read them -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Text.h"

#include "llvm/Support/FormatVariadic.h"

namespace contraflow::inspect {

std::string group(int64_t number) { return llvm::formatv("{0:N}", number).str(); }

std::string count(int64_t number, const std::string &noun) {
  return group(number) + " " + noun + (number == 1 ? "" : "s");
}

/// The number in the largest of `units`, powers of `factor`, that it has one of.
static std::string scale(double number, const std::string &noun, double factor,
                         std::initializer_list<const char *> units) {
  if (number < factor)
    return count(int64_t(number), noun);
  double value = number / factor;
  auto unit = units.begin();
  for (; value >= factor && unit + 1 != units.end(); ++unit)
    value /= factor;
  return llvm::formatv("{0:F2} {1}", value, *unit).str();
}

std::string formatFlops(double flops) {
  return scale(flops, "flop", 1000, {"Kflop", "Mflop", "Gflop", "Tflop", "Pflop", "Eflop"});
}

double getPercent(double part, double whole) { return whole != 0 ? 100.0 * part / whole : 0; }

} // namespace contraflow::inspect
