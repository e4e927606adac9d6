//===- ProgramWriter.h - one program, row by row --------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One rank, one micro-batch after the other:
//
//   begin | F0> of all calls, B0< and W0< in reverse | F1> ..., B1< W1< ... | reduce | clip | optimizers |
//   updates | ema
//
// so what a forward saved is dead before the next micro-batch saves, and the memory phase reuses it. Weight
// gradients follow their input gradients at once: nothing else could use the time without stages.
//
// What a function takes is written in the roles of its arguments; the writer only knows what each role means
// in terms of the graph. It holds no name of an operation or a block.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_SCHEDULE_PROGRAMWRITER_H
#define CONTRAFLOW_PASSES_SCHEDULE_PROGRAMWRITER_H

#include "dialects/pipe/Pipe.h"
#include "passes/schedule/StepContext.h"

#include "mlir/IR/Builders.h"

namespace contraflow::schedule {

/// A call and where its own parameters begin.
struct Instance {
  nn::CallOp call;
  int64_t offset = 0;

  nn::BlockOp getBlock() const { return nn::CallOp(call).getBlock(); }
  llvm::StringRef getLabel() const {
    llvm::StringRef prefix = nn::CallOp(call).getPrefix().value_or("");
    return prefix.empty() ? getBlock().getSymName() : prefix;
  }
};

/// Buffers of one micro-batch.
struct State {
  int64_t microBatch = 0;
  /// Of every value of the graph that has been computed.
  llvm::DenseMap<mlir::Value, mlir::Value> values;
  /// Of every value that some gradient has reached.
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseMap<mlir::Operation *, mlir::Value> saved, savedInput;
};

/// Gives the buffer that a port lies in; null after a diagnostic.
using Resolver = llvm::function_ref<mlir::Value(const nn::Port &)>;

class ProgramWriter {
public:
  ProgramWriter(StepContext &context, llvm::StringRef name, nn::GraphOp graph, int64_t microBatches)
      : context(context), graph(graph), builder(mlir::OpBuilder::atBlockEnd(context.module.getBody())) {
    program = pipe::ProgramOp::create(builder, graph.getLoc(), name, microBatches);
    builder.setInsertionPointToStart(&program.getBody().front());
  }

  mlir::LogicalResult writeTrain();
  mlir::LogicalResult writeForwardOnly(llvm::ArrayRef<Instance> instances, llvm::StringRef inputPrefix,
                                       bool withLosses);

private:
  // Buffers.
  mlir::Value addBuffer(pipe::BufferKind kind, llvm::StringRef name, int64_t bytes);
  mlir::Value getRegion(pipe::BufferKind kind, llvm::StringRef name, int64_t bytes);
  mlir::Value addView(mlir::Value source, int64_t offset, int64_t bytes);
  mlir::Value getParameter(pipe::BufferKind region, nn::ParamOp param);
  mlir::Value getRandomKeys(mlir::Operation *call, int64_t first, int64_t count);
  /// The region of all counters of a kind, and one of them.
  mlir::Value getCounters(pipe::BufferKind kind);
  /// The buffer of a whole region that a function of the step works on; null where it works on none.
  mlir::Value getRegionOf(nn::RoleKind kind);
  mlir::Value getCounter(pipe::BufferKind kind, const Counter &counter);
  void expose(pipe::ExposeKind kind, llvm::StringRef name, mlir::Value buffer, llvm::ArrayRef<int64_t> shape,
              std::optional<double> weight = std::nullopt);

  // Runs.
  mlir::LogicalResult run(llvm::StringRef function, pipe::Direction direction, int64_t microBatch,
                          llvm::StringRef label, int64_t offset, Resolver resolve, mlir::Value saved = {},
                          mlir::Value savedInput = {});
  mlir::LogicalResult runOfGraph(llvm::StringRef function, pipe::Direction direction, int64_t microBatch,
                                 llvm::ArrayRef<mlir::Value> operands);
  mlir::LogicalResult runStep(llvm::StringRef function, pipe::Direction direction);
  /// Sums the counters of `names` over ranks, where there are functions that do.
  mlir::LogicalResult reduce(llvm::ArrayRef<llvm::StringRef> names);
  mlir::LogicalResult start(mlir::func::FuncOp function, llvm::StringRef label,
                            llvm::ArrayRef<mlir::Value> arguments,
                            llvm::SmallVectorImpl<mlir::Value> &events);
  mlir::LogicalResult forward(const Instance &instance, State &state, llvm::StringRef what);
  mlir::LogicalResult backward(const Instance &instance, State &state);
  mlir::LogicalResult forwardGraph(llvm::ArrayRef<Instance> instances, State &state, llvm::StringRef what);
  mlir::LogicalResult updateInstance(const Instance &instance, llvm::StringRef what,
                                     pipe::Direction direction);
  mlir::Value resolveValue(const nn::Port &port, const Instance &instance, State &state);
  mlir::LogicalResult completeGradients(const nn::Signature &signature, const Instance &instance,
                                        State &state);
  /// Inputs of micro-batch `state.microBatch`.
  void addInputs(State &state, int64_t microBatches, llvm::StringRef prefix);
  mlir::LogicalResult clear(pipe::BufferKind kind);
  void exposeCounters();

  /// Inserts where buffers are declared: after the last of them, before all runs.
  template <typename Op, typename... Args> mlir::Value declare(Args &&...args) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    if (lastBuffer)
      builder.setInsertionPointAfter(lastBuffer);
    else
      builder.setInsertionPointToStart(&program.getBody().front());
    auto op = Op::create(builder, graph.getLoc(), pipe::BufferType::get(builder.getContext()),
                         std::forward<Args>(args)...);
    lastBuffer = op;
    return op->getResult(0);
  }

  StepContext &context;
  nn::GraphOp graph;
  mlir::OpBuilder builder;
  pipe::ProgramOp program;
  mlir::Operation *lastBuffer = nullptr;
  /// Buffers that outlive the program, and their views.
  llvm::StringMap<mlir::Value> regions;
  llvm::DenseMap<std::pair<mlir::Value, std::pair<int64_t, int64_t>>, mlir::Value> views;
};

} // namespace contraflow::schedule

#endif
