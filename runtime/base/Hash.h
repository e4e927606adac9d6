//===- Hash.h - one 64-bit hash for checksums, file identity and names ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_HASH_H
#define CONTRAFLOW_RUNTIME_BASE_HASH_H

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace contraflow::base {

/// The finalizer of splitmix64: every input bit reaches every output bit.
inline uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

/// A hash of the bytes, eight at a time. It is stored in files, so it must never change.
inline uint64_t hash64(std::string_view bytes, uint64_t seed = 0) {
  uint64_t state = mix(seed + 0x9e3779b97f4a7c15ull + bytes.size());
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    state = (state ^ mix(word)) * 0x9e3779b97f4a7c15ull + (state >> 29);
  }
  uint64_t tail = 0;
  if (at < bytes.size())
    std::memcpy(&tail, bytes.data() + at, bytes.size() - at);
  return mix(state ^ mix(tail + 1));
}

/// Sixteen hexadecimal digits.
inline std::string hashText(uint64_t hash) {
  std::string digits(16, '0');
  for (size_t i = digits.size(); i-- > 0; hash >>= 4)
    digits[i] = "0123456789abcdef"[hash & 15];
  return digits;
}

} // namespace contraflow::base

#endif
