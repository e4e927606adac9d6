//===- PlanFunctions.cpp - an address for every value of a function -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Time is the number of the operation. A value lives from the kernel that makes it to its last reader, both
// included: a kernel may write its results while it still reads its inputs, so the two never share memory
// unless the kernel ties them. Values that are tied to each other are one buffer:
//
//   time    0        1               2
//           %a = k   %b = k(tied %a) return %b          one buffer, at the place of the returned value
//
// Buffers that contain an argument or a returned value lie where the caller wants them; the rest is the
// workspace. In a checked module every buffer of the workspace and of saved values is planned with its
// guards, and placed between them.
//===----------------------------------------------------------------------===//
#include "passes/memory/Passes.h"

#include "dialects/nn/NN.h"
#include "dialects/nn/Signature.h"
#include "passes/memory/Planner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "memory-plan-functions"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::Signature;

namespace contraflow::memory {

using nn::LocationAttr; // Hides the one of source locations.

#define GEN_PASS_DEF_PLANFUNCTIONSPASS
#include "passes/memory/Passes.h.inc"

namespace {

/// Offsets of the values that functions of one kind hand to each other through memory, by role and name.
class SavedLayouts {
public:
  /// Adds what the function makes.
  void add(StringRef kind, const Signature &signature) {
    for (const Port &port : signature.getResults()) {
      if (port.base != nn::kSavedBase && port.base != nn::kSavedInputBase)
        continue;
      int64_t &bytes = sizes[{kind, port.base}];
      offsets[{kind, port.base, port.getName()}] = bytes + signature.getGuardBytes();
      bytes += alignUp(port.type.getNumBytes()) + 2 * signature.getGuardBytes();
    }
  }
  std::optional<int64_t> find(StringRef kind, const Port &port) const {
    auto entry = offsets.find({kind, port.base, port.getName()});
    return entry == offsets.end() ? std::nullopt : std::optional(entry->second);
  }

private:
  std::map<std::pair<StringRef, int64_t>, int64_t> sizes;
  std::map<std::tuple<StringRef, int64_t, StringRef>, int64_t> offsets;
};

StringRef getKind(func::FuncOp function) { return function.getSymName().rsplit('.').first; }

/// A set of values that share their memory.
struct SharedBuffer {
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  /// Where the outside wants it; null: in the workspace.
  LocationAttr location;
};

class FunctionPlanner {
public:
  FunctionPlanner(func::FuncOp function, const Signature &signature, const SavedLayouts &saved)
      : function(function), signature(signature), saved(saved), context(function.getContext()) {}

  LogicalResult run();

  int64_t numValues = 0, workspaceBytes = 0, liveBytes = 0;

private:
  LogicalResult placePorts();
  LogicalResult collect();
  LogicalResult fix(Value value, LocationAttr location, StringRef what, unsigned index);
  LogicalResult plan();
  void write();

  func::FuncOp function;
  const Signature &signature;
  const SavedLayouts &saved;
  MLIRContext *context;
  llvm::EquivalenceClasses<Value> tied;
  llvm::MapVector<Value, SharedBuffer> buffers; // By leader.
  SmallVector<LocationAttr> argumentLocations, resultLocations;
  /// Workspace of single kernels: time, bytes, then the offset.
  SmallVector<std::tuple<nn::KernelOp, int64_t, int64_t, int64_t>> kernelWorkspaces;
};

/// Arguments and results: where the roles say.
LogicalResult FunctionPlanner::placePorts() {
  auto place = [&](const Port &port) -> FailureOr<LocationAttr> {
    if (port.isOperand())
      return LocationAttr::get(context, port.base, 0);
    if (port.base == nn::kSavedBase || port.base == nn::kSavedInputBase) {
      std::optional<int64_t> offset = saved.find(getKind(function), port);
      if (!offset) {
        function.emitOpError() << "takes " << stringifyRoleKind(port.getKind()) << " '" << port.getName()
                               << "', which no function of '" << getKind(function) << "' makes";
        return failure();
      }
      return LocationAttr::get(context, port.base, *offset);
    }
    // The schedule phase has placed parameters and what has their layout.
    LocationAttr location = port.isResult ? LocationAttr() : nn::getArgumentLocation(function, port.index);
    if (!location || location.getBase() != port.base) {
      function.emitOpError() << (port.isResult ? "result " : "argument ") << port.index << " ("
                             << stringifyRoleKind(port.getKind()) << " '" << port.getName()
                             << "') has no 'nn.location' in area " << port.base
                             << "; run the schedule phase first";
      return failure();
    }
    return location;
  };
  for (const Port &port : signature.getArguments()) {
    FailureOr<LocationAttr> location = place(port);
    if (failed(location))
      return failure();
    argumentLocations.push_back(*location);
  }
  for (const Port &port : signature.getResults()) {
    int64_t argument = port.role.getTied();
    FailureOr<LocationAttr> location = argument >= 0 ? FailureOr(argumentLocations[argument]) : place(port);
    if (failed(location))
      return failure();
    resultLocations.push_back(*location);
  }
  return success();
}

LogicalResult FunctionPlanner::fix(Value value, LocationAttr location, StringRef what, unsigned index) {
  SharedBuffer &buffer = buffers[tied.getLeaderValue(value)];
  if (buffer.location && buffer.location != location)
    return function.emitOpError() << what << " " << index << " shares its memory with a value at "
                                  << buffer.location << ", but belongs at " << location
                                  << "; it needs a copy";
  buffer.location = location;
  return success();
}

/// Joins tied values, finds lifetimes, and fixes what the outside sees.
LogicalResult FunctionPlanner::collect() {
  Block &body = function.getBody().front();
  for (BlockArgument argument : body.getArguments())
    tied.insert(argument);
  for (Operation &op : body) {
    if (auto kernel = dyn_cast<nn::KernelOp>(op)) {
      for (auto [result, input] : llvm::zip(kernel.getResults(), kernel.getTied())) {
        tied.insert(result);
        if (input >= 0)
          tied.unionSets(kernel.getInputs()[input], result);
      }
    } else if (!isa<nn::ConstantTableOp, func::ReturnOp>(op)) {
      return op.emitOpError("is not a kernel, run the fusion phase first");
    }
  }

  int64_t time = 0;
  auto touch = [&](Value value) {
    if (value.getDefiningOp<nn::ConstantTableOp>())
      return; // Lies in the object.
    auto [entry, isNew] = buffers.insert({tied.getLeaderValue(value), SharedBuffer{0, time, time, {}}});
    SharedBuffer &buffer = entry->second;
    buffer.bytes = std::max(buffer.bytes, cast<nn::TensorType>(value.getType()).getNumBytes());
    buffer.last = time;
  };
  for (BlockArgument argument : body.getArguments())
    touch(argument);
  for (Operation &op : body) {
    ++time;
    for (Value operand : op.getOperands())
      touch(operand);
    for (Value result : op.getResults())
      touch(result);
    numValues += op.getNumResults();
    if (auto kernel = dyn_cast<nn::KernelOp>(op))
      if (int64_t bytes = nn::getWorkspaceBytes(kernel))
        kernelWorkspaces.push_back({kernel, time, bytes, 0});
  }

  for (BlockArgument argument : body.getArguments())
    if (failed(
            fix(argument, argumentLocations[argument.getArgNumber()], "argument", argument.getArgNumber())))
      return failure();
  for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    if (value.getDefiningOp<nn::ConstantTableOp>())
      return function.emitOpError() << "returns a constant table as result " << index << "; it needs a copy";
    if (failed(fix(value, resultLocations[index], "result", index)))
      return failure();
  }
  return success();
}

LogicalResult FunctionPlanner::plan() {
  Problem problem;
  SmallVector<Value> leaders;
  int64_t guard = signature.getGuardBytes();
  for (auto &[leader, buffer] : buffers) {
    if (buffer.location)
      continue;
    problem.add(buffer.bytes + 2 * guard, buffer.first, buffer.last);
    leaders.push_back(leader);
  }
  for (auto &[kernel, time, bytes, offset] : kernelWorkspaces)
    problem.add(bytes + 2 * guard, time, time);
  Plan result = memory::plan(problem);
  if (std::string reason = verify(problem, result); !reason.empty())
    return function.emitOpError("got a plan that is wrong: ") << reason;
  for (auto [leader, offset] : llvm::zip(leaders, result.offsets))
    buffers[leader].location = LocationAttr::get(context, nn::kWorkspaceBase, offset + guard);
  for (auto [index, entry] : llvm::enumerate(kernelWorkspaces))
    std::get<3>(entry) = result.offsets[leaders.size() + index] + guard;
  workspaceBytes = result.peak;
  liveBytes = maxLive(problem);
  return success();
}

void FunctionPlanner::write() {
  Builder builder(context);
  auto locationOf = [&](Value value) -> Attribute { return buffers[tied.getLeaderValue(value)].location; };
  for (auto [index, location] : llvm::enumerate(argumentLocations))
    function.setArgAttr(index, nn::kLocationName, location);
  for (auto [index, location] : llvm::enumerate(resultLocations))
    function.setResultAttr(index, nn::kLocationName, location);
  for (auto kernel : function.getBody().getOps<nn::KernelOp>())
    kernel->setAttr(nn::kLocationsName,
                    builder.getArrayAttr(llvm::map_to_vector(kernel.getResults(), locationOf)));
  for (auto &[kernel, time, bytes, offset] : kernelWorkspaces)
    kernel->setAttr(nn::kWorkspaceName, LocationAttr::get(context, nn::kWorkspaceBase, offset));
  nn::setInt<nn::NNDialect::WorkspaceBytesAttrHelper>(function, workspaceBytes);
}

LogicalResult FunctionPlanner::run() {
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitOpError("has a body of several blocks, expected one");
  if (failed(placePorts()) || failed(collect()) || failed(plan()))
    return failure();
  write();
  return success();
}

struct PlanFunctionsPass : impl::PlanFunctionsPassBase<PlanFunctionsPass> {
  void runOnOperation() override {
    SmallVector<std::pair<func::FuncOp, Signature>> functions;
    SavedLayouts saved;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      FailureOr<Signature> signature = Signature::get(function);
      if (failed(signature))
        return signalPassFailure();
      saved.add(getKind(function), *signature);
      if (!function.isExternal())
        functions.push_back({function, *signature});
    }
    for (auto &[function, signature] : functions) {
      FunctionPlanner planner(function, signature, saved);
      if (failed(planner.run()))
        return signalPassFailure();
      numValues += planner.numValues;
      workspaceBytes += planner.workspaceBytes;
      liveBytes += planner.liveBytes;
    }
  }
};

} // namespace

} // namespace contraflow::memory
