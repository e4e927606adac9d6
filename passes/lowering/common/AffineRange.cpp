//===- AffineRange.cpp - what affine expressions can be -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/AffineRange.h"

#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;

namespace contraflow::lowering {

std::pair<int64_t, int64_t> getRange(AffineExpr expr, ArrayRef<int64_t> sizes) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return {constant.getValue(), constant.getValue()};
  if (auto dim = llvm::dyn_cast<AffineDimExpr>(expr))
    return {0, std::max<int64_t>(sizes[dim.getPosition()] - 1, 0)};
  if (llvm::isa<AffineSymbolExpr>(expr))
    return {0, std::numeric_limits<int32_t>::max()};
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  auto [low, high] = getRange(binary.getLHS(), sizes);
  auto [rightLow, rightHigh] = getRange(binary.getRHS(), sizes);
  if (expr.getKind() == AffineExprKind::Add)
    return {low + rightLow, high + rightHigh};
  int64_t factor = rightLow; // The right side of the others is a constant.
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return {std::min(low * factor, high * factor), std::max(low * factor, high * factor)};
  case AffineExprKind::Mod:
    if (low >= 0 && high < factor)
      return {low, high};
    return {0, factor - 1};
  case AffineExprKind::FloorDiv:
    return {llvm::divideFloorSigned(low, factor), llvm::divideFloorSigned(high, factor)};
  default:
    return {llvm::divideCeilSigned(low, factor), llvm::divideCeilSigned(high, factor)};
  }
}

AffineExpr simplifyWithin(AffineExpr expr, ArrayRef<int64_t> sizes, unsigned numSymbols) {
  AffineExpr result = expr;
  if (auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(expr)) {
    AffineExpr lhs = simplifyWithin(binary.getLHS(), sizes, numSymbols);
    AffineExpr rhs = simplifyWithin(binary.getRHS(), sizes, numSymbols);
    auto [low, high] = getRange(lhs, sizes);
    int64_t factor = getRange(rhs, sizes).first;
    if (expr.getKind() == AffineExprKind::Mod && low >= 0 && high < factor)
      result = lhs;
    else if (expr.getKind() == AffineExprKind::FloorDiv &&
             llvm::divideFloorSigned(low, factor) == llvm::divideFloorSigned(high, factor))
      result = getAffineConstantExpr(llvm::divideFloorSigned(low, factor), expr.getContext());
    else
      result = getAffineBinaryOpExpr(expr.getKind(), lhs, rhs);
  }
  return simplifyAffineExpr(result, sizes.size(), numSymbols);
}

} // namespace contraflow::lowering
