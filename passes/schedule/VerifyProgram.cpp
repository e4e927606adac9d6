//===- VerifyProgram.cpp - programs against the functions they run --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One walk from top to bottom that remembers, for every buffer, who wrote it and who has read it. Constraints
// are numbered as in Passes.td. Nothing is taken from the pass that builds programs: they may come from an
// edited file.
//===----------------------------------------------------------------------===//
#include "passes/schedule/Passes.h"

#include "dialects/comm/Comm.h"
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

/// What has happened to a buffer so far: runs and collectives.
struct History {
  Operation *writer = nullptr, *reader = nullptr;
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
    for (Operation &op : program.getBody().front()) {
      if (auto start = dyn_cast<pipe::StartOp>(op); start && failed(checkStart(start)))
        return failure();
      if (auto wait = dyn_cast<pipe::WaitOp>(op))
        llvm::erase(inFlight, wait.getStart());
      auto run = dyn_cast<pipe::RunOp>(op);
      if (!run)
        continue;
      auto function = module.lookupSymbol<func::FuncOp>(run.getFunction());
      if (!function)
        return run.emitOpError("runs '") << run.getFunction() << "', which is no function";
      FailureOr<Signature> signature = Signature::get(function);
      if (failed(signature) || failed(checkBuffers(run, *signature)) || failed(checkOrder(run, *signature)) ||
          (!inFlight.empty() && failed(checkRegionsNotInFlight(run, *signature))) ||
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
  LogicalResult checkStart(pipe::StartOp start);
  LogicalResult checkNotInFlight(Operation *op, Value value, bool isWritten);
  LogicalResult checkRegionsNotInFlight(pipe::RunOp run, const Signature &signature);
  LogicalResult checkEnd();
  LogicalResult checkParameters(pipe::RunOp run, const Signature &signature);
  LogicalResult read(Operation *op, Value value, StringRef role);
  LogicalResult write(Operation *op, Value value, bool tied);
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
  SmallVector<pipe::StartOp> inFlight;
};

/// The function of a run, the name of a collective.
StringRef getWhat(Operation *op) {
  if (auto run = dyn_cast<pipe::RunOp>(op))
    return run.getFunction();
  return stringifyCollective(cast<pipe::StartOp>(op).getCollective());
}

InFlightDiagnostic describe(InFlightDiagnostic error, Operation *op) {
  auto add = [&](auto row) {
    return std::move(error << "'" << getWhat(op) << "' "
                           << pipe::getSlotText(row.getDirection(), row.getMicroBatch()) << " of '"
                           << row.getInstance() << "'");
  };
  auto run = dyn_cast<pipe::RunOp>(op);
  return run ? add(run) : add(cast<pipe::StartOp>(op));
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

/// Whether parts of the same buffer have bytes in common.
bool overlap(Value lhs, Value rhs) {
  pipe::Extent a = pipe::getExtent(lhs), b = pipe::getExtent(rhs);
  return a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

LogicalResult ProgramCheck::checkNotInFlight(Operation *op, Value value, bool isWritten) {
  // verify_program_c8
  for (pipe::StartOp start : inFlight) {
    auto touches = [&](ValueRange buffers) {
      return llvm::any_of(buffers, [&](Value buffer) { return overlap(buffer, value); });
    };
    if (!touches(start.getOutputs()) && !(isWritten && touches(start.getInputs())))
      continue;
    InFlightDiagnostic error = describe(op->emitOpError("(C8) "), op)
                               << (isWritten ? " writes '" : " reads '")
                               << pipe::getExtent(value).buffer.getName()
                               << "' before the collective on it is waited for";
    error.attachNote(start.getLoc()) << "the collective";
    return failure();
  }
  return success();
}

/// What a run touches by its `at` alone. Regions count as a whole.
LogicalResult ProgramCheck::checkRegionsNotInFlight(pipe::RunOp run, const Signature &signature) {
  constexpr std::pair<int64_t, pipe::BufferKind> kRegions[] = {
      {nn::kParametersBase, pipe::BufferKind::parameters},
      {nn::kGradientsBase, pipe::BufferKind::gradients},
      {nn::kFirstMomentsBase, pipe::BufferKind::first_moments},
      {nn::kSecondMomentsBase, pipe::BufferKind::second_moments}};
  for (auto [base, kind] : kRegions)
    for (auto region : program.getBody().getOps<pipe::BufferOp>()) {
      if (region.getKind() != kind || !signature.uses(base))
        continue;
      bool isWritten = llvm::any_of(signature.getArguments(), [&](const nn::Port &port) {
        return port.base == base && signature.isTied(port);
      });
      if (failed(checkNotInFlight(run, region.getResult(), isWritten)))
        return failure();
    }
  return success();
}

LogicalResult ProgramCheck::checkStart(pipe::StartOp start) {
  // verify_program_c9
  std::optional<abi::Mesh> mesh = comm::getMesh(start);
  if (!mesh)
    return start.emitOpError("(C9) is in no module with 'comm.mesh'");
  int64_t size = mesh->getSize(comm::toMeshAxis(start.getAxis()));
  int64_t from = pipe::getExtent(start.getInputs().front()).bytes,
          to = pipe::getExtent(start.getOutputs().front()).bytes;
  bool cuts = start.getCollective() == pipe::Collective::reduce_scatter;
  if (cuts || start.getCollective() == pipe::Collective::all_gather)
    if (int64_t whole = std::max(from, to), part = std::min(from, to); whole != part * size)
      return start.emitOpError("(C9) has ") << whole << " bytes and parts of " << part << ", a group of '"
                                            << stringifyAxis(start.getAxis()) << "' has " << size << " ranks";
  for (auto [input, output] : llvm::zip(start.getInputs(), start.getOutputs())) {
    if (failed(read(start, input, "input")) || failed(write(start, output, /*tied=*/input == output)))
      return failure();
    // verify_program_c6
    bool isGradient = pipe::getExtent(output).buffer.getKind() == pipe::BufferKind::gradients;
    if (isGradient && (clip || change))
      return describe(start.emitOpError("(C6) "), start)
             << " changes a gradient after '" << (clip ? clip : change).getFunction() << "' has used it";
  }
  inFlight.push_back(start);
  return success();
}

LogicalResult ProgramCheck::read(Operation *op, Value value, StringRef role) {
  if (failed(checkNotInFlight(op, value, /*isWritten=*/false)))
    return failure();
  pipe::BufferOp buffer = pipe::getExtent(value).buffer;
  if (buffer.isPersistent())
    return success();
  // verify_program_c2
  History &history = histories[buffer.getResult()];
  if (!history.writer)
    return describe(op->emitOpError("(C2) "), op)
           << " reads " << role << " '" << buffer.getName() << "' before anything wrote it";
  history.reader = op;
  return success();
}

LogicalResult ProgramCheck::write(Operation *op, Value value, bool tied) {
  if (failed(checkNotInFlight(op, value, /*isWritten=*/true)))
    return failure();
  pipe::BufferOp buffer = pipe::getExtent(value).buffer;
  if (buffer.isPersistent())
    return success();
  // verify_program_c3
  History &history = histories[buffer.getResult()];
  Operation *other = tied ? history.reader : history.writer;
  if (other) {
    InFlightDiagnostic error = describe(op->emitOpError("(C3) "), op)
                               << " writes '" << buffer.getName() << "', which has been "
                               << (tied ? "read" : "written") << " already";
    error.attachNote(other->getLoc()) << "by '" << getWhat(other) << "'";
    return failure();
  }
  history.writer = op;
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
    auto writer = dyn_cast<pipe::RunOp>(histories[pipe::getExtent(value).buffer.getResult()].writer);
    if (!writer || writer.getInstance() != run.getInstance() ||
        writer.getMicroBatch() != run.getMicroBatch() || writer.getBlock() != run.getBlock()) {
      InFlightDiagnostic error = describe(run.emitOpError("(C4) "), run) << " reads what was saved by ";
      return describe(std::move(error), histories[pipe::getExtent(value).buffer.getResult()].writer);
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
