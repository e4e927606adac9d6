//===- VerifyPlan.cpp - who owns which byte, step by step -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Executes functions and programs on a picture of memory that knows for every byte which value wrote it last.
// A read of a byte that somebody else has overwritten is an error. Nothing is taken from the planner: neither
// its lifetimes nor its classes of tied values, so that a mistake there, or in an edited file, shows here.
//===----------------------------------------------------------------------===//
#include "passes/memory/Passes.h"

#include "dialects/nn/NN.h"
#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"
#include "passes/memory/Planner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <map>

#define DEBUG_TYPE "memory-verify-plan"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::Signature;

namespace contraflow::memory {

using nn::LocationAttr; // Hides the one of source locations.

#define GEN_PASS_DEF_VERIFYPLANPASS
#include "passes/memory/Passes.h.inc"

namespace {

/// A range of bytes in an area.
struct Range {
  int64_t area = 0;
  int64_t begin = 0;
  int64_t end = 0;

  bool overlaps(const Range &other) const {
    return area == other.area && begin < other.end && other.begin < end;
  }
  bool operator==(const Range &other) const {
    return area == other.area && begin == other.begin && end == other.end;
  }
};

/// The bytes that belong to the range alone: its own, up to the next multiple of the alignment, and in a
/// checked build the guards on both sides.
Range withGuards(Range range, int64_t guard) {
  if (guard > 0)
    range = {range.area, range.begin - guard, alignUp(range.end) + guard};
  return range;
}

std::string getText(const Range &range) {
  return "bytes " + std::to_string(range.begin) + " to " + std::to_string(range.end) + " of area " +
         std::to_string(range.area);
}

/// Which value wrote each byte last.
class Ownership {
public:
  void write(const Range &range, const void *owner) {
    if (range.begin == range.end)
      return;
    auto &pieces = areas[range.area];
    split(pieces, range.begin);
    split(pieces, range.end);
    pieces.erase(pieces.lower_bound(range.begin), pieces.lower_bound(range.end));
    pieces[range.begin] = {range.end, owner};
  }

  bool owns(const Range &range, const void *owner) {
    auto &pieces = areas[range.area];
    auto piece = pieces.upper_bound(range.begin);
    int64_t position = range.begin;
    if (piece != pieces.begin())
      --piece;
    for (; position < range.end && piece != pieces.end() && piece->first <= position; ++piece) {
      if (piece->second.first <= position)
        continue;
      if (piece->second.second != owner)
        return false;
      position = piece->second.first;
    }
    return position >= range.end;
  }

private:
  /// By begin: end and owner.
  using Pieces = std::map<int64_t, std::pair<int64_t, const void *>>;

  static void split(Pieces &pieces, int64_t at) {
    auto piece = pieces.lower_bound(at);
    if (piece == pieces.begin())
      return;
    --piece;
    if (piece->second.first <= at)
      return;
    pieces[at] = piece->second;
    piece->second.first = at;
  }

  std::map<int64_t, Pieces> areas;
};

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// Offset of what functions of a kind hand to each other, and who said it first; by kind, area and name.
using SavedPlaces = std::map<std::tuple<StringRef, int64_t, StringRef>, std::pair<int64_t, func::FuncOp>>;

class FunctionCheck {
public:
  FunctionCheck(func::FuncOp function, SavedPlaces &saved) : function(function), saved(saved) {}

  LogicalResult run() {
    FailureOr<Signature> signature = Signature::get(function);
    if (failed(signature))
      return failure();
    guard = signature->getGuardBytes();
    for (const Port &port : signature->getArguments()) {
      LocationAttr location = nn::getArgumentLocation(function, port.index);
      BlockArgument argument = function.getArgument(port.index);
      if (failed(place(function, argument, location)))
        return failure();
      if (location.getBase() != port.base)
        return function.emitOpError("(C2) argument ")
               << port.index << " lies at " << location << ", expected area " << port.base;
      if (failed(checkSaved(port, location)))
        return failure();
      memory.write(own(ranges[argument]), argument.getAsOpaquePointer());
    }
    for (Operation &op : function.getBody().front()) {
      if (auto kernel = dyn_cast<nn::KernelOp>(op)) {
        if (failed(check(kernel)))
          return failure();
      }
    }
    return checkReturn(*signature);
  }

private:
  LogicalResult place(Operation *op, Value value, LocationAttr location) {
    // verify_plan_c1
    if (!location)
      return op->emitOpError("(C1) has a value without a location, run the memory phase first");
    int64_t bytes = cast<nn::TensorType>(value.getType()).getNumBytes();
    ranges[value] = {location.getBase(), location.getOffset(), location.getOffset() + bytes};
    return checkInside(op, "a value", ranges[value]);
  }

  /// Areas in which values have guards in a checked build.
  Range own(const Range &range) {
    bool hasGuards =
        range.area == nn::kSavedBase || range.area == nn::kWorkspaceBase || range.area == nn::kSavedInputBase;
    return withGuards(range, hasGuards ? guard : 0);
  }

  /// What functions of a kind hand to each other through memory lies where all of them think it does.
  LogicalResult checkSaved(const Port &port, LocationAttr location) {
    if (port.base != nn::kSavedBase && port.base != nn::kSavedInputBase)
      return success();
    // verify_plan_c7
    auto key = std::tuple(function.getSymName().rsplit('.').first, port.base, port.getName());
    auto &[offset, other] = saved.try_emplace(key, location.getOffset(), function).first->second;
    if (offset == location.getOffset())
      return success();
    InFlightDiagnostic error = function.emitOpError("(C7) has '")
                               << port.getName() << "' at " << location << ", '" << other.getSymName()
                               << "' has it at offset " << offset;
    error.attachNote(other.getLoc()) << "the other function";
    return failure();
  }

  LogicalResult checkInside(Operation *op, StringRef what, const Range &range) {
    // verify_plan_c1
    if (own(range).begin < 0 || range.begin % kAlignment != 0)
      return op->emitOpError("(C1) has ") << what << " at " << getText(range)
                                          << ", expected an offset that is a multiple of " << kAlignment;
    int64_t workspaceBytes = nn::getWorkspaceBytes(function);
    if (range.area == nn::kWorkspaceBase && own(range).end > workspaceBytes)
      return op->emitOpError("(C1) has ")
             << what << " at " << getText(range) << ", the workspace has " << workspaceBytes << " bytes";
    return success();
  }

  LogicalResult check(nn::KernelOp kernel) {
    SmallVector<LocationAttr> locations = nn::getLocations(kernel);
    if (locations.size() != kernel.getNumResults())
      return kernel.emitOpError("(C1) '") << kernel.getLabel() << "' has no location for each of its results";
    // verify_plan_c3
    for (auto [index, input] : llvm::enumerate(kernel.getInputs()))
      if (!input.getDefiningOp<nn::ConstantTableOp>() &&
          !memory.owns(own(ranges[input]), input.getAsOpaquePointer()))
        return kernel.emitOpError("(C3) '")
               << kernel.getLabel() << "' reads input " << index << " at " << getText(ranges[input])
               << ", which another value has overwritten";
    SmallVector<Range> written;
    for (auto [result, location, tied] : llvm::zip(kernel.getResults(), locations, kernel.getTied())) {
      if (failed(place(kernel, result, location)))
        return failure();
      const Range &range = ranges[result];
      for (auto [index, input] : llvm::enumerate(kernel.getInputs())) {
        if (input.getDefiningOp<nn::ConstantTableOp>())
          continue;
        // verify_plan_c2
        if (static_cast<int64_t>(index) == tied && !(ranges[input] == range))
          return kernel.emitOpError("(C2) '")
                 << kernel.getLabel() << "' has a result at " << getText(range) << ", tied to input " << index
                 << " at " << getText(ranges[input]);
        // verify_plan_c4
        // An input may be read again while results are written, except where the two are one.
        bool isTied = static_cast<int64_t>(index) == tied || (tied >= 0 && kernel.getInputs()[tied] == input);
        if (!isTied && own(ranges[input]).overlaps(own(range)))
          return kernel.emitOpError("(C4) '")
                 << kernel.getLabel() << "' writes " << getText(range) << " over its input " << index
                 << " at " << getText(ranges[input]);
      }
      written.push_back(range);
    }
    if (LocationAttr location = nn::getWorkspace(kernel)) {
      Range range = {location.getBase(), location.getOffset(),
                     location.getOffset() + nn::getWorkspaceBytes(kernel)};
      if (failed(checkInside(kernel, "its workspace", range)))
        return failure();
      // verify_plan_c4
      for (Value input : kernel.getInputs())
        if (!input.getDefiningOp<nn::ConstantTableOp>() && own(ranges[input]).overlaps(own(range)))
          return kernel.emitOpError("(C4) '")
                 << kernel.getLabel() << "' has its workspace at " << getText(range) << " over an input at "
                 << getText(ranges[input]);
      memory.write(own(range), kernel);
      written.push_back(range);
    }
    // verify_plan_c4
    for (size_t i = 0; i < written.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (own(written[i]).overlaps(own(written[j])))
          return kernel.emitOpError("(C4) '")
                 << kernel.getLabel() << "' writes " << getText(written[i]) << " and " << getText(written[j]);
    for (Value result : kernel.getResults())
      memory.write(own(ranges[result]), result.getAsOpaquePointer());
    return success();
  }

  /// Results must lie, whole, where the caller expects them.
  LogicalResult checkReturn(const Signature &signature) {
    auto operands = function.getBody().front().getTerminator()->getOperands();
    for (const Port &port : signature.getResults()) {
      Value value = operands[port.index];
      LocationAttr location = nn::getResultLocation(function, port.index);
      const Range &range = ranges[value];
      // verify_plan_c2
      if (!location || location.getBase() != port.base || range.area != location.getBase() ||
          range.begin != location.getOffset())
        return function.emitOpError("(C2) result ")
               << port.index << " lies at " << getText(range) << ", expected " << location;
      if (failed(checkSaved(port, location)))
        return failure();
      int64_t tied = port.role.getTied();
      if (tied >= 0 && !(range == ranges[function.getArgument(tied)]))
        return function.emitOpError("(C2) result ")
               << port.index << " lies at " << getText(range) << ", tied to argument " << tied << " at "
               << getText(ranges[function.getArgument(tied)]);
      // verify_plan_c3
      if (!memory.owns(own(range), value.getAsOpaquePointer()))
        return function.emitOpError("(C3) result ")
               << port.index << " at " << getText(range) << " is overwritten before the end";
    }
    return success();
  }

  func::FuncOp function;
  SavedPlaces &saved;
  int64_t guard = 0;
  llvm::DenseMap<Value, Range> ranges;
  Ownership memory;
};

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

using BufferKey = std::pair<pipe::BufferKind, StringRef>;

BufferKey getKey(pipe::BufferOp buffer) { return {buffer.getKind(), buffer.getName()}; }

/// Buffers that outlive programs, by kind and name.
using KeptBuffers = std::map<BufferKey, pipe::BufferOp>;

FailureOr<KeptBuffers> collectKept(ModuleOp module) {
  KeptBuffers kept;
  for (auto program : module.getOps<pipe::ProgramOp>())
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>()) {
      if (!buffer.isPersistent())
        continue;
      pipe::BufferOp first = kept.try_emplace(getKey(buffer), buffer).first->second;
      // verify_plan_c6
      if (first.getOffset() == buffer.getOffset() && first.getBytes() == buffer.getBytes())
        continue;
      InFlightDiagnostic error = buffer.emitOpError("(C6) '")
                                 << buffer.getName() << "' has " << buffer.getBytes() << " bytes at "
                                 << buffer.getOffset().value_or(0) << ", in another program "
                                 << first.getBytes() << " at " << first.getOffset().value_or(0);
      error.attachNote(first.getLoc()) << "the other buffer";
      return failure();
    }
  return kept;
}

class ProgramCheck {
public:
  ProgramCheck(pipe::ProgramOp program, ModuleOp module)
      : program(program), module(module), guard(nn::getGuardBytes(module)) {}

  LogicalResult run(KeptBuffers kept) {
    // What it does not name is there all the same.
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>())
      kept.erase(getKey(buffer));
    for (auto &[key, buffer] : kept)
      memory.write(own(buffer.getResult()), buffer.getResult().getAsOpaquePointer());
    if (failed(runOwn()))
      return failure();
    // verify_plan_c6
    for (auto &[key, buffer] : kept)
      if (!memory.owns(own(buffer.getResult()), buffer.getResult().getAsOpaquePointer())) {
        InFlightDiagnostic error = program.emitOpError("(C6) overwrites '")
                                   << buffer.getName() << "' at " << getText(getRange(buffer.getResult()))
                                   << ", which another program keeps";
        error.attachNote(buffer.getLoc()) << "the buffer";
        return failure();
      }
    return success();
  }

private:
  LogicalResult runOwn() {
    // verify_plan_c1
    if (!program.getArena())
      return program.emitOpError("(C1) has no arena, run the memory phase first");
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>()) {
      if (!buffer.getOffset())
        return buffer.emitOpError("(C1) has no offset, run the memory phase first");
      Range range = own(buffer.getResult());
      if (range.begin < 0 || range.end > static_cast<int64_t>(*program.getArena()))
        return buffer.emitOpError("(C1) ")
               << (range.begin < 0 ? "begins" : "ends") << " at byte "
               << (range.begin < 0 ? range.begin : range.end) << " of an arena of " << *program.getArena();
      if (buffer.isPersistent())
        memory.write(range, buffer.getResult().getAsOpaquePointer());
    }
    for (Operation &op : program.getBody().front()) {
      if (auto run = dyn_cast<pipe::RunOp>(op); run && failed(check(run)))
        return failure();
      if (auto start = dyn_cast<pipe::StartOp>(op); start && failed(check(start)))
        return failure();
      if (auto wait = dyn_cast<pipe::WaitOp>(op); wait && failed(check(wait)))
        return failure();
      if (auto expose = dyn_cast<pipe::ExposeOp>(op); expose && failed(checkRead(expose, expose.getBuffer())))
        return failure();
    }
    // Buffers that outlive the program must have survived it.
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>())
      if (buffer.isPersistent() && failed(checkRead(buffer, buffer.getResult())))
        return failure();
    return success();
  }

  static Range getRange(Value value) {
    pipe::Extent extent = pipe::getExtent(value);
    int64_t begin = static_cast<int64_t>(extent.buffer.getOffset().value_or(0)) + extent.offset;
    return {0, begin, begin + extent.bytes};
  }
  /// Whole buffers have guards, parts of them have none.
  Range own(Value value) {
    pipe::Extent extent = pipe::getExtent(value);
    bool isWhole = extent.offset == 0 && extent.bytes == static_cast<int64_t>(extent.buffer.getBytes());
    return withGuards(getRange(value), isWhole ? guard : 0);
  }
  static const void *getOwner(Value value) {
    return pipe::getExtent(value).buffer.getResult().getAsOpaquePointer();
  }

  LogicalResult checkRead(Operation *op, Value value) {
    // verify_plan_c3
    if (memory.owns(own(value), getOwner(value)))
      return success();
    pipe::BufferOp buffer = pipe::getExtent(value).buffer;
    InFlightDiagnostic error = op->emitOpError("(C3) reads buffer '")
                               << buffer.getName() << "' at " << getText(getRange(value))
                               << ", which another buffer has overwritten";
    error.attachNote(buffer.getLoc()) << "the buffer";
    return failure();
  }

  /// A buffer that a run reads or writes.
  struct Touched {
    Value buffer;
    bool written;
  };

  /// The buffers of a run. Those that it reads have their contents.
  FailureOr<SmallVector<Touched>> collectTouched(pipe::RunOp run, const Signature &signature) {
    SmallVector<Port> operands = signature.getOperands();
    if (operands.size() != run.getBuffers().size())
      return run.emitOpError("(C2) passes ") << run.getBuffers().size() << " buffers, '" << run.getFunction()
                                             << "' takes " << operands.size();
    SmallVector<Touched> touched;
    for (auto [port, buffer] : llvm::zip(operands, run.getBuffers())) {
      if (!port.isResult && failed(checkRead(run, buffer)))
        return failure();
      touched.push_back({buffer, port.isResult || signature.isTied(port)});
    }
    auto addSaved = [&](Value buffer, int64_t base) {
      if (!buffer)
        return success();
      bool makes = llvm::any_of(signature.getResults(), [&](const Port &port) { return port.base == base; });
      touched.push_back({buffer, makes});
      return makes ? success() : checkRead(run, buffer);
    };
    if (failed(addSaved(run.getSaved(), nn::kSavedBase)) ||
        failed(addSaved(run.getSavedInput(), nn::kSavedInputBase)))
      return failure();
    return touched;
  }

  LogicalResult checkApart(pipe::RunOp run, ArrayRef<Touched> touched) {
    // verify_plan_c4
    for (size_t i = 0; i < touched.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        auto [a, writesA] = touched[i];
        auto [b, writesB] = touched[j];
        // Gradients of a parameter that is passed twice are added one after the other.
        bool isAccumulator = pipe::getExtent(a).buffer.getKind() == pipe::BufferKind::gradients && a == b;
        if ((writesA || writesB) && !isAccumulator && own(a).overlaps(own(b)))
          return run.emitOpError("(C4) works on '")
                 << pipe::getExtent(a).buffer.getName() << "' at " << getText(getRange(a)) << " and on '"
                 << pipe::getExtent(b).buffer.getName() << "' at " << getText(getRange(b));
      }
    return success();
  }

  LogicalResult checkWorkspace(pipe::RunOp run, func::FuncOp function, ArrayRef<Touched> touched) {
    // verify_plan_c5
    int64_t bytes = nn::getWorkspaceBytes(function);
    if (bytes > static_cast<int64_t>(run.getWorkspaceBytes().value_or(0)))
      return run.emitOpError("(C5) has a workspace of ") << run.getWorkspaceBytes().value_or(0) << " bytes, '"
                                                         << run.getFunction() << "' needs " << bytes;
    if (!run.getWorkspaceBytes())
      return success();
    if (!run.getWorkspaceOffset())
      return run.emitOpError("(C5) has a workspace without an offset, run the memory phase first");
    int64_t begin = *run.getWorkspaceOffset();
    Range workspace = {0, begin, begin + static_cast<int64_t>(*run.getWorkspaceBytes())};
    if (withGuards(workspace, guard).end > static_cast<int64_t>(*program.getArena()))
      return run.emitOpError("(C5) has a workspace that ends at byte ")
             << workspace.end << " of an arena of " << *program.getArena();
    for (const Touched &item : touched)
      if (withGuards(workspace, guard).overlaps(own(item.buffer)))
        return run.emitOpError("(C5) has its workspace at ")
               << getText(workspace) << " over buffer '" << pipe::getExtent(item.buffer).buffer.getName()
               << "'";
    memory.write(withGuards(workspace, guard), run);
    return success();
  }

  LogicalResult check(pipe::StartOp start) {
    for (Value input : start.getInputs())
      if (failed(checkRead(start, input)))
        return failure();
    // verify_plan_c4
    for (auto [index, output] : llvm::enumerate(start.getOutputs())) {
      for (Value input : start.getInputs())
        if (input != output && own(input).overlaps(own(output)))
          return start.emitOpError("(C4) writes ")
                 << getText(getRange(output)) << " over its input at " << getText(getRange(input));
      for (Value other : start.getOutputs().take_front(index))
        if (own(other).overlaps(own(output)))
          return start.emitOpError("(C4) writes ")
                 << getText(getRange(output)) << " and " << getText(getRange(other));
      memory.write(own(output), getOwner(output));
    }
    return success();
  }

  /// While a collective runs, nothing may have taken the place of its buffers.
  LogicalResult check(pipe::WaitOp wait) {
    for (ValueRange buffers :
         {ValueRange(wait.getStart().getInputs()), ValueRange(wait.getStart().getOutputs())})
      for (Value buffer : buffers)
        if (failed(checkRead(wait, buffer)))
          return failure();
    return success();
  }

  LogicalResult check(pipe::RunOp run) {
    auto function = module.lookupSymbol<func::FuncOp>(run.getFunction());
    if (!function)
      return run.emitOpError("(C2) runs '") << run.getFunction() << "', which is no function";
    FailureOr<Signature> signature = Signature::get(function);
    if (failed(signature))
      return failure();
    FailureOr<SmallVector<Touched>> touched = collectTouched(run, *signature);
    if (failed(touched) || failed(checkApart(run, *touched)))
      return failure();
    for (const Touched &item : *touched)
      if (item.written)
        memory.write(own(item.buffer), getOwner(item.buffer));
    return checkWorkspace(run, function, *touched);
  }

  pipe::ProgramOp program;
  ModuleOp module;
  int64_t guard;
  Ownership memory;
};

struct VerifyPlanPass : impl::VerifyPlanPassBase<VerifyPlanPass> {
  void runOnOperation() override {
    SavedPlaces saved;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && failed(FunctionCheck(function, saved).run()))
        return signalPassFailure();
    FailureOr<KeptBuffers> kept = collectKept(getOperation());
    if (failed(kept))
      return signalPassFailure();
    for (auto program : getOperation().getOps<pipe::ProgramOp>())
      if (failed(ProgramCheck(program, getOperation()).run(*kept)))
        return signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::memory
