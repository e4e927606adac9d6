//===- ParameterLayout.cpp - where parameters lie, from the graph alone ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/ParameterLayout.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace contraflow::nn {

static FailureOr<KindLayout> layOut(Block &body) {
  KindLayout layout;
  for (auto param : body.getOps<ParamOp>()) {
    auto type = cast<TensorType>(param.getResult().getType());
    if (!type.isBound()) {
      param.emitOpError("has type ") << type << ", expected dimensions that are integers";
      return failure();
    }
    layout.slots.push_back({param, layout.bytes});
    layout.bytes += llvm::alignTo(type.getNumBytes(), kParameterAlignment);
  }
  return layout;
}

const ParameterSlot *KindLayout::find(StringRef name) const {
  auto slot = llvm::find_if(slots, [&](const ParameterSlot &slot) { return slot.getName() == name; });
  return slot == slots.end() ? nullptr : slot;
}

FailureOr<ParameterLayout> ParameterLayout::compute(ModuleOp module) {
  ParameterLayout layout;
  layout.graph = module.lookupSymbol<GraphOp>("train");
  if (!layout.graph) {
    module.emitError("found no 'nn.graph @train', expected a module whose dimensions are bound");
    return failure();
  }
  FailureOr<KindLayout> graphLayout = layOut(layout.graph.getBody().front());
  if (failed(graphLayout))
    return failure();
  layout.graphLayout = std::move(*graphLayout);
  layout.bytes = layout.graphLayout.bytes;

  for (GraphOp graph : module.getOps<GraphOp>())
    for (auto call : graph.getBody().front().getOps<CallOp>()) {
      BlockOp block = call.getBlock();
      if (!block) {
        call.emitOpError("calls no block of the module");
        return failure();
      }
      if (layout.kinds.contains(block))
        continue;
      FailureOr<KindLayout> kind = layOut(block.getBody().front());
      if (failed(kind))
        return failure();
      layout.kinds[block] = std::move(*kind);
    }
  for (auto call : layout.graph.getBody().front().getOps<CallOp>()) {
    layout.instances.push_back({call, layout.bytes});
    layout.bytes += layout.getKind(call.getBlock()).bytes;
  }
  return layout;
}

std::string joinName(std::optional<StringRef> prefix, StringRef name) {
  return prefix && !prefix->empty() ? (*prefix + "." + name).str() : name.str();
}

} // namespace contraflow::nn
