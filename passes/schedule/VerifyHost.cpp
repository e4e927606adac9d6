//===- VerifyHost.cpp - programs against what the runtime goes by ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the manifest takes from programs, parameters and attributes of the module. Nothing of it needs
// functions, so that it is checked behind every phase from the schedule on, down to code. Constraints are
// numbered as in Passes.td.
//===----------------------------------------------------------------------===//
#include "passes/schedule/Passes.h"

#include "dialects/nn/NN.h"
#include "dialects/nn/ParameterLayout.h"
#include "dialects/pipe/Pipe.h"

#include "llvm/Support/CheckedArithmetic.h"

#define DEBUG_TYPE "schedule-verify-host"

using namespace mlir;

namespace contraflow::schedule {

#define GEN_PASS_DEF_VERIFYHOSTPASS
#include "passes/schedule/Passes.h.inc"

namespace {

/// The numbers of the module are what the runtime goes by when it writes inputs and reads logits.
LogicalResult checkSizes(pipe::ExposeOp expose, ModuleOp module) {
  // verify_host_c1
  int64_t sequence = nn::getIntOr<nn::NNDialect::SeqAttrHelper>(module, 1);
  int64_t batch = nn::getIntOr<nn::NNDialect::BatchAttrHelper>(module, 1);
  int64_t microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
  int64_t vocabulary = nn::getIntOr<nn::NNDialect::VocabAttrHelper>(module, 1);
  if (expose.getKind() == pipe::ExposeKind::output && expose.getName() == "logits" &&
      expose.getShape().back() != vocabulary)
    return expose.emitOpError("(C1) output 'logits' has ")
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
  InFlightDiagnostic error = expose.emitOpError("(C1) input '")
                             << expose.getName() << "' has " << found << " numbers, expected ";
  return isOfStep ? error << "nn.micro_batches * nn.batch * nn.seq = " << microBatches << " * " << batch
                          << " * " << sequence
                  : error << "nn.seq = " << sequence;
}

LogicalResult checkProgram(pipe::ProgramOp program, ModuleOp module) {
  // verify_host_c1
  int64_t microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
  auto exposes = program.getBody().getOps<pipe::ExposeOp>();
  if (program.getSymName() == "train" && !exposes.empty() &&
      int64_t(program.getMicroBatches()) != microBatches)
    return program.emitOpError("(C1) has ")
           << program.getMicroBatches() << " micro-batches, expected nn.micro_batches = " << microBatches;
  // verify_host_c2
  llvm::StringMap<pipe::ExposeOp> names;
  for (pipe::ExposeOp expose : exposes) {
    if (failed(checkSizes(expose, module)))
      return failure();
    bool isMetric = llvm::is_contained(
        {pipe::ExposeKind::mean, pipe::ExposeKind::ratio, pipe::ExposeKind::load}, expose.getKind());
    StringRef kind = isMetric ? "metric" : stringifyExposeKind(expose.getKind());
    auto [first, isNew] = names.try_emplace((kind + " " + expose.getName()).str(), expose);
    if (isNew)
      continue;
    InFlightDiagnostic error = expose.emitOpError("(C2) exposes ")
                               << kind << " '" << expose.getName() << "' a second time";
    error.attachNote(first->second.getLoc()) << "the first of this name";
    return error;
  }
  return success();
}

/// Bytes of a parameter, nothing where they are too many to count.
std::optional<int64_t> countBytes(pipe::ParameterOp parameter) {
  std::optional<int64_t> bytes = 4;
  for (int64_t size : parameter.getShape())
    if (bytes)
      bytes = llvm::checkedMul(*bytes, size);
  return bytes;
}

LogicalResult checkNames(ArrayRef<pipe::ParameterOp> parameters) {
  llvm::StringMap<pipe::ParameterOp> names;
  for (pipe::ParameterOp parameter : parameters) {
    // verify_host_c3
    if (!llvm::is_contained({"normal", "ones", "zeros"}, parameter.getInit()))
      return parameter.emitOpError("(C3) init must be \"normal\", \"ones\" or \"zeros\", found \"")
             << parameter.getInit() << "\"";
    auto [first, isNew] = names.try_emplace(parameter.getName(), parameter);
    if (isNew)
      continue;
    InFlightDiagnostic error = parameter.emitOpError("(C3) names a parameter '")
                               << parameter.getName() << "' that is there already";
    error.attachNote(first->second.getLoc()) << "the first parameter of this name";
    return error;
  }
  return success();
}

/// Parameters fill the regions one after the other, so that a wrong place or size shows at the next one.
LogicalResult checkPlaces(ArrayRef<pipe::ParameterOp> parameters, ModuleOp module) {
  int64_t end = 0;
  pipe::ParameterOp before;
  for (pipe::ParameterOp parameter : parameters) {
    // verify_host_c4
    int64_t offset = parameter.getOffset();
    if (offset != end) {
      InFlightDiagnostic error = parameter.emitOpError("(C4) begins at ") << offset << ", expected " << end;
      if (before)
        error.attachNote(before.getLoc()) << "the parameter before it ends there";
      return error;
    }
    std::optional<int64_t> bytes = countBytes(parameter);
    std::optional<int64_t> next = bytes ? llvm::checkedAdd(offset, *bytes) : bytes;
    if (!next || *next > std::numeric_limits<int64_t>::max() - nn::kParameterAlignment)
      return parameter.emitOpError("(C4) has more bytes than can be counted");
    end = llvm::alignTo(*next, nn::kParameterAlignment);
    before = parameter;
  }
  for (auto program : module.getOps<pipe::ProgramOp>())
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>())
      if (buffer.getKind() == pipe::BufferKind::parameters && int64_t(buffer.getBytes()) != end)
        return buffer.emitOpError("(C4) has ") << buffer.getBytes() << " bytes, parameters have " << end;
  return success();
}

struct VerifyHostPass : impl::VerifyHostPassBase<VerifyHostPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto parameters = llvm::to_vector(module.getOps<pipe::ParameterOp>());
    if (failed(checkNames(parameters)) || failed(checkPlaces(parameters, module)))
      return signalPassFailure();
    for (auto program : module.getOps<pipe::ProgramOp>())
      if (failed(checkProgram(program, module)))
        return signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::schedule
