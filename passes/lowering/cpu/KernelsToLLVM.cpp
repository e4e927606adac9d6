//===- KernelsToLLVM.cpp - functions of kernels become code over addresses ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One pass over the functions in the order of the module. A kernel whose like has been emitted before
// (same anchor, domain, maps, types and region; labels and locations do not count) calls the code that is
// there: the forward of training, of evaluation and of generation share their kernels, and so do kinds of
// blocks.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/cpu/KernelsToLLVM.h"

#include "dialects/nn/Signature.h"
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/CpuMachine.h"
#include "passes/lowering/cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/OperationSupport.h"

#define DEBUG_TYPE "lowering-cpu-kernels-to-llvm"

namespace contraflow::cpu {
#define GEN_PASS_DEF_KERNELSTOLLVMPASS
#include "passes/lowering/cpu/Passes.h.inc"
} // namespace contraflow::cpu

using namespace mlir;

namespace contraflow::cpu {

LogicalResult emitKernel(KernelEmission &kernel) {
  return llvm::TypeSwitch<Attribute, LogicalResult>(kernel.op.getAnchor())
      .Case([&](nn::RowsAnchorAttr) { return emitRows(kernel); })
      .Case([&](nn::ColumnReduceAnchorAttr) { return emitColumnReduce(kernel); })
      .Case([&](nn::RouteAnchorAttr) { return emitRoute(kernel); })
      .Case([&](nn::MatmulAnchorAttr) { return emitMatmul(kernel); })
      .Case([&](nn::GroupedMatmulAnchorAttr) { return emitGroupedMatmul(kernel); })
      .Case([&](nn::AttentionAnchorAttr) { return emitAttention(kernel); })
      .Case([&](nn::AttentionGradAnchorAttr) { return emitAttentionGrad(kernel); })
      .Default([&](Attribute anchor) {
        return kernel.op.emitError() << "kernel '" << kernel.op.getLabel()
                                     << "' has an anchor without lowering: " << anchor;
      });
}

namespace {

/// Code of kernels that have been emitted, to be found by what the kernel computes.
class KernelCache {
public:
  const KernelCode *find(nn::KernelOp op) {
    for (auto &[other, code] : entries[keyOf(op)])
      if (OperationEquivalence::isRegionEquivalentTo(&op.getBody(), &other.getBody(),
                                                     OperationEquivalence::IgnoreLocations))
        return &code;
    return nullptr;
  }
  void insert(nn::KernelOp op, const KernelCode &code) { entries[keyOf(op)].push_back({op, code}); }

private:
  static Attribute keyOf(nn::KernelOp op) {
    Builder builder(op.getContext());
    SmallVector<Attribute> parts{op.getAnchor(), op.getDomainAttr(), op.getMapsAttr(), op.getGathersAttr(),
                                 op.getTiedAttr()};
    for (Type type : op->getOperandTypes())
      parts.push_back(TypeAttr::get(type));
    for (Type type : op->getResultTypes())
      parts.push_back(TypeAttr::get(type));
    return builder.getArrayAttr(parts);
  }

  llvm::DenseMap<Attribute, SmallVector<std::pair<nn::KernelOp, KernelCode>>> entries;
};

/// A label as part of a symbol.
std::string sanitize(StringRef label) {
  std::string name = label.str();
  for (char &c : name)
    if (!llvm::isAlnum(c) && c != '_')
      c = '_';
  return name;
}

class FunctionLowering {
public:
  FunctionLowering(ModuleOp module, const CpuTarget &target) : module(module), target(target) {}

  LogicalResult lower(func::FuncOp function);
  LoweringStatistics statistics;

private:
  LogicalResult placeArguments(func::FuncOp function);
  LogicalResult lower(nn::KernelOp op, OpBuilder &entry, Value bases);
  LogicalResult lower(nn::ConstantTableOp op);
  void callCheck(OpBuilder &entry, Location loc, int64_t point);

  ModuleOp module;
  const CpuTarget &target;
  KernelCache cache;
  llvm::DenseMap<Value, Placement> placements;
  llvm::DenseMap<Attribute, std::string> tables;
};

LogicalResult FunctionLowering::placeArguments(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    nn::LocationAttr location = nn::getArgumentLocation(function, argument.getArgNumber());
    if (!location)
      return function.emitError() << "argument " << argument.getArgNumber() << " of '" << function.getName()
                                  << "' has no '" << nn::kLocationName << "'; run the memory phase first";
    placements[argument] = {location.getBase(), location.getOffset(), {}};
  }
  return success();
}

LogicalResult FunctionLowering::lower(nn::ConstantTableOp op) {
  auto [table, isNew] = tables.try_emplace(op.getValue(), "table" + std::to_string(tables.size()));
  placements[op.getResult()] = {0, 0, table->second};
  if (!isNew)
    return success();
  auto type = llvm::cast<nn::TensorType>(op.getType());
  Type array = type.getElementType();
  SmallVector<int64_t> shape = type.getStaticShape();
  for (int64_t size : llvm::reverse(shape))
    array = LLVM::LLVMArrayType::get(array, size);
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  LLVM::GlobalOp::create(builder, op.getLoc(), array, /*isConstant=*/true, LLVM::Linkage::Internal,
                         table->second, op.getElements(), /*alignment=*/64);
  return success();
}

LogicalResult FunctionLowering::lower(nn::KernelOp op, OpBuilder &entry, Value bases) {
  SmallVector<nn::LocationAttr> locations = nn::getLocations(op);
  if (locations.size() != op.getNumResults())
    return op.emitError() << "kernel '" << op.getLabel() << "' has no '" << nn::kLocationsName << "' for its "
                          << op.getNumResults() << " results; run the memory phase first";
  SmallVector<Placement> operands;
  for (Value input : op.getInputs()) {
    auto found = placements.find(input);
    if (found == placements.end())
      return op.emitError() << "kernel '" << op.getLabel() << "' reads a value that is in no memory";
    operands.push_back(found->second);
  }
  for (auto [i, location] : llvm::enumerate(locations)) {
    Placement placement{location.getBase(), location.getOffset(), {}};
    if (int64_t tied = op.getTied()[i]; tied >= 0) {
      const Placement &input = operands[tied];
      if (!input.table.empty() || input.base != placement.base || input.byteOffset != placement.byteOffset)
        return op.emitError() << "kernel '" << op.getLabel() << "' has result " << i << " at " << location
                              << ", but input " << tied << ", to which it is tied, lies elsewhere";
    }
    placements[op.getResult(i)] = placement;
    operands.push_back(placement);
  }
  std::optional<Placement> workspace;
  if (nn::LocationAttr location = nn::getWorkspace(op))
    workspace = Placement{location.getBase(), location.getOffset(), {}};

  ++statistics.kernels;
  std::string name = "k" + std::to_string(statistics.kernels) + "." + sanitize(op.getLabel());
  KernelEmission emission(op, name, operands, workspace, target, entry, bases);
  if (const KernelCode *code = cache.find(op)) {
    ++statistics.shared;
    return emission.reuse(*code);
  }
  if (failed(emitKernel(emission)))
    return failure();
  cache.insert(op, emission.getCode());
  statistics.scratchBytes = std::max(statistics.scratchBytes, emission.getScratchBytes());
  return success();
}

/// Lets the runtime look at the memory of the function before kernel `point`; behind the last one at the end.
void FunctionLowering::callCheck(OpBuilder &entry, Location loc, int64_t point) {
  constexpr llvm::StringLiteral kCheck = "cf_check";
  if (!module.lookupSymbol(kCheck)) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto type =
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {entry.getI64Type()});
    LLVM::LLVMFuncOp::create(top, loc, kCheck, type);
  }
  Emitter(entry, loc, target).call(kCheck, {Emitter(entry, loc, target).constant(point)});
}

LogicalResult FunctionLowering::lower(func::FuncOp function) {
  placements.clear();
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitError() << "function '" << function.getName() << "' has "
                                << std::distance(function.getBody().begin(), function.getBody().end())
                                << " blocks, expected 1";
  if (failed(placeArguments(function)))
    return failure();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(module.getContext());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {pointer});
  auto entry = LLVM::LLVMFuncOp::create(builder, function.getLoc(), function.getName(), type);
  // For the manifest, which is written when kernels are gone.
  if (ArrayAttr costs = nn::getAttr<nn::NNDialect::CostsAttrHelper>(function))
    nn::setAttr<nn::NNDialect::CostsAttrHelper>(entry, costs);
  builder.setInsertionPointToStart(entry.addEntryBlock(builder));
  Value bases = entry.getArgument(0);
  bool isChecked = nn::isChecked(module);
  int64_t point = 0;
  for (Operation &op : function.getBody().front()) {
    if (isChecked && isa<nn::KernelOp, func::ReturnOp>(op))
      callCheck(builder, op.getLoc(), point++);
    LogicalResult lowered =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case([&](nn::KernelOp kernel) { return lower(kernel, builder, bases); })
            .Case([&](nn::ConstantTableOp table) { return lower(table); })
            .Case([&](func::ReturnOp) { return success(); })
            .Default([](Operation *op) { return op->emitOpError() << "is not a kernel; run fusion first"; });
    if (failed(lowered))
      return failure();
  }
  LLVM::ReturnOp::create(builder, function.getLoc(), ValueRange());
  return success();
}

struct KernelsToLLVMPass : impl::KernelsToLLVMPassBase<KernelsToLLVMPass> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<CpuTarget> target = getTarget();
    if (failed(target))
      return signalPassFailure();
    FailureOr<LoweringStatistics> statistics = lowerKernels(getOperation(), *target);
    if (failed(statistics))
      return signalPassFailure();
    numKernels = statistics->kernels;
    numShared = statistics->shared;
  }

private:
  FailureOr<CpuTarget> getTarget() {
    ModuleOp module = getOperation();
    if (lanes != 0) {
      if (lanes != 4 && lanes != 8 && lanes != 16)
        return module.emitError() << "vectors of " << lanes << " lanes, expected 4, 8 or 16";
      return CpuTarget::forLanes(lanes);
    }
    llvm::Expected<CpuMachine> machine =
        processor.empty() ? CpuMachine::get(module) : CpuMachine::get(processor);
    if (!machine)
      return module.emitError() << llvm::toString(machine.takeError());
    return machine->target;
  }
};

} // namespace

FailureOr<LoweringStatistics> lowerKernels(ModuleOp module, const CpuTarget &target) {
  FunctionLowering lowering(module, target);
  SmallVector<func::FuncOp> functions = llvm::to_vector(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions)
    if (failed(lowering.lower(function)))
      return failure();
  // Only now: the cache compares with kernels of functions that are done.
  for (func::FuncOp function : functions)
    function.erase();
  // A module that was lowered before keeps what was found then.
  if (!functions.empty() || !nn::getAttr<nn::NNDialect::ScratchBytesAttrHelper>(module))
    nn::setInt<nn::NNDialect::ScratchBytesAttrHelper>(module, lowering.statistics.scratchBytes);
  return lowering.statistics;
}

} // namespace contraflow::cpu
