//===- RandomWord.h - the random numbers that drop, by their definition ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_SUPPORT_RANDOMWORD_H
#define CONTRAFLOW_TEST_SUPPORT_RANDOMWORD_H

#include "runtime/base/Random.h"

namespace contraflow::test {

/// Two words of a random key, and the coordinates of a point: see nn.dropout and nn.attention.
struct RandomPoint {
  uint32_t key0, key1, row, column, stream, slice;
};

/// Words 0 and 1 of a counter are the runtime's counter, words 2 and 3 its stream.
inline uint32_t randomWord(const RandomPoint &p) {
  base::Philox random(uint64_t(p.key1) << 32 | p.key0, uint64_t(p.slice) << 32 | p.stream);
  return random.words(uint64_t(p.row / 4) << 32 | p.column)[p.row % 4];
}

} // namespace contraflow::test

#endif
