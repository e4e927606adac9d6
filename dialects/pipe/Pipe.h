//===- Pipe.h - the step as a program over buffers ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_PIPE_PIPE_H
#define CONTRAFLOW_DIALECTS_PIPE_PIPE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/comm/Comm.h"

#include "dialects/pipe/PipeDialect.h.inc"
#include "dialects/pipe/PipeEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/pipe/PipeTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/pipe/PipeOps.h.inc"

namespace contraflow::pipe {

/// A buffer without its views: the `pipe.buffer`, the offset in it, the bytes from there on.
struct Extent {
  BufferOp buffer;
  int64_t offset = 0;
  int64_t bytes = 0;
};
Extent getExtent(mlir::Value value);

/// `F3>`, `B3<`, `W3<`, or the name of a direction that belongs to the step.
std::string getSlotText(Direction direction, int64_t microBatch);

} // namespace contraflow::pipe

#endif
