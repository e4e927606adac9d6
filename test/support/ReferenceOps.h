//===- ReferenceOps.h - what the operations of nn mean, from formulas -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One function per forward operation, in double precision, written from the published formulas and not from
// the compiler. Gradients have no function of their own: a test differentiates these numerically
// (`derivative`), so that a wrong formula cannot be wrong twice.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_TEST_SUPPORT_REFERENCEOPS_H
#define CONTRAFLOW_TEST_SUPPORT_REFERENCEOPS_H

#include "test/support/KernelInterpreter.h"
#include <functional>

namespace contraflow::test::reference {

Array embedding(const Array &ids, const Array &table);
/// x [T, I] times the transpose of w [O, I].
Array linear(const Array &x, const Array &w);
/// rows [R, I], w [E, O, I]: the expert of a row comes from the routing table.
Array groupedLinear(const Array &rows, const Array &w, const Array &routing);
/// Groups of as many columns as w has.
Array rmsNorm(const Array &x, const Array &w, double eps);

struct Rope {
  int64_t headDim, seq;
  double theta;
  bool interleaved;
  // YaRN; a factor of 1 is plain rotation.
  double factor = 1, betaFast = 32, betaSlow = 1, originalLength = 4096, attentionFactor = 1;
};
Array rope(const Array &x, const Rope &options);

/// What drops with probability p: a random key as i32 words, and the stream of the operation.
struct Drop {
  double p = 0;
  Array key;
  int64_t stream = 0;
};
/// Factors of the elements of a matrix: 0 or 1 / (1 - p).
Array dropFactors(llvm::ArrayRef<int64_t> shape, const Drop &drop);

struct Attention {
  int64_t heads, kvHeads, seq;
  double scale;
  bool causal;
  Drop drop = {};
};
/// `starts` may be null.
/// The logarithm of the sum of exponentials of each row and head: the second result of attention.
Array attentionLse(const Array &q, const Array &k, const Array *starts, const Attention &options);
Array attention(const Array &q, const Array &k, const Array &v, const Array *starts,
                const Attention &options);

/// Any function of one element, or of two (the right side may be one row or one element).
Array map(const Array &x, const std::function<double(double)> &f);
Array zip(const Array &x, const Array &y, const std::function<double(double, double)> &f);
double sigmoid(double x);
double silu(double x);
double gelu(double x, bool tanhForm);

Array concat(const Array &a, const Array &b, int64_t heads);
Array slice(const Array &x, int64_t heads, int64_t offset, int64_t size);
Array broadcast(const Array &x, int64_t heads);

struct Route {
  int64_t topK, groups = 1, groupLimit = 1;
  bool softmax = false, groupMax = false, normalize = true;
  double scale = 1;
};
struct Routed {
  Array gates, scores, routing, load;
};
/// `bias` and `valid` may be null.
Routed route(const Array &logits, const Array *bias, const Array *valid, const Route &options);
Array permute(const Array &x, const Array &routing, int64_t topK);
Array unpermute(const Array &y, const Array &routing, const Array &gates);
/// Mean over sequences of sum_i f_i P_i; `valid` may be null.
Array balanceLoss(const Array &scores, const Array *valid, int64_t topK, int64_t seq);
Array crossEntropy(const Array &logits, const Array &targets);
/// Hits and valid rows.
Array accuracy(const Array &logits, const Array &targets);
/// Logarithm of the sum of exponentials of each row.
Array logSumExp(const Array &logits);
/// Mean of the elements of the rows that are valid; `valid` may be null.
Array mean(const Array &x, const Array *valid);
Array shift(const Array &ids, int64_t by, int64_t seq, const Array *starts = nullptr);

struct AdamW {
  double beta1, beta2, eps, weightDecay, lr, correction1, correction2, clip;
};
/// Updates the three arrays as torch.optim.AdamW does.
void adamw(Array &param, const Array &grad, Array &m, Array &v, const AdamW &options);

/// Derivative of `f` along `direction` at `x`, by central differences of fourth order.
double derivative(const std::function<double(const Array &)> &f, const Array &x, const Array &direction);

} // namespace contraflow::test::reference

#endif
