//===- ReferenceOps.cpp - what the operations of nn mean, from formulas ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "test/support/ReferenceOps.h"
#include "test/support/RandomWord.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace contraflow::test::reference {

namespace {

int64_t rowsOf(const Array &x) { return x.size() / x.shape.back(); }

/// The parts of a routing table for `rows` = T * K.
struct RoutingView {
  const Array &table;
  int64_t rows;
  int64_t expert(int64_t i) const { return table[i]; }
  int64_t position(int64_t i) const { return table[rows + i]; }
  int64_t source(int64_t row) const { return table[2 * rows + row]; }
  int64_t begin(int64_t e) const { return table[3 * rows + e]; }
};

} // namespace

//===----------------------------------------------------------------------===//
// Matrix products and lookups
//===----------------------------------------------------------------------===//

Array embedding(const Array &ids, const Array &table) {
  Array y({ids.size(), table.shape[1]});
  for (int64_t t = 0; t < ids.size(); ++t)
    for (int64_t h = 0; h < table.shape[1]; ++h)
      y(t, h) = ids[t] < 0 ? 0 : table(ids[t], h);
  return y;
}

Array linear(const Array &x, const Array &w) {
  Array y({x.shape[0], w.shape[0]});
  for (int64_t t = 0; t < x.shape[0]; ++t)
    for (int64_t o = 0; o < w.shape[0]; ++o)
      for (int64_t i = 0; i < x.shape[1]; ++i)
        y(t, o) += x(t, i) * w(o, i);
  return y;
}

Array groupedLinear(const Array &rows, const Array &w, const Array &routing) {
  int64_t count = rows.shape[0], outs = w.shape[1], ins = w.shape[2];
  RoutingView view{routing, count};
  Array y({count, outs});
  for (int64_t r = 0; r < count; ++r) {
    int64_t e = view.expert(view.source(r));
    for (int64_t o = 0; o < outs; ++o)
      for (int64_t i = 0; i < ins; ++i)
        y(r, o) += rows(r, i) * w[(e * outs + o) * ins + i];
  }
  return y;
}

//===----------------------------------------------------------------------===//
// Norm, rotation, attention
//===----------------------------------------------------------------------===//

Array rmsNorm(const Array &x, const Array &w, double eps) {
  Array y(x.shape);
  int64_t width = w.size();
  for (int64_t g = 0; g < x.size() / width; ++g) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i)
      squares += std::pow(x[g * width + i], 2);
    for (int64_t i = 0; i < width; ++i)
      y[g * width + i] = x[g * width + i] / std::sqrt(squares / width + eps) * w[i];
  }
  return y;
}

namespace {

/// Frequency number `pair` of a rotary embedding, with YaRN's interpolation between the ones that turn often
/// in the original length (kept) and the ones that turn rarely (divided by the factor).
double frequency(const Rope &options, int64_t pair) {
  double dim = options.headDim;
  double plain = std::pow(options.theta, -2.0 * pair / dim);
  if (options.factor == 1)
    return plain;
  auto dimOfRotations = [&](double rotations) {
    return dim * std::log(options.originalLength / (rotations * 2 * M_PI)) / (2 * std::log(options.theta));
  };
  double low = std::max(std::floor(dimOfRotations(options.betaFast)), 0.0);
  double high = std::min(std::ceil(dimOfRotations(options.betaSlow)), dim - 1);
  if (low == high)
    high += 0.001;
  double ramp = std::clamp((pair - low) / (high - low), 0.0, 1.0);
  return plain / options.factor * ramp + plain * (1 - ramp);
}

} // namespace

Array rope(const Array &x, const Rope &options) {
  Array y(x.shape);
  int64_t size = options.headDim, pairs = size / 2;
  for (int64_t t = 0; t < x.shape[0]; ++t)
    for (int64_t h = 0; h < x.shape[1] / size; ++h)
      for (int64_t p = 0; p < pairs; ++p) {
        double angle = (t % options.seq) * frequency(options, p);
        double cos = std::cos(angle) * options.attentionFactor,
               sin = std::sin(angle) * options.attentionFactor;
        int64_t first = h * size + (options.interleaved ? 2 * p : p);
        int64_t second = first + (options.interleaved ? 1 : pairs);
        y(t, first) = x(t, first) * cos - x(t, second) * sin;
        y(t, second) = x(t, second) * cos + x(t, first) * sin;
      }
  return y;
}

/// 0 or 1 / (1 - p), at a point of the random numbers of `drop`.
static double dropFactor(const Drop &drop, int64_t row, int64_t column, int64_t slice) {
  auto word = [](double x) { return static_cast<uint32_t>(static_cast<int64_t>(x)); };
  uint32_t drawn = test::randomWord(
      {word(drop.key[0]), word(drop.key[1]), word(row), word(column), word(drop.stream), word(slice)});
  return drawn < drop.p * 0x1p32 ? 0 : 1 / (1 - drop.p);
}

Array dropFactors(llvm::ArrayRef<int64_t> shape, const Drop &drop) {
  Array factors(shape);
  for (int64_t r = 0; r < shape[0]; ++r)
    for (int64_t c = 0; c < shape[1]; ++c)
      factors(r, c) = dropFactor(drop, drop.key[2] * shape[0] + r, c, 0);
  return factors;
}

/// Exponentials of the scaled scores of row t and head h against every key of its sequence, 0 where it sees
/// none.
static std::vector<double> attentionWeights(const Array &q, const Array &k, const Array *starts,
                                            const Attention &options, int64_t t, int64_t h) {
  int64_t size = q.shape[1] / options.heads;
  int64_t sequence = t / options.seq * options.seq, kvHead = h / (options.heads / options.kvHeads);
  std::vector<double> weights(options.seq, 0);
  for (int64_t j = 0; j < options.seq; ++j) {
    if ((options.causal && sequence + j > t) || (starts && j < (*starts)[t]))
      continue;
    double dot = 0;
    for (int64_t d = 0; d < size; ++d)
      dot += q(t, h * size + d) * k(sequence + j, kvHead * size + d);
    weights[j] = std::exp(dot * options.scale);
  }
  return weights;
}

Array attentionLse(const Array &q, const Array &k, const Array *starts, const Attention &options) {
  Array y({q.shape[0], options.heads});
  for (int64_t t = 0; t < q.shape[0]; ++t)
    for (int64_t h = 0; h < options.heads; ++h) {
      std::vector<double> weights = attentionWeights(q, k, starts, options, t, h);
      y(t, h) = std::log(std::accumulate(weights.begin(), weights.end(), 0.0));
    }
  return y;
}

Array attention(const Array &q, const Array &k, const Array &v, const Array *starts,
                const Attention &options) {
  int64_t vSize = v.shape[1] / options.kvHeads;
  int64_t perKvHead = options.heads / options.kvHeads;
  Array y({q.shape[0], options.heads * vSize});
  for (int64_t t = 0; t < q.shape[0]; ++t)
    for (int64_t h = 0; h < options.heads; ++h) {
      int64_t sequence = t / options.seq * options.seq, kvHead = h / perKvHead;
      std::vector<double> weights = attentionWeights(q, k, starts, options, t, h);
      double total = std::accumulate(weights.begin(), weights.end(), 0.0);
      const Drop &drop = options.drop;
      int64_t batch = q.shape[0] / options.seq, b = t / options.seq;
      for (int64_t j = 0; j < options.seq; ++j) {
        double weight = weights[j] / total;
        if (drop.p > 0)
          weight *= dropFactor(drop, t % options.seq, j, (drop.key[2] * batch + b) * options.heads + h);
        for (int64_t d = 0; d < vSize; ++d)
          y(t, h * vSize + d) += weight * v(sequence + j, kvHead * vSize + d);
      }
    }
  return y;
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

Array map(const Array &x, const std::function<double(double)> &f) {
  Array y(x.shape);
  std::transform(x.data.begin(), x.data.end(), y.data.begin(), f);
  return y;
}

Array zip(const Array &x, const Array &y, const std::function<double(double, double)> &f) {
  Array z(x.shape);
  for (int64_t i = 0; i < x.size(); ++i)
    z[i] = f(x[i], y[i % y.size()]);
  return z;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double gelu(double x, bool tanhForm) {
  if (tanhForm)
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

Array concat(const Array &a, const Array &b, int64_t heads) {
  int64_t left = a.shape[1] / heads, right = b.shape[1] / heads, width = left + right;
  Array y({a.shape[0], heads * width});
  for (int64_t t = 0; t < a.shape[0]; ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t c = 0; c < width; ++c)
        y(t, h * width + c) = c < left ? a(t, h * left + c) : b(t, h * right + c - left);
  return y;
}

Array slice(const Array &x, int64_t heads, int64_t offset, int64_t size) {
  int64_t width = x.shape[1] / heads;
  Array y({x.shape[0], heads * size});
  for (int64_t t = 0; t < x.shape[0]; ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t c = 0; c < size; ++c)
        y(t, h * size + c) = x(t, h * width + offset + c);
  return y;
}

Array broadcast(const Array &x, int64_t heads) {
  int64_t width = x.shape[1];
  Array y({x.shape[0], heads * width});
  for (int64_t t = 0; t < x.shape[0]; ++t)
    for (int64_t c = 0; c < heads * width; ++c)
      y(t, c) = x(t, c % width);
  return y;
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

Routed route(const Array &logits, const Array *bias, const Array *valid, const Route &options) {
  int64_t tokens = logits.shape[0], experts = logits.shape[1], topK = options.topK, rows = tokens * topK;
  int64_t perGroup = experts / options.groups;
  Routed result{Array({tokens, topK}), Array({tokens, experts}), Array({3 * rows + experts + 1}),
                Array({experts})};
  for (int64_t t = 0; t < tokens; ++t) {
    double total = 0;
    for (int64_t e = 0; e < experts; ++e)
      total += std::exp(logits(t, e));
    std::vector<double> c(experts);
    for (int64_t e = 0; e < experts; ++e) {
      result.scores(t, e) = options.softmax ? std::exp(logits(t, e)) / total : sigmoid(logits(t, e));
      c[e] = result.scores(t, e) + (bias ? (*bias)[e] : 0);
    }
    // A group stays when fewer than groupLimit groups are better; equal ones are ordered by index.
    std::vector<double> groupScore(options.groups);
    for (int64_t g = 0; g < options.groups; ++g) {
      std::vector<double> members(c.begin() + g * perGroup, c.begin() + (g + 1) * perGroup);
      std::sort(members.rbegin(), members.rend());
      groupScore[g] = members[0] + (options.groupMax || perGroup == 1 ? 0 : members[1]);
    }
    auto better = [](const std::vector<double> &values, int64_t i) {
      int64_t count = 0;
      for (int64_t j = 0; j < static_cast<int64_t>(values.size()); ++j)
        count += values[j] > values[i] || (values[j] == values[i] && j < i);
      return count;
    };
    for (int64_t e = 0; e < experts; ++e)
      if (options.groups > 1 && better(groupScore, e / perGroup) >= options.groupLimit)
        c[e] = -INFINITY;
    double chosen = 1e-20;
    for (int64_t e = 0; e < experts; ++e)
      if (int64_t rank = better(c, e); rank < topK) {
        result.routing[t * topK + rank] = e;
        chosen += result.scores(t, e);
        if (!valid || (*valid)[t] >= 0)
          result.load[e] += 1;
      }
    for (int64_t k = 0; k < topK; ++k)
      result.gates(t, k) =
          result.scores(t, result.routing[t * topK + k]) / (options.normalize ? chosen : 1) * options.scale;
  }
  int64_t row = 0;
  for (int64_t e = 0; e < experts; ++e) {
    result.routing[3 * rows + e] = row;
    for (int64_t i = 0; i < rows; ++i)
      if (result.routing[i] == e) {
        result.routing[rows + i] = row;
        result.routing[2 * rows + row++] = i;
      }
  }
  result.routing[3 * rows + experts] = row;
  return result;
}

Array permute(const Array &x, const Array &routing, int64_t topK) {
  Array y({x.shape[0] * topK, x.shape[1]});
  RoutingView view{routing, y.shape[0]};
  for (int64_t r = 0; r < y.shape[0]; ++r)
    for (int64_t h = 0; h < x.shape[1]; ++h)
      y(r, h) = x(view.source(r) / topK, h);
  return y;
}

Array unpermute(const Array &y, const Array &routing, const Array &gates) {
  int64_t tokens = gates.shape[0], topK = gates.shape[1];
  RoutingView view{routing, tokens * topK};
  Array x({tokens, y.shape[1]});
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t k = 0; k < topK; ++k)
      for (int64_t h = 0; h < y.shape[1]; ++h)
        x(t, h) += gates(t, k) * y(view.position(t * topK + k), h);
  return x;
}

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

Array balanceLoss(const Array &scores, const Array *valid, int64_t topK, int64_t seq) {
  int64_t tokens = scores.shape[0], experts = scores.shape[1], sequences = tokens / seq;
  double loss = 0;
  for (int64_t b = 0; b < sequences; ++b) {
    std::vector<double> count(experts, 0), probability(experts, 0);
    double counted = 0;
    for (int64_t t = b * seq; t < (b + 1) * seq; ++t) {
      if (valid && (*valid)[t] < 0)
        continue;
      counted += 1;
      double total = 0;
      for (int64_t e = 0; e < experts; ++e)
        total += scores(t, e);
      for (int64_t e = 0; e < experts; ++e) {
        int64_t better = 0;
        for (int64_t j = 0; j < experts; ++j)
          better += scores(t, j) > scores(t, e) || (scores(t, j) == scores(t, e) && j < e);
        count[e] += better < topK;
        probability[e] += scores(t, e) / total;
      }
    }
    for (int64_t e = 0; e < experts && counted > 0; ++e)
      loss += experts / (topK * counted) * count[e] * probability[e] / counted;
  }
  return Array({1}, std::vector<double>{loss / sequences});
}

Array accuracy(const Array &logits, const Array &targets) {
  Array result({2});
  int64_t columns = logits.shape[1];
  for (int64_t t = 0; t < logits.shape[0]; ++t) {
    if (targets[t] < 0)
      continue;
    const double *row = logits.data.data() + t * columns;
    result[0] += std::max_element(row, row + columns) - row == targets[t];
    result[1] += 1;
  }
  return result;
}

Array crossEntropy(const Array &logits, const Array &targets) {
  double loss = 0, count = 0;
  for (int64_t t = 0; t < rowsOf(logits); ++t) {
    if (targets[t] < 0)
      continue;
    double total = 0;
    for (int64_t v = 0; v < logits.shape[1]; ++v)
      total += std::exp(logits(t, v));
    loss += std::log(total) - logits(t, targets[t]);
    count += 1;
  }
  return Array({1}, std::vector<double>{count ? loss / count : 0});
}

Array logSumExp(const Array &logits) {
  Array y({rowsOf(logits)});
  for (int64_t t = 0; t < rowsOf(logits); ++t) {
    for (int64_t v = 0; v < logits.shape[1]; ++v)
      y[t] += std::exp(logits(t, v));
    y[t] = std::log(y[t]);
  }
  return y;
}

Array mean(const Array &x, const Array *valid) {
  int64_t columns = x.size() / x.shape[0];
  double sum = 0, count = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    if (valid && (*valid)[i / columns] < 0)
      continue;
    sum += x[i];
    count += 1;
  }
  return Array({1}, std::vector<double>{count ? sum / count : 0});
}

Array shift(const Array &ids, int64_t by, int64_t seq, const Array *starts) {
  Array y(ids.shape);
  for (int64_t t = 0; t < ids.size(); ++t) {
    bool isInside = t % seq + by < seq && (!starts || (*starts)[t] == (*starts)[t + by]);
    y[t] = isInside ? ids[t + by] : -1;
  }
  return y;
}

//===----------------------------------------------------------------------===//
// Optimizer and derivatives
//===----------------------------------------------------------------------===//

void adamw(Array &param, const Array &grad, Array &m, Array &v, const AdamW &o) {
  for (int64_t i = 0; i < param.size(); ++i) {
    double g = grad[i] * o.clip;
    param[i] *= 1 - o.lr * o.weightDecay;
    m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
    v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
    param[i] -= o.lr / o.correction1 * m[i] / (std::sqrt(v[i] / o.correction2) + o.eps);
  }
}

double derivative(const std::function<double(const Array &)> &f, const Array &x, const Array &direction) {
  constexpr double h = 1e-3; // error O(h^4) against rounding O(1e-16 / h)
  auto at = [&](double step) {
    Array moved = x;
    for (int64_t i = 0; i < x.size(); ++i)
      moved[i] += step * direction[i];
    return f(moved);
  };
  return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

} // namespace contraflow::test::reference
