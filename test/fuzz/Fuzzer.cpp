//===- Fuzzer.cpp - libFuzzer's entry point, once per target --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Built with CONTRAFLOW_FUZZ_TARGET, the name of a function of Targets.h.
//===----------------------------------------------------------------------===//
#include "test/fuzz/Mutator.h"
#include "test/fuzz/Targets.h"

#include <algorithm>
#include <cstdint>
#include <string>

// Names and types are libFuzzer's.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  contraflow::fuzz::CONTRAFLOW_FUZZ_TARGET({reinterpret_cast<const char *>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

#if CONTRAFLOW_FUZZ_TEXT
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  // Half of the mutants change words; the other half are libFuzzer's, which knows the dictionary.
  if (seed % 2 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::string text = contraflow::fuzz::mutateWords({reinterpret_cast<const char *>(data), size}, seed / 2);
  size = std::min(text.size(), maxSize);
  std::copy_n(text.data(), size, data);
  return size;
}
#endif
// NOLINTEND(readability-identifier-naming)
