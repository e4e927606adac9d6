//===- ProgramWriter.cpp - one program, row by row ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/schedule/ProgramWriter.h"

#include "dialects/comm/Comm.h"
#include "dialects/nn/FunctionNames.h"
#include "runtime/abi/Abi.h"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::RoleKind;
using contraflow::nn::Signature;
using contraflow::pipe::BufferKind;
using contraflow::pipe::Direction;

namespace contraflow::schedule {

Value ProgramWriter::addBuffer(BufferKind kind, StringRef name, int64_t bytes) {
  return declare<pipe::BufferOp>(kind, name, bytes, IntegerAttr());
}

Value ProgramWriter::getRegion(BufferKind kind, StringRef name, int64_t bytes) {
  Value &region = regions[name];
  if (!region)
    region = addBuffer(kind, name, bytes);
  return region;
}

Value ProgramWriter::addView(Value source, int64_t offset, int64_t bytes) {
  if (offset == 0 && bytes == pipe::getExtent(source).bytes)
    return source;
  Value &view = views[{source, {offset, bytes}}];
  if (!view)
    view = declare<pipe::ViewOp>(source, offset, bytes);
  return view;
}

Value ProgramWriter::getParameter(BufferKind region, nn::ParamOp param) {
  Value buffer = getRegion(region, pipe::stringifyBufferKind(region), context.layout.getBytes());
  return addView(buffer, context.parameters.lookup(param.getName()),
                 cast<nn::TensorType>(param.getResult().getType()).getNumBytes());
}

Value ProgramWriter::getCounters(BufferKind kind) {
  int64_t bytes = kind == BufferKind::losses  ? context.lossBytes
                  : kind == BufferKind::loads ? context.loadBytes
                                              : context.metricBytes;
  return getRegion(kind, pipe::stringifyBufferKind(kind), bytes);
}

Value ProgramWriter::getCounter(BufferKind kind, const Counter &counter) {
  return addView(getCounters(kind), counter.offset, counter.type.getNumBytes());
}

/// Keys of `count` micro-batches of a call; null where it has none.
Value ProgramWriter::getRandomKeys(Operation *call, int64_t first, int64_t count) {
  auto keys = context.randoms.find(call);
  if (keys == context.randoms.end())
    return {};
  constexpr int64_t kBytes = nn::kRandomKeyWords * 4;
  return addView(getRegion(BufferKind::input, "random", context.randomBytes),
                 keys->second.offset + first * kBytes, count * kBytes);
}

void ProgramWriter::expose(pipe::ExposeKind kind, StringRef name, Value buffer, ArrayRef<int64_t> shape,
                           std::optional<double> weight) {
  pipe::ExposeOp::create(builder, graph.getLoc(), kind, name, buffer, shape,
                         weight ? builder.getF64FloatAttr(*weight) : FloatAttr());
}

LogicalResult ProgramWriter::run(StringRef function, Direction direction, int64_t microBatch, StringRef label,
                                 int64_t offset, Resolver resolve, Value saved, Value savedInput) {
  const Signature *signature = context.findFunction(function);
  if (!signature)
    return graph.emitOpError("needs a function '") << function << "', which the module does not have";
  SmallVector<Value> buffers;
  for (const Port &port : signature->getOperands()) {
    Value buffer = resolve(port);
    if (!buffer)
      return graph.emitOpError("has nothing to pass to ")
             << stringifyRoleKind(port.getKind()) << " '" << port.getName() << "' of '" << function << "'";
    buffers.push_back(buffer);
  }
  // Regions that only the `at` of a run names are declared as well.
  constexpr BufferKind kRegions[] = {BufferKind::parameters, BufferKind::gradients, BufferKind::first_moments,
                                     BufferKind::second_moments};
  for (auto [base, kind] : llvm::enumerate(kRegions))
    if (signature->uses(base))
      getRegion(kind, pipe::stringifyBufferKind(kind), context.layout.getBytes());
  pipe::RunOp::create(builder, graph.getLoc(), function, direction, microBatch, label, offset, IntegerAttr(),
                      IntegerAttr(), signature->uses(nn::kSavedBase) ? saved : Value(),
                      signature->uses(nn::kSavedInputBase) ? savedInput : Value(), buffers);
  return success();
}

/// Runs a function of the graph on buffers in the order of its arguments and results.
LogicalResult ProgramWriter::runOfGraph(StringRef function, Direction direction, int64_t microBatch,
                                        ArrayRef<Value> operands) {
  return run(function, direction, microBatch, "graph", 0, [&, next = 0u](const Port &) mutable {
    return next < operands.size() ? operands[next++] : Value();
  });
}

Value ProgramWriter::getRegionOf(RoleKind kind) {
  switch (kind) {
  case RoleKind::grad:
    return getRegion(BufferKind::gradients, "gradients", context.layout.getBytes());
  case RoleKind::loss:
    return getCounters(BufferKind::losses);
  case RoleKind::load:
    return getCounters(BufferKind::loads);
  case RoleKind::metric:
    return getCounters(BufferKind::metrics);
  case RoleKind::scalars:
    return getRegion(BufferKind::scalars, "scalars", CF_SCALAR_COUNT * 4);
  case RoleKind::ema:
    return getRegion(BufferKind::ema, "ema", context.layout.getBytes());
  default:
    return {};
  }
}

LogicalResult ProgramWriter::runStep(StringRef function, Direction direction) {
  return run(function, direction, -1, "step", 0,
             [&](const Port &port) { return getRegionOf(port.getKind()); });
}

/// Starts the collectives of a function of the step. What one of them makes lies where the function's result
/// does: on its argument.
LogicalResult ProgramWriter::start(func::FuncOp function, StringRef label, ArrayRef<Value> arguments,
                                   SmallVectorImpl<Value> &events) {
  for (auto op : function.getBody().getOps<comm::CollectiveOp>()) {
    auto sum = dyn_cast<comm::AllReduceOp>(op.getOperation());
    auto argument = sum ? dyn_cast<BlockArgument>(sum.getInput()) : BlockArgument();
    if (!argument)
      return op->emitOpError("is no sum of an argument of '")
             << function.getSymName() << "', and programs have no other collectives yet";
    Value buffer = arguments[argument.getArgNumber()];
    events.push_back(pipe::StartOp::create(
        builder, function.getLoc(), pipe::EventType::get(builder.getContext()), pipe::Collective::all_reduce,
        sum.getAxis(), Direction::reduce, /*micro_batch=*/-1, label, ValueRange(buffer), ValueRange(buffer)));
  }
  return success();
}

LogicalResult ProgramWriter::reduce(ArrayRef<StringRef> names) {
  SmallVector<Value> events;
  for (StringRef name : names) {
    std::string symbol = (nn::kStepReduce + name).str();
    const Signature *signature = context.findFunction(symbol);
    if (!signature)
      continue;
    SmallVector<Value> arguments;
    for (const Port &port : signature->getArguments()) {
      arguments.push_back(getRegionOf(port.getKind()));
      if (!arguments.back() || pipe::getExtent(arguments.back()).bytes != port.type.getNumBytes())
        return graph.emitOpError("has no buffer of ")
               << port.type << " to pass to " << stringifyRoleKind(port.getKind()) << " '" << port.getName()
               << "' of '" << symbol << "'";
    }
    context.reduced.insert(symbol);
    if (failed(start(context.module.lookupSymbol<func::FuncOp>(symbol), name, arguments, events)))
      return failure();
  }
  for (Value event : events)
    pipe::WaitOp::create(builder, graph.getLoc(), event);
  return success();
}

/// What a role of a block's function means in terms of the call; gradients that are made on the way are
/// the caller's business.
Value ProgramWriter::resolveValue(const Port &port, const Instance &instance, State &state) {
  nn::CallOp call = instance.call;
  auto operandOf = [&]() -> Value {
    for (unsigned i = 0; i < call.getInputs().size(); ++i)
      if (instance.getBlock().getArgName(i) == port.getName())
        return call.getInputs()[i];
    return {};
  };
  auto outputOf = [&]() -> Value {
    unsigned index;
    if (port.getName().getAsInteger(10, index) || index >= call.getNumResults())
      return {};
    return call.getResult(index);
  };
  switch (port.getKind()) {
  case RoleKind::input:
    return state.values.lookup(operandOf());
  case RoleKind::output:
    return state.values.lookup(outputOf());
  case RoleKind::output_grad:
    return state.gradients.lookup(outputOf());
  case RoleKind::param_arg:
  case RoleKind::grad_arg: {
    auto param = operandOf() ? operandOf().getDefiningOp<nn::ParamOp>() : nn::ParamOp();
    BufferKind region =
        port.getKind() == RoleKind::param_arg ? BufferKind::parameters : BufferKind::gradients;
    return param ? getParameter(region, param) : Value();
  }
  case RoleKind::loss: {
    auto loss = context.losses.find(port.getName());
    return loss == context.losses.end() ? Value() : getCounter(BufferKind::losses, loss->second);
  }
  case RoleKind::load: {
    auto load = context.loads.find({call, port.getName()});
    return load == context.loads.end() ? Value() : getCounter(BufferKind::loads, load->second);
  }
  case RoleKind::metric: {
    auto metric = context.metrics.find({call, port.getName()});
    return metric == context.metrics.end() ? Value() : getCounter(BufferKind::metrics, metric->second);
  }
  case RoleKind::random:
    return getRandomKeys(call, state.microBatch, 1);
  case RoleKind::scalars:
    return getRegion(BufferKind::scalars, "scalars", CF_SCALAR_COUNT * 4);
  default:
    return {};
  }
}

LogicalResult ProgramWriter::forward(const Instance &instance, State &state, StringRef what) {
  std::string function = nn::getFunctionName(instance.getBlock().getSymName(), what);
  nn::CallOp call = instance.call;
  for (auto [index, result] : llvm::enumerate(call.getResults())) {
    std::string name = instance.getLabel().str();
    if (call.getNumResults() > 1)
      name += "." + std::to_string(index);
    state.values[result] =
        addBuffer(BufferKind::activation, name, cast<nn::TensorType>(result.getType()).getNumBytes());
  }
  if (const Signature *signature = context.findFunction(function))
    if (int64_t bytes = nn::getResultBytes(*signature, nn::kSavedBase))
      state.saved[call] = addBuffer(BufferKind::saved, instance.getLabel(), bytes);
  return run(
      function, Direction::forward, state.microBatch, instance.getLabel(), instance.offset,
      [&](const Port &port) { return resolveValue(port, instance, state); }, state.saved.lookup(call));
}

/// Gives zeros to outputs that the function wants a gradient of and no reader of this call has sent one.
LogicalResult ProgramWriter::completeGradients(const Signature &signature, const Instance &instance,
                                               State &state) {
  for (const Port &port : signature.getArguments()) {
    if (port.getKind() != RoleKind::output_grad || resolveValue(port, instance, state))
      continue;
    unsigned index;
    if (port.getName().getAsInteger(10, index) || index >= instance.call->getNumResults())
      continue; // Reported by `run`.
    Value output = instance.call->getResult(index);
    Value zeros =
        addBuffer(BufferKind::activation_grad, pipe::getExtent(state.values.lookup(output)).buffer.getName(),
                  port.type.getNumBytes());
    state.gradients[output] = zeros;
    FailureOr<std::string> zero = context.getZeroFunction(port.type);
    if (failed(zero) || failed(runOfGraph(*zero, Direction::backward_input, state.microBatch, {zeros})))
      return failure();
  }
  return success();
}

LogicalResult ProgramWriter::backward(const Instance &instance, State &state) {
  nn::CallOp call = instance.call;
  StringRef block = instance.getBlock().getSymName();
  struct Sum {
    Value total, part;
    nn::TensorType type;
  };
  SmallVector<Sum> sums;
  auto resolve = [&](const Port &port) -> Value {
    if (port.getKind() != RoleKind::input_grad)
      return resolveValue(port, instance, state);
    Port input = port;
    input.role = nn::RoleAttr::get(builder.getContext(), RoleKind::input, port.getName(), -1);
    Value value = resolveValue(input, instance, state);
    if (!value)
      return {};
    // Named after the value that it is a gradient of.
    Value buffer = addBuffer(BufferKind::activation_grad, pipe::getExtent(value).buffer.getName(),
                             port.type.getNumBytes());
    for (unsigned i = 0; i < call.getInputs().size(); ++i) {
      if (instance.getBlock().getArgName(i) != port.getName())
        continue;
      // The first gradient of a value takes its place, the others are added to it.
      Value &total = state.gradients[call.getInputs()[i]];
      if (total)
        sums.push_back({total, buffer, port.type});
      else
        total = buffer;
    }
    return buffer;
  };

  std::string input = nn::getFunctionName(block, nn::kBackwardInput),
              weight = nn::getFunctionName(block, nn::kBackwardWeight);
  if (const Signature *signature = context.findFunction(input)) {
    if (int64_t bytes = nn::getResultBytes(*signature, nn::kSavedInputBase))
      state.savedInput[call] = addBuffer(BufferKind::saved_input, instance.getLabel(), bytes);
    if (failed(completeGradients(*signature, instance, state)) ||
        failed(run(input, Direction::backward_input, state.microBatch, instance.getLabel(), instance.offset,
                   resolve, state.saved.lookup(call), state.savedInput.lookup(call))))
      return failure();
    for (const Sum &sum : sums)
      if (failed(runOfGraph(nn::getAddName(sum.type), Direction::backward_input, state.microBatch,
                            {sum.total, sum.part})))
        return failure();
  }
  if (const Signature *signature = context.findFunction(weight)) {
    if (failed(completeGradients(*signature, instance, state)) ||
        failed(run(weight, Direction::backward_weight, state.microBatch, instance.getLabel(), instance.offset,
                   resolve, state.saved.lookup(call), state.savedInput.lookup(call))))
      return failure();
  }
  return success();
}

/// The forward part of a graph, in its order.
LogicalResult ProgramWriter::forwardGraph(ArrayRef<Instance> instances, State &state, StringRef what) {
  llvm::DenseMap<Operation *, const Instance *> byCall;
  for (const Instance &instance : instances)
    byCall[instance.call] = &instance;
  for (Operation &op : graph.getBody().front()) {
    if (auto shift = dyn_cast<nn::ShiftOp>(op)) {
      auto type = cast<nn::TensorType>(shift->getResult(0).getType());
      Value buffer = addBuffer(BufferKind::activation, "shift", type.getNumBytes());
      SmallVector<Value> values;
      for (Value operand : shift->getOperands())
        values.push_back(state.values.lookup(operand));
      values.push_back(buffer);
      if (failed(runOfGraph(nn::getShiftName(shift), Direction::forward, state.microBatch, values)))
        return failure();
      state.values[shift->getResult(0)] = buffer;
    } else if (auto call = dyn_cast<nn::CallOp>(op); call && byCall.contains(call)) {
      if (failed(forward(*byCall.lookup(call), state, what)))
        return failure();
    }
  }
  return success();
}

void ProgramWriter::addInputs(State &state, int64_t microBatches, StringRef prefix) {
  constexpr StringLiteral kNames[] = {"tokens", "starts"};
  for (auto [argument, name] : llvm::zip(graph.getBody().getArguments(), kNames)) {
    if (argument.use_empty())
      continue;
    int64_t bytes = cast<nn::TensorType>(argument.getType()).getNumBytes();
    Value all = getRegion(BufferKind::input, (prefix + name).str(), bytes * microBatches);
    state.values[argument] = addView(all, state.microBatch * bytes, bytes);
  }
}

/// Zeros for what a program without `step.begin` adds to.
LogicalResult ProgramWriter::clear(BufferKind kind) {
  Value counters = getCounters(kind);
  auto type = nn::TensorType::get(
      builder.getContext(), ArrayRef<int64_t>{pipe::getExtent(counters).bytes / 4}, builder.getF32Type());
  FailureOr<std::string> zero = context.getZeroFunction(type);
  if (failed(zero))
    return failure();
  return run(*zero, Direction::begin, -1, "step", 0, [&](const Port &) { return counters; });
}

static pipe::ExposeKind getExposeKind(nn::MetricKind kind) {
  switch (kind) {
  case nn::MetricKind::Mean:
    return pipe::ExposeKind::mean;
  case nn::MetricKind::Ratio:
    return pipe::ExposeKind::ratio;
  case nn::MetricKind::Load:
    return pipe::ExposeKind::load;
  }
  llvm_unreachable("all kinds of metrics are handled");
}

void ProgramWriter::exposeCounters() {
  for (auto &[name, loss] : context.losses)
    expose(pipe::ExposeKind::loss, name, getCounter(BufferKind::losses, loss), {1}, loss.weight);
  for (auto &[key, metric] : context.metrics)
    expose(getExposeKind(metric.kind), metric.name, getCounter(BufferKind::metrics, metric),
           {metric.type.getNumElements()});
}

LogicalResult ProgramWriter::updateInstance(const Instance &instance, StringRef what, Direction direction) {
  std::string function = nn::getFunctionName(instance.getBlock().getSymName(), what);
  if (!context.findFunction(function))
    return success();
  State none;
  return run(function, direction, -1, instance.getLabel(), instance.offset,
             [&](const Port &port) { return resolveValue(port, instance, none); });
}

LogicalResult ProgramWriter::writeTrain() {
  SmallVector<Instance> instances;
  for (const nn::InstanceLayout &instance : context.layout.getInstances())
    instances.push_back({instance.call, instance.offset});

  if (failed(runStep(nn::kStepBegin, Direction::begin)))
    return failure();
  for (int64_t m = 0; m < context.microBatches; ++m) {
    State state;
    state.microBatch = m;
    addInputs(state, context.microBatches, "");
    if (failed(forwardGraph(instances, state, nn::kForward)))
      return failure();
    for (const Instance &instance : llvm::reverse(instances))
      if (failed(backward(instance, state)))
        return failure();
  }
  if (failed(reduce({"gradients", "losses", "loads", "metrics"})) ||
      failed(runStep(nn::kStepClip, Direction::clip)))
    return failure();
  std::string optimizer = nn::getFunctionName(nn::kGraphKind, nn::kOptimizer);
  if (context.findFunction(optimizer) && failed(runStep(optimizer, Direction::optimizer)))
    return failure();
  for (const Instance &instance : instances)
    if (failed(updateInstance(instance, nn::kOptimizer, Direction::optimizer)))
      return failure();
  for (const Instance &instance : instances)
    if (failed(updateInstance(instance, nn::kUpdate, Direction::update)))
      return failure();
  if (context.findFunction(nn::kStepEma) && failed(runStep(nn::kStepEma, Direction::ema)))
    return failure();

  for (StringRef region : {"tokens", "starts"})
    if (Value input = regions.lookup(region))
      expose(pipe::ExposeKind::input, region, input, {pipe::getExtent(input).bytes / 4});
  expose(pipe::ExposeKind::scalars, "scalars", getRegion(BufferKind::scalars, "scalars", CF_SCALAR_COUNT * 4),
         {CF_SCALAR_COUNT});
  exposeCounters();
  for (auto &[call, keys] : context.randoms)
    expose(pipe::ExposeKind::random, keys.name, getRandomKeys(call, 0, context.microBatches),
           {context.microBatches, nn::kRandomKeyWords});
  return success();
}

LogicalResult ProgramWriter::writeForwardOnly(ArrayRef<Instance> instances, StringRef inputPrefix,
                                              bool withLosses) {
  State state;
  addInputs(state, withLosses ? context.microBatches : 1, inputPrefix);
  if (withLosses && context.lossBytes && failed(clear(BufferKind::losses)))
    return failure();
  if (withLosses && context.metricBytes && failed(clear(BufferKind::metrics)))
    return failure();
  if (failed(forwardGraph(instances, state, nn::kEvaluate)))
    return failure();
  if (withLosses && failed(reduce({"losses", "metrics"})))
    return failure();
  for (StringRef name : {"tokens", "starts"})
    if (Value input = regions.lookup((inputPrefix + name).str()))
      expose(pipe::ExposeKind::input, (inputPrefix + name).str(), input, {pipe::getExtent(input).bytes / 4});
  if (withLosses)
    exposeCounters();
  for (auto output : graph.getBody().getOps<nn::OutputOp>()) {
    Value buffer = state.values.lookup(output.getValue());
    if (!buffer)
      return output.emitOpError("names a value that no call of the graph computes");
    expose(pipe::ExposeKind::output, output.getName(), buffer,
           cast<nn::TensorType>(output.getValue().getType()).getStaticShape());
  }
  return success();
}

} // namespace contraflow::schedule
