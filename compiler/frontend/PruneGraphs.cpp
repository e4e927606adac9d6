//===- PruneGraphs.cpp - drops what neither training nor generation needs -===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/PruneGraphs.h"

#include "compiler/errors/Errors.h"
#include "dialects/nn/NN.h"
#include "dialects/nn/ParameterLayout.h"
#include "runtime/abi/CheckpointFormat.h"
#include "runtime/abi/MetricTags.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// Kinds that a graph calls, each once.
llvm::SetVector<Operation *> getKinds(nn::GraphOp graph) {
  llvm::SetVector<Operation *> kinds;
  for (auto call : graph.getBody().getOps<nn::CallOp>())
    kinds.insert(call.getBlock());
  return kinds;
}

void eraseDeadCode(Block &body) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

/// Drops arguments of `kind` that nothing uses, there and in the calls of `graph`.
void dropUnusedArguments(nn::BlockOp kind, nn::GraphOp graph) {
  Builder builder(kind.getContext());
  Block &body = kind.getBody().front();
  llvm::BitVector unused(body.getNumArguments());
  SmallVector<Attribute> names;
  SmallVector<bool> params;
  for (BlockArgument argument : body.getArguments()) {
    unsigned i = argument.getArgNumber();
    if (argument.use_empty()) {
      unused.set(i);
      continue;
    }
    names.push_back(builder.getStringAttr(kind.getArgName(i)));
    params.push_back(kind.isParamArg(i));
  }
  if (unused.none())
    return;
  for (auto call : graph.getBody().getOps<nn::CallOp>())
    if (call.getBlock() == kind)
      call->eraseOperands(unused);
  body.eraseArguments(unused);
  kind.setArgNamesAttr(builder.getArrayAttr(names));
  kind.setParamArgsAttr(builder.getDenseBoolArrayAttr(params));
}

/// Targets of one depth of prediction are inputs of the next: ids that are shifted alike are one value.
void mergeShifts(Block &body) {
  SmallVector<nn::ShiftOp> kept;
  for (auto shift : llvm::make_early_inc_range(body.getOps<nn::ShiftOp>())) {
    auto same = llvm::find_if(kept, [&](nn::ShiftOp other) {
      return other.getIds() == shift.getIds() && other.getStarts() == shift.getStarts() &&
             other.getBy() == shift.getBy() && other.getSeq() == shift.getSeq();
    });
    if (same == kept.end()) {
      kept.push_back(shift);
      continue;
    }
    shift.replaceAllUsesWith(same->getOutput());
    shift.erase();
  }
}

/// Drops unused parameters of a body and returns their names.
llvm::StringSet<> dropUnusedParameters(Block &body) {
  llvm::StringSet<> dropped;
  for (auto param : llvm::make_early_inc_range(body.getOps<nn::ParamOp>())) {
    if (!param.use_empty())
      continue;
    param.emitWarning() << message<ErrorId::ParameterUnused>(param.getName());
    dropped.insert(param.getName());
    param.erase();
  }
  return dropped;
}

/// Who has a name: a parameter of the graph, or a call whose block has the parameter.
struct NameOwner {
  Operation *user;
  nn::ParamOp param;
};

/// Why no checkpoint can hold a parameter of this name; null where one can.
const char *findFaultOfName(StringRef name) {
  if (name.empty())
    return "it is empty";
  if (name == abi::kMetadataName)
    return "the header of the file has this name";
  if (name.starts_with(abi::kOptimizerPrefix))
    return "the state of the optimizer has such names";
  if (name.starts_with(abi::kAveragePrefix))
    return "averages of parameters have such names";
  if (!llvm::json::isUTF8(name) || llvm::any_of(name, [](char c) { return uint8_t(c) < 32 || c == 127; }))
    return "it is no printable UTF-8";
  return nullptr;
}

LogicalResult verifyFullNames(nn::GraphOp train) {
  llvm::StringMap<NameOwner> names;
  auto check = [&](Operation *user, nn::ParamOp param, const std::string &name) -> LogicalResult {
    if (const char *fault = findFaultOfName(name))
      return param.emitOpError() << message<ErrorId::ParameterName>(name, fault);
    auto [it, isNew] = names.try_emplace(name, NameOwner{user, param});
    if (isNew)
      return success();
    NameOwner first = it->second;
    InFlightDiagnostic diagnostic = user->emitOpError() << message<ErrorId::FullNameTwice>(name);
    diagnostic.attachNote(first.user->getLoc())
        << (first.user == first.param ? "the first parameter of this name"
                                      : "the first parameter of this name comes from this call");
    if (first.user != first.param)
      diagnostic.attachNote(first.param.getLoc()) << "which declares it here";
    return diagnostic;
  };
  for (Operation &op : train.getBody().front()) {
    if (auto param = dyn_cast<nn::ParamOp>(op))
      if (failed(check(param, param, param.getName().str())))
        return failure();
    if (auto call = dyn_cast<nn::CallOp>(op))
      for (auto param : call.getBlock().getBody().getOps<nn::ParamOp>())
        if (failed(check(call, param, nn::joinName(call.getPrefix(), param.getName()))))
          return failure();
  }
  return success();
}

abi::MetricKind getKind(nn::MetricOp metric) {
  switch (metric.getKind()) {
  case nn::MetricKind::Mean:
    return abi::MetricKind::Mean;
  case nn::MetricKind::Ratio:
    return abi::MetricKind::Ratio;
  case nn::MetricKind::Load:
    return abi::MetricKind::Load;
  }
  llvm_unreachable("unknown kind of metric");
}

/// Tags of what every run of the graph reports besides metrics.
llvm::StringSet<> getReservedTags(nn::GraphOp train) {
  llvm::StringSet<> tags;
  for (const abi::NumberInfo &number : abi::kNumbers)
    tags.insert(number.tag);
  for (auto call : train.getBody().getOps<nn::CallOp>())
    for (auto loss : call.getBlock().getBody().getOps<nn::LossOp>())
      tags.insert(abi::getLossTag(loss.getName().str()));
  return tags;
}

/// Curves of two instances must not become one, nor a curve of the model one of those of every run.
LogicalResult verifyMetricNames(nn::GraphOp train) {
  llvm::StringMap<nn::MetricOp> names;
  llvm::StringSet<> tags = getReservedTags(train);
  for (auto call : train.getBody().getOps<nn::CallOp>()) {
    for (auto metric : call.getBlock().getBody().getOps<nn::MetricOp>()) {
      std::string name = nn::joinName(call.getPrefix(), metric.getName());
      auto [it, isNew] = names.try_emplace(name, metric);
      if (!isNew) {
        InFlightDiagnostic diagnostic = call.emitOpError() << message<ErrorId::MetricTwice>(name);
        diagnostic.attachNote(it->second.getLoc()) << "the first metric of this name";
        return diagnostic;
      }
      for (const std::string &tag : abi::getTags(getKind(metric), name))
        if (!tags.insert(tag).second)
          return metric.emitOpError() << message<ErrorId::MetricReserved>(name, tag);
    }
  }
  return success();
}

LogicalResult verifyOutputNames(nn::GraphOp train) {
  llvm::StringMap<nn::OutputOp> names;
  for (auto output : train.getBody().getOps<nn::OutputOp>()) {
    auto [it, isNew] = names.try_emplace(output.getName(), output);
    if (isNew)
      continue;
    InFlightDiagnostic diagnostic = output.emitOpError() << message<ErrorId::OutputTwice>(output.getName());
    diagnostic.attachNote(it->second.getLoc()) << "the first output of this name";
    return diagnostic;
  }
  return success();
}

} // namespace

std::string getGenerateName(StringRef trainName) { return (trainName + "_generate").str(); }

LogicalResult pruneGraphs(ModuleOp module) {
  auto train = module.lookupSymbol<nn::GraphOp>("train"),
       generate = module.lookupSymbol<nn::GraphOp>("generate");
  Block &trainBody = train.getBody().front(), &generateBody = generate.getBody().front();
  if (llvm::none_of(trainBody.getOps<nn::OutputOp>(),
                    [](nn::OutputOp output) { return output.getName() == "logits"; }))
    return train.emitOpError() << message<ErrorId::NoLogits>();

  llvm::SetVector<Operation *> trainKinds = getKinds(train);
  for (Operation *op : trainKinds) {
    auto kind = cast<nn::BlockOp>(op);
    Block &body = kind.getBody().front();
    eraseDeadCode(body);
    llvm::StringSet<> dropped = dropUnusedParameters(body);
    dropUnusedArguments(kind, train);
    if (auto twin = module.lookupSymbol<nn::BlockOp>(getGenerateName(kind.getSymName())))
      for (auto param : llvm::make_early_inc_range(twin.getBody().getOps<nn::ParamOp>()))
        if (dropped.contains(param.getName())) {
          // Only what is dead uses it.
          eraseDeadCode(twin.getBody().front());
          param.erase();
        }
  }
  mergeShifts(trainBody);
  eraseDeadCode(trainBody);
  dropUnusedParameters(trainBody);
  if (failed(verifyFullNames(train)) || failed(verifyMetricNames(train)) || failed(verifyOutputNames(train)))
    return failure();

  for (Operation *op : getKinds(generate)) {
    auto kind = cast<nn::BlockOp>(op);
    eraseDeadCode(kind.getBody().front());
    dropUnusedArguments(kind, generate);
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(generateBody)))
    if (op.use_empty() && !isa<nn::OutputOp>(op))
      op.erase();
  llvm::SetVector<Operation *> generateKinds = getKinds(generate);
  for (auto kind : llvm::make_early_inc_range(module.getOps<nn::BlockOp>()))
    if (!trainKinds.contains(kind) && !generateKinds.contains(kind))
      kind.erase();
  return success();
}

} // namespace contraflow::frontend
