//===- BuildFunctions.cpp - functions for every kind of block -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the blocks that the graphs call and lets BlockFunctions write them; kinds are written once, however
// often they are called. What the graph itself computes is little: ids moved along the sequence, and sums of
// gradients where a value has several readers.
//===----------------------------------------------------------------------===//
#include "dialects/nn/FunctionNames.h"
#include "passes/autodiff/BlockFunctions.h"
#include "passes/autodiff/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"

#define DEBUG_TYPE "autodiff-build-functions"

using namespace mlir;
using contraflow::nn::RoleAttr;
using contraflow::nn::RoleKind;

namespace contraflow::autodiff {

#define GEN_PASS_DEF_BUILDFUNCTIONSPASS
#include "passes/autodiff/Passes.h.inc"

namespace {

/// A function whose arguments and one result have the type `type`, unless the module has it already.
void buildGraphFunction(OpBuilder &builder, ModuleOp module, StringRef name, Type type,
                        ArrayRef<StringRef> arguments, int64_t tied,
                        llvm::function_ref<Value(OpBuilder &, ValueRange)> body) {
  if (module.lookupSymbol(name))
    return;
  SmallVector<Type> types(arguments.size(), type);
  auto function = func::FuncOp::create(builder, module.getLoc(), name, builder.getFunctionType(types, type));
  for (auto [index, argument] : llvm::enumerate(arguments))
    setArgumentRole(function, index, RoleAttr::get(builder.getContext(), RoleKind::input, argument, -1));
  setResultRole(function, 0, RoleAttr::get(builder.getContext(), RoleKind::output, "0", tied));
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());
  func::ReturnOp::create(inside, module.getLoc(), body(inside, function.getArguments()));
}

/// `graph.shift...`: ids moved along their sequence.
void buildShifts(OpBuilder &builder, ModuleOp module, nn::GraphOp graph) {
  for (auto shift : graph.getBody().getOps<nn::ShiftOp>()) {
    SmallVector<StringRef> arguments = {"ids"};
    if (shift.getStarts())
      arguments.push_back("starts");
    buildGraphFunction(builder, module, nn::getShiftName(shift), shift.getType(), arguments, -1,
                       [&](OpBuilder &inside, ValueRange in) {
                         IRMapping mapping;
                         mapping.map(shift->getOperands(), in);
                         return inside.clone(*shift, mapping)->getResult(0);
                       });
  }
}

/// `graph.add...` for every type of a value of the graph that several calls read.
void buildSums(OpBuilder &builder, ModuleOp module, nn::GraphOp graph) {
  for (auto call : graph.getBody().getOps<nn::CallOp>()) {
    for (Value value : call.getResults()) {
      auto type = cast<nn::TensorType>(value.getType());
      auto isCall = [](Operation *user) { return isa<nn::CallOp>(user); };
      if (!type.getElementType().isF32() || llvm::count_if(value.getUsers(), isCall) < 2)
        continue;
      buildGraphFunction(builder, module, nn::getAddName(type), type, {"accumulator", "value"}, 0,
                         [&](OpBuilder &inside, ValueRange in) {
                           return nn::AccumulateOp::create(inside, module.getLoc(), in[0], in[1]).getResult();
                         });
    }
  }
}

/// Losses of one name are summed in one place and weighted there, so they must have one weight.
LogicalResult checkLossWeights(nn::GraphOp graph) {
  llvm::StringMap<nn::LossOp> first;
  for (auto call : graph.getBody().getOps<nn::CallOp>()) {
    for (auto loss : call.getBlock().getBody().getOps<nn::LossOp>()) {
      nn::LossOp other = first.try_emplace(loss.getName(), loss).first->second;
      if (other.getWeight() == loss.getWeight())
        continue;
      InFlightDiagnostic error = loss.emitOpError("'")
                                 << loss.getName() << "' has weight " << loss.getWeight().getText()
                                 << ", but losses of one name have one weight, and another has "
                                 << other.getWeight().getText();
      error.attachNote(other.getLoc()) << "the other loss";
      return failure();
    }
  }
  return success();
}

/// A block that the frontend is done with: straight, with integers as dimensions.
LogicalResult checkBlock(nn::BlockOp block) {
  // `graph.add...`, `step.clip`: functions that belong to no block are named as if these were blocks.
  if (block.getSymName() == nn::kGraphKind || block.getSymName() == nn::kStepKind)
    return block.emitOpError("is named '")
           << block.getSymName() << "' like the functions that belong to no block, expected another name";
  auto isBound = [](Value value) {
    auto type = dyn_cast<nn::TensorType>(value.getType());
    return type && type.isBound();
  };
  if (!llvm::all_of(block.getBody().getArguments(), isBound))
    return block.emitOpError("has arguments of unbound types; bind the model before autodiff");
  for (Operation &op : block.getBody().front()) {
    if (isa<nn::CallOp>(op) || op.getNumRegions() != 0)
      return op.emitOpError("is in a block; bind the model before autodiff");
    if (!llvm::all_of(op.getResults(), isBound))
      return op.emitOpError("has an unbound type; bind the model before autodiff");
  }
  return success();
}

/// Everything that the passes assume about graphs and what they call.
LogicalResult checkGraph(nn::GraphOp graph) {
  for (Operation &op : graph.getBody().front()) {
    if (!isa<nn::ParamOp, nn::ShiftOp, nn::CallOp, nn::OutputOp>(op))
      return op.emitOpError("is in a graph; bind the model before autodiff");
    auto call = dyn_cast<nn::CallOp>(op);
    if (!call)
      continue;
    if (!call.getBlock())
      return call.emitOpError("calls no block of this module");
    if (failed(checkBlock(call.getBlock())))
      return failure();
  }
  return success();
}

struct BuildFunctionsPass : impl::BuildFunctionsPassBase<BuildFunctionsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto train = module.lookupSymbol<nn::GraphOp>("train");
    if (!train) {
      module.emitError("no nn.graph '@train' in the module");
      return signalPassFailure();
    }
    SmallVector<nn::GraphOp> graphs(module.getOps<nn::GraphOp>());
    for (nn::GraphOp graph : graphs)
      if (failed(checkGraph(graph)))
        return signalPassFailure();
    if (failed(checkLossWeights(train)))
      return signalPassFailure();

    int64_t microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
    int64_t replicas = nn::getIntOr<nn::NNDialect::ReplicasAttrHelper>(module, 1);
    for (auto [name, count] : {std::pair("micro_batches", microBatches), std::pair("replicas", replicas)})
      if (count < 1) {
        module.emitError("'nn.") << name << "' is " << count << ", expected 1 or more";
        return signalPassFailure();
      }
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto uses = computeBlockUses(train, microBatches * replicas);
    for (auto &[block, use] : uses)
      if (failed(buildTrained(builder, block, use)))
        return signalPassFailure();

    llvm::SmallPtrSet<Operation *, 8> done;
    for (nn::GraphOp graph : graphs) {
      buildShifts(builder, module, graph);
      for (auto call : graph.getBody().getOps<nn::CallOp>())
        if (!uses.contains(call.getBlock()) && done.insert(call.getBlock()).second &&
            failed(buildEvaluated(builder, call.getBlock())))
          return signalPassFailure();
    }
    buildSums(builder, module, train);
  }

private:
  LogicalResult buildTrained(OpBuilder &builder, nn::BlockOp block, const BlockUse &use) {
    auto functions = BlockFunctions::build(block, &use), untrained = BlockFunctions::build(block, nullptr);
    if (failed(functions) || failed(untrained))
      return failure();
    func::FuncOp forward = (*functions)->buildForward(builder);
    (*untrained)->buildEvaluate(builder, /*keepLosses=*/true);
    (*functions)->buildBackwardInput(builder);
    func::FuncOp weight = (*functions)->buildBackwardWeight(builder);

    SmallVector<StringRef> lost;
    llvm::append_range(lost, (*functions)->getParametersWithoutGradient());
    if (!lost.empty())
      nn::setAttr<nn::NNDialect::WithoutGradientAttrHelper>(forward, builder.getStrArrayAttr(lost));
    for (auto param : block.getBody().getOps<nn::ParamOp>())
      if (llvm::is_contained(lost, param.getName()))
        param.emitRemark("no loss depends on parameter '") << param.getName() << "': its gradient is zero";

    ++numBlocks;
    for (unsigned i = 0; i < forward.getNumResults(); ++i)
      numSaved += getResultRole(forward, i).getKind() == RoleKind::saved;
    numDeferred += weight ? weight.getNumResults() : 0;
    return success();
  }

  LogicalResult buildEvaluated(OpBuilder &builder, nn::BlockOp block) {
    auto functions = BlockFunctions::build(block, nullptr);
    if (failed(functions))
      return failure();
    (*functions)->buildEvaluate(builder, /*keepLosses=*/false);
    ++numBlocks;
    return success();
  }
};

} // namespace

} // namespace contraflow::autodiff
