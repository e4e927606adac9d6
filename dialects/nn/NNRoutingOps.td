//===- NNRoutingOps.td - mixture of experts: who computes which row -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNROUTINGOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNROUTINGOPS_TD

include "dialects/nn/NNOpBase.td"

def NN_RouteOp : NN_ComputeOp<"route", ["gates", "scores", "routing", "load"],
    [AttrSizedOperandSegments, InferTypeOpAdaptor, NN_Cost, NN_Gradient]> {
  let summary = "chooses top_k experts per token and sorts the rows by expert";
  let description = [{
    The router of DeepSeek-V3 (arXiv 2412.19437 section 2.1.2), with T tokens, E experts, K = top_k.

    - `scores[t, e]` is the sigmoid or the softmax (over e) of the logits. The selection score is `scores + bias`.
    - With G = `groups` > 1 groups of E / G consecutive experts, only the experts of the `group_limit` best groups may be chosen. The
      score of a group is the sum of its two best selection scores ("top2sum") or its best one ("max").
    - The K best selection scores are chosen; ties go to the lower expert index, and chosen experts are listed best first.
    - `gates[t, k]` is the score (without bias) of the k-th choice, divided by the sum over k plus 1e-20 where `normalize`,
      times `scale`.
    - `routing` is an i32 table, for rows that `nn.permute` sorts by expert, stable in t*K + k:

          [0,    T*K)          expert of t*K + k
          [T*K,  2*T*K)        row of t*K + k
          [2*T*K, 3*T*K)       t*K + k of a row
          [3*T*K, 3*T*K + E]   first row of an expert; the last entry is T*K

    - `load[e]` is the number of tokens that chose e. Tokens whose `valid` id is negative are routed, but not counted.

    No token is dropped, and choices carry no gradient.

    ```mlir
    %gates, %scores, %routing, %load = nn.route %logits top_k(top_k) score("sigmoid") normalize(true) scale(2.5) : <tokens x experts>
    %g, %s, %r, %l = nn.route %logits bias(%bias : <experts>) valid(%ids : <tokens : i32>) top_k(top_k) groups(groups)
        group_limit(group_limit) group_score("top2sum") score(scoring) normalize(norm_topk) scale(scale) : <tokens x experts>
    ```

    Constraints:
    - (C1) `dim(bias, 0) == dim(logits, 1)`
    - (C2) `dim(valid, 0) == dim(logits, 0)`
    - (C3) `groups >= 1` and divides E; `1 <= group_limit <= groups`
    - (C4) `1 <= top_k <= group_limit * E / groups`
    - (C5) score is "sigmoid" or "softmax", group_score "top2sum" or "max"; top2sum wants two experts in a group
    - (C6) `normalize` is a truth value, `scale` a number
    - (C7) results are `<T x K>`, `<T x E>`, `<3*T*K + E + 1 : i32>`, `<E>`
  }];
  let arguments = (ins NN_Matrix:$logits, Optional<NN_Vector>:$bias, Optional<NN_Ids>:$valid,
                       NN_ExprAttr:$top_k, NN_DefaultExpr<"1">:$groups, NN_DefaultExpr<"1">:$group_limit,
                       NN_DefaultExpr<"\"max\"">:$group_score, NN_ExprAttr:$score, NN_ExprAttr:$normalize,
                       NN_ExprAttr:$scale);
  let results = (outs NN_Matrix:$gates, NN_Matrix:$scores, NN_Ids:$routing, NN_Vector:$load);
  let assemblyFormat = "$logits " # NN_OptionalOperand<"bias", "bias">.text #
                       NN_OptionalOperand<"valid", "valid">.text # NN_Arg<"top_k">.text #
                       NN_OptionalArg<"groups">.text # NN_OptionalArg<"group_limit">.text #
                       NN_OptionalArg<"group_score">.text # NN_Arg<"score">.text # NN_Arg<"normalize">.text #
                       NN_Arg<"scale">.text # "attr-dict `:` custom<TensorType>(type($logits))";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def NN_PermuteOp : NN_ComputeOp<"permute", ["rows"], [InferTypeOpAdaptor, NN_Cost, NN_Gradient, NN_RoutedOp]> {
  let summary = "copies every token to the rows of its experts";
  let description = [{
    `output[row of t*K + k, :] = input[t, :]`: rows lie sorted by expert. One row per token and choice.

    `room`: the table is of one of several ranks (`comm.local_routing`) and has room for so many rows. Choices of experts that lie
    elsewhere have none, and rows behind the last one are zero.

    ```mlir
    %rows = nn.permute %x, %routing top_k(top_k)
          : (<tokens x hidden>, <3*tokens*top_k + experts + 1 : i32>) -> <tokens*top_k x hidden>
    ```

    Constraints:
    - (C1) `top_k >= 1` and, where known, `dim(routing, 0) > 2 * dim(input, 0) * top_k + dim(output, 0) + 1`
    - (C2) output is `<dim(input, 0)*top_k x dim(input, 1)>`, or `<room x dim(input, 1)>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_Ids:$routing, NN_ExprAttr:$top_k, OptionalAttr<NN_ExprAttr>:$room);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input `,` $routing " # NN_Arg<"top_k">.text # NN_OptionalArg<"room">.text #
                       NN_Functional<["input", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Room", "0", "", "0">.text;
  let hasVerifier = 1;
}

def NN_UnpermuteOp : NN_ComputeOp<"unpermute", ["combined"], [InferTypeOpAdaptor, NN_Cost, NN_Gradient, NN_RoutedOp]> {
  let summary = "sums the rows of a token, weighted by its gates";
  let description = [{
    `output[t, :] = sum over k of gates[t, k] * input[row of t*K + k, :]`, k from 0 upwards. `room` as in `nn.permute`: choices without a
    row add nothing.

    ```mlir
    %y = nn.unpermute %rows, %routing, %gates
       : (<tokens*top_k x hidden>, <3*tokens*top_k + experts + 1 : i32>, <tokens x top_k>) -> <tokens x hidden>
    ```

    Constraints:
    - (C1) `dim(input, 0) == dim(gates, 0) * dim(gates, 1)`, or `room`
    - (C2) where known, `dim(routing, 0) > 2 * dim(gates, 0) * dim(gates, 1) + dim(input, 0) + 1`
    - (C3) output is `<dim(gates, 0) x dim(input, 1)>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_Ids:$routing, NN_Matrix:$gates, OptionalAttr<NN_ExprAttr>:$room);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input `,` $routing `,` $gates " # NN_OptionalArg<"room">.text #
                       NN_Functional<["input", "routing", "gates"], ["output"]>.text;
  let extraClassDeclaration = NN_RoutedDecl<"Room", "2", "0">.text;
  let hasVerifier = 1;
}

def NN_BalanceLossOp : NN_ComputeOp<"balance_loss", ["balance_loss"], [NN_Cost, NN_Gradient]> {
  let summary = "sequence-wise balance loss of a router, without its coefficient";
  let description = [{
    arXiv 2412.19437, equations 17 to 20: the mean over sequences of `sum over i of f[i] * P[i]`, with N experts, K = top_k and the
    sum and means over the T tokens of the sequence:

        f[i] = N / (K * T) * (number of tokens whose top K scores, without bias and groups, contain i)
        P[i] = mean over tokens of scores[t, i] / (sum over j of scores[t, j] + 1e-20)

    Tokens whose `valid` id is negative count nowhere, T included. No gradient goes through f.

    ```mlir
    %balance = nn.balance_loss %scores valid(%ids : <tokens : i32>) top_k(top_k) : <tokens x experts>
    ```

    Constraints:
    - (C1) `dim(valid, 0) == dim(scores, 0)`
    - (C2) `1 <= top_k <= dim(scores, 1)`
    - (C3) `seq >= 1` and divides `dim(scores, 0)`
  }];
  let arguments = (ins NN_Matrix:$scores, Optional<NN_Ids>:$valid, NN_ExprAttr:$top_k, NN_Seq:$seq);
  let results = (outs NN_Scalar:$output);
  let assemblyFormat = "$scores " # NN_OptionalOperand<"valid", "valid">.text # NN_Arg<"top_k">.text #
                       NN_OptionalArg<"seq">.text # "attr-dict `:` custom<TensorType>(type($scores))";
  let hasVerifier = 1;
}

def NN_BiasUpdateOp : NN_ComputeOp<"bias_update", ["bias"], [SameOperandsAndResultType, NN_Cost]> {
  let summary = "the selection bias after a step";
  let description = [{
    `output = bias + rate * sign(mean(load) - load)`, sign(0) = 0. What `nn.update` becomes.

    ```mlir
    %new = nn.bias_update %bias, %load rate(1.0e-3) : <experts>
    ```

    Constraints:
    - (C1) `rate` is a number
  }];
  let arguments = (ins NN_Vector:$bias, NN_Vector:$load, NN_ExprAttr:$rate);
  let results = (outs NN_Vector:$output);
  let assemblyFormat = "$bias `,` $load " # NN_Arg<"rate">.text # "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

#endif
