//===- CpuMachine.cpp - processors by name --------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/CpuMachine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;

namespace contraflow::cpu {

char IsaError::ID = 0;

void IsaError::log(llvm::raw_ostream &stream) const {
  bool isUnknown = reason == Reason::Unknown;
  stream << (isUnknown ? "unknown " : "") << "instruction set '" << isa << "'"
         << (isUnknown ? "" : " has no 64-bit instructions")
         << ", expected native or a processor such as x86-64-v3";
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> CpuMachine::createTargetMachine() const {
  static bool initialized = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)initialized;
  llvm::Triple parsed(triple);
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(parsed, error);
  if (!found)
    return llvm::createStringError(error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> result(
      found->createTargetMachine(parsed, cpu, features, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
                                 llvm::CodeGenOptLevel::Default));
  if (!result)
    return llvm::createStringError("no code generator for " + triple);
  return result;
}

llvm::Expected<CpuMachine> CpuMachine::get(llvm::StringRef isa) {
  CpuMachine machine;
  machine.triple = llvm::sys::getDefaultTargetTriple();
  machine.cpu = isa.str();
  if (isa == "native") {
    machine.cpu = llvm::sys::getHostCPUName().str();
    SmallVector<std::string> features;
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      features.push_back((feature.second ? "+" : "-") + feature.first().str());
    llvm::sort(features);
    machine.features = llvm::join(features, ",");
  }
  // A machine for an unknown name would warn on its own: ask one without a name first.
  CpuMachine anyone;
  anyone.triple = machine.triple;
  auto unnamed = anyone.createTargetMachine();
  if (!unnamed)
    return unnamed.takeError();
  if (!(*unnamed)->getMCSubtargetInfo()->isCPUStringValid(machine.cpu))
    return llvm::make_error<IsaError>(isa, IsaError::Reason::Unknown);
  auto created = machine.createTargetMachine();
  if (!created)
    return created.takeError();
  const llvm::MCSubtargetInfo &info = *(*created)->getMCSubtargetInfo();
  for (const auto &feature : info.getEnabledProcessorFeatures())
    machine.enabled.push_back(feature.Key);
  llvm::sort(machine.enabled);
  machine.target = CpuTarget::forFeatures(machine.enabled);
  llvm::Triple triple(machine.triple);
  if (triple.isX86() && !llvm::is_contained(machine.enabled, "64bit"))
    return llvm::make_error<IsaError>(isa, IsaError::Reason::No64Bit);
  machine.hasFma = !triple.isX86() || llvm::is_contained(machine.enabled, "fma");
  return machine;
}
llvm::Expected<CpuMachine> CpuMachine::get(ModuleOp module) {
  auto isa = nn::getAttr<nn::NNDialect::IsaAttrHelper>(module);
  return get(isa ? isa.getValue() : "native");
}

} // namespace contraflow::cpu
