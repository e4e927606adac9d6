//===- ReduceStep.cpp - sums over the ranks of dp --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/parallel/Passes.h"

#include "dialects/comm/Comm.h"
#include "dialects/nn/FunctionNames.h"
#include "dialects/nn/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace contraflow::parallel {

#define GEN_PASS_DEF_REDUCESTEPPASS
#include "passes/parallel/Passes.h.inc"

namespace {

/// `step.reduce_X` of the argument X of `step.begin`.
func::FuncOp buildReduce(OpBuilder &builder, Location loc, const nn::Port &port) {
  std::string name = (nn::kStepReduce + port.getName()).str();
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType(port.type, port.type));
  auto getRole = [&](int64_t tied) {
    return nn::RoleAttr::get(builder.getContext(), port.getKind(), port.getName(), tied);
  };
  function.setArgAttr(0, nn::kRoleName, getRole(-1));
  function.setResultAttr(0, nn::kRoleName, getRole(0));
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());
  auto sum = comm::AllReduceOp::create(inside, loc, port.type, function.getArgument(0), comm::Axis::dp);
  func::ReturnOp::create(inside, loc, sum.getResult());
  return function;
}

struct ReduceStep : impl::ReduceStepPassBase<ReduceStep> {
  void runOnOperation() override {
    std::optional<abi::Mesh> mesh = comm::getMesh(getOperation());
    auto begin = getOperation().lookupSymbol<func::FuncOp>(nn::kStepBegin);
    if (!mesh || mesh->dp == 1 || !begin)
      return;
    FailureOr<nn::Signature> signature = nn::Signature::get(begin);
    if (failed(signature))
      return signalPassFailure();
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    for (const nn::Port &port : signature->getArguments()) {
      buildReduce(builder, begin.getLoc(), port);
      numElements += port.type.getNumElements();
    }
  }
};

} // namespace
} // namespace contraflow::parallel
