//===- Generator.cpp - text that a model writes ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Generator.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace contraflow::train {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

int64_t sample(std::span<const float> logits, double temperature, double uniform,
               const std::function<bool(int64_t)> &allowed) {
  int64_t best = -1;
  for (int64_t i = 0; i < int64_t(logits.size()); ++i)
    if (allowed(i) && (best < 0 || logits[size_t(i)] > logits[size_t(best)]))
      best = i;
  if (best < 0 || temperature <= 0)
    return best;
  auto weight = [&](int64_t i) {
    return allowed(i) ? std::exp((double(logits[size_t(i)]) - double(logits[size_t(best)])) / temperature)
                      : 0.0;
  };
  double sum = 0;
  for (int64_t i = 0; i < int64_t(logits.size()); ++i)
    sum += weight(i);
  double rest = uniform * sum;
  for (int64_t i = 0; i < int64_t(logits.size()); ++i) {
    rest -= weight(i);
    if (rest < 0)
      return i;
  }
  return best;
}

void generate(executor::Executor &executor, std::string_view prompt, const SamplingOptions &options,
              const std::function<void(char)> &write) {
  const abi::Manifest &manifest = executor.getManifest();
  const executor::Table &table = executor.getTable("generate");
  const abi::Output *output = manifest.findOutput("generate", "logits");
  if (!output || output->shape != std::vector<int64_t>{manifest.seq, manifest.vocab} ||
      manifest.inputs.generateTokens < 0)
    throw Error(message<ErrorId::GenerateOutput>(manifest.seq, manifest.vocab));
  if (manifest.eos >= manifest.vocab || manifest.vocab < 256)
    throw Error(message<ErrorId::GenerateVocabulary>(manifest.vocab));
  std::span<int32_t> input = executor.ids(manifest.inputs.generateTokens, manifest.seq);
  if (manifest.inputs.generateStarts >= 0)
    std::ranges::fill(executor.ids(manifest.inputs.generateStarts, manifest.seq), 0);
  std::span<float> logits = executor.floats(output->offset, manifest.seq * manifest.vocab);

  std::vector<int32_t> ids;
  if (options.fromStart || prompt.empty())
    ids.push_back(int32_t(manifest.bos));
  for (char byte : prompt)
    ids.push_back(int32_t(uint8_t(byte)));
  base::Philox random(options.seed, base::hash64("sample"));
  for (int64_t step = 0; step < options.length; ++step) {
    size_t visible = std::min(ids.size(), input.size());
    std::fill(std::copy(ids.end() - int64_t(visible), ids.end(), input.begin()), input.end(), -1);
    executor.run(table);
    std::span<float> last = logits.subspan((visible - 1) * size_t(manifest.vocab), size_t(manifest.vocab));
    if (!std::all_of(last.begin(), last.end(), [](float value) { return std::isfinite(value); }))
      throw Error(message<ErrorId::LogitsNotFinite>(step));
    int64_t id = sample(last, options.temperature, random.uniform(uint64_t(step)),
                        [&](int64_t candidate) { return candidate < 256 || candidate == manifest.eos; });
    if (id == manifest.eos)
      return;
    ids.push_back(int32_t(id));
    write(char(uint8_t(id)));
  }
}

} // namespace contraflow::train
