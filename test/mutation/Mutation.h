//===- Mutation.h - mutants that wait in the code for their number --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// test/mutation/run.py writes all mutants into one copy of the tree, builds it once, and chooses one of them
// for each run of a test by CONTRAFLOW_MUTANT. No product includes this file.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_TEST_MUTATION_MUTATION_H
#define CONTRAFLOW_TEST_MUTATION_MUTATION_H

#include <cstdlib>
#include <fcntl.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace contraflow::mutation {

constexpr int kMaxMutants = 4096;

/// The chosen mutant; 0 is none.
inline int getActive() {
  static const int active = [] {
    const char *text = std::getenv("CONTRAFLOW_MUTANT");
    return text ? std::atoi(text) : 0;
  }();
  return active;
}

/// Sets a byte for each mutant that is reached in the file CONTRAFLOW_MUTANTS_REACHED, if there is one.
inline void markReached(int mutant) {
  static const int file = [] {
    const char *path = std::getenv("CONTRAFLOW_MUTANTS_REACHED");
    return path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
  }();
  static bool reached[kMaxMutants];
  if (file < 0 || reached[mutant])
    return;
  reached[mutant] = true;
  if (pwrite(file, "1", 1, mutant) != 1)
    std::abort();
}

/// Constant expressions are never mutated.
constexpr bool isActive(int mutant) {
  if (std::is_constant_evaluated())
    return false;
  markReached(mutant);
  return getActive() == mutant;
}

// An operator of a, b becomes another one without any knowledge of where the operands begin and end:
// `a < b` is rewritten to `a < Less{7} < b`, and both operators below have the precedence of the original.
#define CONTRAFLOW_MUTABLE_OPERATOR(name, original, other)                                                   \
  struct name {                                                                                              \
    int mutant;                                                                                              \
  };                                                                                                         \
  template <typename Left> struct name##Half {                                                               \
    Left &&left;                                                                                             \
    int mutant;                                                                                              \
  };                                                                                                         \
  template <typename Left> constexpr name##Half<Left> operator original(Left &&left, name tag) {             \
    return {std::forward<Left>(left), tag.mutant};                                                           \
  }                                                                                                          \
  template <typename Left, typename Right>                                                                   \
  constexpr auto operator original(name##Half<Left> half, Right &&right) {                                   \
    using Result =                                                                                           \
        std::decay_t<decltype(std::forward<Left>(half.left) original std::forward<Right>(right))>;           \
    if (isActive(half.mutant))                                                                               \
      return Result(std::forward<Left>(half.left) other std::forward<Right>(right));                         \
    return Result(std::forward<Left>(half.left) original std::forward<Right>(right));                        \
  }

CONTRAFLOW_MUTABLE_OPERATOR(Less, <, <=)
CONTRAFLOW_MUTABLE_OPERATOR(LessEqual, <=, <)
CONTRAFLOW_MUTABLE_OPERATOR(Greater, >, >=)
CONTRAFLOW_MUTABLE_OPERATOR(GreaterEqual, >=, >)
CONTRAFLOW_MUTABLE_OPERATOR(Equal, ==, !=)
CONTRAFLOW_MUTABLE_OPERATOR(NotEqual, !=, ==)
CONTRAFLOW_MUTABLE_OPERATOR(Plus, +, -)
CONTRAFLOW_MUTABLE_OPERATOR(Minus, -, +)
CONTRAFLOW_MUTABLE_OPERATOR(Times, *, +)
CONTRAFLOW_MUTABLE_OPERATOR(Over, /, *)
CONTRAFLOW_MUTABLE_OPERATOR(Modulo, %, /)

#undef CONTRAFLOW_MUTABLE_OPERATOR

} // namespace contraflow::mutation

#endif
