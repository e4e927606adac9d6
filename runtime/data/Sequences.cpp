//===- Sequences.cpp - documents packed into sequences of ids -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/data/Sequences.h"
#include "runtime/base/Error.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <numeric>

namespace contraflow::data {

namespace {

/// Ids of a document: bos, bytes, eos.
int64_t idsOf(const Document &document) { return int64_t(document.bytes.size()) + 2; }

} // namespace

Sequences::Sequences(const std::vector<Document> &documents, int64_t seq, Vocabulary vocabulary,
                     uint64_t seed, bool shuffle)
    : documents(documents), seq(seq), vocabulary(vocabulary), seed(seed), shuffle(shuffle) {
  if (documents.empty())
    throw base::Error(base::message<base::ErrorId::DataNoDocuments>());
  int64_t ids = 0;
  for (const Document &document : documents)
    ids += idsOf(document);
  perEpoch = std::max<int64_t>(ids / seq, 1);
  documentOrder.resize(documents.size());
  ends.resize(documents.size());
  sequenceOrder.resize(size_t(perEpoch));
  prepareEpoch(0);
}

/// Fisher-Yates with numbers that are a function of seed, stream and place.
void Sequences::permute(std::vector<int64_t> &order, uint64_t stream) const {
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle)
    return;
  base::Philox random(seed, stream);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(i, i)]);
}

void Sequences::prepareEpoch(int64_t epoch) {
  if (epoch == preparedEpoch)
    return;
  permute(documentOrder, uint64_t(epoch) * 2);
  permute(sequenceOrder, uint64_t(epoch) * 2 + 1);
  int64_t end = 0;
  for (size_t i = 0; i < documentOrder.size(); ++i)
    ends[i] = end += idsOf(documents[size_t(documentOrder[i])]);
  preparedEpoch = epoch;
}

template <typename Body> void Sequences::forPieces(int64_t n, Body body) {
  prepareEpoch(n / perEpoch);
  int64_t begin = sequenceOrder[size_t(n % perEpoch)] * seq;
  int64_t end = std::min(begin + seq, ends.back());
  size_t index = size_t(std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin());
  for (int64_t at = begin; at < end; ++index) {
    const Document &document = documents[size_t(documentOrder[index])];
    int64_t documentBegin = ends[index] - idsOf(document);
    int64_t stop = std::min(end, ends[index]);
    body(document, at - documentBegin, stop - at, at - begin);
    at = stop;
  }
}

void Sequences::read(int64_t n, std::span<int32_t> ids, std::span<int32_t> starts) {
  std::fill(ids.begin(), ids.end(), -1);
  std::fill(starts.begin(), starts.end(), 0);
  forPieces(n, [&](const Document &document, int64_t first, int64_t count, int64_t offset) {
    for (int64_t i = 0; i < count; ++i) {
      int64_t at = first + i - 1; // Of the bytes; -1 is bos.
      int32_t id = at < 0                                ? vocabulary.bos
                   : at < int64_t(document.bytes.size()) ? int32_t(uint8_t(document.bytes[size_t(at)]))
                                                         : vocabulary.eos;
      ids[size_t(offset + i)] = id;
    }
    if (!starts.empty())
      std::fill_n(starts.begin() + offset, count, int32_t(offset));
  });
}

std::string Sequences::describe(int64_t n) {
  std::string result;
  forPieces(n, [&](const Document &document, int64_t first, int64_t count, int64_t) {
    int64_t size = int64_t(document.bytes.size());
    int64_t begin = std::clamp<int64_t>(first - 1, 0, size),
            end = std::clamp<int64_t>(first + count - 1, 0, size);
    result += base::text(result.empty() ? "" : ", ", document.path, " bytes ", document.start + begin, " to ",
                         document.start + end);
  });
  return result;
}

} // namespace contraflow::data
