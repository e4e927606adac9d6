/*===- CrashAt.c - a crash at a known place -------------------------------===*/
/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Preloaded into a program, it crashes where the program opens or makes a path that holds CRASH_AT. So a
 * crash can be had in any phase of an unchanged compiler.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Once: what handles the crash may open the same path. */
static void crashAt(const char *path) {
  static int crashed;
  const char *place = getenv("CRASH_AT");
  if (!crashed && place && *place && strstr(path, place)) {
    crashed = 1;
    raise(SIGSEGV);
  }
}

static mode_t getMode(int flags, va_list arguments) {
  return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

#define DEFINE_OPEN(name)                                                                                    \
  int name(const char *path, int flags, ...) {                                                               \
    va_list arguments;                                                                                       \
    va_start(arguments, flags);                                                                              \
    mode_t mode = getMode(flags, arguments);                                                                 \
    va_end(arguments);                                                                                       \
    crashAt(path);                                                                                           \
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);          \
    return real(path, flags, mode);                                                                          \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

int mkdir(const char *path, mode_t mode) {
  crashAt(path);
  int (*real)(const char *, mode_t) = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
  return real(path, mode);
}
