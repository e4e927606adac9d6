//===- Targets.h - what fuzzers feed --------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_FUZZ_TARGETS_H
#define CONTRAFLOW_TEST_FUZZ_TARGETS_H

#include <cstddef>
#include <string_view>

namespace contraflow::fuzz {

/// Takes any bytes. Returns where the product accepts them and where it refuses them with a message; aborts
/// where it breaks a promise, such as a refusal without a message.
using Run = void (*)(std::string_view input);

/// A file that users write or that comes from elsewhere. `name` is the argument of `./dev fuzz` and the
/// folder of `test/fuzz/corpus`.
struct Target {
  std::string_view name;
  Run run;
};

void runRunFile(std::string_view input);
void runConfig(std::string_view input);
void runModel(std::string_view input);
void runIr(std::string_view input);
void runSafetensors(std::string_view input);
void runManifest(std::string_view input);

constexpr Target kTargets[] = {
    {"run-file", runRunFile},        {"config", runConfig},    {"model", runModel}, {"ir", runIr},
    {"safetensors", runSafetensors}, {"manifest", runManifest}};

/// Aborts with a message where `condition` is false: what libFuzzer and the tests count as a crash.
void require(bool condition, const char *promise);

} // namespace contraflow::fuzz

#endif
