//===- VerifyCode.cpp - the end of the lowering, checked -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/CodeChecks.h"
#include "passes/lowering/common/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#define DEBUG_TYPE "lowering-verify-code"

namespace contraflow::lowering {

#define GEN_PASS_DEF_VERIFYCODEPASS
#include "passes/lowering/common/Passes.h.inc"

namespace {

struct VerifyCodePass : impl::VerifyCodePassBase<VerifyCodePass> {
  void runOnOperation() override {
    if (failed(verify(getOperation())))
      signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::lowering
