//===- CommDialect.td - what ranks send each other ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_COMM_COMMDIALECT_TD
#define CONTRAFLOW_DIALECTS_COMM_COMMDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Comm_Dialect : Dialect {
  let name = "comm";
  let cppNamespace = "::contraflow::comm";
  let summary = "collectives over the axes of a mesh of ranks, and the routed rows of experts";
  let description = [{
    A module with a mesh is the program of every rank of it. Its values are those of one rank; operations of this dialect are where
    they meet: each takes what its operand is on every rank of a group, and says what its result is on each.
  }];
  let dependentDialects = ["::contraflow::nn::NNDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  // Of the module: the mesh that it is for.
  let discardableAttrs = (ins "::contraflow::comm::MeshAttr":$mesh);
  let extraClassDeclaration = [{ void registerAttributes(); }];
}

//===----------------------------------------------------------------------===//
// Meshes
//===----------------------------------------------------------------------===//

def Comm_MeshAttr : AttrDef<Comm_Dialect, "Mesh"> {
  let mnemonic = "mesh";
  let summary = "how the ranks of a run are numbered";
  let description = [{
    `pp` stages of `dp` ranks; experts over `ep` of them; see `runtime/abi/Mesh.h`.

    Example: `#comm.mesh<pp = 1, dp = 8, ep = 4>`

    Constraints:
    - (C1) every size is positive, `ep` divides `dp`, and there are no more than 32768 ranks
  }];
  let parameters = (ins "int64_t":$pp, "int64_t":$dp, "int64_t":$ep);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::contraflow::abi::Mesh getMesh() const { return {getPp(), getDp(), getEp()}; }
  }];
}

def Comm_Axis : I32EnumAttr<"Axis", "which ranks make a group: those that differ in this only", [
  I32EnumAttrCase<"pp", 0>, I32EnumAttrCase<"dp", 1>, I32EnumAttrCase<"ep", 2>,
  I32EnumAttrCase<"edp", 3>, // replicas of an expert
]> {
  let cppNamespace = "::contraflow::comm";
}

#endif
