//===- MatmulTest.cpp - matrix products of every orientation and odd size -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/passes/lowering/cpu/KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace contraflow;
using namespace contraflow::test;

namespace {

/// One operand: transposed or not, whole or a slice of columns [3, 3 + columns) of a tensor with 5 more.
struct Layout {
  bool transposed = false;
  bool slice = false;

  std::vector<int64_t> shape(int64_t rows, int64_t columns) const {
    if (transposed)
      std::swap(rows, columns);
    return {rows, columns + (slice ? 5 : 0)};
  }
  std::string map(std::string row, std::string column) const {
    if (transposed)
      std::swap(row, column);
    return "affine_map<(d0, d1, d2) -> (" + row + ", " + column + (slice ? " + 3" : "") + ")>";
  }
};

struct Case {
  int64_t m, n, k;
  Layout a, b, c;
  bool tied = false;

  friend std::ostream &operator<<(std::ostream &out, const Case &p) {
    auto text = [](Layout layout) {
      return std::string(layout.transposed ? "T" : "N") + (layout.slice ? "s" : "");
    };
    return out << p.m << "x" << p.n << "x" << p.k << " A" << text(p.a) << " B" << text(p.b) << " C"
               << text(p.c) << (p.tied ? " tied" : "");
  }
};

void check(const Case &p, const cpu::CpuMachine &machine) {
  SCOPED_TRACE(testing::PrintToString(p) + " lanes " + std::to_string(machine.target.lanes));
  std::mt19937 random(p.m * 31 + p.n * 7 + p.k);
  std::vector<int64_t> a = p.a.shape(p.m, p.k), b = p.b.shape(p.k, p.n), c = p.c.shape(p.m, p.n);
  std::vector<Array> inputs = {randomArray(a, random), randomArray(b, random)};
  std::vector<std::string> types = {tensorText(a), tensorText(b)};
  std::string mapA = p.a.map("d0", "d2"), mapB = p.b.map("d2", "d1"), mapC = p.c.map("d0", "d1");
  if (p.tied) {
    inputs.push_back(randomArray(c, random));
    types.push_back(tensorText(c));
  }
  std::string rest =
      llvm::formatv("maps [{0}, {1}, {2}{3}] gathers [[], [], []{4}] tied [{5}] -> {6}", mapA, mapB, mapC,
                    p.tied ? ", " + mapC : "", p.tied ? ", []" : "", p.tied ? 2 : -1, tensorText(c));
  ParsedKernel kernel = parseKernel(
      context(), llvm::formatv("#nn.matmul domain [{0}, {1}, {2}]", p.m, p.n, p.k).str(), types, rest);
  // A chain of k roundings, each of half a unit of 2^-24, that rarely add up.
  expectMatches(kernel, inputs, machine, 4.0 * std::sqrt(p.k + 4.0) * 0x1p-24, /*relativeToMagnitudes=*/true);
}

/// All combinations of orientation, slices and ties, by number.
Case variant(int64_t m, int64_t n, int64_t k, unsigned number) {
  auto bit = [&](int i) { return (number >> i & 1) != 0; };
  return {m, n, k, {bit(0), bit(4)}, {bit(1), bit(5)}, {bit(2), bit(6)}, bit(3)};
}

TEST(Matmul, OddSizes) {
  // An odd multiplier visits all variants, in an order unrelated to the sizes.
  unsigned number = 0;
  for (int64_t m : {1, 3, 17, 127})
    for (int64_t n : {1, 3, 17, 127})
      for (int64_t k : {1, 17, 127})
        check(variant(m, n, k, number++ * 37), machines()[0]);
  for (const cpu::CpuMachine &machine : llvm::drop_begin(machines()))
    for (int64_t m : {3, 127})
      for (int64_t n : {1, 17, 35})
        check(variant(m, n, 18, number++ * 37), machine);
}

TEST(Matmul, EveryOrientation) {
  for (unsigned number = 0; number < 128; number += 3)
    check(variant(29, 45, 18, number), machines()[number % machines().size()]);
}

TEST(Matmul, BlocksOfDepth) {
  for (unsigned number : {0, 1, 2, 3, 8, 9})
    check(variant(17, 40, 2309, number), machines()[0]);
}

TEST(Matmul, BlocksOfRowsAndColumns) {
  for (unsigned number : {0, 3, 12})
    check(variant(500, 40, 600, number), machines()[0]);
}

/// C whose rows and columns are both strided is written element by element.
TEST(Matmul, ScattersStridedColumns) {
  std::mt19937 random(1);
  for (bool tied : {false, true}) {
    std::vector<Array> inputs = {randomArray({30, 20}, random), randomArray({20, 40}, random)};
    std::vector<std::string> types = {"<30 x 20>", "<20 x 40>"};
    std::string c = "affine_map<(d0, d1, d2) -> (d0, d1 * 2 + 1)>";
    if (tied) {
      inputs.push_back(randomArray({30, 81}, random));
      types.push_back("<30 x 81>");
    }
    std::string rest =
        llvm::formatv("maps [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, "
                      "{0}{1}] gathers [[], [], []{2}] tied [{3}] -> <30 x 81>",
                      c, tied ? ", " + c : "", tied ? ", []" : "", tied ? 2 : -1);
    ParsedKernel kernel = parseKernel(context(), "#nn.matmul domain [30, 40, 20]", types, rest);
    expectMatches(kernel, inputs, machines()[0], 1e-6, true);
  }
}

} // namespace
