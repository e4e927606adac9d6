//===- Safetensors.cpp - the tensor files of checkpoints ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Safetensors.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

namespace contraflow::abi {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
// Objects as sorted maps: headers have tens of thousands of keys.
using Json = nlohmann::json;

namespace {

struct TypeInfo {
  ElementType type;
  const char *name;
  int64_t bytes;
};

constexpr TypeInfo kTypes[] = {{ElementType::F64, "F64", 8}, {ElementType::F32, "F32", 4},
                               {ElementType::F16, "F16", 2}, {ElementType::BF16, "BF16", 2},
                               {ElementType::I64, "I64", 8}, {ElementType::I32, "I32", 4},
                               {ElementType::I16, "I16", 2}, {ElementType::I8, "I8", 1},
                               {ElementType::U8, "U8", 1},   {ElementType::Bool, "BOOL", 1}};

const TypeInfo &infoOf(ElementType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [&](const TypeInfo &info) { return info.type == type; });
}

/// As the format's reference implementation: a header is at most 100 MB.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
/// The lists of a tensor are at depth 3. Messages quote values, and a value that is nested deeply would
/// exhaust the stack.
constexpr int kMaxHeaderDepth = 8;

/// Of base::hashText.
constexpr size_t kChecksumDigits = 16;

/// Reads and checks the description of one tensor.
class HeaderEntry {
public:
  HeaderEntry(const std::string &path, const std::string &name, const Json &json)
      : path(path), name(name), json(json) {}

  TensorView parse(std::string_view data, uint64_t &begin, uint64_t &end) const {
    if (!json.is_object())
      fail("its description is not an object");
    TensorView tensor;
    tensor.type = parseType();
    tensor.shape = parseShape();
    const Json &offsets = member("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      fail("data_offsets is not a pair of numbers");
    begin = offsets[0].get<uint64_t>();
    end = offsets[1].get<uint64_t>();
    if (begin > end)
      fail(text("data_offsets [", begin, ", ", end, "] go backwards"));
    if (end > data.size())
      fail(text("its data ends at byte ", end, ", but the file has ", data.size(),
                " bytes of data: the file is cut"));
    uint64_t wanted = uint64_t(tensor.bytes());
    if (end - begin != wanted)
      fail(text("it has ", end - begin, " bytes, ", nameOf(tensor.type), " ", shapeText(tensor.shape),
                " wants ", wanted));
    tensor.data = data.data() + begin;
    return tensor;
  }

private:
  [[noreturn]] void fail(const std::string &why) const {
    throw Error(message<ErrorId::TensorWrong>(path, name, why));
  }

  const Json &member(const char *key) const {
    auto found = json.find(key);
    if (found == json.end())
      fail(text(key, " is missing"));
    return *found;
  }

  ElementType parseType() const {
    const Json &type = member("dtype");
    for (const TypeInfo &info : kTypes)
      if (type == info.name)
        return info.type;
    fail(text("dtype ", type.dump(), " is not supported"));
  }

  std::vector<int64_t> parseShape() const {
    const Json &shape = member("shape");
    if (!shape.is_array())
      fail("shape is not an array");
    std::vector<int64_t> result;
    int64_t elements = 8; // The size in bytes of the widest type must fit, too.
    for (const Json &dimension : shape) {
      if (!dimension.is_number_unsigned() ||
          dimension.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max()))
        fail(text("shape ", shape.dump(), " has a dimension that is not a number"));
      result.push_back(dimension.get<int64_t>());
      if (__builtin_mul_overflow(elements, std::max<int64_t>(result.back(), 1), &elements))
        fail(text("shape ", shape.dump(), " has too many elements"));
    }
    return result;
  }

  const std::string &path;
  const std::string &name;
  const Json &json;
};

/// Tells how much of a text a parser has read.
struct CountingIterator {
  // Names that std::iterator_traits looks for. NOLINTBEGIN(readability-identifier-naming)
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;
  // NOLINTEND(readability-identifier-naming)

  const char *at;
  /// Shared by the copies that the parser makes.
  const char **furthest;

  reference operator*() const { return *at; }
  CountingIterator &operator++() {
    *furthest = ++at;
    return *this;
  }
  bool operator==(const CountingIterator &other) const { return at == other.at; }
};

/// Stops a parser at the value of the checksum of a header, which is a key of an object in the header. What
/// follows it may be damaged.
class ChecksumFinder : public nlohmann::json_sax<Json> {
public:
  explicit ChecksumFinder(std::string_view header) : header(header), furthest(header.data()) {
    Json::sax_parse(CountingIterator{header.data(), &furthest},
                    CountingIterator{header.data() + header.size(), &furthest}, this);
  }

  /// Where the digits stand; npos where there are none.
  size_t getBegin() const { return begin; }

  bool start_object(size_t) override { return ++depth, goOn(); }
  bool end_object() override { return --depth, goOn(); }
  bool start_array(size_t) override { return ++depth, goOn(); }
  bool end_array() override { return --depth, goOn(); }
  bool key(std::string &name) override {
    isNext = depth == 2 && name == kHeaderChecksum;
    return true;
  }
  bool string(std::string &value) override {
    // The closing quote is read. A digit is one byte; an escaped one would be more.
    size_t end = size_t(furthest - header.data()) - 1;
    if (isNext && value.size() == kChecksumDigits && header.substr(0, end).ends_with('"' + value))
      begin = end - kChecksumDigits;
    return goOn();
  }
  bool null() override { return goOn(); }
  bool boolean(bool) override { return goOn(); }
  bool number_integer(int64_t) override { return goOn(); }
  bool number_unsigned(uint64_t) override { return goOn(); }
  bool number_float(double, const std::string &) override { return goOn(); }
  bool binary(Json::binary_t &) override { return goOn(); }
  bool parse_error(size_t, const std::string &, const nlohmann::detail::exception &) override {
    failed = true;
    return false;
  }
  bool hasFailed() const { return failed; }

private:
  /// False behind the value.
  bool goOn() { return !std::exchange(isNext, false); }

  std::string_view header;
  const char *furthest;
  size_t begin = std::string_view::npos;
  int64_t depth = 0;
  bool isNext = false;
  bool failed = false;
};

/// Where its digits stand; npos where there are none. Damage may end the parser before it comes to them: then
/// as the text that we write.
size_t findHeaderChecksum(std::string_view header) {
  ChecksumFinder finder(header);
  if (!finder.hasFailed())
    return finder.getBegin();
  std::string before = base::text('"', kHeaderChecksum, "\":\"");
  size_t at = header.find(before);
  bool isWhole = at != std::string_view::npos && header.size() - at - before.size() > kChecksumDigits;
  return isWhole ? at + before.size() : std::string_view::npos;
}

/// Of a header whose digits stand at `begin`.
std::string headerChecksum(std::string header, size_t begin) {
  std::fill_n(header.begin() + int64_t(begin), kChecksumDigits, '0');
  return base::hashText(base::hash64(header));
}

/// False where the header has no checksum.
bool requireHeaderChecksum(const std::string &path, std::string_view header) {
  size_t begin = findHeaderChecksum(header);
  if (begin == std::string_view::npos)
    return false;
  std::string_view written = header.substr(begin, kChecksumDigits);
  std::string found = headerChecksum(std::string(header), begin);
  if (written != found)
    throw Error(message<ErrorId::HeaderDamaged>(path, found, written));
  return true;
}

/// The header as JSON. A parser takes the last of two values of one key without a word; here that is an
/// error, because readers of the format disagree on which one counts.
Json parseHeader(const std::string &path, std::string_view bytes) {
  std::vector<std::set<std::string>> keys;
  auto refuseTwins = [&](int depth, Json::parse_event_t event, Json &value) {
    if (depth > kMaxHeaderDepth)
      throw Error(message<ErrorId::HeaderTooDeep>(path));
    if (event == Json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      throw Error(message<ErrorId::HeaderKeyTwice>(path, value.get<std::string>()));
    return true;
  };
  Json header = Json::parse(bytes, refuseTwins, /*allow_exceptions=*/false);
  if (!header.is_object())
    throw Error(message<ErrorId::HeaderNoObject>(path));
  return header;
}

Metadata parseMetadata(const std::string &path, const Json &json) {
  if (!json.is_object())
    throw Error(message<ErrorId::MetadataNoObject>(path));
  Metadata metadata;
  for (const auto &[key, value] : json.items()) {
    if (!value.is_string())
      throw Error(message<ErrorId::MetadataNoString>(path, key));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Bytes of the data that a tensor has.
struct Extent {
  uint64_t begin, end;
  std::string name;
};

/// Every byte of the data belongs to exactly one tensor.
void requireCover(const std::string &path, std::vector<Extent> extents, uint64_t bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent &a, const Extent &b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t covered = 0;
  const std::string *before = nullptr;
  for (const auto &[begin, end, name] : extents) {
    if (begin < covered)
      throw Error(message<ErrorId::TensorsOverlap>(path, *before, name, begin));
    if (begin > covered)
      throw Error(message<ErrorId::TensorGap>(path, covered, begin, name));
    covered = end;
    before = &name;
  }
  if (covered < bytes)
    throw Error(message<ErrorId::TensorTail>(path, bytes - covered));
}

float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  float value = std::ldexp(float(fraction), -24);
  return sign ? -value : value;
}

float bfloatToFloat(uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); }
float doubleToFloat(double value) { return float(value); }

/// Data in a file may have any alignment, so every element is copied out.
template <typename From, typename To, typename Convert>
void convert(const void *data, std::span<To> result, Convert convertOne) {
  const char *bytes = static_cast<const char *>(data);
  for (size_t i = 0; i < result.size(); ++i) {
    From value;
    std::memcpy(&value, bytes + i * sizeof(From), sizeof(From));
    result[i] = convertOne(value);
  }
}

} // namespace

const char *nameOf(ElementType type) { return infoOf(type).name; }
int64_t sizeOf(ElementType type) { return infoOf(type).bytes; }

int64_t TensorView::elements() const {
  int64_t result = 1;
  for (int64_t dimension : shape)
    result *= dimension;
  return result;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string result = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    result += text(i ? ", " : "", shape[i]);
  return result + "]";
}

SafetensorsFile::SafetensorsFile(const std::string &path) : file(path), path(path) {
  std::string_view bytes = file.bytes();
  uint64_t headerBytes = 0;
  if (bytes.size() < sizeof(headerBytes))
    throw Error(message<ErrorId::SafetensorsTooShort>(path, bytes.size()));
  std::memcpy(&headerBytes, bytes.data(), sizeof(headerBytes));
  bytes.remove_prefix(sizeof(headerBytes));
  if (headerBytes > kMaxHeaderBytes)
    throw Error(message<ErrorId::HeaderTooLong>(path, headerBytes));
  if (headerBytes > bytes.size())
    throw Error(message<ErrorId::HeaderCut>(path, headerBytes, bytes.size()));
  headerIsChecked = requireHeaderChecksum(path, bytes.substr(0, headerBytes));
  Json header = parseHeader(path, bytes.substr(0, headerBytes));
  bytes.remove_prefix(headerBytes);

  std::vector<Extent> extents;
  for (const auto &[name, json] : header.items()) {
    if (name == kMetadataName) {
      metadata = parseMetadata(path, json);
      continue;
    }
    Extent extent{0, 0, name};
    tensors[name] = HeaderEntry(path, name, json).parse(bytes, extent.begin, extent.end);
    extents.push_back(std::move(extent));
  }
  requireCover(path, std::move(extents), bytes.size());
}

const TensorView *SafetensorsFile::find(const std::string &name) const {
  auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : &found->second;
}

const TensorView &SafetensorsFile::get(const std::string &name) const {
  if (const TensorView *tensor = find(name))
    return *tensor;
  throw Error(message<ErrorId::TensorMissing>(path, name));
}

void SafetensorsFile::readFloats(const std::string &name, const std::vector<int64_t> &shape,
                                 std::span<float> result) const {
  const TensorView &tensor = get(name);
  if (tensor.shape != shape || tensor.elements() != int64_t(result.size()))
    throw Error(message<ErrorId::TensorShape>(path, name, shapeText(tensor.shape), shapeText(shape)));
  switch (tensor.type) {
  case ElementType::F32:
    if (!result.empty())
      std::memcpy(result.data(), tensor.data, result.size_bytes());
    return;
  case ElementType::F64:
    return convert<double>(tensor.data, result, doubleToFloat);
  case ElementType::F16:
    return convert<uint16_t>(tensor.data, result, halfToFloat);
  case ElementType::BF16:
    return convert<uint16_t>(tensor.data, result, bfloatToFloat);
  default:
    throw Error(message<ErrorId::TensorNoFloats>(path, name, nameOf(tensor.type)));
  }
}

std::vector<int32_t> SafetensorsFile::readIds(const std::string &name) const {
  const TensorView &tensor = get(name);
  std::vector<int32_t> result(size_t(tensor.elements()));
  if (tensor.type == ElementType::I32) {
    convert<int32_t>(tensor.data, std::span(result), [](int32_t value) { return value; });
    return result;
  }
  if (tensor.type != ElementType::I64)
    throw Error(message<ErrorId::TensorNoIds>(path, name, nameOf(tensor.type)));
  convert<int64_t>(tensor.data, std::span(result), [&](int64_t value) {
    if (value != int32_t(value))
      throw Error(message<ErrorId::IdTooLarge>(path, name, value));
    return int32_t(value);
  });
  return result;
}

/// The header of a file, padded, with its checksum where `metadata` asks for one.
static std::string makeHeader(const std::string &path, const std::vector<NamedTensor> &tensors,
                              Metadata metadata) {
  // Text that is no UTF-8 (a file name in the metadata) must not stop a checkpoint.
  auto quote = [](const Json &json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); };
  if (auto checksum = metadata.find(kHeaderChecksum); checksum != metadata.end())
    checksum->second.assign(kChecksumDigits, '0');
  std::string header = "{";
  if (!metadata.empty())
    header += "\"__metadata__\":" + quote(metadata);
  std::set<std::string> names;
  int64_t offset = 0;
  for (const auto &[name, tensor] : tensors) {
    if (name == kMetadataName || !names.insert(name).second)
      throw Error(message<ErrorId::TensorTwice>(path, name));
    int64_t end = offset + tensor.bytes();
    header += text(header.size() > 1 ? "," : "", quote(name), ":{\"dtype\":\"", nameOf(tensor.type),
                   "\",\"shape\":", Json(tensor.shape).dump(), ",\"data_offsets\":[", offset, ",", end, "]}");
    offset = end;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  if (size_t begin = findHeaderChecksum(header); metadata.contains(kHeaderChecksum))
    header.replace(begin, kChecksumDigits, headerChecksum(header, begin));
  return header;
}

void writeSafetensors(const std::string &path, const std::vector<NamedTensor> &tensors,
                      const Metadata &metadata) {
  std::string header = makeHeader(path, tensors, metadata);
  uint64_t headerBytes = header.size(), bytes = sizeof(headerBytes) + headerBytes;
  for (const auto &[name, tensor] : tensors)
    bytes += uint64_t(tensor.bytes());

  base::AtomicFile file(path);
  file.reserve(bytes);
  file.write({reinterpret_cast<const char *>(&headerBytes), sizeof(headerBytes)});
  file.write(header);
  for (const auto &[name, tensor] : tensors)
    file.write({static_cast<const char *>(tensor.data), size_t(tensor.bytes())});
  file.commit();
}

} // namespace contraflow::abi
