//===- Signature.cpp - the areas of memory that a function works on -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/Signature.h"

using namespace mlir;

namespace contraflow::nn {

bool isChecked(ModuleOp module) { return bool(getAttr<NNDialect::CheckedAttrHelper>(module)); }

std::optional<Base> getSharedBase(RoleKind kind) {
  switch (kind) {
  case RoleKind::param:
    return kParametersBase;
  case RoleKind::grad:
    return kGradientsBase;
  case RoleKind::first_moment:
    return kFirstMomentsBase;
  case RoleKind::second_moment:
    return kSecondMomentsBase;
  case RoleKind::saved:
    return kSavedBase;
  case RoleKind::saved_input:
    return kSavedInputBase;
  default:
    return std::nullopt;
  }
}

static FailureOr<Port> getPort(func::FuncOp function, bool isResult, unsigned index) {
  auto role = isResult ? function.getResultAttrOfType<RoleAttr>(index, kRoleName)
                       : function.getArgAttrOfType<RoleAttr>(index, kRoleName);
  Type type = isResult ? function.getResultTypes()[index] : function.getArgumentTypes()[index];
  auto tensor = dyn_cast<TensorType>(type);
  StringRef what = isResult ? "result" : "argument";
  if (!role) {
    function.emitOpError() << what << " " << index << " has no 'nn.role'";
    return failure();
  }
  if (!tensor || !tensor.isBound()) {
    function.emitOpError() << what << " " << index << " has type " << type << ", expected a bound nn tensor";
    return failure();
  }
  return Port{role, tensor, isResult, index, -1};
}

FailureOr<Signature> Signature::get(func::FuncOp function) {
  Signature signature;
  if (auto module = function->getParentOfType<ModuleOp>())
    signature.guardBytes = nn::getGuardBytes(module);
  int64_t next = kFirstOperandBase;
  auto place = [&](Port &port) {
    std::optional<Base> shared = getSharedBase(port.getKind());
    port.base = shared ? *shared : next++;
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    FailureOr<Port> port = getPort(function, /*isResult=*/false, i);
    if (failed(port))
      return failure();
    place(*port);
    signature.arguments.push_back(*port);
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    FailureOr<Port> port = getPort(function, /*isResult=*/true, i);
    if (failed(port))
      return failure();
    int64_t tied = port->role.getTied();
    if (tied >= static_cast<int64_t>(signature.arguments.size())) {
      function.emitOpError() << "result " << i << " is tied to argument " << tied << ", there are "
                             << signature.arguments.size();
      return failure();
    }
    if (tied >= 0 && signature.arguments[tied].type != port->type) {
      function.emitOpError() << "result " << i << " has type " << port->type << ", tied argument " << tied
                             << " has type " << signature.arguments[tied].type;
      return failure();
    }
    if (tied >= 0)
      port->base = signature.arguments[tied].base;
    else
      place(*port);
    signature.results.push_back(*port);
  }
  return signature;
}

SmallVector<Port> Signature::getOperands() const {
  SmallVector<Port> operands;
  for (const Port &port : arguments)
    if (port.isOperand())
      operands.push_back(port);
  for (const Port &port : results)
    if (port.isOperand() && port.role.getTied() < 0)
      operands.push_back(port);
  return operands;
}

bool Signature::isTied(const Port &argument) const {
  return !argument.isResult && llvm::any_of(results, [&](const Port &result) {
    return result.role.getTied() == static_cast<int64_t>(argument.index);
  });
}

bool Signature::uses(int64_t base) const {
  auto inBase = [&](const Port &port) { return port.base == base; };
  return llvm::any_of(arguments, inBase) || llvm::any_of(results, inBase);
}

LocationAttr getArgumentLocation(func::FuncOp function, unsigned index) {
  return function.getArgAttrOfType<LocationAttr>(index, kLocationName);
}

LocationAttr getResultLocation(func::FuncOp function, unsigned index) {
  return function.getResultAttrOfType<LocationAttr>(index, kLocationName);
}

SmallVector<LocationAttr> getLocations(KernelOp kernel) {
  auto locations = kernel->getAttrOfType<ArrayAttr>(kLocationsName);
  if (!locations || locations.size() != kernel.getNumResults() ||
      !llvm::all_of(locations, [](Attribute attr) { return llvm::isa<LocationAttr>(attr); }))
    return {};
  return llvm::to_vector(locations.getAsRange<LocationAttr>());
}

LocationAttr getWorkspace(KernelOp kernel) { return kernel->getAttrOfType<LocationAttr>(kWorkspaceName); }

int64_t getWorkspaceBytes(KernelOp kernel) {
  auto bytes = kernel->getAttrOfType<IntegerAttr>(kKernelWorkspaceBytesName);
  return bytes ? bytes.getInt() : 0;
}

int64_t getWorkspaceBytes(func::FuncOp function) {
  return getIntOr<NNDialect::WorkspaceBytesAttrHelper>(function, 0);
}

int64_t getLoadBytes(TensorType load) { return llvm::alignTo(load.getNumBytes(), 64); }

int64_t getResultBytes(const Signature &signature, int64_t base) {
  int64_t bytes = 0;
  for (const Port &port : signature.getResults())
    if (port.base == base && port.role.getTied() < 0)
      bytes += llvm::alignTo(port.type.getNumBytes(), 64) + 2 * signature.getGuardBytes();
  return bytes;
}

} // namespace contraflow::nn
