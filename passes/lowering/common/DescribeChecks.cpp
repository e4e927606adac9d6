//===- DescribeChecks.cpp - what a checked trainer knows of a function ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows the operations of a function as they are and the locations that stand in the text. Nothing is taken
// from the planner, neither its lifetimes nor its classes of tied values: what it got wrong is what the
// trainer should see.
//===----------------------------------------------------------------------===//
#include "passes/lowering/common/AffineRange.h"
#include "passes/lowering/common/KernelIds.h"
#include "passes/lowering/common/Passes.h"

#include "dialects/nn/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "lowering-describe-checks"

using namespace mlir;
using contraflow::nn::Port;
using contraflow::nn::Signature;

namespace contraflow::lowering {

#define GEN_PASS_DEF_DESCRIBECHECKSPASS
#include "passes/lowering/common/Passes.h.inc"

namespace {

/// Areas in which the memory phase leaves guards around every value.
bool hasGuards(int64_t base) {
  return base == nn::kSavedBase || base == nn::kWorkspaceBase || base == nn::kSavedInputBase;
}

/// Whether the kernel writes every element of a result. One that is put together from parts has several
/// writers; who reads it sees what is missing.
bool writesAll(nn::KernelOp kernel, unsigned index) {
  AffineMap map = kernel.getResultMap(index);
  if (map.getNumSymbols() > 0)
    return false;
  for (auto [coordinate, size] : llvm::zip(map.getResults(), kernel.getResultType(index).getStaticShape()))
    if (getRange(coordinate, kernel.getDomain()) != std::pair<int64_t, int64_t>(0, size - 1))
      return false;
  return true;
}

/// A value with all that is tied to it.
struct Entry {
  std::string name;
  nn::LocationAttr location;
  nn::TensorType type;
  int64_t first = -1, last = -1;
  SmallVector<int64_t> reads, writes;
};

class FunctionDescriber {
public:
  explicit FunctionDescriber(func::FuncOp function) : function(function) {}

  LogicalResult run(OpBuilder &builder) {
    FailureOr<Signature> signature = Signature::get(function);
    if (failed(signature))
      return failure();
    for (auto kernel : function.getBody().getOps<nn::KernelOp>())
      labels.push_back(kernel.getLabel());
    if (failed(addArguments(*signature)))
      return failure();
    for (auto kernel : function.getBody().getOps<nn::KernelOp>())
      if (failed(addKernel(kernel)))
        return failure();
    addReturn(*signature);
    write(builder);
    return success();
  }

private:
  LogicalResult addArguments(const Signature &signature) {
    for (const Port &port : signature.getArguments()) {
      if (!nn::getArgumentLocation(function, port.index))
        return function.emitOpError() << "argument " << port.index << " has no '" << nn::kLocationName
                                      << "', run the memory phase first";
      Entry &entry = addEntry(function.getArgument(port.index), port.getName().str(),
                              nn::getArgumentLocation(function, port.index), -1);
      entry.last = int64_t(labels.size()); // Belongs to the caller.
    }
    return success();
  }

  Entry &addEntry(Value value, std::string name, nn::LocationAttr location, int64_t first) {
    numbers[value] = entries.size();
    return entries.emplace_back(
        Entry{std::move(name), location, cast<nn::TensorType>(value.getType()), first, first, {}, {}});
  }

  /// Null for a constant table, which lies in the object.
  Entry *findEntry(Value value) {
    auto number = numbers.find(value);
    return number == numbers.end() ? nullptr : &entries[number->second];
  }

  LogicalResult addKernel(nn::KernelOp kernel) {
    SmallVector<nn::LocationAttr> locations = nn::getLocations(kernel);
    if (locations.size() != kernel.getNumResults())
      return kernel.emitOpError("has no locations, run the memory phase first");
    for (auto [index, input] : llvm::enumerate(kernel.getInputs())) {
      Entry *entry = findEntry(input);
      if (!entry)
        continue;
      entry->last = std::max(entry->last, time);
      // What is added to, or written in parts, need not be whole yet; what a sum made of it shows in the
      // result.
      bool isRead = !llvm::is_contained(kernel.getTied(), int64_t(index));
      if (isRead && (entry->reads.empty() || entry->reads.back() != time))
        entry->reads.push_back(time);
    }
    for (auto [index, result] : llvm::enumerate(kernel.getResults())) {
      if (int64_t tied = kernel.getTied()[index]; tied >= 0)
        numbers[result] = numbers.lookup(kernel.getInputs()[tied]);
      else
        addEntry(result, kernel.getLabel().str(), locations[index], time);
      if (writesAll(kernel, index))
        findEntry(result)->writes.push_back(time);
    }
    if (int64_t bytes = nn::getWorkspaceBytes(kernel))
      workspaces.push_back({kernel, time, bytes});
    addIds(kernel);
    ++time;
    return success();
  }

  void addIds(nn::KernelOp kernel) {
    for (const KernelIds &found : getKernelIds(kernel))
      if (const Entry *entry = findEntry(kernel.getInputs()[found.input]))
        ids.push_back({time, entry->location, found});
  }

  void addReturn(const Signature &signature) {
    auto values = function.getBody().front().getTerminator()->getOperands();
    for (const Port &port : signature.getResults()) {
      Entry *entry = findEntry(values[port.index]);
      if (!entry)
        continue;
      entry->last = time;
      // What other functions know it by: they check the same guards.
      if (hasGuards(port.base))
        entry->name = port.getName().str();
    }
  }

  void write(OpBuilder &builder) {
    Location loc = function.getLoc();
    auto checks = pipe::ChecksOp::create(builder, loc, function.getSymName(), labels);
    OpBuilder inside = OpBuilder::atBlockEnd(&checks.getBody().front());
    for (const Entry &entry : entries) {
      int64_t base = entry.location.getBase();
      pipe::CheckValueOp::create(inside, loc, entry.name, base, entry.location.getOffset(),
                                 entry.type.getNumBytes(), entry.first, entry.last, entry.reads, entry.writes,
                                 hasGuards(base), entry.type.getElementType().isInteger());
    }
    for (auto &[kernel, at, bytes] : workspaces)
      if (nn::LocationAttr location = nn::getWorkspace(kernel))
        pipe::CheckValueOp::create(inside, loc, (kernel.getLabel() + " workspace").str(), location.getBase(),
                                   location.getOffset(), bytes, at, at, ArrayRef<int64_t>(),
                                   ArrayRef<int64_t>(), /*guard=*/true, /*ids=*/false);
    for (auto &[at, location, found] : ids)
      pipe::CheckIdsOp::create(inside, loc, found.kind, at, location.getBase(),
                               location.getOffset() + found.begin * 4, found.count, found.least, found.limit);
  }

  func::FuncOp function;
  SmallVector<StringRef> labels;
  /// Number of the kernel at hand.
  int64_t time = 0;
  std::vector<Entry> entries;
  llvm::DenseMap<Value, size_t> numbers;
  SmallVector<std::tuple<nn::KernelOp, int64_t, int64_t>> workspaces;
  SmallVector<std::tuple<int64_t, nn::LocationAttr, KernelIds>> ids;
};

struct DescribeChecksPass : impl::DescribeChecksPassBase<DescribeChecksPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!nn::isChecked(module))
      return;
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    for (auto function : llvm::to_vector(module.getOps<func::FuncOp>()))
      if (failed(FunctionDescriber(function).run(builder)))
        return signalPassFailure();
    for (auto checks : module.getOps<pipe::ChecksOp>())
      numChecks += llvm::range_size(checks.getBody().front());
  }
};

} // namespace

} // namespace contraflow::lowering
