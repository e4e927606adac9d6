//===- InsertDispatch.cpp - experts over ranks, in every kind of block ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/parallel/Passes.h"

#include "dialects/nn/FunctionNames.h"
#include "passes/parallel/ExpertSplit.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace contraflow::parallel {

#define GEN_PASS_DEF_INSERTDISPATCHPASS
#include "passes/parallel/Passes.h.inc"

namespace {

/// The functions of a kind that have a body, in the order in which a step runs them.
struct KindFunctions {
  func::FuncOp forward, evaluate;
  SmallVector<func::FuncOp> backward;
};

llvm::MapVector<StringRef, KindFunctions> findKinds(ModuleOp module) {
  llvm::MapVector<StringRef, KindFunctions> kinds;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isDeclaration())
      continue;
    auto [kind, what] = function.getSymName().rsplit('.');
    KindFunctions &functions = kinds[kind];
    if (what == nn::kForward)
      functions.forward = function;
    else if (what == nn::kEvaluate)
      functions.evaluate = function;
    else if (what == nn::kBackwardInput || what == nn::kBackwardWeight || what == nn::kBackward)
      functions.backward.push_back(function);
  }
  return kinds;
}

struct InsertDispatch : impl::InsertDispatchPassBase<InsertDispatch> {
  using InsertDispatchPassBase::InsertDispatchPassBase;

  void runOnOperation() override {
    std::optional<abi::Mesh> mesh = comm::getMesh(getOperation());
    if (!mesh || mesh->ep == 1)
      return;
    SplitOptions options = {mesh->ep, receiveBound};
    for (auto &[kind, functions] : findKinds(getOperation())) {
      // A block that only other graphs call has nothing but this.
      func::FuncOp forward = functions.forward ? functions.forward : functions.evaluate;
      if (!forward)
        continue;
      func::FuncOp evaluate = functions.forward ? functions.evaluate : func::FuncOp();
      FailureOr<SplitCounts> counts = splitExperts(forward, evaluate, functions.backward, options);
      if (failed(counts))
        return signalPassFailure();
      numDispatched += counts->dispatched;
      numCombined += counts->combined;
    }
  }
};

} // namespace
} // namespace contraflow::parallel
