//===- NNTypes.td - tensors with symbolic dimensions, expressions, roles --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNTYPES_TD
#define CONTRAFLOW_DIALECTS_NN_NNTYPES_TD

include "dialects/nn/NNDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

def NN_ExprAttr : AttrDef<NN_Dialect, "Expr"> {
  let mnemonic = "expr";
  let summary = "an expression over configuration values";
  let description = [{
    Arithmetic over named configuration values (see `dialects/nn/Expr.h` for the grammar). Holds the
    canonical text: integer polynomials are expanded and sorted, so that equal dimensions are
    equal attributes. `heads*(nope + rope)` and `heads*nope + heads*rope` are one attribute.

    Example: `#nn.expr<heads*nope + heads*rope>`
  }];
  let parameters = (ins StringRefParameter<"canonical text">:$text);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// The attribute of an integer constant.
    static ExprAttr getConstant(::mlir::MLIRContext *context, int64_t value);
    /// The value, if the expression is an integer constant.
    std::optional<int64_t> getConstant() const;
  }];
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

class NN_Type<string name, string typeMnemonic> : TypeDef<NN_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def NN_TensorType : NN_Type<"Tensor", "tensor"> {
  let summary = "a row-major tensor with symbolic dimensions";
  let description = [{
    Dimensions are integer polynomials over configuration values, in normal form; a bound tensor has
    integers only. The element type is `f32` (not printed; the precision recipe may narrow it) or `i32`.

    Example: `!nn.tensor<tokens x heads*nope + heads*rope>`, `!nn.tensor<2048 : i32>`
  }];
  let parameters = (ins ArrayRefParameter<"ExprAttr">:$shape, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType)>
  ];
  let extraClassDeclaration = [{
    /// Whether every dimension is an integer.
    bool isBound() const;
    int64_t getRank() const { return getShape().size(); }
    /// Dimensions as integers; the type must be bound.
    ::llvm::SmallVector<int64_t> getStaticShape() const;
    int64_t getDim(unsigned index) const { return getStaticShape()[index]; }
    /// Product of the dimensions; the type must be bound.
    int64_t getNumElements() const;
    /// Size in bytes; the type must be bound. All element types have four bytes today.
    int64_t getNumBytes() const { return getNumElements() * 4; }
    TensorType withShape(::llvm::ArrayRef<ExprAttr> shape) const {
      return TensorType::get(getContext(), shape, getElementType());
    }
  }];
}

//===----------------------------------------------------------------------===//
// Roles of arguments and results once a block has become functions
//===----------------------------------------------------------------------===//

def NN_RoleKind : I32EnumAttr<"RoleKind", "what a function argument or result is", [
  I32EnumAttrCase<"input", 0>,          // activation or ids, given by the caller
  I32EnumAttrCase<"output", 1>,         // activation, given to the caller
  I32EnumAttrCase<"param", 2>,          // the instance's own parameter: parameters base
  I32EnumAttrCase<"param_arg", 3>,      // a parameter of the graph, passed in
  I32EnumAttrCase<"saved", 4>,          // made by forward for the backward: saved base
  I32EnumAttrCase<"saved_input", 5>,    // made by backward_input for backward_weight: saved base
  I32EnumAttrCase<"output_grad", 6>,    // gradient of an output, given by the caller
  I32EnumAttrCase<"input_grad", 7>,     // gradient of an input, given to the caller
  I32EnumAttrCase<"grad", 8>,           // accumulator of an own parameter: gradients base, tied
  I32EnumAttrCase<"grad_arg", 9>,       // accumulator of a param_arg, tied
  I32EnumAttrCase<"loss", 10>,          // a named loss (sum over instances is reported), tied accumulator
  I32EnumAttrCase<"load", 11>,          // summed over the micro-batches of a step, tied accumulator
  I32EnumAttrCase<"metric", 12>,        // of one instance, summed over the micro-batches of a step, tied accumulator
  I32EnumAttrCase<"first_moment", 13>,  // optimizer state: first-moment base
  I32EnumAttrCase<"second_moment", 14>, // optimizer state: second-moment base
  I32EnumAttrCase<"scalars", 15>,       // per-step scalars written by the runtime
  I32EnumAttrCase<"ema", 16>,           // averages of all parameters, tied
  I32EnumAttrCase<"random", 17>,        // what makes random numbers of an instance and micro-batch its own
  I32EnumAttrCase<"round", 18>,         // which round of rows of other ranks is meant
]> {
  let genSpecializedAttr = 0;
  let cppNamespace = "::contraflow::nn";
}

def NN_RoleAttr : AttrDef<NN_Dialect, "Role"> {
  let mnemonic = "role";
  let summary = "role and name of a function argument or result";
  let description = [{
    Attached as `nn.role` to the arguments and results of the functions that a block becomes. `tied` is
    the number of the argument whose memory a result shares, -1 where there is none.

    Example: `#nn.role<grad, "q_a_proj.weight", tied = 3>`
  }];
  let parameters = (ins EnumParameter<NN_RoleKind>:$kind, StringRefParameter<>:$name,
                        DefaultValuedParameter<"int64_t", "-1">:$tied);
  let assemblyFormat = "`<` $kind `,` $name (`,` `tied` `=` $tied^)? `>`";
}

//===----------------------------------------------------------------------===//
// What functions cost
//===----------------------------------------------------------------------===//

def NN_CostAttr : AttrDef<NN_Dialect, "Cost"> {
  let mnemonic = "cost";
  let summary = "what one operation of a function costs";
  let description = [{
    Functions have a list of these as `nn.costs`: what `CostOp` says of each operation of the model, before fusion. The
    first string is the operation, the second what it belongs to: the parameter that it works on, or the part of the model
    that its operands come from; empty where that is not known. `read` and `written` are bytes.

    Example: `#nn.cost<"linear", "self_attn.q_a_proj", flops = 1024, read = 768, written = 128>`
  }];
  let parameters = (ins StringRefParameter<>:$op, StringRefParameter<>:$name, "int64_t":$flops, "int64_t":$read,
                        "int64_t":$written);
  let assemblyFormat = [{
    `<` $op `,` $name `,` `flops` `=` $flops `,` `read` `=` $read `,` `written` `=` $written `>`
  }];
}

//===----------------------------------------------------------------------===//
// Addresses, once the memory phase has planned them
//===----------------------------------------------------------------------===//

def NN_LocationAttr : AttrDef<NN_Dialect, "Location"> {
  let mnemonic = "location";
  let summary = "where a value of a function lies";
  let description = [{
    `bases[base] + offset` (bytes), `bases` being what the function is called with. Arguments and results of functions
    have it as `nn.location`; kernels have `locations`, a list with one per result, and `workspace` where they
    asked for memory that their phases share.

    Example: `#nn.location<4, 128>`
  }];
  let parameters = (ins "int64_t":$base, "int64_t":$offset);
  let assemblyFormat = "`<` $base `,` $offset `>`";
}

def NN_Tensor : Type<CPred<"::llvm::isa<::contraflow::nn::TensorType>($_self)">, "nn tensor",
                     "::contraflow::nn::TensorType">;

#endif
