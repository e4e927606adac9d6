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
#include "llvm/Support/CheckedArithmetic.h"

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
  ProgramCheck(pipe::ProgramOp program, ModuleOp module) : program(program), module(module) {}

  LogicalResult run() {
    for (auto run : program.getBody().getOps<pipe::RunOp>()) {
      auto function = module.lookupSymbol<func::FuncOp>(run.getFunction());
      if (!function)
        return run.emitOpError("runs '") << run.getFunction() << "', which is no function";
      FailureOr<Signature> signature = Signature::get(function);
      if (failed(signature) || failed(checkBuffers(run, *signature)) || failed(checkOrder(run, *signature)) ||
          failed(checkSaved(run, *signature)) || failed(checkStep(run, *signature)))
        return failure();
    }
    return success(succeeded(checkEnd()) && succeeded(checkHost()));
  }

private:
  LogicalResult checkBuffers(pipe::RunOp run, const Signature &signature);
  LogicalResult checkOrder(pipe::RunOp run, const Signature &signature);
  LogicalResult checkSaved(pipe::RunOp run, const Signature &signature);
  LogicalResult checkStep(pipe::RunOp run, const Signature &signature);
  LogicalResult checkEnd();
  LogicalResult checkHost();
  LogicalResult checkSizes(pipe::ExposeOp expose);
  LogicalResult read(pipe::RunOp run, Value value, StringRef role);
  LogicalResult write(pipe::RunOp run, Value value, bool tied);
  bool hasFunction(pipe::RunOp run, StringRef what) {
    return module.lookupSymbol<func::FuncOp>(nn::getFunctionName(run.getBlock(), what)) != nullptr;
  }

  pipe::ProgramOp program;
  ModuleOp module;
  llvm::DenseMap<Value, History> histories;
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

/// The numbers of the module are what the runtime goes by when it writes inputs and reads logits.
LogicalResult ProgramCheck::checkSizes(pipe::ExposeOp expose) {
  // verify_program_c7
  int64_t sequence = nn::getIntOr<nn::NNDialect::SeqAttrHelper>(module, 1);
  int64_t batch = nn::getIntOr<nn::NNDialect::BatchAttrHelper>(module, 1);
  int64_t microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
  int64_t vocabulary = nn::getIntOr<nn::NNDialect::VocabAttrHelper>(module, 1);
  if (expose.getKind() == pipe::ExposeKind::output && expose.getName() == "logits" &&
      expose.getShape().back() != vocabulary)
    return expose.emitOpError("(C7) output 'logits' has ")
           << expose.getShape().back() << " columns, expected nn.vocab = " << vocabulary;
  if (expose.getKind() != pipe::ExposeKind::input)
    return success();
  bool isOfStep = !expose.getName().starts_with("generate_");
  std::optional<int64_t> expected = sequence;
  if (isOfStep)
    expected = llvm::checkedMul(sequence, batch);
  if (isOfStep && expected)
    expected = llvm::checkedMul(*expected, microBatches);
  int64_t found = pipe::getExtent(expose.getBuffer()).bytes / 4;
  if (found == expected)
    return success();
  InFlightDiagnostic error = expose.emitOpError("(C7) input '")
                             << expose.getName() << "' has " << found << " numbers, expected ";
  return isOfStep ? error << "nn.micro_batches * nn.batch * nn.seq = " << microBatches << " * " << batch
                          << " * " << sequence
                  : error << "nn.seq = " << sequence;
}

LogicalResult ProgramCheck::checkHost() {
  // verify_program_c7
  int64_t microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
  auto exposes = program.getBody().getOps<pipe::ExposeOp>();
  if (program.getSymName() == "train" && !exposes.empty() &&
      int64_t(program.getMicroBatches()) != microBatches)
    return program.emitOpError("(C7) has ")
           << program.getMicroBatches() << " micro-batches, expected nn.micro_batches = " << microBatches;
  // verify_program_c8
  llvm::StringMap<pipe::ExposeOp> names;
  for (pipe::ExposeOp expose : exposes) {
    if (failed(checkSizes(expose)))
      return failure();
    bool isMetric = llvm::is_contained(
        {pipe::ExposeKind::mean, pipe::ExposeKind::ratio, pipe::ExposeKind::load}, expose.getKind());
    StringRef kind = isMetric ? "metric" : stringifyExposeKind(expose.getKind());
    auto [first, isNew] = names.try_emplace((kind + " " + expose.getName()).str(), expose);
    if (isNew)
      continue;
    InFlightDiagnostic error = expose.emitOpError("(C8) exposes ")
                               << kind << " '" << expose.getName() << "' a second time";
    error.attachNote(first->second.getLoc()) << "the first of this name";
    return error;
  }
  return success();
}

/// Bytes of a parameter; nothing where they are too many to count.
std::optional<int64_t> countBytes(pipe::ParameterOp parameter) {
  std::optional<int64_t> bytes = 4;
  for (int64_t size : parameter.getShape())
    if (bytes)
      bytes = llvm::checkedMul(*bytes, size);
  return bytes;
}

/// Every parameter is a tensor of its own in a checkpoint and in memory.
LogicalResult checkParameters(ModuleOp module) {
  auto parameters = llvm::to_vector(module.getOps<pipe::ParameterOp>());
  llvm::StringMap<pipe::ParameterOp> names;
  for (pipe::ParameterOp parameter : parameters) {
    // verify_program_c9
    if (!llvm::is_contained({"normal", "ones", "zeros"}, parameter.getInit()))
      return parameter.emitOpError("(C9) init must be \"normal\", \"ones\" or \"zeros\", found \"")
             << parameter.getInit() << "\"";
    auto [first, isNew] = names.try_emplace(parameter.getName(), parameter);
    if (isNew)
      continue;
    InFlightDiagnostic error = parameter.emitOpError("(C9) names a parameter '")
                               << parameter.getName() << "' that is there already";
    error.attachNote(first->second.getLoc()) << "the first parameter of this name";
    return error;
  }
  llvm::stable_sort(parameters, [](pipe::ParameterOp lhs, pipe::ParameterOp rhs) {
    return lhs.getOffset() < rhs.getOffset();
  });
  for (auto [before, parameter] : llvm::zip(parameters, llvm::drop_begin(parameters))) {
    // verify_program_c10
    std::optional<int64_t> bytes = countBytes(before);
    int64_t room = int64_t(parameter.getOffset()) - int64_t(before.getOffset());
    if (bytes && *bytes <= room)
      continue;
    InFlightDiagnostic error = before.emitOpError("(C10) ");
    if (bytes)
      error << "has " << *bytes << " bytes";
    else
      error << "has more bytes than can be counted";
    error << ", expected at most " << room << ", where the next parameter begins";
    error.attachNote(parameter.getLoc()) << "'" << parameter.getName() << "' begins here";
    return error;
  }
  return success();
}

struct VerifyProgramPass : impl::VerifyProgramPassBase<VerifyProgramPass> {
  void runOnOperation() override {
    if (failed(checkParameters(getOperation())))
      return signalPassFailure();
    for (auto program : getOperation().getOps<pipe::ProgramOp>())
      if (failed(ProgramCheck(program, getOperation()).run()))
        return signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::schedule
