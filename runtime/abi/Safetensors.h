//===- Safetensors.h - the tensor files of checkpoints --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_SAFETENSORS_H
#define CONTRAFLOW_RUNTIME_ABI_SAFETENSORS_H

#include "runtime/base/File.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace contraflow::abi {

enum class ElementType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool };

/// The name in a header, "F32".
const char *nameOf(ElementType type);
int64_t sizeOf(ElementType type);

/// A tensor in memory that someone else owns.
struct TensorView {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  const void *data = nullptr;

  int64_t elements() const;
  int64_t bytes() const { return elements() * sizeOf(type); }
};

/// "[2, 3]".
std::string shapeText(const std::vector<int64_t> &shape);

using Metadata = std::map<std::string, std::string>;

/// The name that a header has for itself; no tensor has it.
constexpr const char *kMetadataName = "__metadata__";

/// A metadata key. A writer that finds it among its metadata puts there the checksum of the header: the
/// digits of base::hash64 of the header with zeros in place of these digits.
constexpr const char *kHeaderChecksum = "header_checksum";

/// A file that is mapped into memory. Opening checks the header completely: it has its checksum, if there is
/// one, no key stands twice, every tensor has the size that its shape and type want, and the tensors together
/// cover the data, each byte once, as the format wants. Errors are base::Error.
class SafetensorsFile {
public:
  explicit SafetensorsFile(const std::string &path);

  const std::string &getPath() const { return path; }
  const Metadata &getMetadata() const { return metadata; }
  /// Its header had one, which was right.
  bool hasHeaderChecksum() const { return headerIsChecked; }
  /// By name, sorted.
  const std::map<std::string, TensorView> &getTensors() const { return tensors; }
  /// Null where there is none.
  const TensorView *find(const std::string &name) const;
  /// Throws where there is none.
  const TensorView &get(const std::string &name) const;

  /// Copies a tensor of any floating-point type into `result`; it must have exactly this shape.
  void readFloats(const std::string &name, const std::vector<int64_t> &shape, std::span<float> result) const;
  /// A tensor of I32 or I64; throws where a value does not fit.
  std::vector<int32_t> readIds(const std::string &name) const;

private:
  base::MappedFile file;
  std::string path;
  Metadata metadata;
  bool headerIsChecked = false;
  std::map<std::string, TensorView> tensors;
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

/// Writes the tensors in the order given, all or nothing (see base::AtomicFile).
void writeSafetensors(const std::string &path, const std::vector<NamedTensor> &tensors,
                      const Metadata &metadata);

} // namespace contraflow::abi

#endif
