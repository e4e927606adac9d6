//===- KernelIds.cpp - numbers that a kernel takes for places -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/KernelIds.h"

#include "passes/lowering/common/AffineRange.h"
#include "passes/lowering/common/KernelAccess.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>
#include <optional>

using namespace mlir;

namespace contraflow::lowering {

namespace {

/// Where a kernel has no token, or skips what it would write.
constexpr int64_t kNone = -1;

/// The largest coordinate where `symbol` has a value and all others are 0.
int64_t getLargest(AffineExpr expr, unsigned numSymbols, unsigned symbol, int64_t value,
                   ArrayRef<int64_t> domain) {
  SmallVector<AffineExpr> symbols(numSymbols, getAffineConstantExpr(0, expr.getContext()));
  symbols[symbol] = getAffineConstantExpr(value, expr.getContext());
  return getRange(expr.replaceSymbols(symbols), domain).second;
}

/// The first value of `symbol` that makes the coordinate leave [0, size); nothing where none does, because
/// the coordinate does not depend on it or is taken `mod` something. Coordinates grow with their symbols.
std::optional<int64_t> findLimit(AffineExpr expr, unsigned numSymbols, unsigned symbol, int64_t size,
                                 ArrayRef<int64_t> domain) {
  int64_t low = 0, high = std::numeric_limits<int32_t>::max();
  if (getLargest(expr, numSymbols, symbol, high, domain) < size)
    return std::nullopt;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (getLargest(expr, numSymbols, symbol, middle, domain) < size)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// All elements of an input that are read at some point of the domain.
KernelIds getElements(nn::KernelOp kernel, pipe::IdsKind kind, unsigned input, ArrayRef<int64_t> domain,
                      int64_t least, int64_t limit) {
  auto [low, high] = getRange(getElementIndex(kernel, input), domain);
  return {kind, input, low, high - low + 1, least, limit};
}

class IdsFinder {
public:
  explicit IdsFinder(nn::KernelOp kernel) : kernel(kernel), domain(kernel.getDomain()) {}

  SmallVector<KernelIds> run() {
    findGathered();
    for (auto &[input, limit] : limits)
      result.push_back(getElements(kernel, pipe::IdsKind::index, input, domain, kNone, limit));
    llvm::TypeSwitch<Attribute>(kernel.getAnchor())
        .Case([&](nn::GroupedMatmulAnchorAttr anchor) { addOffsets(anchor); })
        .Case([&](nn::AttentionAnchorAttr anchor) { addStarts(anchor, 3); })
        .Case([&](nn::AttentionGradAnchorAttr anchor) { addStarts(anchor, anchor.getLseGrad() ? 7 : 6); })
        .Default([](Attribute) {});
    return result;
  }

private:
  /// For every input that gives a symbol its values, the smallest limit of the coordinates that use it.
  void findGathered() {
    for (unsigned i = 0, e = kernel.getMaps().size(); i < e; ++i) {
      AffineMap map = kernel.getInputMap(i);
      nn::TensorType type = i < kernel.getNumInputs() ? kernel.getInputType(i)
                                                      : kernel.getResultType(i - kernel.getNumInputs());
      for (auto [symbol, input] : llvm::enumerate(kernel.getGather(i)))
        for (auto [coordinate, size] : llvm::zip(map.getResults(), type.getStaticShape())) {
          std::optional<int64_t> limit = findLimit(coordinate, map.getNumSymbols(), symbol, size, domain);
          if (!limit)
            continue;
          auto [entry, isNew] = limits.try_emplace(unsigned(input), *limit);
          entry->second = std::min(entry->second, *limit);
        }
    }
  }

  /// Group e begins at number e, and the last group ends at the number behind: one more than the domain says.
  void addOffsets(nn::GroupedMatmulAnchorAttr anchor) {
    SmallVector<int64_t> groups(domain);
    ++groups[0];
    int64_t rows = anchor.getRagged() == nn::RaggedKind::rows ? domain[1] : domain[3];
    result.push_back(getElements(kernel, pipe::IdsKind::offsets, 2, groups, 0, rows));
  }

  /// Starts follow the `fixed` inputs that are always there, or are left out; the random key of dropout is
  /// last.
  template <typename Anchor> void addStarts(Anchor anchor, unsigned fixed) {
    unsigned withoutStarts = fixed + (anchor.getDrop() ? 1 : 0);
    if (kernel.getNumInputs() > withoutStarts)
      result.push_back(getElements(kernel, pipe::IdsKind::index, fixed, domain, 0, anchor.getSeq()));
  }

  nn::KernelOp kernel;
  SmallVector<int64_t> domain;
  std::map<unsigned, int64_t> limits;
  SmallVector<KernelIds> result;
};

} // namespace

SmallVector<KernelIds> getKernelIds(nn::KernelOp kernel) { return IdsFinder(kernel).run(); }

} // namespace contraflow::lowering
