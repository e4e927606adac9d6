//===- ExpertSplit.cpp - rows travel to experts and back ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/parallel/ExpertSplit.h"

#include "dialects/nn/Signature.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;
using contraflow::nn::RoleAttr;
using contraflow::nn::RoleKind;

namespace contraflow::parallel {

abi::RoutedLayout computeRoom(int64_t tokens, int64_t topK, int64_t experts, const SplitOptions &options) {
  abi::RoutedLayout layout = {options.ranks, tokens, topK, experts / options.ranks};
  int64_t mostHere = std::min(topK, layout.experts);
  // Every rank sends topK choices per token, so on average as many come.
  double even = options.receiveBound * static_cast<double>(tokens * topK);
  auto bounded = [&](int64_t least, int64_t most) {
    return static_cast<int64_t>(
        std::clamp(std::ceil(even), static_cast<double>(least), static_cast<double>(most)));
  };
  layout.rows = bounded(options.ranks, options.ranks * tokens);
  layout.choices = bounded(options.ranks * mostHere, options.ranks * tokens * mostHere);
  return layout;
}

namespace {

nn::TensorType typeOf(Value value) { return cast<nn::TensorType>(value.getType()); }

nn::TensorType withRows(nn::TensorType type, int64_t rows) {
  SmallVector<int64_t> shape = type.getStaticShape();
  shape[0] = rows;
  return nn::TensorType::get(type.getContext(), shape, type.getElementType());
}

nn::TensorType idsType(MLIRContext *context, int64_t size) {
  return nn::TensorType::get(context, {size}, IntegerType::get(context, 32));
}

RoleAttr getRole(func::FuncOp function, BlockArgument argument) {
  return function.getArgAttrOfType<RoleAttr>(argument.getArgNumber(), nn::kRoleName);
}

/// The name under which forward saves a value, where `value` is an argument that takes it.
std::optional<StringRef> getSavedName(func::FuncOp function, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  RoleAttr role = argument ? getRole(function, argument) : RoleAttr();
  if (!role || role.getKind() != RoleKind::saved)
    return std::nullopt;
  return role.getName();
}

func::ReturnOp getReturn(func::FuncOp function) {
  return cast<func::ReturnOp>(function.getBody().front().getTerminator());
}

/// Types of arguments and results say what values are.
void updateType(func::FuncOp function) {
  function.setFunctionType(FunctionType::get(function.getContext(),
                                             function.getBody().front().getArgumentTypes(),
                                             getReturn(function).getOperandTypes()));
}

Value appendArgument(func::FuncOp function, Type type, RoleKind kind, StringRef name) {
  unsigned index = function.getNumArguments();
  auto role = RoleAttr::get(function.getContext(), kind, name, -1);
  NamedAttribute attribute(StringAttr::get(function.getContext(), nn::kRoleName), role);
  if (failed(function.insertArgument(index, type, DictionaryAttr::get(function.getContext(), {attribute}),
                                     function.getLoc())))
    llvm_unreachable("an argument at the end");
  return function.getArgument(index);
}

void appendSaved(func::FuncOp function, Value value, StringRef name) {
  unsigned index = function.getNumResults();
  auto role = RoleAttr::get(function.getContext(), RoleKind::saved, name, -1);
  NamedAttribute attribute(StringAttr::get(function.getContext(), nn::kRoleName), role);
  if (failed(function.insertResult(index, value.getType(),
                                   DictionaryAttr::get(function.getContext(), {attribute}))))
    llvm_unreachable("a result at the end");
  getReturn(function).getOperandsMutable().append(value);
}

/// What a forward function offers to those behind it: values by the name under which they are saved.
struct Forward {
  func::FuncOp function;
  llvm::StringMap<Value> offered;
  llvm::StringMap<abi::RoutedLayout> tables;
};

/// One routing table of one function.
struct Table {
  Value routing;
  abi::RoutedLayout sizes;
  std::string name; ///< under which forward saves it; empty where it does not
  Value layout, local;
  SmallVector<nn::RoutedOp> ops;
  llvm::MapVector<Value, Value> received; ///< what tokens have, here and where their experts are
};

class FunctionSplit {
public:
  /// `forward` is what the forward of the block offers; to its own split, where it is to put it.
  FunctionSplit(func::FuncOp function, Forward &forward, const SplitOptions &options, SplitCounts &counts)
      : function(function), forward(forward), options(options), counts(counts),
        context(function.getContext()) {}

  LogicalResult run() {
    if (function != forward.function)
      takeTypesOf(forward.function, RoleKind::saved);
    SmallVector<Table> tables = findTables();
    for (Table &table : tables)
      if (failed(split(table)))
        return failure();
    if (!sortTopologically(&function.getBody().front()))
      return function.emitOpError("sends rows back before they have come");
    updateType(function);
    if (function == forward.function)
      offerSaved(tables);
    return success();
  }

  /// Saved values are as the function says that saves them.
  void takeTypesOf(func::FuncOp source, RoleKind kind) {
    for (unsigned i = 0; i < source.getNumResults(); ++i) {
      auto role = source.getResultAttrOfType<RoleAttr>(i, nn::kRoleName);
      if (role.getKind() != kind)
        continue;
      for (BlockArgument argument : function.getArguments())
        if (getRole(function, argument) == role && argument.getType() != source.getResultTypes()[i])
          retype(argument, cast<nn::TensorType>(source.getResultTypes()[i]));
    }
    updateType(function);
  }

private:
  SmallVector<Table> findTables() {
    llvm::MapVector<Value, SmallVector<nn::RoutedOp>> found;
    for (auto op : function.getBody().front().getOps<nn::RoutedOp>())
      found[op.getTable().get()].push_back(op);
    SmallVector<Table> tables;
    for (auto &[routing, ops] : found) {
      Table &table = tables.emplace_back();
      table.routing = routing;
      table.ops = ops;
    }
    return tables;
  }

  //===--------------------------------------------------------------------===//
  // Sizes, layout, table
  //===--------------------------------------------------------------------===//

  LogicalResult findSizes(Table &table) {
    if (auto route = table.routing.getDefiningOp<nn::RouteOp>()) {
      nn::TensorType gates = typeOf(route.getGates());
      int64_t experts = typeOf(route.getLoad()).getDim(0);
      if (experts % options.ranks != 0)
        return route.emitOpError("has ")
               << experts << " experts, which " << options.ranks << " ranks cannot share evenly";
      table.sizes = computeRoom(gates.getDim(0), gates.getDim(1), experts, options);
      return success();
    }
    std::optional<StringRef> name = getSavedName(function, table.routing);
    auto sizes = name ? forward.tables.find(*name) : forward.tables.end();
    if (sizes == forward.tables.end())
      return table.ops.front().emitOpError("reads a routing table that no nn.route of this block makes");
    table.name = name->str();
    table.sizes = sizes->second;
    return success();
  }

  Value getRound() {
    if (!round)
      round = appendArgument(function, idsType(context, 1), RoleKind::round, "round");
    return round;
  }

  /// An argument for what the forward offers under this name, which it saves from now on.
  Value takeSaved(const std::string &name) {
    Value value = forward.offered.lookup(name);
    if (!value)
      return {};
    func::FuncOp source = forward.function;
    bool isSaved = false;
    for (unsigned i = 0; i < source.getNumResults(); ++i) {
      auto role = source.getResultAttrOfType<RoleAttr>(i, nn::kRoleName);
      isSaved |= role.getKind() == RoleKind::saved && role.getName() == name;
    }
    if (!isSaved)
      appendSaved(source, value, name);
    return appendArgument(function, value.getType(), RoleKind::saved, name);
  }

  bool isMadeHere(const Table &table) const { return table.routing.getDefiningOp<nn::RouteOp>() != nullptr; }

  Value getLayout(Table &table) {
    if (table.layout)
      return table.layout;
    if (!isMadeHere(table))
      return table.layout = takeSaved(table.name + ".layout");
    OpBuilder builder(context);
    builder.setInsertionPointAfterValue(table.routing);
    const abi::RoutedLayout &sizes = table.sizes;
    return table.layout = comm::LayoutOp::create(
               builder, table.routing.getLoc(), idsType(context, sizes.getSize()), table.routing,
               comm::Axis::ep, sizes.tokens, sizes.topK, sizes.rows, sizes.choices);
  }

  //===--------------------------------------------------------------------===//
  // There
  //===--------------------------------------------------------------------===//

  static bool isDefinedBefore(Value value, Operation *op) {
    Operation *definition = value.getDefiningOp();
    return !definition || definition->isBeforeInBlock(op);
  }

  /// Whether forward sent what it saved as `source`, and so can save what has come.
  bool isOffered(Value source) {
    std::optional<StringRef> name = getSavedName(function, source);
    return name && forward.offered.contains((*name + ".received").str());
  }

  /// What this and later operations read of tokens, if it is there before `before` and has not been sent.
  SmallVector<Value> getPayload(Table &table, Operation *before) {
    llvm::SetVector<Value> payload;
    for (nn::RoutedOp op : table.ops)
      for (unsigned index : op.getTokenOperands()) {
        Value source = op->getOperand(index);
        bool isSent = arrived.contains(source) || table.received.contains(source) || isOffered(source);
        if (!isSent && isDefinedBefore(source, before))
          payload.insert(source);
      }
    return payload.takeVector();
  }

  int64_t getLocalTableSize(const abi::RoutedLayout &sizes) const {
    return 2 * sizes.rows * sizes.topK + sizes.choices + sizes.experts + 1;
  }

  /// One message for all that is there before `op`; the first also brings the choices, of which the table is
  /// made.
  void dispatch(Table &table, Operation *op) {
    const abi::RoutedLayout &sizes = table.sizes;
    Value layout = getLayout(table);
    OpBuilder builder(op);
    SmallVector<Value> payload = getPayload(table, op);
    size_t count = payload.size();
    if (!table.local)
      payload.push_back(comm::ChoicesOp::create(builder, op->getLoc(),
                                                idsType(context, sizes.tokens * sizes.topK), table.routing));
    SmallVector<Type> types;
    for (Value value : payload)
      types.push_back(withRows(typeOf(value), typeOf(value).getDim(0) / sizes.tokens * sizes.rows));
    auto dispatch = comm::DispatchOp::create(builder, op->getLoc(), types, payload, layout, getRound(),
                                             comm::Axis::ep, sizes.tokens, sizes.rows);
    ++counts.dispatched;
    for (size_t i = 0; i < count; ++i) {
      table.received[payload[i]] = dispatch.getOutputs()[i];
      arrived.insert(dispatch.getOutputs()[i]);
    }
    if (!table.local)
      table.local =
          comm::LocalRoutingOp::create(builder, op->getLoc(), idsType(context, getLocalTableSize(sizes)),
                                       dispatch.getOutputs()[count], layout, sizes.experts, sizes.choices);
  }

  /// What `source` is where the experts are: saved, or sent before `op`.
  Value getReceived(Table &table, Value source, Operation *op) {
    if (!table.received.contains(source) && isOffered(source))
      table.received[source] = takeSaved(getSavedName(function, source)->str() + ".received");
    if (!table.received.contains(source))
      dispatch(table, op);
    return table.received[source];
  }

  //===--------------------------------------------------------------------===//
  // Types
  //===--------------------------------------------------------------------===//

  /// Gives a value another number of rows, and all that has its rows from it.
  void retype(Value value, nn::TensorType type) {
    int64_t before = typeOf(value).getDim(0), after = type.getDim(0);
    if (before == after)
      return;
    value.setType(type);
    for (Operation *user : value.getUsers()) {
      if (isa<nn::RoutedOp, func::ReturnOp>(user))
        continue;
      // The memory of a sum is as its result.
      for (Value operand : user->getOperands())
        if (isa<BlockArgument>(operand) && user->hasTrait<OpTrait::SameOperandsAndResultType>())
          retypeRows(operand, before, after);
      for (Value result : user->getResults())
        retypeRows(result, before, after);
    }
  }

  void retypeRows(Value value, int64_t before, int64_t after) {
    if (typeOf(value).getDim(0) == before)
      retype(value, withRows(typeOf(value), after));
  }

  /// This rank's share of what has a dimension for experts.
  void takeShare(Table &table, Value value) {
    if (typeOf(value).getDim(0) == table.sizes.experts * options.ranks)
      retype(value, withRows(typeOf(value), table.sizes.experts));
  }

  //===--------------------------------------------------------------------===//
  // And back
  //===--------------------------------------------------------------------===//

  LogicalResult split(Table &table) {
    if (failed(findSizes(table)))
      return failure();
    if (!isMadeHere(table))
      table.local = takeSaved(table.name + ".local");
    auto choices = nn::ExprAttr::getConstant(context, table.sizes.rows * table.sizes.topK);
    auto room = nn::ExprAttr::getConstant(context, table.sizes.choices);
    SmallVector<Value> back;
    for (nn::RoutedOp op : table.ops) {
      for (unsigned index : op.getTokenOperands())
        op->setOperand(index, getReceived(table, op->getOperand(index), op));
      if (!table.local)
        return op.emitOpError("comes before the rows of its table");
      op.getTable().set(table.local);
      op.setLocalTable(choices, room);
      for (unsigned index : op.getExpertOperands())
        takeShare(table, op->getOperand(index));
      for (unsigned index : op.getExpertResults())
        takeShare(table, op->getResult(index));
      for (unsigned index : op.getRowResults())
        retype(op->getResult(index), withRows(typeOf(op->getResult(index)), table.sizes.choices));
      for (unsigned index : op.getTokenResults())
        back.push_back(op->getResult(index));
    }
    while (!back.empty())
      combine(table, back);
    return success();
  }

  /// Whether `value` is made of what users of `source` make.
  static bool dependsOn(Value value, Value source) {
    SetVector<Operation *> slice;
    getForwardSlice(source, &slice);
    return slice.contains(value.getDefiningOp());
  }

  /// Sends back in one message what does not wait for it, and takes it off the list.
  void combine(Table &table, SmallVector<Value> &back) {
    const abi::RoutedLayout &sizes = table.sizes;
    SmallVector<Value> payload, later;
    for (Value value : back) {
      bool waits = llvm::any_of(payload, [&](Value earlier) { return dependsOn(value, earlier); });
      (waits ? later : payload).push_back(value);
    }
    back = later;
    SmallVector<Type> types;
    for (Value &value : payload) {
      types.push_back(value.getType());
      value.setType(withRows(typeOf(value), sizes.rows));
    }
    OpBuilder builder(context);
    builder.setInsertionPointAfterValue(payload.back());
    auto combine =
        comm::CombineOp::create(builder, payload.back().getLoc(), types, payload, getLayout(table),
                                getRound(), comm::Axis::ep, ValueRange(), sizes.tokens, sizes.rows);
    ++counts.combined;
    for (auto [value, result] : llvm::zip_equal(payload, combine.getOutputs()))
      value.replaceAllUsesExcept(result, combine);
  }

  /// What functions behind the forward may take: tables, and what was sent of saved values.
  void offerSaved(ArrayRef<Table> tables) {
    llvm::DenseMap<Value, StringRef> names;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (auto role = function.getResultAttrOfType<RoleAttr>(i, nn::kRoleName);
          role.getKind() == RoleKind::saved)
        names[getReturn(function).getOperand(i)] = role.getName();
    for (const Table &table : tables) {
      if (StringRef name = names.lookup(table.routing); !name.empty()) {
        forward.tables[name] = table.sizes;
        forward.offered[(name + ".layout").str()] = table.layout;
        forward.offered[(name + ".local").str()] = table.local;
      }
      for (auto [source, received] : table.received)
        if (StringRef name = names.lookup(source); !name.empty())
          forward.offered[(name + ".received").str()] = received;
    }
  }

  func::FuncOp function;
  Forward &forward;
  const SplitOptions &options;
  SplitCounts &counts;
  MLIRContext *context;
  Value round;
  llvm::DenseSet<Value> arrived; ///< operands that are replaced already
};

} // namespace

FailureOr<SplitCounts> splitExperts(func::FuncOp function, func::FuncOp evaluate,
                                    ArrayRef<func::FuncOp> backward, const SplitOptions &options) {
  SplitCounts counts;
  Forward forward = {function, {}, {}};
  if (failed(FunctionSplit(function, forward, options, counts).run()))
    return failure();
  if (evaluate) {
    Forward own = {evaluate, {}, {}};
    if (failed(FunctionSplit(evaluate, own, options, counts).run()))
      return failure();
  }
  for (func::FuncOp other : backward) {
    FunctionSplit split(other, forward, options, counts);
    for (func::FuncOp earlier : backward.take_until([&](func::FuncOp f) { return f == other; }))
      split.takeTypesOf(earlier, RoleKind::saved_input);
    if (failed(split.run()))
      return failure();
  }
  return counts;
}

} // namespace contraflow::parallel
