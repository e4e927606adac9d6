//===- NNStructure.cpp - verifiers of models, blocks and graphs -----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers hold before and after the frontend binds names: dimensions are compared by their normal form,
// which are integers once bound. Names are resolved in `nn.model` only; nothing outside of it has names.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NN.h"
#include "dialects/nn/OpChecks.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

// Inside the namespace, so that `TensorType` is ours and not the builtin one.
namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

bool replaceBraces(StringRef name, std::string &result,
                   llvm::function_ref<std::optional<std::string>(StringRef)> replace) {
  result.clear();
  while (!name.empty()) {
    auto [before, rest] = name.split('{');
    result += before;
    if (before.size() == name.size())
      return !before.contains('}');
    size_t end = rest.find('}');
    if (before.contains('}') || end == StringRef::npos)
      return false;
    std::optional<std::string> value = replace(rest.take_front(end));
    if (!value)
      return false;
    result += *value;
    name = rest.drop_front(end + 1);
  }
  return true;
}

StringRef getNearest(StringRef name, ArrayRef<StringRef> candidates) {
  StringRef nearest;
  unsigned best = std::max<unsigned>(2, name.size() / 3) + 1;
  for (StringRef candidate : candidates) {
    unsigned distance = name.edit_distance(candidate, /*AllowReplacements=*/true, best);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/// The name of a model or block element that declares one.
static std::optional<StringRef> getDeclaredName(Operation &op) {
  if (auto config = dyn_cast<ConfigOp>(op))
    return config.getName();
  if (auto let = dyn_cast<LetOp>(op))
    return let.getName();
  return std::nullopt;
}

namespace {

/// Checks that every name in an expression of a model is declared, and goes on after an error.
class NameChecker {
public:
  NameChecker() {
    for (StringRef name : {"batch", "seq", "tokens", "model_type"})
      names.push_back(name);
  }

  LogicalResult declare(Operation *op, StringRef name) {
    if (llvm::is_contained(names, name))
      return op->emitOpError() << "(C2) '" << name << "' is declared already";
    names.push_back(name);
    return success();
  }

  LogicalResult checkExpr(Operation *op, const Expr &expr) {
    LogicalResult result = success();
    expr.forEachName([&](StringRef name) {
      if (name == "true" || name == "false" || llvm::is_contained(names, name))
        return;
      result = failure();
      // A declaration that is missing is one error, however often its name is used.
      if (!undeclared.insert(name).second)
        return;
      InFlightDiagnostic diagnostic = op->emitOpError()
                                      << "(C3) uses '" << name << "', which is not declared";
      if (StringRef nearest = getNearest(name, names); !nearest.empty())
        diagnostic << "; did you mean '" << nearest << "'?";
    });
    return result;
  }

  /// Expressions in braces of a name, other than the index that `over` declares.
  LogicalResult checkName(Operation *op, StringRef name, StringRef over = "") {
    LogicalResult result = success();
    std::string ignored;
    bool wellFormed = replaceBraces(name, ignored, [&](StringRef text) -> std::optional<std::string> {
      if (text == over)
        return text.str();
      llvm::Expected<Expr> expr = Expr::parse(text);
      if (!expr) {
        result = op->emitOpError() << "(C3) name \"" << name << "\": " << llvm::toString(expr.takeError());
        return std::nullopt;
      }
      result = checkExpr(op, *expr);
      return failed(result) ? std::nullopt : std::optional<std::string>("");
    });
    if (failed(result))
      return result;
    return wellFormed ? success()
                      : op->emitOpError() << "(C3) name \"" << name << "\" has a brace without a partner";
  }

  /// All of `op`, and what is nested in it.
  LogicalResult check(Operation *op) {
    size_t outer = names.size();
    bool holds = true;
    if (auto block = dyn_cast<BlockOp>(op))
      for (StringRef dim : block.getDims().getAsValueRange<StringAttr>())
        holds &= succeeded(declare(op, dim));
    holds &= succeeded(checkOperation(op));
    if (auto repeat = dyn_cast<RepeatOp>(op))
      holds &= succeeded(declare(op, repeat.getVariable()));
    for (Region &region : op->getRegions())
      for (Operation &nested : region.getOps())
        holds &= succeeded(check(&nested));
    names.resize(outer);
    return success(holds);
  }

private:
  LogicalResult checkOperation(Operation *op) {
    bool holds = true;
    auto visit = [&](ExprAttr attr) { holds &= succeeded(checkExpr(op, getExpr(attr))); };
    op->getAttrDictionary().walk(visit);
    for (Type type : op->getResultTypes())
      type.walk(visit);
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        argument.getType().walk(visit);
    if (!holds)
      return failure();
    if (auto call = dyn_cast<CallOp>(op))
      return checkName(op, call.getPrefix().value_or(""));
    if (auto param = dyn_cast<ParamOp>(op))
      return checkName(op, param.getName(), param.getOver().value_or(""));
    if (auto output = dyn_cast<OutputOp>(op))
      return checkName(op, output.getName());
    return success();
  }

  SmallVector<StringRef> names;
  llvm::StringSet<> undeclared;
};

} // namespace

//===----------------------------------------------------------------------===//
// nn.model, nn.config
//===----------------------------------------------------------------------===//

GraphOp ModelOp::getGraph() { return *getBody().getOps<GraphOp>().begin(); }

LogicalResult ModelOp::verifyRegions() {
  // model_c1
  unsigned graphs = llvm::range_size(getBody().getOps<GraphOp>());
  bool holds = graphs == 1;
  if (!holds)
    emitOpError() << "(C1) holds " << graphs << " graphs, expected 1";
  // model_c2, model_c3: declarations see what is above them, everything else sees all declarations.
  NameChecker checker;
  for (Operation &op : getBody().getOps())
    if (std::optional<StringRef> name = getDeclaredName(op)) {
      holds &= succeeded(checker.check(&op));
      holds &= succeeded(checker.declare(&op, *name));
    }
  for (Operation &op : getBody().getOps())
    if (!getDeclaredName(op))
      holds &= succeeded(checker.check(&op));
  return success(holds);
}

LogicalResult ConfigOp::verify() {
  // config_c1
  if (getPaths().empty() || llvm::is_contained(getPaths().getAsValueRange<StringAttr>(), ""))
    return emitOpError() << "(C1) needs key paths that are not empty";
  // config_c2
  bool oneOf = getKind() == ConfigKind::OneOf;
  if (oneOf != (getChoices() && !getChoices()->empty()))
    return emitOpError() << "(C2) 'one_of' lists values, other kinds do not";
  if (oneOf &&
      !llvm::all_of(*getChoices(), [](Attribute choice) { return isa<StringAttr, IntegerAttr>(choice); }))
    return emitOpError() << "(C2) 'one_of' lists integers, booleans or text, found " << *getChoices();
  // config_c3
  bool isNumber = llvm::is_contained({ConfigKind::Dim, ConfigKind::Int, ConfigKind::Float}, getKind());
  if (!isNumber && (getMinimum() || getMaximum()))
    return emitOpError() << "(C3) 'min' and 'max' are for dim, int and float, found "
                         << stringifyConfigKind(getKind());
  // config_c4
  if (getUnless() && !getDefaultValue())
    return emitOpError() << "(C4) 'unless' needs a 'default'";
  return success();
}

//===----------------------------------------------------------------------===//
// nn.block, nn.graph, and control flow
//===----------------------------------------------------------------------===//

StringRef BlockOp::getArgName(unsigned index) {
  return llvm::cast<StringAttr>(getArgNames()[index]).getValue();
}

YieldOp BlockOp::getYield() { return llvm::cast<YieldOp>(getBody().front().getTerminator()); }

/// The types that the last operation of `region` yields are `wanted`.
static LogicalResult verifyYield(Operation *op, Region &region, TypeRange wanted) {
  auto yield =
      region.empty() || region.front().empty() ? YieldOp() : dyn_cast<YieldOp>(region.front().back());
  if (!yield)
    return op->emitOpError() << "(C1) body must end with nn.yield";
  auto describe = [](InFlightDiagnostic &diagnostic, TypeRange types) {
    if (types.empty())
      diagnostic << "nothing";
    llvm::interleaveComma(types, diagnostic, [&](Type type) { diagnostic << type; });
  };
  if (TypeRange(yield.getValues().getTypes()) == wanted)
    return success();
  InFlightDiagnostic diagnostic = yield.emitOpError() << "(C1) yields ";
  describe(diagnostic, yield.getValues().getTypes());
  diagnostic << ", '" << op->getName() << "' has results ";
  describe(diagnostic, wanted);
  return diagnostic;
}

LogicalResult BlockOp::verifyRegions() {
  // block_c1
  SmallVector<Type> results(getResultTypes().getAsValueRange<TypeAttr>());
  if (failed(verifyYield(*this, getBody(), results)))
    return failure();
  // block_c2
  if (getArgNames().size() != getNumArguments() || getParamArgs().size() != getNumArguments())
    return emitOpError() << "(C2) has " << getNumArguments() << " arguments, " << getArgNames().size()
                         << " argument names and " << getParamArgs().size() << " 'param' marks";
  llvm::StringSet<> names;
  for (ArrayAttr list : {getDims(), getBlocks()})
    for (StringRef name : list.getAsValueRange<StringAttr>())
      if (!names.insert(name).second)
        return emitOpError() << "(C2) '" << name << "' is declared already";
  // block_c3
  WalkResult result = getBody().walk([](Operation *op) {
    if (!isa<OutputOp, GraphOp>(op))
      return WalkResult::advance();
    op->emitOpError() << "(C3) must not be in a block";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult GraphOp::verifyRegions() {
  // graph_c1
  WalkResult result = getBody().walk([](Operation *op) {
    if (isa<ParamOp, ShiftOp, CallOp, OutputOp, IfOp, RepeatOp, YieldOp>(op))
      return WalkResult::advance();
    op->emitOpError() << "(C1) must be in a block, a graph only calls blocks";
    return WalkResult::interrupt();
  });
  if (result.wasInterrupted())
    return failure();
  // graph_c2
  auto isIds = [](Type type) {
    auto tensor = dyn_cast<TensorType>(type);
    return tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32);
  };
  if (getBody().getNumArguments() != 2 ||
      getBody().getArgument(0).getType() != getBody().getArgument(1).getType() ||
      !isIds(getBody().getArgument(0).getType()))
    return emitOpError() << "(C2) takes token ids and document starts, both <tokens : i32>";
  if (getArgNames().size() != 2)
    return emitOpError() << "(C2) has 2 arguments and " << getArgNames().size() << " argument names";
  return success();
}

LogicalResult IfOp::verifyRegions() {
  // if_c1
  if (failed(verifyYield(*this, getThenRegion(), getResultTypes())))
    return failure();
  if (!getElseRegion().empty())
    return verifyYield(*this, getElseRegion(), getResultTypes());
  return getNumResults() ? emitOpError() << "(C1) has results and must have an else branch" : success();
}

LogicalResult RepeatOp::verifyRegions() {
  // repeat_c1
  if (TypeRange(getInits().getTypes()) != TypeRange(getResultTypes()) ||
      TypeRange(getBody().getArgumentTypes()) != TypeRange(getResultTypes()))
    return emitOpError() << "(C1) initial values, arguments and results must have the same types";
  return verifyYield(*this, getBody(), getResultTypes());
}

//===----------------------------------------------------------------------===//
// nn.call
//===----------------------------------------------------------------------===//

BlockOp CallOp::getBlock() {
  return SymbolTable::lookupNearestSymbolFrom<BlockOp>(*this, getCallee().getBlock());
}

/// Whether `name` is a block parameter of the block around `op`.
static bool isBlockParameter(Operation *op, StringRef name) {
  auto block = op->getParentOfType<BlockOp>();
  return block && llvm::is_contained(block.getBlocks().getAsValueRange<StringAttr>(), name);
}

/// Checks what is given to `ref`, and sets `block` to what it names, null for a block parameter.
static LogicalResult verifyBlockRef(CallOp call, BlockRefAttr ref, SymbolTableCollection &symbols,
                                    BlockOp &block) {
  StringRef name = ref.getBlock().getValue();
  block = BlockOp();
  size_t dims = 0, blocks = 0;
  if (!isBlockParameter(call, name)) {
    // call_c1
    block = symbols.lookupNearestSymbolFrom<BlockOp>(call, ref.getBlock());
    if (!block) {
      InFlightDiagnostic diagnostic = call.emitOpError() << "(C1) '@" << name << "' is no block";
      SmallVector<StringRef> candidates;
      for (BlockOp candidate : SymbolTable::getNearestSymbolTable(call)->getRegion(0).getOps<BlockOp>())
        candidates.push_back(candidate.getSymName());
      if (StringRef nearest = getNearest(name, candidates); !nearest.empty())
        diagnostic << "; did you mean '@" << nearest << "'?";
      return diagnostic;
    }
    dims = block.getDims().size();
    blocks = block.getBlocks().size();
  }
  // call_c2
  if (ref.getDims().size() != dims || ref.getBlocks().size() != blocks)
    return call.emitOpError() << "(C2) '@" << name << "' takes " << dims << " dimensions and " << blocks
                              << " blocks, found " << ref.getDims().size() << " and "
                              << ref.getBlocks().size();
  BlockOp ignored;
  for (BlockRefAttr given : ref.getBlocks())
    if (failed(verifyBlockRef(call, given, symbols, ignored)))
      return failure();
  return success();
}

/// `type` with the dimensions of `block` replaced by those given.
static Type substituteDims(Type type, BlockOp block, ArrayRef<ExprAttr> given) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](ExprAttr attr) -> std::optional<Attribute> {
    Expr expr = getExpr(attr).substitute([&](StringRef name) -> std::optional<Expr> {
      for (auto [dim, value] : llvm::zip(block.getDims().getAsValueRange<StringAttr>(), given))
        if (dim == name)
          return getExpr(value);
      return std::nullopt;
    });
    return getExprAttr(attr.getContext(), expr);
  });
  return replacer.replace(type);
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  BlockOp block;
  if (failed(verifyBlockRef(*this, getCallee(), symbols, block)))
    return failure();
  if (!block)
    return success();
  // call_c3
  auto verifyTypes = [&](StringRef what, TypeRange found, TypeRange declared) -> LogicalResult {
    if (found.size() != declared.size())
      return emitOpError() << "(C3) has " << found.size() << " " << what << "s, '@" << block.getSymName()
                           << "' has " << declared.size();
    bool holds = true;
    for (auto [i, type] : llvm::enumerate(declared)) {
      Type wanted = substituteDims(type, block, getCallee().getDims());
      if (found[i] == wanted)
        continue;
      emitOpError() << "(C3) " << what << " " << i << " is " << found[i] << ", '@" << block.getSymName()
                    << "' has " << wanted;
      holds = false;
    }
    return success(holds);
  };
  SmallVector<Type> results(block.getResultTypes().getAsValueRange<TypeAttr>());
  bool holds = succeeded(verifyTypes("operand", getInputs().getTypes(), block.getBody().getArgumentTypes()));
  holds &= succeeded(verifyTypes("result", getResultTypes(), results));
  return success(holds);
}

//===----------------------------------------------------------------------===//
// nn.param
//===----------------------------------------------------------------------===//

LogicalResult ParamOp::verify() {
  // param_c1
  auto type = llvm::cast<TensorType>(getResult().getType());
  if (!type.getElementType().isF32())
    return emitOpError() << "(C1) must be f32, found " << type;
  // param_c2
  if (getOver() && (!getName().contains(("{" + *getOver() + "}").str()) || type.getRank() < 2))
    return emitOpError() << "(C2) 'over " << *getOver() << "' needs '{" << *getOver()
                         << "}' in the name and two dimensions, found \"" << getName() << "\" and " << type;
  // param_c3
  std::string ignored;
  if (!replaceBraces(getName(), ignored, [](StringRef text) -> std::optional<std::string> {
        llvm::Expected<Expr> expr = Expr::parse(text);
        if (expr)
          return "";
        llvm::consumeError(expr.takeError());
        return std::nullopt;
      }))
    return emitOpError() << "(C3) braces must hold expressions, found \"" << getName() << "\"";
  return success();
}

//===----------------------------------------------------------------------===//
// nn.shift, nn.loss, nn.update
//===----------------------------------------------------------------------===//

LogicalResult ShiftOp::verify() {
  // shift_c1
  Check check(*this);
  if (failed(check.integer(1, "by", getBy(), 0)))
    return failure();
  // shift_c2
  if (failed(check.integer(2, "seq", getSeq(), 1)))
    return failure();
  std::optional<int64_t> by = getKnownInt(getBy()), seq = getKnownInt(getSeq());
  if (by && seq && *by >= *seq)
    return emitOpError() << "(C1) by must be less than seq, found " << *by << " and " << *seq
                         << ": no token would be left";
  auto type = llvm::cast<TensorType>(getIds().getType());
  if (seq && type.isBound() && type.getDim(0) % *seq)
    return emitOpError() << "(C2) " << type.getDim(0) << " ids are not sequences of " << *seq;
  // shift_c3
  if (getStarts() && getStarts().getType() != type)
    return emitOpError() << "(C3) starts must be as many as ids, found " << getStarts().getType() << " for "
                         << type;
  return success();
}

LogicalResult LossOp::verify() {
  // loss_c1
  if (getName().empty())
    return emitOpError() << "(C1) needs a name";
  // loss_c2
  return Check(*this).notNegative(2, "weight", getWeight());
}

LogicalResult MetricOp::verify() {
  // metric_c1
  if (getName().empty())
    return emitOpError() << "(C1) needs a name";
  // metric_c2
  int64_t wanted = getKind() == MetricKind::Mean ? 1 : getKind() == MetricKind::Ratio ? 2 : 0;
  TensorType type = getValue().getType();
  if (wanted && type.getShape()[0].getConstant() != wanted)
    return emitOpError() << "(C2) the value of a '" << stringifyMetricKind(getKind()) << "' must be '<"
                         << wanted << ">', found " << type;
  return success();
}

LogicalResult UpdateOp::verify() {
  // update_c1
  auto param = getBias().getDefiningOp<ParamOp>();
  auto argument = dyn_cast<BlockArgument>(getBias());
  auto block = argument ? dyn_cast<BlockOp>(argument.getOwner()->getParentOp()) : BlockOp();
  if (!(param && param.getBuffer()) && !(block && block.isParamArg(argument.getArgNumber())))
    return emitOpError() << "(C1) the bias must be a parameter marked 'buffer'";
  // update_c2
  return Check(*this).notNegative(2, "rate", getRate());
}

} // namespace contraflow::nn
