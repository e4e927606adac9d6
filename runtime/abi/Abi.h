/*===- Abi.h - what generated code and the runtime agree on ---------------===*/
/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CONTRAFLOW_RUNTIME_ABI_ABI_H
#define CONTRAFLOW_RUNTIME_ABI_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever a function below, the calling convention of generated functions, the scalars, the
   manifest or the payload changes its meaning. A trainer refuses a payload of another version. */
#define CF_ABI_VERSION 3

/* A generated function. bases: one pointer per memory area that the function works on, in the order
   that its program rows list them; an area that a row leaves out is null. */
typedef void (*cf_function)(void *const *bases);

/* One chunk of a parallel region: items begin to end - 1. scratch belongs to the thread that runs the
   chunk, has the manifest's scratch_bytes_per_worker bytes, is aligned to 64 and holds anything at
   the start of a chunk. */
typedef void (*cf_body)(void *env, int64_t begin, int64_t end, void *scratch);

/* Runs body over the items 0 to count - 1 in chunks [i * grain, min((i + 1) * grain, count)), each
   exactly once, in any order, on any thread, and returns when all are done. The chunks depend on count and
   grain only, never on the number of threads. grain < 1 counts as 1. With one chunk no other thread is
   woken. A body must not call cf_parallel_for. */
void cf_parallel_for(cf_body body, void *env, int64_t count, int64_t grain);

/* Called by functions of checked builds, on the thread that runs them, between their parallel regions: before
   kernel `point`, and with the number of kernels at the end. Looks at the memory of the function as the
   manifest describes it. Where that is wrong it does not return: the function is left and the row fails. */
void cf_check(int64_t point);

/* CF_ABI_VERSION of the runtime. */
int32_t cf_abi_version(void);

/* Elements of the scalars buffer (float). The runtime writes the first three before a step; the
   program writes the others. */
enum cf_scalar {
  CF_SCALAR_LEARNING_RATE = 0,
  CF_SCALAR_BIAS_CORRECTION_1 = 1, /* 1 - beta1^t */
  CF_SCALAR_BIAS_CORRECTION_2 = 2, /* 1 - beta2^t */
  CF_SCALAR_CLIP_FACTOR = 3,
  CF_SCALAR_GRADIENT_NORM = 4,
  CF_SCALAR_COUNT = 16
};

/* Words (int32_t) of a random key. The runtime writes them before a step: two words that are random
   functions of seed, step and instance, the number of the micro-batch, and a zero. Generated code makes
   its random numbers of them and of coordinates. */
enum { CF_RANDOM_KEY_WORDS = 4 };

#ifdef __cplusplus
}
#endif

#endif
