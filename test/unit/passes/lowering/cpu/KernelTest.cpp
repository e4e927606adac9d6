//===- KernelTest.cpp - compiled kernels against the interpreter ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/passes/lowering/cpu/KernelTest.h"

#include <cmath>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace contraflow;
using namespace contraflow::test;

namespace {

/// Four-byte elements that end where a page without access begins, and begin after known bytes.
class GuardedMemory {
public:
  explicit GuardedMemory(int64_t elements) : elements(elements) {
    size_t page = sysconf(_SC_PAGESIZE), bytes = (elements * 4 + kHead + page - 1) / page * page;
    mapped = bytes + page;
    memory = static_cast<char *>(
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(memory, kMark, bytes);
    mprotect(memory + bytes, page, PROT_NONE);
    begin = memory + bytes - elements * 4;
  }
  ~GuardedMemory() { munmap(memory, mapped); }
  GuardedMemory(const GuardedMemory &) = delete;

  void *pointer() { return begin; }
  int64_t size() const { return elements; }
  bool isHeadIntact() const {
    return std::all_of(begin - kHead, begin, [](char c) { return c == static_cast<char>(kMark); });
  }
  void fill(const Array &values, bool isInteger) {
    for (int64_t i = 0; i < elements; ++i)
      if (isInteger)
        reinterpret_cast<int32_t *>(begin)[i] = static_cast<int32_t>(values[i]);
      else
        reinterpret_cast<float *>(begin)[i] = static_cast<float>(values[i]);
  }
  float operator[](int64_t i) const { return reinterpret_cast<const float *>(begin)[i]; }
  bool sameBits(const GuardedMemory &other) const {
    return std::memcmp(begin, other.begin, elements * 4) == 0;
  }

private:
  static constexpr int64_t kHead = 64;
  static constexpr int kMark = 0xff; // a NaN
  int64_t elements;
  size_t mapped;
  char *memory, *begin;
};

using Memories = std::vector<std::unique_ptr<GuardedMemory>>;

/// Runs the kernel in fresh memory, inputs first, then fresh results.
Memories runKernel(nn::KernelOp op, JitModule &jit, llvm::ArrayRef<Array> inputs, int threads) {
  Memories memories;
  std::vector<void *> bases;
  for (auto [i, input] : llvm::enumerate(inputs)) {
    memories.push_back(std::make_unique<GuardedMemory>(input.size()));
    memories.back()->fill(input, op.getInputType(i).getElementType().isInteger(32));
  }
  for (unsigned i = 0; i < op->getNumResults(); ++i)
    if (op.getTied()[i] < 0)
      memories.push_back(std::make_unique<GuardedMemory>(op.getResultType(i).getNumElements()));
  for (auto &memory : memories)
    bases.push_back(memory->pointer());
  jit.call("kernel", bases, {threads, /*backwards=*/threads > 1});
  return memories;
}

std::vector<Array> interpret(nn::KernelOp op, llvm::ArrayRef<Array> inputs) {
  std::vector<const Array *> pointers;
  for (const Array &input : inputs)
    pointers.push_back(&input);
  std::vector<Array> results;
  if (mlir::failed(interpretKernel(op, pointers, results)))
    results.clear();
  return results;
}

} // namespace

namespace contraflow::test {

Array randomArray(llvm::ArrayRef<int64_t> shape, std::mt19937 &random) {
  Array array(shape);
  for (double &x : array.data)
    x = static_cast<float>(static_cast<int32_t>(random()) * 0x1p-31);
  return array;
}

const std::vector<cpu::CpuMachine> &machines() {
  static const std::vector<cpu::CpuMachine> list = [] {
    std::vector<cpu::CpuMachine> list;
    for (llvm::StringRef isa : {"native", "x86-64-v3", "x86-64-v2"}) {
      cpu::CpuMachine machine = machineFor(isa);
      if (list.empty() || machine.target.lanes < list.back().target.lanes)
        list.push_back(machine);
    }
    return list;
  }();
  return list;
}

void expectMatches(const ParsedKernel &kernel, llvm::ArrayRef<Array> inputs, const cpu::CpuMachine &machine,
                   double tolerance, bool relativeToMagnitudes) {
  nn::KernelOp op = kernel.op;
  ASSERT_TRUE(op);
  std::unique_ptr<JitModule> jit = JitModule::compile(*kernel.module, machine);
  ASSERT_TRUE(jit);
  Memories one = runKernel(op, *jit, inputs, 1), two = runKernel(op, *jit, inputs, 2);
  for (auto [i, memory] : llvm::enumerate(one)) {
    EXPECT_TRUE(memory->isHeadIntact()) << "write before operand " << i;
    EXPECT_TRUE(memory->sameBits(*two[i])) << "operand " << i << " depends on the number of threads";
  }

  std::vector<Array> expected = interpret(op, inputs), magnitudes;
  ASSERT_EQ(expected.size(), op->getNumResults());
  if (relativeToMagnitudes) {
    std::vector<Array> absolute(inputs.begin(), inputs.end());
    for (Array &input : absolute)
      for (double &x : input.data)
        x = std::abs(x);
    magnitudes = interpret(op, absolute);
  }
  unsigned fresh = inputs.size();
  for (unsigned r = 0; r < expected.size(); ++r) {
    const GuardedMemory &actual = *one[op.getTied()[r] >= 0 ? op.getTied()[r] : fresh++];
    double largest = 0.0;
    for (double x : expected[r].data)
      largest = std::max(largest, std::isnan(x) ? 0.0 : std::abs(x));
    for (int64_t i = 0; i < actual.size(); ++i) {
      double wanted = expected[r][i];
      // The interpreter leaves NaN in elements that the kernel does not write; memory was NaN, too.
      if (std::isnan(wanted)) {
        ASSERT_TRUE(std::isnan(actual[i]))
            << "result " << r << " element " << i << " is not the kernel's to write";
        continue;
      }
      double bound = tolerance * (relativeToMagnitudes ? std::abs(magnitudes[r][i]) : largest);
      ASSERT_LE(std::abs(actual[i] - wanted), bound)
          << "result " << r << " element " << i << ": found " << actual[i] << ", wanted " << wanted;
      ASSERT_FALSE(std::isnan(actual[i])) << "result " << r << " element " << i;
    }
  }
}

} // namespace contraflow::test
