//===- KernelBenchmark.cpp - GFLOP/s of generated kernels -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counters: `GFLOPs` of the fastest iteration; `peak%`, its share of the machine's FMA peak, which is sampled
// between iterations because the clock moves, times the number of threads. The last argument of every
// benchmark is the number of threads.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/cpu/Pool.h"
#include "test/support/JitModule.h"
#include "test/support/KernelText.h"

#include "benchmark/benchmark.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <random>
#include <sys/mman.h>

using namespace contraflow;
using namespace contraflow::test;

namespace {

double seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(kLanes * 4)));

/// GFLOP/s of twelve independent chains of FMA on this core, for about half a millisecond.
double samplePeak() {
  constexpr int kSteps = 6000;
  Vector a = Vector{} + 1.0f, b = Vector{} + 1e-9f;
  Vector s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{}, s10{}, s11{};
  asm volatile("" : "+v"(a), "+v"(b));
  double start = seconds(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < kSteps; ++i) {
    s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b, s4 = s4 * a + b, s5 = s5 * a + b;
    s6 = s6 * a + b, s7 = s7 * a + b, s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;
    // Without this the loop would be computed in one go.
    asm volatile("" : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5));
    asm volatile("" : "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9), "+v"(s10), "+v"(s11));
  }
  return 2.0 * kLanes * 12 * kSteps / (seconds(CLOCK_THREAD_CPUTIME_ID) - start) * 1e-9;
}

mlir::MLIRContext &context() {
  static std::unique_ptr<mlir::MLIRContext> instance = makeKernelContext();
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

/// Runs a kernel until the benchmark has enough; the fastest iteration counts. One thread is timed by its
/// processor time, so that other programs on the machine disturb less.
void measure(benchmark::State &state, const ParsedKernel &parsed, llvm::ArrayRef<void *> bases, double flops,
             int threads) {
  std::unique_ptr<JitModule> module;
  if (parsed.op)
    module = JitModule::compile(*parsed.module, machineFor(), reinterpret_cast<void *>(&cf_parallel_for));
  if (!module)
    return state.SkipWithError("does not compile");
  device::Pool pool(threads, module->object.scratchBytes);
  auto kernel = module->lookup("kernel");
  clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  double best = 1e9, peak = 0.0;
  for (auto _ : state) {
    double start = seconds(clock);
    kernel(bases.data());
    best = std::min(best, seconds(clock) - start);
    peak = std::max(peak, samplePeak());
  }
  state.counters["GFLOPs"] = flops / best * 1e-9;
  state.counters["peak%"] = 100.0 * flops / best * 1e-9 / (peak * threads);
  state.counters["compile_ms"] = module->compileSeconds * 1e3;
  state.counters["code_bytes"] = module->object.object.size();
}

//===----------------------------------------------------------------------===//
// Matrix products: x [T, I], w [O, I], dy [T, O]
//===----------------------------------------------------------------------===//

enum Direction { kForward, kInputGrad, kWeightGrad };

void linear(benchmark::State &state, Direction direction) {
  int64_t t = state.range(0), i = state.range(1), o = state.range(2);
  int64_t m = t, n = o, k = i;
  std::string types[2] = {tensorText({t, i}), tensorText({o, i})}, result = tensorText({t, o});
  const char *maps = "(d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)";
  if (direction == kInputGrad) {
    n = i, k = o;
    types[0] = tensorText({t, o});
    result = tensorText({t, i});
    maps = "(d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)";
  } else if (direction == kWeightGrad) {
    m = o, n = i, k = t;
    types[0] = tensorText({t, o});
    types[1] = tensorText({t, i});
    result = tensorText({o, i});
    maps = "(d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)";
  }
  std::string rest =
      llvm::formatv("maps [affine_map<(d0, d1, d2) -> {0}>, affine_map<(d0, d1, d2) -> (d0, d1)>] "
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
    for (auto [i, o] : std::initializer_list<std::pair<int, int>>{{256, 128},
                                                                  {128, 384},
                                                                  {256, 192},
                                                                  {128, 512},
                                                                  {256, 256},
                                                                  {256, 1024},
                                                                  {1024, 256},
                                                                  {512, 512},
                                                                  {256, 264}})
      benchmark->Args({2048, i, o, threads});
}

BENCHMARK_CAPTURE(linear, forward, kForward)->Apply(linearArguments);
BENCHMARK_CAPTURE(linear, input_grad, kInputGrad)->Apply(linearArguments);
BENCHMARK_CAPTURE(linear, weight_grad, kWeightGrad)->Apply(linearArguments);

//===----------------------------------------------------------------------===//
// Experts, whose groups of rows have all sizes around the mean
//===----------------------------------------------------------------------===//

std::vector<int32_t> makeOffsets(int64_t rows, int64_t experts) {
  std::vector<int32_t> offsets(experts + 1);
  for (int64_t i = 0; i <= experts; ++i) {
    double x = static_cast<double>(i) / experts;
    offsets[i] = static_cast<int32_t>(rows * x * (0.75 + 0.25 * x));
  }
  return offsets;
}

void grouped(benchmark::State &state, Direction direction) {
  int64_t r = state.range(0), e = state.range(1), i = state.range(2), o = state.range(3);
  std::string types[3] = {tensorText({r, i}), tensorText({e, o, i}), tensorText({e + 1}, " : i32")};
  std::string result = tensorText({r, o}), kind = "rows";
  std::array<int64_t, 4> domain = {e, r, o, i};
  std::string maps[3] = {"d1, d3", "d0, d2, d3", "d1, d2"};
  if (direction == kInputGrad) {
    domain = {e, r, i, o};
    types[0] = tensorText({r, o});
    result = tensorText({r, i});
    maps[1] = "d0, d3, d2";
  } else if (direction == kWeightGrad) {
    domain = {e, o, i, r};
    types[0] = tensorText({r, o});
    types[1] = tensorText({r, i});
    result = tensorText({e, o, i});
    kind = "reduction";
    maps[0] = "d3, d1";
    maps[1] = "d3, d2";
    maps[2] = "d0, d1, d2";
  }
  auto map = [](llvm::StringRef results) {
    return ("affine_map<(d0, d1, d2, d3) -> (" + results + ")>").str();
  };
  std::string head = llvm::formatv("#nn.grouped_matmul<{0}> domain [{1}, {2}, {3}, {4}]", kind, domain[0],
                                   domain[1], domain[2], domain[3]);
  std::string tail = llvm::formatv("maps [{0}, {1}, {2}, {3}] gathers [[], [], [], []] tied [-1] -> {4}",
                                   map(maps[0]), map(maps[1]), map("d0"), map(maps[2]), result);
  Buffer x(r * std::max(i, o)), w(std::max(e * i * o, r * i)), y(std::max(r * std::max(i, o), e * i * o));
  std::vector<int32_t> offsets = makeOffsets(r, e);
  measure(state, parseKernel(context(), head, types, tail),
          {x.pointer(), w.pointer(), offsets.data(), y.pointer()}, 2.0 * r * i * o, state.range(4));
}

void groupedArguments(benchmark::internal::Benchmark *benchmark) {
  benchmark->ArgNames({"rows", "experts", "I", "O", "threads"});
  for (int threads : {1, 2}) {
    benchmark->Args({8192, 16, 256, 128, threads});
    benchmark->Args({8192, 16, 128, 256, threads});
    benchmark->Args({1024, 64, 512, 256, threads});
  }
}

BENCHMARK_CAPTURE(grouped, forward, kForward)->Apply(groupedArguments);
BENCHMARK_CAPTURE(grouped, input_grad, kInputGrad)->Apply(groupedArguments);
BENCHMARK_CAPTURE(grouped, weight_grad, kWeightGrad)->Apply(groupedArguments);

//===----------------------------------------------------------------------===//
// Causal attention; only products of visible keys count
//===----------------------------------------------------------------------===//

void attention(benchmark::State &state, bool gradient) {
  int64_t b = state.range(0), s = state.range(1), h = state.range(2), d = state.range(3), dv = state.range(4);
  std::string q = tensorText({b * s, h * d}), v = tensorText({b * s, h * dv}), l = tensorText({b * s, h});
  auto map = [&](std::string column) -> std::string {
    return llvm::formatv("affine_map<(d0, d1, d2, d3, d4) -> (d0 * {0} + d1, {1})>", s, column);
  };
  std::string mapQ = map(llvm::formatv("d2 * {0} + d3", d)), mapV = map(llvm::formatv("d2 * {0} + d4", dv));
  std::string mapL = map("d2");
  std::string head =
      llvm::formatv("#nn.{0}<heads = {1}, kvHeads = {1}, seq = {2}, scale = 0.1 : f32, causal = true> "
                    "domain [{3}, {2}, {1}, {4}, {5}]",
                    gradient ? "attention_grad" : "attention", h, s, b, d, dv);
  std::vector<std::string> types = {q, q, v}, maps = {mapQ, mapQ, mapV}, results = {v, l};
  if (gradient) {
    types.insert(types.end(), {v, l, v});
    maps.insert(maps.end(), {mapV, mapL, mapV, mapQ, mapQ, mapV});
    results = {q, q, v};
  } else {
    maps.insert(maps.end(), {mapV, mapL});
  }
  std::string tail = llvm::formatv("maps [{0}] gathers [{1}] tied [{2}] -> {3}", llvm::join(maps, ", "),
                                   llvm::join(std::vector<std::string>(maps.size(), "[]"), ", "),
                                   gradient ? "-1, -1, -1" : "-1, -1", llvm::join(results, ", "));
  std::vector<Buffer> buffers;
  std::vector<void *> bases;
  for (size_t i = 0; i < maps.size(); ++i)
    buffers.emplace_back(b * s * h * std::max(d, dv));
  for (Buffer &buffer : buffers)
    bases.push_back(buffer.pointer());
  double pairs = b * h * (s * (s + 1) / 2.0);
  measure(state, parseKernel(context(), head, types, tail), bases,
          2.0 * pairs * (gradient ? 3 * d + 2 * dv : d + dv), state.range(5));
}

void attentionArguments(benchmark::internal::Benchmark *benchmark) {
  benchmark->ArgNames({"B", "S", "H", "D", "Dv", "threads"});
  for (int threads : {1, 2}) {
    benchmark->Args({4, 512, 4, 96, 64, threads});
    benchmark->Args({4, 1024, 8, 96, 64, threads});
  }
}

BENCHMARK_CAPTURE(attention, forward, false)->Apply(attentionArguments);
BENCHMARK_CAPTURE(attention, gradient, true)->Apply(attentionArguments);

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
