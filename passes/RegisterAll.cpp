//===- RegisterAll.cpp - the only list of passes --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/RegisterAll.h"

#if __has_include("passes/autodiff/Passes.h")
#include "passes/autodiff/Passes.h"
#endif
#if __has_include("passes/fusion/Passes.h")
#include "passes/fusion/Passes.h"
#endif
#if __has_include("passes/schedule/Passes.h")
#include "passes/schedule/Passes.h"
#endif
#if __has_include("passes/memory/Passes.h")
#include "passes/memory/Passes.h"
#endif
#if __has_include("passes/lowering/cpu/Passes.h")
#include "passes/lowering/cpu/Passes.h"
#endif

void contraflow::registerAllPasses() {
#if __has_include("passes/autodiff/Passes.h")
  autodiff::registerAutodiffPasses();
#endif
#if __has_include("passes/fusion/Passes.h")
  fusion::registerFusionPasses();
#endif
#if __has_include("passes/schedule/Passes.h")
  schedule::registerSchedulePasses();
#endif
#if __has_include("passes/memory/Passes.h")
  memory::registerMemoryPasses();
#endif
#if __has_include("passes/lowering/cpu/Passes.h")
  cpu::registerLoweringCpuPasses();
#endif
}
