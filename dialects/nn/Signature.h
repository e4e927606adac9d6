//===- Signature.h - the areas of memory that a function works on ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiled function is called with one pointer per area: `void name(void *const *bases)`. The first areas
// are the same for every function; what a function shares with its surroundings follows, one area each, in
// the order of the arguments and then of the results that have memory of their own:
//
//   bases  0          1          2              3               4      5          6            7 ...
//          parameters gradients  first moments  second moments  saved  workspace  saved_input  inputs,
//          outputs, ...
//
// 0 to 3 point to where the parameters of an instance begin, so that one compiled function serves all
// instances.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_SIGNATURE_H
#define CONTRAFLOW_DIALECTS_NN_SIGNATURE_H

#include "dialects/nn/NN.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace contraflow::nn {

enum Base : int64_t {
  kParametersBase = 0,
  kGradientsBase = 1,
  kFirstMomentsBase = 2,
  kSecondMomentsBase = 3,
  kSavedBase = 4,
  kWorkspaceBase = 5,
  kSavedInputBase = 6,
  kFirstOperandBase = 7
};

/// Attributes of arguments, results and kernels.
constexpr llvm::StringLiteral kRoleName = NNDialect::RoleAttrHelper::getNameStr();
constexpr llvm::StringLiteral kLocationName = NNDialect::LocationAttrHelper::getNameStr();
constexpr llvm::StringLiteral kLocationsName = "locations";
constexpr llvm::StringLiteral kWorkspaceName = "workspace";
constexpr llvm::StringLiteral kKernelWorkspaceBytesName = "workspace_bytes";

/// Bytes that a checked build leaves free on both sides of a value or buffer, for patterns that nothing may
/// overwrite; 0 where the module is not checked. A multiple of the alignment, so that offsets stay aligned.
constexpr int64_t kGuardBytes = 64;
bool isChecked(mlir::ModuleOp module);
inline int64_t getGuardBytes(mlir::ModuleOp module) { return isChecked(module) ? kGuardBytes : 0; }

/// An argument or result, and the area that it lies in.
struct Port {
  RoleAttr role;
  TensorType type;
  bool isResult = false;
  /// Number among the arguments, or among the results.
  unsigned index = 0;
  int64_t base = -1;

  RoleKind getKind() const { return role.getKind(); }
  llvm::StringRef getName() const { return role.getName(); }
  /// Whether the area belongs to this port alone.
  bool isOperand() const { return base >= kFirstOperandBase; }
};

class Signature {
public:
  /// Reads the roles; a diagnostic where one is missing or tied to what is not there.
  static mlir::FailureOr<Signature> get(mlir::func::FuncOp function);

  llvm::ArrayRef<Port> getArguments() const { return arguments; }
  llvm::ArrayRef<Port> getResults() const { return results; }
  /// Ports that have an area of their own, in the order of the areas.
  llvm::SmallVector<Port> getOperands() const;
  /// Whether the argument is written: a result is tied to it.
  bool isTied(const Port &argument) const;
  /// Whether any argument or result lies in the area.
  bool uses(int64_t base) const;
  /// As getGuardBytes of the module.
  int64_t getGuardBytes() const { return guardBytes; }

private:
  int64_t guardBytes = 0;
  llvm::SmallVector<Port> arguments, results;
};

/// Where values lie, once the memory phase (of arguments with the layout of parameters: the schedule phase)
/// has said it; null, empty and 0 before.
LocationAttr getArgumentLocation(mlir::func::FuncOp function, unsigned index);
LocationAttr getResultLocation(mlir::func::FuncOp function, unsigned index);
/// One per result of the kernel, or none at all.
llvm::SmallVector<LocationAttr> getLocations(KernelOp kernel);
LocationAttr getWorkspace(KernelOp kernel);
/// What the kernel wants for itself; what the function does for all of its kernels and values.
int64_t getWorkspaceBytes(KernelOp kernel);
int64_t getWorkspaceBytes(mlir::func::FuncOp function);

/// Loads lie one after the other, each in cache lines of its own: the bytes that one takes.
int64_t getLoadBytes(TensorType load);

/// The area that all ports of a kind share, nothing for kinds with an area per port.
std::optional<Base> getSharedBase(RoleKind kind);

/// Bytes that values of the area `base` (saved or saved_input) take when they are laid out one after the
/// other in the order of the function's results, each at a multiple of 64 and between its guards.
int64_t getResultBytes(const Signature &signature, int64_t base);

} // namespace contraflow::nn

#endif
