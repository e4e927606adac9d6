//===- Checker.h - memory of a checked build, looked at while it runs -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where a buffer begins to live it is filled with a pattern that is no number, and the bytes around it, its
// guards, with a pattern that no other buffer has; where it ends, with a third. Then a plan that is wrong
// shows itself:
//
//   a buffer over a live one    the guards of the live one are gone, or it holds patterns where it is read
//   a write out of bounds       guards are gone
//   a read of what nobody wrote, or of what is dead: a pattern, or what became of it: not a number
//
// The patterns are signalling NaNs as floats, which no arithmetic makes, and no ids. Programs are looked at
// around every row, functions (cf_check) around every kernel.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_EXECUTOR_CHECKER_H
#define CONTRAFLOW_RUNTIME_EXECUTOR_CHECKER_H

#include "runtime/abi/Manifest.h"
#include "runtime/device/cpu/Arena.h"

#include <csetjmp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace contraflow::executor {

class Checker {
public:
  /// Paints the guards of what outlives programs. Throws base::Error where a buffer moves between programs.
  /// Both arguments must stay alive.
  Checker(const abi::Manifest &manifest, device::Arena &arena);
  ~Checker();
  Checker(const Checker &) = delete;

  /// Of row `index` of a program: before its function runs, and after it. `pointers` are those that the
  /// function gets, which may lie elsewhere than the row says (Executor::redirect). Both throw base::Error.
  void beginRow(const std::string &program, size_t index, void *const *pointers);
  void endRow();

  /// At a point of the function that runs; false where something is wrong, which getFailure() then says.
  bool check(int64_t point) noexcept;
  const std::string &getFailure() const { return failure; }
  /// Where cf_check goes on after a failure, because generated code cannot be unwound.
  std::jmp_buf escape;

  /// The last one that the calling thread made; null where nothing is checked.
  static Checker *getCurrent() { return current; }

private:
  /// Bytes of the arena with the guards around them.
  struct Piece {
    const char *what;
    const std::string *name;
    char *begin;
    int64_t bytes;
    /// In the guards; 0: it has none.
    uint32_t tag;
  };

  Piece pieceOf(const abi::Buffer &buffer, size_t number);
  Piece pieceOf(const abi::CheckedValue &value, size_t number);
  void enterProgram(const std::string &name, size_t index);
  void paintGuards(const Piece &piece);
  void requireGuards(const Piece &piece);
  void requireAllGuards();
  void requireContents(const abi::CheckedValue &value, bool isRead);
  void requireIds(const abi::CheckedIds &ids);
  void finishKernel(int64_t kernel);
  void beginKernel(int64_t kernel);
  [[noreturn]] void fail(const std::string &what);
  /// "row 3 of 'train' (...), kernel 2 'linear'".
  std::string describePlace() const;
  std::string describe(const Piece &piece) const;

  const abi::Manifest &manifest;
  device::Arena &arena;
  std::string failure;

  // The row at hand.
  const std::string *program = nullptr;
  const std::vector<abi::Buffer> *buffers = nullptr;
  const abi::Row *row = nullptr;
  void *const *bases = nullptr;
  const abi::FunctionChecks *checks = nullptr;
  size_t index = 0;
  /// The kernel that ran or is about to run; -1: none.
  int64_t kernel = -1;
  /// What outlives programs, each once.
  std::vector<Piece> kept;
  /// Numbers of the other buffers, and of the guarded values of the function, that are in use.
  std::vector<size_t> liveBuffers, liveValues;

  static thread_local Checker *current;
};

} // namespace contraflow::executor

#endif
