//===- Random.h - counter-based random numbers ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_RANDOM_H
#define CONTRAFLOW_RUNTIME_BASE_RANDOM_H

#include <array>
#include <cstdint>

namespace contraflow::base {

/// Philox 4x32-10 (Salmon et al., SC 2011). A number is a function of key and counter, so that no
/// state has to be saved in a checkpoint and threads can start anywhere.
class Philox {
public:
  Philox(uint64_t key, uint64_t stream) : key(key), stream(stream) {}

  /// The four 32-bit words at position `counter` of this stream.
  std::array<uint32_t, 4> words(uint64_t counter) const {
    std::array<uint32_t, 4> x = {uint32_t(counter), uint32_t(counter >> 32), uint32_t(stream),
                                 uint32_t(stream >> 32)};
    uint32_t key0 = uint32_t(key), key1 = uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round) {
      uint64_t product0 = uint64_t(0xD2511F53u) * x[0];
      uint64_t product1 = uint64_t(0xCD9E8D57u) * x[2];
      x = {uint32_t(product1 >> 32) ^ x[1] ^ key0, uint32_t(product1), uint32_t(product0 >> 32) ^ x[3] ^ key1,
           uint32_t(product0)};
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    return x;
  }

  uint64_t bits(uint64_t counter) const {
    std::array<uint32_t, 4> x = words(counter);
    return uint64_t(x[0]) << 32 | x[1];
  }

  /// A number in [0, 1) with 53 bits.
  double uniform(uint64_t counter) const { return double(bits(counter) >> 11) * 0x1p-53; }

  /// A number in [0, bound), bound > 0, by the high half of a product (bias below bound / 2^64).
  uint64_t below(uint64_t counter, uint64_t bound) const {
    return uint64_t((static_cast<unsigned __int128>(bits(counter)) * bound) >> 64);
  }

private:
  uint64_t key;
  uint64_t stream;
};

} // namespace contraflow::base

#endif
