//===- Comm.h - what ranks send each other --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_COMM_COMM_H
#define CONTRAFLOW_DIALECTS_COMM_COMM_H

#include "dialects/nn/NN.h"
#include "runtime/abi/Mesh.h"
#include "runtime/abi/RoutedLayout.h"

#include "dialects/comm/CommEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/comm/CommAttributes.h.inc"

// After the attributes that its accessors return.
#include "dialects/comm/CommDialect.h.inc"

namespace contraflow::comm {

/// What the ranks of a group share: collectives read and write it, and nothing else does.
struct WireResource : mlir::SideEffects::Resource::Base<WireResource> {
  mlir::StringRef getName() final { return "wire"; }
};

/// The constraints of `CollectiveOp`.
mlir::LogicalResult verifyCollective(mlir::Operation *op);

/// The axis as the runtime numbers it.
inline abi::MeshAxis toMeshAxis(Axis axis) { return static_cast<abi::MeshAxis>(axis); }

/// Whether the function is one of collectives, which no kernel can say.
bool holdsCollectives(mlir::Operation *function);

/// The mesh that an operation is for; nothing where no module around it has one.
std::optional<abi::Mesh> getMesh(mlir::Operation *op);

/// Ranks of a group of the operation's mesh; the operation is verified.
int64_t getGroupSize(mlir::Operation *op, Axis axis);

} // namespace contraflow::comm

#include "dialects/comm/CommInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/comm/CommOps.h.inc"

#endif
