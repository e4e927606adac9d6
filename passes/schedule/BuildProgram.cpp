//===- BuildProgram.cpp - from graph and functions to programs ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gives parameters their places and lets ProgramWriter write each program. Nothing of blocks and graphs is
// left.
//===----------------------------------------------------------------------===//
#include "passes/schedule/Passes.h"

#include "dialects/comm/Comm.h"
#include "passes/schedule/ProgramWriter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/SymbolTable.h"

#define DEBUG_TYPE "schedule-build-program"

using namespace mlir;
using contraflow::nn::Port;

namespace contraflow::schedule {

#define GEN_PASS_DEF_BUILDPROGRAMPASS
#include "passes/schedule/Passes.h.inc"

namespace {

/// Where the parameters of the calls of another graph lie: those of `@train` that have the same names.
FailureOr<SmallVector<Instance>> matchInstances(nn::GraphOp graph, const StepContext &context) {
  SmallVector<Instance> instances;
  for (auto call : graph.getBody().getOps<nn::CallOp>()) {
    Instance instance{call, 0};
    std::optional<int64_t> offset;
    for (const nn::ParameterSlot &slot : context.layout.getKind(call.getBlock()).slots) {
      std::string name = nn::joinName(call.getPrefix(), slot.getName());
      auto parameter = context.parameters.find(name);
      if (parameter == context.parameters.end()) {
        call.emitOpError("has a parameter '") << name << "' that '@train' has not";
        return failure();
      }
      if (offset && *offset != parameter->second - slot.offset) {
        call.emitOpError("has parameters in another order than '@train', found '") << name << "' elsewhere";
        return failure();
      }
      offset = parameter->second - slot.offset;
    }
    instance.offset = offset.value_or(0);
    instances.push_back(instance);
  }
  return instances;
}

struct BuildProgramPass : impl::BuildProgramPassBase<BuildProgramPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<StepContext> context = StepContext::get(module);
    if (failed(context))
      return signalPassFailure();
    placeParameters(*context);
    writeParameters(*context);
    if (failed(writePrograms(*context)))
      return signalPassFailure();
    // They are erased below, and must not be lost.
    for (auto function : module.getOps<func::FuncOp>())
      if (comm::holdsCollectives(function) && !context->reduced.contains(function.getSymName())) {
        function.emitOpError("'") << function.getSymName() << "' has collectives that no program starts";
        return signalPassFailure();
      }
    for (auto program : module.getOps<pipe::ProgramOp>()) {
      countFlops(program);
      numRuns += llvm::range_size(program.getBody().getOps<pipe::RunOp>());
      numBuffers += llvm::range_size(program.getBody().getOps<pipe::BufferOp>());
    }
    for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
      if (isa<nn::GraphOp, nn::BlockOp>(op) || (isa<func::FuncOp>(op) && comm::holdsCollectives(&op)))
        op.erase();
  }

private:
  /// Own parameters, their gradients and moments get their place: the layout ends with the blocks.
  void placeParameters(StepContext &context) {
    auto place = [&](StringRef kind, const nn::KindLayout *layout) {
      for (auto function : context.module.getOps<func::FuncOp>()) {
        if (function.getSymName().rsplit('.').first != kind)
          continue;
        for (const Port &port : context.findFunction(function.getSymName())->getArguments()) {
          if (port.base > nn::kSecondMomentsBase)
            continue;
          const nn::ParameterSlot *slot = layout ? layout->find(port.getName()) : nullptr;
          function.setArgAttr(port.index, nn::kLocationName,
                              nn::LocationAttr::get(&getContext(), port.base, slot ? slot->offset : 0));
        }
      }
    };
    place("step", nullptr);
    place("graph", &context.layout.getGraphLayout());
    for (auto block : context.module.getOps<nn::BlockOp>())
      if (context.layout.hasKind(block))
        place(block.getSymName(), &context.layout.getKind(block));
  }

  void countFlops(pipe::ProgramOp program) {
    double flops = 0;
    for (auto run : program.getBody().getOps<pipe::RunOp>())
      flops += nn::getFlops(getOperation().lookupSymbol(run.getFunction()));
    if (flops > 0)
      program.setFlops(APFloat(flops));
  }

  /// One `pipe.parameter` per tensor that a checkpoint has.
  void writeParameters(StepContext &context) {
    OpBuilder builder = OpBuilder::atBlockEnd(context.module.getBody());
    auto write = [&](const nn::KindLayout &kind, StringRef block, std::optional<StringRef> prefix,
                     int64_t offset) {
      for (const nn::ParameterSlot &slot : kind.slots) {
        nn::ParamOp param = slot.op;
        std::string name = nn::joinName(prefix, slot.getName());
        if (std::optional<StringRef> variable = param.getOver()) {
          std::string braces = ("{" + *variable + "}").str();
          if (size_t at = name.find(braces); at != std::string::npos)
            name.replace(at, braces.size(), "{e}");
        }
        auto unit = [&](bool value) { return value ? builder.getUnitAttr() : UnitAttr(); };
        pipe::ParameterOp::create(
            builder, param.getLoc(), builder.getStringAttr(name), builder.getStringAttr(block),
            builder.getI64IntegerAttr(offset + slot.offset),
            builder.getDenseI64ArrayAttr(slot.getType().getStaticShape()),
            builder.getStringAttr(nn::stringifyInitKind(param.getInit())), unit(param.getOver().has_value()),
            unit(!slot.isTrainable()), unit(slot.isTrainable() && slot.getType().getRank() >= 2));
      }
    };
    write(context.layout.getGraphLayout(), "graph", std::nullopt, 0);
    for (const nn::InstanceLayout &instance : context.layout.getInstances()) {
      nn::CallOp call = instance.call;
      write(context.layout.getKind(call.getBlock()), call.getBlock().getSymName(), call.getPrefix(),
            instance.offset);
    }
  }

  LogicalResult writePrograms(StepContext &context) {
    nn::GraphOp train = context.layout.getGraph();
    if (failed(ProgramWriter(context, "train", train, context.microBatches).writeTrain()))
      return failure();
    SmallVector<Instance> instances;
    for (const nn::InstanceLayout &instance : context.layout.getInstances())
      instances.push_back({instance.call, instance.offset});
    if (failed(ProgramWriter(context, "evaluate", train, 1)
                   .writeForwardOnly(instances, "", /*withLosses=*/true)))
      return failure();
    auto generate = context.module.lookupSymbol<nn::GraphOp>("generate");
    if (!generate)
      return success();
    FailureOr<SmallVector<Instance>> matched = matchInstances(generate, context);
    if (failed(matched))
      return failure();
    return ProgramWriter(context, "generate", generate, 1)
        .writeForwardOnly(*matched, "generate_", /*withLosses=*/false);
  }
};

} // namespace

} // namespace contraflow::schedule
