//===- CountOperations.cpp - model flops of every function ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/schedule/Passes.h"

#include "dialects/nn/NN.h"
#include "dialects/nn/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#define DEBUG_TYPE "schedule-count-operations"

using namespace mlir;

namespace contraflow::schedule {

#define GEN_PASS_DEF_COUNTOPERATIONSPASS
#include "passes/schedule/Passes.h.inc"

namespace {

struct CountOperationsPass : impl::CountOperationsPassBase<CountOperationsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      int64_t flops = 0;
      function.walk([&](nn::CostOp op) { flops += op.getFlops(); });
      nn::setInt<nn::NNDialect::FlopsAttrHelper>(function, flops);
    }
  }
};

} // namespace

} // namespace contraflow::schedule
