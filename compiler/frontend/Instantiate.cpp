//===- Instantiate.cpp - from a model with names to kinds of blocks -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two interpreters over one walk. In a graph, a call becomes an `nn.call` of a kind; in a block, what is
// called is written in its place. `nn.if` and `nn.repeat` vanish in both. Every other operation is cloned and
// its expressions are replaced by their values. Until everything holds, its location says in which call that
// was, and where the dimensions of the block around it come from.
//
//===----------------------------------------------------------------------===//
#include "compiler/frontend/Instantiate.h"

#include "compiler/errors/Errors.h"
#include "compiler/frontend/BindConfig.h"
#include "compiler/frontend/ErrorNotes.h"
#include "compiler/frontend/PruneGraphs.h"
#include "compiler/frontend/ReadModule.h"
#include "dialects/nn/ParameterLayout.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// A block with values for its dimensions and for its block parameters.
struct Closure {
  nn::BlockOp block;
  std::vector<nn::ExprValue> dims;
  /// Names of the configuration that each dimension was computed from, for errors.
  std::vector<std::vector<std::string>> origins;
  std::vector<Closure> blocks;
  /// Of a block that was given to another one: the call that did. Null of one that is called by its name.
  nn::CallOp givenBy;
  /// Blocks in all, this one included.
  int64_t size = 1;

  /// `@layer<4>(@ffn<1024>)`: equal for equal kinds.
  std::string getKey() const {
    std::string key = nn::BlockOp(block).getSymName().str();
    for (const nn::ExprValue &dim : dims)
      key += "<" + nn::describe(dim) + ">";
    for (const Closure &given : blocks)
      key += "(" + given.getKey() + ")";
    return key;
  }

  /// `layer_ffn_1024`, for people.
  std::string getName() const {
    std::string name = nn::BlockOp(block).getSymName().str();
    for (const nn::ExprValue &dim : dims) {
      name += "_";
      for (char c : nn::describe(dim))
        name += llvm::isAlnum(c) ? std::string(1, c) : c == '"' ? "" : "_";
    }
    for (const Closure &given : blocks)
      name += "_" + given.getName();
    return name;
  }
};

/// What names mean at some place of the model.
struct Scope {
  nn::ExprEnvironment environment;
  /// Of dimensions of the block: names of the configuration that they were computed from.
  llvm::StringMap<std::vector<std::string>> origins;
  /// The same for the locations of operations; null in a graph.
  DictionaryAttr originsAttr;
  llvm::StringMap<Closure> blocks;
  /// Of parameters: the prefixes of the calls around, or empty.
  std::string prefix;
  /// Keys of the closures being written, to find a block that calls itself, and their calls, the innermost
  /// last.
  llvm::SmallVector<std::string> keys;
  llvm::SmallVector<nn::CallOp> calls;
};

/// No model has as many layers; programs of a step grow with them, and a slip in a range would fill the
/// memory.
constexpr int64_t kMaxIterations = 1000;

/// Nor as many operations: loops in loops, and blocks that call blocks twice, make a short text as long as
/// any.
constexpr int64_t kMaxOperations = 100'000;

/// Calls in calls: writing them recurses, and no model is nested so deep.
constexpr size_t kMaxCallDepth = 100;

/// Blocks that a call passes, and those that they were given.
constexpr int64_t kMaxGivenBlocks = 1000;

class Instantiator {
public:
  Instantiator(nn::ModelOp model, const nn::ExprEnvironment &environment)
      : model(model), context(model.getContext()), builder(context), environment(environment) {}

  OwningOpRef<ModuleOp> run() {
    module = ModuleOp::create(model.getLoc(), model.getSymName());
    if (failed(buildGraph("train", environment)) || hasErrors)
      return {};
    // Generation sees one sequence at a time.
    forGenerate = true;
    nn::ExprEnvironment single = environment;
    setBatch(single, 1, std::get<int64_t>(environment.lookup("seq")));
    if (failed(buildGraph("generate", single)) || hasErrors)
      return {};
    if (failed(pruneGraphs(*module)) || failed(verifyAll(*module)) || failed(checkLosses()))
      return {};
    module->walk([](Operation *op) { op->setLoc(getPlace(op->getLoc())); });
    return std::move(module);
  }

private:
  //===--------------------------------------------------------------------===//
  // Expressions
  //===--------------------------------------------------------------------===//

  /// The names of the configuration that `expr` depends on, each once: calls in calls would double them.
  static std::vector<std::string> getOrigins(const nn::Expr &expr, const Scope &scope) {
    std::vector<std::string> names;
    llvm::StringSet<> seen;
    auto add = [&](StringRef name) {
      if (seen.insert(name).second)
        names.push_back(name.str());
    };
    expr.forEachName([&](StringRef name) {
      if (auto found = scope.origins.find(name); found != scope.origins.end())
        llvm::for_each(found->second, add);
      else
        add(name);
    });
    return names;
  }

  /// An error at `op` that values of the configuration make through `expr`, with the call that gave the
  /// dimensions around it theirs. `wanted` is what its value has to be, where it is something else.
  static InFlightDiagnostic emitError(Operation *op, const nn::Expr &expr, const Scope &scope,
                                      nn::ValueKind wanted = nn::ValueKind::Any) {
    InFlightDiagnostic diagnostic = op->emitOpError();
    // What has no names is wrong as it is written.
    if (std::vector<std::string> origins = getOrigins(expr, scope); !origins.empty())
      markValueError(diagnostic, origins, wanted);
    if (!scope.calls.empty()) {
      nn::CallOp call = scope.calls.back();
      diagnostic.attachNote(call.getLoc())
          << "in '@" << call.getCallee().getBlock().getValue() << "', called here";
    }
    return diagnostic;
  }

  FailureOr<nn::ExprValue> evaluate(Operation *op, const nn::Expr &expr, const Scope &scope) {
    llvm::Expected<nn::ExprValue> value = expr.evaluate(scope.environment);
    if (value)
      return *value;
    std::string fault = llvm::toString(value.takeError());
    auto [part, wanted] = nn::findFault(expr, scope.environment);
    return emitError(op, part, scope, wanted) << message<ErrorId::ExpressionNoValue>(fault);
  }
  FailureOr<nn::ExprValue> evaluate(Operation *op, nn::ExprAttr attr, const Scope &scope) {
    return evaluate(op, nn::getExpr(attr), scope);
  }
  FailureOr<int64_t> evaluateInt(Operation *op, nn::ExprAttr attr, const Scope &scope) {
    FailureOr<nn::ExprValue> value = evaluate(op, attr, scope);
    if (failed(value))
      return failure();
    if (const auto *integer = std::get_if<int64_t>(&*value))
      return *integer;
    return emitError(op, nn::getExpr(attr), scope, nn::ValueKind::Integer)
           << message<ErrorId::ExpressionNoInteger>(attr.getText(), nn::describe(*value));
  }

  /// After an error of a value: goes on with what does not need it, so that all of them are reported.
  LogicalResult goOn() {
    hasErrors = true;
    return success();
  }

  /// The name with the values of expressions in braces; the index of `over` stays, as `{e}`.
  FailureOr<std::string> resolveName(Operation *op, StringRef name, const Scope &scope, StringRef over = "") {
    std::string result;
    bool wellFormed = nn::replaceBraces(name, result, [&](StringRef text) -> std::optional<std::string> {
      if (!over.empty() && text == over)
        return "{e}";
      // That it can be parsed is what the verifier of the model asks.
      FailureOr<nn::ExprValue> value = evaluate(op, llvm::cantFail(nn::Expr::parse(text)), scope);
      if (failed(value))
        return std::nullopt;
      if (const auto *string = std::get_if<std::string>(&*value))
        return *string;
      return nn::describe(*value);
    });
    if (!wellFormed)
      return failure();
    return result;
  }

  /// Replaces expressions in types and attributes by their values.
  struct Binding {
    Binding(Instantiator &self, Operation *op, const Scope &scope) {
      replacer.addReplacement([&self, op, &scope, this](nn::ExprAttr attr) -> std::optional<Attribute> {
        FailureOr<nn::ExprValue> value = self.evaluate(op, attr, scope);
        if (mlir::failed(value)) {
          failed = true;
          return attr;
        }
        if (std::holds_alternative<std::monostate>(*value)) {
          self.emitError(op, nn::getExpr(attr), scope) << message<ErrorId::NeedsNull>(attr.getText());
          failed = true;
          return attr;
        }
        return nn::ExprAttr::get(attr.getContext(), nn::describe(*value));
      });
      // Dimensions have stricter needs than other expressions.
      replacer.addReplacement(
          [&self, op, &scope, this](nn::TensorType type) -> std::optional<std::pair<Type, WalkResult>> {
            return std::make_pair(Type(self.bindTensor(op, type, scope, failed)), WalkResult::skip());
          });
    }
    AttrTypeReplacer replacer;
    bool failed = false;
  };

  nn::TensorType bindTensor(Operation *op, nn::TensorType type, const Scope &scope, bool &failed) {
    SmallVector<int64_t> shape;
    int64_t elements = 1;
    for (nn::ExprAttr dim : type.getShape()) {
      FailureOr<nn::ExprValue> value = evaluate(op, dim, scope);
      if (mlir::failed(value)) {
        failed = true;
        return type;
      }
      const auto *integer = std::get_if<int64_t>(&*value);
      if (!integer || *integer < 1) {
        emitError(op, nn::getExpr(dim), scope, integer ? nn::ValueKind::Any : nn::ValueKind::Integer)
            << message<ErrorId::DimensionUnexpected>(dim.getText(), nn::describe(*value));
        failed = true;
        return type;
      }
      // Sizes in bytes must be countable.
      if (__builtin_mul_overflow(elements, *integer, &elements) || elements > (int64_t(1) << 58)) {
        emitError(op, nn::getExpr(dim), scope) << message<ErrorId::ValueTooLarge>(Type(type));
        failed = true;
        return type;
      }
      shape.push_back(*integer);
    }
    return nn::TensorType::get(context, shape, type.getElementType());
  }

  //===--------------------------------------------------------------------===//
  // The walk that graphs and blocks share
  //===--------------------------------------------------------------------===//

  using Values = SmallVector<Value>;

  /// Writes a body; its yielded values, mapped.
  FailureOr<Values> writeBody(Block &body, const Scope &scope, IRMapping &mapping, bool inGraph) {
    for (Operation &op : body) {
      if (auto yield = dyn_cast<nn::YieldOp>(op)) {
        Values values;
        for (Value value : yield.getValues())
          values.push_back(mapping.lookup(value));
        return values;
      }
      if (failed(writeOperation(&op, scope, mapping, inGraph)))
        return failure();
    }
    return Values();
  }

  LogicalResult writeOperation(Operation *op, const Scope &scope, IRMapping &mapping, bool inGraph) {
    if (++numWritten > kMaxOperations)
      return op->emitOpError() << message<ErrorId::ModelTooLarge>(kMaxOperations);
    if (auto choice = dyn_cast<nn::IfOp>(op))
      return writeIf(choice, scope, mapping, inGraph);
    if (auto repeat = dyn_cast<nn::RepeatOp>(op))
      return writeRepeat(repeat, scope, mapping, inGraph);
    if (auto call = dyn_cast<nn::CallOp>(op))
      return inGraph ? writeGraphCall(call, scope, mapping) : inlineCall(call, scope, mapping);
    if (auto param = dyn_cast<nn::ParamOp>(op))
      return writeParam(param, scope, mapping);
    if (auto output = dyn_cast<nn::OutputOp>(op))
      return writeOutput(output, scope, mapping);
    if (forGenerate && isa<nn::LossOp, nn::MetricOp, nn::UpdateOp>(op))
      return success();
    if (auto metric = dyn_cast<nn::MetricOp>(op))
      return writeMetric(metric, scope, mapping);
    return writeClone(op, scope, mapping);
  }

  LogicalResult writeIf(nn::IfOp choice, const Scope &scope, IRMapping &mapping, bool inGraph) {
    FailureOr<nn::ExprValue> condition = evaluate(choice, choice.getCondition(), scope);
    if (failed(condition))
      return failure();
    const auto *boolean = std::get_if<bool>(&*condition);
    if (!boolean)
      return emitError(choice, nn::getExpr(choice.getCondition()), scope, nn::ValueKind::Bool)
             << message<ErrorId::ConditionNoBool>(choice.getCondition().getText(), nn::describe(*condition));
    Region &region = *boolean ? choice.getThenRegion() : choice.getElseRegion();
    if (region.empty())
      return success();
    FailureOr<Values> values = writeBody(region.front(), scope, mapping, inGraph);
    if (failed(values))
      return failure();
    mapping.map(choice.getResults(), *values);
    return success();
  }

  LogicalResult writeRepeat(nn::RepeatOp repeat, const Scope &scope, IRMapping &mapping, bool inGraph) {
    FailureOr<int64_t> lower = evaluateInt(repeat, repeat.getLower(), scope);
    FailureOr<int64_t> upper = evaluateInt(repeat, repeat.getUpper(), scope);
    if (failed(lower) || failed(upper))
      return failure();
    if (*upper > *lower && *upper - *lower > kMaxIterations)
      return emitError(repeat, nn::getExpr(repeat.getUpper()), scope)
             << message<ErrorId::RepeatTooLong>(*upper - *lower, kMaxIterations);
    Values carried;
    for (Value init : repeat.getInits())
      carried.push_back(mapping.lookup(init));
    for (int64_t i = *lower; i < *upper; ++i) {
      Scope inner = scope;
      inner.environment[repeat.getVariable()] = nn::ExprValue(i);
      mapping.map(repeat.getBody().getArguments(), carried);
      FailureOr<Values> values = writeBody(repeat.getBody().front(), inner, mapping, inGraph);
      if (failed(values))
        return failure();
      carried = std::move(*values);
    }
    mapping.map(repeat.getResults(), carried);
    return success();
  }

  LogicalResult writeParam(nn::ParamOp param, const Scope &scope, IRMapping &mapping) {
    FailureOr<std::string> name = resolveName(param, param.getName(), scope, param.getOver().value_or(""));
    if (failed(name) || failed(writeClone(param, scope, mapping)))
      return failure();
    auto clone = mapping.lookup(param.getResult()).getDefiningOp<nn::ParamOp>();
    clone.setName(nn::joinName(scope.prefix, *name));
    callsOfParams[clone] = scope.calls;
    if (clone.getOver())
      clone.setOver("e");
    return success();
  }

  LogicalResult writeMetric(nn::MetricOp metric, const Scope &scope, IRMapping &mapping) {
    FailureOr<std::string> name = resolveName(metric, metric.getName(), scope);
    if (failed(name))
      return failure();
    nn::MetricOp::create(builder, metric.getLoc(), metric.getKind(), nn::joinName(scope.prefix, *name),
                         mapping.lookup(metric.getValue()));
    return success();
  }

  LogicalResult writeOutput(nn::OutputOp output, const Scope &scope, IRMapping &mapping) {
    FailureOr<std::string> name = resolveName(output, output.getName(), scope);
    if (failed(name))
      return failure();
    if (forGenerate && *name != "logits")
      return success();
    nn::OutputOp::create(builder, output.getLoc(), *name, mapping.lookup(output.getValue()));
    return success();
  }

  LogicalResult writeClone(Operation *op, const Scope &scope, IRMapping &mapping) {
    Binding binding(*this, op, scope);
    Operation *clone = builder.clone(*op, mapping);
    if (!scope.calls.empty())
      clone->setLoc(makeLoc(op->getLoc(), nn::CallOp(scope.calls.back()).getLoc(), scope.originsAttr));
    for (NamedAttribute attr : op->getAttrDictionary())
      if (Attribute bound = binding.replacer.replace(attr.getValue()); bound != attr.getValue())
        clone->setAttr(attr.getName(), bound);
    for (OpResult result : clone->getResults())
      result.setType(binding.replacer.replace(result.getType()));
    return binding.failed ? goOn() : success();
  }

  //===--------------------------------------------------------------------===//
  // Calls
  //===--------------------------------------------------------------------===//

  FailureOr<Closure> close(nn::CallOp call, nn::BlockRefAttr ref, const Scope &scope) {
    StringRef name = ref.getBlock().getValue();
    auto parameter = scope.blocks.find(name);
    if (parameter != scope.blocks.end())
      return parameter->second;
    Closure closure;
    closure.block = model.lookupSymbol<nn::BlockOp>(name);
    for (nn::ExprAttr dim : ref.getDims()) {
      FailureOr<nn::ExprValue> value = evaluate(call, dim, scope);
      if (failed(value))
        return failure();
      closure.dims.push_back(*value);
      closure.origins.push_back(getOrigins(nn::getExpr(dim), scope));
    }
    for (nn::BlockRefAttr given : ref.getBlocks()) {
      FailureOr<Closure> block = close(call, given, scope);
      if (failed(block))
        return failure();
      closure.size += block->size;
      if (closure.size > kMaxGivenBlocks)
        return call.emitOpError() << message<ErrorId::BlocksTooMany>(kMaxGivenBlocks);
      if (!block->givenBy)
        block->givenBy = call;
      closure.blocks.push_back(*block);
    }
    return closure;
  }

  /// The scope of the body of `closure`, in which nothing but the configuration is seen from outside.
  FailureOr<Scope> enter(nn::CallOp call, Closure &closure, const Scope &outer, std::string prefix) {
    if (outer.calls.size() >= kMaxCallDepth)
      return call.emitOpError() << message<ErrorId::CallsTooDeep>(kMaxCallDepth);
    Scope scope;
    scope.environment = forGenerate ? generateEnvironment : environment;
    scope.prefix = std::move(prefix);
    scope.keys = outer.keys;
    scope.calls = outer.calls;
    std::string key = closure.getKey();
    if (llvm::is_contained(scope.keys, key))
      return call.emitOpError() << message<ErrorId::BlockCallsItself>(closure.block.getSymName());
    scope.keys.push_back(key);
    scope.calls.push_back(call);
    for (auto [name, value, origins] :
         llvm::zip(closure.block.getDims().getAsValueRange<StringAttr>(), closure.dims, closure.origins)) {
      scope.environment[name] = value;
      scope.origins[name] = origins;
    }
    SmallVector<NamedAttribute> entries;
    for (auto &[name, origins] : scope.origins)
      entries.push_back(builder.getNamedAttr(
          name, builder.getStrArrayAttr(SmallVector<StringRef>(origins.begin(), origins.end()))));
    scope.originsAttr = builder.getDictionaryAttr(entries);
    for (auto [name, block] :
         llvm::zip(closure.block.getBlocks().getAsValueRange<StringAttr>(), closure.blocks))
      scope.blocks[name] = block;
    return scope;
  }

  static void noteBlock(InFlightDiagnostic &diagnostic, const Closure &closure) {
    diagnostic.attachNote(nn::BlockOp(closure.block).getLoc()) << "the block that is called";
    if (nn::CallOp call = closure.givenBy)
      diagnostic.attachNote(call.getLoc()) << "it is passed here";
  }

  /// A block parameter may have been given a block that takes or gives something else.
  LogicalResult verifyFits(nn::CallOp call, Closure &closure, TypeRange inputs, const Scope &scope,
                           const Scope &inner) {
    Binding outside(*this, call, scope), inside(*this, closure.block, inner);
    auto mismatch = [&](const Twine &what, Type found, Type wanted) {
      InFlightDiagnostic diagnostic = call.emitOpError() << message<ErrorId::CallMismatch>(
                                          what, found, closure.block.getSymName(), wanted);
      noteBlock(diagnostic, closure);
      return diagnostic;
    };
    Block &body = closure.block.getBody().front();
    SmallVector<Type> results(closure.block.getResultTypes().getAsValueRange<TypeAttr>());
    if (inputs.size() != body.getNumArguments() || call.getNumResults() != results.size()) {
      InFlightDiagnostic diagnostic = call.emitOpError() << message<ErrorId::CallCount>(
                                          inputs.size(), call.getNumResults(), closure.block.getSymName(),
                                          body.getNumArguments(), results.size());
      noteBlock(diagnostic, closure);
      return diagnostic;
    }
    // Types with an error in them fit nothing.
    if (hasErrors)
      return success();
    for (auto [i, type] : llvm::enumerate(body.getArgumentTypes())) {
      Type wanted = inside.replacer.replace(type);
      if (!inside.failed && inputs[i] != wanted)
        return mismatch("operand " + Twine(i), inputs[i], wanted);
    }
    if (inside.failed)
      return failure();
    for (auto [i, type] : llvm::enumerate(results)) {
      Type wanted = inside.replacer.replace(type),
           found = outside.replacer.replace(call.getResult(i).getType());
      if (!inside.failed && !outside.failed && found != wanted)
        return mismatch("result " + Twine(i), found, wanted);
    }
    return failure(inside.failed || outside.failed);
  }

  FailureOr<std::string> resolvePrefix(nn::CallOp call, const Scope &scope) {
    FailureOr<std::string> prefix = resolveName(call, call.getPrefix().value_or(""), scope);
    if (failed(prefix))
      return failure();
    return prefix->empty() ? scope.prefix : nn::joinName(scope.prefix, *prefix);
  }

  LogicalResult inlineCall(nn::CallOp call, const Scope &scope, IRMapping &mapping) {
    FailureOr<Closure> closure = close(call, call.getCallee(), scope);
    FailureOr<std::string> prefix = resolvePrefix(call, scope);
    if (failed(closure) || failed(prefix))
      return failure();
    FailureOr<Scope> inner = enter(call, *closure, scope, *prefix);
    if (failed(inner))
      return failure();
    Values inputs;
    for (Value input : call.getInputs())
      inputs.push_back(mapping.lookup(input));
    if (failed(verifyFits(call, *closure, ValueRange(inputs).getTypes(), scope, *inner)))
      return failure();
    Block &body = closure->block.getBody().front();
    IRMapping innerMapping;
    innerMapping.map(body.getArguments(), inputs);
    FailureOr<Values> results = writeBody(body, *inner, innerMapping, /*inGraph=*/false);
    if (failed(results))
      return failure();
    mapping.map(call.getResults(), *results);
    return success();
  }

  LogicalResult writeGraphCall(nn::CallOp call, const Scope &scope, IRMapping &mapping) {
    FailureOr<Closure> closure = close(call, call.getCallee(), scope);
    FailureOr<std::string> prefix = resolvePrefix(call, scope);
    if (failed(closure) || failed(prefix))
      return failure();
    FailureOr<Scope> inner = enter(call, *closure, scope, "");
    if (failed(inner))
      return failure();
    Values inputs;
    for (Value input : call.getInputs())
      inputs.push_back(mapping.lookup(input));
    if (failed(verifyFits(call, *closure, ValueRange(inputs).getTypes(), scope, *inner)))
      return failure();
    if (failed(verifyParamArgs(call, *closure, inputs)))
      return failure();
    // An argument that has the value of an earlier one is that one.
    SmallVector<unsigned> same;
    Values distinct;
    for (Value input : inputs) {
      auto it = llvm::find(distinct, input);
      same.push_back(it - distinct.begin());
      if (it == distinct.end())
        distinct.push_back(input);
    }
    FailureOr<nn::BlockOp> kind = getKind(*closure, *inner, same);
    if (failed(kind))
      return failure();
    SmallVector<Type> resultTypes(kind->getResultTypes().getAsValueRange<TypeAttr>());
    auto ref = nn::BlockRefAttr::get(context, FlatSymbolRefAttr::get(kind->getSymNameAttr()), {}, {});
    auto clone = nn::CallOp::create(builder, call.getLoc(), resultTypes, ref, distinct,
                                    prefix->empty() ? StringAttr() : builder.getStringAttr(*prefix));
    mapping.map(call.getResults(), clone.getResults());
    return success();
  }

  /// Parameters of the graph go to arguments marked `param`, and nothing else does.
  LogicalResult verifyParamArgs(nn::CallOp call, const Closure &closure, ArrayRef<Value> inputs) {
    nn::BlockOp block = closure.block;
    for (auto [i, input] : llvm::enumerate(inputs)) {
      bool isParam = isa_and_nonnull<nn::ParamOp>(input.getDefiningOp());
      if (isParam == block.isParamArg(i))
        continue;
      InFlightDiagnostic diagnostic = call.emitOpError() << message<ErrorId::ParamArgument>(
                                          i, isParam ? "a" : "no", block.getArgName(i), block.getSymName(),
                                          isParam ? "not marked" : "marked");
      noteBlock(diagnostic, closure);
      return diagnostic;
    }
    return success();
  }

  /// The kind for a closure, written on first use. `same[i]` is the argument of the kind that argument i
  /// becomes.
  FailureOr<nn::BlockOp> getKind(Closure &closure, const Scope &scope, ArrayRef<unsigned> same) {
    std::string key = closure.getKey();
    for (unsigned index : same)
      key += "," + std::to_string(index);
    std::string name = getUniqueName(closure, key);
    if (auto kind = module->lookupSymbol<nn::BlockOp>(name))
      return kind;

    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(graph);
    Block &body = closure.block.getBody().front();
    Binding binding(*this, closure.block, scope);
    SmallVector<Type> results;
    for (Type type : closure.block.getResultTypes().getAsValueRange<TypeAttr>())
      results.push_back(binding.replacer.replace(type));
    SmallVector<Attribute> names;
    SmallVector<bool> params;
    for (auto [i, index] : llvm::enumerate(same))
      if (index == names.size()) {
        names.push_back(builder.getStringAttr(closure.block.getArgName(i)));
        params.push_back(closure.block.isParamArg(i));
      }
    auto kind = nn::BlockOp::create(builder, closure.block.getLoc(), name, builder.getArrayAttr({}),
                                    builder.getArrayAttr({}), builder.getArrayAttr(names),
                                    builder.getDenseBoolArrayAttr(params), builder.getTypeArrayAttr(results));
    Block *entry = builder.createBlock(&kind.getBody());
    IRMapping mapping;
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      if (same[i] == entry->getNumArguments())
        entry->addArgument(binding.replacer.replace(argument.getType()), argument.getLoc());
      mapping.map(argument, entry->getArgument(same[i]));
    }
    if (binding.failed)
      return failure();
    FailureOr<Values> values = writeBody(body, scope, mapping, /*inGraph=*/false);
    if (failed(values))
      return failure();
    nn::YieldOp::create(builder, body.back().getLoc(), *values);
    if (failed(verifyNames(kind)))
      return failure();
    return kind;
  }

  /// Two parameters of one kind must not have one name.
  LogicalResult verifyNames(nn::BlockOp kind) {
    llvm::StringMap<nn::ParamOp> names;
    for (auto param : kind.getBody().getOps<nn::ParamOp>()) {
      auto [it, isNew] = names.try_emplace(param.getName(), param);
      if (isNew)
        continue;
      InFlightDiagnostic diagnostic = param.emitOpError()
                                      << message<ErrorId::ParameterTwice>(param.getName(), kind.getSymName());
      diagnostic.attachNote(it->second.getLoc()) << "the first time";
      noteCalls(diagnostic, callsOfParams[it->second], callsOfParams[param]);
      return diagnostic;
    }
    return success();
  }

  /// Where the ways to two parameters part.
  static void noteCalls(InFlightDiagnostic &diagnostic, ArrayRef<nn::CallOp> first,
                        ArrayRef<nn::CallOp> second) {
    while (!first.empty() && !second.empty() && first.front() == second.front()) {
      first = first.drop_front();
      second = second.drop_front();
    }
    for (auto [calls, text] : {std::pair(first, "the first comes from this call"),
                               std::pair(second, "the second comes from this call")})
      if (!calls.empty())
        diagnostic.attachNote(nn::CallOp(calls.front()).getLoc()) << text;
  }

  /// Two closures may read alike; twins in both graphs get twin names.
  std::string getUniqueName(const Closure &closure, const std::string &key) {
    auto [it, isNew] = names.try_emplace(key);
    if (isNew) {
      std::string base = closure.getName(), name = base;
      for (int i = 2; !symbols.insert(name).second || !symbols.insert(getGenerateName(name)).second; ++i)
        name = base + "_" + std::to_string(i);
      it->second = name;
    }
    return forGenerate ? getGenerateName(it->second) : it->second;
  }

  //===--------------------------------------------------------------------===//
  // Graphs
  //===--------------------------------------------------------------------===//

  LogicalResult buildGraph(StringRef name, const nn::ExprEnvironment &values) {
    nn::GraphOp source = model.getGraph();
    if (forGenerate)
      generateEnvironment = values;
    Scope scope;
    scope.environment = values;
    Binding binding(*this, source, scope);
    builder.setInsertionPointToEnd(module->getBody());
    graph = nn::GraphOp::create(builder, source.getLoc(), name, source.getArgNames());
    Block *entry = builder.createBlock(&graph.getBody());
    IRMapping mapping;
    for (BlockArgument argument : source.getBody().getArguments())
      mapping.map(argument,
                  entry->addArgument(binding.replacer.replace(argument.getType()), argument.getLoc()));
    if (binding.failed)
      return failure();
    builder.setInsertionPointToEnd(entry);
    return failure(failed(writeBody(source.getBody().front(), scope, mapping, /*inGraph=*/true)));
  }

  /// Without a loss there would be steps that change nothing.
  LogicalResult checkLosses() {
    for (auto call : module->lookupSymbol<nn::GraphOp>("train").getBody().getOps<nn::CallOp>())
      for (auto loss : call.getBlock().getBody().getOps<nn::LossOp>())
        if (nn::getFloat(loss.getWeight()) > 0)
          return success();
    return model.getGraph().emitOpError() << message<ErrorId::NoLoss>();
  }

  nn::ModelOp model;
  MLIRContext *context;
  OpBuilder builder;
  const nn::ExprEnvironment &environment;
  nn::ExprEnvironment generateEnvironment;
  bool forGenerate = false;
  int64_t numWritten = 0;
  bool hasErrors = false;
  OwningOpRef<ModuleOp> module;
  nn::GraphOp graph;
  /// Key of a closure and its arguments -> name of its kind in `@train`.
  llvm::StringMap<std::string> names;
  llvm::StringSet<> symbols;
  /// The calls around parameters that were written, the outermost first.
  llvm::DenseMap<Operation *, SmallVector<nn::CallOp>> callsOfParams;
};

} // namespace

OwningOpRef<ModuleOp> instantiate(nn::ModelOp model, const nn::ExprEnvironment &environment) {
  return Instantiator(model, environment).run();
}

} // namespace contraflow::frontend
