//===- Passes.td - memory: every value gets its address -------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_MEMORY_PASSES_TD
#define CONTRAFLOW_PASSES_MEMORY_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanFunctionsPass : Pass<"memory-plan-functions", "::mlir::ModuleOp"> {
  let summary = "gives every value of a function a base and an offset";
  let description = [{
    Arguments and results get `nn.location`, kernels `locations` with one per result. Own parameters, gradients and moments
    lie where the schedule phase put them, saved values of a kind where all its functions agree, values that die in the
    function in its workspace, and everything else at offset 0 of an area of its own (`dialects/nn/Signature.h`). A tied
    result takes the place of its input. `nn.workspace_bytes` is what the function needs of the workspace; a kernel that has
    `workspace_bytes` gets that much for itself at `workspace`.

    Functions hold `nn.kernel` and `nn.constant_table` operations and a `func.return` only.
  }];
  let statistics = [
    Statistic<"numValues", "num-values", "values planned">,
    Statistic<"workspaceBytes", "workspace-bytes", "bytes of workspace, summed over functions">,
    Statistic<"liveBytes", "live-bytes", "the bound: most bytes live at one time, summed over functions">,
  ];
}

def PlanProgramPass : Pass<"memory-plan-program", "::mlir::ModuleOp"> {
  let summary = "gives every buffer of the programs its offset in one arena";
  let description = [{
    Buffers that outlive a program come first, each at one offset for all programs; the rest of the arena is planned per
    program from lifetimes, and the programs share it, since one runs at a time. `arena` of a program
    is the exact peak over all of them. Sizes of workspaces and saved values are those of the functions that run.
  }];
  let statistics = [
    Statistic<"numBuffers", "num-buffers", "buffers planned">,
    Statistic<"arenaBytes", "arena-bytes", "size of the arena">,
    Statistic<"liveBytes", "live-bytes", "the bound: most bytes live at one time in any program">,
  ];
}

def VerifyPlanPass : Pass<"memory-verify-plan", "::mlir::ModuleOp"> {
  let summary = "checks that no two live values share a byte";
  let description = [{
    Recomputes lifetimes from the operations and checks the addresses that stand in the text, whoever wrote them. Runs in
    every build; a plan that was edited is refused with its reason.
    - (C1) every value, workspace of a kernel and buffer has an address, a multiple of 64, and ends inside the workspace or arena
    - (C2) arguments and results lie in their areas, returned values where the results are, and what is tied where its input is; a
      run passes the buffers of a function that exists
    - (C3) what is read, returned, exposed or outlives a program has not been overwritten
    - (C4) what one kernel or run works on does not overlap, except where it is tied
    - (C5) the workspace of a run is as large as its function needs, inside the arena, and over no buffer of the run
    - (C6) what outlives programs lies at one place in all of them, and no program overwrites what another one keeps
    - (C7) what functions of a kind hand to each other through memory has the same place in all of them

    In a checked module the guards of a value or buffer belong to it.
  }];
}

#endif
