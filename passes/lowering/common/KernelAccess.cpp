//===- KernelAccess.cpp - which elements a kernel touches -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/KernelAccess.h"

using namespace mlir;

namespace contraflow::lowering {

AffineExpr getElementIndex(nn::KernelOp op, unsigned i) {
  AffineMap map = op.getInputMap(i);
  unsigned inputs = op.getNumInputs();
  SmallVector<int64_t> shape =
      (i < inputs ? op.getInputType(i) : op.getResultType(i - inputs)).getStaticShape();
  AffineExpr index = getAffineConstantExpr(0, op.getContext());
  int64_t stride = 1;
  for (auto [expr, size] : llvm::reverse(llvm::zip_equal(map.getResults(), shape))) {
    index = index + expr * stride;
    stride *= size;
  }
  return simplifyAffineExpr(index, map.getNumDims(), map.getNumSymbols());
}

/// Adds `factor` times `expr` to `access`; false when the expression is not linear in the dimensions.
static bool addLinear(AffineExpr expr, int64_t factor, StridedAccess &access) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr)) {
    access.offset += factor * constant.getValue();
    return true;
  }
  if (auto dim = llvm::dyn_cast<AffineDimExpr>(expr)) {
    access.strides[dim.getPosition()] += factor;
    return true;
  }
  auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Add)
    return addLinear(binary.getLHS(), factor, access) && addLinear(binary.getRHS(), factor, access);
  auto constant = llvm::dyn_cast<AffineConstantExpr>(binary.getRHS());
  return binary.getKind() == AffineExprKind::Mul && constant &&
         addLinear(binary.getLHS(), factor * constant.getValue(), access);
}

FailureOr<StridedAccess> getStridedAccess(nn::KernelOp op, unsigned i) {
  StridedAccess access;
  access.strides.assign(op.getDomain().size(), 0);
  if (!addLinear(getElementIndex(op, i), 1, access))
    return op.emitError() << "kernel '" << op.getLabel() << "' accesses operand " << i << " by "
                          << op.getMaps()[i] << ", this anchor wants a linear map";
  return access;
}

} // namespace contraflow::lowering
