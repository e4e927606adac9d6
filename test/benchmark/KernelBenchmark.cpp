//===- KernelBenchmark.cpp - GFLOP/s of generated kernels -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counters: `GFLOPs` of the fastest iteration, `peak` its share of the machine's FMA peak, measured at start and
// multiplied by the number of threads. The last argument of every benchmark is the number of threads.
//
//===----------------------------------------------------------------------===//
#include "test/support/KernelJit.h"

#include "benchmark/benchmark.h"
#include "llvm/Support/FormatVariadic.h"

#include <chrono>
#include <cstdlib>
#include <random>
#include <sys/mman.h>

using namespace contraflow;
using namespace contraflow::test;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(kLanes * 4)));

/// FMA peak of one core in GFLOP/s: twelve independent chains, best of many repeats.
double measurePeak() {
  constexpr int kSteps = 20000;
  double best = 0.0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    Vector a = Vector{} + 1.0f, b = Vector{} + 1e-9f;
    Vector s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{}, s10{}, s11{};
    asm volatile("" : "+v"(a), "+v"(b));
    double start = now();
    for (int i = 0; i < kSteps; ++i) {
      s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b, s4 = s4 * a + b, s5 = s5 * a + b;
      s6 = s6 * a + b, s7 = s7 * a + b, s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;
      // Without this the loop would be computed in one go.
      asm volatile("" : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5));
      asm volatile("" : "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9), "+v"(s10), "+v"(s11));
    }
    best = std::max(best, 2.0 * kLanes * 12 * kSteps / (now() - start) * 1e-9);
  }
  return best;
}

double peak() {
  static double value = measurePeak();
  return value;
}

mlir::MLIRContext &context() {
  static std::unique_ptr<mlir::MLIRContext> instance = makeContext();
  return *instance;
}

/// Floats in [-1, 1), in huge pages as the trainer's arena is.
class Buffer {
public:
  explicit Buffer(int64_t elements) {
    constexpr size_t kHugePage = 2 << 20;
    size_t bytes = (elements * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
    memory.reset(static_cast<float *>(std::aligned_alloc(kHugePage, bytes)));
    madvise(memory.get(), bytes, MADV_HUGEPAGE);
    std::mt19937 random(1);
    for (int64_t i = 0; i < elements; ++i)
      memory[i] = static_cast<int32_t>(random()) * 0x1p-31f;
  }
  void *pointer() { return memory.get(); }

private:
  struct Free {
    void operator()(float *p) const { std::free(p); }
  };
  std::unique_ptr<float[], Free> memory;
};

/// Runs a kernel until the benchmark has enough; the fastest iteration counts.
void measure(benchmark::State &state, const ParsedKernel &parsed, llvm::ArrayRef<void *> bases, double flops,
             int threads) {
  std::unique_ptr<JitKernel> kernel = parsed.op ? JitKernel::compile(parsed.op, hostTarget()) : nullptr;
  if (!kernel)
    return state.SkipWithError("does not compile");
  double best = 1e9;
  for (auto _ : state) {
    double start = now();
    kernel->run(bases, threads);
    best = std::min(best, now() - start);
  }
  state.counters["GFLOPs"] = flops / best * 1e-9;
  state.counters["peak%"] = 100.0 * flops / best * 1e-9 / (peak() * threads);
  state.counters["compile_ms"] = kernel->compileSeconds * 1e3;
}

std::string type(std::initializer_list<int64_t> shape, const char *element = "") {
  std::string text = "<";
  for (int64_t size : shape)
    text += (text.size() > 1 ? " x " : "") + std::to_string(size);
  return text + element + ">";
}

//===----------------------------------------------------------------------===//
// Matrix products: x [T, I], w [O, I], dy [T, O]
//===----------------------------------------------------------------------===//

enum Direction { kForward, kInputGrad, kWeightGrad };

void linear(benchmark::State &state, Direction direction) {
  int64_t t = state.range(0), i = state.range(1), o = state.range(2);
  int64_t m = t, n = o, k = i;
  std::string types[2] = {type({t, i}), type({o, i})}, result = type({t, o});
  const char *maps = "(d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)";
  if (direction == kInputGrad) {
    n = i, k = o;
    types[0] = type({t, o});
    result = type({t, i});
    maps = "(d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)";
  } else if (direction == kWeightGrad) {
    m = o, n = i, k = t;
    types[0] = type({t, o});
    types[1] = type({t, i});
    result = type({o, i});
    maps = "(d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)";
  }
  std::string rest = llvm::formatv("maps [affine_map<(d0, d1, d2) -> {0}>, affine_map<(d0, d1, d2) -> (d0, d1)>] "
                                   "gathers [[], [], []] tied [-1] -> {1}",
                                   maps, result);
  std::string domain = llvm::formatv("#nn.matmul domain [{0}, {1}, {2}]", m, n, k);
  ParsedKernel parsed = parseKernel(context(), domain, types, rest);
  Buffer a(m * k), b(n * k), c(m * n);
  measure(state, parsed, {a.pointer(), b.pointer(), c.pointer()}, 2.0 * m * n * k, state.range(3));
}

void linearArguments(benchmark::internal::Benchmark *benchmark) {
  benchmark->ArgNames({"T", "I", "O", "threads"});
  for (int threads : {1, 2})
    for (auto [i, o] : std::initializer_list<std::pair<int, int>>{
             {256, 128}, {128, 384}, {256, 192}, {128, 512}, {256, 256}, {256, 1024}, {1024, 256}, {512, 512}, {256, 264}})
      benchmark->Args({2048, i, o, threads});
}

BENCHMARK_CAPTURE(linear, forward, kForward)->Apply(linearArguments);
BENCHMARK_CAPTURE(linear, input_grad, kInputGrad)->Apply(linearArguments);
BENCHMARK_CAPTURE(linear, weight_grad, kWeightGrad)->Apply(linearArguments);

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("FMA peak of one core, GFLOP/s", std::to_string(peak()));
  benchmark::RunSpecifiedBenchmarks();
}
