//===- PhaseTable.cpp - the phases by name --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/PhaseTable.h"

#include "passes/Pipelines.h"

#include "llvm/Support/FormatVariadic.h"

namespace contraflow::driver {

std::string Phase::getFileName() const { return llvm::formatv("{0:D2}-{1}.mlir", number, name).str(); }

const std::vector<Phase> &getPhases() {
  static const std::vector<Phase> phases = [] {
    std::vector<Phase> list = {{1, "frontend", "a model with sizes from a run file"}};
    for (const PhasePipeline &pipeline : getPhasePipelines())
      list.push_back({unsigned(list.size() + 1), pipeline.name.str(), pipeline.summary.str()});
    list.push_back({unsigned(list.size() + 1), "link", "a trainer from code, program and runtime"});
    return list;
  }();
  return phases;
}

const Phase *findPhase(const std::string &name) {
  for (const Phase &phase : getPhases())
    if (phase.name == name)
      return &phase;
  return nullptr;
}

std::string getPhaseNames() {
  std::string names;
  for (const Phase &phase : getPhases())
    names += (names.empty() ? "" : ", ") + phase.name;
  return names;
}

} // namespace contraflow::driver
