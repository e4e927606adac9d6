//===- NNLayoutOps.td - operations that only move numbers -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNLAYOUTOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNLAYOUTOPS_TD

include "dialects/nn/NNOpBase.td"

def NN_ConcatOp : NN_ComputeOp<"concat", ["concat"], [InferTypeOpAdaptor, NN_Cost, NN_Gradient]> {
  let summary = "joins the columns of two tensors, head by head";
  let description = [{
    Columns are `heads` groups (default 1); group h of the output is group h of lhs followed by group h of rhs.

    ```mlir
    %q = nn.concat %nope, %rope heads(heads) : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*nope + heads*rope>
    ```

    Constraints:
    - (C1) `heads >= 1`, and divides the columns of lhs and of rhs
    - (C2) rows of lhs and rhs agree
    - (C3) output is `<dim(lhs, 0) x dim(lhs, 1) + dim(rhs, 1)>`
  }];
  let arguments = (ins NN_Matrix:$lhs, NN_Matrix:$rhs, NN_DefaultExpr<"1">:$heads);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$lhs `,` $rhs " # NN_OptionalArg<"heads">.text #
                       NN_Functional<["lhs", "rhs"], ["output"]>.text;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def NN_SliceOp : NN_ComputeOp<"slice", ["slice"], [InferTypeOpAdaptor, NN_PartialCost, NN_Gradient]> {
  let summary = "a range of columns of every head";
  let description = [{
    Columns are `heads` groups (default 1) of W; group h of the output is columns `offset .. offset + size` of group h of the input.

    ```mlir
    %rope = nn.slice %q heads(heads) offset(nope) size(rope) : <tokens x heads*nope + heads*rope> -> <tokens x heads*rope>
    ```

    Constraints:
    - (C1) `heads >= 1`, and divides `dim(input, 1)`
    - (C2) `offset >= 0`, `size >= 1` and `offset + size <= dim(input, 1) / heads`
    - (C3) output is `<dim(input, 0) x heads*size>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_DefaultExpr<"1">:$heads, NN_ExprAttr:$offset, NN_ExprAttr:$size);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input " # NN_OptionalArg<"heads">.text # NN_Arg<"offset">.text # NN_Arg<"size">.text #
                       "attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def NN_BroadcastOp : NN_ComputeOp<"broadcast", ["broadcast"], [InferTypeOpAdaptor, NN_Cost, NN_Gradient]> {
  let summary = "repeats the columns once per head";
  let description = [{
    Every one of the `heads` groups of columns of the output is the whole input (a key shared by all heads).

    ```mlir
    %k = nn.broadcast %shared heads(heads) : <tokens x rope> -> <tokens x heads*rope>
    ```

    Constraints:
    - (C1) `heads >= 1`
    - (C2) output is `<dim(input, 0) x heads*dim(input, 1)>`
  }];
  let arguments = (ins NN_Matrix:$input, NN_ExprAttr:$heads);
  let results = (outs NN_Matrix:$output);
  let assemblyFormat = "$input " # NN_Arg<"heads">.text #
                       "attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def NN_ReshapeOp : NN_ComputeOp<"reshape", ["reshape"], [NN_Cost, NN_Gradient]> {
  let summary = "the same numbers in the same order under another shape";
  let description = [{
    Row-major order stays; nothing needs to move. The type of the output is the argument of the operation, so
    there is none to infer.

    ```mlir
    %y = nn.reshape %x : <tokens x heads*head_dim> -> <tokens*heads x head_dim>
    ```

    Constraints:
    - (C1) input and output have the same number of elements
  }];
  let arguments = (ins NN_Floats:$input);
  let results = (outs NN_Floats:$output);
  let assemblyFormat =
      "$input attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

#endif
