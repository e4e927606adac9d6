//===- Nearest.h - the known word that a misspelt one looks like ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_NEAREST_H
#define CONTRAFLOW_RUNTIME_BASE_NEAREST_H

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace contraflow::base {

/// Insertions, deletions and replacements of a letter that make `a` to `b`.
inline size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// `; did you mean '<nearest of known>'?`, or nothing where none is near.
inline std::string suggest(std::string_view word, const std::vector<std::string> &known) {
  // Longer words are compared in vain.
  constexpr size_t kMost = 100;
  size_t best = std::max<size_t>(2, word.size() / 3) + 1;
  std::string nearest;
  for (const std::string &candidate : known) {
    size_t distance = word.size() > kMost ? best : editDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : "; did you mean '" + nearest + "'?";
}

} // namespace contraflow::base

#endif
