//===- Emitter.cpp - how kernels become loops over vectors ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/Emitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/AffineExprVisitor.h"

using namespace mlir;

namespace contraflow::cpu {

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

CpuTarget CpuTarget::forLanes(int64_t lanes) {
  CpuTarget target;
  target.lanes = lanes;
  target.hasFma = lanes > 4;
  if (lanes == 16) {
    // 24 accumulators of 32 registers; two of B and some broadcasts of A take the others.
    target.tileRows = 12;
    target.l2Bytes = 2 << 20;
  } else if (lanes == 8) {
    target.tileRows = 6; // 12 accumulators of 16 registers
  }
  return target;
}

CpuTarget CpuTarget::forFeatures(ArrayRef<std::string> features) {
  auto has = [&](StringRef name) { return llvm::is_contained(features, name); };
  if (has("avx512f") && has("avx512vl"))
    return forLanes(16);
  if (has("avx2") && has("fma"))
    return forLanes(8);
  CpuTarget target = forLanes(4);
  target.hasFma = has("fma") || has("neon");
  return target;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

Value Emitter::constant(int64_t value) { return arith::ConstantIntOp::create(builder, loc, value, 64); }
Value Emitter::constantI32(int32_t value) { return arith::ConstantIntOp::create(builder, loc, value, 32); }
Value Emitter::constantF32(float value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
}
Value Emitter::splat(float value) {
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vec(), value));
}
Value Emitter::splatI32(int32_t value) {
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vecI32(), value));
}
Value Emitter::trueValue() { return arith::ConstantIntOp::create(builder, loc, 1, 1); }
Value Emitter::falseValue() { return arith::ConstantIntOp::create(builder, loc, 0, 1); }

Value Emitter::laneIds() {
  SmallVector<int32_t> ids = llvm::to_vector(llvm::seq<int32_t>(0, target.lanes));
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vecI32(), ArrayRef<int32_t>(ids)));
}

Value Emitter::add(Value a, Value b) { return builder.createOrFold<arith::AddIOp>(loc, a, b); }
Value Emitter::sub(Value a, Value b) { return builder.createOrFold<arith::SubIOp>(loc, a, b); }
Value Emitter::mul(Value a, Value b) { return builder.createOrFold<arith::MulIOp>(loc, a, b); }
Value Emitter::div(Value a, int64_t b) {
  return b == 1 ? a : builder.createOrFold<arith::DivUIOp>(loc, a, constant(b));
}
Value Emitter::rem(Value a, int64_t b) {
  return b == 1 ? constant(0) : builder.createOrFold<arith::RemUIOp>(loc, a, constant(b));
}
Value Emitter::min(Value a, Value b) { return builder.createOrFold<arith::MinSIOp>(loc, a, b); }
Value Emitter::max(Value a, Value b) { return builder.createOrFold<arith::MaxSIOp>(loc, a, b); }
Value Emitter::less(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, a, b);
}
Value Emitter::equal(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
}
Value Emitter::toI64(Value value) { return builder.createOrFold<arith::ExtSIOp>(loc, i64(), value); }
Value Emitter::toI32(Value value) { return builder.createOrFold<arith::TruncIOp>(loc, i32(), value); }

Value Emitter::addf(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
Value Emitter::subf(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
Value Emitter::mulf(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
Value Emitter::divf(Value a, Value b) { return arith::DivFOp::create(builder, loc, a, b); }
Value Emitter::maxf(Value a, Value b) { return arith::MaxNumFOp::create(builder, loc, a, b); }
Value Emitter::fma(Value a, Value b, Value c) {
  if (!target.hasFma)
    return addf(mulf(a, b), c);
  return LLVM::FMAOp::create(builder, loc, a.getType(), a, b, c);
}
Value Emitter::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}
Value Emitter::broadcast(Value scalar) {
  return vector::BroadcastOp::create(builder, loc, VectorType::get({target.lanes}, scalar.getType()), scalar);
}

Value Emitter::offset(Value pointer, Value elements) {
  return LLVM::GEPOp::create(builder, loc, ptrType(), f32(), pointer, ArrayRef<LLVM::GEPArg>{elements});
}
Value Emitter::offset(Value pointer, int64_t elements) {
  if (elements == 0)
    return pointer;
  if (!llvm::isIntN(LLVM::kGEPConstantBitWidth, elements))
    return offset(pointer, constant(elements));
  return LLVM::GEPOp::create(builder, loc, ptrType(), f32(), pointer,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(elements)});
}
Value Emitter::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, alignment);
}
void Emitter::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(builder, loc, value, pointer, alignment);
}
Value Emitter::loadMasked(Value pointer, Value mask) {
  return LLVM::MaskedLoadOp::create(builder, loc, vec(), pointer, mask, splat(0.0f),
                                    builder.getI32IntegerAttr(4), nullptr);
}
void Emitter::storeMasked(Value value, Value pointer, Value mask) {
  LLVM::MaskedStoreOp::create(builder, loc, value, pointer, mask, builder.getI32IntegerAttr(4));
}
Value Emitter::andNot(Value a, Value b) {
  Value all = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(mask(), true));
  return arith::AndIOp::create(builder, loc, a, arith::XOrIOp::create(builder, loc, b, all));
}
Value Emitter::maskBelow(Value count) {
  // In 32 bits, so that the comparison needs as many registers as the data.
  Value clamped = max(min(count, constant(target.lanes)), constant(0));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, laneIds(), broadcast(toI32(clamped)));
}

void Emitter::forLoop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
  forLoop(begin, end, step, ValueRange(), [&](Value index, ValueRange) {
    body(index);
    return SmallVector<Value>();
  });
}

SmallVector<Value> Emitter::forLoop(Value begin, Value end, int64_t step, ValueRange inits,
                                    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(builder, loc, begin, end, constant(step), inits);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  // Without results the builder has made the terminator already.
  if (!inits.empty())
    scf::YieldOp::create(builder, loc, results);
  return SmallVector<Value>(loop.getResults());
}

void Emitter::forVectors(int64_t elements, function_ref<void(Value, Value)> body) {
  int64_t whole = elements / target.lanes * target.lanes;
  if (whole)
    forLoop(constant(0), constant(whole), target.lanes, [&](Value index) { body(index, Value()); });
  if (whole < elements)
    body(constant(whole), maskBelow(constant(elements - whole)));
}

void Emitter::ifThen(Value condition, function_ref<void()> then) {
  auto branch = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  then();
}

void Emitter::ifThenElse(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  then();
  builder.setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

void Emitter::call(StringRef function, ValueRange arguments) {
  LLVM::CallOp::create(builder, loc, TypeRange(), function, arguments);
}

//===----------------------------------------------------------------------===//
// The kernel that is being emitted
//===----------------------------------------------------------------------===//

KernelEmission::KernelEmission(nn::KernelOp op, StringRef name, ArrayRef<Placement> placements,
                               std::optional<Placement> workspace, const CpuTarget &target, OpBuilder &entry,
                               Value bases)
    : op(op), target(target), name(name), placements(placements), workspace(workspace), entry(entry),
      bases(bases), module(entry.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>()) {}

/// An internal function at the end of the module.
static LLVM::LLVMFuncOp createFunction(ModuleOp module, Location loc, StringRef name, TypeRange arguments) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), SmallVector<Type>(arguments));
  return LLVM::LLVMFuncOp::create(builder, loc, name, type, LLVM::Linkage::Internal);
}

LogicalResult KernelEmission::requestWorkspace(int64_t bytes) {
  constexpr int64_t kMostStackBytes = 256 << 10;
  if (!workspace && bytes > kMostStackBytes)
    return op.emitError() << "kernel '" << op.getLabel() << "' needs a workspace of " << bytes
                          << " bytes, memory has planned none";
  code.workspaceBytes = bytes;
  return success();
}

Value KernelEmission::getEnvironment() {
  if (environment)
    return environment;
  Location loc = op.getLoc();
  Emitter e(entry, loc, target);
  int64_t slots = placements.size() + (code.workspaceBytes ? 1 : 0);
  environment =
      LLVM::AllocaOp::create(entry, loc, e.ptrType(), e.ptrType(), e.constant(slots), /*alignment=*/8);
  auto slot = [&](Value array, int64_t i) -> Value {
    return LLVM::GEPOp::create(entry, loc, e.ptrType(), e.ptrType(), array,
                               ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
  };
  auto address = [&](const Placement &placement) -> Value {
    if (!placement.table.empty())
      return LLVM::AddressOfOp::create(entry, loc, e.ptrType(), placement.table);
    Value base = e.load(e.ptrType(), slot(bases, placement.base), 8);
    return LLVM::GEPOp::create(entry, loc, e.ptrType(), entry.getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{e.constant(placement.byteOffset)});
  };
  for (auto [i, placement] : llvm::enumerate(placements))
    e.store(address(placement), slot(environment, i), 8);
  if (code.workspaceBytes) {
    Value memory = workspace
                       ? address(*workspace)
                       : Value(LLVM::AllocaOp::create(entry, loc, e.ptrType(), entry.getI8Type(),
                                                      e.constant(code.workspaceBytes), /*alignment=*/64));
    e.store(memory, slot(environment, placements.size()), 8);
  }
  return environment;
}

void KernelEmission::callPhase(const KernelCode::Phase &phase) {
  Emitter caller(entry, op.getLoc(), target);
  StringRef parallelFor = "cf_parallel_for";
  if (!module.lookupSymbol(parallelFor)) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(op.getContext()),
                                            {caller.ptrType(), caller.ptrType(), caller.i64(), caller.i64()});
    LLVM::LLVMFuncOp::create(top, op.getLoc(), parallelFor, type);
  }
  Value operands = getEnvironment();
  Value body = LLVM::AddressOfOp::create(entry, op.getLoc(), caller.ptrType(), phase.function);
  caller.call(parallelFor, {body, operands, caller.constant(phase.tasks), caller.constant(1)});
}

LogicalResult KernelEmission::reuse(const KernelCode &other) {
  if (failed(requestWorkspace(other.workspaceBytes)))
    return failure();
  code = other;
  for (const KernelCode::Phase &phase : code.phases)
    callPhase(phase);
  return success();
}

LogicalResult KernelEmission::parallel(int64_t tasks, int64_t bytes,
                                       function_ref<LogicalResult(Emitter &, const Task &)> body) {
  code.scratchBytes = std::max(code.scratchBytes, bytes);
  std::string phaseName = code.phases.empty() ? name : name + ".p" + std::to_string(code.phases.size());
  code.phases.push_back({phaseName, tasks});
  Location loc = op.getLoc();
  OpBuilder builder(op.getContext());
  Emitter e(builder, loc, target);
  LLVM::LLVMFuncOp function =
      createFunction(module, loc, phaseName, {e.ptrType(), e.i64(), e.i64(), e.ptrType()});
  Block *block = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);

  auto operand = [&](int64_t i) {
    Value slot = LLVM::GEPOp::create(builder, loc, e.ptrType(), e.ptrType(), block->getArgument(0),
                                     ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    return e.load(e.ptrType(), slot, 8);
  };
  Task task;
  task.scratch = block->getArgument(3);
  for (int64_t i = 0, count = placements.size(); i < count; ++i)
    task.operands.push_back(operand(i));
  if (code.workspaceBytes)
    task.workspace = operand(placements.size());

  LogicalResult result = success();
  e.forLoop(block->getArgument(1), block->getArgument(2), 1, [&](Value index) {
    task.index = index;
    result = body(e, task);
  });
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  if (failed(result))
    return failure();
  callPhase(code.phases.back());
  return success();
}

void KernelEmission::getOrEmitFunction(StringRef functionName, TypeRange arguments,
                                       function_ref<void(Emitter &, ValueRange)> body) {
  if (module.lookupSymbol(functionName))
    return;
  OpBuilder builder(op.getContext());
  // Shared code belongs to no source line.
  Location loc = UnknownLoc::get(op.getContext());
  LLVM::LLVMFuncOp function = createFunction(module, loc, functionName, arguments);
  Block *block = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  Emitter e(builder, loc, target);
  body(e, block->getArguments());
  LLVM::ReturnOp::create(builder, loc, ValueRange());
}

} // namespace contraflow::cpu
