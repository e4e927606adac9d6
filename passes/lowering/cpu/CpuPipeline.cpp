//===- CpuPipeline.cpp - kernels in, an object out ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vectors, unrolling and the order of sums are decided before LLVM sees the code, so of LLVM's own loop
// transformations the ones that change code size most (vectorization, unrolling, interleaving, turning loops
// into library calls) stay off. Nothing here allows LLVM to contract or reassociate floating point: bits
// depend on the kernels and the vector width only.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/cpu/CpuPipeline.h"

#include "passes/lowering/cpu/KernelsToLLVM.h"
#include "passes/lowering/cpu/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;

namespace contraflow::cpu {

static llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

//===----------------------------------------------------------------------===//
// Machines
//===----------------------------------------------------------------------===//

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CpuMachine &machine) {
  static bool initialized = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple(machine.triple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return makeError(error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> result(
      target->createTargetMachine(triple, machine.cpu, machine.features, options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  if (!result)
    return makeError("no code generator for " + machine.triple);
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
  auto unnamed = createTargetMachine(anyone);
  if (!unnamed)
    return unnamed.takeError();
  if (!(*unnamed)->getMCSubtargetInfo()->isCPUStringValid(machine.cpu))
    return makeError("unknown instruction set '" + isa + "', wanted native or a processor such as x86-64-v3");
  auto created = createTargetMachine(machine);
  if (!created)
    return created.takeError();
  const llvm::MCSubtargetInfo &info = *(*created)->getMCSubtargetInfo();
  for (const auto &feature : info.getEnabledProcessorFeatures())
    machine.enabled.push_back(feature.Key);
  llvm::sort(machine.enabled);
  machine.target = CpuTarget::forFeatures(machine.enabled);
  llvm::Triple triple(machine.triple);
  machine.hasFma = !triple.isX86() || llvm::is_contained(machine.enabled, "fma");
  return machine;
}

//===----------------------------------------------------------------------===//
// MLIR
//===----------------------------------------------------------------------===//

void registerCpuPipelineDialects(DialectRegistry &registry) {
  registry.insert<nn::NNDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect,
                  vector::VectorDialect, LLVM::LLVMDialect, cf::ControlFlowDialect, ub::UBDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

static LogicalResult lowerToLLVMDialect(ModuleOp module, const CpuMachine &machine) {
  PassManager passes(module.getContext());
  passes.addPass(createCSEPass());
  passes.addPass(createExpandMathPass(ExpandMathPassOptions{machine.hasFma}));
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    // Without this a loop that copies becomes a call of memcpy, which nobody provides.
    function.addFnAttr("no-builtins");
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
  }
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  tuning.LoopUnrolling = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

/// Checks that the object needs nothing but the runtime.
static llvm::Error verifyObject(llvm::StringRef bytes) {
  auto object = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "object"));
  if (!object)
    return object.takeError();
  for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    auto name = symbol.getName();
    if (!name)
      return name.takeError();
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() && *name != "cf_parallel_for" &&
        *name != "_GLOBAL_OFFSET_TABLE_")
      return makeError("generated code calls '" + *name + "', which is not in runtime/abi");
  }
  return llvm::Error::success();
}

llvm::Expected<CompiledObject> compileToObject(ModuleOp module, const CpuMachine &machine) {
  CompiledObject result;
  // Diagnostics belong into the error: a driver prints one message, with the reason in it.
  std::string diagnostics;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return failure();
    llvm::raw_string_ostream(diagnostics)
        << (diagnostics.empty() ? "" : "\n") << diagnostic.getLocation() << ": " << diagnostic;
    return success();
  });
  auto failed = [&](StringRef what) {
    return makeError(diagnostics.empty() ? "cannot " + what : diagnostics);
  };

  if (mlir::failed(lowerKernels(module, machine.target)))
    return failed("lower kernels");
  if (auto bytes = module->getAttrOfType<IntegerAttr>(kScratchBytesName))
    result.scratchBytes = bytes.getInt();
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal() && function.getLinkage() == LLVM::Linkage::External)
      result.functions.push_back(function.getName().str());
  if (mlir::failed(lowerToLLVMDialect(module, machine)))
    return failed("lower to the LLVM dialect");

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "contraflow");
  if (!code)
    return failed("translate to LLVM IR");
  auto target = createTargetMachine(machine);
  if (!target)
    return target.takeError();
  code->setDataLayout((*target)->createDataLayout());
  code->setTargetTriple((*target)->getTargetTriple());
  optimize(*code, **target);

  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager emission;
  if ((*target)->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return makeError("no object files for " + machine.triple);
  emission.run(*code);
  if (llvm::Error error = verifyObject(bytes))
    return error;
  result.object.assign(bytes.begin(), bytes.end());
  return result;
}

} // namespace contraflow::cpu
