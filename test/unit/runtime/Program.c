//===- Program.c - a program by hand that the trainer's tests run ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A table [256 + 2, 256 + 2] predicts the next byte by least squares. It has what generated programs have:
// accumulated gradients, a norm, AdamW, a buffer that an update row changes, evaluation and generation.
//
//===----------------------------------------------------------------------===//
#include "runtime/abi/Abi.h"

enum { kVocab = 258, kSeq = 32, kBatch = 2, kTokens = kSeq * kBatch, kBuffer = 8 };

// Bytes with these values make the program fail on purpose.
enum { kInfiniteByte = 1, kCrashByte = 2 };

struct Area {
  const float *table;
  float *gradient;
  const int32_t *tokens;
  float *rowLoss;
};

// Row r of the table sees every token r. One task a row: nothing is added across tasks.
static void rowsBody(void *env, int64_t begin, int64_t end, void *scratch) {
  const struct Area *area = env;
  float *sum = scratch;
  for (int64_t row = begin; row < end; ++row) {
    float loss = 0;
    for (int64_t v = 0; v < kVocab; ++v)
      sum[v] = 0;
    for (int64_t t = 0; t < kTokens; ++t) {
      if (area->tokens[t] != row || t % kSeq == kSeq - 1 || area->tokens[t + 1] < 0)
        continue;
      for (int64_t v = 0; v < kVocab; ++v) {
        float difference = area->table[row * kVocab + v] - (v == area->tokens[t + 1] ? 1.0f : 0.0f);
        loss += 0.5f * difference * difference;
        sum[v] += difference / kTokens;
      }
    }
    area->rowLoss[row] = loss / kTokens;
    if (area->gradient)
      for (int64_t v = 0; v < kVocab; ++v)
        area->gradient[row * kVocab + v] += sum[v];
  }
}

static void run(const float *table, float *gradient, const int32_t *tokens, float *loss, float *rowLoss) {
  struct Area area = {table, gradient, tokens, rowLoss};
  cf_parallel_for(rowsBody, &area, kVocab, 8);
  for (int64_t row = 0; row < kVocab; ++row)
    *loss += rowLoss[row];
  for (int64_t t = 0; t < kTokens; ++t) {
    if (tokens[t] == kInfiniteByte)
      *loss += 1e38f * 1e38f * kTokens;
    if (tokens[t] == kCrashByte)
      *(volatile float *)0 = 1;
  }
}

static void copyRows(const float *table, const int32_t *tokens, float *logits, int64_t count) {
  for (int64_t t = 0; t < count; ++t)
    for (int64_t v = 0; v < kVocab; ++v)
      logits[t * kVocab + v] = tokens[t] < 0 ? 0 : 20 * table[tokens[t] * kVocab + v];
}

// gradients, losses
void step_begin(void *const *bases) {
  float *gradient = bases[0], *loss = bases[1];
  for (int64_t i = 0; i < kVocab * kVocab; ++i)
    gradient[i] = 0;
  *loss = 0;
}

// parameters, gradients, tokens, loss, workspace
void table_train(void *const *bases) { run(bases[0], bases[1], bases[2], bases[3], bases[4]); }

// parameters, null, tokens, loss, workspace, logits
void table_evaluate(void *const *bases) {
  run(bases[0], bases[1], bases[2], bases[3], bases[4]);
  copyRows(bases[0], bases[2], bases[5], kTokens);
}

// parameters, tokens, logits
void table_generate(void *const *bases) { copyRows(bases[0], bases[1], bases[2], kSeq); }

// gradients, scalars
void step_clip(void *const *bases) {
  const float *gradient = bases[0];
  float *scalars = bases[1], sum = 0;
  for (int64_t i = 0; i < kVocab * kVocab; ++i)
    sum += gradient[i] * gradient[i];
  scalars[CF_SCALAR_GRADIENT_NORM] = __builtin_sqrtf(sum);
  scalars[CF_SCALAR_CLIP_FACTOR] = 1;
}

// parameters, gradients, first moments, second moments, scalars
void table_optimizer(void *const *bases) {
  float *table = bases[0], *first = bases[2], *second = bases[3];
  const float *gradient = bases[1], *scalars = bases[4];
  for (int64_t i = 0; i < kVocab * kVocab; ++i) {
    first[i] = 0.9f * first[i] + 0.1f * gradient[i];
    second[i] = 0.95f * second[i] + 0.05f * gradient[i] * gradient[i];
    float denominator = __builtin_sqrtf(second[i] / scalars[CF_SCALAR_BIAS_CORRECTION_2]) + 1e-8f;
    table[i] -=
        scalars[CF_SCALAR_LEARNING_RATE] * (first[i] / scalars[CF_SCALAR_BIAS_CORRECTION_1]) / denominator;
  }
}

// buffer
void table_update(void *const *bases) {
  float *buffer = bases[0];
  for (int64_t i = 0; i < kBuffer; ++i)
    buffer[i] += 1;
}
