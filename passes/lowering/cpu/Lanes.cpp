//===- Lanes.cpp - which elements the lanes of a vector touch -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/Lanes.h"

#include "passes/lowering/common/AffineRange.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;

namespace contraflow::cpu {

//===----------------------------------------------------------------------===//
// Indices and masks
//===----------------------------------------------------------------------===//

LaneIndex LaneIndex::uniform(int64_t lanes, Value base, int64_t divisor) {
  return {base, divisor, SmallVector<int64_t>(lanes, 0), {}};
}
LaneIndex LaneIndex::constant(int64_t lanes, int64_t value) {
  return {{}, 0, SmallVector<int64_t>(lanes, value), {}};
}
LaneIndex LaneIndex::consecutive(int64_t lanes, Value base, int64_t divisor) {
  return {base, divisor, llvm::to_vector(llvm::seq<int64_t>(0, lanes)), {}};
}

bool LaneIndex::isContiguous() const {
  for (auto [lane, number] : llvm::enumerate(pattern))
    if (number != pattern[0] + static_cast<int64_t>(lane))
      return false;
  return !varying;
}

Value LaneMask::get(Emitter &e, ArrayRef<int64_t> needed) const {
  if (!remaining) {
    SmallVector<bool> active;
    for (int64_t lane : needed)
      active.push_back(known < 0 ? lane < e.target.lanes : lane < known);
    return arith::ConstantOp::create(e.builder, e.loc,
                                     DenseElementsAttr::get(e.mask(), ArrayRef<bool>(active)));
  }
  SmallVector<int32_t> lanes;
  for (int64_t lane : needed)
    lanes.push_back(std::min<int64_t>(lane, std::numeric_limits<int32_t>::max()));
  Value numbers = arith::ConstantOp::create(e.builder, e.loc,
                                            DenseElementsAttr::get(e.vecI32(), ArrayRef<int32_t>(lanes)));
  Value count = e.broadcast(e.toI32(e.min(remaining, e.constant(e.target.lanes))));
  return arith::CmpIOp::create(e.builder, e.loc, arith::CmpIPredicate::slt, numbers, count);
}

Value LaneMask::get(Emitter &e) const {
  return get(e, llvm::to_vector(llvm::seq<int64_t>(0, e.target.lanes)));
}

//===----------------------------------------------------------------------===//
// Affine expressions
//===----------------------------------------------------------------------===//

LaneIndex LaneEvaluator::evaluate(AffineExpr expr) {
  int64_t lanes = e.target.lanes;
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return LaneIndex::constant(lanes, constant.getValue());
  if (auto dim = llvm::dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  LaneIndex left = evaluate(binary.getLHS());
  if (expr.getKind() == AffineExprKind::Add)
    return sum(std::move(left), evaluate(binary.getRHS()));
  int64_t factor = llvm::cast<AffineConstantExpr>(binary.getRHS()).getValue();
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return scale(std::move(left), factor);
  case AffineExprKind::Mod:
    return divide(std::move(left), binary.getLHS(), factor, /*remainder=*/true);
  case AffineExprKind::FloorDiv:
    return divide(std::move(left), binary.getLHS(), factor, /*remainder=*/false);
  default: // ceildiv(a, b) = floordiv(a + b - 1, b)
    return divide(sum(std::move(left), LaneIndex::constant(lanes, factor - 1)),
                  binary.getLHS() + (factor - 1), factor, /*remainder=*/false);
  }
}

LaneIndex LaneEvaluator::sum(LaneIndex a, const LaneIndex &b) {
  if (b.base)
    a.base = a.base ? e.add(a.base, b.base) : b.base;
  a.divisor = std::gcd(a.divisor, b.divisor);
  for (auto [left, right] : llvm::zip_equal(a.pattern, b.pattern))
    left += right;
  if (b.varying)
    a.varying = a.varying ? e.add(a.varying, b.varying) : b.varying;
  return a;
}

LaneIndex LaneEvaluator::scale(LaneIndex a, int64_t factor) {
  if (factor == 0)
    return LaneIndex::constant(e.target.lanes, 0);
  if (a.base)
    a.base = e.mul(a.base, factor);
  a.divisor *= std::abs(factor);
  for (int64_t &number : a.pattern)
    number *= factor;
  if (a.varying && factor != 1)
    a.varying = e.mul(a.varying, e.splatI32(factor));
  return a;
}

LaneIndex LaneEvaluator::divide(LaneIndex a, AffineExpr expr, int64_t by, bool remainder) {
  auto scalar = [&](Value value) { return remainder ? e.rem(value, by) : e.div(value, by); };
  auto onPattern = [&] {
    for (int64_t &number : a.pattern)
      number = remainder ? llvm::mod(number, by) : llvm::divideFloorSigned(number, by);
  };
  // Division of what may be negative: add a multiple of the divisor first (the base may be below the
  // smallest number by less than its divisor).
  int64_t low = lowering::getRange(expr, sizes).first;
  int64_t shift = low < 0 ? llvm::divideCeilSigned(a.divisor - low, by) * by : 0;

  if (!a.varying) {
    if (!a.base) {
      onPattern();
      return a;
    }
    // Let base + pattern have its pattern start below the divisor of the base.
    int64_t first = *llvm::min_element(a.pattern);
    int64_t whole = llvm::divideFloorSigned(first, a.divisor) * a.divisor;
    a.base = e.add(a.base, whole);
    for (int64_t &number : a.pattern)
      number -= whole;
    int64_t last = *llvm::max_element(a.pattern);

    if (a.divisor % by == 0) { // The base divides without a rest.
      onPattern();
      a.base = remainder ? Value() : e.sub(e.div(e.add(a.base, shift), by), e.constant(shift / by));
      a.divisor = remainder ? 0 : a.divisor / by;
      return a;
    }
    bool uniform = llvm::all_equal(a.pattern);
    if (uniform || (by % a.divisor == 0 && last < a.divisor)) {
      // All lanes have the same quotient.
      if (uniform) {
        a.divisor = std::gcd(a.divisor, a.pattern[0]);
        a.base = e.add(a.base, a.pattern[0]);
        llvm::fill(a.pattern, 0);
      }
      a.base = scalar(e.add(a.base, shift));
      if (remainder) {
        a.divisor = std::gcd(a.divisor, by);
      } else {
        a.base = e.sub(a.base, e.constant(shift / by));
        a.divisor = 1;
        llvm::fill(a.pattern, 0);
      }
      return a;
    }
  }
  Value numbers = e.add(toVector(e, a), e.splatI32(shift));
  Value divisor = e.splatI32(by);
  Value result = remainder ? e.builder.createOrFold<arith::RemUIOp>(e.loc, numbers, divisor)
                           : e.sub(e.builder.createOrFold<arith::DivUIOp>(e.loc, numbers, divisor),
                                   e.splatI32(shift / by));
  LaneIndex index = LaneIndex::constant(e.target.lanes, 0);
  index.varying = result;
  return index;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value toVector(Emitter &e, const LaneIndex &index) {
  SmallVector<int32_t> pattern(index.pattern.begin(), index.pattern.end());
  Value numbers = arith::ConstantOp::create(e.builder, e.loc,
                                            DenseElementsAttr::get(e.vecI32(), ArrayRef<int32_t>(pattern)));
  if (index.base)
    numbers = e.add(numbers, e.broadcast(e.toI32(index.base)));
  if (index.varying)
    numbers = e.add(numbers, index.varying);
  return numbers;
}

static Value atBase(Emitter &e, Value pointer, const LaneIndex &index) {
  return index.base ? e.offset(pointer, index.base) : pointer;
}

Value uniformAddress(Emitter &e, Value pointer, const LaneIndex &index) {
  return e.offset(atBase(e, pointer, index), index.pattern[0]);
}

Value loadUniform(Emitter &e, Value pointer, const LaneIndex &index, Type element) {
  return e.load(element, uniformAddress(e, pointer, index));
}

/// The addresses of the lanes.
static Value addresses(Emitter &e, Value pointer, const LaneIndex &index) {
  // What all lanes have in common is in the base, so that 32 bits are enough for the rest.
  LaneIndex offsets = index;
  offsets.base = {};
  int64_t first = *llvm::min_element(index.pattern);
  for (int64_t &number : offsets.pattern)
    number -= first;
  auto type = VectorType::get({e.target.lanes}, e.ptrType());
  return LLVM::GEPOp::create(e.builder, e.loc, type, e.f32(), e.offset(atBase(e, pointer, index), first),
                             ArrayRef<LLVM::GEPArg>{toVector(e, offsets)});
}

static Value zeroVector(Emitter &e, Type element) {
  auto type = VectorType::get({e.target.lanes}, element);
  return arith::ConstantOp::create(e.builder, e.loc, e.builder.getZeroAttr(type));
}

/// Lanes whose bit in `mask` is clear read as zero.
static Value maskedLoad(Emitter &e, Value pointer, Type element, Value mask) {
  auto type = VectorType::get({e.target.lanes}, element);
  return LLVM::MaskedLoadOp::create(e.builder, e.loc, type, pointer, mask, zeroVector(e, element),
                                    e.builder.getI32IntegerAttr(4), nullptr);
}

/// A pattern within a few vectors is loaded as those vectors and shuffled; null where it is wider.
static Value loadShuffled(Emitter &e, Value pointer, const LaneIndex &index, Type element,
                          const LaneMask &mask) {
  int64_t lanes = e.target.lanes;
  int64_t low = *llvm::min_element(index.pattern), high = *llvm::max_element(index.pattern);
  int64_t span = high - low + 1;
  int64_t windows = llvm::divideCeil(span, lanes);
  if (windows > 4)
    return {};
  auto type = VectorType::get({lanes}, element);
  // The last window ends at the last element, so that no load leaves the tensor.
  SmallVector<int64_t> starts;
  for (int64_t w = 0; w < windows; ++w)
    starts.push_back(w + 1 < windows || windows == 1 ? low + w * lanes : high - lanes + 1);
  auto windowOf = [&](int64_t number) { return std::min((number - low) / lanes, windows - 1); };

  SmallVector<Value> loaded;
  for (int64_t w = 0; w < windows; ++w) {
    Value address = e.offset(atBase(e, pointer, index), starts[w]);
    if (mask.isAll() && span >= lanes) {
      loaded.push_back(e.load(type, address));
      continue;
    }
    SmallVector<int64_t> needed(lanes, std::numeric_limits<int64_t>::max());
    for (auto [lane, number] : llvm::enumerate(index.pattern))
      if (windowOf(number) == w)
        needed[number - starts[w]] = std::min<int64_t>(needed[number - starts[w]], lane);
    loaded.push_back(maskedLoad(e, address, element, mask.get(e, needed)));
  }
  auto shuffle = [&](int64_t first, int64_t second) -> Value {
    SmallVector<int64_t> selected;
    for (int64_t number : index.pattern) {
      int64_t window = windowOf(number), element = number - starts[window];
      selected.push_back(window == second && second != first ? lanes + element
                         : window == first                   ? element
                                                             : 0);
    }
    return vector::ShuffleOp::create(e.builder, e.loc, loaded[first], loaded[second], selected);
  };
  if (windows <= 2)
    return shuffle(0, windows - 1);
  SmallVector<bool> fromFirst;
  for (int64_t number : index.pattern)
    fromFirst.push_back(windowOf(number) < 2);
  Value choice = arith::ConstantOp::create(e.builder, e.loc,
                                           DenseElementsAttr::get(e.mask(), ArrayRef<bool>(fromFirst)));
  return e.select(choice, shuffle(0, 1), shuffle(2, windows - 1));
}

Value loadLanes(Emitter &e, Value pointer, const LaneIndex &index, Type element, const LaneMask &mask,
                Value valid) {
  auto type = VectorType::get({e.target.lanes}, element);
  Value result;
  if (index.isUniform()) {
    result = e.broadcast(loadUniform(e, pointer, index, element));
  } else if (index.isContiguous()) {
    Value address = uniformAddress(e, pointer, index);
    result = mask.isAll() ? e.load(type, address) : maskedLoad(e, address, element, mask.get(e));
  } else {
    if (!index.varying)
      result = loadShuffled(e, pointer, index, element, mask);
    if (!result)
      result = LLVM::masked_gather::create(e.builder, e.loc, type, addresses(e, pointer, index), mask.get(e),
                                           ValueRange(zeroVector(e, element)), 4);
  }
  return valid ? e.select(valid, result, zeroVector(e, element)) : result;
}

void storeLanes(Emitter &e, Value value, Value pointer, const LaneIndex &index, const LaneMask &mask,
                Value valid) {
  if (valid && !llvm::isa<VectorType>(valid.getType())) {
    e.ifThen(valid, [&] { storeLanes(e, value, pointer, index, mask); });
    return;
  }
  Value active = mask.isAll() ? valid : mask.get(e);
  if (valid && !mask.isAll())
    active = arith::AndIOp::create(e.builder, e.loc, active, valid);
  if (index.isContiguous()) {
    Value address = uniformAddress(e, pointer, index);
    if (active)
      LLVM::MaskedStoreOp::create(e.builder, e.loc, value, address, active, e.builder.getI32IntegerAttr(4));
    else
      e.store(value, address);
    return;
  }
  if (!active)
    active = mask.get(e);
  LLVM::masked_scatter::create(e.builder, e.loc, value, addresses(e, pointer, index), active, 4);
}

//===----------------------------------------------------------------------===//
// Across lanes
//===----------------------------------------------------------------------===//

Value reduceLanes(Emitter &e, Value vector, function_ref<Value(Value, Value)> combine) {
  for (int64_t half = e.target.lanes / 2; half >= 1; half /= 2) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(0, half));
    SmallVector<int64_t> high = llvm::to_vector(llvm::seq<int64_t>(half, 2 * half));
    Value a = vector::ShuffleOp::create(e.builder, e.loc, vector, vector, low);
    Value b = vector::ShuffleOp::create(e.builder, e.loc, vector, vector, high);
    vector = combine(a, b);
  }
  return vector::ExtractOp::create(e.builder, e.loc, vector, ArrayRef<int64_t>{0});
}

Value maxOf(Emitter &e, Value a, Value b) {
  // One instruction, where the number-or-propagate forms of maximum take three.
  Value larger = arith::CmpFOp::create(e.builder, e.loc, arith::CmpFPredicate::OGT, b, a);
  return e.select(larger, b, a);
}

} // namespace contraflow::cpu
