//===- VerifyFunctions.cpp - do the functions of a block fit together? ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Knows nothing of how the functions were built: whoever edits a dump (other saved values, recomputation)
// gets the same checks. Every message says which numbered rule of the pass description is broken.
//===----------------------------------------------------------------------===//
#include "dialects/nn/FunctionNames.h"
#include "passes/autodiff/BlockFunctions.h"
#include "passes/autodiff/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"

#define DEBUG_TYPE "autodiff-verify-functions"

using namespace mlir;
using contraflow::nn::RoleAttr;
using contraflow::nn::RoleKind;

namespace contraflow::autodiff {

#define GEN_PASS_DEF_VERIFYFUNCTIONSPASS
#include "passes/autodiff/Passes.h.inc"

namespace {

/// The roles that arguments and results of a function may have, by the last part of its name.
struct Signature {
  StringRef what;
  SmallVector<RoleKind> arguments, results;
};

const Signature *getSignature(StringRef what) {
  using enum RoleKind;
  static const Signature signatures[] = {
      {nn::kForward,
       {input, param, param_arg, random, loss, load, metric},
       {output, saved, loss, load, metric}},
      {nn::kEvaluate, {input, param, param_arg, loss, metric}, {output, loss, metric}},
      {nn::kBackwardInput,
       {input, output, param, param_arg, random, saved, output_grad, grad, grad_arg},
       {input_grad, saved_input, grad, grad_arg}},
      {nn::kBackwardWeight,
       {input, output, param, param_arg, random, saved, saved_input, output_grad, grad, grad_arg},
       {grad, grad_arg}},
      {nn::kOptimizer,
       {param, grad, first_moment, second_moment, scalars},
       {param, first_moment, second_moment}},
      {nn::kUpdate, {param, param_arg, load}, {param, param_arg}},
  };
  const auto *found = llvm::find_if(signatures, [&](const Signature &s) { return s.what == what; });
  return found == std::end(signatures) ? nullptr : found;
}

/// Whether a result of this kind is always written over an argument.
bool isTiedKind(RoleKind kind) {
  switch (kind) {
  case RoleKind::output:
  case RoleKind::saved:
  case RoleKind::saved_input:
  case RoleKind::input_grad:
    return false;
  default:
    return true;
  }
}

std::string describe(RoleAttr role) {
  return ("'" + stringifyRoleKind(role.getKind()) + " \"" + role.getName() + "\"'").str();
}

/// (C1) to (C4): one function by itself.
LogicalResult checkFunction(func::FuncOp function, const Signature &signature) {
  if (function.isExternal())
    return function.emitOpError("(C1) has no body");
  llvm::StringSet<> names[2];
  auto checkRole = [&](RoleAttr role, bool isResult, unsigned index) -> LogicalResult {
    StringRef side = isResult ? "result" : "argument";
    if (!role)
      return function.emitOpError("(C1) ") << side << " " << index << " has no 'nn.role'";
    if (!llvm::is_contained(isResult ? signature.results : signature.arguments, role.getKind()))
      return function.emitOpError("(C1) ") << side << " " << index << " is " << describe(role) << ", which '"
                                           << signature.what << "' does not have";
    if (!names[isResult].insert((stringifyRoleKind(role.getKind()) + ":" + role.getName()).str()).second)
      return function.emitOpError("(C1) two ") << side << "s are " << describe(role);
    return success();
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (failed(checkRole(getArgumentRole(function, i), false, i)))
      return failure();

  Block &body = function.getBody().front();
  auto returned = cast<func::ReturnOp>(body.getTerminator()).getOperands();
  llvm::SmallDenseSet<int64_t> tied;
  llvm::SmallDenseSet<Value> values;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    RoleAttr role = getResultRole(function, i);
    if (failed(checkRole(role, true, i)))
      return failure();
    int64_t target = role.getTied();
    // An output of a function of the graph may be a sum in place; outputs of blocks are fresh.
    if (isTiedKind(role.getKind()) != (target >= 0))
      return function.emitOpError("(C2) result ") << i << " is " << describe(role) << ", which is "
                                                  << (target >= 0 ? "never" : "always") << " tied";
    if (target >= 0) {
      RoleAttr argument =
          target < function.getNumArguments() ? getArgumentRole(function, target) : RoleAttr();
      if (!argument || argument.getKind() != role.getKind() || argument.getName() != role.getName() ||
          function.getArgument(target).getType() != returned[i].getType())
        return function.emitOpError("(C2) result ") << i << " is " << describe(role) << ", but argument "
                                                    << target << ", to which it is tied, is not";
      if (!tied.insert(target).second)
        return function.emitOpError("(C2) two results are tied to argument ") << target;
    }
    if (isa<BlockArgument>(returned[i]))
      return function.emitOpError("(C3) result ") << i << " is an argument";
    if (!values.insert(returned[i]).second)
      return function.emitOpError("(C3) result ") << i << " is returned twice";
  }
  for (Operation &op : body.without_terminator())
    if (!isMemoryEffectFree(&op))
      return op.emitOpError("(C4) has side effects");
  return success();
}

/// Arguments or results of one kind: name -> type.
using Values = llvm::MapVector<StringRef, Type>;

Values getArguments(func::FuncOp function, RoleKind kind) {
  Values values;
  for (unsigned i = 0; function && i < function.getNumArguments(); ++i)
    if (RoleAttr role = getArgumentRole(function, i); role.getKind() == kind)
      values[role.getName()] = function.getArgument(i).getType();
  return values;
}

Values getResults(func::FuncOp function, RoleKind kind) {
  Values values;
  for (unsigned i = 0; function && i < function.getNumResults(); ++i)
    if (RoleAttr role = getResultRole(function, i); role.getKind() == kind)
      values[role.getName()] = function.getResultTypes()[i];
  return values;
}

/// The functions of one block.
class BlockChecker {
public:
  BlockChecker(ModuleOp module, nn::BlockOp block) : block(block) {
    auto find = [&](StringRef what) {
      return module.lookupSymbol<func::FuncOp>((block.getSymName() + "." + what).str());
    };
    forward = find(nn::kForward);
    input = find(nn::kBackwardInput);
    weight = find(nn::kBackwardWeight);
    for (StringRef what :
         {nn::kForward, nn::kEvaluate, nn::kBackwardInput, nn::kBackwardWeight, nn::kOptimizer, nn::kUpdate})
      if (func::FuncOp function = find(what))
        functions.push_back(function);
  }

  LogicalResult check() {
    return success(succeeded(checkSaved()) && succeeded(checkGradients()) && succeeded(checkInterface()));
  }

private:
  LogicalResult compare(const Values &made, func::FuncOp maker, const Values &taken, func::FuncOp taker);
  LogicalResult checkSaved();
  LogicalResult checkGradients();
  LogicalResult checkInterface();

  nn::BlockOp block;
  func::FuncOp forward, input, weight;
  SmallVector<func::FuncOp> functions;
};

/// (C5) everything taken is made, with the same type.
LogicalResult BlockChecker::compare(const Values &made, func::FuncOp maker, const Values &taken,
                                    func::FuncOp taker) {
  for (auto [name, type] : taken) {
    auto entry = made.find(name);
    if (entry == made.end())
      return taker.emitOpError("(C5) takes the saved value \"")
             << name << "\", which '" << maker.getSymName() << "' does not save";
    if (entry->second != type)
      return taker.emitOpError("(C5) takes the saved value \"")
             << name << "\" as " << type << ", but '" << maker.getSymName() << "' saves " << entry->second;
  }
  return success();
}

LogicalResult BlockChecker::checkSaved() {
  if (!forward)
    return success();
  Values made = getResults(forward, RoleKind::saved);
  Values byInput = getArguments(input, RoleKind::saved), byWeight = getArguments(weight, RoleKind::saved);
  if (failed(compare(made, forward, byInput, input)) || failed(compare(made, forward, byWeight, weight)))
    return failure();
  for (auto [name, type] : made)
    if (!byInput.contains(name) && !byWeight.contains(name))
      return forward.emitOpError("(C5) saves \"") << name << "\", which no backward function takes";

  Values madeByInput = getResults(input, RoleKind::saved_input);
  Values takenByWeight = getArguments(weight, RoleKind::saved_input);
  if (weight && !input && !takenByWeight.empty())
    return weight.emitOpError("(C5) takes the saved value \"")
           << takenByWeight.front().first << "\", but there is no backward_input";
  if (failed(compare(madeByInput, input, takenByWeight, weight)))
    return failure();
  for (auto [name, type] : madeByInput)
    if (!takenByWeight.contains(name))
      return input.emitOpError("(C5) saves \"") << name << "\", which backward_weight does not take";
  return success();
}

LogicalResult BlockChecker::checkGradients() {
  if (!forward)
    return success();
  SmallVector<StringRef> lost;
  if (auto names = nn::getAttr<nn::NNDialect::WithoutGradientAttrHelper>(forward))
    llvm::append_range(lost, names.getAsValueRange<StringAttr>());
  Values byInput = getResults(input, RoleKind::grad), byWeight = getResults(weight, RoleKind::grad);
  for (auto param : block.getBody().getOps<nn::ParamOp>()) {
    StringRef name = param.getName();
    unsigned expected = !param.getBuffer() && !llvm::is_contained(lost, name);
    unsigned found = byInput.contains(name) + byWeight.contains(name);
    if (found != expected)
      return param.emitOpError("(C6) '")
             << name << "' is accumulated by " << found << " backward functions, expected " << expected;
  }
  return success();
}

/// (C7) what functions call an input, an output or a parameter is one of the block, with its type.
LogicalResult BlockChecker::checkInterface() {
  Values inputs, paramArgs, params, outputs;
  for (BlockArgument argument : block.getBody().getArguments())
    (block.isParamArg(argument.getArgNumber()) ? paramArgs
                                               : inputs)[block.getArgName(argument.getArgNumber())] =
        argument.getType();
  for (auto param : block.getBody().getOps<nn::ParamOp>())
    params[param.getName()] = param.getType();
  SmallVector<std::string> outputNames;
  for (unsigned i = 0; i < block.getResultTypes().size(); ++i)
    outputNames.push_back(std::to_string(i));
  for (auto [name, type] : llvm::zip(outputNames, block.getResultTypes().getAsValueRange<TypeAttr>()))
    outputs[name] = type;

  auto expected = [&](RoleKind kind) -> const Values * {
    switch (kind) {
    case RoleKind::input:
    case RoleKind::input_grad:
      return &inputs;
    case RoleKind::output:
    case RoleKind::output_grad:
      return &outputs;
    case RoleKind::param:
    case RoleKind::grad:
    case RoleKind::first_moment:
    case RoleKind::second_moment:
      return &params;
    case RoleKind::param_arg:
    case RoleKind::grad_arg:
      return &paramArgs;
    default:
      return nullptr;
    }
  };
  for (func::FuncOp function : functions) {
    auto check = [&](RoleAttr role, Type type) -> LogicalResult {
      const Values *values = expected(role.getKind());
      if (!values)
        return success();
      auto entry = values->find(role.getName());
      if (entry == values->end())
        return function.emitOpError("(C7) has ") << describe(role) << ", but the block has none of that name";
      if (entry->second != type)
        return function.emitOpError("(C7) has ")
               << describe(role) << " of type " << type << ", but the block's has type " << entry->second;
      return success();
    };
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (failed(check(getArgumentRole(function, i), function.getArgument(i).getType())))
        return failure();
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (failed(check(getResultRole(function, i), function.getResultTypes()[i])))
        return failure();
  }
  return success();
}

struct VerifyFunctionsPass : impl::VerifyFunctionsPassBase<VerifyFunctionsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    bool failedAny = false;
    for (auto block : module.getOps<nn::BlockOp>()) {
      bool failedHere = false;
      for (auto function : module.getOps<func::FuncOp>()) {
        auto [kind, what] = function.getSymName().rsplit('.');
        const Signature *signature = getSignature(what);
        if (kind == block.getSymName() && signature)
          failedHere |= failed(checkFunction(function, *signature));
      }
      // The checks between functions rely on each one's roles.
      failedAny |= failedHere || failed(BlockChecker(module, block).check());
    }
    if (failedAny)
      signalPassFailure();
  }
};

} // namespace

} // namespace contraflow::autodiff
