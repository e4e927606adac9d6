//===- Payload.cpp - generated code at the end of an executable -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Payload.h"
#include "runtime/abi/Abi.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"
#include "runtime/base/Hash.h"

#include <cstring>
#include <elf.h>
#include <fstream>

namespace contraflow::abi {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

constexpr char kMagic[] = "CFPAYLD1";

/// The last bytes of a trainer. It is read and written as it lies in memory (little-endian machines only).
struct Trailer {
  char begin[8];
  uint64_t version;
  uint64_t objectOffset;
  uint64_t objectBytes;
  uint64_t manifestOffset;
  uint64_t manifestBytes;
  uint64_t hash;
  char end[8];
};
static_assert(sizeof(Trailer) == 64 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

uint64_t hashOf(std::string_view stub, std::string_view object, std::string_view manifest) {
  return base::hash64(manifest, base::hash64(object, base::hash64(stub)));
}

/// What looks like a trailer at the end of the file.
std::optional<Trailer> readTrailer(std::string_view file) {
  Trailer trailer;
  if (file.size() < sizeof(Trailer))
    return std::nullopt;
  std::memcpy(&trailer, file.data() + file.size() - sizeof(Trailer), sizeof(Trailer));
  if (std::memcmp(trailer.begin, kMagic, 8) != 0 || std::memcmp(trailer.end, kMagic, 8) != 0)
    return std::nullopt;
  return trailer;
}

/// The trailer at the end of the file; nothing where the file has none.
std::optional<Trailer> findTrailer(std::string_view file, const std::string &path) {
  std::optional<Trailer> found = readTrailer(file);
  if (!found)
    return std::nullopt;
  const Trailer &trailer = *found;
  uint64_t payload = file.size() - sizeof(Trailer);
  bool consistent = trailer.objectOffset <= payload &&
                    trailer.objectBytes <= payload - trailer.objectOffset &&
                    trailer.manifestOffset == trailer.objectOffset + trailer.objectBytes &&
                    trailer.manifestBytes == payload - trailer.manifestOffset;
  if (!consistent)
    throw Error(message<ErrorId::PayloadSizes>(path));
  return trailer;
}

/// Refuses a trainer that something was appended to.
void requireEnd(std::string_view file, const std::string &path) {
  for (size_t at = file.rfind(kMagic); at != std::string_view::npos && at > 0;
       at = file.rfind(kMagic, at - 1))
    if (size_t end = at + sizeof(Trailer::end); readTrailer(file.substr(0, end)))
      throw Error(message<ErrorId::PayloadTail>(path, file.size() - end));
}

/// Refuses a program of this machine without a trailer that does not end where its section headers, the last
/// part of what linkers write, end: a trainer that was copied in part.
void requireWholeProgram(std::string_view file, const std::string &path) {
  Elf64_Ehdr header;
  if (file.size() < sizeof(header) || !file.starts_with(ELFMAG))
    return;
  std::memcpy(&header, file.data(), sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shoff == 0)
    return;
  uint64_t end = header.e_shoff + uint64_t(header.e_shnum) * header.e_shentsize;
  if (file.size() != end)
    throw Error(message<ErrorId::PayloadCut>(path, file.size(),
                                             file.size() < end ? text("the program in it ", end)
                                                               : "but no end of a trainer's payload"));
}

} // namespace

void appendPayload(const std::string &stub, const std::string &output, const Payload &payload) {
  base::MappedFile stubFile(stub);
  std::string_view code = stubFile.bytes();
  if (code.substr(0, 4) != "\x7f"
                           "ELF")
    throw Error(message<ErrorId::StubNoProgram>(stub));
  if (std::optional<Trailer> old = findTrailer(code, stub))
    code = code.substr(0, old->objectOffset);
  // The object starts on a page, so that tools can look at it in place.
  std::string padded(code);
  padded.append((4096 - code.size() % 4096) % 4096, '\0');
  Trailer trailer;
  std::memcpy(trailer.begin, kMagic, 8);
  trailer.version = CF_ABI_VERSION;
  trailer.objectOffset = padded.size();
  trailer.objectBytes = payload.object.size();
  trailer.manifestOffset = trailer.objectOffset + trailer.objectBytes;
  trailer.manifestBytes = payload.manifest.size();
  trailer.hash = hashOf(padded, payload.object, payload.manifest);
  std::memcpy(trailer.end, kMagic, 8);

  base::AtomicFile file(output, 0755);
  file.write(padded);
  file.write(payload.object);
  file.write(payload.manifest);
  file.write({reinterpret_cast<const char *>(&trailer), sizeof(trailer)});
  file.commit();
}

bool endsAsTrainer(const std::string &path) {
  std::string end(sizeof(Trailer), '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(-std::streamoff(end.size()), std::ios::end);
  return file.read(end.data(), std::streamsize(end.size())) && readTrailer(end);
}

std::optional<Payload> readPayload(const std::string &executable, const std::string &shownAs) {
  const std::string &path = shownAs.empty() ? executable : shownAs;
  base::MappedFile file(executable);
  std::optional<Trailer> trailer = findTrailer(file.bytes(), path);
  if (!trailer) {
    requireEnd(file.bytes(), path);
    requireWholeProgram(file.bytes(), path);
    return std::nullopt;
  }
  if (trailer->version != CF_ABI_VERSION)
    throw Error(message<ErrorId::PayloadVersion>(path, trailer->version, CF_ABI_VERSION));
  Payload payload;
  payload.object = file.bytes().substr(trailer->objectOffset, trailer->objectBytes);
  payload.manifest = file.bytes().substr(trailer->manifestOffset, trailer->manifestBytes);
  std::string_view stub = file.bytes().substr(0, trailer->objectOffset);
  if (hashOf(stub, payload.object, payload.manifest) != trailer->hash)
    throw Error(message<ErrorId::PayloadDamaged>(path));
  return payload;
}

} // namespace contraflow::abi
