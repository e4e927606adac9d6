//===- MeshInterpreter.h - executes one function on every rank of a mesh --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle for what ranks send each other. All ranks walk the function together, operation by operation, so
// that a collective sees the operands of its whole group at once. It follows the descriptions of
// dialects/comm/CommOps.td word by word, in double precision, and shares no code with the runtime. Numbers
// that an operation does not write are NaN, ids are -1.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_TEST_SUPPORT_MESHINTERPRETER_H
#define CONTRAFLOW_TEST_SUPPORT_MESHINTERPRETER_H

#include "dialects/comm/Comm.h"
#include "test/support/KernelInterpreter.h"

namespace contraflow::test {

/// Of one value: what it is on each rank.
using RankArrays = std::vector<Array>;

/// Executes the body of a function of kernels, constant tables, operations of `comm`, and:
///   "test.per_rank"() {values = [dense<...>, ...]}   a value given for each rank, or one for all
///   "test.expect"(%v) {values = [dense<...>, ...]}   an error where the value is another one on a rank; NaN
///   equals NaN
/// One entry per argument in, one per result out. Failures are reported at the operation.
mlir::FailureOr<std::vector<RankArrays>> interpretOnMesh(mlir::func::FuncOp function,
                                                         llvm::ArrayRef<RankArrays> arguments);

} // namespace contraflow::test

#endif
