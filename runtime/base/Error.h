//===- Error.h - the one exception type of the runtime --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_BASE_ERROR_H
#define CONTRAFLOW_RUNTIME_BASE_ERROR_H

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace contraflow::base {

/// Where in a run something went wrong. What is not known stays empty or negative.
struct Place {
  int64_t rank = -1;
  std::string layer;
  int64_t microBatch = -1;
  std::string op;
};

/// An error that a user can act on: what was found and wanted, where, and what to do about it.
/// what() is the whole text, ready to be printed after "error: ".
class Error : public std::runtime_error {
public:
  explicit Error(const std::string &message, const std::string &advice = "", const Place &place = {})
      : std::runtime_error(compose(message, advice, place)), place(place) {}

  const Place &getPlace() const { return place; }

private:
  static std::string compose(const std::string &message, const std::string &advice, const Place &place) {
    std::ostringstream text;
    text << message;
    const char *separator = " (";
    auto part = [&](const char *name) -> std::ostream & {
      text << separator << name << ' ';
      separator = ", ";
      return text;
    };
    if (place.rank >= 0)
      part("rank") << place.rank;
    if (!place.layer.empty())
      part("layer") << '\'' << place.layer << '\'';
    if (place.microBatch >= 0)
      part("micro-batch") << place.microBatch;
    if (!place.op.empty())
      part("op") << '\'' << place.op << '\'';
    if (separator[0] == ',')
      text << ')';
    if (!advice.empty())
      text << "; " << advice;
    return text.str();
  }

  Place place;
};

/// Joins its arguments as a stream would print them.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

} // namespace contraflow::base

#endif
