//===- VerifyProgram.cpp - programs against the functions they run --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One walk from top to bottom that remembers, for every buffer, who wrote it and who has read it. Constraints
// are numbered as in Passes.td. Nothing is taken from the pass that builds programs: they may come from an
// edited file.
//===----------------------------------------------------------------------===//
#include "passes/schedule/Passes.h"

#include "dialects/nn/FunctionNames.h"
#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "schedule-verify-program"

using namespace mlir;
using contraflow::nn::Signature;
using contraflow::pipe::Direction;

namespace contraflow::schedule {

#define GEN_PASS_DEF_VERIFYPROGRAMPASS
#include "passes/schedule/Passes.h.inc"

namespace {

/// What has happened to a buffer so far.
struct History {
  pipe::RunOp writer, reader;
};

/// A forward whose saved values wait for their backwards.
struct Pending {
  pipe::RunOp forward, input, weight;
};

class ProgramCheck {
public:
  ProgramCheck(pipe::ProgramOp program, ModuleOp module) : program(program), module(module) {
    for (auto parameter : module.getOps<pipe::ParameterOp>())
      parameters.insert({parameter.getOffset(), parameter});
  }

  LogicalResult run() {
    for (auto run : program.getBody().getOps<pipe::RunOp>()) {
      auto function = module.lookupSymbol<func::FuncOp>(run.getFunction());
      if (!function)
        return run.emitOpError("runs '") << run.getFunction() << "', which is no function";
      FailureOr<Signature> signature = Signature::get(function);
      if (failed(signature) || failed(checkBuffers(run, *signature)) || failed(checkOrder(run, *signature)) ||
          failed(checkSaved(run, *signature)) || failed(checkStep(run, *signature)) ||
          failed(checkParameters(run, *signature)))
        return failure();
    }
    return checkEnd();
  }

private:
  LogicalResult checkBuffers(pipe::RunOp run, const Signature &signature);
  LogicalResult checkOrder(pipe::RunOp run, const Signature &signature);
  LogicalResult checkSaved(pipe::RunOp run, const Signature &signature);
  LogicalResult checkStep(pipe::RunOp run, const Signature &signature);
  LogicalResult checkEnd();
  LogicalResult checkParameters(pipe::RunOp run, const Signature &signature);
  LogicalResult read(pipe::RunOp run, Value value, StringRef role);
  LogicalResult write(pipe::RunOp run, Value value, bool tied);
  bool hasFunction(pipe::RunOp run, StringRef what) {
    return module.lookupSymbol<func::FuncOp>(nn::getFunctionName(run.getBlock(), what)) != nullptr;
  }

  pipe::ProgramOp program;
  ModuleOp module;
  llvm::DenseMap<Value, History> histories;
  /// By offset.
  llvm::DenseMap<int64_t, pipe::ParameterOp> parameters;
  /// By instance and micro-batch.
  llvm::MapVector<std::pair<StringRef, int64_t>, Pending> pending;
  pipe::RunOp clip, change, average;
};

InFlightDiagnostic describe(InFlightDiagnostic error, pipe::RunOp run) {
  return std::move(error << "'" << run.getFunction() << "' "
                         << pipe::getSlotText(run.getDirection(), run.getMicroBatch()) << " of '"
                         << run.getInstance() << "'");
}

LogicalResult ProgramCheck::checkBuffers(pipe::RunOp run, const Signature &signature) {
  // verify_program_c1
  SmallVector<nn::Port> operands = signature.getOperands();
  if (operands.size() != run.getBuffers().size())
    return run.emitOpError("(C1) passes ")
           << run.getBuffers().size() << " buffers, '" << run.getFunction() << "' takes " << operands.size();
  for (auto [port, value] : llvm::zip(operands, run.getBuffers()))
    if (pipe::getExtent(value).bytes != port.type.getNumBytes())
      return run.emitOpError("(C1) passes ")
             << pipe::getExtent(value).bytes << " bytes for " << stringifyRoleKind(port.getKind()) << " '"
             << port.getName() << "' of '" << run.getFunction() << "', expected " << port.type.getNumBytes();
  for (auto [base, value, name] :
       {std::tuple<int64_t, Value, StringRef>{nn::kSavedBase, run.getSaved(), "saved"},
        std::tuple<int64_t, Value, StringRef>{nn::kSavedInputBase, run.getSavedInput(), "saved_input"}}) {
    if (signature.uses(base) && !value)
      return run.emitOpError("(C1) passes no '") << name << "', which '" << run.getFunction() << "' works on";
    if (value && pipe::getExtent(value).bytes < nn::getResultBytes(signature, base))
      return run.emitOpError("(C1) passes ")
             << pipe::getExtent(value).bytes << " bytes of '" << name << "', '" << run.getFunction()
             << "' makes " << nn::getResultBytes(signature, base);
  }
  return success();
}

LogicalResult ProgramCheck::read(pipe::RunOp run, Value value, StringRef role) {
  pipe::BufferOp buffer = pipe::getExtent(value).buffer;
  if (buffer.isPersistent())
    return success();
  // verify_program_c2
  History &history = histories[buffer.getResult()];
  if (!history.writer)
    return describe(run.emitOpError("(C2) "), run)
           << " reads " << role << " '" << buffer.getName() << "' before anything wrote it";
  history.reader = run;
  return success();
}

LogicalResult ProgramCheck::write(pipe::RunOp run, Value value, bool tied) {
  pipe::BufferOp buffer = pipe::getExtent(value).buffer;
  if (buffer.isPersistent())
    return success();
  // verify_program_c3
  History &history = histories[buffer.getResult()];
  pipe::RunOp other = !tied && history.writer ? history.writer : tied ? history.reader : pipe::RunOp();
  if (other) {
    InFlightDiagnostic error = describe(run.emitOpError("(C3) "), run)
                               << " writes '" << buffer.getName() << "', which has been "
                               << (tied ? "read" : "written") << " already";
    error.attachNote(other.getLoc()) << "by '" << other.getFunction() << "'";
    return failure();
  }
  history.writer = run;
  return success();
}

LogicalResult ProgramCheck::checkOrder(pipe::RunOp run, const Signature &signature) {
  SmallVector<nn::Port> operands = signature.getOperands();
  for (auto [port, value] : llvm::zip(operands, run.getBuffers())) {
    bool tied = signature.isTied(port);
    if (!port.isResult && !tied && failed(read(run, value, stringifyRoleKind(port.getKind()))))
      return failure();
    pipe::BufferOp buffer = pipe::getExtent(value).buffer;
    if (tied && !buffer.isPersistent() && !histories[buffer.getResult()].writer)
      return describe(run.emitOpError("(C2) "), run)
             << " adds to '" << buffer.getName() << "' before anything wrote it";
  }
  for (auto [port, value] : llvm::zip(operands, run.getBuffers()))
    if ((port.isResult || signature.isTied(port)) && failed(write(run, value, signature.isTied(port))))
      return failure();
  return success();
}

LogicalResult ProgramCheck::checkSaved(pipe::RunOp run, const Signature &signature) {
  for (auto [base, value] : {std::pair<int64_t, Value>{nn::kSavedBase, run.getSaved()},
                             std::pair<int64_t, Value>{nn::kSavedInputBase, run.getSavedInput()}}) {
    if (!value)
      continue;
    if (nn::getResultBytes(signature, base) > 0) {
      if (failed(write(run, value, /*tied=*/false)))
        return failure();
      continue;
    }
    if (failed(read(run, value, "saved")))
      return failure();
    // verify_program_c4
    pipe::RunOp writer = histories[pipe::getExtent(value).buffer.getResult()].writer;
    if (writer.getInstance() != run.getInstance() || writer.getMicroBatch() != run.getMicroBatch() ||
        writer.getBlock() != run.getBlock()) {
      InFlightDiagnostic error = describe(run.emitOpError("(C4) "), run) << " reads what was saved by ";
      return describe(std::move(error), writer);
    }
  }
  return success();
}

LogicalResult ProgramCheck::checkStep(pipe::RunOp run, const Signature &signature) {
  // verify_program_c5
  StringRef what = run.getFunction().rsplit('.').second;
  std::pair<StringRef, int64_t> key = {run.getInstance(), run.getMicroBatch()};
  if (what == nn::kForward &&
      (hasFunction(run, nn::kBackwardInput) || hasFunction(run, nn::kBackwardWeight))) {
    Pending &entry = pending[key];
    if (entry.forward)
      return describe(run.emitOpError("(C5) "), run) << " runs twice";
    entry.forward = run;
  }
  if (what == nn::kBackwardInput || what == nn::kBackwardWeight) {
    Pending &entry = pending[key];
    pipe::RunOp &slot = what == nn::kBackwardInput ? entry.input : entry.weight;
    if (slot)
      return describe(run.emitOpError("(C5) "), run) << " runs twice";
    if (!entry.forward)
      return describe(run.emitOpError("(C5) "), run) << " has no forward before it";
    slot = run;
  }
  // verify_program_c6
  auto writes = [&](int64_t base, nn::RoleKind kind) {
    return llvm::any_of(signature.getArguments(), [&](const nn::Port &port) {
      return signature.isTied(port) && (port.base == base || port.getKind() == kind);
    });
  };
  if (run.getDirection() == Direction::clip)
    clip = run;
  if (writes(nn::kGradientsBase, nn::RoleKind::grad_arg) && (clip || change))
    return describe(run.emitOpError("(C6) "), run)
           << " changes a gradient after '" << (clip ? clip : change).getFunction() << "' has used it";
  if (writes(nn::kParametersBase, nn::RoleKind::param_arg)) {
    if (run.getDirection() != Direction::optimizer && run.getDirection() != Direction::update)
      return describe(run.emitOpError("(C6) "), run)
             << " changes a parameter, expected a run of 'optimizer' or 'update'";
    change = run;
  } else if (change && run.getDirection() != Direction::ema) {
    return describe(run.emitOpError("(C6) "), run)
           << " comes after '" << change.getFunction() << "', which changes parameters";
  }
  if (run.getDirection() == Direction::ema)
    average = run;
  else if (average)
    return describe(run.emitOpError("(C6) "), run)
           << " comes after '" << average.getFunction() << "', which averages what a step leaves behind";
  return success();
}

/// What code takes for a parameter is what a checkpoint has and the runtime initializes.
LogicalResult ProgramCheck::checkParameters(pipe::RunOp run, const Signature &signature) {
  // Functions of the step see a region as one vector.
  if (run.getBlock() == "step")
    return success();
  for (const nn::Port &port : signature.getArguments()) {
    nn::LocationAttr location =
        nn::getArgumentLocation(module.lookupSymbol<func::FuncOp>(run.getFunction()), port.index);
    if (port.base != nn::kParametersBase || !location)
      continue;
    // verify_program_c7
    int64_t offset = int64_t(run.getRegionOffset()) + location.getOffset();
    pipe::ParameterOp parameter = parameters.lookup(offset);
    if (!parameter)
      return describe(run.emitOpError("(C7) "), run)
             << " works on parameter '" << port.getName() << "' at " << offset << ", where none begins";
    if (ArrayRef<int64_t>(port.type.getStaticShape()) == parameter.getShape())
      continue;
    InFlightDiagnostic error = parameter.emitOpError("(C7) has shape [");
    llvm::interleaveComma(parameter.getShape(), error);
    error << "], '" << run.getFunction() << "' takes " << port.type;
    error.attachNote(run.getLoc()) << "the run";
    return error;
  }
  return success();
}

LogicalResult ProgramCheck::checkEnd() {
  // verify_program_c5
  for (auto &[key, entry] : pending) {
    if (!entry.forward)
      continue;
    for (auto [what, run] : {std::pair<StringRef, pipe::RunOp>{nn::kBackwardInput, entry.input},
                             std::pair<StringRef, pipe::RunOp>{nn::kBackwardWeight, entry.weight}})
      if (!run && hasFunction(entry.forward, what))
        return describe(entry.forward.emitOpError("(C5) "), entry.forward)
               << " is not followed by its " << what;
  }
  return success();
}

struct VerifyProgramPass : impl::VerifyProgramPassBase<VerifyProgramPass> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<pipe::ProgramOp>())
      if (failed(ProgramCheck(program, getOperation()).run()))
        return signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::schedule
