//===- VerifyCollectives.cpp - all ranks reach the same collectives --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/parallel/Passes.h"

#include "dialects/comm/Comm.h"
#include "dialects/nn/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace contraflow::parallel {

#define GEN_PASS_DEF_VERIFYCOLLECTIVESPASS
#include "passes/parallel/Passes.h.inc"

namespace {

LogicalResult checkPlace(comm::CollectiveOp op) {
  // verify_collectives_c1
  auto function = dyn_cast<func::FuncOp>(op->getParentOp());
  if (!function || !function.getBody().hasOneBlock())
    return op->emitOpError(
        "(C1) is not in the only block of a function, so that not every rank need reach it");
  return success();
}

LogicalResult checkFunction(func::FuncOp function) {
  for (Operation &op : function.getBody().front()) {
    // verify_collectives_c2
    if (!isa<comm::CollectiveOp, func::ReturnOp>(op))
      return op.emitOpError("(C2) stands in '")
             << function.getSymName() << "' beside collectives, expected collectives only";
  }
  // verify_collectives_c3
  for (auto [index, value] : llvm::enumerate(function.getBody().front().getTerminator()->getOperands())) {
    auto role = function.getResultAttrOfType<nn::RoleAttr>(index, nn::kRoleName);
    Operation *maker = value.getDefiningOp();
    if (!maker)
      return function.emitOpError("(C3) returns an argument as result ")
             << index << ", expected a collective's";
    if (!role || role.getTied() < 0)
      continue;
    auto sum = dyn_cast<comm::AllReduceOp>(maker);
    if (!sum || sum.getInput() != function.getArgument(role.getTied()))
      return function.emitOpError("(C3) result ")
             << index << " is tied to argument " << role.getTied() << ", but is no sum of it";
  }
  return success();
}

struct VerifyCollectives : impl::VerifyCollectivesPassBase<VerifyCollectives> {
  void runOnOperation() override {
    WalkResult walked = getOperation().walk([](comm::CollectiveOp op) { return WalkResult(checkPlace(op)); });
    if (walked.wasInterrupted())
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (comm::holdsCollectives(function) && failed(checkFunction(function)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace contraflow::parallel
