#!/usr/bin/env python3
"""Mutates a sample, compiles it once, and runs every mutant: each changes what the sample prints, number 0 nothing.
Then says whether the tree has mutants enough.

usage: test/mutation/check.py FOLDER
"""
import pathlib
import subprocess
import sys

import mutants
import run

SAMPLE = """
#include <algorithm>
#include <cstdio>

namespace mlir {
bool success() { return true; }
bool failure() { return false; }
} // namespace mlir
using namespace mlir;

struct Check {
  bool atMost(int a, int b) const { return a <= b; }
};
struct Builder {
  int getLhs() const { return 3; }
  int getRhs() const { return 4; }
  int addf(int a, int b) const { return a + b; }
  int subf(int a, int b) const { return a - b; }
  int select(bool condition, int a, int b) const { return condition ? a : b; }
};

// A comment: a < b, if (false) return success();
bool verify(int a, int b) {
  Check check;
  const char *text = "a < b";
  if (a > 2 && *text == 'a' &&
      b > 1)
    return failure();
  if (!check.atMost(a, 4))
    return false;
  return success();
}

int compute(const Builder &e, int a, int b) {
  int sum = e.addf(a * b, e.getLhs());
  sum += std::max(a, b);
  constexpr int kConstant = 2 + 1;
  return e.select(a < b, sum - kConstant, sum % 5);
}

int main() {
  for (int a = 0; a < 6; ++a)
    for (int b = 0; b < 4; ++b)
      std::printf("%d %d ", verify(a, b), compute(Builder(), a, b));
}
"""


def batches(found):
    """Mutants by number, in sets whose places do not overlap."""
    sets = []
    for number, mutant in enumerate(sorted(found, key=lambda m: (m.begin, m.kind, m.change)), 1):
        for members in sets:
            if not any(run.overlap(mutant, other) for other in members.values()):
                members[number] = mutant
                break
        else:
            sets.append({number: mutant})
    return sets


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    found = [m for m in mutants.find_mutants("sample.cpp", SAMPLE, "verify|compute") if "kConstant =" not in m.line]
    lines, originals = {}, set()
    for members in batches(found):
        (folder / "sample.cpp").write_text(mutants.apply(SAMPLE, members))
        subprocess.run(["clang++-22", "-std=c++20", "-w", f"-I{run.ROOT}", folder / "sample.cpp", "-o",
                        folder / "sample"], check=True)
        def output(active):
            return subprocess.run([folder / "sample"], env={"CONTRAFLOW_MUTANT": str(active)}, check=True,
                                  stdout=subprocess.PIPE).stdout
        originals.add(output(0))
        for number, mutant in members.items():
            same = " SAME" if output(number) in originals else ""
            lines[number] = f"{mutant.kind}: {mutant.change}{same}"
    print("\n".join(lines[number] for number in sorted(lines)))
    print(f"{len(originals)} output without a mutant")
    chosen = run.choose(32, set())
    for group in run.GROUPS:
        print(f"{group}: {sum(mutant.group == group for mutant in chosen.values())}")


main()
