//===- AttentionTest.cpp - attention of odd sizes, shared heads, documents //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/passes/lowering/cpu/KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace contraflow;
using namespace contraflow::test;

namespace {

struct Case {
  int64_t batch, seq, heads, kvHeads, size, valueSize;
  bool causal = true, documents = false;
  double scale = 0.5;
  bool drops = false;

  friend std::ostream &operator<<(std::ostream &out, const Case &p) {
    return out << "batch " << p.batch << " seq " << p.seq << " heads " << p.heads << "/" << p.kvHeads
               << " sizes " << p.size << ", " << p.valueSize << (p.causal ? " causal" : "")
               << (p.documents ? " documents" : "") << (p.drops ? " drops" : "");
  }
};

/// Text of the kernel: `inputs` and `results` name the kind of each operand.
class AttentionText {
public:
  explicit AttentionText(const Case &p) : p(p) {}

  std::vector<int64_t> shape(char kind) const {
    int64_t rows = p.batch * p.seq;
    switch (kind) {
    case 'q':
      return {rows, p.heads * p.size};
    case 'k':
      return {rows, p.kvHeads * p.size};
    case 'v':
      return {rows, p.kvHeads * p.valueSize};
    case 'o':
      return {rows, p.heads * p.valueSize};
    case 'l':
      return {rows, p.heads};
    case 'r':
      return {4};
    default:
      return {rows};
    }
  }
  std::string map(char kind) const {
    if (kind == 'r')
      return "affine_map<(d0, d1, d2, d3, d4) -> (0)>";
    std::string row = llvm::formatv("d0 * {0} + d1", p.seq), head;
    if (kind == 'q' || kind == 'k')
      head = llvm::formatv(", d2 * {0} + d3", p.size);
    else if (kind == 'v' || kind == 'o')
      head = llvm::formatv(", d2 * {0} + d4", p.valueSize);
    else if (kind == 'l')
      head = ", d2";
    return "affine_map<(d0, d1, d2, d3, d4) -> (" + row + head + ")>";
  }
  ParsedKernel parse(llvm::StringRef anchor, std::string inputs, llvm::StringRef results) const {
    std::vector<std::string> types;
    std::string maps, gathers, tied, resultTypes;
    for (char kind : inputs)
      types.push_back(tensorText(shape(kind), kind == 's' || kind == 'r' ? " : i32" : ""));
    for (char kind : inputs + results.str()) {
      maps += (maps.empty() ? "" : ", ") + map(kind);
      gathers += gathers.empty() ? "[]" : ", []";
    }
    for (char kind : results) {
      tied += tied.empty() ? "-1" : ", -1";
      resultTypes += (resultTypes.empty() ? "" : ", ") + tensorText(shape(kind));
    }
    std::string head = llvm::formatv(
        "#nn.{0}<heads = {1}, kvHeads = {2}, seq = {3}, scale = {4:F6} : f32, causal = {5}{9}{10}> "
        "domain [{6}, {3}, {1}, {7}, {8}]",
        anchor, p.heads, p.kvHeads, p.seq, p.scale, p.causal ? "true" : "false", p.batch, p.size, p.valueSize,
        llvm::StringRef(inputs).count('l') > 1 ? ", lseGrad = true" : "",
        p.drops ? ", drop = <threshold = 1288490189, scale = 1.428571 : f32, stream = 5>" : "");
    std::string rest =
        llvm::formatv("maps [{0}] gathers [{1}] tied [{2}] -> {3}", maps, gathers, tied, resultTypes);
    return parseKernel(context(), head, types, rest);
  }

private:
  const Case &p;
};

Array makeStarts(const Case &p, std::mt19937 &random) {
  Array starts({p.batch * p.seq});
  for (int64_t row = 0, begin = 0; row < starts.size(); ++row) {
    int64_t position = row % p.seq;
    if (position == 0)
      begin = 0;
    else if (random() % 40 == 0)
      begin = position;
    starts[row] = begin;
  }
  return starts;
}

std::vector<Array> makeInputs(const Case &p, const AttentionText &text, std::mt19937 &random) {
  std::vector<Array> inputs;
  for (char kind : {'q', 'k', 'v'})
    inputs.push_back(randomArray(text.shape(kind), random));
  if (p.documents)
    inputs.push_back(makeStarts(p, random));
  if (p.drops)
    inputs.push_back(Array({4}, std::vector<double>{-77777777, 123456789, 3, 0}));
  return inputs;
}

std::string extraInputs(const Case &p) { return std::string(p.documents ? "s" : "") + (p.drops ? "r" : ""); }

void checkForward(const Case &p, const cpu::CpuMachine &machine) {
  SCOPED_TRACE(testing::PrintToString(p) + " lanes " + std::to_string(machine.target.lanes));
  std::mt19937 random(p.seq);
  AttentionText text(p);
  std::vector<Array> inputs = makeInputs(p, text, random);
  // Scores of unit size have errors of a few units of 2^-24, which the exponential passes on.
  expectMatches(text.parse("attention", "qkv" + extraInputs(p), "ol"), inputs, machine, 2e-6, false);
}

/// Output and lse come from the interpreter, rounded to f32 as forward would leave them.
void checkGradient(const Case &p, const cpu::CpuMachine &machine, bool throughLse) {
  SCOPED_TRACE(testing::PrintToString(p) + " lanes " + std::to_string(machine.target.lanes));
  std::mt19937 random(p.seq);
  AttentionText text(p);
  std::vector<Array> inputs = makeInputs(p, text, random), outputs;
  ParsedKernel forward = text.parse("attention", "qkv" + extraInputs(p), "ol");
  std::vector<const Array *> pointers;
  for (const Array &input : inputs)
    pointers.push_back(&input);
  ASSERT_TRUE(mlir::succeeded(interpretKernel(forward.op, pointers, outputs)));
  for (Array &output : outputs)
    for (double &x : output.data)
      x = static_cast<float>(x);
  inputs.insert(inputs.begin() + 3, {outputs[0], outputs[1], randomArray(text.shape('o'), random)});
  std::string kinds = "qkvolo";
  if (throughLse) {
    inputs.insert(inputs.begin() + 6, randomArray(text.shape('l'), random));
    kinds += 'l';
  }
  expectMatches(text.parse("attention_grad", kinds + extraInputs(p), "qkv"), inputs, machine, 4e-6, false);
}

const Case kCases[] = {
    {2, 17, 2, 2, 5, 3},
    {1, 1, 1, 1, 1, 1},
    {1, 3, 1, 1, 17, 1},
    {2, 127, 2, 1, 16, 8},
    {1, 100, 4, 2, 12, 33, true, true},
    {1, 96, 3, 1, 33, 17, false},
    {2, 130, 2, 2, 31, 20, false, true},
    {1, 200, 2, 2, 35, 20},
    {1, 193, 2, 1, 9, 20, true, true, 1.5},
    {1, 250, 1, 1, 7, 5, true, false, -0.3},
    {2, 131, 4, 2, 12, 20, true, true, 0.5, true},
    {1, 98, 2, 2, 9, 17, false, false, 0.5, true},
    {3, 5, 2, 1, 3, 4, true, false, 0.5, true},
};

/// All cases on the widest machine, some on the others.
void forCases(void (*check)(const Case &, const cpu::CpuMachine &)) {
  for (const Case &p : kCases)
    check(p, machines()[0]);
  for (const cpu::CpuMachine &machine : llvm::drop_begin(machines()))
    for (int i : {0, 4, 6, 10})
      check(kCases[i], machine);
}

TEST(Attention, Forward) { forCases(checkForward); }

TEST(Attention, Gradient) {
  forCases([](const Case &p, const cpu::CpuMachine &machine) { checkGradient(p, machine, false); });
}

TEST(Attention, GradientThroughLse) {
  for (int i : {0, 1, 4, 5, 6, 11})
    checkGradient(kCases[i], machines()[0], true);
  for (const cpu::CpuMachine &machine : llvm::drop_begin(machines()))
    checkGradient(kCases[4], machine, true);
}

/// Scores of hundreds neither overflow nor lose the largest terms.
TEST(Attention, LargeScores) {
  Case p{1, 100, 1, 1, 64, 8, true, false, 20.0};
  std::mt19937 random(1);
  AttentionText text(p);
  expectMatches(text.parse("attention", "qkv", "ol"), makeInputs(p, text, random), machines()[0], 1e-4,
                false);
}

/// A row whose scores all overflowed is not a number, where a row that sees nothing would be zero.
TEST(Attention, OverflowedScores) {
  for (double scale : {0.5, -0.5}) {
    Case p{1, 20, 1, 1, 1, 3, true, false, scale};
    std::mt19937 random(1);
    AttentionText text(p);
    std::vector<Array> inputs = makeInputs(p, text, random);
    for (double &key : inputs[1].data)
      key = 1.0;
    inputs[0][7] = scale > 0 ? -INFINITY : INFINITY;
    for (const cpu::CpuMachine &machine : machines())
      expectMatches(text.parse("attention", "qkv", "ol"), inputs, machine, 2e-6, false);
  }
}

} // namespace
