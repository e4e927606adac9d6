//===- Passes.td - the program of one rank of a mesh ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_PARALLEL_PASSES_TD
#define CONTRAFLOW_PASSES_PARALLEL_PASSES_TD

include "mlir/Pass/PassBase.td"

def InsertDispatchPass : Pass<"parallel-insert-dispatch", "::mlir::ModuleOp"> {
  let summary = "spread the experts of blocks over the ranks of ep";
  let description = [{
    In every function of a block, over each routing table:

    - what has a row per token and is read by a routed operation goes to the ranks of the experts first (`comm.dispatch`), all of it in one
      message where it is there in time; what comes out with a row per token comes back (`comm.combine`);
    - routed operations read the table of this rank (`comm.local_routing`), which the forward makes from the choices that come with the rows;
    - tensors with a dimension for experts, parameters and accumulators among them, are this rank's share;
    - what lies by row has room for the choices that come: `receive-bound` times an even load, and never more than can come.

    Layout, table and gates of this rank are saved for the backward under `<name>.layout`, `<name>.local` and `<name>.received`. An argument with
    the role `round` says which round of rows is meant. Nothing happens where `comm.mesh` has no ep, or one of 1.
  }];
  let options = [
    Option<"receiveBound", "receive-bound", "double", "2.0", "room for rows of other ranks, in multiples of an even load">,
  ];
  let statistics = [
    Statistic<"numDispatched", "num-dispatched", "messages of rows that go to the ranks of experts">,
    Statistic<"numCombined", "num-combined", "messages of rows that come back">,
  ];
  let dependentDialects = ["::contraflow::comm::CommDialect", "::contraflow::nn::NNDialect"];
}

def ReduceStepPass : Pass<"parallel-reduce-step", "::mlir::ModuleOp"> {
  let summary = "sum what the ranks of dp have made of their micro-batches";
  let description = [{
    A step begins with zeros for what its micro-batches add to (`step.begin`): gradients, losses, loads, metrics. For each of them there is a
    function that sums it over dp, `step.reduce_gradients` and so on, which the schedule runs behind the last micro-batch. Nothing happens where
    `comm.mesh` has no dp, or one of 1.

    ```mlir
    func.func @step.reduce_losses(%losses: !nn.tensor<2> {nn.role = #nn.role<loss, "losses">})
        -> (!nn.tensor<2> {nn.role = #nn.role<loss, "losses", tied = 0>}) {
      %sum = comm.all_reduce %losses over dp : <2>
      return %sum : !nn.tensor<2>
    }
    ```
  }];
  let statistics = [
    Statistic<"numElements", "num-elements", "numbers that a step sums over ranks">,
  ];
  let dependentDialects = ["::contraflow::comm::CommDialect", "::mlir::func::FuncDialect"];
}

def VerifyCollectivesPass : Pass<"parallel-verify-collectives", "::mlir::ModuleOp"> {
  let summary = "checks that all ranks of a group reach the same collectives in the same order";
  let description = [{
    One program serves all ranks, so it is enough that nothing of one rank decides whether a collective is reached:

    - (C1) a collective is an operation of a function's only block
    - (C2) a function with a collective holds collectives and the return only, so that the schedule can put it between runs
    - (C3) what such a function returns is the result of a collective; one that is tied to an argument is a sum of it
  }];
}

#endif
