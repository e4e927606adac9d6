//===- CountAllocations.c - memory that a program asks for, counted -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loaded with LD_PRELOAD. Counts calls of the allocator and of the system for memory, on all threads. A run
// is cut into lines by fflush, which the trainer calls behind each of them. To say a line takes memory, so
// the calls that matter are those between the first and the last look at the clock. At the end of the process
// $ALLOCATION_LOG gets
//
//   line <calls between looks at the clock> <looks at the clock> <calls in all>
//   ...
//   resident <KiB at the begin> <KiB at most>
//
//===----------------------------------------------------------------------===//
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

enum { kMostLines = 4096 };
struct Line {
  long between, clocks, calls;
};

static struct Line lines[kMostLines];
static int lineCount;
static atomic_long calls, clocks;
// Calls and looks at the clock when the line began, and calls at its first and its last look.
static long callsAtBegin, clocksAtBegin, callsAtFirst, callsAtLast;
static long residentAtBegin;

void *malloc(size_t bytes) {
  ++calls;
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  ++calls;
  return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
  ++calls;
  return __libc_realloc(memory, bytes);
}
void *memalign(size_t alignment, size_t bytes) {
  ++calls;
  return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}
void free(void *memory) {
  ++calls;
  __libc_free(memory);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  ++calls;
  return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}
void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  return mmap(address, bytes, protection, flags, file, offset);
}
int munmap(void *address, size_t bytes) {
  ++calls;
  return (int)syscall(SYS_munmap, address, bytes);
}
int brk(void *end) {
  ++calls;
  int (*next)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "brk");
  return next(end);
}
void *sbrk(intptr_t by) {
  ++calls;
  void *(*next)(intptr_t) = (void *(*)(intptr_t))dlsym(RTLD_NEXT, "sbrk");
  return next(by);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  callsAtLast = calls;
  if (clocks++ == clocksAtBegin)
    callsAtFirst = callsAtLast;
  return (int)syscall(SYS_clock_gettime, clock, time);
}

int fflush(FILE *file) {
  static int (*next)(FILE *);
  if (!next)
    next = (int (*)(FILE *))dlsym(RTLD_NEXT, "fflush");
  int result = next(file);
  if (file == stdout && lineCount < kMostLines) {
    lines[lineCount].between = clocks > clocksAtBegin ? callsAtLast - callsAtFirst : 0;
    lines[lineCount].clocks = clocks - clocksAtBegin;
    lines[lineCount++].calls = calls - callsAtBegin;
    callsAtBegin = calls;
    clocksAtBegin = clocks;
  }
  return result;
}

/// A field of /proc/self/status, in KiB.
static long readStatus(const char *field) {
  char text[128];
  long value = -1;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && value < 0 && fgets(text, sizeof(text), file))
    if (strncmp(text, field, strlen(field)) == 0)
      value = strtol(text + strlen(field), NULL, 10);
  if (file)
    fclose(file);
  return value;
}

__attribute__((constructor)) static void begin(void) { residentAtBegin = readStatus("VmRSS:"); }

__attribute__((destructor)) static void finish(void) {
  const char *path = getenv("ALLOCATION_LOG");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file)
    return;
  for (int i = 0; i < lineCount; ++i)
    fprintf(file, "line %ld %ld %ld\n", lines[i].between, lines[i].clocks, lines[i].calls);
  fprintf(file, "resident %ld %ld\n", residentAtBegin, readStatus("VmHWM:"));
  fclose(file);
}
