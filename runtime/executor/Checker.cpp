//===- Checker.cpp - memory of a checked build, looked at while it runs ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/executor/Checker.h"
#include "runtime/abi/Abi.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace contraflow::executor {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

/// Words of memory that holds nothing yet, or nothing any more; guards have their buffer's tag in the low
/// bits.
constexpr uint32_t kUnborn = 0x7fa5a5a5, kDead = 0x7fade5ad, kGuard = 0x7f900000, kTagMask = 0x000fffff;

uint32_t wordAt(const char *memory) {
  uint32_t word;
  std::memcpy(&word, memory, sizeof(word));
  return word;
}

void fill(char *begin, int64_t bytes, uint32_t word) {
  std::fill_n(reinterpret_cast<uint32_t *>(begin), bytes / 4, word);
}

/// The first word of the range that is not `word`; null where all are.
const char *findOther(const char *begin, const char *end, uint32_t word) {
  for (; begin < end; begin += 4)
    if (wordAt(begin) != word)
      return begin;
  return nullptr;
}

bool isNan(uint32_t word) { return (word & 0x7fffffff) > 0x7f800000; }
bool isPattern(uint32_t word) { return word == kUnborn || word == kDead; }

/// The first word of a value that is no value of its type. Blocks first: almost always there is none.
const char *findBad(const char *begin, int64_t bytes, bool ids) {
  constexpr int64_t kBlock = 1024;
  for (int64_t at = 0; at < bytes; at += kBlock) {
    int64_t end = std::min(at + kBlock, bytes);
    uint32_t any = 0;
    for (int64_t i = at; i < end; i += 4)
      any |= uint32_t(ids ? isPattern(wordAt(begin + i)) : isNan(wordAt(begin + i)));
    for (int64_t i = at; any && i < end; i += 4)
      if (ids ? isPattern(wordAt(begin + i)) : isNan(wordAt(begin + i)))
        return begin + i;
  }
  return nullptr;
}

const char *describeWord(uint32_t word) {
  if (word == kUnborn)
    return "holds what was there before anything was written";
  if (word == kDead)
    return "holds what a buffer left that is no longer in use";
  return (word & ~kTagMask) == kGuard ? "holds the guard bytes of a buffer" : "is not a number";
}

/// Guards of a buffer end at a multiple of this.
constexpr int64_t kAlignment = 64;

uint32_t tagOf(std::string_view name, uint64_t number) {
  return kGuard | (uint32_t(base::hash64(name, number)) & kTagMask);
}

} // namespace

thread_local Checker *Checker::current = nullptr;

Checker::Checker(const abi::Manifest &manifest, device::Arena &arena) : manifest(manifest), arena(arena) {
  std::map<std::string, const abi::Buffer *> seen;
  for (const auto &[name, list] : manifest.memory)
    for (const abi::Buffer &buffer : list) {
      if (!buffer.persistent)
        continue;
      const abi::Buffer *&first = seen[buffer.kind + " " + buffer.name];
      if (first && (first->offset != buffer.offset || first->bytes != buffer.bytes))
        throw Error(message<ErrorId::CheckedMoved>(buffer.name, buffer.bytes, buffer.offset, name,
                                                   first->bytes, first->offset));
      if (!first)
        kept.push_back(pieceOf(buffer, 0));
      first = &buffer;
    }
  for (const Piece &piece : kept)
    paintGuards(piece);
  current = this;
}

Checker::~Checker() {
  if (current == this)
    current = nullptr;
}

//===----------------------------------------------------------------------===//
// Places and messages
//===----------------------------------------------------------------------===//

/// Buffers that outlive programs have one tag in all of them, others one for each.
Checker::Piece Checker::pieceOf(const abi::Buffer &buffer, size_t number) {
  uint64_t seed = buffer.persistent ? base::hash64(buffer.kind) : number + 1;
  return {buffer.kind.c_str(), &buffer.name, arena.at(buffer.offset), buffer.bytes, tagOf(buffer.name, seed)};
}

/// Values that come from other functions have one tag in all of them: that of their name.
Checker::Piece Checker::pieceOf(const abi::CheckedValue &value, size_t number) {
  bool isShared = value.first < 0 || value.last == int64_t(checks->kernels.size());
  uint64_t seed = uint64_t(value.base) << 32 | (isShared ? 0 : number + 1);
  return {"value", &value.name, static_cast<char *>(bases[value.base]) + value.offset, value.bytes,
          value.guarded ? tagOf(value.name, seed) : 0};
}

std::string Checker::describePlace() const {
  std::string place =
      text("row ", index, " of '", *program, "' ('", manifest.functions[size_t(row->function)], "' of '",
           row->layer, "', ", row->direction);
  if (row->microBatch >= 0)
    place += text(", micro-batch ", row->microBatch);
  place += ")";
  if (kernel >= 0)
    place += text(", kernel ", kernel, " '", checks->kernels[size_t(kernel)], "'");
  return place;
}

std::string Checker::describe(const Piece &piece) const {
  int64_t begin = piece.begin - arena.at(0);
  return text("'", *piece.name, "' (", piece.what, ", bytes ", begin, " to ", begin + piece.bytes,
              " of the arena)");
}

void Checker::fail(const std::string &what) {
  throw Error(message<ErrorId::CheckedDamage>(describePlace(), what));
}

//===----------------------------------------------------------------------===//
// Guards
//===----------------------------------------------------------------------===//

/// From the last word to the next multiple of the alignment is nobody's: it belongs to the guard behind.
void Checker::paintGuards(const Piece &piece) {
  int64_t guard = manifest.guardBytes, padding = -piece.bytes & (kAlignment - 1);
  fill(piece.begin - guard, guard, piece.tag);
  fill(piece.begin + piece.bytes, padding + guard, piece.tag);
}

void Checker::requireGuards(const Piece &piece) {
  int64_t guard = manifest.guardBytes, padding = -piece.bytes & (kAlignment - 1);
  const char *end = piece.begin + piece.bytes;
  const char *found = findOther(piece.begin - guard, piece.begin, piece.tag);
  bool isBefore = found;
  if (!found)
    found = findOther(end, end + padding + guard, piece.tag);
  if (found)
    fail(text("the guard bytes ", isBefore ? "before " : "behind ", describe(piece),
              " were overwritten at byte ", found - arena.at(0)));
}

void Checker::requireAllGuards() {
  for (const Piece &piece : kept)
    requireGuards(piece);
  for (size_t number : liveBuffers)
    requireGuards(pieceOf((*buffers)[number], number));
  for (size_t number : liveValues)
    requireGuards(pieceOf(checks->values[number], number));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Which buffers are in use when row `begin` begins, without those that it is the first to use.
void Checker::enterProgram(const std::string &name, size_t begin) {
  program = &name;
  buffers = &manifest.findMemory(name);
  liveBuffers.clear();
  for (size_t number = 0; number < buffers->size(); ++number) {
    const abi::Buffer &buffer = (*buffers)[number];
    if (!buffer.persistent && buffer.first < int64_t(begin) && buffer.last >= int64_t(begin))
      liveBuffers.push_back(number);
  }
}

void Checker::beginRow(const std::string &name, size_t next, void *const *pointers) {
  if (program != &name || next != index + 1)
    enterProgram(name, next);
  index = next;
  row = &(*manifest.findProgram(name))[index];
  bases = pointers;
  auto found = manifest.checks.find(manifest.functions[size_t(row->function)]);
  checks = found == manifest.checks.end() ? nullptr : &found->second;
  kernel = -1;
  liveValues.clear();
  for (size_t number = 0; number < buffers->size(); ++number) {
    const abi::Buffer &buffer = (*buffers)[number];
    if (buffer.persistent || buffer.first != int64_t(index) || buffer.last < buffer.first)
      continue;
    Piece piece = pieceOf(buffer, number);
    paintGuards(piece);
    fill(piece.begin, piece.bytes, kUnborn);
    liveBuffers.push_back(number);
  }
  requireAllGuards();
  for (size_t number = 0; checks && number < checks->values.size(); ++number)
    if (checks->values[number].guarded && checks->values[number].first < 0)
      liveValues.push_back(number);
}

void Checker::endRow() {
  kernel = -1;
  liveValues.clear();
  requireAllGuards();
  std::erase_if(liveBuffers, [&](size_t number) {
    const abi::Buffer &buffer = (*buffers)[number];
    if (buffer.last != int64_t(index))
      return false;
    fill(arena.at(buffer.offset), buffer.bytes, kDead);
    return true;
  });
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// A kernel reads and leaves numbers, and every element of its results is written.
void Checker::requireContents(const abi::CheckedValue &value, bool isRead) {
  Piece piece = pieceOf(value, 0);
  const char *bad = findBad(piece.begin, piece.bytes, value.ids);
  if (!bad)
    return;
  fail(text(isRead ? "reads " : "leaves ", describe(piece), ", whose element ", (bad - piece.begin) / 4, " ",
            describeWord(wordAt(bad))));
}

void Checker::requireIds(const abi::CheckedIds &ids) {
  const char *begin = static_cast<const char *>(bases[ids.base]) + ids.offset;
  bool areOffsets = ids.kind == "offsets";
  int64_t least = ids.least;
  for (int64_t i = 0; i < ids.count; ++i) {
    int64_t id = int32_t(wordAt(begin + i * 4));
    bool isLast = areOffsets && i + 1 == ids.count;
    int64_t lower = isLast ? ids.limit : least,
            upper = areOffsets ? (i == 0 ? ids.least : ids.limit) : ids.limit - 1;
    if (id < lower || id > upper)
      fail(text("follows ", id, ", number ", i, " of the ", ids.count, areOffsets ? " offsets" : " ids",
                " at byte ", begin - arena.at(0), " of the arena, expected ", lower, " to ", upper));
    if (areOffsets)
      least = id;
  }
}

void Checker::finishKernel(int64_t number) {
  kernel = number;
  requireAllGuards();
  for (const abi::CheckedValue &value : checks->values)
    if (std::ranges::find(value.writes, number) != value.writes.end())
      requireContents(value, /*isRead=*/false);
  for (size_t i = 0; i < checks->values.size(); ++i) {
    const abi::CheckedValue &value = checks->values[i];
    if (!value.guarded || value.last != number)
      continue;
    Piece piece = pieceOf(value, i);
    fill(piece.begin, piece.bytes, kDead);
    std::erase(liveValues, i);
  }
}

void Checker::beginKernel(int64_t number) {
  kernel = number;
  for (size_t i = 0; i < checks->values.size(); ++i) {
    const abi::CheckedValue &value = checks->values[i];
    if (!value.guarded || value.first != number)
      continue;
    Piece piece = pieceOf(value, i);
    paintGuards(piece);
    fill(piece.begin, piece.bytes, kUnborn);
    liveValues.push_back(i);
  }
  requireAllGuards();
  for (const abi::CheckedValue &value : checks->values)
    if (std::ranges::find(value.reads, number) != value.reads.end())
      requireContents(value, /*isRead=*/true);
  for (const abi::CheckedIds &ids : checks->ids)
    if (ids.kernel == number)
      requireIds(ids);
}

bool Checker::check(int64_t point) noexcept {
  if (!row || !checks)
    return true;
  try {
    if (point > 0)
      finishKernel(point - 1);
    if (point < int64_t(checks->kernels.size()))
      beginKernel(point);
    return true;
  } catch (const Error &error) {
    failure = error.what();
    return false;
  }
}

} // namespace contraflow::executor

extern "C" __attribute__((visibility("default"))) void cf_check(int64_t point) {
  using contraflow::executor::Checker;
  Checker *checker = Checker::getCurrent();
  if (checker && !checker->check(point))
    std::longjmp(checker->escape, 1);
}
