//===- BuildKernels.cpp - says every operation in kernels -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/comm/Comm.h"
#include "dialects/nn/KernelBuilder.h"
#include "dialects/nn/Signature.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
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

Value copyOf(OpBuilder &builder, Location loc, Value value) {
  return nn::buildPointwise(builder, loc, "copy", value, [](ArrayRef<nn::Scalar> in) { return in[0]; });
}

/// Copies what `kernel` writes in place although it is read later; returns the number of copies.
int64_t copyWhatIsReadLater(nn::KernelOp kernel) {
  int64_t count = 0;
  for (int64_t tied : kernel.getTied()) {
    if (tied < 0 || !isReadAfter(kernel->getOpOperand(tied)))
      continue;
    OpBuilder builder(kernel);
    kernel->setOperand(tied, copyOf(builder, kernel.getLoc(), kernel.getInputs()[tied]));
    ++count;
  }
  return count;
}

/// The kernel that allocated the memory of `value` as its first result, if it is a rows kernel: following
/// tied inputs.
nn::KernelOp rootOf(Value value) {
  while (auto kernel = value.getDefiningOp<nn::KernelOp>()) {
    int64_t tied = kernel.getTied()[cast<OpResult>(value).getResultNumber()];
    if (tied < 0)
      return isa<nn::RowsAnchorAttr>(kernel.getAnchor()) && kernel->getNumResults() == 1 ? kernel
                                                                                         : nn::KernelOp();
    value = kernel.getInputs()[tied];
  }
  return {};
}

/// The first value in the memory of `value`: an argument, a table, or what a kernel makes.
Value firstInMemoryOf(Value value) {
  while (auto kernel = value.getDefiningOp<nn::KernelOp>()) {
    int64_t tied = kernel.getTied()[cast<OpResult>(value).getResultNumber()];
    if (tied < 0)
      break;
    value = kernel.getInputs()[tied];
  }
  return value;
}

/// Lets a rows kernel of one fresh result write it into `memory`.
void tieResult(nn::KernelOp kernel, Value memory) {
  OpBuilder builder(kernel);
  unsigned input = kernel.getNumInputs();
  SmallVector<Attribute> maps(kernel.getMaps().begin(), kernel.getMaps().end());
  SmallVector<Attribute> gathers(kernel.getGathers().begin(), kernel.getGathers().end());
  maps.insert(maps.begin() + input, Attribute(maps.back()));
  gathers.insert(gathers.begin() + input, Attribute(gathers.back()));
  kernel.getInputsMutable().append(memory);
  kernel.setMapsAttr(builder.getArrayAttr(maps));
  kernel.setGathersAttr(builder.getArrayAttr(gathers));
  kernel.setTiedAttr(builder.getDenseI64ArrayAttr({static_cast<int64_t>(input)}));
  kernel.getBody().addArgument(cast<nn::TensorType>(memory.getType()).getElementType(), kernel.getLoc());
}

/// Copies `value` into `memory`.
Value copyInto(OpBuilder &builder, Location loc, Value value, Value memory) {
  nn::PointwiseDomain domain = nn::pointwiseDomain(builder.getContext(), nn::shapeOf(value));
  nn::KernelBuilder k(builder, loc, "copy", domain.sizes);
  k.input(value, domain.coordinates);
  k.tiedResult(k.input(memory, domain.coordinates), domain.coordinates);
  return k.build([](nn::Region &, ArrayRef<nn::Scalar> in) -> nn::Scalars { return {in[0]}; }).getResult(0);
}

/// What is returned in the memory of an argument is written there: by the kernel that makes it, or else by a
/// copy. Returns the number of copies.
int64_t writeIntoTiedArguments(func::FuncOp function) {
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  int64_t count = 0;
  for (OpOperand &operand : ret->getOpOperands()) {
    auto role = function.getResultAttrOfType<nn::RoleAttr>(operand.getOperandNumber(), nn::kRoleName);
    if (!role || role.getTied() < 0)
      continue;
    Value argument = function.getArgument(role.getTied());
    if (firstInMemoryOf(operand.get()) == argument)
      continue;
    nn::KernelOp root = rootOf(operand.get());
    bool isFree = root && llvm::all_of(argument.getUsers(),
                                       [&](Operation *user) { return user->isBeforeInBlock(root); });
    if (isFree) {
      tieResult(root, argument);
      continue;
    }
    OpBuilder builder(ret);
    operand.set(copyInto(builder, function.getLoc(), operand.get(), argument));
    ++count;
  }
  return count;
}

/// Where operations that do nothing are folded away, a result may be an argument or another result. Each has
/// memory of its own for the caller. Returns the number of copies.
int64_t separateResults(func::FuncOp function) {
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  llvm::SmallPtrSet<Value, 8> taken;
  int64_t count = 0;
  for (OpOperand &operand : ret->getOpOperands()) {
    auto role = function.getResultAttrOfType<nn::RoleAttr>(operand.getOperandNumber(), nn::kRoleName);
    if (!role || role.getTied() >= 0)
      continue;
    Value first = firstInMemoryOf(operand.get());
    if (first.getDefiningOp<nn::KernelOp>() && taken.insert(first).second)
      continue;
    OpBuilder builder(ret);
    operand.set(copyOf(builder, function.getLoc(), operand.get()));
    ++count;
  }
  return count;
}

struct BuildKernels : impl::BuildKernelsPassBase<BuildKernels> {
  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
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
    // Collectives say themselves where their results lie.
    if (!comm::holdsCollectives(getOperation())) {
      numCopies += writeIntoTiedArguments(getOperation());
      numCopies += separateResults(getOperation());
    }
    for (auto kernel : llvm::make_early_inc_range(body.getOps<nn::KernelOp>()))
      numCopies += copyWhatIsReadLater(kernel);
  }
};

} // namespace

void buildFusionPipeline(OpPassManager &pm) {
  auto &functions = pm.nest<func::FuncOp>();
  // Neighbouring slices of a gradient become one concat; slices of slices one slice.
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createBuildKernelsPass());
  functions.addPass(createFuseElementwisePass());
  functions.addPass(createVerifyKernelsPass());
}

} // namespace contraflow::fusion
