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

#include "passes/lowering/common/Passes.h"
#include "passes/lowering/cpu/KernelsToLLVM.h"

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
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace contraflow::cpu {

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
  passes.addPass(lowering::createExpandMathPass(lowering::ExpandMathPassOptions{machine.hasFma}));
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
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() && !name->starts_with("cf_") &&
        *name != "_GLOBAL_OFFSET_TABLE_")
      return llvm::createStringError("generated code calls '" + *name + "', which is not in runtime/abi");
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
    return llvm::createStringError(diagnostics.empty() ? "cannot " + what : diagnostics);
  };

  if (mlir::failed(lowerKernels(module, machine.target)))
    return failed("lower kernels");
  result.scratchBytes = nn::getIntOr<nn::NNDialect::ScratchBytesAttrHelper>(module, result.scratchBytes);
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal() && function.getLinkage() == LLVM::Linkage::External)
      result.functions.push_back(function.getName().str());
  if (mlir::failed(lowerToLLVMDialect(module, machine)))
    return failed("lower to the LLVM dialect");

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "contraflow");
  if (!code)
    return failed("translate to LLVM IR");
  auto target = machine.createTargetMachine();
  if (!target)
    return target.takeError();
  code->setDataLayout((*target)->createDataLayout());
  code->setTargetTriple((*target)->getTargetTriple());
  optimize(*code, **target);

  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager emission;
  if ((*target)->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("no object files for " + machine.triple);
  emission.run(*code);
  if (llvm::Error error = verifyObject(bytes))
    return error;
  result.object.assign(bytes.begin(), bytes.end());
  return result;
}

} // namespace contraflow::cpu
