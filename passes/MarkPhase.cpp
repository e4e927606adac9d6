//===- MarkPhase.cpp - how far a module is, for contraflow-opt ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The driver keeps `nn.phase` itself. Here a phase that is asked for by name looks at it first and sets it
// last, so that its IR goes on in `contraflow compile`. A module that says nothing of its phase, as pieces
// in tests do, is taken as it is.
#include "passes/MarkPhase.h"

#include "dialects/nn/NN.h"
#include "passes/Pipelines.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace contraflow {
namespace {

/// The phase before `name`.
StringRef getPhaseBefore(StringRef name) {
  StringRef before = "frontend";
  for (const PhasePipeline &phase : getPhasePipelines()) {
    if (phase.name == name)
      break;
    before = phase.name;
  }
  return before;
}

struct BeginPhasePass : PassWrapper<BeginPhasePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BeginPhasePass)
  BeginPhasePass() = default;
  BeginPhasePass(const BeginPhasePass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "phase-begin"; }
  StringRef getDescription() const override { return "refuse a module that is not where a phase begins"; }

  void runOnOperation() override {
    auto last = nn::getAttr<nn::NNDialect::PhaseAttrHelper>(getOperation());
    StringRef wanted = getPhaseBefore(phase);
    // Hand-written text may say nothing of phases.
    if (!last || last.getValue() == wanted)
      return;
    getOperation().emitError() << "phase '" << phase << "' comes after '" << wanted
                               << "', 'nn.phase' of this module is '" << last.getValue() << "'";
    signalPassFailure();
  }

  Option<std::string> phase{*this, "phase", llvm::cl::desc("the phase that begins")};
};

struct FinishPhasePass : PassWrapper<FinishPhasePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FinishPhasePass)
  FinishPhasePass() = default;
  FinishPhasePass(const FinishPhasePass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "phase-finish"; }
  StringRef getDescription() const override { return "say in 'nn.phase' that a module has passed a phase"; }

  void runOnOperation() override {
    // What says nothing of phases stays so.
    if (nn::getAttr<nn::NNDialect::PhaseAttrHelper>(getOperation()))
      nn::setAttr<nn::NNDialect::PhaseAttrHelper>(getOperation(), StringAttr::get(&getContext(), phase));
  }

  Option<std::string> phase{*this, "phase", llvm::cl::desc("the phase that ends")};
};

template <typename T> void add(OpPassManager &pm, StringRef phase) {
  auto pass = std::make_unique<T>();
  pass->phase = phase.str();
  pm.addPass(std::move(pass));
}

} // namespace

void beginPhase(OpPassManager &pm, StringRef phase) { add<BeginPhasePass>(pm, phase); }

void finishPhase(OpPassManager &pm, StringRef phase) { add<FinishPhasePass>(pm, phase); }

void registerPhaseMarks() {
  PassRegistration<BeginPhasePass>();
  PassRegistration<FinishPhasePass>();
}

} // namespace contraflow
