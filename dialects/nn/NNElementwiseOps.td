//===- NNElementwiseOps.td - sums, products and activation functions ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNELEMENTWISEOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNELEMENTWISEOPS_TD

include "dialects/nn/NNOpBase.td"

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

def NN_DropoutOp : NN_ComputeOp<"dropout", ["dropout"], [AllTypesMatch<["input", "output"]>, NN_Cost, NN_Gradient, NN_Random]> {
  let summary = "elements set to zero at random";
  let description = [{
    Every element is zero with probability p, and else `input / (1 - p)` (arXiv 1207.0580, scaled as everybody does); without
    training it is the input. With the words `k0, k1, m, 0` of the random key and `r = m * rows + row`, an element is dropped if
    word `r mod 4` of Philox 4x32-10 (Salmon et al., SC 2011) with key `(k0, k1)` at counter `(column, r div 4, stream, 0)` is below
    `p * 2^32`. As m is the micro-batch, r counts the rows of a step: masks do not depend on how a step is cut. Autodiff gives
    the key and the stream; models leave them out. The gradient is the same operation with the same numbers.

    ```mlir
    %y = nn.dropout %x p(hidden_dropout) : <tokens x hidden>
    %z = nn.dropout %x p(0.1) random(%key : <4 : i32>) stream(2) : <tokens x hidden>
    ```

    Constraints:
    - (C1) `0 <= p < 1`
  }];
  let arguments = (ins NN_Matrix:$input, NN_ExprAttr:$p, Optional<NN_RandomKey>:$random,
                       DefaultValuedAttr<I64Attr, "0">:$stream);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input " # NN_Arg<"p">.text # NN_RandomOperand<"random">.text #
                       "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

class NN_BinaryOp<string mnemonic, string name, list<Trait> traits = []>
    : NN_ComputeOp<mnemonic, [name], !listconcat([AllTypesMatch<["lhs", "output"]>, NN_Cost, NN_Gradient], traits)> {
  let arguments = (ins NN_Floats:$lhs, NN_Floats:$rhs);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` custom<BinaryTypes>(type($lhs), type($rhs))";
  let hasVerifier = 1;
}

def NN_AddOp : NN_BinaryOp<"add", "add"> {
  let summary = "element-wise sum";
  let description = [{
    `output = lhs + rhs`. Where types differ, rhs is repeated: its dimensions, aligned at the right, are those
    of lhs or 1. A bias is `<columns>`, one number per row is `<rows x 1>`.

    ```mlir
    %a = nn.add %x, %y : <tokens x hidden>
    %b = nn.add %x, %bias : <tokens x hidden>, <hidden>
    ```

    Constraints:
    - (C1) rhs can be repeated to the type of lhs
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def NN_SubOp : NN_BinaryOp<"sub", "sub"> {
  let summary = "element-wise difference";
  let description = [{
    `output = lhs - rhs`; rhs is repeated as in `nn.add`.

    ```mlir
    %a = nn.sub %x, %y : <tokens x hidden>
    ```

    Constraints:
    - (C1) rhs can be repeated to the type of lhs
  }];
  let hasFolder = 1;
}

def NN_MulOp : NN_BinaryOp<"mul", "mul"> {
  let summary = "element-wise product";
  let description = [{
    `output = lhs * rhs`; rhs is repeated as in `nn.add`.

    ```mlir
    %a = nn.mul %x, %gate : <tokens x hidden>, <tokens x 1>
    ```

    Constraints:
    - (C1) rhs can be repeated to the type of lhs
  }];
  let hasFolder = 1;
}

def NN_SwigluOp : NN_ComputeOp<"swiglu", ["swiglu"], [SameOperandsAndResultType, NN_Cost, NN_Gradient]> {
  let summary = "silu(gate) * up";
  let description = [{
    `output = gate * sigmoid(gate) * up` (arXiv 2002.05202). One operation, because its gradient wants both
    operands and neither intermediate value.

    ```mlir
    %h = nn.swiglu %gate, %up : <tokens x ffn>
    ```
  }];
  let arguments = (ins NN_Floats:$gate, NN_Floats:$up);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$gate `,` $up attr-dict `:` custom<TensorType>(type($output))";
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

class NN_UnaryOp<string mnemonic, string name, list<Trait> traits = []>
    : NN_ComputeOp<mnemonic, [name], !listconcat([SameOperandsAndResultType, NN_Cost, NN_Gradient], traits)> {
  let arguments = (ins NN_Floats:$input);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$input attr-dict `:` custom<TensorType>(type($output))";
}

def NN_ScaleOp : NN_UnaryOp<"scale", "scale"> {
  let summary = "product with a number";
  let description = [{
    `output = by * input`.

    ```mlir
    %y = nn.scale %x by(1 / sqrt(head_dim)) : <tokens x hidden>
    ```

    Constraints:
    - (C1) `by` is a number
  }];
  let arguments = (ins NN_Floats:$input, NN_ExprAttr:$by);
  let assemblyFormat = "$input " # NN_Arg<"by">.text # "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def NN_SigmoidOp : NN_UnaryOp<"sigmoid", "sigmoid"> {
  let summary = "1 / (1 + exp(-x))";
  let description = [{
    `output = 1 / (1 + exp(-input))`.

    ```mlir
    %y = nn.sigmoid %x : <tokens x experts>
    ```
  }];
}

def NN_SiluOp : NN_UnaryOp<"silu", "silu"> {
  let summary = "x * sigmoid(x)";
  let description = [{
    `output = input * sigmoid(input)`.

    ```mlir
    %y = nn.silu %x : <tokens x ffn>
    ```
  }];
}

def NN_GeluOp : NN_UnaryOp<"gelu", "gelu"> {
  let summary = "x times the normal distribution function of x";
  let description = [{
    `output = x/2 * (1 + erf(x / sqrt(2)))`, or with `approximate("tanh")`
    `x/2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))` (arXiv 1606.08415). The words are those of PyTorch.

    ```mlir
    %y = nn.gelu %x : <tokens x ffn>
    %z = nn.gelu %x approximate("tanh") : <tokens x ffn>
    ```

    Constraints:
    - (C1) approximate is "none" or "tanh"
  }];
  let arguments = (ins NN_Floats:$input, NN_DefaultExpr<"\"none\"">:$approximate);
  let assemblyFormat = "$input " # NN_OptionalArg<"approximate">.text #
                       "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

def NN_TanhOp : NN_UnaryOp<"tanh", "tanh"> {
  let summary = "hyperbolic tangent";
  let description = [{
    `output = tanh(input)`.

    ```mlir
    %y = nn.tanh %x : <tokens x hidden>
    ```
  }];
}

#endif
