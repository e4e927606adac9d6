//===- RoutedLayout.h - which tokens go to which rank, in how many rounds -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table that `comm.layout` makes for a group of n ranks, on each of them (i32):
//
//   [0]                     the rank's place in the group
//   [1]                     rounds, 1 to F
//   [2 + p*n + r]           tokens of piece p that go to rank r            (F*n)
//   [2 + F*n + p*n + r]     tokens of piece p of rank r that come          (F*n)
//   [2 + 2*F*n + t*W + w]   bit b is set where token t goes to rank 32*w+b (T*W, W = ceil(n/32))
//
// Tokens are cut into F pieces of L: so few that L tokens of every rank fit even where all of them go to one.
// A round is m pieces.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_ABI_ROUTEDLAYOUT_H
#define CONTRAFLOW_RUNTIME_ABI_ROUTEDLAYOUT_H

#include <cstdint>
#include <vector>

namespace contraflow::abi {

/// Sizes of the table. Valid where `rows >= ranks`, `choices >= ranks * min(topK, experts)`, and all are
/// positive.
struct RoutedLayout {
  int64_t ranks = 1;   ///< of the group: n
  int64_t tokens = 1;  ///< of a rank: T
  int64_t topK = 1;    ///< choices of a token
  int64_t experts = 1; ///< of a rank
  int64_t rows = 1;    ///< that a rank has room for
  int64_t choices = 1; ///< of its experts that a rank has room for

  int64_t getPieceTokens() const;                                         ///< L
  int64_t getPieces() const { return ceilDiv(tokens, getPieceTokens()); } ///< F
  int64_t getWords() const { return ceilDiv(ranks, 32); }                 ///< W

  int64_t getSent(int64_t piece, int64_t rank) const { return 2 + piece * ranks + rank; }
  int64_t getReceived(int64_t piece, int64_t rank) const { return getSent(getPieces() + piece, rank); }
  int64_t getMask(int64_t token) const { return getSent(2 * getPieces(), 0) + token * getWords(); }
  /// Entries of the table.
  int64_t getSize() const { return getMask(tokens); }

  /// Pieces of a round where there are so many rounds.
  int64_t getPiecesOfRound(int64_t rounds) const { return ceilDiv(getPieces(), rounds); }

  static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
};

/// The most pieces of a round, 1 to F, for which a rank that is sent `rows[p]` rows and `choices[p]` choices
/// of each piece has room in every round.
int64_t fitPieces(const RoutedLayout &layout, const std::vector<int64_t> &rows,
                  const std::vector<int64_t> &choices);

} // namespace contraflow::abi

#endif
