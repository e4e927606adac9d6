//===- Crc32c.h - the checksum of record files ----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_CRC32C_H
#define CONTRAFLOW_RUNTIME_BASE_CRC32C_H

#include <array>
#include <cstdint>
#include <string_view>

namespace contraflow::base {

/// CRC-32C (Castagnoli, RFC 3720 section 12.1), a byte at a time: for records of some kilobytes.
inline uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = [] {
    constexpr uint32_t kReversedPolynomial = 0x82f63b78;
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t value = byte;
      for (int bit = 0; bit < 8; ++bit)
        value = (value >> 1) ^ (value & 1 ? kReversedPolynomial : 0);
      table[byte] = value;
    }
    return table;
  }();
  uint32_t crc = 0xffffffff;
  for (char byte : bytes)
    crc = kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

} // namespace contraflow::base

#endif
