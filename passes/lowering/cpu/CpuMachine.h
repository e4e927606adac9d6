//===- CpuMachine.h - processors by name ----------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_CPUMACHINE_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_CPUMACHINE_H

#include "passes/lowering/cpu/Emitter.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace contraflow::cpu {

/// Why there is no code for a processor. Whoever took the name from somebody says what to do about it.
struct IsaError : llvm::ErrorInfo<IsaError> {
  enum class Reason { Unknown, No64Bit };
  static char ID; // NOLINT(readability-identifier-naming): the name that llvm::ErrorInfo asks for

  IsaError(llvm::StringRef isa, Reason reason) : isa(isa), reason(reason) {}
  void log(llvm::raw_ostream &stream) const override;
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

  std::string isa;
  Reason reason;
};

/// A processor as LLVM names it, and how kernels are cut for it.
struct CpuMachine {
  std::string triple;
  std::string cpu;
  /// Comma-separated, each with + or -; empty for what the processor's name says.
  std::string features;
  /// Instruction sets that code for this machine may use, as LLVM names them ("avx512f"); sorted.
  std::vector<std::string> enabled;
  CpuTarget target;
  bool hasFma = false;

  /// `isa`: "native" for the machine that we are on, or a processor name of LLVM ("x86-64-v3", "znver5").
  /// Else an IsaError.
  static llvm::Expected<CpuMachine> get(llvm::StringRef isa);
  /// The machine that the module is for, as `nn.isa` says; "native" where it says nothing.
  static llvm::Expected<CpuMachine> get(mlir::ModuleOp module);

  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine() const;
};

} // namespace contraflow::cpu

#endif
