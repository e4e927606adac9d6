//===- GroupedMatmulTest.cpp - ragged groups, empty ones among them -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/passes/lowering/cpu/KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <numeric>

using namespace contraflow;
using namespace contraflow::test;

namespace {

/// A table whose last entries are where groups begin, as routing tables are.
Array offsetTable(llvm::ArrayRef<int64_t> sizes, int64_t before) {
  Array table({before + static_cast<int64_t>(sizes.size()) + 1}, -1.0);
  int64_t at = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    table[before + i] = at;
    at += sizes[i];
  }
  table[before + sizes.size()] = at;
  return table;
}

std::string affine(llvm::StringRef results) {
  return ("affine_map<(d0, d1, d2, d3) -> (" + results + ")>").str();
}

/// C[m, n] = sum over k of A[m, k] W_e[n, k], or of A[m, k] W_e[k, n] where not `transposed`.
void checkRows(llvm::ArrayRef<int64_t> sizes, int64_t n, int64_t k, bool transposed, bool tied,
               const cpu::CpuMachine &machine) {
  SCOPED_TRACE("n " + std::to_string(n) + " k " + std::to_string(k) + " lanes " +
               std::to_string(machine.target.lanes));
  std::mt19937 random(n * 31 + k);
  int64_t groups = sizes.size(), m = std::accumulate(sizes.begin(), sizes.end(), int64_t(0)), before = 7;
  std::vector<int64_t> w = {groups, transposed ? n : k, transposed ? k : n};
  std::vector<Array> inputs = {randomArray({m, k}, random), randomArray(w, random),
                               offsetTable(sizes, before)};
  std::vector<std::string> types = {tensorText({m, k}), tensorText(w),
                                    tensorText({before + groups + 1}, " : i32")};
  if (tied) {
    inputs.push_back(randomArray({m, n}, random));
    types.push_back(tensorText({m, n}));
  }
  std::string c = affine("d1, d2");
  std::string rest = llvm::formatv(
      "maps [{0}, {1}, {2}, {3}{4}] gathers [[], [], [], []{5}] tied [{6}] -> {7}", affine("d1, d3"),
      affine(transposed ? "d0, d2, d3" : "d0, d3, d2"), affine("d0 + " + std::to_string(before)), c,
      tied ? ", " + c : "", tied ? ", []" : "", tied ? 3 : -1, tensorText({m, n}));
  std::string domain = llvm::formatv("#nn.grouped_matmul<rows> domain [{0}, {1}, {2}, {3}]", groups, m, n, k);
  expectMatches(parseKernel(context(), domain, types, rest), inputs, machine,
                4.0 * std::sqrt(k + 4.0) * 0x1p-24, true);
}

/// C[e, m, n] = sum over k in group e of A[k, m] B[k, n].
void checkReduction(llvm::ArrayRef<int64_t> sizes, int64_t m, int64_t n, bool tied,
                    const cpu::CpuMachine &machine) {
  SCOPED_TRACE("m " + std::to_string(m) + " n " + std::to_string(n) + " lanes " +
               std::to_string(machine.target.lanes));
  std::mt19937 random(n * 31 + m);
  int64_t groups = sizes.size(), k = std::accumulate(sizes.begin(), sizes.end(), int64_t(0)), before = 5;
  std::vector<Array> inputs = {randomArray({k, m}, random), randomArray({k, n}, random),
                               offsetTable(sizes, before)};
  std::vector<std::string> types = {tensorText({k, m}), tensorText({k, n}),
                                    tensorText({before + groups + 1}, " : i32")};
  if (tied) {
    inputs.push_back(randomArray({groups, m, n}, random));
    types.push_back(tensorText({groups, m, n}));
  }
  std::string c = affine("d0, d1, d2");
  std::string rest =
      llvm::formatv("maps [{0}, {1}, {2}, {3}{4}] gathers [[], [], [], []{5}] tied [{6}] -> {7}",
                    affine("d3, d1"), affine("d3, d2"), affine("d0 + " + std::to_string(before)), c,
                    tied ? ", " + c : "", tied ? ", []" : "", tied ? 3 : -1, tensorText({groups, m, n}));
  std::string domain =
      llvm::formatv("#nn.grouped_matmul<reduction> domain [{0}, {1}, {2}, {3}]", groups, m, n, k);
  expectMatches(parseKernel(context(), domain, types, rest), inputs, machine,
                4.0 * std::sqrt(k + 4.0) * 0x1p-24, true);
}

TEST(GroupedMatmul, RaggedRows) {
  unsigned number = 0;
  for (const cpu::CpuMachine &machine : machines())
    for (int64_t n : {1, 127})
      for (int64_t k : {3, 127}) {
        checkRows({1, 0, 17, 3, 40, 0}, n, k, number & 1, number & 2, machine);
        ++number;
      }
}

TEST(GroupedMatmul, EveryGroupSize) {
  // All heights of the last tile, for both orientations.
  std::vector<int64_t> sizes(30);
  std::iota(sizes.begin(), sizes.end(), 0);
  for (bool transposed : {false, true})
    checkRows(sizes, 33, 20, transposed, false, machines()[0]);
}

TEST(GroupedMatmul, AllRowsInOneGroup) {
  checkRows({0, 0, 90, 0}, 40, 30, true, false, machines()[0]);
  checkReduction({0, 600, 0}, 20, 40, true, machines()[0]);
}

TEST(GroupedMatmul, RaggedReduction) {
  unsigned number = 0;
  for (const cpu::CpuMachine &machine : machines())
    for (int64_t m : {1, 127})
      for (int64_t n : {3, 127})
        // An empty group leaves a tied C as it was and clears a fresh one.
        checkReduction({1, 0, 300, 16, 0}, m, n, number++ & 1, machine);
}

} // namespace
