//===- KernelJit.cpp - runs one nn.kernel as lowering/cpu compiles it -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/support/KernelJit.h"

#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <sys/mman.h>
#include <thread>

using namespace mlir;

namespace contraflow::test {

//===----------------------------------------------------------------------===//
// The parallel loop that generated code calls
//===----------------------------------------------------------------------===//

namespace {
struct Workers {
  int threads = 1;
  /// One scratch per thread, aligned to 64.
  std::vector<void *> scratch;
} workers;

using Body = void (*)(void *, int64_t, int64_t, void *);

void parallelFor(Body body, void *env, int64_t count, int64_t grain) {
  grain = std::max<int64_t>(grain, 1);
  std::atomic<int64_t> next{0};
  auto work = [&](int thread) {
    for (int64_t begin; (begin = next.fetch_add(grain)) < count;)
      body(env, begin, std::min(begin + grain, count), workers.scratch[thread]);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < workers.threads; ++i)
    others.emplace_back(work, i);
  work(0);
  for (std::thread &thread : others)
    thread.join();
}
} // namespace

//===----------------------------------------------------------------------===//
// Kernels from text
//===----------------------------------------------------------------------===//

std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  registry.insert<nn::NNDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect,
                  vector::VectorDialect, LLVM::LLVMDialect, cf::ControlFlowDialect, ub::UBDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

ParsedKernel parseKernel(MLIRContext &context, StringRef anchorAndDomain, ArrayRef<std::string> inputTypes,
                         StringRef rest) {
  std::string text = "func.func @kernel(";
  for (auto [i, type] : llvm::enumerate(inputTypes))
    text += (i ? ", %" : "%") + std::to_string(i) + ": !nn.tensor" + type;
  text += ") {\n nn.kernel \"test\" " + anchorAndDomain.str() + " ins(";
  for (size_t i = 0; i < inputTypes.size(); ++i)
    text += (i ? ", %" : "%") + std::to_string(i);
  text += " : ";
  for (auto [i, type] : llvm::enumerate(inputTypes))
    text += (i ? ", " : "") + type;
  text += ") " + rest.str() + "\n return\n}\n";
  ParsedKernel parsed;
  parsed.module = parseSourceString<ModuleOp>(text, &context);
  if (parsed.module)
    parsed.module->walk([&](nn::KernelOp op) { parsed.op = op; });
  else
    llvm::errs() << "cannot parse:\n" << text;
  return parsed;
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

struct JitKernel::Implementation {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  void (*entry)(void *const *) = nullptr;
  /// One block of scratch per thread, in huge pages as the runtime's.
  std::vector<std::unique_ptr<void, decltype(&std::free)>> memory;
};

JitKernel::~JitKernel() = default;

cpu::CpuTarget hostTarget() {
  std::vector<std::string> features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      features.push_back(feature.first().str());
  return cpu::CpuTarget::forFeatures(features);
}

static LogicalResult emitKernel(cpu::KernelEmission &emission) {
  return llvm::TypeSwitch<Attribute, LogicalResult>(emission.op.getAnchor())
      .Case([&](nn::MatmulAnchorAttr) { return cpu::emitMatmul(emission); })
      .Case([&](nn::GroupedMatmulAnchorAttr) { return cpu::emitGroupedMatmul(emission); })
      .Case([&](nn::AttentionAnchorAttr) { return cpu::emitAttention(emission); })
      .Case([&](nn::AttentionGradAnchorAttr) { return cpu::emitAttentionGrad(emission); })
      .Default([&](Attribute) { return emission.op.emitError("no lowering for this anchor"); });
}

/// `kernel` as a module of the llvm dialect that defines @entry.
static OwningOpRef<ModuleOp> lowerKernel(nn::KernelOp kernel, const cpu::CpuTarget &target, int64_t &scratchBytes) {
  MLIRContext *context = kernel.getContext();
  OwningOpRef<ModuleOp> module = ModuleOp::create(kernel.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto ptr = LLVM::LLVMPointerType::get(context);
  auto entry = LLVM::LLVMFuncOp::create(builder, kernel.getLoc(), "entry",
                                        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {ptr}));
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  SmallVector<cpu::Placement> placements;
  for (int64_t i = 0, e = kernel.getNumInputs(); i < e; ++i)
    placements.push_back({i, 0});
  int64_t bases = placements.size();
  for (int64_t tied : kernel.getTied())
    placements.push_back({tied >= 0 ? tied : bases++, 0});
  cpu::KernelEmission emission(kernel, "k0", placements, std::nullopt, target, builder, block->getArgument(0));
  if (failed(emitKernel(emission)))
    return nullptr;
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange());
  scratchBytes = emission.getScratchBytes();

  PassManager passes(context);
  passes.addPass(createCSEPass());
  passes.addPass(cpu::createExpandMathPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (getenv("KERNEL_DUMP"))
    module->dump();
  if (failed(passes.run(*module)))
    return nullptr;
  return module;
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

std::unique_ptr<JitKernel> JitKernel::compile(nn::KernelOp kernel, const cpu::CpuTarget &target) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  auto start = std::chrono::steady_clock::now();
  auto result = std::make_unique<JitKernel>();
  OwningOpRef<ModuleOp> module = lowerKernel(kernel, target, result->scratchBytes);
  if (!module)
    return nullptr;
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule = translateModuleToLLVMIR(*module, *llvmContext);
  if (!llvmModule)
    return nullptr;
  auto report = [](llvm::Error error) {
    llvm::errs() << llvm::toString(std::move(error)) << "\n";
    return nullptr;
  };
  auto machineBuilder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!machineBuilder)
    return report(machineBuilder.takeError());
  auto machine = machineBuilder->createTargetMachine();
  if (!machine)
    return report(machine.takeError());
  llvmModule->setDataLayout((*machine)->createDataLayout());
  llvmModule->setTargetTriple((*machine)->getTargetTriple());
  optimize(*llvmModule, **machine);
  if (const char *path = getenv("KERNEL_ASM")) {
    std::error_code ec;
    llvm::raw_fd_ostream out(path, ec);
    llvmModule->print(out, nullptr);
  }
  auto jit = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(*machineBuilder).create();
  if (!jit)
    return report(jit.takeError());
  llvm::orc::SymbolMap symbols;
  symbols[(*jit)->mangleAndIntern("cf_parallel_for")] = {llvm::orc::ExecutorAddr::fromPtr(&parallelFor),
                                                         llvm::JITSymbolFlags::Exported};
  if (auto error = (*jit)->getMainJITDylib().define(llvm::orc::absoluteSymbols(symbols)))
    return report(std::move(error));
  if (auto error =
          (*jit)->addIRModule(llvm::orc::ThreadSafeModule(std::move(llvmModule), std::move(llvmContext))))
    return report(std::move(error));
  auto entry = (*jit)->lookup("entry");
  if (!entry)
    return report(entry.takeError());
  result->implementation = std::make_unique<Implementation>();
  result->implementation->entry = entry->toPtr<void (*)(void *const *)>();
  result->implementation->jit = std::move(*jit);
  result->compileSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

void JitKernel::run(ArrayRef<void *> bases, int threads, bool poison) {
  constexpr int64_t kHugePage = 2 << 20;
  int64_t bytes = llvm::alignTo(std::max<int64_t>(scratchBytes, 1), kHugePage);
  auto &memory = implementation->memory;
  while (static_cast<int>(memory.size()) < threads) {
    memory.emplace_back(std::aligned_alloc(kHugePage, bytes), &std::free);
    madvise(memory.back().get(), bytes, MADV_HUGEPAGE);
  }
  workers.threads = threads;
  workers.scratch.clear();
  for (auto &block : memory) {
    workers.scratch.push_back(block.get());
    if (poison)
      std::fill_n(static_cast<float *>(block.get()), scratchBytes / 4, std::numeric_limits<float>::quiet_NaN());
  }
  implementation->entry(bases.data());
}

} // namespace contraflow::test
