//===- StepTest.cpp - a step in this process, its memory and its scalars --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Step.h"
#include "runtime/data/Sequences.h"
#include "runtime/metrics/EventFile.h"
#include "runtime/metrics/JsonLines.h"
#include "runtime/metrics/Memory.h"
#include "runtime/train/Initialize.h"
#include "test/unit/runtime/Support.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>

namespace {
std::atomic<int64_t> allocations{0};
} // namespace

#if __has_feature(thread_sanitizer)
// It has operators of its own, which do not give way.
constexpr bool kCounts = false;
#else
constexpr bool kCounts = true;

// Counts what this executable allocates with new, the runtime included.
void *operator new(size_t bytes) {
  ++allocations;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
#endif

namespace contraflow::train {

namespace {

TEST(Step, AllocatesNothing) {
  if (!kCounts)
    GTEST_SKIP() << "counts what is allocated in an uninstrumented program";
  abi::Manifest manifest = test::programManifest();
  executor::Executor executor(manifest, test::read(PROGRAM), 2);
  Settings settings = Settings::parse(manifest.run, {});
  initializeParameters(executor, 1, 0.01);
  Ranks alone;
  Step step(executor, settings, alone);
  std::vector<data::Document> documents = {{"a", 0, std::string(700, 'x'), 1},
                                           {"b", 0, std::string(90, 'y'), 2}};
  data::Sequences sequences(documents, manifest.seq, {256, 257}, 1, true);
  std::vector<int32_t> starts(size_t(manifest.seq));
  int64_t before = allocations;
  // More than one epoch of data.
  for (int64_t number = 1; number <= 20; ++number) {
    for (int64_t i = 0; i < 4; ++i)
      sequences.read(number * 4 + i, step.getTokens().subspan(size_t(i * manifest.seq), size_t(manifest.seq)),
                     starts);
    step.runGradients(number);
    step.readLosses(manifest.microBatches);
    step.runUpdate();
  }
  step.runEvaluate();
  EXPECT_EQ(allocations - before, 0);
}

TEST(Step, AllocatesNothingToReport) {
  if (!kCounts)
    GTEST_SKIP() << "counts what is allocated in an uninstrumented program";
  abi::Manifest manifest = test::programManifest();
  manifest.metrics.push_back({"layer.load", abi::MetricKind::Load, manifest.scalars, 8});
  test::Folder folder;
  metrics::Report report(manifest);
  metrics::JsonLines lines(folder / "lines", [](const std::string &) {});
  metrics::EventFile events(folder / "events");
  events.begin(0);
  std::vector<std::pair<std::string, double>> losses = {{"main", 0.1}};
  std::vector<double> sums(9, 1.0 / 3);
  metrics::Memory memory;
  int64_t before = 0;
  for (int64_t number = 1; number <= 20; ++number) {
    // The first reports make room for those that follow.
    if (number == 3)
      before = allocations;
    report.begin(number);
    report.set(metrics::Number::Loss, 0.1 * double(number));
    memory.look();
    report.set(metrics::Number::ResidentBytes, double(memory.resident));
    report.setLosses(losses);
    report.setMetrics(sums, 2);
    lines.write(report);
    events.write(report);
  }
  EXPECT_EQ(allocations - before, 0);
}

TEST(Step, AddsUpMetrics) {
  abi::Manifest manifest = test::programManifest();
  manifest.metrics.push_back({"layer.load", abi::MetricKind::Load, manifest.scalars, 2});
  executor::Executor executor(manifest, test::read(PROGRAM), 1);
  Settings settings = Settings::parse(manifest.run, {});
  Ranks alone;
  Step step(executor, settings, alone);
  ASSERT_EQ(step.getMetricCount(), 3u);
  std::vector<double> sums = {1, 0, 0};
  executor.floats(manifest.losses[0].offset, 1)[0] = 0.5;
  executor.floats(manifest.scalars, 2)[1] = 7;
  step.addMetrics(sums);
  step.addMetrics(sums);
  EXPECT_EQ(sums, (std::vector<double>{2, 0, 14}));
}

TEST(Step, WritesScalarsAndReadsLosses) {
  abi::Manifest manifest = test::programManifest();
  manifest.losses.push_back({"main", manifest.losses[0].offset, 0.5});
  manifest.losses.push_back({"other", manifest.losses[0].offset, 0.25});
  executor::Executor executor(manifest, test::read(PROGRAM), 1);
  Settings settings = Settings::parse(manifest.run, {"optimizer.warmup_steps=10"});
  Ranks alone;
  Step step(executor, settings, alone);
  std::ranges::fill(step.getTokens(), 'a');
  step.runGradients(3);
  std::span<float> scalars = executor.floats(manifest.scalars, CF_SCALAR_COUNT);
  EXPECT_FLOAT_EQ(scalars[CF_SCALAR_LEARNING_RATE], 0.015f);
  EXPECT_FLOAT_EQ(scalars[CF_SCALAR_BIAS_CORRECTION_1], float(1 - 0.9 * 0.9 * 0.9));
  EXPECT_FLOAT_EQ(scalars[CF_SCALAR_BIAS_CORRECTION_2], float(1 - 0.95 * 0.95 * 0.95));
  // The table is zero: half a squared error of one for 62 of 64 tokens, in each of two micro-batches.
  double value = 0.5 * 62 / 64;
  const Losses &losses = step.readLosses(2);
  ASSERT_EQ(losses.byName.size(), 2u);
  EXPECT_NEAR(losses.byName[0].second, 2 * value, 1e-5);
  EXPECT_NEAR(losses.byName[1].second, value, 1e-5);
  EXPECT_NEAR(losses.main, 2 * value, 1e-5);
  EXPECT_NEAR(losses.total, 1.75 * value, 1e-5);
  EXPECT_GT(step.getGradientNorm(), 0);
  EXPECT_EQ(step.getBadMicroBatch(), -1);
  // Only the second micro-batch is bad.
  step.getTokens()[64 + 5] = 1;
  step.runGradients(4);
  EXPECT_EQ(step.getBadMicroBatch(), 1);
  EXPECT_FALSE(std::isfinite(step.readLosses(2).total));
}

TEST(Step, WritesAKeyForEveryInstanceStepAndMicroBatch) {
  abi::Manifest manifest = test::programManifest();
  int64_t offset = manifest.arenaBytes;
  manifest.arenaBytes += 256;
  manifest.randomKeys = {{"layers.0", offset}, {"layers.1", offset + 64}};
  manifest.validate();
  auto keysOf = [&](int64_t step, const char *assignment) {
    executor::Executor executor(manifest, test::read(PROGRAM), 1);
    Settings settings = Settings::parse(manifest.run, {assignment});
    Ranks alone;
    Step run(executor, settings, alone);
    std::ranges::fill(run.getTokens(), 'a');
    run.runGradients(step);
    std::vector<std::vector<int32_t>> keys;
    for (int64_t at : {offset, offset + 16, offset + 64, offset + 80}) {
      std::span<int32_t> words = executor.ids(at, CF_RANDOM_KEY_WORDS);
      keys.emplace_back(words.begin(), words.end());
    }
    return keys;
  };
  auto first = keysOf(3, "seed=1");
  EXPECT_EQ(first, keysOf(3, "seed=1"));
  for (int m : {0, 1}) {
    EXPECT_EQ(first[size_t(m)][2], m);
    EXPECT_EQ(first[size_t(m)][3], 0);
  }
  auto wordsOf = [](const std::vector<int32_t> &key) { return std::pair(key[0], key[1]); };
  EXPECT_EQ(wordsOf(first[0]), wordsOf(first[1])) << "micro-batches share the words of a step";
  EXPECT_NE(wordsOf(first[0]), wordsOf(first[2])) << "instances do not";
  EXPECT_NE(wordsOf(first[0]), wordsOf(keysOf(4, "seed=1")[0]));
  EXPECT_NE(wordsOf(first[0]), wordsOf(keysOf(3, "seed=2")[0]));
}

} // namespace

} // namespace contraflow::train
