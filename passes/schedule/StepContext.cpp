//===- StepContext.cpp - what the programs of a step share ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/schedule/StepContext.h"

#include "dialects/nn/FunctionNames.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::RoleKind;
using contraflow::nn::Signature;

namespace contraflow::schedule {

LogicalResult StepContext::collectParameters(const nn::KindLayout &kind, std::optional<StringRef> prefix,
                                             int64_t offset) {
  for (const nn::ParameterSlot &slot : kind.slots) {
    std::string name = nn::joinName(prefix, slot.getName());
    if (!parameters.try_emplace(name, offset + slot.offset).second)
      return slot.op->emitOpError("names '") << name << "', which another parameter is named already";
  }
  return success();
}

FailureOr<StepContext> StepContext::get(ModuleOp module) {
  FailureOr<nn::ParameterLayout> layout = nn::ParameterLayout::compute(module);
  if (failed(layout))
    return failure();
  StepContext context(module, std::move(*layout));
  context.microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, context.microBatches);
  if (failed(context.collect()))
    return failure();
  return context;
}

LogicalResult StepContext::collect() {
  // Signatures first: roles that are missing or wrong are reported before anything is built on them.
  for (auto function : module.getOps<func::FuncOp>()) {
    FailureOr<Signature> signature = Signature::get(function);
    if (failed(signature))
      return failure();
    signatures[function.getSymName()] = std::move(*signature);
  }
  if (failed(collectParameters(layout.getGraphLayout(), std::nullopt, 0)))
    return failure();
  for (const nn::InstanceLayout &instance : layout.getInstances()) {
    nn::CallOp call = instance.call;
    if (failed(collectParameters(layout.getKind(call.getBlock()), call.getPrefix(), instance.offset)))
      return failure();
    for (auto loss : call.getBlock().getBody().getOps<nn::LossOp>()) {
      auto type = cast<nn::TensorType>(loss.getValue().getType());
      auto [entry, isNew] = losses.insert(
          {loss.getName(), Counter{loss.getName().str(), lossBytes, type, nn::getFloat(loss.getWeight())}});
      lossBytes += isNew ? type.getNumBytes() : 0;
    }
    for (auto metric : call.getBlock().getBody().getOps<nn::MetricOp>()) {
      nn::TensorType type = metric.getValue().getType();
      metrics.insert({{call, metric.getName()},
                      Counter{nn::joinName(call.getPrefix(), metric.getName()), metricBytes, type, 0,
                              metric.getKind()}});
      metricBytes += type.getNumBytes();
    }
    const Signature *forward = findFunction(nn::getFunctionName(call.getBlock().getSymName(), nn::kForward));
    if (!forward)
      return call.emitOpError("calls '")
             << call.getBlock().getSymName() << "', which has no function '." << nn::kForward << "'";
    for (const Port &port : forward->getArguments()) {
      if (port.getKind() != RoleKind::load)
        continue;
      loads.insert({{call, port.getName()},
                    Counter{nn::joinName(call.getPrefix(), port.getName()), loadBytes, port.type, 0}});
      loadBytes += nn::getLoadBytes(port.type);
    }
    collectRandom(call, *forward);
  }
  return success();
}

/// Instances are told apart by their names; calls without a prefix by the block, and by number.
void StepContext::collectRandom(nn::CallOp call, const Signature &forward) {
  if (llvm::none_of(forward.getArguments(),
                    [](const Port &port) { return port.getKind() == RoleKind::random; }))
    return;
  std::string first = call.getPrefix().value_or(call.getBlock().getSymName()).str(), name = first;
  auto isTaken = [&](const auto &entry) { return entry.second.name == name; };
  for (unsigned number = 2; llvm::any_of(randoms, isTaken); ++number)
    name = first + "." + std::to_string(number);
  randoms[call] = {name, randomBytes};
  randomBytes += microBatches * nn::kRandomKeyWords * 4;
}

const Signature *StepContext::findFunction(const Twine &name) {
  auto entry = signatures.find(name.str());
  return entry == signatures.end() ? nullptr : &*entry->second;
}

FailureOr<std::string> StepContext::getZeroFunction(nn::TensorType type) {
  std::string name = nn::getZeroName(type);
  if (findFunction(name))
    return name;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {type}));
  function.setResultAttr(0, nn::kRoleName, nn::RoleAttr::get(module.getContext(), RoleKind::output, "0", -1));
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());
  // Fusion is over, so the kernel is asked for here.
  auto zero = nn::ZeroOp::create(inside, loc, type);
  SmallVector<Value> replacement;
  if (failed(cast<nn::KernelizableOp>(zero.getOperation()).buildKernels(inside, replacement)))
    return zero.emitOpError("has no kernel for ") << type;
  zero.erase();
  func::ReturnOp::create(inside, loc, replacement);
  FailureOr<Signature> signature = Signature::get(function);
  if (failed(signature))
    return failure();
  signatures[name] = *signature;
  return name;
}

} // namespace contraflow::schedule
