//===- KernelInterpreter.cpp - slow, simple, in double precision ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "test/support/KernelInterpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "test/support/RandomWord.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;

namespace contraflow::test {

Array::Array(ArrayRef<int64_t> shape, double fill) : shape(shape.begin(), shape.end()) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  data.assign(count, fill);
}

Array::Array(ArrayRef<int64_t> shape, std::vector<double> data)
    : shape(shape.begin(), shape.end()), data(std::move(data)) {}

namespace {

int64_t evaluate(AffineExpr expr, ArrayRef<int64_t> dims, ArrayRef<int64_t> symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  int64_t lhs = evaluate(binary.getLHS(), dims, symbols);
  int64_t rhs = evaluate(binary.getRHS(), dims, symbols);
  int64_t quotient = 0;
  if (expr.getKind() != AffineExprKind::Add && expr.getKind() != AffineExprKind::Mul)
    quotient = lhs / rhs - ((lhs % rhs != 0) && ((lhs < 0) != (rhs < 0)));
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return lhs + rhs;
  case AffineExprKind::Mul:
    return lhs * rhs;
  case AffineExprKind::Mod:
    return lhs - quotient * rhs;
  case AffineExprKind::FloorDiv:
    return quotient;
  default:
    return lhs % rhs == 0 ? quotient : quotient + 1; // ceildiv
  }
}

/// What stands for "negative symbol": reads as zero, skips the write.
constexpr int64_t kNowhere = -1;

/// Reads and writes of one kernel: turns points of the domain into elements of operands.
class Access {
public:
  Access(nn::KernelOp kernel, ArrayRef<const Array *> inputs, std::vector<Array> &results)
      : kernel(kernel), inputs(inputs), results(results) {
    for (unsigned i = 0, e = inputs.size() + results.size(); i != e; ++i) {
      maps.push_back(kernel.getInputMap(i));
      gathers.push_back(kernel.getGather(i));
    }
  }

  double read(unsigned input, ArrayRef<int64_t> point) {
    int64_t at = locate(input, *inputs[input], point);
    return at == kNowhere ? 0.0 : inputs[input]->data[at];
  }
  /// Element `at` of an input, past its map.
  double input(unsigned input, int64_t at) const { return inputs[input]->data[at]; }
  /// The element that result `i` has at `point`, null where the write is skipped.
  double *element(unsigned i, ArrayRef<int64_t> point) {
    int64_t at = locate(inputs.size() + i, results[i], point);
    return at == kNowhere ? nullptr : &results[i].data[at];
  }
  bool failed() const { return bad; }

private:
  int64_t locate(unsigned operand, const Array &array, ArrayRef<int64_t> point) {
    AffineMap map = maps[operand];
    SmallVector<int64_t> symbols;
    for (int64_t source : gathers[operand]) {
      double value = read(source, point);
      if (value < 0)
        return kNowhere;
      symbols.push_back(static_cast<int64_t>(value));
    }
    int64_t at = 0;
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      int64_t coordinate = evaluate(expr, point, symbols);
      if (coordinate < 0 || coordinate >= array.shape[i]) {
        if (!bad)
          kernel.emitOpError("coordinate ")
              << i << " of operand " << operand << " is " << coordinate << ", dimension " << array.shape[i];
        bad = true;
        return kNowhere;
      }
      at = at * array.shape[i] + coordinate;
    }
    return at;
  }

  nn::KernelOp kernel;
  ArrayRef<const Array *> inputs;
  std::vector<Array> &results;
  SmallVector<AffineMap> maps;
  SmallVector<SmallVector<int64_t>> gathers;
  bool bad = false;
};

/// Calls `body` for every point of `domain`, the last dimension fastest.
template <typename Body> void forEachPoint(ArrayRef<int64_t> domain, Body body) {
  for (int64_t size : domain)
    if (size <= 0)
      return;
  SmallVector<int64_t> point(domain.size(), 0);
  while (true) {
    body(ArrayRef<int64_t>(point));
    int i = static_cast<int>(domain.size()) - 1;
    while (i >= 0 && ++point[i] == domain[i])
      point[i--] = 0;
    if (i < 0)
      return;
  }
}

//===----------------------------------------------------------------------===//
// Regions of rows and column_reduce
//===----------------------------------------------------------------------===//

using Row = std::vector<double>;

bool compare(arith::CmpFPredicate predicate, double a, double b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::ONE:
    return !unordered && a != b;
  case arith::CmpFPredicate::ORD:
    return !unordered;
  case arith::CmpFPredicate::UEQ:
    return unordered || a == b;
  case arith::CmpFPredicate::UGT:
    return unordered || a > b;
  case arith::CmpFPredicate::UGE:
    return unordered || a >= b;
  case arith::CmpFPredicate::ULT:
    return unordered || a < b;
  case arith::CmpFPredicate::ULE:
    return unordered || a <= b;
  case arith::CmpFPredicate::UNE:
    return unordered || a != b;
  case arith::CmpFPredicate::UNO:
    return unordered;
  case arith::CmpFPredicate::AlwaysTrue:
    return true;
  case arith::CmpFPredicate::AlwaysFalse:
    return false;
  }
  return false;
}

bool compare(arith::CmpIPredicate predicate, double a, double b) {
  auto bits = [](double x) { return static_cast<uint32_t>(static_cast<int32_t>(x)); };
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return bits(a) < bits(b);
  case arith::CmpIPredicate::ule:
    return bits(a) <= bits(b);
  case arith::CmpIPredicate::ugt:
    return bits(a) > bits(b);
  case arith::CmpIPredicate::uge:
    return bits(a) >= bits(b);
  }
  return false;
}

double constantValue(arith::ConstantOp op) {
  if (auto value = dyn_cast<FloatAttr>(op.getValue()))
    return value.getValueAsDouble();
  auto value = cast<IntegerAttr>(op.getValue());
  return value.getType().isInteger(1) ? static_cast<double>(value.getValue().getZExtValue())
                                      : static_cast<double>(value.getInt());
}

int64_t integer(double x) { return static_cast<int64_t>(x); }

/// The words of a tensor of i32.
uint32_t word(double x) { return static_cast<uint32_t>(static_cast<int64_t>(x)); }

double isKept(nn::RandomKeepOp op, ArrayRef<double> x) {
  uint32_t row = word(x[2]) * static_cast<uint32_t>(op.getRows()) + word(x[3]);
  uint32_t stream = static_cast<uint32_t>(op.getDrop().getStream());
  return randomWord({word(x[0]), word(x[1]), row, word(x[4]), stream, 0}) >= op.getDrop().getThreshold();
}

/// The value of one scalar operation whose operands are `x`; nullopt for an operation that regions don't
/// have.
std::optional<double> scalar(Operation &op, ArrayRef<double> x) {
  return llvm::TypeSwitch<Operation *, std::optional<double>>(&op)
      .Case([&](arith::ConstantOp constant) { return constantValue(constant); })
      .Case([&](arith::AddFOp) { return x[0] + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] - x[1]; })
      .Case([&](arith::MulFOp) { return x[0] * x[1]; })
      .Case([&](arith::DivFOp) { return x[0] / x[1]; })
      .Case([&](arith::NegFOp) { return -x[0]; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>([&](auto) { return std::max(x[0], x[1]); })
      .Case<arith::MinimumFOp, arith::MinNumFOp>([&](auto) { return std::min(x[0], x[1]); })
      .Case([&](arith::CmpFOp cmp) { return compare(cmp.getPredicate(), x[0], x[1]) ? 1.0 : 0.0; })
      .Case([&](arith::CmpIOp cmp) { return compare(cmp.getPredicate(), x[0], x[1]) ? 1.0 : 0.0; })
      .Case([&](nn::RandomKeepOp keep) { return isKept(keep, x); })
      .Case([&](arith::SelectOp) { return x[0] != 0 ? x[1] : x[2]; })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::ExtUIOp>([&](auto) { return x[0]; })
      .Case([&](arith::ExtSIOp ext) { return ext.getIn().getType().isInteger(1) ? -x[0] : x[0]; })
      .Case([&](arith::FPToSIOp) { return std::trunc(x[0]); })
      .Case([&](arith::AddIOp) { return x[0] + x[1]; })
      .Case([&](arith::SubIOp) { return x[0] - x[1]; })
      .Case([&](arith::MulIOp) { return x[0] * x[1]; })
      .Case([&](arith::DivSIOp) { return static_cast<double>(integer(x[0]) / integer(x[1])); })
      .Case([&](arith::RemSIOp) { return static_cast<double>(integer(x[0]) % integer(x[1])); })
      .Case([&](arith::AndIOp) { return static_cast<double>(integer(x[0]) & integer(x[1])); })
      .Case([&](arith::OrIOp) { return static_cast<double>(integer(x[0]) | integer(x[1])); })
      .Case([&](arith::XOrIOp) { return static_cast<double>(integer(x[0]) ^ integer(x[1])); })
      .Case<arith::MaxSIOp>([&](auto) { return std::max(x[0], x[1]); })
      .Case<arith::MinSIOp>([&](auto) { return std::min(x[0], x[1]); })
      .Case([&](math::ExpOp) { return std::exp(x[0]); })
      .Case([&](math::LogOp) { return std::log(x[0]); })
      .Case([&](math::Log1pOp) { return std::log1p(x[0]); })
      .Case([&](math::SqrtOp) { return std::sqrt(x[0]); })
      .Case([&](math::RsqrtOp) { return 1.0 / std::sqrt(x[0]); })
      .Case([&](math::TanhOp) { return std::tanh(x[0]); })
      .Case([&](math::ErfOp) { return std::erf(x[0]); })
      .Case([&](math::SinOp) { return std::sin(x[0]); })
      .Case([&](math::CosOp) { return std::cos(x[0]); })
      .Case([&](math::AbsFOp) { return std::fabs(x[0]); })
      .Case([&](math::FmaOp) { return x[0] * x[1] + x[2]; })
      .Default([](Operation *) { return std::nullopt; });
}

/// Evaluates the region for one row: every value has one double per column. Returns the yielded rows.
FailureOr<std::vector<Row>> evaluateRow(nn::KernelOp kernel, Access &access, SmallVector<int64_t> point) {
  int64_t columns = kernel.getDomain().back();
  llvm::DenseMap<Value, Row> values;
  Block &body = kernel.getBody().front();
  for (unsigned i = 0, e = kernel.getNumInputs(); i != e; ++i) {
    // A tied input whose argument nobody reads may be partly unwritten memory: reading it is harmless.
    Row &row = values[body.getArgument(i)];
    row.resize(columns);
    if (body.getArgument(i).use_empty())
      continue;
    for (int64_t c = 0; c < columns; ++c) {
      point.back() = c;
      row[c] = access.read(i, point);
    }
  }
  std::vector<Row> yielded;
  for (Operation &op : body) {
    if (auto yield = dyn_cast<nn::KernelYieldOp>(op)) {
      for (Value value : yield.getValues())
        yielded.push_back(values[value]);
      return yielded;
    }
    Row row(columns);
    if (auto sum = dyn_cast<nn::RowSumOp>(op)) {
      const Row &in = values[sum.getValue()];
      std::fill(row.begin(), row.end(), std::accumulate(in.begin(), in.end(), 0.0));
    } else if (auto max = dyn_cast<nn::RowMaxOp>(op)) {
      const Row &in = values[max.getValue()];
      std::fill(row.begin(), row.end(), *std::max_element(in.begin(), in.end()));
    } else if (auto index = dyn_cast<nn::DomainIndexOp>(op)) {
      for (int64_t c = 0; c < columns; ++c)
        row[c] = index.getDim() == point.size() - 1 ? c : point[index.getDim()];
    } else {
      SmallVector<double> operands(op.getNumOperands());
      SmallVector<const Row *> in;
      for (Value operand : op.getOperands())
        in.push_back(&values[operand]);
      for (int64_t c = 0; c < columns; ++c) {
        for (unsigned i = 0; i < in.size(); ++i)
          operands[i] = (*in[i])[c];
        std::optional<double> result = scalar(op, operands);
        if (!result)
          return op.emitOpError("is not an operation of kernel regions");
        row[c] = *result;
      }
    }
    values[op.getResult(0)] = std::move(row);
  }
  return kernel.emitOpError("has a region without nn.kernel_yield");
}

/// Calls `body(point)` once per row of the domain; the last coordinate of the point is free.
template <typename Body> void forEachRow(ArrayRef<int64_t> domain, Body body) {
  SmallVector<int64_t> rows(domain.begin(), domain.end());
  if (rows.back() == 0)
    return;
  rows.back() = 1;
  forEachPoint(rows, [&](ArrayRef<int64_t> point) { body(SmallVector<int64_t>(point)); });
}

bool usesLastDim(AffineMap map) { return map.isFunctionOfDim(map.getNumDims() - 1); }

LogicalResult runRows(nn::KernelOp kernel, Access &access, bool accumulate) {
  int64_t columns = kernel.getDomain().back();
  bool ok = true;
  forEachRow(kernel.getDomain(), [&](SmallVector<int64_t> point) {
    if (!ok)
      return;
    FailureOr<std::vector<Row>> yielded = evaluateRow(kernel, access, point);
    if (failed(yielded)) {
      ok = false;
      return;
    }
    for (auto [i, row] : llvm::enumerate(*yielded)) {
      bool perColumn = usesLastDim(kernel.getResultMap(i));
      for (int64_t c = 0; c < (perColumn ? columns : 1); ++c) {
        point.back() = c;
        if (double *element = access.element(i, point))
          *element = accumulate ? *element + row[c] : row[c];
      }
      auto sameAsFirst = [&](double x) { return x == row[0] || (std::isnan(x) && std::isnan(row[0])); };
      if (!perColumn && !llvm::all_of(row, sameAsFirst)) {
        kernel.emitOpError("result ") << i << " is written once per row but differs between columns";
        ok = false;
      }
    }
  });
  return success(ok && !access.failed());
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

LogicalResult runMatmul(nn::KernelOp kernel, Access &access) {
  ArrayRef<int64_t> domain = kernel.getDomain();
  bool tied = kernel.getTied()[0] >= 0;
  forEachPoint(domain.take_front(2), [&](ArrayRef<int64_t> mn) {
    double sum = 0;
    SmallVector<int64_t> point{mn[0], mn[1], 0};
    for (point[2] = 0; point[2] < domain[2]; ++point[2])
      sum += access.read(0, point) * access.read(1, point);
    point[2] = 0;
    if (double *element = access.element(0, point))
      *element = tied ? *element + sum : sum;
  });
  return success(!access.failed());
}

LogicalResult runGroupedMatmul(nn::KernelOp kernel, nn::RaggedKind ragged, Access &access) {
  ArrayRef<int64_t> domain = kernel.getDomain();
  int64_t groups = domain[0], m = domain[1], n = domain[2], k = domain[3];
  bool tied = kernel.getTied()[0] >= 0;
  for (int64_t e = 0; e < groups; ++e) {
    // The map of offsets may be asked for e = E: it is the end of the last group.
    int64_t begin = access.read(2, {e, 0, 0, 0});
    int64_t end = access.read(2, {e + 1, 0, 0, 0});
    bool cutRows = ragged == nn::RaggedKind::rows;
    if (begin < 0 || end < begin || end > (cutRows ? m : k))
      return kernel.emitOpError("group ") << e << " is [" << begin << ", " << end << ")";
    SmallVector<int64_t> point{e, 0, 0, 0};
    for (point[1] = cutRows ? begin : 0; point[1] < (cutRows ? end : m); ++point[1])
      for (point[2] = 0; point[2] < n; ++point[2]) {
        double sum = 0;
        for (point[3] = cutRows ? 0 : begin; point[3] < (cutRows ? k : end); ++point[3])
          sum += access.read(0, point) * access.read(1, point);
        point[3] = 0;
        if (double *element = access.element(0, point))
          *element = tied ? *element + sum : sum;
      }
  }
  return success(!access.failed());
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionShape {
  int64_t batch, seq, heads, qkSize, vSize, kvHeads;
  double scale;
  bool causal, hasStarts;
  /// Null where nothing is dropped; else the input that holds the random key.
  nn::DropAttr drop;
  unsigned keyInput;
  /// Of the gradient.
  bool hasLseGrad = false;
};

/// What the probability of key `j` is multiplied by.
double factor(const AttentionShape &shape, Access &access, ArrayRef<int64_t> query, int64_t j) {
  if (!shape.drop)
    return 1;
  auto keyWord = [&](int64_t i) { return word(access.input(shape.keyInput, i)); };
  int64_t b = query[0], s = query[1], h = query[2];
  uint32_t slice = static_cast<uint32_t>((keyWord(2) * shape.batch + b) * shape.heads + h);
  uint32_t drawn = randomWord({keyWord(0), keyWord(1), static_cast<uint32_t>(s), static_cast<uint32_t>(j),
                               static_cast<uint32_t>(shape.drop.getStream()), slice});
  return drawn < shape.drop.getThreshold() ? 0 : shape.drop.getScale().getValueAsDouble();
}

/// First and one past the last key that query `s` sees.
std::pair<int64_t, int64_t> visible(const AttentionShape &shape, Access &access, unsigned startsInput,
                                    int64_t b, int64_t s) {
  int64_t begin = shape.hasStarts ? std::max<int64_t>(0, access.read(startsInput, {b, s, 0, 0, 0})) : 0;
  return {begin, shape.causal ? s + 1 : shape.seq};
}

/// Scaled scores of query (b, s, h) against the keys [begin, end).
std::vector<double> scores(const AttentionShape &shape, Access &access, int64_t b, int64_t s, int64_t h,
                           std::pair<int64_t, int64_t> keys) {
  int64_t kvHead = h / (shape.heads / shape.kvHeads);
  std::vector<double> result;
  for (int64_t j = keys.first; j < keys.second; ++j) {
    double dot = 0;
    for (int64_t d = 0; d < shape.qkSize; ++d)
      dot += access.read(0, {b, s, h, d, 0}) * access.read(1, {b, j, kvHead, d, 0});
    result.push_back(dot * shape.scale);
  }
  return result;
}

LogicalResult runAttention(const AttentionShape &shape, Access &access) {
  forEachPoint({shape.batch, shape.seq, shape.heads}, [&](ArrayRef<int64_t> point) {
    int64_t b = point[0], s = point[1], h = point[2];
    int64_t kvHead = h / (shape.heads / shape.kvHeads);
    auto keys = visible(shape, access, 3, b, s);
    std::vector<double> p = scores(shape, access, b, s, h, keys);
    double max = p.empty() ? 0 : *std::max_element(p.begin(), p.end()), sum = 0;
    for (double &x : p)
      sum += (x = std::exp(x - max));
    for (int64_t d = 0; d < shape.vSize; ++d) {
      double o = 0;
      for (int64_t j = keys.first; j < keys.second; ++j)
        o += p[j - keys.first] / sum * factor(shape, access, point, j) * access.read(2, {b, j, kvHead, 0, d});
      if (double *element = access.element(0, {b, s, h, 0, d}))
        *element = o;
    }
    if (double *element = access.element(1, {b, s, h, 0, 0}))
      *element = max + std::log(sum);
  });
  return success(!access.failed());
}

/// d_s = p * (d_p - sum(d_o * o) + d_lse) with p from lse; d_q, d_k, d_v are sums in order of (b, s, h).
LogicalResult runAttentionGrad(const AttentionShape &shape, Access &access) {
  auto clear = [&](unsigned result, int64_t heads, bool value) {
    forEachPoint({shape.batch, shape.seq, heads, value ? shape.vSize : shape.qkSize},
                 [&](ArrayRef<int64_t> p) {
                   if (double *element =
                           access.element(result, {p[0], p[1], p[2], value ? 0 : p[3], value ? p[3] : 0}))
                     *element = 0;
                 });
  };
  clear(0, shape.heads, false);
  clear(1, shape.kvHeads, false);
  clear(2, shape.kvHeads, true);
  auto add = [&](unsigned result, std::initializer_list<int64_t> point, double value) {
    if (double *element = access.element(result, point))
      *element += value;
  };
  forEachPoint({shape.batch, shape.seq, shape.heads}, [&](ArrayRef<int64_t> point) {
    int64_t b = point[0], s = point[1], h = point[2];
    int64_t kvHead = h / (shape.heads / shape.kvHeads);
    auto keys = visible(shape, access, shape.hasLseGrad ? 7 : 6, b, s);
    std::vector<double> p = scores(shape, access, b, s, h, keys);
    double lse = access.read(4, {b, s, h, 0, 0}), delta = 0;
    for (int64_t d = 0; d < shape.vSize; ++d)
      delta += access.read(3, {b, s, h, 0, d}) * access.read(5, {b, s, h, 0, d});
    if (shape.hasLseGrad)
      delta -= access.read(6, {b, s, h, 0, 0});
    for (int64_t j = keys.first; j < keys.second; ++j) {
      double probability = std::exp(p[j - keys.first] - lse), kept = factor(shape, access, point, j), dP = 0;
      for (int64_t d = 0; d < shape.vSize; ++d) {
        double dO = access.read(5, {b, s, h, 0, d});
        dP += kept * dO * access.read(2, {b, j, kvHead, 0, d});
        add(2, {b, j, kvHead, 0, d}, kept * probability * dO);
      }
      double dS = probability * (dP - delta) * shape.scale;
      for (int64_t d = 0; d < shape.qkSize; ++d) {
        add(0, {b, s, h, d, 0}, dS * access.read(1, {b, j, kvHead, d, 0}));
        add(1, {b, j, kvHead, d, 0}, dS * access.read(0, {b, s, h, d, 0}));
      }
    }
  });
  return success(!access.failed());
}

template <typename Anchor>
AttentionShape attentionShape(nn::KernelOp kernel, Anchor anchor, unsigned inputsWithoutStarts) {
  ArrayRef<int64_t> domain = kernel.getDomain();
  unsigned inputs = kernel.getNumInputs() - (anchor.getDrop() ? 1 : 0);
  return {domain[0],
          domain[1],
          domain[2],
          domain[3],
          domain[4],
          anchor.getKvHeads(),
          anchor.getScale().getValueAsDouble(),
          anchor.getCausal(),
          inputs > inputsWithoutStarts,
          anchor.getDrop(),
          inputs};
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// Indices of the `count` largest values, largest first; ties go to the lower index.
std::vector<int64_t> best(const std::vector<double> &values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  order.resize(std::min<size_t>(count, order.size()));
  return order;
}

/// The experts of one token, best first.
std::vector<int64_t> choose(const std::vector<double> &selection, nn::RouteAnchorAttr anchor, int64_t topK) {
  int64_t groups = anchor.getGroups(), size = selection.size() / groups;
  std::vector<double> groupScores;
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<double> members(selection.begin() + g * size, selection.begin() + (g + 1) * size);
    double score = 0;
    for (int64_t i : best(members, anchor.getGroupTop()))
      score += members[i];
    groupScores.push_back(score);
  }
  std::vector<double> masked(selection.size(), -std::numeric_limits<double>::infinity());
  for (int64_t g : best(groupScores, groups > 1 ? anchor.getGroupLimit() : 1))
    std::copy_n(selection.begin() + g * size, size, masked.begin() + g * size);
  return best(masked, topK);
}

/// The routing table has no map of its own: its layout is the one of `nn.route`.
std::vector<double> routingTable(const std::vector<int64_t> &chosen, int64_t experts) {
  int64_t rows = chosen.size();
  std::vector<double> table(3 * rows + experts + 1, 0);
  std::copy(chosen.begin(), chosen.end(), table.begin());
  int64_t row = 0;
  for (int64_t e = 0; e < experts; ++e) {
    table[3 * rows + e] = row;
    for (int64_t i = 0; i < rows; ++i)
      if (chosen[i] == e) {
        table[rows + i] = row;
        table[2 * rows + row] = i;
        ++row;
      }
  }
  table[3 * rows + experts] = row;
  return table;
}

LogicalResult runRoute(nn::KernelOp kernel, nn::RouteAnchorAttr anchor, Access &access,
                       std::vector<Array> &results) {
  ArrayRef<int64_t> domain = kernel.getDomain();
  int64_t tokens = domain[0], experts = domain[1], topK = domain[2], perSequence = anchor.getCountsSeq();
  unsigned validInput = anchor.getHasBias() ? 2 : 1;
  std::vector<int64_t> chosen;
  std::vector<double> load(experts, 0);
  std::vector<std::vector<double>> counts(perSequence ? tokens / perSequence : 0, load);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<double> score(experts), selection(experts);
    for (int64_t e = 0; e < experts; ++e) {
      score[e] = selection[e] = access.read(0, {t, e, 0});
      if (anchor.getHasBias())
        selection[e] += access.read(1, {t, e, 0});
    }
    std::vector<int64_t> choice = choose(selection, anchor, topK);
    bool valid = !anchor.getHasValid() || access.read(validInput, {t, 0, 0}) >= 0;
    double sum = 1e-20;
    for (int64_t e : choice) {
      sum += score[e];
      chosen.push_back(e);
      if (valid && perSequence)
        counts[t / perSequence][e] += 1;
      else if (valid)
        load[e] += 1;
    }
    if (!perSequence)
      for (int64_t k = 0; k < topK; ++k)
        *access.element(0, {t, 0, k}) =
            score[choice[k]] / (anchor.getNormalize() ? sum : 1.0) * anchor.getScale().getValueAsDouble();
  }
  if (perSequence) {
    for (size_t s = 0; s < counts.size(); ++s)
      for (int64_t e = 0; e < experts; ++e)
        *access.element(0, {static_cast<int64_t>(s) * perSequence, e, 0}) = counts[s][e];
    return success(!access.failed());
  }
  for (int64_t e = 0; e < experts; ++e)
    *access.element(2, {0, e, 0}) = load[e];
  std::vector<double> table = routingTable(chosen, experts);
  if (table.size() != results[1].data.size())
    return kernel.emitOpError("the routing table has ")
           << table.size() << " elements, its type " << results[1].data.size();
  results[1].data = std::move(table);
  return success(!access.failed());
}

} // namespace

Array toArray(ElementsAttr elements) {
  Array array(elements.getShapedType().getShape());
  int64_t i = 0;
  if (elements.getElementType().isF32())
    for (APFloat value : elements.getValues<APFloat>())
      array.data[i++] = value.convertToFloat();
  else
    for (APInt value : elements.getValues<APInt>())
      array.data[i++] = value.getSExtValue();
  return array;
}

LogicalResult interpretKernel(nn::KernelOp kernel, ArrayRef<const Array *> inputs,
                              std::vector<Array> &results) {
  results.clear();
  for (unsigned i = 0, e = kernel->getNumResults(); i != e; ++i) {
    int64_t tied = kernel.getTied()[i];
    results.push_back(tied >= 0 ? *inputs[tied]
                                : Array(kernel.getResultType(i).getStaticShape(),
                                        std::numeric_limits<double>::quiet_NaN()));
  }
  Access access(kernel, inputs, results);
  return llvm::TypeSwitch<Attribute, LogicalResult>(kernel.getAnchor())
      .Case([&](nn::RowsAnchorAttr) { return runRows(kernel, access, /*accumulate=*/false); })
      .Case([&](nn::ColumnReduceAnchorAttr) { return runRows(kernel, access, /*accumulate=*/true); })
      .Case([&](nn::MatmulAnchorAttr) { return runMatmul(kernel, access); })
      .Case([&](nn::GroupedMatmulAnchorAttr anchor) {
        return runGroupedMatmul(kernel, anchor.getRagged(), access);
      })
      .Case([&](nn::AttentionAnchorAttr anchor) {
        return runAttention(attentionShape(kernel, anchor, 3), access);
      })
      .Case([&](nn::AttentionGradAnchorAttr anchor) {
        AttentionShape shape = attentionShape(kernel, anchor, anchor.getLseGrad() ? 7 : 6);
        shape.hasLseGrad = anchor.getLseGrad();
        return runAttentionGrad(shape, access);
      })
      .Case([&](nn::RouteAnchorAttr anchor) { return runRoute(kernel, anchor, access, results); })
      .Default([&](Attribute) { return kernel.emitOpError("unknown anchor"); });
}

FailureOr<std::vector<Array>> interpretFunction(func::FuncOp function, ArrayRef<Array> arguments) {
  llvm::DenseMap<Value, Array> values;
  Block &body = function.getBody().front();
  if (body.getNumArguments() != arguments.size())
    return function.emitOpError("has ") << body.getNumArguments() << " arguments, found " << arguments.size();
  for (auto [argument, array] : llvm::zip_equal(body.getArguments(), arguments)) {
    auto type = dyn_cast<nn::TensorType>(argument.getType());
    if (!type || ArrayRef<int64_t>(type.getStaticShape()) != ArrayRef<int64_t>(array.shape))
      return function.emitOpError("argument ")
             << argument.getArgNumber() << " has another shape than its type";
    values[argument] = array;
  }
  for (Operation &op : body) {
    if (auto kernel = dyn_cast<nn::KernelOp>(op)) {
      SmallVector<const Array *> inputs;
      for (Value input : kernel.getInputs())
        inputs.push_back(&values[input]);
      std::vector<Array> results;
      if (failed(interpretKernel(kernel, inputs, results)))
        return failure();
      for (auto [value, array] : llvm::zip_equal(kernel.getResults(), results))
        values[value] = std::move(array);
    } else if (auto table = dyn_cast<nn::ConstantTableOp>(op)) {
      values[table.getResult()] = toArray(table.getElements());
    } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      std::vector<Array> results;
      for (Value value : ret.getOperands())
        results.push_back(values[value]);
      return results;
    } else {
      return op.emitOpError("is neither a kernel nor a constant table");
    }
  }
  return function.emitOpError("has no return");
}

} // namespace contraflow::test
