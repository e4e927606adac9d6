//===- NNGradOps.td - gradients of the operations of NNOps.td -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `grad` is the gradient of the forward result, `<op>_input_grad` and `<op>_weight_grad` give those of operands. They
// take what the forward operation took, and its attributes. No description repeats a constraint of the
// forward operation: the numbered ones say how the operands fit together.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_DIALECTS_NN_NNGRADOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNGRADOPS_TD

include "dialects/nn/NNOpBase.td"
include "dialects/nn/NNOps.td"
include "dialects/nn/NNOptimizerOps.td"

//===----------------------------------------------------------------------===//
// Tables and matrix products
//===----------------------------------------------------------------------===//

def NN_EmbeddingWeightGradOp : NN_ComputeOp<"embedding_weight_grad", ["weight_grad"], [NN_Cost]> {
  let summary = "gradient of the table of nn.embedding";
  let description = [{
    `output[v, :] = sum over t with ids[t] == v of grad[t, :]`, t from 0 upwards.

    ```mlir
    %d = nn.embedding_weight_grad %grad, %ids : (<tokens x hidden>, <tokens : i32>) -> <vocab x hidden>
    ```

    Constraints:
    - (C1) `dim(grad, 0) == dim(ids, 0)`
    - (C2) `dim(output, 1) == dim(grad, 1)`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Ids:$ids);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $ids " # NN_Functional<["grad", "ids"], ["output"]>.text;
  let hasVerifier = 1;
}

def NN_LinearInputGradOp : NN_ComputeOp<"linear_input_grad", ["input_grad"], [InferTypeOpAdaptor, NN_Cost]> {
  let summary = "gradient of the input of nn.linear";
  let description = [{
    `output = grad * weight`.

    ```mlir
    %d = nn.linear_input_grad %grad, %w : (<tokens x inner>, <inner x hidden>) -> <tokens x hidden>
    ```

    Constraints:
    - (C1) `dim(grad, 1) == dim(weight, 0)`
    - (C2) output is `<dim(grad, 0) x dim(weight, 1)>`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$weight);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $weight " # NN_Functional<["grad", "weight"], ["output"]>.text;
  let hasVerifier = 1;
}

def NN_LinearWeightGradOp : NN_ComputeOp<"linear_weight_grad", ["weight_grad"], [InferTypeOpAdaptor, NN_Cost]> {
  let summary = "gradient of the weight of nn.linear";
  let description = [{
    `output = grad^T * input`.

    ```mlir
    %d = nn.linear_weight_grad %grad, %x : (<tokens x inner>, <tokens x hidden>) -> <inner x hidden>
    ```

    Constraints:
    - (C1) `dim(grad, 0) == dim(input, 0)`
    - (C2) output is `<dim(grad, 1) x dim(input, 1)>`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$input);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $input " # NN_Functional<["grad", "input"], ["output"]>.text;
  let hasVerifier = 1;
}

def NN_GroupedLinearInputGradOp
    : NN_ComputeOp<"grouped_linear_input_grad", ["input_grad"], [InferTypeOpAdaptor, NN_Cost, NN_RoutedOp]> {
  let summary = "gradient of the input of nn.grouped_linear";
  let description = [{
    `output[r, :] = weight[e]^T * grad[r, :]` for the rows r of expert e. `choices` as in `nn.grouped_linear`.

    ```mlir
    %d = nn.grouped_linear_input_grad %grad, %w, %routing
       : (<rows x inner>, <experts x inner x hidden>, <3*rows + experts + 1 : i32>) -> <rows x hidden>
    ```

    Constraints:
    - (C1) `dim(grad, 1) == dim(weight, 1)`
    - (C2) `dim(routing, 0) == 2*choices + dim(grad, 0) + dim(weight, 0) + 1`; choices are `dim(grad, 0)` if left out
    - (C3) output is `<dim(grad, 0) x dim(weight, 2)>`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Stack:$weight, NN_Ids:$routing, OptionalAttr<NN_ExprAttr>:$choices);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $weight `,` $routing " # NN_OptionalArg<"choices">.text #
                       NN_Functional<["grad", "weight", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Choices", "", "", "0", "1">.text;
  let hasVerifier = 1;
}

def NN_GroupedLinearWeightGradOp
    : NN_ComputeOp<"grouped_linear_weight_grad", ["weight_grad"], [InferTypeOpAdaptor, NN_Cost, NN_RoutedOp]> {
  let summary = "gradient of the weight of nn.grouped_linear";
  let description = [{
    `output[e] = sum over the rows r of expert e of grad[r, :]^T * input[r, :]`; zeros for an expert without rows. `choices`
    as in `nn.grouped_linear`.

    ```mlir
    %d = nn.grouped_linear_weight_grad %grad, %x, %routing
       : (<rows x inner>, <rows x hidden>, <3*rows + experts + 1 : i32>) -> <experts x inner x hidden>
    ```

    Constraints:
    - (C1) `dim(grad, 0) == dim(input, 0)`
    - (C2) output is `<dim(routing, 0) - 2*choices - dim(grad, 0) - 1 x dim(grad, 1) x dim(input, 1)>`; choices are `dim(grad, 0)` if left out
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$input, NN_Ids:$routing, OptionalAttr<NN_ExprAttr>:$choices);
  let results = (outs NN_Stack:$output);
  let assemblyFormat = "$grad `,` $input `,` $routing " # NN_OptionalArg<"choices">.text #
                       NN_Functional<["grad", "input", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Choices", "", "", "", "", "0">.text;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Normalisation, positions, attention
//===----------------------------------------------------------------------===//

def NN_RmsNormInputGradOp : NN_ComputeOp<"rms_norm_input_grad", ["input_grad"],
    [AllTypesMatch<["grad", "input", "output"]>, NN_Cost]> {
  let summary = "gradient of the input of nn.rms_norm";
  let description = [{
    Per group of W columns, with `r = 1 / sqrt(mean(input^2) + eps)` computed again and `g = grad * weight`:
    `output = r * (g - input * r^2 * mean(g * input))`.

    ```mlir
    %d = nn.rms_norm_input_grad %grad, %x, %w eps(1.0e-6) : <tokens x hidden>, <hidden>
    ```

    Constraints:
    - (C1) `dim(input, 1)` is a multiple of `dim(weight, 0)`
    - (C2) `eps >= 0`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$input, NN_Vector:$weight, NN_ExprAttr:$eps);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $input `,` $weight " # NN_Arg<"eps">.text # "attr-dict `:` " #
                       NN_TypesOf<["input", "weight"]>.text;
  let hasVerifier = 1;
}

def NN_RmsNormWeightGradOp : NN_ComputeOp<"rms_norm_weight_grad", ["weight_grad"],
    [AllTypesMatch<["grad", "input"]>, NN_Cost]> {
  let summary = "gradient of the weight of nn.rms_norm";
  let description = [{
    The sum over rows and groups of `grad * input / sqrt(mean(input^2) + eps)`.

    ```mlir
    %d = nn.rms_norm_weight_grad %grad, %x eps(1.0e-6) : <tokens x hidden> -> <hidden>
    ```

    Constraints:
    - (C1) `dim(input, 1)` is a multiple of `dim(output, 0)`
    - (C2) `eps >= 0`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$input, NN_ExprAttr:$eps);
  let results = (outs NN_Vector:$output);
  let assemblyFormat = "$grad `,` $input " # NN_Arg<"eps">.text #
                       "attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

def NN_RopeInputGradOp : NN_RopeLikeOp<"rope_input_grad", ["input_grad"], [AllTypesMatch<["input", "output"]>]> {
  let summary = "gradient of the input of nn.rope";
  let description = [{
    The transposed turn: `nn.rope` with negated sines. `input` is the gradient of the result of `nn.rope`.

    ```mlir
    %d = nn.rope_input_grad %grad head_dim(rope) theta(theta) : <tokens x heads*rope>
    ```

    Constraints: (C1) to (C7) of `nn.rope`.
  }];
}

def NN_AttentionInputGradOp : NN_AttentionLikeOp<"attention_input_grad", ["query_grad", "key_grad", "value_grad"],
    [AttrSizedOperandSegments, AllTypesMatch<["grad", "output"]>, AllTypesMatch<["query", "query_grad"]>,
     AllTypesMatch<["key", "key_grad"]>, AllTypesMatch<["value", "value_grad"]>]> {
  let summary = "gradients of query, key and value of nn.attention";
  let description = [{
    With `P = exp(scale * q k^T - lse)` computed again tile by tile, `dV = P^T grad`, `dP = grad V^T`,
    `dS = P * (dP - rowsum(grad * output))`, `dQ = scale * dS k` and `dK = scale * dS^T q`; key and value heads sum over
    the query heads that share them (arXiv 2307.08691, algorithm 2). Where `lse_grad`, the gradient of lse, is given,
    `dS = P * (dP - (rowsum(grad * output) - lse_grad))`, for P is the derivative of lse by the scaled scores.
    Where `dropout` is p > 0, P in dV and dP are set to zero where the forward dropped, and else divided by `1 - p`.

    ```mlir
    %dq, %dk, %dv = nn.attention_input_grad %grad, %q, %k, %v, %o, %lse causal heads(4) kv_heads(2) seq(64) scale(0.25)
        : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
    %a, %b, %c = nn.attention_input_grad %grad, %q, %k, %v, %o, %lse lse_grad(%d : <128 x 4>) heads(4) kv_heads(2) seq(64)
        scale(0.25) : <128 x 32>, <128 x 64>, <128 x 32>, <128 x 16>, <128 x 4>
    ```

    The types are those of grad, query, key, value and lse.

    Constraints: (C1) to (C7) of `nn.attention`, and
    - (C8) rows and columns of lse_grad are those of lse
    - (C9) a random key is there if and only if `dropout` is not 0
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$query, NN_Matrix:$key, NN_Matrix:$value, NN_Matrix:$output,
                       NN_Matrix:$lse, Optional<NN_Matrix>:$lse_grad, Optional<NN_Ids>:$starts,
                       Optional<NN_RandomKey>:$random, UnitAttr:$causal, NN_ExprAttr:$heads, NN_ExprAttr:$kv_heads,
                       NN_Seq:$seq, NN_ExprAttr:$scale, NN_DefaultExpr<"0.0">:$dropout,
                       DefaultValuedAttr<I64Attr, "0">:$stream);
  let results = (outs NN_Matrix:$query_grad, NN_Matrix:$key_grad, NN_Matrix:$value_grad);
  let assemblyFormat = "$grad `,` $query `,` $key `,` $value `,` $output `,` $lse " #
                       NN_OptionalOperand<"lse_grad", "lse_grad">.text #
                       NN_OptionalOperand<"starts", "starts">.text # "(`causal` $causal^)? " #
                       NN_Arg<"heads">.text # NN_Arg<"kv_heads">.text # NN_OptionalArg<"seq">.text # NN_Arg<"scale">.text #
                       NN_OptionalArg<"dropout">.text # NN_RandomOperand<"random">.text #
                       "attr-dict `:` " # NN_TypesOf<["grad", "query", "key", "value", "lse"]>.text;
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

class NN_UnaryGradOp<string mnemonic, list<Trait> traits = []>
    : NN_ComputeOp<mnemonic, ["input_grad"], !listconcat([SameOperandsAndResultType, NN_Cost], traits)> {
  let arguments = (ins NN_Floats:$grad, NN_Floats:$value);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$grad `,` $value attr-dict `:` custom<TensorType>(type($output))";
}

def NN_SigmoidInputGradOp : NN_UnaryGradOp<"sigmoid_input_grad"> {
  let summary = "gradient of the input of nn.sigmoid";
  let description = [{
    `output = grad * value * (1 - value)`; value is the result of `nn.sigmoid`.

    ```mlir
    %d = nn.sigmoid_input_grad %grad, %y : <tokens x hidden>
    ```
  }];
}

def NN_TanhInputGradOp : NN_UnaryGradOp<"tanh_input_grad"> {
  let summary = "gradient of the input of nn.tanh";
  let description = [{
    `output = grad * (1 - value^2)`; value is the result of `nn.tanh`.

    ```mlir
    %d = nn.tanh_input_grad %grad, %y : <tokens x hidden>
    ```
  }];
}

def NN_SiluInputGradOp : NN_UnaryGradOp<"silu_input_grad"> {
  let summary = "gradient of the input of nn.silu";
  let description = [{
    `output = grad * s * (1 + value * (1 - s))` with `s = sigmoid(value)`; value is the input of `nn.silu`.

    ```mlir
    %d = nn.silu_input_grad %grad, %x : <tokens x hidden>
    ```
  }];
}

def NN_GeluInputGradOp : NN_UnaryGradOp<"gelu_input_grad"> {
  let summary = "gradient of the input of nn.gelu";
  let description = [{
    `grad` times the derivative of the function at `value`, the input of `nn.gelu`.

    ```mlir
    %d = nn.gelu_input_grad %grad, %x approximate("tanh") : <tokens x hidden>
    ```

    Constraints:
    - (C1) approximate is "none" or "tanh"
  }];
  let arguments = (ins NN_Floats:$grad, NN_Floats:$value, NN_DefaultExpr<"\"none\"">:$approximate);
  let assemblyFormat = "$grad `,` $value " # NN_OptionalArg<"approximate">.text #
                       "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

def NN_SwigluInputGradOp : NN_ComputeOp<"swiglu_input_grad", ["gate_grad", "up_grad"],
    [SameOperandsAndResultType, NN_Cost]> {
  let summary = "gradients of gate and up of nn.swiglu";
  let description = [{
    With `s = sigmoid(gate)`: `gate_grad = grad * up * s * (1 + gate * (1 - s))`, `up_grad = grad * gate * s`.

    ```mlir
    %dg, %du = nn.swiglu_input_grad %grad, %gate, %up : <tokens x ffn>
    ```
  }];
  let arguments = (ins NN_Floats:$grad, NN_Floats:$gate, NN_Floats:$up);
  let results = (outs NN_Floats:$gate_grad, NN_Floats:$up_grad);
  let assemblyFormat = "$grad `,` $gate `,` $up attr-dict `:` custom<TensorType>(type($grad))";
}

def NN_ReduceSumOp : NN_ComputeOp<"reduce_sum", ["sum"], [NN_Cost]> {
  let summary = "sum over the dimensions along which a tensor was repeated";
  let description = [{
    The opposite of how `nn.add` repeats rhs: every element of the output is the sum of the elements of
    the input that it would be repeated to. Gradient of a bias, of a gate per row, of a scalar.

    ```mlir
    %a = nn.reduce_sum %grad : <tokens x hidden> -> <hidden>
    %b = nn.reduce_sum %grad : <tokens x hidden> -> <tokens x 1>
    ```

    Constraints:
    - (C1) output can be repeated to the type of input
  }];
  let arguments = (ins NN_Floats:$input);
  let results = (outs NN_Floats:$output);
  let assemblyFormat =
      "$input attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

def NN_SliceInputGradOp : NN_ComputeOp<"slice_input_grad", ["input_grad"], [NN_Cost]> {
  let summary = "gradient of the input of nn.slice: zeros around";
  let description = [{
    Columns of the output are `heads` groups of W; columns `offset .. offset + dim(grad, 1) / heads` of group h
    are group h of grad, the others are zero.

    ```mlir
    %d = nn.slice_input_grad %grad heads(heads) offset(nope)
       : <tokens x heads*rope> -> <tokens x heads*nope + heads*rope>
    ```

    Constraints:
    - (C1) `heads >= 1`, and divides `dim(grad, 1)` and `dim(output, 1)`
    - (C2) `offset >= 0` and `offset + dim(grad, 1) / heads <= dim(output, 1) / heads`
    - (C3) rows of grad and output agree
  }];
  let arguments = (ins NN_Matrix:$grad, NN_DefaultExpr<"1">:$heads, NN_ExprAttr:$offset);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad " # NN_OptionalArg<"heads">.text # NN_Arg<"offset">.text #
                       "attr-dict `:` custom<TensorType>(type($grad)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def NN_BroadcastInputGradOp : NN_ComputeOp<"broadcast_input_grad", ["input_grad"], [NN_Cost]> {
  let summary = "gradient of the input of nn.broadcast: the sum over heads";
  let description = [{
    `output[t, c] = sum over h of grad[t, h*W + c]`, h from 0 upwards, W the columns of the output.

    ```mlir
    %d = nn.broadcast_input_grad %grad heads(heads) : <tokens x heads*rope> -> <tokens x rope>
    ```

    Constraints:
    - (C1) `heads >= 1`
    - (C2) grad is `<dim(output, 0) x heads*dim(output, 1)>`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_ExprAttr:$heads);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad " # NN_Arg<"heads">.text #
                       "attr-dict `:` custom<TensorType>(type($grad)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def NN_RouteInputGradOp : NN_ComputeOp<"route_input_grad", ["logits_grad"],
    [AttrSizedOperandSegments, AllTypesMatch<["scores", "output"]>, NN_Cost]> {
  let summary = "gradient of the logits of nn.route";
  let description = [{
    From the gradient of the gates, of the scores, or of both. For token t with chosen experts e(k), `s(k) = scores[t, e(k)]`
    and `S = sum over k of s(k) + 1e-20`, the gates give the score of e(k) the gradient

        normalize:      scale * (gates_grad[k] / S - sum over j of gates_grad[j] * s(j) / S^2)
        otherwise:      scale * gates_grad[k]

    to which the gradient of the scores is added. With d the sum, the output is `d * s * (1 - s)` for a sigmoid and
    `s * (d - sum over experts of d * s)` for a softmax. The choice itself and the bias have no gradient.

    ```mlir
    %d = nn.route_input_grad %scores, %routing gates(%dg : <128 x 2>) scores(%ds : <128 x 8>) top_k(2) score("sigmoid")
         normalize(true) scale(2.5) : <128 x 8>, <777 : i32>
    ```

    Constraints:
    - (C1) there is a gradient of the gates or of the scores
    - (C2) the gradient of the gates is `<dim(scores, 0) x top_k>`, that of the scores has the type of scores
    - (C3) `dim(routing, 0) == 3*dim(scores, 0)*top_k + dim(scores, 1) + 1`
    - (C4) score is "sigmoid" or "softmax", `normalize` a truth value, `scale` a number
  }];
  let arguments = (ins NN_Matrix:$scores, NN_Ids:$routing, Optional<NN_Matrix>:$gates_grad,
                       Optional<NN_Matrix>:$scores_grad, NN_ExprAttr:$top_k, NN_ExprAttr:$score,
                       NN_ExprAttr:$normalize, NN_ExprAttr:$scale);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$scores `,` $routing " # NN_OptionalOperand<"gates", "gates_grad">.text #
                       NN_OptionalOperand<"scores", "scores_grad">.text # NN_Arg<"top_k">.text #
                       NN_Arg<"score">.text # NN_Arg<"normalize">.text # NN_Arg<"scale">.text # "attr-dict `:` " #
                       NN_TypesOf<["scores", "routing"]>.text;
  let hasVerifier = 1;
}

def NN_PermuteInputGradOp : NN_ComputeOp<"permute_input_grad", ["input_grad"], [NN_Cost, NN_RoutedOp]> {
  let summary = "gradient of the input of nn.permute: the sum of a token's rows";
  let description = [{
    `output[t, :] = sum over k of grad[row of t*K + k, :]`, k from 0 upwards. `room` as in `nn.permute`.

    ```mlir
    %d = nn.permute_input_grad %grad, %routing top_k(2) : (<256 x 16>, <777 : i32>) -> <128 x 16>
    ```

    Constraints:
    - (C1) `dim(grad, 0) == dim(output, 0) * top_k`, or `room`
    - (C2) `dim(grad, 1) == dim(output, 1)`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Ids:$routing, NN_ExprAttr:$top_k, OptionalAttr<NN_ExprAttr>:$room);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $routing " # NN_Arg<"top_k">.text # NN_OptionalArg<"room">.text #
                       NN_Functional<["grad", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Room", "", "0">.text;
  let hasVerifier = 1;
}

def NN_UnpermuteRowsGradOp : NN_ComputeOp<"unpermute_rows_grad", ["rows_grad"], [InferTypeOpAdaptor, NN_Cost, NN_RoutedOp]> {
  let summary = "gradient of the rows of nn.unpermute";
  let description = [{
    `output[row of t*K + k, :] = gates[t, k] * grad[t, :]`. `room` as in `nn.permute`.

    ```mlir
    %d = nn.unpermute_rows_grad %grad, %routing, %gates : (<128 x 16>, <777 : i32>, <128 x 2>) -> <256 x 16>
    ```

    Constraints:
    - (C1) `dim(grad, 0) == dim(gates, 0)`
    - (C2) output is `<dim(gates, 0)*dim(gates, 1) x dim(grad, 1)>`, or `<room x dim(grad, 1)>`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Ids:$routing, NN_Matrix:$gates, OptionalAttr<NN_ExprAttr>:$room);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $routing `,` $gates " # NN_OptionalArg<"room">.text #
                       NN_Functional<["grad", "routing", "gates"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Room", "0, 2", "", "0">.text;
  let hasVerifier = 1;
}

def NN_UnpermuteGatesGradOp : NN_ComputeOp<"unpermute_gates_grad", ["gates_grad"], [NN_Cost, NN_RoutedOp]> {
  let summary = "gradient of the gates of nn.unpermute";
  let description = [{
    `output[t, k] = sum over columns of grad[t, :] * rows[row of t*K + k, :]`. `room` as in `nn.permute`: zero for choices without a row.

    ```mlir
    %d = nn.unpermute_gates_grad %grad, %rows, %routing : (<128 x 16>, <256 x 16>, <777 : i32>) -> <128 x 2>
    ```

    Constraints:
    - (C1) `dim(grad, 1) == dim(rows, 1)`
    - (C2) `dim(output, 0) == dim(grad, 0)` and `dim(rows, 0) == dim(output, 0) * dim(output, 1)`, or `room`
  }];
  let arguments = (ins NN_Matrix:$grad, NN_Matrix:$rows, NN_Ids:$routing, OptionalAttr<NN_ExprAttr>:$room);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $rows `,` $routing " # NN_OptionalArg<"room">.text #
                       NN_Functional<["grad", "rows", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Room", "0", "0">.text;
  let hasVerifier = 1;
}

def NN_BalanceLossInputGradOp : NN_ComputeOp<"balance_loss_input_grad", ["scores_grad"],
    [AllTypesMatch<["scores", "output"]>, NN_Cost]> {
  let summary = "gradient of the scores of nn.balance_loss";
  let description = [{
    With f as in `nn.balance_loss` (counted again), `S = sum over j of scores[t, j] + 1e-20`, n sequences, and T the valid tokens
    of the sequence, row t of the output is `grad / (n * T) * (f[i] - sum over j of f[j] * scores[t, j] / S) / S`;
    zeros for a token that is not valid.

    ```mlir
    %d = nn.balance_loss_input_grad %grad, %scores valid(%ids : <128 : i32>) top_k(2) seq(64) : <128 x 8>
    ```

    Constraints: (C1) to (C3) of `nn.balance_loss`.
  }];
  let arguments = (ins NN_Scalar:$grad, NN_Matrix:$scores, Optional<NN_Ids>:$valid, NN_ExprAttr:$top_k,
                       NN_Seq:$seq);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $scores " # NN_OptionalOperand<"valid", "valid">.text # NN_Arg<"top_k">.text #
                       NN_OptionalArg<"seq">.text # "attr-dict `:` custom<TensorType>(type($scores))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

def NN_CrossEntropyInputGradOp : NN_ComputeOp<"cross_entropy_input_grad", ["logits_grad"],
    [AllTypesMatch<["logits", "output"]>, NN_Cost]> {
  let summary = "gradient of the logits of nn.cross_entropy";
  let description = [{
    With n the number of rows that have a target, `output[t, v] = grad / n * (exp(logits[t, v] - lse[t]) - [v == targets[t]])`,
    and zeros where `targets[t] < 0`. Where `lse_grad`, the gradient of lse, is given, `lse_grad[t] * exp(logits[t, v] - lse[t])`
    is added in every row, for lse is a value of every row.

    ```mlir
    %d = nn.cross_entropy_input_grad %grad, %logits, %targets, %lse : <128 x 512>, <128 : i32>, <128>
    %e = nn.cross_entropy_input_grad %grad, %logits, %targets, %lse lse_grad(%g : <128>) : <128 x 512>, <128 : i32>, <128>
    ```

    Constraints:
    - (C1) rows of logits, targets, lse and lse_grad agree
  }];
  let arguments = (ins NN_Scalar:$grad, NN_Matrix:$logits, NN_Ids:$targets, NN_Vector:$lse,
                       Optional<NN_Vector>:$lse_grad);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$grad `,` $logits `,` $targets `,` $lse " # NN_OptionalOperand<"lse_grad", "lse_grad">.text #
                       "attr-dict `:` " # NN_TypesOf<["logits", "targets", "lse"]>.text;
  let hasVerifier = 1;
}

def NN_MeanInputGradOp : NN_ComputeOp<"mean_input_grad", ["input_grad"], [NN_Cost]> {
  let summary = "gradient of the input of nn.mean";
  let description = [{
    With n the number of elements that `nn.mean` takes the mean of, every one of them is `grad / n`; zeros in rows that are
    not valid.

    ```mlir
    %d = nn.mean_input_grad %grad valid(%ids : <128 : i32>) : <128 x 8>
    ```

    Constraints: (C1) of `nn.mean`.
  }];
  let arguments = (ins NN_Scalar:$grad, Optional<NN_Ids>:$valid);
  let results = (outs NN_Rows:$output);
  let assemblyFormat = "$grad " # NN_OptionalOperand<"valid", "valid">.text #
                       "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Beginning and end of a gradient function
//===----------------------------------------------------------------------===//

def NN_FillOp : NN_ComputeOp<"fill", ["fill"], [NN_Cost]> {
  let summary = "a tensor whose elements are one number";
  let description = [{
    Every element is `with`: the gradient of a loss is its weight.

    ```mlir
    %d = nn.fill with(0.3) : <1>
    ```

    Constraints:
    - (C1) `with` is a number
  }];
  let arguments = (ins NN_ExprAttr:$with);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = NN_Arg<"with">.text # "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

def NN_CopyOp : NN_ComputeOp<"copy", ["copy"], [SameOperandsAndResultType, NN_Cost]> {
  let summary = "the same numbers in memory of their own";
  let description = [{
    Autodiff makes one where a function would return an argument, or one value twice: each result of a function has memory
    of its own. Nothing folds it.

    ```mlir
    %d = nn.copy %grad : <tokens x hidden>
    ```
  }];
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$output);
  let assemblyFormat = "$input attr-dict `:` custom<TensorType>(type($output))";
}

#endif
