//===- NNOpBase.td - constraints and text shared by compute operations ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNOPBASE_TD
#define CONTRAFLOW_DIALECTS_NN_NNOPBASE_TD

include "dialects/nn/NNInterfaces.td"
include "dialects/nn/NNTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Operand constraints: rank and element type; relations are left to verifiers
//===----------------------------------------------------------------------===//

class NN_TensorOf<string condition, string description>
    : Type<And<[NN_Tensor.predicate,
                CPred<"[](::contraflow::nn::TensorType type) { return " # condition #
                      "; }(::llvm::cast<::contraflow::nn::TensorType>($_self))">]>,
           description, "::contraflow::nn::TensorType">;

def NN_Floats : NN_TensorOf<"type.getElementType().isF32()", "tensor of f32">;
def NN_Vector : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isF32()", "f32 vector">;
def NN_Matrix : NN_TensorOf<"type.getRank() == 2 && type.getElementType().isF32()",
                            "f32 matrix <rows x columns>">;
def NN_Rows : NN_TensorOf<"type.getRank() <= 2 && type.getElementType().isF32()", "f32 vector or matrix">;
def NN_Stack : NN_TensorOf<"type.getRank() == 3 && type.getElementType().isF32()",
                           "f32 stack of matrices <experts x out x in>">;
def NN_Ids : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isInteger(32)", "i32 vector">;

/// One number: `<1>`. Its type is known, so text need not say it.
def NN_Scalar
    : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isF32() && type.getShape()[0].getConstant() == 1",
                  "f32 scalar <1>">,
      BuildableType<"::contraflow::nn::TensorType::get($_builder.getContext(), ::llvm::ArrayRef<int64_t>{1}, "
                    "$_builder.getF32Type())">;

/// What makes the random numbers of an instance, a step and a micro-batch its own, written by the runtime: two words of a
/// key, the micro-batch, and a zero.
def NN_RandomKey
    : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isInteger(32) && "
                  "type.getShape()[0].getConstant() == ::contraflow::nn::kRandomKeyWords",
                  "random key <4 : i32>">;

/// Two numbers, `<2>`.
def NN_Pair
    : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isF32() && type.getShape()[0].getConstant() == 2",
                  "f32 pair <2>">,
      BuildableType<"::contraflow::nn::TensorType::get($_builder.getContext(), ::llvm::ArrayRef<int64_t>{2}, "
                    "$_builder.getF32Type())">;

/// The numbers that the runtime writes before a step and `nn.clip_factor` completes; see `nn.adamw`.
def NN_StepScalars
    : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isF32() && "
                  "type.getShape()[0].getConstant() == ::contraflow::nn::kStepScalars",
                  "step scalars <16>">,
      BuildableType<"::contraflow::nn::TensorType::get($_builder.getContext(), "
                    "::llvm::ArrayRef<int64_t>{::contraflow::nn::kStepScalars}, $_builder.getF32Type())">;

//===----------------------------------------------------------------------===//
// Attributes: expressions, some with a default
//===----------------------------------------------------------------------===//

def NN_ExprWithDefault : Attr<CPred<"::llvm::isa<::contraflow::nn::ExprAttr>($_self)">, "expression"> {
  let storageType = "::contraflow::nn::ExprAttr";
  let returnType = "::contraflow::nn::ExprAttr";
  let convertFromStorage = "$_self";
  let constBuilderCall = "::contraflow::nn::getDefaultExpr($_builder.getContext(), $0)";
}

/// An expression that is `value` (C++ literal: number, bool or string) where the text does not say it.
class NN_DefaultExpr<string value> : DefaultValuedAttr<NN_ExprWithDefault, value>;

/// Positions per sequence: the run's `seq` where the text does not say it.
def NN_Seq : NN_DefaultExpr<"::contraflow::nn::Expr::name(\"seq\")">;

//===----------------------------------------------------------------------===//
// Text: `name(expr)`, `(<..>, <..>) -> <..>`
//===----------------------------------------------------------------------===//

class NN_Arg<string name> {
  string text = "`" # name # "` `(` custom<Expr>($" # name # ") `)` ";
}

/// Not printed when it has its default.
class NN_OptionalArg<string name> {
  string text = "(`" # name # "` `(` custom<Expr>($" # name # ")^ `)`)? ";
}

/// An optional operand that carries its type.
class NN_OptionalOperand<string keyword, string operand> {
  string text = "(`" # keyword # "` `(` $" # operand # "^ `:` custom<TensorType>(type($" # operand # ")) `)`)? ";
}

/// Where an operation that drops at random takes its numbers from; autodiff gives them.
class NN_RandomOperand<string operand> {
  string text = NN_OptionalOperand<"random", operand>.text # "(`stream` `(` $stream^ `)`)? ";
}

class NN_TypesOf<list<string> values> {
  string text = !interleave(!foreach(value, values, "custom<TensorType>(type($" # value # "))"), " `,` ") # " ";
}

/// `(<..>, <..>) -> <..>`
class NN_Functional<list<string> operands, list<string> results> {
  string text = "attr-dict `:` `(` " # NN_TypesOf<operands>.text # "`)` `->` " #
                !if(!eq(!size(results), 1), NN_TypesOf<results>.text, "`(` " # NN_TypesOf<results>.text # "`)`");
}

//===----------------------------------------------------------------------===//
// Base classes
//===----------------------------------------------------------------------===//

/// Pure, has a cost, can be said in kernels; results are called `names` in dumps.
class NN_ComputeOp<string mnemonic, list<string> names, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<NN_KernelizableOp>,
                                   DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>],
                                  traits)> {
  let extraClassDefinition = [{
    void $cppClass::getAsmResultNames(::mlir::OpAsmSetValueNameFn setName) {
      static constexpr ::llvm::StringLiteral names[] = {"}] # !interleave(names, "\", \"") # [{"};
      for (auto [result, name] : ::llvm::zip((*this)->getResults(), names))
        setName(result, name);
    }
  }];
}

defvar NN_Random = DeclareOpInterfaceMethods<NN_RandomOp>;
defvar NN_Cost = DeclareOpInterfaceMethods<NN_CostOp>;
/// For operations that touch only a part of an operand.
defvar NN_PartialCost = DeclareOpInterfaceMethods<NN_CostOp, ["getBytesRead"]>;
defvar NN_Gradient = DeclareOpInterfaceMethods<NN_DifferentiableOp>;
defvar NN_WeightGradient = DeclareOpInterfaceMethods<NN_DifferentiableOp, ["buildWeightGrad"]>;

/// An operation over a routing table, by where its operands and results lie; lists of numbers as C++ text.
class NN_RoutedDecl<string attribute, string tokenOperands = "", string tokenResults = "", string rowResults = "",
                    string expertOperands = "", string expertResults = ""> {
  string text = [{
    ::mlir::OpOperand &getTable() { return getRoutingMutable(); }
    ::llvm::SmallVector<unsigned> getTokenOperands() { return }] # "{" # tokenOperands # "}" # [{; }
    ::llvm::SmallVector<unsigned> getTokenResults() { return }] # "{" # tokenResults # "}" # [{; }
    ::llvm::SmallVector<unsigned> getRowResults() { return }] # "{" # rowResults # "}" # [{; }
    ::llvm::SmallVector<unsigned> getExpertOperands() { return }] # "{" # expertOperands # "}" # [{; }
    ::llvm::SmallVector<unsigned> getExpertResults() { return }] # "{" # expertResults # "}" # [{; }
    void setLocalTable(::contraflow::nn::ExprAttr choices, ::contraflow::nn::ExprAttr room) {
      set}] # attribute # "Attr(" # !tolower(attribute) # ");" # [{
    }
  }];
}

/// Operand 1 is a weight.
class NN_WeightDecl<bit deferrable> {
  string text = [{
    bool isWeight(unsigned index) { return index == 1; }
    bool hasDeferrableWeightGrad() { return }] # !if(deferrable, "true", "false") # [{; }
  }];
}

#endif
