//===- BuildProgram.cpp - from graph and functions to programs ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One process, one micro-batch after the other:
//
//   begin | F0> of all calls, B0< and W0< in reverse | F1> ..., B1< W1< ... | clip | optimizers | updates
//
// so what a forward saved is dead before the next micro-batch saves, and the memory phase reuses it. Weight
// gradients follow their input gradients at once: nothing else could use the time on one process.
//
// What a function takes is written in the roles of its arguments; this file only knows what each role means
// in terms of the graph. It holds no name of an operation or a block.
//===----------------------------------------------------------------------===//
#include "passes/schedule/Passes.h"

#include "dialects/nn/ParameterLayout.h"
#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#define DEBUG_TYPE "schedule-build-program"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::RoleKind;
using contraflow::nn::Signature;
using contraflow::pipe::BufferKind;
using contraflow::pipe::Direction;

namespace contraflow::schedule {

#define GEN_PASS_DEF_BUILDPROGRAMPASS
#include "passes/schedule/Passes.h.inc"

namespace {

/// CF_SCALAR_COUNT of runtime/abi.
constexpr int64_t kScalars = 16;
constexpr int64_t kAlignment = 64;

/// `2048x256`, as in the names of functions of the graph.
std::string getShapeName(nn::TensorType type) {
  std::string name;
  llvm::raw_string_ostream out(name);
  llvm::interleave(type.getStaticShape(), out, "x");
  return name;
}

//===----------------------------------------------------------------------===//
// What all programs share
//===----------------------------------------------------------------------===//

/// A loss or load: where it lies in its buffer, in bytes.
struct Counter {
  std::string name;
  int64_t offset = 0;
  nn::TensorType type;
  double weight = 0;
};

/// Functions, parameters and counters of the module.
class Context {
public:
  static FailureOr<Context> get(ModuleOp module);

  /// Null where the module has no such function.
  const Signature *findFunction(const Twine &name);
  /// The function that fills a tensor of `type` with zeros; made on first use.
  std::string getZeroFunction(nn::TensorType type);

  ModuleOp module;
  nn::ParameterLayout layout;
  int64_t microBatches = 1;
  llvm::MapVector<StringRef, Counter> losses;
  /// Per call of `@train` and name.
  llvm::MapVector<std::pair<Operation *, StringRef>, Counter> loads;
  int64_t lossBytes = 0, loadBytes = 0;
  /// Offset of every parameter in the region, by full name.
  llvm::StringMap<int64_t> parameters;

private:
  Context(ModuleOp module, nn::ParameterLayout layout) : module(module), layout(std::move(layout)) {}
  LogicalResult collect();
  LogicalResult collectParameters(const nn::KindLayout &kind, std::optional<StringRef> prefix,
                                  int64_t offset);

  llvm::StringMap<std::optional<Signature>> signatures;
};

LogicalResult Context::collectParameters(const nn::KindLayout &kind, std::optional<StringRef> prefix,
                                         int64_t offset) {
  for (const nn::ParameterSlot &slot : kind.slots) {
    std::string name = nn::joinName(prefix, slot.getName());
    if (!parameters.try_emplace(name, offset + slot.offset).second)
      return slot.op->emitOpError("names '") << name << "', which another parameter is named already";
  }
  return success();
}

FailureOr<Context> Context::get(ModuleOp module) {
  FailureOr<nn::ParameterLayout> layout = nn::ParameterLayout::compute(module);
  if (failed(layout))
    return failure();
  Context context(module, std::move(*layout));
  if (auto count = module->getAttrOfType<IntegerAttr>("nn.micro_batches"))
    context.microBatches = count.getInt();
  if (failed(context.collect()))
    return failure();
  return context;
}

LogicalResult Context::collect() {
  // Signatures first: roles that are missing or wrong are reported before anything is built on them.
  for (auto function : module.getOps<func::FuncOp>()) {
    FailureOr<Signature> signature = Signature::get(function);
    if (failed(signature))
      return failure();
    signatures[function.getSymName()] = std::move(*signature);
  }
  if (failed(collectParameters(layout.getGraphLayout(), std::nullopt, 0)))
    return failure();
  for (const nn::InstanceLayout &instance : layout.getInstances()) {
    nn::CallOp call = instance.call;
    if (failed(collectParameters(layout.getKind(call.getBlock()), call.getPrefix(), instance.offset)))
      return failure();
    for (auto loss : call.getBlock().getBody().getOps<nn::LossOp>()) {
      auto type = cast<nn::TensorType>(loss.getValue().getType());
      auto [entry, isNew] = losses.insert(
          {loss.getName(), Counter{loss.getName().str(), lossBytes, type, nn::getFloat(loss.getWeight())}});
      lossBytes += isNew ? type.getNumBytes() : 0;
    }
    const Signature *forward = findFunction(call.getBlock().getSymName() + ".forward");
    if (!forward)
      return call.emitOpError("calls '")
             << call.getBlock().getSymName() << "', which has no function '.forward'";
    for (const Port &port : forward->getArguments()) {
      if (port.getKind() != RoleKind::load)
        continue;
      loads.insert({{call, port.getName()},
                    Counter{nn::joinName(call.getPrefix(), port.getName()), loadBytes, port.type, 0}});
      loadBytes += llvm::alignTo(port.type.getNumBytes(), kAlignment);
    }
  }
  return success();
}

const Signature *Context::findFunction(const Twine &name) {
  auto entry = signatures.find(name.str());
  return entry == signatures.end() ? nullptr : &*entry->second;
}

std::string Context::getZeroFunction(nn::TensorType type) {
  std::string name = "graph.zero." + getShapeName(type);
  if (findFunction(name))
    return name;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {type}));
  function.setResultAttr(0, nn::kRoleName, nn::RoleAttr::get(module.getContext(), RoleKind::output, "0", -1));
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());
  // Fusion is over, so the kernel is asked for here.
  auto zero = nn::ZeroOp::create(inside, loc, type);
  SmallVector<Value> replacement;
  if (succeeded(cast<nn::KernelizableOp>(zero.getOperation()).buildKernels(inside, replacement))) {
    zero.erase();
    func::ReturnOp::create(inside, loc, replacement);
  } else {
    func::ReturnOp::create(inside, loc, zero->getResults());
  }
  signatures[name] = *Signature::get(function);
  return name;
}

//===----------------------------------------------------------------------===//
// One program
//===----------------------------------------------------------------------===//

/// A call and where its own parameters begin.
struct Instance {
  nn::CallOp call;
  int64_t offset = 0;

  nn::BlockOp getBlock() const { return nn::CallOp(call).getBlock(); }
  StringRef getLabel() const {
    StringRef prefix = nn::CallOp(call).getPrefix().value_or("");
    return prefix.empty() ? getBlock().getSymName() : prefix;
  }
};

/// Buffers of one micro-batch.
struct State {
  int64_t microBatch = 0;
  /// Of every value of the graph that has been computed.
  llvm::DenseMap<Value, Value> values;
  /// Of every value that some gradient has reached.
  llvm::DenseMap<Value, Value> gradients;
  llvm::DenseMap<Operation *, Value> saved, savedInput;
};

/// Gives the buffer that a port lies in; null after a diagnostic.
using Resolver = llvm::function_ref<Value(const Port &)>;

class Writer {
public:
  Writer(Context &context, StringRef name, nn::GraphOp graph, int64_t microBatches)
      : context(context), graph(graph), builder(OpBuilder::atBlockEnd(context.module.getBody())) {
    program = pipe::ProgramOp::create(builder, graph.getLoc(), name, microBatches);
    builder.setInsertionPointToStart(&program.getBody().front());
  }

  LogicalResult writeTrain();
  LogicalResult writeForwardOnly(ArrayRef<Instance> instances, StringRef inputPrefix, bool withLosses);

private:
  // Buffers.
  Value addBuffer(BufferKind kind, StringRef name, int64_t bytes);
  Value getRegion(BufferKind kind, StringRef name, int64_t bytes);
  Value addView(Value source, int64_t offset, int64_t bytes);
  Value getParameter(BufferKind region, nn::ParamOp param);
  Value getCounter(BufferKind kind, const Counter &counter);
  void expose(pipe::ExposeKind kind, StringRef name, Value buffer, ArrayRef<int64_t> shape,
              std::optional<double> weight = std::nullopt);

  // Runs.
  LogicalResult run(StringRef function, Direction direction, int64_t microBatch, StringRef label,
                    int64_t offset, Resolver resolve, Value saved = {}, Value savedInput = {});
  LogicalResult runOfGraph(StringRef function, Direction direction, int64_t microBatch,
                           ArrayRef<Value> operands);
  LogicalResult runStep(StringRef function, Direction direction);
  LogicalResult forward(const Instance &instance, State &state, StringRef what);
  LogicalResult backward(const Instance &instance, State &state);
  LogicalResult forwardGraph(ArrayRef<Instance> instances, State &state, StringRef what);
  LogicalResult updateInstance(const Instance &instance, StringRef what, Direction direction);
  Value resolveValue(const Port &port, const Instance &instance, State &state);
  LogicalResult completeGradients(const Signature &signature, const Instance &instance, State &state);
  /// Inputs of micro-batch `state.microBatch`.
  void addInputs(State &state, int64_t microBatches, StringRef prefix);
  void exposeCounters();

  /// Inserts where buffers are declared: after the last of them, before all runs.
  template <typename Op, typename... Args> Value declare(Args &&...args) {
    OpBuilder::InsertionGuard guard(builder);
    if (lastBuffer)
      builder.setInsertionPointAfter(lastBuffer);
    else
      builder.setInsertionPointToStart(&program.getBody().front());
    auto op = Op::create(builder, graph.getLoc(), pipe::BufferType::get(builder.getContext()),
                         std::forward<Args>(args)...);
    lastBuffer = op;
    return op->getResult(0);
  }

  Context &context;
  nn::GraphOp graph;
  OpBuilder builder;
  pipe::ProgramOp program;
  Operation *lastBuffer = nullptr;
  /// Buffers that outlive the program, and their views.
  llvm::StringMap<Value> regions;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> views;
};

Value Writer::addBuffer(BufferKind kind, StringRef name, int64_t bytes) {
  return declare<pipe::BufferOp>(kind, name, bytes, IntegerAttr());
}

Value Writer::getRegion(BufferKind kind, StringRef name, int64_t bytes) {
  Value &region = regions[name];
  if (!region)
    region = addBuffer(kind, name, bytes);
  return region;
}

Value Writer::addView(Value source, int64_t offset, int64_t bytes) {
  if (offset == 0 && bytes == pipe::getExtent(source).bytes)
    return source;
  Value &view = views[{source, offset}];
  if (!view)
    view = declare<pipe::ViewOp>(source, offset, bytes);
  return view;
}

Value Writer::getParameter(BufferKind region, nn::ParamOp param) {
  Value buffer = getRegion(region, pipe::stringifyBufferKind(region), context.layout.getBytes());
  return addView(buffer, context.parameters.lookup(param.getName()),
                 cast<nn::TensorType>(param.getResult().getType()).getNumBytes());
}

Value Writer::getCounter(BufferKind kind, const Counter &counter) {
  int64_t bytes = kind == BufferKind::losses ? context.lossBytes : context.loadBytes;
  return addView(getRegion(kind, pipe::stringifyBufferKind(kind), bytes), counter.offset,
                 counter.type.getNumBytes());
}

void Writer::expose(pipe::ExposeKind kind, StringRef name, Value buffer, ArrayRef<int64_t> shape,
                    std::optional<double> weight) {
  pipe::ExposeOp::create(builder, graph.getLoc(), kind, name, buffer, shape,
                         weight ? builder.getF64FloatAttr(*weight) : FloatAttr());
}

LogicalResult Writer::run(StringRef function, Direction direction, int64_t microBatch, StringRef label,
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
LogicalResult Writer::runOfGraph(StringRef function, Direction direction, int64_t microBatch,
                                 ArrayRef<Value> operands) {
  return run(function, direction, microBatch, "graph", 0, [&, next = 0u](const Port &) mutable {
    return next < operands.size() ? operands[next++] : Value();
  });
}

LogicalResult Writer::runStep(StringRef function, Direction direction) {
  return run(function, direction, -1, "step", 0, [&](const Port &port) -> Value {
    switch (port.getKind()) {
    case RoleKind::loss:
      return getRegion(BufferKind::losses, "losses", context.lossBytes);
    case RoleKind::load:
      return getRegion(BufferKind::loads, "loads", context.loadBytes);
    case RoleKind::scalars:
      return getRegion(BufferKind::scalars, "scalars", kScalars * 4);
    default:
      return {};
    }
  });
}

/// What a role of a block's function means in terms of the call; gradients that are made on the way are
/// the caller's business.
Value Writer::resolveValue(const Port &port, const Instance &instance, State &state) {
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
  case RoleKind::scalars:
    return getRegion(BufferKind::scalars, "scalars", kScalars * 4);
  default:
    return {};
  }
}

LogicalResult Writer::forward(const Instance &instance, State &state, StringRef what) {
  std::string function = (instance.getBlock().getSymName() + "." + what).str();
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
LogicalResult Writer::completeGradients(const Signature &signature, const Instance &instance, State &state) {
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
    if (failed(runOfGraph(context.getZeroFunction(port.type), Direction::backward_input, state.microBatch,
                          {zeros})))
      return failure();
  }
  return success();
}

LogicalResult Writer::backward(const Instance &instance, State &state) {
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

  std::string input = (block + ".backward_input").str(), weight = (block + ".backward_weight").str();
  if (const Signature *signature = context.findFunction(input)) {
    if (int64_t bytes = nn::getResultBytes(*signature, nn::kSavedInputBase))
      state.savedInput[call] = addBuffer(BufferKind::saved_input, instance.getLabel(), bytes);
    if (failed(completeGradients(*signature, instance, state)) ||
        failed(run(input, Direction::backward_input, state.microBatch, instance.getLabel(), instance.offset,
                   resolve, state.saved.lookup(call), state.savedInput.lookup(call))))
      return failure();
    for (const Sum &sum : sums)
      if (failed(runOfGraph("graph.add." + getShapeName(sum.type), Direction::backward_input,
                            state.microBatch, {sum.total, sum.part})))
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
LogicalResult Writer::forwardGraph(ArrayRef<Instance> instances, State &state, StringRef what) {
  llvm::DenseMap<Operation *, const Instance *> byCall;
  for (const Instance &instance : instances)
    byCall[instance.call] = &instance;
  for (Operation &op : graph.getBody().front()) {
    if (auto shift = dyn_cast<nn::ShiftOp>(op)) {
      auto type = cast<nn::TensorType>(shift->getResult(0).getType());
      std::string function = "graph.shift." + getShapeName(type) + ".by." +
                             std::to_string(nn::getInt(shift.getBy())) + ".seq." +
                             std::to_string(nn::getInt(shift.getSeq()));
      Value buffer = addBuffer(BufferKind::activation, "shift", type.getNumBytes());
      if (failed(runOfGraph(function, Direction::forward, state.microBatch,
                            {state.values.lookup(shift.getIds()), buffer})))
        return failure();
      state.values[shift->getResult(0)] = buffer;
    } else if (auto call = dyn_cast<nn::CallOp>(op); call && byCall.contains(call)) {
      if (failed(forward(*byCall.lookup(call), state, what)))
        return failure();
    }
  }
  return success();
}

void Writer::addInputs(State &state, int64_t microBatches, StringRef prefix) {
  constexpr StringLiteral kNames[] = {"tokens", "starts"};
  for (auto [argument, name] : llvm::zip(graph.getBody().getArguments(), kNames)) {
    if (argument.use_empty())
      continue;
    int64_t bytes = cast<nn::TensorType>(argument.getType()).getNumBytes();
    Value all = getRegion(BufferKind::input, (prefix + name).str(), bytes * context.microBatches);
    state.values[argument] = addView(all, state.microBatch * bytes, bytes);
  }
}

void Writer::exposeCounters() {
  for (auto &[name, loss] : context.losses)
    expose(pipe::ExposeKind::loss, name, getCounter(BufferKind::losses, loss), {1}, loss.weight);
}

LogicalResult Writer::updateInstance(const Instance &instance, StringRef what, Direction direction) {
  std::string function = (instance.getBlock().getSymName() + "." + what).str();
  if (!context.findFunction(function))
    return success();
  State none;
  return run(function, direction, -1, instance.getLabel(), instance.offset,
             [&](const Port &port) { return resolveValue(port, instance, none); });
}

LogicalResult Writer::writeTrain() {
  SmallVector<Instance> instances;
  for (const nn::InstanceLayout &instance : context.layout.getInstances())
    instances.push_back({instance.call, instance.offset});

  if (failed(runStep("step.begin", Direction::begin)))
    return failure();
  for (int64_t m = 0; m < context.microBatches; ++m) {
    State state;
    state.microBatch = m;
    addInputs(state, context.microBatches, "");
    if (failed(forwardGraph(instances, state, "forward")))
      return failure();
    for (const Instance &instance : llvm::reverse(instances))
      if (failed(backward(instance, state)))
        return failure();
  }
  if (failed(runStep("step.clip", Direction::clip)))
    return failure();
  if (context.findFunction("graph.optimizer") && failed(runStep("graph.optimizer", Direction::optimizer)))
    return failure();
  for (const Instance &instance : instances)
    if (failed(updateInstance(instance, "optimizer", Direction::optimizer)))
      return failure();
  for (const Instance &instance : instances)
    if (failed(updateInstance(instance, "update", Direction::update)))
      return failure();

  for (StringRef region : {"tokens", "starts"})
    if (Value input = regions.lookup(region))
      expose(pipe::ExposeKind::input, region, input, {pipe::getExtent(input).bytes / 4});
  expose(pipe::ExposeKind::scalars, "scalars", getRegion(BufferKind::scalars, "scalars", kScalars * 4),
         {kScalars});
  exposeCounters();
  for (auto &[key, load] : context.loads)
    expose(pipe::ExposeKind::load, load.name, getCounter(BufferKind::loads, load),
           {load.type.getNumElements()});
  return success();
}

LogicalResult Writer::writeForwardOnly(ArrayRef<Instance> instances, StringRef inputPrefix, bool withLosses) {
  State state;
  addInputs(state, withLosses ? context.microBatches : 1, inputPrefix);
  if (withLosses && context.lossBytes) {
    Value losses = getRegion(BufferKind::losses, "losses", context.lossBytes);
    auto type = nn::TensorType::get(builder.getContext(), ArrayRef<int64_t>{context.lossBytes / 4},
                                    builder.getF32Type());
    if (failed(run(context.getZeroFunction(type), Direction::begin, -1, "step", 0,
                   [&](const Port &) { return losses; })))
      return failure();
  }
  if (failed(forwardGraph(instances, state, "evaluate")))
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

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Where the parameters of the calls of another graph lie: those of `@train` that have the same names.
FailureOr<SmallVector<Instance>> matchInstances(nn::GraphOp graph, const Context &context) {
  SmallVector<Instance> instances;
  for (auto call : graph.getBody().getOps<nn::CallOp>()) {
    Instance instance{call, 0};
    std::optional<int64_t> offset;
    for (const nn::ParameterSlot &slot : context.layout.getKind(call.getBlock()).slots) {
      std::string name = nn::joinName(call.getPrefix(), slot.getName());
      auto parameter = context.parameters.find(name);
      if (parameter == context.parameters.end()) {
        call.emitOpError("has a parameter '") << name << "' that '@train' has not";
        return failure();
      }
      if (offset && *offset != parameter->second - slot.offset) {
        call.emitOpError("has parameters in another order than '@train', found '") << name << "' elsewhere";
        return failure();
      }
      offset = parameter->second - slot.offset;
    }
    instance.offset = offset.value_or(0);
    instances.push_back(instance);
  }
  return instances;
}

struct BuildProgramPass : impl::BuildProgramPassBase<BuildProgramPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Context> context = Context::get(module);
    if (failed(context))
      return signalPassFailure();
    placeParameters(*context);
    writeParameters(*context);
    if (failed(writePrograms(*context)))
      return signalPassFailure();
    for (auto program : module.getOps<pipe::ProgramOp>()) {
      countFlops(program);
      numRuns += llvm::range_size(program.getBody().getOps<pipe::RunOp>());
      numBuffers += llvm::range_size(program.getBody().getOps<pipe::BufferOp>());
    }
    for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
      if (isa<nn::GraphOp, nn::BlockOp>(op))
        op.erase();
  }

private:
  /// Own parameters, their gradients and moments get their place: the layout ends with the blocks.
  void placeParameters(Context &context) {
    auto place = [&](StringRef kind, const nn::KindLayout *layout) {
      for (auto function : context.module.getOps<func::FuncOp>()) {
        if (function.getSymName().rsplit('.').first != kind)
          continue;
        for (const Port &port : context.findFunction(function.getSymName())->getArguments()) {
          if (port.base > nn::kSecondMomentsBase)
            continue;
          const nn::ParameterSlot *slot = layout ? layout->find(port.getName()) : nullptr;
          function.setArgAttr(port.index, nn::kLocationName,
                              nn::LocationAttr::get(&getContext(), port.base, slot ? slot->offset : 0));
        }
      }
    };
    place("step", nullptr);
    place("graph", &context.layout.getGraphLayout());
    for (auto block : context.module.getOps<nn::BlockOp>())
      if (context.layout.hasKind(block))
        place(block.getSymName(), &context.layout.getKind(block));
  }

  void countFlops(pipe::ProgramOp program) {
    int64_t flops = 0;
    for (auto run : program.getBody().getOps<pipe::RunOp>())
      if (auto count =
              getOperation().lookupSymbol(run.getFunction())->getAttrOfType<IntegerAttr>(nn::kFlopsName))
        flops += count.getInt();
    if (flops > 0)
      program.setFlops(flops);
  }

  /// One `pipe.parameter` per tensor that a checkpoint has.
  void writeParameters(Context &context) {
    OpBuilder builder = OpBuilder::atBlockEnd(context.module.getBody());
    auto write = [&](const nn::KindLayout &kind, StringRef block, std::optional<StringRef> prefix,
                     int64_t offset) {
      for (const nn::ParameterSlot &slot : kind.slots) {
        nn::ParamOp param = slot.op;
        std::string name = nn::joinName(prefix, slot.getName());
        if (std::optional<StringRef> variable = param.getOver()) {
          std::string braces = ("{" + *variable + "}").str();
          if (size_t at = name.find(braces); at != std::string::npos)
            name.replace(at, braces.size(), "{e}");
        }
        auto unit = [&](bool value) { return value ? builder.getUnitAttr() : UnitAttr(); };
        pipe::ParameterOp::create(
            builder, param.getLoc(), builder.getStringAttr(name), builder.getStringAttr(block),
            builder.getI64IntegerAttr(offset + slot.offset),
            builder.getDenseI64ArrayAttr(slot.getType().getStaticShape()),
            builder.getStringAttr(nn::stringifyInitKind(param.getInit())), unit(param.getOver().has_value()),
            unit(!slot.isTrainable()), unit(slot.isTrainable() && slot.getType().getRank() >= 2));
      }
    };
    write(context.layout.getGraphLayout(), "graph", std::nullopt, 0);
    for (const nn::InstanceLayout &instance : context.layout.getInstances()) {
      nn::CallOp call = instance.call;
      write(context.layout.getKind(call.getBlock()), call.getBlock().getSymName(), call.getPrefix(),
            instance.offset);
    }
  }

  LogicalResult writePrograms(Context &context) {
    nn::GraphOp train = context.layout.getGraph();
    if (failed(Writer(context, "train", train, context.microBatches).writeTrain()))
      return failure();
    SmallVector<Instance> instances;
    for (const nn::InstanceLayout &instance : context.layout.getInstances())
      instances.push_back({instance.call, instance.offset});
    if (failed(Writer(context, "evaluate", train, 1).writeForwardOnly(instances, "", /*withLosses=*/true)))
      return failure();
    auto generate = context.module.lookupSymbol<nn::GraphOp>("generate");
    if (!generate)
      return success();
    FailureOr<SmallVector<Instance>> matched = matchInstances(generate, context);
    if (failed(matched))
      return failure();
    return Writer(context, "generate", generate, 1)
        .writeForwardOnly(*matched, "generate_", /*withLosses=*/false);
  }
};

} // namespace

} // namespace contraflow::schedule
