//===- CountOperations.cpp - what the operations of functions cost --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/schedule/Passes.h"

#include "dialects/nn/NN.h"
#include "dialects/nn/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#define DEBUG_TYPE "schedule-count-operations"

using namespace mlir;

namespace contraflow::schedule {

#define GEN_PASS_DEF_COUNTOPERATIONSPASS
#include "passes/schedule/Passes.h.inc"

namespace {

bool isParameter(nn::RoleKind kind) { return kind == nn::RoleKind::param || kind == nn::RoleKind::param_arg; }

bool isAccumulator(nn::RoleKind kind) {
  return llvm::is_contained({nn::RoleKind::grad, nn::RoleKind::grad_arg, nn::RoleKind::loss,
                             nn::RoleKind::metric, nn::RoleKind::load},
                            kind);
}

/// Says of the operations of a function what they belong to; empty where that is not known.
class OperationNames {
public:
  explicit OperationNames(func::FuncOp function) {
    for (BlockArgument argument : function.getArguments()) {
      auto role = function.getArgAttrOfType<nn::RoleAttr>(argument.getArgNumber(), nn::kRoleName);
      if (!role || !(isParameter(role.getKind()) || isAccumulator(role.getKind())))
        continue;
      StringRef name = role.getName();
      name.consume_back(".weight");
      (isParameter(role.getKind()) ? parameters : accumulators)[argument] = name;
    }
    Block &body = function.getBody().front();
    for (Operation &op : body)
      names[&op] = getOwnName(&op);
    for (Operation &op : body)
      parts[&op] = getPart(&op, getProducers(&op));
    // From the last on, so that users are done first.
    for (Operation &op : llvm::reverse(body))
      if (names[&op].empty() && parts[&op].empty())
        parts[&op] = getPart(&op, op.getUsers());
  }

  StringRef lookup(Operation *op) const {
    StringRef name = names.lookup(op);
    return name.empty() ? parts.lookup(op) : name;
  }

private:
  static SmallVector<Operation *> getProducers(Operation *op) {
    SmallVector<Operation *> producers;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        producers.push_back(producer);
    return producers;
  }

  static StringRef findOperand(Operation *op, const llvm::DenseMap<Value, StringRef> &known) {
    for (Value operand : op->getOperands())
      if (StringRef name = known.lookup(operand); !name.empty())
        return name;
    return {};
  }

  /// Of the argument that the operation works on, or that its result is added to.
  StringRef getOwnName(Operation *op) const {
    StringRef name = findOperand(op, parameters);
    if (name.empty())
      name = findOperand(op, accumulators);
    for (Operation *user : op->getUsers())
      if (name.empty())
        name = findOperand(user, accumulators);
    return name;
  }

  template <typename Range> StringRef getPart(Operation *op, Range &&neighbours) const {
    if (StringRef name = names.lookup(op); !name.empty())
      return getParent(name);
    for (Operation *neighbour : neighbours)
      if (StringRef part = parts.lookup(neighbour); !part.empty())
        return part;
    return {};
  }

  static StringRef getParent(StringRef name) { return name.contains('.') ? name.rsplit('.').first : ""; }

  llvm::DenseMap<Value, StringRef> parameters, accumulators;
  llvm::DenseMap<Operation *, StringRef> names, parts;
};

struct CountOperationsPass : impl::CountOperationsPassBase<CountOperationsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isDeclaration())
        continue;
      OperationNames names(function);
      SmallVector<Attribute> costs;
      for (auto op : function.getOps<nn::CostOp>())
        costs.push_back(nn::CostAttr::get(&getContext(), op->getName().stripDialect(), names.lookup(op),
                                          op.getFlops(), op.getBytesRead(), op.getBytesWritten()));
      nn::setAttr<nn::NNDialect::CostsAttrHelper>(function, ArrayAttr::get(&getContext(), costs));
      numOperations += costs.size();
    }
  }
};

} // namespace

} // namespace contraflow::schedule
