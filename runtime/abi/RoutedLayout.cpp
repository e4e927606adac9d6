//===- RoutedLayout.cpp - sizes and rounds of routed rows -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/RoutedLayout.h"

#include <algorithm>

namespace contraflow::abi {

int64_t RoutedLayout::getPieceTokens() const {
  int64_t most = std::min(rows / ranks, choices / (ranks * std::min(topK, experts)));
  return std::min(most, tokens);
}

/// Whether `size` consecutive counts add up to `room` at most, from every multiple of `size` on.
static bool fits(const std::vector<int64_t> &counts, int64_t size, int64_t room) {
  int64_t sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    sum = (i % size == 0 ? 0 : sum) + counts[i];
    if (sum > room)
      return false;
  }
  return true;
}

int64_t fitPieces(const RoutedLayout &layout, const std::vector<int64_t> &rows,
                  const std::vector<int64_t> &choices) {
  int64_t size = layout.getPieces();
  while (size > 1 && !(fits(rows, size, layout.rows) && fits(choices, size, layout.choices)))
    --size;
  return size;
}

} // namespace contraflow::abi
