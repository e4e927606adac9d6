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
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;

  // What a phase says to later ones. These are all: any other `nn.` attribute is an error.
  let discardableAttrs = (ins
    // Of the module, by the frontend and the driver: sequences of a micro-batch, tokens of a sequence, micro-batches
    // of a step, replicas of the program that share a step (each with its own micro-batches; 1 where missing), ids that
    // logits are over; floats of the optimizer by name; the model's type and name; the resolved
    // run file (JSON text); the last phase that ran; the processor that code is for ("native", "x86-64-v3"); whether
    // the trainer checks its memory while it runs.
    "::mlir::IntegerAttr":$batch,
    "::mlir::IntegerAttr":$seq,
    "::mlir::IntegerAttr":$micro_batches,
    "::mlir::IntegerAttr":$replicas,
    "::mlir::IntegerAttr":$vocab,
    "::mlir::DictionaryAttr":$optimizer,
    "::mlir::StringAttr":$model_type,
    "::mlir::StringAttr":$model_name,
    "::mlir::StringAttr":$run,
    "::mlir::StringAttr":$phase,
    "::mlir::StringAttr":$isa,
    "::mlir::UnitAttr":$checked,
    // Of the module, by the lowering: bytes of scratch that a worker needs.
    "::mlir::IntegerAttr":$scratch_bytes,
    // Of functions: parameters that no gradient reaches (autodiff), what each operation costs (schedule), bytes of
    // the workspace (memory).
    "::mlir::ArrayAttr":$without_gradient,
    "::mlir::ArrayAttr":$costs,
    "::mlir::IntegerAttr":$workspace_bytes,
    // Of arguments and results: what they are (autodiff) and where they lie (schedule, memory).
    "::contraflow::nn::RoleAttr":$role,
    "::contraflow::nn::LocationAttr":$location
  );

  let extraClassDeclaration = [{
    void registerTypes();
    void registerAttributes();
  }];
}

class NN_Op<string mnemonic, list<Trait> traits = []> : Op<NN_Dialect, mnemonic, traits>;

#endif
