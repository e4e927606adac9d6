//===- NNDialect.td - the dialect a model is written in -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNDIALECT_TD
#define CONTRAFLOW_DIALECTS_NN_NNDIALECT_TD

include "mlir/IR/OpBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::contraflow::nn";
  let summary = "model graphs with symbolic dimensions, their gradients, and kernels";
  let description = [{
    A model is a graph of blocks over tensors whose dimensions are integer polynomials in named
    configuration values. The frontend binds the names, autodiff adds the gradients, and fusion
    turns every operation into `nn.kernel` objects, which say what is computed and never how.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerTypes();
    void registerAttributes();
  }];
}

class NN_Op<string mnemonic, list<Trait> traits = []> : Op<NN_Dialect, mnemonic, traits>;

#endif
