//===- Piece.h - memory in pieces, read and written in order --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_COMM_PIECE_H
#define CONTRAFLOW_RUNTIME_COMM_PIECE_H

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace contraflow::comm {

/// Contiguous memory. What is sent is only read.
struct Piece {
  void *data = nullptr;
  int64_t bytes = 0;
};

using Pieces = std::span<const Piece>;

inline int64_t countBytes(Pieces pieces) {
  int64_t bytes = 0;
  for (const Piece &piece : pieces)
    bytes += piece.bytes;
  return bytes;
}

/// A place in a list of pieces that moves forward only.
class Cursor {
public:
  Cursor() = default;
  explicit Cursor(Pieces pieces) : pieces(pieces) { skipEmpty(); }

  bool isAtEnd() const { return at == pieces.size(); }

  /// The memory here, where it has `bytes` more in one piece; else null.
  char *getContiguous(int64_t bytes) const { return !isAtEnd() && getRest() >= bytes ? getData() : nullptr; }

  void advance(int64_t bytes) {
    while (bytes > 0 && !isAtEnd())
      bytes -= step(std::min(bytes, getRest()));
  }

  /// Copies `bytes` from here on to `target`.
  void read(char *target, int64_t bytes) {
    while (bytes > 0 && !isAtEnd()) {
      int64_t now = std::min(bytes, getRest());
      std::memcpy(target, getData(), size_t(now));
      target += now;
      bytes -= step(now);
    }
  }

  /// Copies `bytes` from `source` to here.
  void write(const char *source, int64_t bytes) {
    while (bytes > 0 && !isAtEnd()) {
      int64_t now = std::min(bytes, getRest());
      std::memcpy(getData(), source, size_t(now));
      source += now;
      bytes -= step(now);
    }
  }

  /// Copies up to `bytes` from here to `target`. Memory that is the same on both sides stays as it is.
  int64_t copyTo(Cursor &target, int64_t bytes) {
    int64_t copied = 0;
    while (copied < bytes && !isAtEnd() && !target.isAtEnd()) {
      int64_t now = std::min({bytes - copied, getRest(), target.getRest()});
      if (getData() != target.getData())
        std::memcpy(target.getData(), getData(), size_t(now));
      target.step(now);
      copied += step(now);
    }
    return copied;
  }

private:
  char *getData() const { return static_cast<char *>(pieces[at].data) + offset; }
  int64_t getRest() const { return pieces[at].bytes - offset; }

  int64_t step(int64_t bytes) {
    offset += bytes;
    skipEmpty();
    return bytes;
  }

  void skipEmpty() {
    while (at < pieces.size() && offset == pieces[at].bytes) {
      ++at;
      offset = 0;
    }
  }

  Pieces pieces;
  size_t at = 0;
  int64_t offset = 0;
};

} // namespace contraflow::comm

#endif
