//===- NNOptimizerOps.td - accumulation, clipping and the optimizer -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNOPTIMIZEROPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNOPTIMIZEROPS_TD

include "dialects/nn/NNOpBase.td"

def NN_ZeroOp : NN_ComputeOp<"zero", ["zero"], [NN_Cost]> {
  let summary = "a tensor of zeros";
  let description = [{
    Every element is zero.

    ```mlir
    %z = nn.zero : <tokens x hidden>
    ```
  }];
  let results = (outs NN_Tensor:$output);
  let assemblyFormat = "attr-dict `:` custom<TensorType>(type($output))";
}

def NN_AccumulateOp : NN_ComputeOp<"accumulate", ["sum"], [SameOperandsAndResultType, NN_Cost]> {
  let summary = "adds to an accumulator, in its memory";
  let description = [{
    `output = accumulator + value`. The output lives in the memory of the accumulator, whose old value nothing may read
    afterwards: gradients, losses and loads of the micro-batches of a step are summed in order.

    ```mlir
    %g = nn.accumulate %acc, %weight_grad : <inner x hidden>
    ```
  }];
  let arguments = (ins NN_Floats:$accumulator, NN_Floats:$value);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$accumulator `,` $value attr-dict `:` custom<TensorType>(type($output))";
  let hasFolder = 1;
}

def NN_SumSquaresOp : NN_ComputeOp<"sum_squares", ["sum_squares"], [NN_Cost]> {
  let summary = "sum of the squares of all elements";
  let description = [{
    In a fixed order that depends on the shape only.

    ```mlir
    %s = nn.sum_squares %grads : <count>
    ```
  }];
  let arguments = (ins NN_Floats:$input);
  let results = (outs NN_Scalar:$output);
  let assemblyFormat = "$input attr-dict `:` custom<TensorType>(type($input))";
}

def NN_ClipFactorOp : NN_ComputeOp<"clip_factor", ["scalars"], [AllTypesMatch<["scalars", "output"]>, NN_Cost]> {
  let summary = "completes the step scalars by gradient norm and clip factor";
  let description = [{
    With `norm = sqrt(sum_squares)`, entry 3 becomes `min(1, max_norm / (norm + 1e-6))`, or 1 where `max_norm` is 0 (no clipping),
    and entry 4 becomes `norm`. The output lives in the memory of `scalars`.

    ```mlir
    %t = nn.clip_factor %sum_squares, %scalars max_norm(1.0)
    ```

    Constraints:
    - (C1) `max_norm >= 0`
  }];
  let arguments = (ins NN_Scalar:$sum_squares, NN_StepScalars:$scalars, NN_ExprAttr:$max_norm);
  let results = (outs NN_StepScalars:$output);
  let assemblyFormat = "$sum_squares `,` $scalars " # NN_Arg<"max_norm">.text # "attr-dict";
  let hasVerifier = 1;
}

def NN_AdamwOp : NN_ComputeOp<"adamw", ["param", "first_moment", "second_moment"],
    [AllTypesMatch<["param", "grad", "first_moment", "second_moment", "new_param", "new_first_moment",
                    "new_second_moment"]>, NN_Cost]> {
  let summary = "one AdamW step of one parameter, in place";
  let description = [{
    The results live in the memory of param, first_moment and second_moment. `scalars` holds numbers of the step: [0] learning rate lr,
    [1] `c1 = 1 - beta1^t`, [2] `c2 = 1 - beta2^t`, [3] clip factor, [4] gradient norm; the rest is reserved. In PyTorch's order
    (arXiv 1711.05101, decoupled decay first):

        g = grad * clip factor
        m = beta1 * m + (1 - beta1) * g,  v = beta2 * v + (1 - beta2) * g^2
        p = p - lr * weight_decay * p
        p = p - lr * (m / c1) / (sqrt(v / c2) + eps)

    ```mlir
    %p2, %m2, %v2 = nn.adamw %p, %g, %m, %v, %scalars beta1(0.9) beta2(0.95) eps(1.0e-8) weight_decay(0.1) : <inner x hidden>
    ```

    Constraints:
    - (C1) `0 <= beta1 < 1` and `0 <= beta2 < 1`
    - (C2) `eps >= 0` and `weight_decay >= 0`
  }];
  let arguments = (ins NN_Floats:$param, NN_Floats:$grad, NN_Floats:$first_moment, NN_Floats:$second_moment,
                       NN_StepScalars:$scalars, NN_ExprAttr:$beta1, NN_ExprAttr:$beta2, NN_ExprAttr:$eps,
                       NN_ExprAttr:$weight_decay);
  let results = (outs NN_Floats:$new_param, NN_Floats:$new_first_moment, NN_Floats:$new_second_moment);
  let assemblyFormat = "$param `,` $grad `,` $first_moment `,` $second_moment `,` $scalars " # NN_Arg<"beta1">.text #
                       NN_Arg<"beta2">.text # NN_Arg<"eps">.text # NN_Arg<"weight_decay">.text #
                       "attr-dict `:` custom<TensorType>(type($param))";
  let hasVerifier = 1;
}

def NN_EmaOp : NN_ComputeOp<"ema", ["average"], [SameOperandsAndResultType, NN_Cost]> {
  let summary = "one step of an exponential moving average, in place";
  let description = [{
    `output = average + (1 - decay) * (value - average)`, so that an average which its value has reached stays there, whatever
    the rounding of `1 - decay`. The output lives in the memory of the average.

    ```mlir
    %e = nn.ema %average, %param decay(0.999) : <inner x hidden>
    ```

    Constraints:
    - (C1) `0 <= decay < 1`
  }];
  let arguments = (ins NN_Floats:$average, NN_Floats:$value, NN_ExprAttr:$decay);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$average `,` $value " # NN_Arg<"decay">.text # "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
}

#endif
