//===- Lanes.h - which elements the lanes of a vector touch ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An affine map, seen by one vector of neighbouring points, is a scalar that is known at run time plus a
// pattern that is known now: contiguous, all the same, every second element, the partner of a rotated pair.
// Most of `mod` and `floordiv` disappears too, because blocks start at multiples of the number of lanes.
// Only what is left (gathered rows, odd sizes) takes index vectors.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_LANES_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_LANES_H

#include "passes/lowering/cpu/Emitter.h"

namespace contraflow::cpu {

/// One number per lane: `base + pattern[lane] + varying[lane]`.
struct LaneIndex {
  /// i64; null is zero.
  mlir::Value base;
  /// A number that divides `base`; zero where base is null.
  int64_t divisor = 0;
  llvm::SmallVector<int64_t> pattern;
  /// A vector of i32; null is zero.
  mlir::Value varying;

  /// The same number in every lane.
  static LaneIndex uniform(int64_t lanes, mlir::Value base, int64_t divisor = 1);
  static LaneIndex constant(int64_t lanes, int64_t value);
  /// base, base + 1, base + 2, ...
  static LaneIndex consecutive(int64_t lanes, mlir::Value base, int64_t divisor);

  bool isUniform() const { return !varying && llvm::all_equal(pattern); }
  bool isContiguous() const;
};

/// The lanes of a vector that stand for points of the domain: the first ones, all or some.
class LaneMask {
public:
  /// All lanes.
  LaneMask() = default;
  /// The first `count` lanes, known now.
  static LaneMask first(int64_t count) {
    LaneMask mask;
    mask.known = count;
    return mask;
  }
  /// The first `remaining` lanes (i64; may be larger than the number of lanes).
  static LaneMask below(mlir::Value remaining) {
    LaneMask mask;
    mask.remaining = remaining;
    return mask;
  }

  bool isAll() const { return known < 0 && !remaining; }
  /// Lanes i with `needed[i]` active; a number past every lane is never active.
  mlir::Value get(Emitter &e, llvm::ArrayRef<int64_t> needed) const;
  mlir::Value get(Emitter &e) const;

private:
  int64_t known = -1;
  mlir::Value remaining;
};

/// Evaluates affine expressions on lanes. `ranges` are the sizes of the domain's dimensions.
class LaneEvaluator {
public:
  LaneEvaluator(Emitter &e, llvm::ArrayRef<int64_t> sizes, llvm::ArrayRef<LaneIndex> dims,
                llvm::ArrayRef<LaneIndex> symbols = {})
      : e(e), sizes(sizes), dims(dims), symbols(symbols) {}

  LaneIndex evaluate(mlir::AffineExpr expr);

private:
  LaneIndex sum(LaneIndex a, const LaneIndex &b);
  LaneIndex scale(LaneIndex a, int64_t factor);
  /// Quotient or remainder.
  LaneIndex divide(LaneIndex a, mlir::AffineExpr expr, int64_t divisor, bool remainder);

  Emitter &e;
  llvm::ArrayRef<int64_t> sizes;
  llvm::ArrayRef<LaneIndex> dims, symbols;
};

/// The elements at `index` from `pointer` on, as a vector; lanes outside of the mask hold anything. `valid`
/// is null, an i1 or a mask: where it is false the lanes are zero, and the memory is still read.
mlir::Value loadLanes(Emitter &e, mlir::Value pointer, const LaneIndex &index, mlir::Type element,
                      const LaneMask &mask, mlir::Value valid = {});
void storeLanes(Emitter &e, mlir::Value value, mlir::Value pointer, const LaneIndex &index,
                const LaneMask &mask, mlir::Value valid = {});
/// The scalar element that a uniform index names.
mlir::Value loadUniform(Emitter &e, mlir::Value pointer, const LaneIndex &index, mlir::Type element);
mlir::Value uniformAddress(Emitter &e, mlir::Value pointer, const LaneIndex &index);
/// The number that a lane index is, as a vector of i32.
mlir::Value toVector(Emitter &e, const LaneIndex &index);

/// Combines the lanes in a tree: first half with second half, until one is left.
mlir::Value reduceLanes(Emitter &e, mlir::Value vector,
                        llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);

/// The larger of two floats or vectors; `a` where `b` is not a number.
mlir::Value maxOf(Emitter &e, mlir::Value a, mlir::Value b);

} // namespace contraflow::cpu

#endif
