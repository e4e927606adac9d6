//===- CommInterfaces.td - what passes may ask of a collective ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_COMM_COMMINTERFACES_TD
#define CONTRAFLOW_DIALECTS_COMM_COMMINTERFACES_TD

include "mlir/IR/OpBase.td"

def Comm_CollectiveOp : OpInterface<"CollectiveOp"> {
  let cppNamespace = "::contraflow::comm";
  let description = [{
    An operation that all ranks of a group reach, in the same order. It reads and writes what the ranks share, so that
    nothing reorders, merges or removes collectives.

    Constraints of all of them:
    - (C1) the operation lies in a module with `comm.mesh`
    - (C2) tensors have numbers for dimensions
  }];
  let methods = [
    InterfaceMethod<"The axis whose groups meet.", "::contraflow::comm::Axis", "getAxis">,
  ];
  let verify = [{ return ::contraflow::comm::verifyCollective($_op); }];
}

#endif
