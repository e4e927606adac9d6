//===- Error.h - the one exception type of the runtime --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_ERROR_H
#define CONTRAFLOW_RUNTIME_BASE_ERROR_H

#include <sstream>
#include <stdexcept>
#include <string>

namespace contraflow::base {

/// An error that a user can act on: what was found and wanted, where, and what to do about it.
/// what() is the whole text, ready to be printed after "error: ".
class Error : public std::runtime_error {
public:
  explicit Error(const std::string &message, const std::string &advice = "")
      : std::runtime_error(advice.empty() ? message : message + "; " + advice) {}
};

/// Joins its arguments as a stream would print them.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

} // namespace contraflow::base

#endif
