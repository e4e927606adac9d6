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
static std::string scale(int64_t number, const std::string &noun, double factor,
                         std::initializer_list<const char *> units) {
  if (double(number) < factor)
    return count(number, noun);
  double value = double(number) / factor;
  auto unit = units.begin();
  for (; value >= factor && unit + 1 != units.end(); ++unit)
    value /= factor;
  return llvm::formatv("{0:F2} {1}", value, *unit).str();
}

std::string formatBytes(int64_t bytes) {
  return scale(bytes, "byte", 1024, {"KiB", "MiB", "GiB", "TiB", "PiB"});
}

std::string formatFlops(int64_t flops) {
  return scale(flops, "flop", 1000, {"Kflop", "Mflop", "Gflop", "Tflop", "Pflop", "Eflop"});
}

double getPercent(int64_t part, int64_t whole) { return whole ? 100.0 * double(part) / double(whole) : 0; }

} // namespace contraflow::inspect
