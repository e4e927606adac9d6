//===- Costs.h - flops and bytes of a program, operation by operation -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A manifest says what the operations of a function cost in one call, and its programs say how often each
// function is called. Both together are what a step costs:
//
//   layer.forward    linear q_proj   2 flops        train calls it 3 times   ->  linear q_proj   6 flops
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_INSPECT_COSTS_H
#define CONTRAFLOW_COMPILER_INSPECT_COSTS_H

#include "runtime/abi/Manifest.h"

#include <string>
#include <vector>

namespace contraflow::inspect {

struct Cost {
  /// A step of the largest models has more than 64 bits count; integers are exact up to 2^53.
  double flops = 0;
  int64_t bytesRead = 0;
  int64_t bytesWritten = 0;

  int64_t getBytes() const { return bytesRead + bytesWritten; }
  /// Floating-point operations per byte; 0 without bytes.
  double getIntensity() const { return getBytes() ? flops / double(getBytes()) : 0; }
  Cost &operator+=(const Cost &other);
  Cost operator*(int64_t times) const;
};

/// Operations of a function that have op and name in common.
struct OperationCost {
  std::string op;
  std::string name;
  int64_t count = 0;
  Cost cost;

  /// "linear self_attn.q_proj".
  std::string getLabel() const { return name.empty() ? op : op + " " + name; }
};

/// One call of a function.
struct FunctionCost {
  std::string function;
  /// By the program that was asked for.
  int64_t calls = 0;
  /// In the order of the function.
  std::vector<OperationCost> operations;
  Cost cost;
};

/// Of every function that `program` calls, in the order of first calls.
std::vector<FunctionCost> getCosts(const abi::Manifest &manifest, const std::string &program);

/// The operations of all calls, by kind, the most flops first; `count` is how often they run.
std::vector<OperationCost> sumByKind(const std::vector<FunctionCost> &functions);

/// All calls together.
Cost sum(const std::vector<FunctionCost> &functions);

/// Two tables of a program's run: by kind of operation, and by function and operation.
std::string formatCosts(const std::vector<FunctionCost> &functions);

} // namespace contraflow::inspect

#endif
