//===- BuildKernels.cpp - says every operation in kernels -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/fusion/Passes.h"

namespace contraflow::fusion {
#define GEN_PASS_DEF_BUILDKERNELSPASS
#include "passes/fusion/Passes.h.inc"
} // namespace contraflow::fusion

using namespace mlir;

namespace contraflow::fusion {
namespace {

/// Replaces an operation by its kernels; returns how many they are.
FailureOr<int64_t> replaceByKernels(nn::KernelizableOp op) {
  OpBuilder builder(op);
  Operation *before = op->getPrevNode();
  SmallVector<Value> replacements;
  if (failed(op.buildKernels(builder, replacements)))
    return op->emitOpError("cannot be said in kernels");
  int64_t count = 0;
  for (Operation *built = op->getPrevNode(); built != before; built = built->getPrevNode())
    count += isa<nn::KernelOp>(built);
  op->replaceAllUsesWith(replacements);
  op->erase();
  return count;
}

/// Rotations of one function often share their angles.
void mergeEqualTables(Block &body) {
  llvm::DenseMap<std::pair<Attribute, Type>, Value> tables;
  for (auto table : llvm::make_early_inc_range(body.getOps<nn::ConstantTableOp>())) {
    auto [it, isNew] = tables.try_emplace({table.getValue(), table.getType()}, table.getResult());
    if (isNew)
      continue;
    table.replaceAllUsesWith(it->second);
    table.erase();
  }
}

bool isReadAfter(OpOperand &tied) {
  Operation *kernel = tied.getOwner();
  return llvm::any_of(tied.get().getUses(), [&](OpOperand &use) {
    return use.getOwner() == kernel ? &use != &tied : kernel->isBeforeInBlock(use.getOwner());
  });
}

/// Copies what `kernel` writes in place although it is read later; returns the number of copies.
int64_t copyWhatIsReadLater(nn::KernelOp kernel) {
  int64_t count = 0;
  for (int64_t tied : kernel.getTied()) {
    if (tied < 0 || !isReadAfter(kernel->getOpOperand(tied)))
      continue;
    OpBuilder builder(kernel);
    Value copy = nn::buildPointwise(builder, kernel.getLoc(), "copy", kernel.getInputs()[tied],
                                    [](ArrayRef<nn::Scalar> in) { return in[0]; });
    kernel->setOperand(tied, copy);
    ++count;
  }
  return count;
}

struct BuildKernels : impl::BuildKernelsPassBase<BuildKernels> {
  void runOnOperation() override {
    Block &body = getOperation().getBody().front();
    for (Operation &op : llvm::make_early_inc_range(body)) {
      auto kernelizable = dyn_cast<nn::KernelizableOp>(op);
      if (!kernelizable)
        continue;
      FailureOr<int64_t> built = replaceByKernels(kernelizable);
      if (failed(built))
        return signalPassFailure();
      numKernels += *built;
    }
    mergeEqualTables(body);
    for (auto kernel : llvm::make_early_inc_range(body.getOps<nn::KernelOp>()))
      numCopies += copyWhatIsReadLater(kernel);
  }
};

} // namespace

void buildFusionPipeline(OpPassManager &pm) {
  auto &functions = pm.nest<func::FuncOp>();
  functions.addPass(createBuildKernelsPass());
  functions.addPass(createFuseElementwisePass());
  functions.addPass(createVerifyKernelsPass());
}

} // namespace contraflow::fusion
