//===- SanitizerOptions.c - how sanitizers behave in this project ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Part of every executable of a build with sanitizers, trainers included, so that nobody has to set
// ASAN_OPTIONS and the like (which still win). A report ends in SIGABRT: an exit status would look like the
// error that a test of error messages expects.
//===----------------------------------------------------------------------===//

// The runtimes of sanitizers look for functions of these names. Marked as used, because nothing here calls
// them.
#define SANITIZER_HOOK __attribute__((visibility("default"), used)) const char *

// Containers whose code is instrumented here and not in Debian's libMLIR (llvm::BumpPtrAllocator) mark memory
// as poisoned in one and use it in the other: allow_user_poisoning=0.
SANITIZER_HOOK __asan_default_options(void) {
  return "allow_user_poisoning=0:abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:"
         "strict_string_checks=1:check_initialization_order=1";
}

SANITIZER_HOOK __ubsan_default_options(void) { return "halt_on_error=1:abort_on_error=1:print_stacktrace=1"; }

// Debian's libMLIR publishes what it allocates through atomics that are not instrumented, so locks and memory
// that it touches seem to race: ignore_noninstrumented_modules=1. Calls of libraries count only where our
// code makes them.
SANITIZER_HOOK __tsan_default_options(void) {
  return "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1";
}
