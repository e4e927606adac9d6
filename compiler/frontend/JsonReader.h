//===- JsonReader.h - JSON whose errors say where -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nlohmann/json reads the text; a scan of the valid text adds the line and column of every key, so that an
// error about a value can point at it however late it is found. A value that the command line sets points
// there.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_FRONTEND_JSONREADER_H
#define CONTRAFLOW_COMPILER_FRONTEND_JSONREADER_H

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mlir {
class Location;
class MLIRContext;
} // namespace mlir

namespace contraflow::frontend {

/// Line and column count from 1; 0 is nowhere.
struct JsonPosition {
  unsigned line = 0;
  unsigned column = 0;
};

/// An error or a warning at a place of a file.
struct JsonDiagnostic {
  std::string file;
  JsonPosition position;
  std::string message;
  bool isWarning = false;
  /// The key that it is about, such as `optimizer.lr`; empty where there is none.
  std::string keyPath = "";

  /// `file:line:column: error: message`.
  std::string str() const;
};
using JsonDiagnostics = std::vector<JsonDiagnostic>;

bool hasErrors(const JsonDiagnostics &diagnostics);
/// Whether it is a number of 2^63 or more.
bool exceedsInt64(const nlohmann::json &value);
/// Hands diagnostics to the context's handler.
void report(mlir::MLIRContext *context, const JsonDiagnostics &diagnostics);

/// The text of a regular file; nothing, and `fault` says why, if it cannot be read.
std::optional<std::string> readText(const std::string &path, std::string &fault);
/// What `fault` of `path` is where another file names it.
std::string describeUnreadable(const std::string &path, const std::string &fault);
/// The text of a regular file; nothing, and a diagnostic, if it cannot be read.
std::optional<std::string> readText(const std::string &path, JsonDiagnostics &diagnostics);

class JsonValue;

/// `optimizer.lr=3e-4` of the command line: JSON, or else text.
struct Assignment {
  /// Nothing, and a diagnostic, if `text` is none.
  static std::optional<Assignment> parse(const std::string &text, JsonDiagnostics &diagnostics);

  std::string text;
  /// Keys and, of lists, indices: `optimizer.betas[0]` is {"optimizer", "betas", 0}.
  std::vector<nlohmann::json> path;
  nlohmann::json value;

  /// What stands in diagnostics in the place of a file.
  std::string getPlace() const { return "--set " + text; }
};

/// A JSON text and where its values stand.
class JsonDocument {
public:
  /// Nothing if the text is no JSON object; `diagnostics` then says why. `file` is the name in diagnostics. A
  /// key that stands twice is an error, but the rest can be read.
  static std::optional<JsonValue> parse(const std::string &file, const std::string &text,
                                        JsonDiagnostics &diagnostics);
  static std::optional<JsonValue> read(const std::string &path, JsonDiagnostics &diagnostics);

private:
  friend class JsonValue;
  void assign(const Assignment &assignment, JsonDiagnostics &diagnostics);

  std::string file;
  nlohmann::json root;
  /// JSON pointer -> where the key (of an element: the value) begins.
  std::map<std::string, JsonPosition> positions;
  /// JSON pointer -> what stands in the place of the file, for values of the command line.
  std::map<std::string, std::string> assigned;
};

/// A value of a document; cheap to copy, keeps the document alive.
class JsonValue {
public:
  const nlohmann::json &get() const { return *value; }
  /// The file, or the assignment that set the value or what is around it.
  const std::string &getFile() const;
  JsonPosition getPosition() const;
  /// Whether the command line set the value or what is around it.
  bool isAssigned() const { return findAssigned() != nullptr; }
  /// `rope_scaling.factor`, `betas[1]`; empty at the root.
  const std::string &getKeyPath() const { return keyPath; }

  /// The value at a path such as `rope_scaling.factor`; nothing where a part is missing or no object.
  std::optional<JsonValue> find(const std::string &path) const;
  /// The element of an array.
  JsonValue at(size_t index) const;
  /// Of a root: a copy in which values are set; objects that are missing on the way are made.
  JsonValue with(const std::vector<Assignment> &assignments, JsonDiagnostics &diagnostics) const;

  mlir::Location getLoc(mlir::MLIRContext *context) const;
  /// `keyPath: message` here.
  JsonDiagnostic makeDiagnostic(const std::string &message, bool isWarning = false) const;

private:
  friend class JsonDocument;
  const std::string *findAssigned() const;

  std::shared_ptr<const JsonDocument> document;
  const nlohmann::json *value = nullptr;
  std::string pointer;
  std::string keyPath;
};

/// How a value reads in a diagnostic, shortened.
std::string describe(const nlohmann::json &value);

/// Inclusive, unless it says otherwise.
template <typename T> struct Range {
  T least = 0;
  T most = std::numeric_limits<T>::max();
  bool excludesMost = false;

  bool contains(T value) const { return value >= least && (excludesMost ? value < most : value <= most); }
  /// ` of 1 or more`, ` of 0 to 4`, ` of 0 or more and below 1`.
  std::string describe() const;
};
/// Numbers end up in single precision.
inline constexpr Range<double> kFloats = {0, std::numeric_limits<float>::max()};
/// Probabilities, and parts of a whole that is never used up.
inline constexpr Range<double> kShares = {0, 1, /*excludesMost=*/true};

/// Reads the keys of an object one by one, collects what is wrong, and reports keys nobody asked for.
class ObjectReader {
public:
  /// Without a value, nothing is found and nothing reported.
  ObjectReader(std::optional<JsonValue> object, JsonDiagnostics &diagnostics);

  /// These leave `target` as it is if the key is missing; false means missing or wrong.
  bool read(const std::string &key, double &target, Range<double> range = kFloats);
  bool read(const std::string &key, int64_t &target, Range<int64_t> range = {});
  bool read(const std::string &key, uint64_t &target);
  bool read(const std::string &key, bool &target);
  bool read(const std::string &key, std::string &target);
  bool read(const std::string &key, std::vector<double> &target, size_t size);
  bool read(const std::string &key, std::vector<std::string> &target);
  bool readOneOf(const std::string &key, std::string &target, const std::vector<std::string> &choices);

  /// The object at `key`, if it is there.
  std::optional<JsonValue> readObject(const std::string &key);
  /// Any value at `key`; the caller checks it.
  std::optional<JsonValue> readAny(const std::string &key);
  /// Reports `key` if it is missing.
  void require(const std::string &key);
  /// Reports the keys that were not read, with the known key that looks most like each. `elsewhere` are paths
  /// of keys that other objects have: a key may be right at a wrong place.
  void finish(const std::vector<std::string> &elsewhere = {});

private:
  std::optional<JsonValue> lookUp(const std::string &key);
  bool refuse(const JsonValue &value, const std::string &wanted);

  std::optional<JsonValue> object;
  JsonDiagnostics &diagnostics;
  std::set<std::string> known;
};

} // namespace contraflow::frontend

#endif
