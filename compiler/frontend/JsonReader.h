//===- JsonReader.h - JSON whose errors say where -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nlohmann/json reads the text; a scan of the valid text adds the line and column of every key, so that an
// error about a value can point at it however late it is found.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_FRONTEND_JSONREADER_H
#define CONTRAFLOW_COMPILER_FRONTEND_JSONREADER_H

#include <cstdint>
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

  /// `file:line:column: error: message`.
  std::string str() const;
};
using JsonDiagnostics = std::vector<JsonDiagnostic>;

bool hasErrors(const JsonDiagnostics &diagnostics);
/// Hands diagnostics to the context's handler.
void report(mlir::MLIRContext *context, const JsonDiagnostics &diagnostics);

class JsonValue;

/// A JSON text and where its values stand.
class JsonDocument {
public:
  /// Nothing if the text is no JSON object; `diagnostics` then says why. `file` is the name in diagnostics.
  static std::optional<JsonValue> parse(const std::string &file, const std::string &text,
                                        JsonDiagnostics &diagnostics);
  static std::optional<JsonValue> read(const std::string &path, JsonDiagnostics &diagnostics);

private:
  friend class JsonValue;
  std::string file;
  nlohmann::json root;
  /// JSON pointer -> where the key (of an element: the value) begins.
  std::map<std::string, JsonPosition> positions;
};

/// A value of a document; cheap to copy, keeps the document alive.
class JsonValue {
public:
  const nlohmann::json &get() const { return *value; }
  const std::string &getFile() const { return document->file; }
  JsonPosition getPosition() const;
  /// `rope_scaling.factor`, `betas[1]`; empty at the root.
  const std::string &getKeyPath() const { return keyPath; }

  /// The value at a path such as `rope_scaling.factor`; nothing where a part is missing or no object.
  std::optional<JsonValue> find(const std::string &path) const;
  /// The element of an array.
  JsonValue at(size_t index) const;

  mlir::Location getLoc(mlir::MLIRContext *context) const;
  /// `keyPath: message` here.
  JsonDiagnostic makeDiagnostic(const std::string &message, bool isWarning = false) const;

private:
  friend class JsonDocument;
  std::shared_ptr<const JsonDocument> document;
  const nlohmann::json *value = nullptr;
  std::string pointer;
  std::string keyPath;
};

/// How a value reads in a diagnostic, shortened.
std::string describe(const nlohmann::json &value);

/// Reads the keys of an object one by one, collects what is wrong, and reports keys nobody asked for.
class ObjectReader {
public:
  /// Without a value, nothing is found and nothing reported.
  ObjectReader(std::optional<JsonValue> object, JsonDiagnostics &diagnostics);

  /// These leave `target` as it is if the key is missing; false means missing or wrong.
  bool read(const std::string &key, double &target, double atLeast = 0);
  bool read(const std::string &key, int64_t &target, int64_t atLeast = 0);
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
  /// Reports the keys that were not read, with the known key that looks most like each.
  void finish();

private:
  std::optional<JsonValue> lookUp(const std::string &key);
  bool fail(const JsonValue &value, const std::string &wanted);

  std::optional<JsonValue> object;
  JsonDiagnostics &diagnostics;
  std::set<std::string> known;
};

} // namespace contraflow::frontend

#endif
