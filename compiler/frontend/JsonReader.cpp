//===- JsonReader.cpp - JSON whose errors say where -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/JsonReader.h"

#include "compiler/errors/Errors.h"
#include "dialects/nn/NNStructure.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <charconv>
#include <cmath>

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

/// What nlohmann/json skips at the beginning of a text.
constexpr llvm::StringLiteral kByteOrderMark = "\xEF\xBB\xBF";

/// Walks a text that is known to be JSON and notes where values stand, and where keys stand that their object
/// has already.
class PositionScanner {
public:
  PositionScanner(const std::string &text, std::map<std::string, JsonPosition> &positions)
      : text(text), positions(positions) {}

  struct Duplicate {
    std::string key;
    JsonPosition position;
  };

  std::vector<Duplicate> scan() {
    if (llvm::StringRef(text).starts_with(kByteOrderMark))
      at = kByteOrderMark.size();
    skipSpace();
    positions[""] = position;
    scanValue("");
    return std::move(duplicates);
  }

private:
  char peek() const { return at < text.size() ? text[at] : '\0'; }
  void advance() {
    bool newLine = text[at++] == '\n';
    position.line += newLine;
    position.column = newLine ? 1 : position.column + 1;
  }
  void skipSpace() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(peek())))
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
        // The last one counts, with what is in it.
        if (!positions.insert_or_assign(child, keyPosition).second) {
          duplicates.push_back({key, keyPosition});
          positions.erase(positions.lower_bound(child + "/"), positions.lower_bound(child + char('/' + 1)));
        }
        skipSpace();
        advance(); // the colon
        skipSpace();
        scanValue(child);
      });
    } else if (peek() == '[') {
      scanList(']', [&](size_t index) {
        std::string child = pointer + "/" + std::to_string(index);
        positions.insert_or_assign(child, position);
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
  std::vector<Duplicate> duplicates;
};

/// The parser's own message without its class name, number and position. It may quote a token of any length.
std::string shorten(const std::string &message) {
  constexpr size_t kMost = 200;
  size_t end = message.rfind("parse error");
  size_t colon = message.find(": ", end == std::string::npos ? 0 : end);
  std::string text = colon == std::string::npos ? message : message.substr(colon + 2);
  if (text.size() <= kMost)
    return text;
  return text.substr(0, kMost / 2) + "..." + text.substr(text.size() - kMost / 2);
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
  return {file, getPositionAt(text, begin), message<ErrorId::JsonNumberTooLarge>(finder.token)};
}

/// Nesting that no run file has, and that would exhaust the stack of the scan.
constexpr int kMaxDepth = 100;
/// Far above any run file or configuration, and far below what fills a memory.
constexpr uint64_t kMaxBytes = 64 << 20;

/// The text as JSON; nothing, and a diagnostic, if it is none.
std::optional<nlohmann::json> parseJson(const std::string &file, const std::string &text,
                                        JsonDiagnostics &diagnostics) {
  bool tooDeep = false;
  auto limitDepth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json &) {
    tooDeep |= depth > kMaxDepth;
    return !tooDeep;
  };
  llvm::StringRef begin = llvm::StringRef(text).take_front(2);
  if (begin == "\xFF\xFE" || begin == "\xFE\xFF") {
    diagnostics.push_back({file, {1, 1}, message<ErrorId::JsonUtf16>()});
    return std::nullopt;
  }
  // The library takes it for the end of the text.
  if (size_t at = text.find('\0'); at != std::string::npos) {
    diagnostics.push_back({file, getPositionAt(text, at), message<ErrorId::JsonNul>()});
    return std::nullopt;
  }
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text, limitDepth);
  } catch (const nlohmann::json::parse_error &error) {
    diagnostics.push_back({file, getPositionAt(text, error.byte ? error.byte - 1 : 0),
                           message<ErrorId::JsonSyntax>(shorten(error.what()))});
    return std::nullopt;
  } catch (const nlohmann::json::out_of_range &) {
    diagnostics.push_back(makeRangeDiagnostic(file, text));
    return std::nullopt;
  }
  if (!tooDeep)
    return json;
  diagnostics.push_back({file, {1, 1}, message<ErrorId::JsonTooDeep>(kMaxDepth)});
  return std::nullopt;
}

} // namespace

std::optional<std::string> readText(const std::string &path, std::string &fault) {
  auto refuse = [&](const std::string &why) {
    fault = why;
    return std::nullopt;
  };
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return refuse(message<ErrorId::FileUnreadable>(code.message()));
  if (llvm::sys::fs::is_directory(status))
    return refuse(message<ErrorId::FileUnreadable>("Is a directory"));
  // Reading a fifo would wait for a writer.
  if (!llvm::sys::fs::is_regular_file(status))
    return refuse(message<ErrorId::FileNotRegular>());
  if (status.getSize() > kMaxBytes)
    return refuse(message<ErrorId::FileTooLarge>(status.getSize(), kMaxBytes));
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return refuse(message<ErrorId::FileUnreadable>(buffer.getError().message()));
  return (*buffer)->getBuffer().str();
}

std::string describeUnreadable(const std::string &path, const std::string &fault) {
  llvm::sys::fs::file_status status;
  bool isMissing = llvm::sys::fs::status(path, status) == std::errc::no_such_file_or_directory;
  return isMissing ? message<ErrorId::FileMissing>(path) : "'" + path + "' " + fault;
}

std::optional<std::string> readText(const std::string &path, JsonDiagnostics &diagnostics) {
  std::string fault;
  std::optional<std::string> text = readText(path, fault);
  if (!text)
    diagnostics.push_back({path, {}, fault});
  return text;
}

//===----------------------------------------------------------------------===//
// Assignment
//===----------------------------------------------------------------------===//

/// `betas[0]` is "betas" and 0; nothing if brackets are wrong.
static std::optional<std::vector<nlohmann::json>> parseStep(llvm::StringRef text) {
  size_t bracket = std::min(text.find('['), text.size());
  std::vector<nlohmann::json> steps = {text.take_front(bracket).str()};
  for (llvm::StringRef rest = text.drop_front(bracket); !rest.empty();) {
    uint64_t index = 0;
    if (!rest.consume_front("[") || rest.consumeInteger(10, index) || !rest.consume_front("]"))
      return std::nullopt;
    steps.push_back(index);
  }
  return text.take_front(bracket).empty() ? std::nullopt : std::optional(steps);
}

std::optional<Assignment> Assignment::parse(const std::string &text, JsonDiagnostics &diagnostics) {
  Assignment assignment{text, {}, {}};
  auto refuse = [&](const std::string &why) {
    diagnostics.push_back({assignment.getPlace(), {}, why});
    return std::nullopt;
  };
  if (!llvm::json::isUTF8(text))
    return refuse(message<ErrorId::TextNoUtf8>());
  auto [path, value] = llvm::StringRef(text).split('=');
  if (path.size() == text.size())
    return refuse(message<ErrorId::AssignmentForm>());
  for (llvm::StringRef part : llvm::split(path, '.')) {
    std::optional<std::vector<nlohmann::json>> steps = parseStep(part);
    if (!steps)
      return refuse(message<ErrorId::AssignmentForm>());
    assignment.path.insert(assignment.path.end(), steps->begin(), steps->end());
  }
  if (assignment.path.size() > kMaxDepth)
    return refuse(message<ErrorId::JsonTooDeep>(kMaxDepth));
  // What begins as a list or an object is meant to be one; other text need not be quoted.
  if (value.starts_with("[") || value.starts_with("{")) {
    JsonDiagnostics own;
    std::optional<nlohmann::json> json = parseJson("", value.str(), own);
    if (!json)
      return refuse(own.front().message);
    assignment.value = std::move(*json);
    return assignment;
  }
  nlohmann::json json =
      nlohmann::json::parse(value.begin(), value.end(), nullptr, /*allow_exceptions=*/false);
  assignment.value = json.is_discarded() ? nlohmann::json(value.str()) : std::move(json);
  return assignment;
}

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

bool exceedsInt64(const nlohmann::json &value) {
  // 2^63 and more; a larger integer than 2^64 is a float for the library.
  return value.is_number_unsigned() ? value.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max())
                                    : value.is_number_float() && value.get<double>() >= 0x1p63;
}

std::string describe(const nlohmann::json &value) {
  if (value.is_object())
    return "an object";
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() <= 60)
    return text;
  size_t end = 57;
  while (end > 0 && (text[end] & 0xC0) == 0x80) // Not inside a character.
    --end;
  return text.substr(0, end) + "...";
}

//===----------------------------------------------------------------------===//
// JsonDocument, JsonValue
//===----------------------------------------------------------------------===//

std::optional<JsonValue> JsonDocument::parse(const std::string &file, const std::string &text,
                                             JsonDiagnostics &diagnostics) {
  std::optional<nlohmann::json> json = parseJson(file, text, diagnostics);
  if (json && !json->is_object())
    diagnostics.push_back({file, {1, 1}, message<ErrorId::JsonNoObject>()});
  if (!json || !json->is_object())
    return std::nullopt;
  auto document = std::make_shared<JsonDocument>();
  document->file = file;
  document->root = std::move(*json);
  for (const auto &[key, position] : PositionScanner(text, document->positions).scan())
    diagnostics.push_back({file, position, message<ErrorId::KeyTwice>(key)});
  JsonValue root;
  root.value = &document->root;
  root.document = document;
  return root;
}

std::optional<JsonValue> JsonDocument::read(const std::string &path, JsonDiagnostics &diagnostics) {
  std::optional<std::string> text = readText(path, diagnostics);
  return text ? parse(path, *text, diagnostics) : std::nullopt;
}

void JsonDocument::assign(const Assignment &assignment, JsonDiagnostics &diagnostics) {
  nlohmann::json *at = &root;
  std::string pointer, keyPath;
  // What the assignment makes on its way is its own too.
  std::optional<std::string> made;
  auto refuse = [&](const std::string &wanted) {
    diagnostics.push_back({assignment.getPlace(),
                           {},
                           keyPath + ": " + message<ErrorId::ValueUnexpected>(wanted, describe(*at))});
  };
  for (const nlohmann::json &step : assignment.path) {
    if (step.is_string()) {
      if (at->is_null())
        *at = nlohmann::json::object();
      if (!at->is_object())
        return refuse("an object");
      keyPath += (keyPath.empty() ? "" : ".") + step.get<std::string>();
      pointer += "/" + escape(step.get<std::string>());
      if (!made && (!at->contains(step.get<std::string>()) || (*at)[step.get<std::string>()].is_null()))
        made = pointer;
      at = &(*at)[step.get<std::string>()];
      continue;
    }
    auto index = step.get<size_t>();
    if (!at->is_array() || index >= at->size())
      return refuse("a list with an element " + std::to_string(index));
    keyPath += "[" + std::to_string(index) + "]";
    pointer += "/" + std::to_string(index);
    at = &(*at)[index];
  }
  *at = assignment.value;
  // What was set below belongs to this assignment now.
  std::erase_if(assigned, [&](const auto &entry) { return entry.first.starts_with(pointer + "/"); });
  assigned[made.value_or(pointer)] = assignment.getPlace();
}

const std::string *JsonValue::findAssigned() const {
  for (size_t end = pointer.size(); end != std::string::npos && end > 0; end = pointer.rfind('/', end - 1))
    if (auto it = document->assigned.find(pointer.substr(0, end)); it != document->assigned.end())
      return &it->second;
  return nullptr;
}

const std::string &JsonValue::getFile() const {
  const std::string *place = findAssigned();
  return place ? *place : document->file;
}

JsonPosition JsonValue::getPosition() const {
  auto it = document->positions.find(pointer);
  return it == document->positions.end() || isAssigned() ? JsonPosition() : it->second;
}

JsonValue JsonValue::with(const std::vector<Assignment> &assignments, JsonDiagnostics &diagnostics) const {
  auto copy = std::make_shared<JsonDocument>(*document);
  for (const Assignment &assignment : assignments)
    copy->assign(assignment, diagnostics);
  JsonValue root;
  root.value = &copy->root;
  root.document = copy;
  return root;
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
  return {getFile(), getPosition(), keyPath.empty() ? message : keyPath + ": " + message, isWarning, keyPath};
}

//===----------------------------------------------------------------------===//
// ObjectReader
//===----------------------------------------------------------------------===//

template <> std::string Range<int64_t>::describe() const {
  if (most == std::numeric_limits<int64_t>::max())
    return " of " + std::to_string(least) + " or more";
  return " of " + std::to_string(least) + " to " + std::to_string(most);
}

template <> std::string Range<double>::describe() const {
  auto text = [](double number) {
    bool isWhole = std::abs(number) < 1e15 && number == std::floor(number);
    return frontend::describe(isWhole ? nlohmann::json(int64_t(number)) : nlohmann::json(number));
  };
  if (excludesMost)
    return " of " + text(least) + " or more and below " + text(most);
  // That single precision ends somewhere is worth no word here.
  return most >= kFloats.most ? " of " + text(least) + " or more"
                              : " of " + text(least) + " to " + text(most);
}

ObjectReader::ObjectReader(std::optional<JsonValue> value, JsonDiagnostics &diagnostics)
    : object(std::move(value)), diagnostics(diagnostics) {
  if (object && !object->get().is_object()) {
    refuse(*object, "an object");
    object.reset();
  }
}

std::optional<JsonValue> ObjectReader::lookUp(const std::string &key) {
  known.insert(key);
  return object ? object->find(key) : std::nullopt;
}

bool ObjectReader::refuse(const JsonValue &value, const std::string &wanted) {
  diagnostics.push_back(
      value.makeDiagnostic(message<ErrorId::ValueUnexpected>(wanted, frontend::describe(value.get()))));
  return false;
}

bool ObjectReader::read(const std::string &key, double &target, Range<double> range) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  if (json.is_number() && json.get<double>() > kFloats.most)
    return refuse(*value, "a number that single precision holds");
  if (!json.is_number() || !range.contains(json.get<double>()))
    return refuse(*value, "a number" + range.describe());
  target = json.get<double>();
  return true;
}

bool ObjectReader::read(const std::string &key, int64_t &target, Range<int64_t> range) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  if (exceedsInt64(json))
    return refuse(*value,
                  "an integer of " + std::to_string(range.least) + " to " + std::to_string(range.most));
  if (!json.is_number_integer() || !range.contains(json.get<int64_t>()))
    return refuse(*value, "an integer" + range.describe());
  target = json.get<int64_t>();
  return true;
}

bool ObjectReader::read(const std::string &key, uint64_t &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  const nlohmann::json &json = value->get();
  // An integer of 2^64 or more is a float for the library.
  if (json.is_number_float() && exceedsInt64(json))
    return refuse(*value, "an integer of 0 to " + std::to_string(std::numeric_limits<uint64_t>::max()));
  // "-0" has a sign for the library.
  if (!json.is_number_unsigned() && !(json.is_number_integer() && json.get<int64_t>() >= 0))
    return refuse(*value, "an integer of 0 or more");
  target = json.get<uint64_t>();
  return true;
}

bool ObjectReader::read(const std::string &key, bool &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_boolean())
    return refuse(*value, "true or false");
  target = value->get().get<bool>();
  return true;
}

bool ObjectReader::read(const std::string &key, std::string &target) {
  std::optional<JsonValue> value = lookUp(key);
  if (!value)
    return false;
  if (!value->get().is_string())
    return refuse(*value, "a string");
  if (value->get().get_ref<const std::string &>().find('\0') != std::string::npos)
    return refuse(*value, "a string without NUL characters");
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
    return refuse(*value, std::to_string(size) + " numbers");
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
    return refuse(*value, "a string or a list of strings");
  target = json.get<std::vector<std::string>>();
  return true;
}

bool ObjectReader::readOneOf(const std::string &key, std::string &target,
                             const std::vector<std::string> &choices) {
  std::string found;
  if (!read(key, found))
    return false;
  if (!llvm::is_contained(choices, found))
    return refuse(*object->find(key), "one of \"" + llvm::join(choices, "\", \"") + "\"");
  target = found;
  return true;
}

std::optional<JsonValue> ObjectReader::readObject(const std::string &key) {
  std::optional<JsonValue> value = lookUp(key);
  if (value && !value->get().is_object()) {
    refuse(*value, "an object");
    return std::nullopt;
  }
  return value;
}

std::optional<JsonValue> ObjectReader::readAny(const std::string &key) { return lookUp(key); }

void ObjectReader::require(const std::string &key) {
  if (object && !lookUp(key))
    diagnostics.push_back(object->makeDiagnostic(message<ErrorId::KeyMissing>(key, "")));
}

/// What an unknown key was meant to be, as the end of a sentence.
static std::string suggest(const std::string &key, llvm::ArrayRef<llvm::StringRef> known,
                           llvm::ArrayRef<std::string> elsewhere) {
  for (const std::string &path : elsewhere)
    if (llvm::StringRef(path).rsplit('.').second == key && path != key)
      return "; did you mean '" + path + "'?";
  llvm::StringRef nearest = nn::getNearest(key, known);
  return nearest.empty() ? ", expected one of " + llvm::join(known, ", ")
                         : "; did you mean '" + nearest.str() + "'?";
}

void ObjectReader::finish(const std::vector<std::string> &elsewhere) {
  if (!object)
    return;
  llvm::SmallVector<llvm::StringRef> names(known.begin(), known.end());
  for (const auto &[key, ignored] : object->get().items()) {
    if (known.count(key))
      continue;
    // A key with a point in it is no path.
    std::optional<JsonValue> value = key.find('.') == std::string::npos ? object->find(key) : object;
    JsonDiagnostic diagnostic =
        object->makeDiagnostic(message<ErrorId::KeyUnknown>(key, suggest(key, names, elsewhere)));
    diagnostic.file = value->getFile();
    diagnostic.position = value->getPosition();
    diagnostics.push_back(diagnostic);
  }
}

} // namespace contraflow::frontend
