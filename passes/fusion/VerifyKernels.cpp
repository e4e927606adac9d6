//===- VerifyKernels.cpp - ready for memory planning and lowering? --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/comm/Comm.h"
#include "dialects/nn/NN.h"
#include "dialects/nn/Signature.h"
#include "passes/fusion/KernelParts.h"
#include "passes/fusion/Passes.h"

namespace contraflow::fusion {
#define GEN_PASS_DEF_VERIFYKERNELSPASS
#include "passes/fusion/Passes.h.inc"
} // namespace contraflow::fusion

using namespace mlir;

namespace contraflow::fusion {
namespace {

nn::RoleAttr roleOfResult(func::FuncOp function, unsigned result) {
  return function.getResultAttrOfType<nn::RoleAttr>(result, nn::kRoleName);
}

/// Whether the function says that one of its results is the memory of `argument`; true where it says nothing
/// at all.
bool mayWrite(func::FuncOp function, BlockArgument argument) {
  bool hasRoles = false;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (nn::RoleAttr role = roleOfResult(function, i)) {
      hasRoles = true;
      if (role.getTied() == argument.getArgNumber())
        return true;
    }
  return !hasRoles;
}

/// (C2)
LogicalResult verifyTied(func::FuncOp function, nn::KernelOp kernel) {
  llvm::SmallDenseSet<Value> written;
  for (auto [i, tied] : llvm::enumerate(kernel.getTied())) {
    if (tied < 0)
      continue;
    Value memory = kernel.getInputs()[tied];
    if (!written.insert(memory).second)
      return kernel.emitOpError("(C2) two results are tied to one value");
    for (OpOperand &use : memory.getUses()) {
      if (!kernel->isBeforeInBlock(use.getOwner()))
        continue;
      InFlightDiagnostic diag = kernel.emitOpError("(C2) result ")
                                << i << " is written into the memory of a value that is used later";
      diag.attachNote(use.getOwner()->getLoc()) << "the later use is here";
      return diag;
    }
    if (memory.getDefiningOp<nn::ConstantTableOp>())
      return kernel.emitOpError("(C2) result ") << i << " is written into a constant table";
    if (auto argument = dyn_cast<BlockArgument>(memory); argument && !mayWrite(function, argument))
      return kernel.emitOpError("(C2) result ")
             << i << " is written into argument " << argument.getArgNumber() << ", to which no result of the "
             << "function is tied";
  }
  return success();
}

/// (C3)
LogicalResult verifyReadsOfTied(nn::KernelOp kernel) {
  if (!isRows(kernel) && !isa<nn::ColumnReduceAnchorAttr>(kernel.getAnchor()))
    return success();
  for (unsigned i = 0; i < kernel->getNumResults(); ++i) {
    int64_t tied = kernel.getTied()[i];
    for (unsigned input = 0; tied >= 0 && input < kernel.getNumInputs(); ++input) {
      bool isRead = !kernel.getBody().getArgument(input).use_empty() || isGatherSource(kernel, input);
      if (isRead && kernel.getInputs()[input] == kernel.getInputs()[tied] &&
          (kernel.getInputMap(input) != kernel.getResultMap(i) ||
           kernel.getGather(input) != kernel.getGather(kernel.getNumInputs() + i)))
        return kernel.emitOpError("(C3) input ") << input << " is read through another map than result " << i
                                                 << ", which is written into its memory";
    }
  }
  return success();
}

/// The first value of those that share their memory with `value`: an argument, or a result that is not tied.
Value memoryOf(Value value) {
  while (auto kernel = value.getDefiningOp<nn::KernelOp>()) {
    int64_t tied = kernel.getTied()[cast<OpResult>(value).getResultNumber()];
    if (tied < 0)
      break;
    value = kernel.getInputs()[tied];
  }
  return value;
}

/// Whether `memory`, made in the function, may be put where `argument` lies: nothing reads the argument from
/// then on.
bool mayReplace(Value memory, BlockArgument argument) {
  Operation *maker = memory.getDefiningOp<nn::KernelOp>();
  return maker &&
         llvm::all_of(argument.getUsers(), [&](Operation *user) { return user->isBeforeInBlock(maker); });
}

/// (C4)
LogicalResult verifyReturn(func::FuncOp function, func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    nn::RoleAttr role = roleOfResult(function, i);
    if (!role || role.getTied() < 0)
      continue;
    Value memory = memoryOf(value);
    BlockArgument argument = function.getArgument(role.getTied());
    if (memory != argument && !mayReplace(memory, argument))
      return op.emitOpError("(C4) result ")
             << i << " is tied to argument " << role.getTied() << ", but what is returned lies elsewhere";
  }
  return success();
}

/// Whether `rangeOf` is exact: a sum of multiples of dimensions, without symbols.
bool hasExactRange(AffineExpr expr) {
  bool exact = true;
  expr.walk([&](AffineExpr part) {
    exact &= isa<AffineConstantExpr, AffineDimExpr>(part) || part.getKind() == AffineExprKind::Add ||
             part.getKind() == AffineExprKind::Mul;
  });
  return exact;
}

/// Smallest and largest value of a sum of multiples of dimensions.
std::pair<int64_t, int64_t> rangeOf(AffineExpr expr, ArrayRef<int64_t> domain) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {constant.getValue(), constant.getValue()};
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return {0, domain[dim.getPosition()] - 1};
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto lhs = rangeOf(binary.getLHS(), domain), rhs = rangeOf(binary.getRHS(), domain);
  if (expr.getKind() == AffineExprKind::Add)
    return {lhs.first + rhs.first, lhs.second + rhs.second};
  std::pair<int64_t, int64_t> range{lhs.first * rhs.first, lhs.second * rhs.first}; // times a constant
  return range.first <= range.second ? range : std::pair(range.second, range.first);
}

/// (C5), for the anchors whose maps see the whole domain and coordinates whose range is exact.
LogicalResult verifyBounds(nn::KernelOp kernel) {
  if (!isRows(kernel) && !isa<nn::ColumnReduceAnchorAttr, nn::MatmulAnchorAttr>(kernel.getAnchor()))
    return success();
  for (unsigned i = 0; i < kernel.getMaps().size(); ++i) {
    bool isInput = i < kernel.getNumInputs();
    nn::TensorType type = isInput ? kernel.getInputType(i) : kernel.getResultType(i - kernel.getNumInputs());
    for (auto [j, expr] : llvm::enumerate(kernel.getInputMap(i).getResults())) {
      if (!hasExactRange(expr))
        continue;
      auto [low, high] = rangeOf(expr, kernel.getDomain());
      if (low < 0 || high >= type.getDim(j))
        return kernel.emitOpError("(C5) coordinate ")
               << j << " of " << (isInput ? "input " : "result ") << (isInput ? i : i - kernel.getNumInputs())
               << " runs from " << low << " to " << high << ", the dimension is " << type.getDim(j);
    }
  }
  return success();
}

struct VerifyKernels : impl::VerifyKernelsPassBase<VerifyKernels> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration() || !function.getBody().hasOneBlock()) {
      function.emitOpError("(C1) must have a body of one block");
      return signalPassFailure();
    }
    // parallel-verify-collectives knows what is in them.
    if (comm::holdsCollectives(function))
      return;
    for (Operation &op : function.getBody().front()) {
      LogicalResult result = success();
      if (auto kernel = dyn_cast<nn::KernelOp>(op)) {
        if (failed(verifyTied(function, kernel)) || failed(verifyReadsOfTied(kernel)) ||
            failed(verifyBounds(kernel)))
          result = failure();
      } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
        result = verifyReturn(function, ret);
      } else if (!isa<nn::ConstantTableOp>(op)) {
        result = op.emitOpError("(C1) is neither a kernel nor a constant table; fusion has no rule for it");
      }
      if (failed(result))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace contraflow::fusion
