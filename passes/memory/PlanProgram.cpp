//===- PlanProgram.cpp - one arena for all programs -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   arena   | parameters | gradients | moments | scalars, losses, loads, inputs | live in a run of a program
//   |
//           | the same in every program                                        | each program plans it anew |
//           0                                                                                      peak:
//           arena
//
// Programs run one at a time, so what is live in one may lie over what is live in another. Time is the number
// of the operation in its program. A workspace lives in its run only; an exposed output to the end of the
// program. In a checked module every buffer is planned with its guards, and placed between them.
//===----------------------------------------------------------------------===//
#include "passes/memory/Passes.h"

#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"
#include "passes/memory/Planner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "memory-plan-program"

using namespace mlir;

namespace contraflow::memory {

#define GEN_PASS_DEF_PLANPROGRAMPASS
#include "passes/memory/Passes.h.inc"

namespace {

/// Where an operation is done with its buffers: a collective at its wait.
Operation *getLast(Operation *op) {
  auto start = dyn_cast<pipe::StartOp>(op);
  return start ? start.getWait().getOperation() : op;
}

struct PlanProgramPass : impl::PlanProgramPassBase<PlanProgramPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    guard = nn::getGuardBytes(module);
    FailureOr<int64_t> persistent = placePersistent(module);
    if (failed(persistent))
      return signalPassFailure();
    int64_t peak = *persistent, live = *persistent;
    for (auto program : module.getOps<pipe::ProgramOp>()) {
      addWorkspaces(program, module);
      Problem problem = findLifetimes(program);
      Plan plan = memory::plan(problem);
      if (std::string reason = verify(problem, plan); !reason.empty()) {
        program.emitOpError("got a plan that is wrong: ") << reason;
        return signalPassFailure();
      }
      write(plan, *persistent);
      peak = std::max(peak, *persistent + plan.peak);
      live = std::max(live, *persistent + maxLive(problem));
    }
    for (auto program : module.getOps<pipe::ProgramOp>())
      program.setArena(peak);
    arenaBytes += peak;
    liveBytes += live;
  }

private:
  /// Puts buffers that outlive programs one after the other, by kind; returns where the rest begins.
  FailureOr<int64_t> placePersistent(ModuleOp module) {
    llvm::MapVector<std::pair<unsigned, StringRef>, SmallVector<pipe::BufferOp>> groups;
    for (auto program : module.getOps<pipe::ProgramOp>())
      for (auto buffer : program.getBody().getOps<pipe::BufferOp>())
        if (buffer.isPersistent())
          groups[{static_cast<unsigned>(buffer.getKind()), buffer.getName()}].push_back(buffer);
    auto order = groups.takeVector();
    llvm::stable_sort(order, [](const auto &a, const auto &b) { return a.first.first < b.first.first; });
    int64_t end = 0;
    for (auto &[key, buffers] : order) {
      for (pipe::BufferOp buffer : buffers) {
        if (buffer.getBytes() != buffers.front().getBytes()) {
          InFlightDiagnostic error = buffer.emitOpError("'")
                                     << buffer.getName() << "' has " << buffer.getBytes()
                                     << " bytes, in another program it has " << buffers.front().getBytes();
          error.attachNote(buffers.front().getLoc()) << "the other buffer";
          return failure();
        }
        buffer.setOffset(end + guard);
        ++numBuffers;
      }
      end += alignUp(buffers.front().getBytes()) + 2 * guard;
    }
    return end;
  }

  void addWorkspaces(pipe::ProgramOp program, ModuleOp module) {
    for (auto run : program.getBody().getOps<pipe::RunOp>()) {
      auto function = module.lookupSymbol<func::FuncOp>(run.getFunction());
      int64_t bytes = function ? nn::getWorkspaceBytes(function) : 0;
      if (bytes > 0)
        run.setWorkspaceBytes(bytes);
      else
        run.removeWorkspaceBytesAttr();
    }
  }

  /// Lifetimes of the other buffers, in the order of `transient`, then workspaces in the order of `runs`.
  Problem findLifetimes(pipe::ProgramOp program) {
    transient.clear();
    runs.clear();
    Problem problem;
    llvm::DenseMap<Operation *, int64_t> time;
    int64_t end = 0;
    for (Operation &op : program.getBody().front())
      time[&op] = end++;
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>()) {
      if (buffer.isPersistent())
        continue;
      int64_t first = end, last = -1;
      SmallVector<Value> values{buffer.getResult()};
      for (size_t i = 0; i < values.size(); ++i)
        for (Operation *user : values[i].getUsers()) {
          if (auto view = dyn_cast<pipe::ViewOp>(user)) {
            values.push_back(view.getResult());
            continue;
          }
          first = std::min(first, time[user]);
          last = std::max(last, isa<pipe::ExposeOp>(user) ? end : time[getLast(user)]);
        }
      if (last < 0)
        first = last = 0; // Nobody uses it; it needs an address all the same.
      transient.push_back(buffer);
      problem.add(buffer.getBytes() + 2 * guard, first, last);
    }
    for (auto run : program.getBody().getOps<pipe::RunOp>())
      if (run.getWorkspaceBytes()) {
        runs.push_back(run);
        problem.add(*run.getWorkspaceBytes() + 2 * guard, time[run], time[run]);
      }
    numBuffers += transient.size();
    return problem;
  }

  void write(const Plan &plan, int64_t base) {
    for (auto [index, buffer] : llvm::enumerate(transient))
      buffer.setOffset(base + plan.offsets[index] + guard);
    for (auto [index, run] : llvm::enumerate(runs))
      run.setWorkspaceOffset(base + plan.offsets[transient.size() + index] + guard);
  }

  /// Bytes on both sides of every buffer that belong to it alone.
  int64_t guard = 0;
  SmallVector<pipe::BufferOp> transient;
  SmallVector<pipe::RunOp> runs;
};

} // namespace

} // namespace contraflow::memory
