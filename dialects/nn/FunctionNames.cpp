//===- FunctionNames.cpp - what the functions of a step are called --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/FunctionNames.h"

using namespace mlir;

namespace contraflow::nn {

/// `2048x256`.
static std::string getShapeName(TensorType type) {
  std::string name;
  llvm::raw_string_ostream out(name);
  llvm::interleave(type.getStaticShape(), out, "x");
  return name;
}

std::string getFunctionName(StringRef kind, StringRef what) { return (kind + "." + what).str(); }

std::string getShiftName(ShiftOp shift) {
  std::string what = "shift." + getShapeName(cast<TensorType>(shift->getResult(0).getType())) + ".by." +
                     std::to_string(getInt(shift.getBy())) + ".seq." +
                     std::to_string(getInt(shift.getSeq())) + (shift.getStarts() ? ".starts" : "");
  return getFunctionName(kGraphKind, what);
}

std::string getAddName(TensorType type) { return getFunctionName(kGraphKind, "add." + getShapeName(type)); }

std::string getZeroName(TensorType type) { return getFunctionName(kGraphKind, "zero." + getShapeName(type)); }

} // namespace contraflow::nn
