//===- StepContext.h - what the programs of a step share ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_SCHEDULE_STEPCONTEXT_H
#define CONTRAFLOW_PASSES_SCHEDULE_STEPCONTEXT_H

#include "dialects/nn/ParameterLayout.h"
#include "dialects/nn/Signature.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace contraflow::schedule {

/// A loss, a load or a metric: where it lies in its buffer, in bytes.
struct Counter {
  std::string name;
  int64_t offset = 0;
  nn::TensorType type;
  double weight = 0;
  nn::MetricKind kind = nn::MetricKind::Mean;
};

/// Functions, parameters and counters of the module.
class StepContext {
public:
  static mlir::FailureOr<StepContext> get(mlir::ModuleOp module);

  /// Null where the module has no such function.
  const nn::Signature *findFunction(const llvm::Twine &name);
  /// The function that fills a tensor of `type` with zeros; made on first use.
  mlir::FailureOr<std::string> getZeroFunction(nn::TensorType type);

  mlir::ModuleOp module;
  nn::ParameterLayout layout;
  int64_t microBatches = 1;
  llvm::MapVector<llvm::StringRef, Counter> losses;
  /// Per call of `@train` and name.
  llvm::MapVector<std::pair<mlir::Operation *, llvm::StringRef>, Counter> loads;
  llvm::MapVector<std::pair<mlir::Operation *, llvm::StringRef>, Counter> metrics;
  /// Per call of `@train` whose functions use random numbers: its name, and where its keys begin, one per
  /// micro-batch.
  struct RandomKeys {
    std::string name;
    int64_t offset = 0;
  };
  llvm::MapVector<mlir::Operation *, RandomKeys> randoms;
  int64_t lossBytes = 0, loadBytes = 0, metricBytes = 0, randomBytes = 0;
  /// Functions of collectives that a program starts.
  llvm::StringSet<> reduced;
  /// Offset of every parameter in the region, by full name.
  llvm::StringMap<int64_t> parameters;

private:
  StepContext(mlir::ModuleOp module, nn::ParameterLayout layout)
      : module(module), layout(std::move(layout)) {}
  mlir::LogicalResult collect();
  void collectRandom(nn::CallOp call, const nn::Signature &forward);
  mlir::LogicalResult collectParameters(const nn::KindLayout &kind, std::optional<llvm::StringRef> prefix,
                                        int64_t offset);

  llvm::StringMap<std::optional<nn::Signature>> signatures;
};

} // namespace contraflow::schedule

#endif
