//===- Pipelines.cpp - the phases between a bound model and code ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Pipelines.h"

#include "passes/MarkPhase.h"
#include "passes/autodiff/Passes.h"
#include "passes/fusion/Passes.h"
#include "passes/lowering/common/Passes.h"
#include "passes/lowering/cpu/Passes.h"
#include "passes/memory/Passes.h"
#include "passes/parallel/Passes.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace contraflow {
namespace {

void buildAutodiff(OpPassManager &pm) {
  // Each kind of block becomes forward, evaluate and backward functions; the step gets its optimizer.
  pm.addPass(autodiff::createBuildFunctionsPass());
  pm.addPass(autodiff::createBuildOptimizerPass());
  // Model flops are counted here: later phases may compute a thing twice.
  pm.addPass(schedule::createCountOperationsPass());
  pm.addPass(autodiff::createVerifyFunctionsPass());
}

void buildParallel(OpPassManager &pm) {
  // Experts go to their ranks, and what ranks have summed up is summed over them.
  pm.addPass(parallel::createInsertDispatchPass());
  pm.addPass(parallel::createReduceStepPass());
  pm.addPass(parallel::createVerifyCollectivesPass());
}

void buildFusion(OpPassManager &pm) {
  // Operations become kernels, and kernels that meet in memory become one.
  fusion::buildFusionPipeline(pm);
}

void verifySchedule(OpPassManager &pm) {
  // What is wrong with a parameter is said at the parameter, before runs that miss it.
  pm.addPass(schedule::createVerifyHostPass());
  pm.addPass(schedule::createVerifyProgramPass());
}

void buildSchedule(OpPassManager &pm) {
  // Graph and functions become the programs that the runtime walks; what models are made of is gone
  // afterwards.
  pm.addPass(schedule::createBuildProgramPass());
  verifySchedule(pm);
}

void buildMemory(OpPassManager &pm) {
  // First what each function needs, then one arena for all that the programs touch.
  pm.addPass(memory::createPlanFunctionsPass());
  pm.addPass(memory::createPlanProgramPass());
  pm.addPass(memory::createVerifyPlanPass());
}

/// Programs stay what the schedule promised; addresses come on top.
void verifyMemory(OpPassManager &pm) {
  verifySchedule(pm);
  pm.addPass(memory::createVerifyPlanPass());
}

void verifyAutodiff(OpPassManager &pm) { pm.addPass(autodiff::createVerifyFunctionsPass()); }

void verifyParallel(OpPassManager &pm) { pm.addPass(parallel::createVerifyCollectivesPass()); }

void verifyFusion(OpPassManager &pm) { pm.nest<func::FuncOp>().addPass(fusion::createVerifyKernelsPass()); }

struct LoweringOptions : PassPipelineOptions<LoweringOptions> {
  Option<std::string> isa{
      *this, "isa",
      llvm::cl::desc("processor as LLVM names it, or native; empty takes the attribute nn.isa of the module"),
      llvm::cl::init("")};
};

void buildLoweringFor(OpPassManager &pm, const LoweringOptions &options) {
  // A checked trainer knows where values lie; kernels are the last to say it.
  pm.addPass(lowering::createDescribeChecksPass());
  // Kernels become loops over vectors and addresses, for one processor.
  cpu::KernelsToLLVMPassOptions lowering;
  lowering.processor = options.isa;
  pm.addPass(cpu::createKernelsToLLVMPass(lowering));
  // What follows is LLVM's: the last chance to see what code touches and calls.
  pm.addPass(lowering::createVerifyCodePass());
}

void buildLowering(OpPassManager &pm) { buildLoweringFor(pm, LoweringOptions()); }

/// Functions are code, programs are what they were.
void verifyLowering(OpPassManager &pm) {
  pm.addPass(schedule::createVerifyHostPass());
  pm.addPass(lowering::createVerifyCodePass());
}

constexpr PhasePipeline kPipelines[] = {
    {"autodiff", "functions of a training step from the blocks of a model", buildAutodiff, verifyAutodiff},
    {"parallel", "the program of one rank of a mesh", buildParallel, verifyParallel},
    {"fusion", "kernels from operations", buildFusion, verifyFusion},
    {"schedule", "programs of a step from graph and functions", buildSchedule, verifySchedule},
    {"memory", "addresses of all values", buildMemory, verifyMemory},
    {"lowering", "vector code for the CPU from kernels", buildLowering, verifyLowering},
};

} // namespace

ArrayRef<PhasePipeline> getPhasePipelines() { return kPipelines; }

void registerPhasePipelines() {
  for (const PhasePipeline &phase : kPipelines) {
    auto mark = [name = phase.name](OpPassManager &pm, auto build) {
      beginPhase(pm, name);
      build();
      finishPhase(pm, name);
    };
    if (phase.build == buildLowering)
      PassPipelineRegistration<LoweringOptions>(phase.name, phase.summary,
                                                [mark](OpPassManager &pm, const LoweringOptions &options) {
                                                  mark(pm, [&] { buildLoweringFor(pm, options); });
                                                });
    else
      PassPipelineRegistration<>(phase.name, phase.summary, [mark, build = phase.build](OpPassManager &pm) {
        mark(pm, [&] { build(pm); });
      });
  }
}

} // namespace contraflow
