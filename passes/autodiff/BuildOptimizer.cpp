//===- BuildOptimizer.cpp - what a step does once -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whole-region work (zeroing, the norm of all gradients) sees a region as one vector, so that it costs the
// same code for 6 and for 60 layers; AdamW is written per kind of block, because its parameters differ in
// shape and decay.
//===----------------------------------------------------------------------===//
#include "dialects/nn/FunctionNames.h"
#include "dialects/nn/ParameterLayout.h"
#include "dialects/nn/Signature.h"
#include "passes/autodiff/BlockFunctions.h"
#include "passes/autodiff/Passes.h"
#include "runtime/abi/Abi.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

#define DEBUG_TYPE "autodiff-build-optimizer"

using namespace mlir;
using contraflow::nn::RoleAttr;
using contraflow::nn::RoleKind;

namespace contraflow::autodiff {

#define GEN_PASS_DEF_BUILDOPTIMIZERPASS
#include "passes/autodiff/Passes.h.inc"

namespace {

/// `nn.optimizer` of the module.
struct Hyperparameters {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1, clipNorm = 1.0;
  /// Of the averages of parameters; 0: there are none.
  double emaDecay = 0;

  static FailureOr<Hyperparameters> read(ModuleOp module) {
    Hyperparameters values;
    auto dictionary = nn::getAttr<nn::NNDialect::OptimizerAttrHelper>(module);
    if (!dictionary)
      return values;
    std::pair<StringRef, double *> fields[] = {{"beta1", &values.beta1},
                                               {"beta2", &values.beta2},
                                               {"eps", &values.eps},
                                               {"weight_decay", &values.weightDecay},
                                               {"clip_norm", &values.clipNorm},
                                               {"ema_decay", &values.emaDecay}};
    for (NamedAttribute entry : dictionary) {
      auto field = llvm::find_if(fields, [&](const auto &f) { return f.first == entry.getName(); });
      auto number = dyn_cast<FloatAttr>(entry.getValue());
      if (field == std::end(fields) || !number)
        return module.emitError("'nn.optimizer' holds the floats beta1, beta2, eps, weight_decay, clip_norm "
                                "and ema_decay, "
                                "found '")
               << entry.getName().getValue() << " = " << entry.getValue() << "'";
      *field->second = number.getValueAsDouble();
    }
    return values;
  }
};

/// A function under construction, argument by argument.
class FunctionWriter {
public:
  FunctionWriter(OpBuilder &builder, Location loc, StringRef name)
      : context(builder.getContext()), inside(context),
        function(func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {}))) {
    inside.setInsertionPointToStart(function.addEntryBlock());
  }

  Value argument(Type type, RoleKind kind, StringRef name) {
    argumentRoles.push_back(RoleAttr::get(context, kind, name, -1));
    return function.getBody().addArgument(type, function.getLoc());
  }

  /// `value` replaces the argument `target` in its memory.
  void replace(Value target, Value value) {
    unsigned index = cast<BlockArgument>(target).getArgNumber();
    RoleAttr role = argumentRoles[index];
    results.push_back(value);
    resultRoles.push_back(RoleAttr::get(context, role.getKind(), role.getName(), index));
  }

  void finish() {
    func::ReturnOp::create(inside, function.getLoc(), results);
    function.setFunctionType(
        FunctionType::get(context, function.getBody().getArgumentTypes(), ValueRange(results).getTypes()));
    for (auto [index, role] : llvm::enumerate(argumentRoles))
      setArgumentRole(function, index, role);
    for (auto [index, role] : llvm::enumerate(resultRoles))
      setResultRole(function, index, role);
  }

  OpBuilder &body() { return inside; }
  Location loc() { return function.getLoc(); }

private:
  MLIRContext *context;
  OpBuilder inside;
  func::FuncOp function;
  SmallVector<RoleAttr> argumentRoles, resultRoles;
  SmallVector<Value> results;
};

nn::TensorType getVector(MLIRContext *context, int64_t count) {
  return nn::TensorType::get(context, ArrayRef<int64_t>{count}, Float32Type::get(context));
}

static_assert(nn::kStepScalars == CF_SCALAR_COUNT && nn::kRandomKeyWords == CF_RANDOM_KEY_WORDS);

struct BuildOptimizerPass : impl::BuildOptimizerPassBase<BuildOptimizerPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Hyperparameters> read = Hyperparameters::read(module);
    FailureOr<nn::ParameterLayout> layout = nn::ParameterLayout::compute(module);
    if (failed(read) || failed(layout))
      return signalPassFailure();
    values = *read;

    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    buildBegin(builder, module, *layout);
    buildClip(builder, module, *layout);
    buildEma(builder, module, *layout);
    buildAdamw(builder, nn::kGraphKind, module.getLoc(), layout->getGraphLayout());
    llvm::SmallPtrSet<Operation *, 8> done;
    for (const nn::InstanceLayout &instance : layout->getInstances()) {
      nn::BlockOp block = nn::CallOp(instance.call).getBlock();
      if (!done.insert(block).second)
        continue;
      buildAdamw(builder, block.getSymName(), block.getLoc(), layout->getKind(block));
      buildUpdate(builder, block);
    }
  }

private:
  void buildBegin(OpBuilder &builder, ModuleOp module, const nn::ParameterLayout &layout) {
    int64_t losses = 0, loads = 0, metrics = 0;
    llvm::StringSet<> lossNames;
    for (const nn::InstanceLayout &instance : layout.getInstances()) {
      nn::BlockOp block = nn::CallOp(instance.call).getBlock();
      for (auto loss : block.getBody().getOps<nn::LossOp>())
        losses += lossNames.insert(loss.getName()).second;
      for (auto metric : block.getBody().getOps<nn::MetricOp>())
        metrics += metric.getValue().getType().getNumElements();
      llvm::DenseSet<Value> biases;
      for (auto update : block.getBody().getOps<nn::UpdateOp>())
        if (biases.insert(update.getBias()).second)
          loads += nn::getLoadBytes(cast<nn::TensorType>(update.getLoad().getType())) / 4;
    }
    FunctionWriter writer(builder, module.getLoc(), nn::kStepBegin);
    auto zero = [&](int64_t count, RoleKind kind, StringRef name) {
      if (count == 0)
        return;
      Value target = writer.argument(getVector(&getContext(), count), kind, name);
      writer.replace(target, nn::ZeroOp::create(writer.body(), writer.loc(), target.getType()));
    };
    zero(layout.getNumElements(), RoleKind::grad, "gradients");
    zero(losses, RoleKind::loss, "losses");
    zero(loads, RoleKind::load, "loads");
    zero(metrics, RoleKind::metric, "metrics");
    writer.finish();
  }

  void buildClip(OpBuilder &builder, ModuleOp module, const nn::ParameterLayout &layout) {
    FunctionWriter writer(builder, module.getLoc(), nn::kStepClip);
    Value gradients =
        writer.argument(getVector(&getContext(), layout.getNumElements()), RoleKind::grad, "gradients");
    Value scalars = writer.argument(getVector(&getContext(), nn::kStepScalars), RoleKind::scalars, "scalars");
    Value squares =
        nn::SumSquaresOp::create(writer.body(), writer.loc(), getVector(&getContext(), 1), gradients);
    writer.replace(scalars,
                   nn::ClipFactorOp::create(writer.body(), writer.loc(), scalars.getType(), squares, scalars,
                                            nn::getFloatAttr(&getContext(), values.clipNorm)));
    writer.finish();
  }

  /// Every number of the parameters region alike, those of buffers too.
  void buildEma(OpBuilder &builder, ModuleOp module, const nn::ParameterLayout &layout) {
    if (values.emaDecay == 0 || layout.getNumElements() == 0)
      return;
    FunctionWriter writer(builder, module.getLoc(), nn::kStepEma);
    Type type = getVector(&getContext(), layout.getNumElements());
    Value parameters = writer.argument(type, RoleKind::param, "parameters");
    Value average = writer.argument(type, RoleKind::ema, "ema");
    writer.replace(average, nn::EmaOp::create(writer.body(), writer.loc(), type, average, parameters,
                                              nn::getFloatAttr(&getContext(), values.emaDecay)));
    writer.finish();
  }

  void buildAdamw(OpBuilder &builder, StringRef kind, Location loc, const nn::KindLayout &layout) {
    if (llvm::none_of(layout.slots, [](const nn::ParameterSlot &slot) { return slot.isTrainable(); }))
      return;
    FunctionWriter writer(builder, loc, nn::getFunctionName(kind, nn::kOptimizer));
    struct Operands {
      nn::ParameterSlot slot;
      Value param, grad, first, second;
    };
    SmallVector<Operands> list;
    for (const nn::ParameterSlot &slot : layout.slots) {
      if (!slot.isTrainable())
        continue;
      Operands &operands = list.emplace_back();
      operands.slot = slot;
      operands.param = writer.argument(slot.getType(), RoleKind::param, slot.getName());
      operands.grad = writer.argument(slot.getType(), RoleKind::grad, slot.getName());
      operands.first = writer.argument(slot.getType(), RoleKind::first_moment, slot.getName());
      operands.second = writer.argument(slot.getType(), RoleKind::second_moment, slot.getName());
    }
    Value scalars = writer.argument(getVector(&getContext(), nn::kStepScalars), RoleKind::scalars, "scalars");
    auto number = [&](double value) { return nn::getFloatAttr(&getContext(), value); };
    for (const Operands &operands : list) {
      Type type = operands.slot.getType();
      double decay = operands.slot.getType().getRank() >= 2 ? values.weightDecay : 0.0;
      auto adamw =
          nn::AdamwOp::create(writer.body(), loc, TypeRange{type, type, type}, operands.param, operands.grad,
                              operands.first, operands.second, scalars, number(values.beta1),
                              number(values.beta2), number(values.eps), number(decay));
      writer.replace(operands.param, adamw.getNewParam());
      writer.replace(operands.first, adamw.getNewFirstMoment());
      writer.replace(operands.second, adamw.getNewSecondMoment());
      ++numParameters;
    }
    writer.finish();
  }

  /// Loads go by the name of the bias, as in `X.forward`.
  void buildUpdate(OpBuilder &builder, nn::BlockOp block) {
    SmallVector<nn::UpdateOp> updates(block.getBody().getOps<nn::UpdateOp>());
    if (updates.empty())
      return;
    FunctionWriter writer(builder, block.getLoc(), nn::getFunctionName(block.getSymName(), nn::kUpdate));
    llvm::MapVector<Value, std::pair<Value, Value>> arguments;
    for (nn::UpdateOp update : updates) {
      Value bias = update.getBias();
      if (arguments.contains(bias))
        continue;
      auto param = bias.getDefiningOp<nn::ParamOp>();
      StringRef name = param ? param.getName() : block.getArgName(cast<BlockArgument>(bias).getArgNumber());
      Value target = writer.argument(bias.getType(), param ? RoleKind::param : RoleKind::param_arg, name);
      arguments[bias] = {target, writer.argument(bias.getType(), RoleKind::load, name)};
    }
    llvm::DenseMap<Value, Value> current;
    for (nn::UpdateOp update : updates) {
      auto [target, load] = arguments[update.getBias()];
      Value &value = current.try_emplace(target, target).first->second;
      value = nn::BiasUpdateOp::create(writer.body(), update.getLoc(), target.getType(), value, load,
                                       update.getRateAttr());
    }
    for (auto &[bias, pair] : arguments)
      writer.replace(pair.first, current[pair.first]);
    writer.finish();
  }

  Hyperparameters values;
};

} // namespace

} // namespace contraflow::autodiff
