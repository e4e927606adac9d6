//===- Error.h - the one exception type of the runtime --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_ERROR_H
#define CONTRAFLOW_RUNTIME_BASE_ERROR_H

#include "runtime/abi/ErrorTable.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace contraflow::base {

/// Rows of runtime/base/Errors.def.
enum class ErrorId {
#define CF_ERROR(name, section, text, advice) name,
#include "runtime/base/Errors.def"
#undef CF_ERROR
};

inline constexpr abi::ErrorEntry kErrors[] = {
#define CF_ERROR(name, section, text, advice) {text, advice},
#include "runtime/base/Errors.def"
#undef CF_ERROR
};

/// Joins its arguments as a stream would print them.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// "a, b, c and 4 more": some of many, all of few.
inline std::string listText(const std::vector<std::string> &parts) {
  constexpr size_t kMost = 5;
  std::string result;
  for (size_t i = 0; i < std::min(parts.size(), kMost); ++i)
    result += (i == 0 ? "" : ", ") + parts[i];
  return parts.size() <= kMost ? result : text(result, " and ", parts.size() - kMost, " more");
}

/// The row `Id` with its places filled, from left to right.
template <ErrorId Id, typename... Values> std::string message(const Values &...values) {
  constexpr abi::ErrorEntry entry = kErrors[static_cast<size_t>(Id)];
  static_assert(abi::countPlaces(entry) == sizeof...(Values), "a value for every place of the row");
  return abi::fillPlaces(entry, {text(values)...});
}

/// What stands before every error.
inline constexpr const char *kErrorPrefix = "contraflow: error: ";

/// An error that a user can act on: what was found and expected, where, and what to do about it.
/// what() is the whole text, ready to be printed after `kErrorPrefix`.
class Error : public std::runtime_error {
public:
  explicit Error(const std::string &message, const std::string &advice = "")
      : std::runtime_error(advice.empty() ? message : message + "; " + advice) {}
};

/// Errors that are said together.
class ErrorList {
public:
  void add(const std::string &message) { messages.push_back(message); }
  /// Runs `body`, and keeps the error that it throws.
  template <typename Body> void collect(Body body) {
    try {
      body();
    } catch (const Error &error) {
      add(error.what());
    }
  }
  /// Throws one Error for all, a line each, if there are any.
  void raise() const {
    std::string all;
    for (const std::string &message : messages)
      all += (all.empty() ? "" : std::string("\n") + kErrorPrefix) + message;
    if (!all.empty())
      throw Error(all);
  }

private:
  std::vector<std::string> messages;
};

} // namespace contraflow::base

#endif
