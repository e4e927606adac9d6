//===- Payload.h - generated code at the end of an executable -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_PAYLOAD_H
#define CONTRAFLOW_RUNTIME_ABI_PAYLOAD_H

#include <optional>
#include <string>
#include <string_view>

namespace contraflow::abi {

/// What the compiler adds to the stub to make a trainer. The file is
///
///   stub | object | manifest | trailer (64 bytes)
///
/// and the trailer has eight little-endian 64-bit words: "CFPAYLD1", CF_ABI_VERSION, offset and size of the
/// object, offset and size of the manifest, hash of stub, object and manifest, "CFPAYLD1".
struct Payload {
  /// A shared object (ELF) that exports the functions of the manifest and imports runtime/abi only.
  std::string object;
  /// Manifest::toJson().
  std::string manifest;
};

/// Writes a copy of `stub` with the payload to `output`, executable, all or nothing. A payload that `stub`
/// has already is replaced. Throws base::Error.
void appendPayload(const std::string &stub, const std::string &output, const Payload &payload);

/// The payload of an executable, nothing where it has none. Throws base::Error where the file, its stub
/// included, is damaged or cut.
/// Messages name the file `shownAs`, where that is not empty.
std::optional<Payload> readPayload(const std::string &executable, const std::string &shownAs = "");

/// Whether a file ends as trainers of any version do, damaged ones too; false where it cannot be read.
bool endsAsTrainer(const std::string &path);

} // namespace contraflow::abi

#endif
