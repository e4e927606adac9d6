//===- Passes.td - from blocks to the functions of a training step --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_AUTODIFF_PASSES_TD
#define CONTRAFLOW_PASSES_AUTODIFF_PASSES_TD

include "mlir/Pass/PassBase.td"

def BuildFunctionsPass : Pass<"autodiff-build-functions", "::mlir::ModuleOp"> {
  let summary = "write every kind of block as forward, evaluate and backward functions";
  let description = [{
    For every block that `nn.graph @train` calls:

    - `X.forward`: inputs, parameters, accumulators of losses, loads and metrics -> outputs, values to save, accumulators;
    - `X.evaluate`: the same without saved values and loads;
    - `X.backward_input`: what it reads of the forward, gradients of outputs, accumulators -> gradients of
      inputs, values for `backward_weight`, accumulators of the parameters whose gradient can't be deferred;
    - `X.backward_weight`: the gradients of matrix products, and what only they need.

    A block that only other graphs call becomes an `X.evaluate` without losses and metrics. Every argument and result says in
    `nn.role` what it is. Functions without results are left out. Blocks and graphs stay, as declarations.

    The gradient of a loss is its weight divided by the module's `nn.micro_batches * nn.replicas` (1 where missing). An output to
    which no call sends a gradient has no `output_grad` argument; where only some calls do, the others must
    pass zeros. A trainable parameter that no gradient reaches gets a remark; its accumulator stays zero.

    Graph values with several gradients are summed by `graph.add.<shape>` (gradient tied, gradient); ids that the graph
    shifts are made by `graph.shift.<rows>.by.<amount>.seq.<sequence>`, with `.starts` at the end where they read document starts.
  }];
  let statistics = [
    Statistic<"numBlocks", "num-blocks", "blocks written as functions">,
    Statistic<"numSaved", "num-saved", "values that forward functions save">,
    Statistic<"numDeferred", "num-deferred", "parameters with a deferrable gradient">,
  ];
  let dependentDialects = ["::mlir::func::FuncDialect", "::contraflow::nn::NNDialect"];
}

def BuildOptimizerPass : Pass<"autodiff-build-optimizer", "::mlir::ModuleOp"> {
  let summary = "write what a step does once: zeroing, clipping, AdamW, bias updates";
  let description = [{
    `step.begin` zeroes gradients, losses, loads and metrics; `step.clip` computes the norm of all gradients and the clip factor;
    `X.optimizer` is AdamW for the parameters of a block (`graph.optimizer` for those of the graph), `X.update` its
    `nn.update` operations. Functions that would do nothing are left out.

    The module attribute `nn.optimizer` is a dictionary of the floats `beta1`, `beta2`, `eps`, `weight_decay` and
    `clip_norm` (0: no clipping); what is missing is 0.9, 0.95, 1e-8, 0.1, 1. Weight decay applies to parameters of two or
    more dimensions.
  }];
  let statistics = [Statistic<"numParameters", "num-parameters", "parameters that an optimizer function updates">];
  let dependentDialects = ["::mlir::func::FuncDialect", "::contraflow::nn::NNDialect"];
}

def VerifyFunctionsPass : Pass<"autodiff-verify-functions", "::mlir::ModuleOp"> {
  let summary = "check the functions of blocks against each other and against their blocks";
  let description = [{
    - (C1) every argument and result has a role that its function may have, under a name of its own
    - (C2) a tied result has kind, name and type of its argument, and an argument is tied once; accumulators and
      state are tied, everything else is not
    - (C3) a result that is not tied is made by an operation, and returned once
    - (C4) operations have no side effects
    - (C5) values saved by forward are those that the backward functions take, and values saved by backward_input those
      that backward_weight takes, with the same types
    - (C6) every trainable parameter is accumulated by exactly one backward function, unless forward lists it
      under `nn.without_gradient`
    - (C7) inputs, outputs, parameters and their gradients have names and types of the block's
  }];
}

#endif
