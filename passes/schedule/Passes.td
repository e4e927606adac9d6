//===- Passes.td - schedule: the step as a program ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_SCHEDULE_PASSES_TD
#define CONTRAFLOW_PASSES_SCHEDULE_PASSES_TD

include "mlir/Pass/PassBase.td"

def BuildProgramPass : Pass<"schedule-build-program", "::mlir::ModuleOp"> {
  let summary = "writes the graph and the functions of its blocks as programs";
  let description = [{
    `@train`: `step.begin`; for every micro-batch the forwards in the order of the graph, then the backwards in reverse, each
    input gradient before its weight gradient; `step.clip`, optimizers, updates, and `step.ema` where there is one. `@evaluate`: the forwards of one
    micro-batch with nothing saved. Where a module has functions that sum over ranks (`step.reduce_...`), their collectives are
    started behind the last backward, and behind the forwards of `@evaluate`. `@generate`: what the outputs of `nn.graph @generate` need.

    A graph value that several calls read gets one gradient from each of them: the last reader writes it, and the others,
    from last to first, write to a buffer of their own that `graph.add.<shape>` adds to it. An output that some calls
    of its block get a gradient for and this one does not, is given zeros by `graph.zero.<shape>`.

    Parameters become `pipe.parameter`; the blocks and graphs are erased, since nothing is left in them that a later
    phase needs. Code is as it was: layers and micro-batches are rows of the programs.
  }];
  let statistics = [
    Statistic<"numRuns", "num-runs", "rows of all programs">,
    Statistic<"numBuffers", "num-buffers", "buffers of all programs">,
  ];
  let dependentDialects = ["::contraflow::pipe::PipeDialect", "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect", "::mlir::math::MathDialect"];
}

def CountOperationsPass : Pass<"schedule-count-operations", "::mlir::ModuleOp"> {
  let summary = "writes beside every function what its operations cost";
  let description = [{
    Lists what `CostOp` says of the operations of a function in `nn.costs`. Runs before fusion, because kernels may
    compute a thing twice to save memory traffic, and model flops should not count that.

    An operation is named after the parameter or accumulator that it works on, without `.weight`. One that works on none
    belongs to the part of the model that its operands come from, else to the one that its results go to:
    `attention` of `self_attn`, between `self_attn.q_b_proj` and `self_attn.o_proj`.
  }];
  let statistics = [Statistic<"numOperations", "num-operations", "operations of all functions">];
}

def VerifyProgramPass : Pass<"schedule-verify-program", "::mlir::ModuleOp"> {
  let summary = "checks programs against the functions that they run";
  let description = [{
    Walks every program from top to bottom with the roles of the functions' arguments and results:
    - (C1) a run passes as many buffers as its function takes, each as large as the tensor
    - (C2) a value is written before it is read, by an earlier run or by the runtime
    - (C3) nothing is written twice; what a tied argument adds to has not been read yet
    - (C4) what a forward saved is read by the backwards of the same instance and micro-batch only
    - (C5) every forward is followed by the backwards that its block has, once, for every micro-batch
    - (C6) no run changes a gradient after `clip`, and parameters change at the end, by `optimizer` and `update`; only `ema` comes after them
    - (C7) parameters have the shapes that functions take
    - (C8) between the start of a collective and its wait nothing writes what it reads, and nothing touches what it writes
    - (C9) collectives are over an axis of the module's mesh; parts and wholes differ by the size of a group
  }];
}

def VerifyHostPass : Pass<"schedule-verify-host", "::mlir::ModuleOp"> {
  let summary = "checks programs and parameters against what the runtime goes by";
  let description = [{
    Looks at what the runtime is told of programs, whether their functions are kernels or code:
    - (C1) inputs, logits and micro-batches are as many as `nn.batch`, `nn.seq`, `nn.micro_batches` and `nn.vocab` say
    - (C2) a program exposes nothing twice; metrics share their names
    - (C3) parameters have names that differ, and an `init` that the runtime knows
    - (C4) parameters lie in the order in which they stand, each at the next multiple of 64, and fill the buffer `parameters`
  }];
}

#endif
