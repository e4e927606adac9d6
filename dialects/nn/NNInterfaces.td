//===- NNInterfaces.td - what passes may ask of an operation --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNINTERFACES_TD
#define CONTRAFLOW_DIALECTS_NN_NNINTERFACES_TD

include "mlir/IR/OpBase.td"

def NN_DifferentiableOp : OpInterface<"DifferentiableOp"> {
  let cppNamespace = "::contraflow::nn";
  let description = [{
    The gradient rule of an operation, in two methods, because zero-bubble and DualPipe schedules move
    input and weight gradients apart. A rule may use any operand or result of the forward operation;
    autodiff saves what is used.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the gradients of the operands that are not weights. `resultGrads` has one entry per result,
      null where no gradient arrives; `operandGrads` has one entry per operand, to be filled where
      there is a gradient and left null otherwise.
    }], "::mlir::LogicalResult", "buildInputGrads",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$resultGrads,
           "::llvm::MutableArrayRef<::mlir::Value>":$operandGrads)>,
    InterfaceMethod<"Builds the gradient of the weight operand `index`, of the operand's type.",
      "::mlir::Value", "buildWeightGrad",
      (ins "::mlir::OpBuilder &":$builder, "unsigned":$index, "::mlir::ValueRange":$resultGrads),
      /*methodBody=*/"", /*defaultImplementation=*/"return {};">,
    InterfaceMethod<"Whether operand `index` is a weight: its gradient comes from `buildWeightGrad`.",
      "bool", "isWeight", (ins "unsigned":$index), "", "return false;">,
    InterfaceMethod<[{
      Whether the weight gradient may run apart from the input gradient. True for the matrix products
      only: norm and embedding gradients are cheap and come with the input gradients.
    }], "bool", "hasDeferrableWeightGrad", (ins), "", "return false;">,
  ];
}

def NN_RandomOp : OpInterface<"RandomOp"> {
  let cppNamespace = "::contraflow::nn";
  let description = [{
    An operation that uses random numbers in training, and none elsewhere. Numbers are functions of a key, which differs
    by instance, step and micro-batch, of the operation's stream, which differs within a block, and of the
    coordinates of what they are for: never of threads, of an order, or of what was drawn before.
  }];
  let methods = [
    InterfaceMethod<"Whether it uses any; attributes must be bound.", "bool", "isRandom">,
    InterfaceMethod<"Says where the numbers come from.", "void", "setRandom",
      (ins "::mlir::Value":$key, "int64_t":$stream)>,
    InterfaceMethod<"Builds what it is without random numbers: one value per result.",
      "::llvm::SmallVector<::mlir::Value>", "buildWithoutRandom", (ins "::mlir::OpBuilder &":$builder)>,
  ];
}

def NN_CostOp : OpInterface<"CostOp"> {
  let cppNamespace = "::contraflow::nn";
  let description = [{ What an operation costs; types must be bound. }];
  let methods = [
    InterfaceMethod<"Floating-point operations; a fused multiply-add counts as two.",
      "int64_t", "getFlops">,
    InterfaceMethod<"Bytes read if nothing stays in a cache: the operands.",
      "int64_t", "getBytesRead", (ins), "", [{
        int64_t bytes = 0;
        for (::mlir::Type type : $_op->getOperandTypes())
          bytes += ::llvm::cast<::contraflow::nn::TensorType>(type).getNumBytes();
        return bytes;
      }]>,
    InterfaceMethod<"Bytes written if nothing stays in a cache: the results.",
      "int64_t", "getBytesWritten", (ins), "", [{
        int64_t bytes = 0;
        for (::mlir::Type type : $_op->getResultTypes())
          bytes += ::llvm::cast<::contraflow::nn::TensorType>(type).getNumBytes();
        return bytes;
      }]>,
  ];
}

def NN_RoutedOp : OpInterface<"RoutedOp"> {
  let cppNamespace = "::contraflow::nn";
  let description = [{
    An operation that reads a routing table (`nn.route`): its operands and results lie by token, by row, or by expert. Where experts
    are spread over ranks, what lies by token travels, what lies by row is as long as there is room, and what lies by expert is this
    rank's share.
  }];
  let methods = [
    InterfaceMethod<"The routing table.", "::mlir::OpOperand &", "getTable">,
    InterfaceMethod<"Numbers of operands with a row per token.", "::llvm::SmallVector<unsigned>", "getTokenOperands",
      (ins), "", "return {};">,
    InterfaceMethod<"Numbers of results with a row per token.", "::llvm::SmallVector<unsigned>", "getTokenResults",
      (ins), "", "return {};">,
    InterfaceMethod<"Numbers of results with a row per choice.", "::llvm::SmallVector<unsigned>", "getRowResults",
      (ins), "", "return {};">,
    InterfaceMethod<"Numbers of operands whose first dimension are experts.", "::llvm::SmallVector<unsigned>",
      "getExpertOperands", (ins), "", "return {};">,
    InterfaceMethod<"Numbers of results whose first dimension are experts.", "::llvm::SmallVector<unsigned>",
      "getExpertResults", (ins), "", "return {};">,
    InterfaceMethod<"Says that the table is one of several ranks', of so many choices, with room for so many rows.", "void",
      "setLocalTable", (ins "::contraflow::nn::ExprAttr":$choices, "::contraflow::nn::ExprAttr":$room)>,
  ];
}

def NN_KernelizableOp : OpInterface<"KernelizableOp"> {
  let cppNamespace = "::contraflow::nn";
  let description = [{ How an operation is said in kernels. }];
  let methods = [
    InterfaceMethod<[{
      Builds `nn.kernel` operations (and nothing else) that compute this operation's results, and
      appends one replacement per result.
    }], "::mlir::LogicalResult", "buildKernels",
      (ins "::mlir::OpBuilder &":$builder, "::llvm::SmallVectorImpl<::mlir::Value> &":$replacements)>,
  ];
}

#endif
