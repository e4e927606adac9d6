//===- Sequences.h - documents packed into sequences of ids ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_DATA_SEQUENCES_H
#define CONTRAFLOW_RUNTIME_DATA_SEQUENCES_H

#include "runtime/data/Corpus.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace contraflow::data {

/// How text becomes ids: bytes are 0 to 255, a document is bos, its bytes, eos.
struct Vocabulary {
  int32_t bos = 256;
  int32_t eos = 257;
};

/// An endless list of sequences. In every epoch the documents follow each other in a new order, the row of
/// ids is cut into sequences of `seq`, and these are taken in a new order, so that a batch holds unrelated
/// text. Sequence n is a function of documents, seed and n: the position of a run in its data is one number.
class Sequences {
public:
  /// The documents must stay alive. Without `shuffle` both orders are as given.
  /// Throws base::Error when there are no documents.
  Sequences(const std::vector<Document> &documents, int64_t seq, Vocabulary vocabulary, uint64_t seed,
            bool shuffle);

  /// Ids of sequence n and, per id, the index in the sequence where its document begins. When all documents
  /// together are shorter than a sequence, the rest is filled with -1; otherwise what remains at the end of
  /// an epoch is left out.
  void read(int64_t n, std::span<int32_t> ids, std::span<int32_t> starts);

  /// The documents of sequence n: "include/x.h bytes 100 to 611".
  std::string describe(int64_t n);

  int64_t getPerEpoch() const { return perEpoch; }
  int64_t getTokensPerEpoch() const { return ends.back(); }

private:
  void prepareEpoch(int64_t epoch);
  void permute(std::vector<int64_t> &order, uint64_t stream) const;
  /// Calls body(document, first id of the piece in the document, ids, offset in the sequence) for each piece
  /// of sequence n.
  template <typename Body> void forPieces(int64_t n, Body body);

  const std::vector<Document> &documents;
  int64_t seq;
  Vocabulary vocabulary;
  uint64_t seed;
  bool shuffle;
  int64_t perEpoch = 0;

  // Of the epoch that was read last; sized once.
  int64_t preparedEpoch = -1;
  std::vector<int64_t> documentOrder;
  std::vector<int64_t> sequenceOrder;
  /// Ids of the first i + 1 documents of the order.
  std::vector<int64_t> ends;
};

} // namespace contraflow::data

#endif
