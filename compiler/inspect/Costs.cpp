//===- Costs.cpp - flops and bytes of a program, operation by operation ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Costs.h"

#include "compiler/inspect/Text.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace contraflow::inspect {

Cost &Cost::operator+=(const Cost &other) {
  flops += other.flops;
  bytesRead += other.bytesRead;
  bytesWritten += other.bytesWritten;
  return *this;
}

Cost Cost::operator*(int64_t times) const {
  return {flops * double(times), bytesRead * times, bytesWritten * times};
}

/// One entry per op and name, in the order of first appearance.
static std::vector<OperationCost> merge(const std::vector<abi::Operation> &operations) {
  llvm::MapVector<std::pair<llvm::StringRef, llvm::StringRef>, OperationCost> merged;
  for (const abi::Operation &operation : operations) {
    OperationCost &entry = merged[{operation.op, operation.name}];
    entry.op = operation.op;
    entry.name = operation.name;
    ++entry.count;
    entry.cost += {double(operation.flops), operation.bytesRead, operation.bytesWritten};
  }
  std::vector<OperationCost> result;
  for (auto &[key, entry] : merged)
    result.push_back(std::move(entry));
  return result;
}

std::vector<FunctionCost> getCosts(const abi::Manifest &manifest, const std::string &program) {
  llvm::MapVector<int64_t, int64_t> calls;
  if (const abi::Program *rows = manifest.findProgram(program))
    for (const abi::Row &row : *rows)
      if (row.isCall())
        ++calls[row.function];
  std::vector<FunctionCost> functions;
  for (auto [function, number] : calls) {
    FunctionCost &entry = functions.emplace_back();
    entry.function = manifest.functions[size_t(function)];
    entry.calls = number;
    if (auto operations = manifest.operations.find(entry.function); operations != manifest.operations.end())
      entry.operations = merge(operations->second);
    for (const OperationCost &operation : entry.operations)
      entry.cost += operation.cost;
  }
  return functions;
}

std::vector<OperationCost> sumByKind(const std::vector<FunctionCost> &functions) {
  llvm::StringMap<OperationCost> kinds;
  for (const FunctionCost &function : functions)
    for (const OperationCost &operation : function.operations) {
      OperationCost &kind = kinds[operation.op];
      kind.op = operation.op;
      kind.count += operation.count * function.calls;
      kind.cost += operation.cost * function.calls;
    }
  std::vector<OperationCost> result;
  for (auto &entry : kinds)
    result.push_back(std::move(entry.second));
  llvm::sort(result, [](const OperationCost &a, const OperationCost &b) {
    if (a.cost.flops != b.cost.flops)
      return a.cost.flops > b.cost.flops;
    return std::pair(-a.cost.getBytes(), a.op) < std::pair(-b.cost.getBytes(), b.op);
  });
  return result;
}

Cost sum(const std::vector<FunctionCost> &functions) {
  Cost total;
  for (const FunctionCost &function : functions)
    total += function.cost * function.calls;
  return total;
}

std::string formatCosts(const std::vector<FunctionCost> &functions) {
  Cost total = sum(functions);
  std::string text;
  auto head = [&](llvm::StringRef title) {
    text += llvm::formatv("\n{0,9} {1,13} {2,7} {3,12} {4,12} {5,10}  {6}\n", "runs", "Mflop", "share",
                          "MB read", "MB written", "flop/byte", title);
  };
  auto line = [&](int64_t count, const Cost &cost, const std::string &name) {
    text +=
        llvm::formatv("{0,9} {1,13:F3} {2,6:F1}% {3,12:F3} {4,12:F3} {5,10:F2}  {6}\n", group(count),
                      cost.flops * 1e-6, getPercent(cost.flops, total.flops), double(cost.bytesRead) * 1e-6,
                      double(cost.bytesWritten) * 1e-6, cost.getIntensity(), name);
  };
  head("kind of operation");
  int64_t count = 0;
  for (const OperationCost &kind : sumByKind(functions)) {
    line(kind.count, kind.cost, kind.op);
    count += kind.count;
  }
  line(count, total, "all");
  head("function and operation");
  for (const FunctionCost &function : functions) {
    line(function.calls, function.cost * function.calls, function.function);
    for (const OperationCost &operation : function.operations)
      line(operation.count * function.calls, operation.cost * function.calls, "  " + operation.getLabel());
  }
  text += "\nScores that the gradient of attention computes again are counted.\n";
  return text;
}

} // namespace contraflow::inspect
