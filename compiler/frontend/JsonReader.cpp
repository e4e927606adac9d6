//===- JsonReader.cpp - JSON whose errors say where -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/JsonReader.h"

#include "dialects/nn/NNStructure.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <limits>

namespace contraflow::frontend {

namespace {

JsonPosition getPositionAt(const std::string &text, size_t offset) {
  JsonPosition position{1, 1};
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    bool newLine = text[i] == '\n';
    position.line += newLine;
    position.column = newLine ? 1 : position.column + 1;
  }
  return position;
}

/// A key as a part of a JSON pointer.
std::string escape(const std::string &key) {
  std::string escaped;
  for (char c : key)
    escaped += c == '/' ? "~1" : c == '~' ? "~0" : std::string(1, c);
  return escaped;
}

/// Walks a text that is known to be JSON and notes where values stand; returns the first key that an object
/// has twice.
class PositionScanner {
public:
  PositionScanner(const std::string &text, std::map<std::string, JsonPosition> &positions)
      : text(text), positions(positions) {}

  /// Pointer of a key that its object has twice, or empty.
  std::string scan() {
    skipSpace();
    positions[""] = position;
    scanValue("");
    return duplicate;
  }

private:
  char peek() const { return at < text.size() ? text[at] : '\0'; }
  void advance() {
    bool newLine = text[at++] == '\n';
    position.line += newLine;
    position.column = newLine ? 1 : position.column + 1;
  }
  void skipSpace() {
    while (at < text.size() && (std::isspace(static_cast<unsigned char>(peek())) || (peek() & 0x80)))
      advance();
  }
  /// The text of a string, quotes included.
  std::string scanString() {
    size_t begin = at;
    advance();
    while (peek() != '"') {
      if (peek() == '\\')
        advance();
      advance();
    }
    advance();
    return text.substr(begin, at - begin);
  }

  void scanValue(const std::string &pointer) {
    if (peek() == '"') {
      scanString();
    } else if (peek() == '{') {
      scanList('}', [&](size_t) {
        JsonPosition keyPosition = position;
        std::string key = nlohmann::json::parse(scanString()).get<std::string>();
        std::string child = pointer + "/" + escape(key);
        if (!positions.try_emplace(child, keyPosition).second && duplicate.empty()) {
          duplicate = child;
          positions[child] = keyPosition;
        }
        skipSpace();
        advance(); // the colon
        skipSpace();
        scanValue(child);
      });
    } else if (peek() == '[') {
      scanList(']', [&](size_t index) {
        std::string child = pointer + "/" + std::to_string(index);
        positions.emplace(child, position);
        scanValue(child);
      });
    } else {
      while (at < text.size() && !llvm::is_contained({',', ']', '}'}, peek()) &&
             !std::isspace(static_cast<unsigned char>(peek())))
        advance();
    }
  }

  void scanList(char close, llvm::function_ref<void(size_t)> scanElement) {
    advance();
    skipSpace();
    for (size_t index = 0; peek() != close; ++index) {
      scanElement(index);
      skipSpace();
      if (peek() == ',')
        advance();
      skipSpace();
    }
    advance();
  }

  const std::string &text;
  std::map<std::string, JsonPosition> &positions;
  size_t at = 0;
  JsonPosition position{1, 1};
  std::string duplicate;
};

/// The parser's own message without its class name, number and position.
std::string shorten(const std::string &message) {
  size_t end = message.rfind("parse error");
  size_t colon = message.find(": ", end == std::string::npos ? 0 : end);
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

/// Finds where parsing a text stops, which the exceptions of the parser do not always say.
struct StopFinder : nlohmann::json_sax<nlohmann::json> {
  size_t at = 0;
  std::string token;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t &) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string &last, const nlohmann::json::exception &) override {
    at = position;
    token = last;
    return false;
  }
};

/// What is wrong with a text that holds a number no double can hold.
JsonDiagnostic makeRangeDiagnostic(const std::string &file, const std::string &text) {
  StopFinder finder;
  nlohmann::json::sax_parse(text, &finder);
  size_t begin = finder.at - std::min(finder.at, finder.token.size());
  return {file, getPositionAt(text, begin), "number " + finder.token + " is too large"};
}

/// Nesting that no run file has, and that would exhaust the stack of the scan.
constexpr int kMaxDepth = 100;

} // namespace

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

std::string JsonDiagnostic::str() const {
  std::string place = file;
  if (position.line)
    place += ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  return place + (isWarning ? ": warning: " : ": error: ") + message;
}

bool hasErrors(const JsonDiagnostics &diagnostics) {
  return llvm::any_of(diagnostics, [](const JsonDiagnostic &diagnostic) { return !diagnostic.isWarning; });
}

void report(mlir::MLIRContext *context, const JsonDiagnostics &diagnostics) {
  for (const JsonDiagnostic &diagnostic : diagnostics) {
    mlir::Location loc = mlir::FileLineColLoc::get(context, diagnostic.file, diagnostic.position.line,
                                                   diagnostic.position.column);
    if (diagnostic.isWarning)
      mlir::emitWarning(loc) << diagnostic.message;
    else
      mlir::emitError(loc) << diagnostic.message;
  }
}

std::string describe(const nlohmann::json &value) {
  if (value.is_object())
    return "an object";
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

//===----------------------------------------------------------------------===//
// JsonDocument, JsonValue
//===----------------------------------------------------------------------===//

std::optional<JsonValue> JsonDocument::parse(const std::string &file, const std::string &text,
                                             JsonDiagnostics &diagnostics) {
  auto document = std::make_shared<JsonDocument>();
  document->file = file;
  bool tooDeep = false;
  auto limitDepth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json &) {
    tooDeep |= depth > kMaxDepth;
    return !tooDeep;
  };
  try {
    document->root = nlohmann::json::parse(text, limitDepth);
  } catch (const nlohmann::json::parse_error &error) {
    diagnostics.push_back(
        {file, getPositionAt(text, error.byte ? error.byte - 1 : 0), shorten(error.what())});
    return std::nullopt;
  } catch (const nlohmann::json::out_of_range &) {
    diagnostics.push_back(makeRangeDiagnostic(file, text));
    return std::nullopt;
  }
  if (tooDeep || !document->root.is_object()) {
    diagnostics.push_back(
        {file, {1, 1}, tooDeep ? "values are nested too deeply" : "expected a JSON object"});
    return std::nullopt;
  }
  std::string duplicate = PositionScanner(text, document->positions).scan();
  if (!duplicate.empty()) {
    diagnostics.push_back({file, document->positions[duplicate],
                           "key '" + duplicate.substr(duplicate.rfind('/') + 1) + "' is there twice"});
    return std::nullopt;
  }
  JsonValue root;
  root.value = &document->root;
  root.document = document;
  return root;
}

std::optional<JsonValue> JsonDocument::read(const std::string &path, JsonDiagnostics &diagnostics) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer) {
    diagnostics.push_back({path, {}, "cannot be read: " + buffer.getError().message()});
    return std::nullopt;
  }
  return parse(path, (*buffer)->getBuffer().str(), diagnostics);
}

JsonPosition JsonValue::getPosition() const {
  auto it = document->positions.find(pointer);
  return it == document->positions.end() ? JsonPosition() : it->second;
}

std::optional<JsonValue> JsonValue::find(const std::string &path) const {
  JsonValue found = *this;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    std::string key = path.substr(begin, end - begin);
    if (!found.value->is_object() || !found.value->contains(key))
      return std::nullopt;
    found.value = &found.value->at(key);
    found.pointer += "/" + escape(key);
    found.keyPath += (found.keyPath.empty() ? "" : ".") + key;
    begin = end + 1;
  }
  return found;
}

JsonValue JsonValue::at(size_t index) const {
  JsonValue element = *this;
  element.value = &value->at(index);
  element.pointer += "/" + std::to_string(index);
  element.keyPath += "[" + std::to_string(index) + "]";
  return element;
}

mlir::Location JsonValue::getLoc(mlir::MLIRContext *context) const {
  JsonPosition position = getPosition();
  return mlir::FileLineColLoc::get(context, getFile(), position.line, position.column);
}

JsonDiagnostic JsonValue::makeDiagnostic(const std::string &message, bool isWarning) const {
  return {getFile(), getPosition(), keyPath.empty() ? message : keyPath + ": " + message, isWarning};
}

//===----------------------------------------------------------------------===//
// ObjectReader
//===----------------------------------------------------------------------===//

ObjectReader::ObjectReader(std::optional<JsonValue> value, JsonDiagnostics &diagnostics)
    : object(std::move(value)), diagnostics(diagnostics) {
  if (object && !object->get().is_object()) {
    fail(*object, "an object");
    object.reset();
  }
}

std::optional<JsonValue> ObjectReader::lookUp(const std::string &key) {
  known.insert(key);
  return object ? object->find(key) : std::nullopt;
}

bool ObjectReader::fail(const JsonValue &value, const std::string &wanted) {
  diagnostics.push_back(value.makeDiagnostic("expected " + wanted + ", found " + describe(value.get())));
  return false;
}

bool ObjectReader::read(const std::string &key, double &target, double atLeast) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_number() || value->get().get<double>() < atLeast)
    return fail(*value, atLeast == std::numeric_limits<double>::lowest()
                            ? "a number"
                            : "a number of " + describe(nlohmann::json(atLeast)) + " or more");
  target = value->get().get<double>();
  return true;
}

bool ObjectReader::read(const std::string &key, int64_t &target, int64_t atLeast) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  bool overflows =
      json.is_number_unsigned() && json.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max());
  if (!json.is_number_integer() || overflows || json.get<int64_t>() < atLeast)
    return fail(*value, "an integer of " + std::to_string(atLeast) + " or more");
  target = json.get<int64_t>();
  return true;
}

bool ObjectReader::read(const std::string &key, uint64_t &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_number_unsigned())
    return fail(*value, "an integer of 0 or more");
  target = value->get().get<uint64_t>();
  return true;
}

bool ObjectReader::read(const std::string &key, bool &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_boolean())
    return fail(*value, "true or false");
  target = value->get().get<bool>();
  return true;
}

bool ObjectReader::read(const std::string &key, std::string &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_string())
    return fail(*value, "a string");
  target = value->get().get<std::string>();
  return true;
}

bool ObjectReader::read(const std::string &key, std::vector<double> &target, size_t size) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  auto isNumber = [](const nlohmann::json &element) { return element.is_number(); };
  if (!json.is_array() || json.size() != size || !std::all_of(json.begin(), json.end(), isNumber))
    return fail(*value, std::to_string(size) + " numbers");
  target = json.get<std::vector<double>>();
  return true;
}

bool ObjectReader::read(const std::string &key, std::vector<std::string> &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  if (json.is_string()) {
    target = {json.get<std::string>()};
    return true;
  }
  auto isString = [](const nlohmann::json &element) { return element.is_string(); };
  if (!json.is_array() || !std::all_of(json.begin(), json.end(), isString))
    return fail(*value, "a string or a list of strings");
  target = json.get<std::vector<std::string>>();
  return true;
}

bool ObjectReader::readOneOf(const std::string &key, std::string &target,
                             const std::vector<std::string> &choices) {
  std::string found;
  if (!read(key, found))
    return false;
  if (!llvm::is_contained(choices, found))
    return fail(*object->find(key), "one of \"" + llvm::join(choices, "\", \"") + "\"");
  target = found;
  return true;
}

std::optional<JsonValue> ObjectReader::readObject(const std::string &key) {
  std::optional<JsonValue> value = lookUp(key);
  if (value && !value->get().is_object()) {
    fail(*value, "an object");
    return std::nullopt;
  }
  return value;
}

std::optional<JsonValue> ObjectReader::readAny(const std::string &key) { return lookUp(key); }

void ObjectReader::require(const std::string &key) {
  if (object && !lookUp(key))
    diagnostics.push_back(object->makeDiagnostic("key '" + key + "' is missing"));
}

void ObjectReader::finish() {
  if (!object)
    return;
  llvm::SmallVector<llvm::StringRef> names(known.begin(), known.end());
  for (const auto &[key, ignored] : object->get().items()) {
    if (known.count(key))
      continue;
    llvm::StringRef nearest = nn::getNearest(key, names);
    std::string hint = nearest.empty() ? ", expected one of " + llvm::join(names, ", ")
                                       : "; did you mean '" + nearest.str() + "'?";
    // A key with a point in it is no path.
    std::optional<JsonValue> value = key.find('.') == std::string::npos ? object->find(key) : object;
    JsonDiagnostic diagnostic = object->makeDiagnostic("unknown key '" + key + "'" + hint);
    diagnostic.position = value->getPosition();
    diagnostics.push_back(diagnostic);
  }
}

} // namespace contraflow::frontend
