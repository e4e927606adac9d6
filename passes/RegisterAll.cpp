//===- RegisterAll.cpp - the only list of passes --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/RegisterAll.h"

#include "passes/MarkPhase.h"
#include "passes/Pipelines.h"
#include "passes/autodiff/Passes.h"
#include "passes/fusion/Passes.h"
#include "passes/lowering/common/Passes.h"
#include "passes/lowering/cpu/Passes.h"
#include "passes/memory/Passes.h"
#include "passes/parallel/Passes.h"
#include "passes/schedule/Passes.h"

void contraflow::registerAllPasses() {
  autodiff::registerAutodiffPasses();
  parallel::registerParallelPasses();
  fusion::registerFusionPasses();
  schedule::registerSchedulePasses();
  memory::registerMemoryPasses();
  lowering::registerLoweringCommonPasses();
  cpu::registerLoweringCpuPasses();
  registerPhaseMarks();
  registerPhasePipelines();
}
