//===- NNOps.td - operations that models are written with -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNOPS_TD

include "dialects/nn/NNOpBase.td"
include "dialects/nn/NNElementwiseOps.td"
include "dialects/nn/NNLayoutOps.td"
include "dialects/nn/NNRoutingOps.td"

//===----------------------------------------------------------------------===//
// Tables and matrix products
//===----------------------------------------------------------------------===//

def NN_EmbeddingOp : NN_ComputeOp<"embedding", ["embedding"],
    [InferTypeOpAdaptor, NN_PartialCost, NN_WeightGradient]> {
  let summary = "rows of a table, chosen by token id";
  let description = [{
    `output[t, :] = table[ids[t], :]`, and a row of zeros where `ids[t] < 0` (no token).

    ```mlir
    %x = nn.embedding %ids, %table : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    ```

    Constraints:
    - (C1) output is `<dim(ids, 0) x dim(table, 1)>`
  }];
  let arguments = (ins NN_Ids:$ids, NN_Matrix:$table);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$ids `,` $table " # NN_Functional<["ids", "table"], ["output"]>.text;
  let extraClassDeclaration = NN_WeightDecl<0>.text;
  let hasVerifier = 1;
}

def NN_LinearOp : NN_ComputeOp<"linear", ["linear"], [InferTypeOpAdaptor, NN_Cost, NN_WeightGradient]> {
  let summary = "matrix product with a weight stored as <out x in>";
  let description = [{
    `output = input * weight^T`. Weights lie as Hugging Face stores them. A bias is an `nn.add`.

    ```mlir
    %y = nn.linear %x, %w : (<tokens x hidden>, <heads*nope x hidden>) -> <tokens x heads*nope>
    ```

    Constraints:
    - (C1) `dim(input, 1) == dim(weight, 1)`
    - (C2) output is `<dim(input, 0) x dim(weight, 0)>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_Matrix:$weight);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input `,` $weight " # NN_Functional<["input", "weight"], ["output"]>.text;
  let extraClassDeclaration = NN_WeightDecl<1>.text;
  let hasVerifier = 1;
}

def NN_GroupedLinearOp : NN_ComputeOp<"grouped_linear", ["grouped_linear"],
    [InferTypeOpAdaptor, NN_Cost, NN_WeightGradient, NN_RoutedOp]> {
  let summary = "one matrix product per expert, over the rows routed to it";
  let description = [{
    Rows lie sorted by expert (`nn.permute`): `output[r, :] = weight[e] * input[r, :]` for the rows r of
    expert e, which are `offsets[e] .. offsets[e + 1]` of the routing table (`nn.route`).

    `choices`: the table is of one of several ranks (`comm.local_routing`) and of so many choices. Rows behind the last one are not
    written.

    ```mlir
    %h = nn.grouped_linear %rows, %w, %routing
       : (<tokens*top_k x hidden>, <experts x inner x hidden>, <3*tokens*top_k + experts + 1 : i32>) -> <tokens*top_k x inner>
    ```

    Constraints:
    - (C1) `dim(input, 1) == dim(weight, 2)`
    - (C2) `dim(routing, 0) == 2*choices + dim(input, 0) + dim(weight, 0) + 1`; choices are `dim(input, 0)` if left out
    - (C3) output is `<dim(input, 0) x dim(weight, 1)>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_Stack:$weight, NN_Ids:$routing, OptionalAttr<NN_ExprAttr>:$choices);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input `,` $weight `,` $routing " # NN_OptionalArg<"choices">.text #
                       NN_Functional<["input", "weight", "routing"], ["output"]>.text;
  let extraClassDeclaration = NN_WeightDecl<1>.text # NN_RoutedDecl<"Choices", "", "", "0", "1">.text;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Normalisation, positions, attention
//===----------------------------------------------------------------------===//

def NN_RmsNormOp : NN_ComputeOp<"rms_norm", ["norm"],
    [AllTypesMatch<["input", "output"]>, NN_Cost, NN_WeightGradient]> {
  let summary = "root-mean-square normalisation of groups of columns";
  let description = [{
    Every group of W consecutive columns is divided by its root mean square and multiplied by the weight:
    `output = weight * input / sqrt(mean(input^2) + eps)`. W is the size of the weight. W equal to the number of columns
    is the usual norm; W equal to the size of a head normalises each head by itself. (arXiv 1910.07467.)

    ```mlir
    %y = nn.rms_norm %x, %w eps(1.0e-6) : <tokens x hidden>, <hidden>
    %z = nn.rms_norm %q, %v eps(eps) : <tokens x heads*head_dim>, <head_dim>
    ```

    Constraints:
    - (C1) `dim(input, 1)` is a multiple of `dim(weight, 0)`
    - (C2) `eps >= 0`
  }];
  let arguments = (ins NN_Matrix:$input, NN_Vector:$weight, NN_ExprAttr:$eps);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input `,` $weight " # NN_Arg<"eps">.text # "attr-dict `:` " #
                       NN_TypesOf<["input", "weight"]>.text;
  let extraClassDeclaration = NN_WeightDecl<0>.text;
  let hasVerifier = 1;
}

class NN_RopeLikeOp<string mnemonic, list<string> names, list<Trait> traits>
    : NN_ComputeOp<mnemonic, names, !listconcat([NN_Cost], traits)> {
  let arguments = (ins NN_Matrix:$input, NN_ExprAttr:$head_dim, NN_Seq:$seq, NN_ExprAttr:$theta,
                       NN_DefaultExpr<"\"interleaved\"">:$style, NN_DefaultExpr<"1.0">:$factor,
                       NN_DefaultExpr<"32.0">:$beta_fast, NN_DefaultExpr<"1.0">:$beta_slow,
                       NN_DefaultExpr<"4096">:$original_length, NN_DefaultExpr<"1.0">:$attention_factor);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input " # NN_Arg<"head_dim">.text # NN_OptionalArg<"seq">.text # NN_Arg<"theta">.text #
                       NN_OptionalArg<"style">.text #
                       "(custom<Yarn>($factor, $beta_fast, $beta_slow, $original_length, $attention_factor)^)? " #
                       "attr-dict `:` custom<TensorType>(type($input))";
  let hasVerifier = 1;
  code declaration = [{
    /// The angle by which position 1 turns each of the head_dim / 2 pairs; attributes must be bound.
    ::llvm::SmallVector<double> getFrequencies();
    bool isInterleaved() { return getString(getStyle()) == "interleaved"; }
  }];
  let extraClassDeclaration = declaration;
}

def NN_RopeOp : NN_RopeLikeOp<"rope", ["rope"], [AllTypesMatch<["input", "output"]>, NN_Gradient]> {
  let summary = "rotary position embedding, with YaRN scaling";
  let description = [{
    Turns pairs of columns of every group of `head_dim` columns by an angle that grows with the position;
    row t has position `t mod seq`. Pair i (`0 <= i < head_dim / 2`) is columns (2i, 2i + 1) where style is "interleaved" and
    (i, i + head_dim / 2) where it is "half"; the output keeps the order of the input.

        angle = position * frequency[i],  c = attention_factor * cos(angle),  s = attention_factor * sin(angle)
        output[first] = c * input[first] - s * input[second]
        output[second] = s * input[first] + c * input[second]

    `frequency[i] = theta^(-2i / head_dim)` (arXiv 2104.09864). YaRN (arXiv 2309.00071) divides the slow ones by `factor`: with

        dimension(beta) = head_dim * log(original_length / (2 pi beta)) / (2 log(theta))
        low = max(floor(dimension(beta_fast)), 0),  high = min(ceil(dimension(beta_slow)), head_dim - 1)
        ramp[i] = clamp((i - low) / (high - low), 0, 1)         (high - low is 0.001 where it would be 0)

    frequency i is multiplied by `ramp[i] / factor + (1 - ramp[i])`. A factor of 1 changes nothing.

    ```mlir
    %q = nn.rope %x head_dim(rope) theta(theta) : <tokens x heads*rope>
    %k = nn.rope %y head_dim(64) seq(4096) theta(10000.0) style("half") yarn(factor = 40.0, beta_fast = 32, beta_slow = 1,
           original_length = 4096, attention_factor = 1.0) : <8192 x 64>
    ```

    Constraints:
    - (C1) `head_dim` is even and at least 2
    - (C2) `dim(input, 1)` is a multiple of `head_dim`
    - (C3) `seq >= 1` and divides `dim(input, 0)`
    - (C4) `theta > 1`
    - (C5) style is "interleaved" or "half"
    - (C6) `factor`, `beta_fast`, `beta_slow`, `original_length` and `attention_factor` are positive
    - (C7) the angles, three numbers of four bytes per position and pair, take at most 256 MiB: they are a part of the program
  }];
}

class NN_AttentionLikeOp<string mnemonic, list<string> names, list<Trait> traits>
    : NN_ComputeOp<mnemonic, names, !listconcat([NN_Cost], traits)> {
  code declaration = [{
    int64_t getHeadDim() { return getQuery().getType().getDim(1) / getInt(getHeads()); }
    int64_t getValueDim() { return getValue().getType().getDim(1) / getInt(getKvHeads()); }
  }];
  let extraClassDeclaration = declaration;
  let hasVerifier = 1;
}

def NN_AttentionOp : NN_AttentionLikeOp<"attention", ["attention", "lse"],
    [AttrSizedOperandSegments, InferTypeOpAdaptor, NN_Gradient, NN_Random]> {
  let summary = "softmax(q k^T * scale) v per sequence and head";
  let description = [{
    Rows are `seq` positions of one sequence after another. Query head h uses key/value head
    `h / (heads / kv_heads)`; sizes of query/key heads and of value heads may differ (multi-head latent attention, arXiv
    2412.19437 section 2.1.1). A position sees the keys of its own sequence: all of them, or where `causal` those up to itself; where
    `starts` is given, only those with index `>= starts[t]` (documents packed into one sequence do not see each other).
    The second result is the natural logarithm of the sum of exponentials of each row, which the backward wants; gradients
    go through it as well.

    Where `dropout` is p > 0, training sets every probability to zero with probability p and divides the others by `1 - p`: with
    the words `k0, k1, m, 0` of the random key, that of query s and key j in head h of sequence b of B is dropped if word `s mod 4` of Philox
    4x32-10 with key `(k0, k1)` at counter `(j, s div 4, stream, (m * B + b) * heads + h)` is below `p * 2^32`. lse is that of all
    probabilities. Autodiff gives key and stream.

    ```mlir
    %o, %lse = nn.attention %q, %k, %v causal heads(heads) kv_heads(kv) scale(scale)
             : (<tokens x heads*d>, <tokens x kv*d>, <tokens x kv*dv>) -> (<tokens x heads*dv>, <tokens x heads>)
    %p, %lse2 = nn.attention %q, %k, %v starts(%starts : <tokens : i32>) causal heads(heads) kv_heads(kv) scale(scale)
              : (<tokens x heads*d>, <tokens x kv*d>, <tokens x kv*dv>) -> (<tokens x heads*dv>, <tokens x heads>)
    ```

    Constraints:
    - (C1) `heads` and `kv_heads` are positive and `heads` is a multiple of `kv_heads`
    - (C2) rows of query, key, value, output, lse and starts agree
    - (C3) `dim(query, 1)` is a multiple of `heads`, `dim(value, 1)` of `kv_heads`, and
      `dim(query, 1) * kv_heads == dim(key, 1) * heads`
    - (C4) `dim(output, 1) * kv_heads == dim(value, 1) * heads` and `dim(lse, 1) == heads`
    - (C5) `seq >= 1` and divides the number of rows
    - (C6) `scale` is a number
    - (C7) `0 <= dropout < 1`
  }];
  let arguments = (ins NN_Matrix:$query, NN_Matrix:$key, NN_Matrix:$value, Optional<NN_Ids>:$starts,
                       Optional<NN_RandomKey>:$random, UnitAttr:$causal, NN_ExprAttr:$heads, NN_ExprAttr:$kv_heads,
                       NN_Seq:$seq, NN_ExprAttr:$scale, NN_DefaultExpr<"0.0">:$dropout,
                       DefaultValuedAttr<I64Attr, "0">:$stream);
  let results = (outs NN_Matrix:$output, NN_Matrix:$lse);
  let assemblyFormat = "$query `,` $key `,` $value " # NN_OptionalOperand<"starts", "starts">.text #
                       "(`causal` $causal^)? " # NN_Arg<"heads">.text # NN_Arg<"kv_heads">.text #
                       NN_OptionalArg<"seq">.text # NN_Arg<"scale">.text # NN_OptionalArg<"dropout">.text #
                       NN_RandomOperand<"random">.text # NN_Functional<["query", "key", "value"], ["output", "lse"]>.text;
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

def NN_CrossEntropyOp : NN_ComputeOp<"cross_entropy", ["cross_entropy", "lse"],
    [InferTypeOpAdaptor, NN_Cost, NN_Gradient]> {
  let summary = "mean negative log-likelihood of the targets";
  let description = [{
    The mean over the rows with `targets[t] >= 0` of `lse[t] - logits[t, targets[t]]`, and 0 where there is no such row;
    lse, the second result, is the natural logarithm of the sum of exponentials of each row (subtracting the maximum first),
    of rows without a target too.

    ```mlir
    %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
    ```

    Constraints:
    - (C1) `dim(logits, 0) == dim(targets, 0)`
    - (C2) loss is `<1>`, lse is `<dim(logits, 0)>`
  }];
  let arguments = (ins NN_Matrix:$logits, NN_Ids:$targets);
  let results = (outs NN_Scalar:$loss, NN_Vector:$lse);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` " # NN_TypesOf<["logits", "targets"]>.text;
  let hasVerifier = 1;
}

def NN_AccuracyOp : NN_ComputeOp<"accuracy", ["hits"], [NN_Cost]> {
  let summary = "how many targets are the most probable token of their row";
  let description = [{
    `output[0]` is the number of rows with `targets[t] >= 0` whose largest logit is that of the target; of equal logits the one with
    the lowest index counts, and a row that holds a NaN has none. `output[1]` is the number of rows with `targets[t] >= 0`. Both
    are exact up to 2^24. Made for `nn.metric ratio`; no gradient goes through it.

    ```mlir
    %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.metric ratio "accuracy" %hits : <2>
    ```

    Constraints:
    - (C1) `dim(logits, 0) == dim(targets, 0)`
  }];
  let arguments = (ins NN_Matrix:$logits, NN_Ids:$targets);
  let results = (outs NN_Pair:$output);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` " # NN_TypesOf<["logits", "targets"]>.text;
  let hasVerifier = 1;
}

def NN_MeanOp : NN_ComputeOp<"mean", ["mean"], [NN_Cost, NN_Gradient]> {
  let summary = "mean of all elements, or of those of some rows";
  let description = [{
    The mean of the elements of a vector or of a matrix; where `valid` is given, of the rows (elements of a vector) t with
    `valid[t] >= 0`, and 0 where there is no such row. Makes a loss of a value per token, for example the z-loss of
    arXiv 2202.08906, equation 5:

    ```mlir
    %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
    %square = nn.mul %lse, %lse : <tokens>
    %z = nn.mean %square valid(%targets : <tokens : i32>) : <tokens>
    nn.loss "z" weight(1.0e-4) %z : <1>
    ```

    Constraints:
    - (C1) `dim(valid, 0) == dim(input, 0)`
  }];
  let arguments = (ins NN_Rows:$input, Optional<NN_Ids>:$valid);
  let results = (outs NN_Scalar:$output);
  let assemblyFormat = "$input " # NN_OptionalOperand<"valid", "valid">.text #
                       "attr-dict `:` custom<TensorType>(type($input))";
  let hasVerifier = 1;
}

#endif
