//===- Mutator.cpp - edits of text by words and lines ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/fuzz/Mutator.h"

#include <algorithm>
#include <cctype>
#include <random>
#include <vector>

namespace contraflow::fuzz {
namespace {

using Pieces = std::vector<std::string>;

/// Runs of letters, digits and points; every other byte by itself.
Pieces splitWords(std::string_view text) {
  Pieces words;
  bool inWord = false;
  for (char c : text) {
    bool isWord = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
    if (isWord && inWord)
      words.back() += c;
    else
      words.emplace_back(1, c);
    inWord = isWord;
  }
  return words;
}

Pieces splitLines(std::string_view text) {
  Pieces lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

bool isNumber(const std::string &word) { return std::isdigit(static_cast<unsigned char>(word[0])); }

/// Numbers at the edge of what is sensible, and of what fits.
constexpr const char *kNumbers[] = {"0",          "1",     "2",          "3",
                                    "7",          "64",    "65536",      "0.5",
                                    "1e30",       "1e308", "1000000007", "4611686018427387904",
                                    "2147483648", "-1",    "1.0",        "9223372036854775807"};

void edit(Pieces &pieces, std::mt19937 &random) {
  auto pick = [&](size_t count) { return size_t(random() % count); };
  size_t at = pick(pieces.size());
  switch (pick(5)) {
  case 0:
    pieces[at] = pieces[pick(pieces.size())];
    break;
  case 1:
    pieces.insert(pieces.begin() + at, pieces[pick(pieces.size())]);
    break;
  case 2:
    pieces.erase(pieces.begin() + at);
    break;
  case 3:
    std::swap(pieces[at], pieces[std::min(at + 1, pieces.size() - 1)]);
    break;
  case 4:
    // The next number from here.
    for (size_t i = at; i < pieces.size(); ++i)
      if (isNumber(pieces[i])) {
        pieces[i] = kNumbers[pick(std::size(kNumbers))];
        break;
      }
    break;
  }
}

} // namespace

std::string mutateWords(std::string_view text, unsigned seed) {
  std::mt19937 random(seed);
  Pieces pieces = random() % 3 == 0 ? splitLines(text) : splitWords(text);
  for (size_t edits = 1 + random() % 3; edits && !pieces.empty(); --edits)
    edit(pieces, random);
  std::string result;
  for (const std::string &piece : pieces)
    result += piece;
  return result;
}

} // namespace contraflow::fuzz
