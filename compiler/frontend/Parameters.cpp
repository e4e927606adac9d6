//===- Parameters.cpp - the parameters of a model, from its graph alone ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/Parameters.h"

#include "compiler/errors/Errors.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// Elements of a parameter that one of `tokens` tokens meets at the operation `use`.
int64_t countActivated(OpOperand &use, int64_t tokens) {
  Operation *op = use.getOwner();
  auto type = cast<nn::TensorType>(use.get().getType());
  if (isa<nn::EmbeddingOp>(op))
    return 0;
  // Of a stack of matrices each row meets one, and a token has as many rows as experts.
  if (auto grouped = dyn_cast<nn::GroupedLinearOp>(op)) {
    int64_t rows = cast<nn::TensorType>(grouped.getInput().getType()).getDim(0);
    return type.getNumElements() / type.getDim(0) * rows / tokens;
  }
  return type.getNumElements();
}

int64_t countActivated(Value parameter, int64_t tokens) {
  int64_t activated = 0;
  for (OpOperand &use : parameter.getUses())
    activated = std::max(activated, countActivated(use, tokens));
  return activated;
}

/// A parameter of the graph counts where the blocks that it is passed to use it.
int64_t countActivatedInCalls(Value parameter, int64_t tokens) {
  int64_t activated = 0;
  for (OpOperand &use : parameter.getUses())
    if (auto call = dyn_cast<nn::CallOp>(use.getOwner()))
      activated = std::max(
          activated, countActivated(call.getBlock().getBody().getArgument(use.getOperandNumber()), tokens));
  return activated;
}

ParameterInfo describe(nn::ParamOp param, const std::string &prefix, const std::string &block,
                       int64_t activated) {
  auto type = cast<nn::TensorType>(param.getResult().getType());
  ParameterInfo info;
  info.name = prefix.empty() ? param.getName().str() : prefix + "." + param.getName().str();
  SmallVector<int64_t> shape = type.getStaticShape();
  info.shape.assign(shape.begin(), shape.end());
  info.elements = type.getNumElements();
  info.isBuffer = param.getBuffer();
  info.activated = info.isBuffer ? 0 : activated;
  info.block = block;
  info.prefix = prefix;
  return info;
}

/// Full names of all parameters of a graph.
llvm::StringSet<> collectNames(nn::GraphOp graph) {
  llvm::StringSet<> names;
  for (auto param : graph.getBody().getOps<nn::ParamOp>())
    names.insert(param.getName());
  for (auto call : graph.getBody().getOps<nn::CallOp>())
    for (auto param : call.getBlock().getBody().getOps<nn::ParamOp>())
      names.insert(call.getPrefix() ? (*call.getPrefix() + "." + param.getName()).str()
                                    : param.getName().str());
  return names;
}

/// 671026404352 -> 671,026,404,352.
std::string group(int64_t value) {
  std::string text = std::to_string(value);
  for (int64_t at = int64_t(text.size()) - 3; at > 0; at -= 3)
    text.insert(at, ",");
  return text;
}

} // namespace

void ParameterCount::add(const ParameterInfo &parameter) {
  (parameter.isBuffer ? buffers : total) += parameter.elements;
  activated += parameter.activated;
}

FailureOr<ParameterSummary> countParameters(ModuleOp module) {
  auto train = module.lookupSymbol<nn::GraphOp>("train");
  auto generate = module.lookupSymbol<nn::GraphOp>("generate");
  if (!train) {
    module.emitError(message<ErrorId::NoTrainGraph>());
    return failure();
  }
  int64_t tokens = cast<nn::TensorType>(train.getBody().getArgument(0).getType()).getNumElements();
  ParameterSummary summary;
  auto add = [&](nn::ParamOp param, const std::string &prefix, StringRef block, int64_t activated) {
    summary.parameters.push_back(describe(param, prefix, block.str(), activated));
  };
  for (auto param : train.getBody().getOps<nn::ParamOp>())
    add(param, "", "", countActivatedInCalls(param.getResult(), tokens));
  for (auto call : train.getBody().getOps<nn::CallOp>())
    for (auto param : call.getBlock().getBody().getOps<nn::ParamOp>())
      add(param, call.getPrefix().value_or("").str(), call.getBlock().getSymName(),
          countActivated(param.getResult(), tokens));

  llvm::StringSet<> deployed = collectNames(generate ? generate : train);
  for (ParameterInfo &parameter : summary.parameters) {
    parameter.isAuxiliary = !deployed.contains(parameter.name);
    (parameter.isAuxiliary ? summary.auxiliary : summary.model).add(parameter);
  }

  BlockCount own;
  own.instances = 1;
  for (auto [i, param] : llvm::enumerate(train.getBody().getOps<nn::ParamOp>()))
    own.count.add(summary.parameters[i]);
  summary.blocks.push_back(own);
  for (auto call : train.getBody().getOps<nn::CallOp>()) {
    nn::BlockOp block = call.getBlock();
    auto it = llvm::find_if(summary.blocks,
                            [&](const BlockCount &count) { return count.block == block.getSymName(); });
    if (it != summary.blocks.end()) {
      ++it->instances;
      continue;
    }
    BlockCount count{block.getSymName().str(), 1, {}};
    for (auto param : block.getBody().getOps<nn::ParamOp>())
      count.count.add(describe(param, "", count.block, countActivated(param.getResult(), tokens)));
    summary.blocks.push_back(count);
  }
  return summary;
}

std::string formatSummary(const ParameterSummary &summary) {
  std::string text;
  llvm::raw_string_ostream out(text);
  auto line = [&](const std::string &name, const std::string &instances, const ParameterCount &count) {
    out << llvm::format("%-24s %9s %20s %20s %12s\n", name.c_str(), instances.c_str(),
                        group(count.total).c_str(), group(count.activated).c_str(),
                        group(count.buffers).c_str());
  };
  out << llvm::format("%-24s %9s %20s %20s %12s\n", "block", "instances", "parameters", "activated",
                      "buffers");
  for (const BlockCount &block : summary.blocks)
    line(block.block.empty() ? "(shared)" : block.block, std::to_string(block.instances), block.count);
  line("model", "", summary.model);
  if (summary.auxiliary.total || summary.auxiliary.buffers)
    line("only in training", "", summary.auxiliary);
  return text;
}

} // namespace contraflow::frontend
