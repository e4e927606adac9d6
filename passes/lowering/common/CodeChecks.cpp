//===- CodeChecks.cpp - what generated code may do -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One look at the module's symbols, then one walk over every function. Constraints are numbered as in
// Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/common/CodeChecks.h"

#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace contraflow::lowering {

namespace {

constexpr llvm::StringLiteral kParallelFor = "cf_parallel_for";
/// A worker's stack is a few MiB; environments of kernels and small workspaces are all that lies there.
constexpr int64_t kMostStackBytes = 1 << 20;

class CodeCheck {
public:
  explicit CodeCheck(ModuleOp module) : module(module), symbols(module) {
    Builder b(module.getContext());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
    auto voidOf = [&](ArrayRef<Type> arguments) {
      return LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), arguments);
    };
    entryType = voidOf({pointer});
    taskType = voidOf({pointer, i64, i64, pointer});
    imports["cf_parallel_for"] = voidOf({pointer, pointer, i64, i64});
    if (nn::isChecked(module))
      imports["cf_check"] = voidOf({i64});
  }

  LogicalResult run();

private:
  LogicalResult checkTop(Operation &op);
  LogicalResult checkRun(pipe::RunOp run);
  LogicalResult checkFunction(LLVM::LLVMFuncOp function);
  LogicalResult checkInside(Operation *op);
  LogicalResult checkCall(LLVM::CallOp call);
  LogicalResult checkStack(LLVM::AllocaOp alloca, int64_t &bytes);
  LogicalResult checkOrder(Operation *op);

  ModuleOp module;
  SymbolTable symbols;
  Type entryType, taskType;
  /// What comes from the runtime, with its types.
  llvm::MapVector<StringRef, Type> imports;
};

LogicalResult CodeCheck::checkTop(Operation &op) {
  if (isa<LLVM::LLVMFuncOp, pipe::ProgramOp, pipe::ParameterOp, pipe::ChecksOp>(op))
    return success();
  auto global = dyn_cast<LLVM::GlobalOp>(op);
  // verify_code_c1
  if (!global)
    return op.emitOpError("(C1) is left after the lowering, expected functions, constants and programs");
  // verify_code_c7
  if (!global.getConstant() || global.getLinkage() != LLVM::Linkage::Internal)
    return op.emitOpError("(C7) is ")
           << (global.getConstant() ? "visible outside" : "no constant") << ", expected an internal constant";
  return success();
}

LogicalResult CodeCheck::checkRun(pipe::RunOp run) {
  // verify_code_c2
  auto function = symbols.lookup<LLVM::LLVMFuncOp>(run.getFunction());
  if (!function || function.isExternal())
    return run.emitOpError("(C2) runs '") << run.getFunction() << "', which has no code";
  if (function.getLinkage() == LLVM::Linkage::External)
    return success();
  InFlightDiagnostic error = run.emitOpError("(C2) runs '")
                             << run.getFunction() << "', which has linkage "
                             << stringifyLinkage(function.getLinkage()) << ", expected external";
  error.attachNote(function.getLoc()) << "the function";
  return failure();
}

LogicalResult CodeCheck::checkCall(LLVM::CallOp call) {
  // verify_code_c3
  std::optional<StringRef> callee = call.getCallee();
  if (!callee)
    return call.emitOpError("(C3) calls an address, expected the name of a function");
  if (!symbols.lookup<LLVM::LLVMFuncOp>(*callee))
    return call.emitOpError("(C3) calls '") << *callee << "', which is no function of the module";
  if (*callee != kParallelFor)
    return success();
  // verify_code_c4
  auto address = call.getArgOperands()[0].getDefiningOp<LLVM::AddressOfOp>();
  auto task = address ? symbols.lookup<LLVM::LLVMFuncOp>(address.getGlobalName()) : LLVM::LLVMFuncOp();
  if (!task || task.isExternal())
    return call.emitOpError("(C4) is given something that is no function of the module");
  if (task.getLinkage() != LLVM::Linkage::Internal || task.getFunctionType() != taskType)
    return call.emitOpError("(C4) is given '")
           << task.getSymName() << "' of linkage " << stringifyLinkage(task.getLinkage()) << " and type "
           << task.getFunctionType() << ", expected internal and " << taskType;
  return success();
}

/// Adds what the operation takes to `bytes`.
LogicalResult CodeCheck::checkStack(LLVM::AllocaOp alloca, int64_t &bytes) {
  // verify_code_c5
  APInt count;
  if (!matchPattern(alloca.getArraySize(), m_ConstantInt(&count)))
    return alloca.emitOpError("(C5) takes stack of a size that is not constant");
  if (!isa<LLVM::LLVMFuncOp>(alloca->getParentOp()) || !alloca->getBlock()->isEntryBlock())
    return alloca.emitOpError(
        "(C5) takes stack in a loop or a branch, expected it at the begin of a function");
  int64_t size = DataLayout::closest(alloca).getTypeSize(alloca.getElemType());
  int64_t taken = 0;
  if (count.getSignificantBits() > 63 || llvm::MulOverflow(size, count.getSExtValue(), taken) ||
      llvm::AddOverflow(bytes, taken, bytes) || taken < 0 || bytes > kMostStackBytes)
    return alloca.emitOpError("(C5) makes the function take more than ")
           << kMostStackBytes << " bytes of stack";
  return success();
}

LogicalResult CodeCheck::checkOrder(Operation *op) {
  // verify_code_c6
  if (isa<LLVM::AtomicRMWOp, LLVM::AtomicCmpXchgOp, LLVM::FenceOp>(op))
    return op->emitOpError("(C6) is atomic; sums have one order, whatever the number of threads");
  if (isa<LLVM::InlineAsmOp>(op))
    return op->emitOpError("(C6) is code that nobody can check");
  auto check = [&](auto access) -> LogicalResult {
    if (access.getOrdering() != LLVM::AtomicOrdering::not_atomic)
      return op->emitOpError("(C6) is atomic; sums have one order, whatever the number of threads");
    if (access.getVolatile_())
      return op->emitOpError("(C6) is volatile");
    return success();
  };
  if (auto load = dyn_cast<LLVM::LoadOp>(op))
    return check(load);
  if (auto store = dyn_cast<LLVM::StoreOp>(op))
    return check(store);
  return success();
}

/// Intrinsics and remainders that some processor has no instruction for. Functions of the math dialect are
/// expanded later, or refused by name.
bool mayCallLibm(Operation *op) {
  if (isa<LLVM::FRemOp, arith::RemFOp>(op))
    return true;
  return op->getName().getStringRef().starts_with("llvm.intr.") &&
         !isa<LLVM::FMAOp, LLVM::SqrtOp, LLVM::FAbsOp, LLVM::Prefetch, LLVM::MaskedLoadOp,
              LLVM::MaskedStoreOp, LLVM::masked_gather, LLVM::masked_scatter>(op);
}

LogicalResult CodeCheck::checkInside(Operation *op) {
  // verify_code_c1
  if (!isa_and_nonnull<LLVM::LLVMDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect,
                       vector::VectorDialect>(op->getDialect()))
    return op->emitOpError("(C1) is in a function, expected operations of llvm, scf, arith, math and vector");
  // verify_code_c3
  if (isa<LLVM::MemcpyOp, LLVM::MemcpyInlineOp, LLVM::MemmoveOp, LLVM::MemsetOp, LLVM::MemsetInlineOp>(op))
    return op->emitOpError("(C3) becomes a call of libc");
  if (mayCallLibm(op))
    return op->emitOpError(
        "(C3) may become a call of libm, expected what is an instruction on every processor");
  if (isa<LLVM::InvokeOp, LLVM::CallIntrinsicOp>(op))
    return op->emitOpError("(C3) is a call, expected llvm.call");
  if (auto call = dyn_cast<LLVM::CallOp>(op))
    return checkCall(call);
  return checkOrder(op);
}

LogicalResult CodeCheck::checkFunction(LLVM::LLVMFuncOp function) {
  if (function.isExternal()) {
    // verify_code_c3
    auto import = imports.find(function.getSymName());
    if (import == imports.end())
      return function.emitOpError("(C3) has no body, and only '")
             << llvm::join(llvm::make_first_range(imports), "' and '") << "' comes from the runtime";
    if (function.getFunctionType() != import->second)
      return function.emitOpError("(C3) is declared as ")
             << function.getFunctionType() << ", expected " << import->second;
    return success();
  }
  // verify_code_c2
  if (function.getLinkage() != LLVM::Linkage::Internal && function.getFunctionType() != entryType)
    return function.emitOpError("(C2) is exported with type ")
           << function.getFunctionType() << ", expected " << entryType;
  int64_t stackBytes = 0;
  return failure(function
                     .walk([&](Operation *op) {
                       if (op == function)
                         return WalkResult::advance();
                       auto alloca = dyn_cast<LLVM::AllocaOp>(op);
                       if (failed(checkInside(op)) || (alloca && failed(checkStack(alloca, stackBytes))))
                         return WalkResult::interrupt();
                       return WalkResult::advance();
                     })
                     .wasInterrupted());
}

LogicalResult CodeCheck::run() {
  for (Operation &op : *module.getBody())
    if (failed(checkTop(op)))
      return failure();
  for (auto program : module.getOps<pipe::ProgramOp>())
    for (auto run : program.getBody().getOps<pipe::RunOp>())
      if (failed(checkRun(run)))
        return failure();
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (failed(checkFunction(function)))
      return failure();
  return success();
}

} // namespace

LogicalResult verify(ModuleOp module) { return CodeCheck(module).run(); }

} // namespace contraflow::lowering
