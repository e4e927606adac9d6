//===- BlockFunctions.cpp - one block, cut into the functions of a step ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/autodiff/BlockFunctions.h"

#include "dialects/nn/FunctionNames.h"
#include "dialects/nn/Signature.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using contraflow::nn::RoleAttr;
using contraflow::nn::RoleKind;

namespace contraflow::autodiff {

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

void setArgumentRole(func::FuncOp function, unsigned index, RoleAttr role) {
  function.setArgAttr(index, nn::kRoleName, role);
}

void setResultRole(func::FuncOp function, unsigned index, RoleAttr role) {
  function.setResultAttr(index, nn::kRoleName, role);
}

RoleAttr getArgumentRole(func::FuncOp function, unsigned index) {
  return function.getArgAttrOfType<RoleAttr>(index, nn::kRoleName);
}

RoleAttr getResultRole(func::FuncOp function, unsigned index) {
  return function.getResultAttrOfType<RoleAttr>(index, nn::kRoleName);
}

/// Where a role stands in the list of arguments: what the caller has, then what was saved, then gradients.
static unsigned getRank(RoleKind kind) {
  static constexpr RoleKind order[] = {
      RoleKind::input, RoleKind::output,      RoleKind::param,       RoleKind::param_arg, RoleKind::random,
      RoleKind::saved, RoleKind::saved_input, RoleKind::output_grad, RoleKind::grad,      RoleKind::grad_arg,
      RoleKind::loss,  RoleKind::load,        RoleKind::metric};
  return llvm::find(order, kind) - order;
}

//===----------------------------------------------------------------------===//
// What the graph knows
//===----------------------------------------------------------------------===//

/// For each argument of a block: whether a gradient comes out, given which outputs one comes in at.
static SmallVector<bool> computeInputGradients(nn::BlockOp block, const BlockUse &use) {
  llvm::DenseSet<Value> wanted;
  Block &body = block.getBody().front();
  for (Operation &op : llvm::reverse(body)) {
    if (auto yield = dyn_cast<nn::YieldOp>(op)) {
      for (auto [value, gradient] : llvm::zip(yield.getValues(), use.outputGradients))
        if (gradient)
          wanted.insert(value);
    } else if (auto loss = dyn_cast<nn::LossOp>(op)) {
      wanted.insert(loss.getValue());
    } else if (llvm::any_of(op.getResults(), [&](Value result) { return wanted.contains(result); })) {
      for (Value operand : op.getOperands())
        if (isFloat(operand))
          wanted.insert(operand);
    }
  }
  return llvm::map_to_vector(body.getArguments(), [&](Value argument) { return wanted.contains(argument); });
}

llvm::MapVector<nn::BlockOp, BlockUse> computeBlockUses(nn::GraphOp graph, int64_t microBatches) {
  llvm::MapVector<nn::BlockOp, BlockUse> uses;
  for (nn::CallOp call : graph.getBody().front().getOps<nn::CallOp>()) {
    BlockUse &use = uses[call.getBlock()];
    use.outputGradients.assign(call.getNumResults(), false);
    use.microBatches = microBatches;
  }
  // The graph has no cycles, but a kind is called in several places: iterate until nothing is added.
  for (bool changed = true; changed;) {
    changed = false;
    for (nn::CallOp call : graph.getBody().front().getOps<nn::CallOp>()) {
      nn::BlockOp block = call.getBlock();
      SmallVector<bool> inputGradients = computeInputGradients(block, uses[block]);
      for (auto [index, operand] : llvm::enumerate(call.getInputs())) {
        auto producer = operand.getDefiningOp<nn::CallOp>();
        if (!producer || !inputGradients[index])
          continue;
        BlockUse &use = uses[producer.getBlock()];
        unsigned output = cast<OpResult>(operand).getResultNumber();
        changed |= !use.outputGradients[output];
        use.outputGradients[output] = true;
      }
    }
  }
  return uses;
}

//===----------------------------------------------------------------------===//
// The straight line
//===----------------------------------------------------------------------===//

BlockFunctions::BlockFunctions(nn::BlockOp block)
    : block(block),
      holder(func::FuncOp::create(block.getLoc(), "line", FunctionType::get(block.getContext(), {}, {}))),
      line(*holder->addEntryBlock()) {}

Value BlockFunctions::addArgument(Type type, RoleKind kind, StringRef name) {
  Value argument = line.addArgument(type, block.getLoc());
  slots[argument] = {argument, kind, name.str(), nullptr};
  return argument;
}

/// The accumulator of that name, made on first use; several losses or updates may share one.
static Slot &getAccumulator(SmallVectorImpl<Slot> &list, const std::string &name,
                            llvm::function_ref<Value()> create) {
  for (Slot &slot : list)
    if (slot.name == name)
      return slot;
  Value argument = create();
  list.push_back({argument, RoleKind::loss, name, argument});
  return list.back();
}

/// Clones an operation of the block. One that uses random numbers is told where they come from, or becomes
/// what it is without them.
void BlockFunctions::unrollOperation(OpBuilder &builder, Operation &op, IRMapping &mapping, bool isTraining) {
  Operation *clone = builder.clone(op, mapping);
  auto random = dyn_cast<nn::RandomOp>(clone);
  if (!random)
    return;
  if (isTraining && random.isRandom()) {
    if (!randomKey)
      randomKey = addArgument(nn::getRandomKeyType(builder.getContext()), RoleKind::random, "random");
    random.setRandom(randomKey, numStreams++);
    return;
  }
  for (auto [result, value] : llvm::zip(op.getResults(), random.buildWithoutRandom(builder)))
    mapping.map(result, value);
  clone->erase();
}

void BlockFunctions::unrollForward(bool isTraining) {
  Block &body = block.getBody().front();
  IRMapping mapping;
  for (BlockArgument argument : body.getArguments()) {
    unsigned index = argument.getArgNumber();
    RoleKind kind = block.isParamArg(index) ? RoleKind::param_arg : RoleKind::input;
    mapping.map(argument, addArgument(argument.getType(), kind, block.getArgName(index)));
  }
  for (auto param : body.getOps<nn::ParamOp>())
    mapping.map(param.getResult(), addArgument(param.getType(), RoleKind::param, param.getName()));

  OpBuilder builder = OpBuilder::atBlockEnd(&line);
  // The name is a copy: a new argument may move the slots.
  auto accumulate = [&](SmallVectorImpl<Slot> &list, RoleKind kind, const std::string name, Value value) {
    Slot &slot = getAccumulator(list, name, [&] { return addArgument(value.getType(), kind, name); });
    slot.kind = kind;
    slot.value = nn::AccumulateOp::create(builder, value.getLoc(), slot.value, value);
  };
  for (Operation &op : body) {
    if (auto loss = dyn_cast<nn::LossOp>(op)) {
      Value value = mapping.lookup(loss.getValue());
      lossValues.push_back({value, nn::getFloat(loss.getWeight())});
      accumulate(losses, RoleKind::loss, loss.getName().str(), value);
    } else if (auto update = dyn_cast<nn::UpdateOp>(op)) {
      Value bias = mapping.lookup(update.getBias());
      accumulate(loads, RoleKind::load, slots[bias].name, mapping.lookup(update.getLoad()));
    } else if (auto metric = dyn_cast<nn::MetricOp>(op)) {
      accumulate(metrics, RoleKind::metric, metric.getName().str(), mapping.lookup(metric.getValue()));
    } else if (auto yield = dyn_cast<nn::YieldOp>(op)) {
      for (auto [index, value] : llvm::enumerate(yield.getValues()))
        outputs.push_back({mapping.lookup(value), RoleKind::output, std::to_string(index), nullptr});
    } else if (!isa<nn::ParamOp>(op)) {
      unrollOperation(builder, op, mapping, isTraining);
    }
  }
  for (Operation &op : line)
    forwardOps.insert(&op);
  for (const Slot &output : llvm::reverse(outputs))
    if (output.value.getDefiningOp())
      slots[output.value] = output;
}

LogicalResult BlockFunctions::unrollBackward(const BlockUse &use) {
  OpBuilder builder = OpBuilder::atBlockEnd(&line);
  SmallVector<Seed> seeds;
  for (auto [output, hasGradient] : llvm::zip(outputs, use.outputGradients))
    if (hasGradient && isFloat(output.value))
      seeds.push_back(
          {output.value, addArgument(output.value.getType(), RoleKind::output_grad, output.name)});
  for (auto [value, weight] : lossValues) {
    Attribute seed = nn::getFloatAttr(builder.getContext(), weight / use.microBatches);
    seeds.push_back(
        {value, nn::FillOp::create(builder, value.getLoc(), value.getType(), cast<nn::ExprAttr>(seed))});
  }

  SmallVector<Leaf> leaves;
  SmallVector<Slot> leafSlots;
  auto addLeaf = [&](Value value, RoleKind gradKind, bool accumulates) {
    std::string name = slots[value].name; // A copy: a new argument may move the slots.
    Value accumulator = accumulates ? addArgument(value.getType(), gradKind, name) : Value();
    leaves.push_back({value, accumulator});
    leafSlots.push_back({nullptr, gradKind, name, accumulator});
  };
  llvm::StringSet<> buffers;
  for (auto param : block.getBody().getOps<nn::ParamOp>())
    if (param.getBuffer())
      buffers.insert(param.getName());
  for (Value argument : SmallVector<Value>(line.getArguments())) {
    Slot slot = slots[argument];
    if (!isFloat(argument))
      continue;
    if (slot.kind == RoleKind::input)
      addLeaf(argument, RoleKind::input_grad, /*accumulates=*/false);
    else if (slot.kind == RoleKind::param_arg)
      addLeaf(argument, RoleKind::grad_arg, /*accumulates=*/true);
    else if (slot.kind == RoleKind::param && !buffers.contains(slot.name))
      addLeaf(argument, RoleKind::grad, /*accumulates=*/true);
  }

  FailureOr<SmallVector<LeafGradient>> gradients = buildGradients(line, seeds, leaves);
  if (failed(gradients))
    return failure();
  for (auto [slot, gradient] : llvm::zip(leafSlots, *gradients)) {
    slot.value = gradient.value;
    if (!gradient.value && slot.kind == RoleKind::grad)
      withoutGradient.push_back(slot.name);
    else if (gradient.value && slot.kind == RoleKind::input_grad)
      inputGradients.push_back(slot);
    else if (gradient.value)
      (gradient.deferrable ? deferredGradients : immediateGradients).push_back(slot);
  }
  return success();
}

/// What to call a value that is kept: after the weight that made it, or after its operation.
static std::string getKeptName(Value value, const llvm::DenseMap<Value, Slot> &slots) {
  Operation *op = value.getDefiningOp();
  auto rule = dyn_cast<nn::DifferentiableOp>(op);
  std::string name = op->getName().stripDialect().str();
  for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
    auto slot = slots.find(operand);
    if (slot == slots.end() || slot->second.kind != RoleKind::param || (rule && !rule.isWeight(index)))
      continue;
    StringRef param = slot->second.name;
    param.consume_back(".weight");
    name = (param + "." + name).str();
  }
  if (op->getNumResults() > 1)
    name += "." + std::to_string(cast<OpResult>(value).getResultNumber());
  return name;
}

/// Finds the values that go from one function to another and names them, in the order in which they are made.
void BlockFunctions::nameKeptValues() {
  auto values = [](ArrayRef<Slot> list) {
    return llvm::map_to_vector(list, [](const Slot &s) { return s.value; });
  };
  SmallVector<Value> roots = values(inputGradients);
  llvm::append_range(roots, values(immediateGradients));
  Slice input = computeSlice(roots, [&](Operation *op) { return !forwardOps.contains(op); });
  Slice weight = computeSlice(values(deferredGradients), [&](Operation *op) {
    return !forwardOps.contains(op) && !input.ops.contains(op);
  });
  inputOps = input.ops;

  unsigned next = 0;
  for (BlockArgument argument : line.getArguments())
    position[argument] = next++;
  llvm::StringSet<> taken;
  for (Operation &op : line) {
    for (Value result : op.getResults()) {
      position[result] = next++;
      bool isKept = input.captured.contains(result) || weight.captured.contains(result);
      if (!isKept || slots.contains(result))
        continue;
      bool isForward = forwardOps.contains(&op);
      std::string name = getKeptName(result, slots);
      for (unsigned number = 2; !taken.insert(name).second; ++number)
        name = getKeptName(result, slots) + "." + std::to_string(number);
      Slot slot = {result, isForward ? RoleKind::saved : RoleKind::saved_input, name, nullptr};
      slots[result] = slot;
      (isForward ? saved : savedInputs).push_back(slot);
    }
  }
}

FailureOr<std::unique_ptr<BlockFunctions>> BlockFunctions::build(nn::BlockOp block, const BlockUse *use) {
  std::unique_ptr<BlockFunctions> functions(new BlockFunctions(block));
  functions->unrollForward(/*isTraining=*/use != nullptr);
  if (use && failed(functions->unrollBackward(*use)))
    return failure();
  functions->nameKeptValues();
  return functions;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// `results` in order; arguments are what their slice needs, plus every argument of the kinds `always`.
func::FuncOp BlockFunctions::emit(OpBuilder &builder, StringRef what, ArrayRef<Slot> results,
                                  ArrayRef<RoleKind> always, llvm::function_ref<bool(Operation *)> belongs) {
  SmallVector<Value> roots = llvm::map_to_vector(results, [](const Slot &slot) { return slot.value; });
  Slice slice = computeSlice(roots, belongs);
  SmallVector<Value> arguments = slice.captured.takeVector();
  for (Value argument : line.getArguments())
    if (llvm::is_contained(always, slots[argument].kind) && !llvm::is_contained(arguments, argument))
      arguments.push_back(argument);
  llvm::sort(arguments, [&](Value a, Value b) {
    return std::pair(getRank(slots[a].kind), position[a]) < std::pair(getRank(slots[b].kind), position[b]);
  });

  MLIRContext *context = builder.getContext();
  auto type = builder.getFunctionType(ValueRange(arguments).getTypes(), ValueRange(roots).getTypes());
  auto function =
      func::FuncOp::create(builder, block.getLoc(), nn::getFunctionName(block.getSymName(), what), type);
  OpBuilder inside = OpBuilder::atBlockBegin(function.addEntryBlock());

  IRMapping mapping;
  for (auto [index, argument] : llvm::enumerate(arguments)) {
    mapping.map(argument, function.getArgument(index));
    const Slot &slot = slots[argument];
    setArgumentRole(function, index, RoleAttr::get(context, slot.kind, slot.name, -1));
  }
  for (Operation &op : line)
    if (slice.ops.contains(&op))
      inside.clone(op, mapping);

  // Memory is given to results, so each must be a value of its own: what is an argument or already returned
  // is copied.
  SmallVector<Value> returned;
  for (auto [index, slot] : llvm::enumerate(results)) {
    Value value = mapping.lookup(slot.value);
    int64_t tied = slot.tied ? llvm::find(arguments, slot.tied) - arguments.begin() : -1;
    if (tied < 0 && (isa<BlockArgument>(value) || llvm::is_contained(returned, value)))
      value = nn::CopyOp::create(inside, value.getLoc(), value);
    returned.push_back(value);
    setResultRole(function, index, RoleAttr::get(context, slot.kind, slot.name, tied));
  }
  func::ReturnOp::create(inside, block.getLoc(), returned);
  return function;
}

static SmallVector<Slot> join(std::initializer_list<ArrayRef<Slot>> lists) {
  SmallVector<Slot> joined;
  for (ArrayRef<Slot> list : lists)
    llvm::append_range(joined, list);
  return joined;
}

func::FuncOp BlockFunctions::buildForward(OpBuilder &builder) {
  return emit(builder, nn::kForward, join({outputs, saved, losses, loads, metrics}),
              {RoleKind::input, RoleKind::param_arg}, [](Operation *) { return true; });
}

func::FuncOp BlockFunctions::buildEvaluate(OpBuilder &builder, bool keepLosses) {
  SmallVector<Slot> reported = keepLosses ? join({losses, metrics}) : SmallVector<Slot>();
  return emit(builder, nn::kEvaluate, join({outputs, reported}), {RoleKind::input, RoleKind::param_arg},
              [](Operation *) { return true; });
}

func::FuncOp BlockFunctions::buildBackwardInput(OpBuilder &builder) {
  SmallVector<Slot> results = join({inputGradients, savedInputs, immediateGradients});
  if (results.empty())
    return {};
  return emit(builder, nn::kBackwardInput, results, {}, [&](Operation *op) { return inputOps.contains(op); });
}

func::FuncOp BlockFunctions::buildBackwardWeight(OpBuilder &builder) {
  if (deferredGradients.empty())
    return {};
  return emit(builder, nn::kBackwardWeight, deferredGradients, {},
              [&](Operation *op) { return !forwardOps.contains(op) && !inputOps.contains(op); });
}

func::FuncOp BlockFunctions::buildBackward(OpBuilder &builder) {
  SmallVector<Slot> results = join({inputGradients, immediateGradients, deferredGradients});
  if (results.empty())
    return {};
  return emit(builder, nn::kBackward, results, {}, [&](Operation *op) { return !forwardOps.contains(op); });
}

} // namespace contraflow::autodiff
