//===- Errors.h - what the compiler tells its users -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_ERRORS_ERRORS_H
#define CONTRAFLOW_COMPILER_ERRORS_ERRORS_H

#include "runtime/abi/ErrorTable.h"
#include "llvm/Support/raw_ostream.h"
#include <type_traits>

namespace contraflow {

/// Rows of compiler/errors/Errors.def.
enum class ErrorId {
#define CF_ERROR(name, section, text, advice) name,
#include "compiler/errors/Errors.def"
#undef CF_ERROR
};

inline constexpr abi::ErrorEntry kErrors[] = {
#define CF_ERROR(name, section, text, advice) {text, advice},
#include "compiler/errors/Errors.def"
#undef CF_ERROR
};

template <typename T> std::string toErrorText(const T &value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

/// The row `Id` with its places filled, from left to right.
template <ErrorId Id, typename... Values> std::string message(const Values &...values) {
  constexpr abi::ErrorEntry entry = kErrors[static_cast<size_t>(Id)];
  static_assert(abi::countPlaces(entry) == sizeof...(Values), "a value for every place of the row");
  return abi::fillPlaces(entry, {toErrorText(values)...});
}

} // namespace contraflow

#endif
