//===- ErrorTable.h - what users are told, as rows of a table -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A table is a file of rows
//
//   CF_ERROR(Name, Section, "text with {places}", "what to do")
//
// (runtime/base/Errors.def, compiler/errors/Errors.def). Code names a row and gives its places values; how
// many there are is checked when it is compiled. The catalogue of errors is printed from the same files.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_ABI_ERRORTABLE_H
#define CONTRAFLOW_RUNTIME_ABI_ERRORTABLE_H

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace contraflow::abi {

/// A row.
struct ErrorEntry {
  /// A word in braces is a place; places of text and advice are filled from left to right.
  std::string_view text;
  /// What to do about it; may be empty.
  std::string_view advice;
};

constexpr size_t countPlaces(std::string_view text) {
  size_t places = 0;
  for (char c : text)
    places += c == '{';
  return places;
}

constexpr size_t countPlaces(const ErrorEntry &entry) {
  return countPlaces(entry.text) + countPlaces(entry.advice);
}

/// `text; advice` with the places filled. A value that begins with ';' or is empty is a part that may be
/// missing.
inline std::string fillPlaces(const ErrorEntry &entry, std::initializer_list<std::string> values) {
  std::string result;
  const std::string *value = values.begin();
  for (std::string_view text : {entry.text, entry.advice}) {
    if (text.empty())
      continue;
    result += result.empty() ? "" : "; ";
    for (size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '{') {
        result += text[at];
        continue;
      }
      result += *value++;
      at = text.find('}', at);
    }
  }
  return result;
}

} // namespace contraflow::abi

#endif
