//===- Emitter.h - how kernels become loops over vectors ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One kernel becomes one or more parallel phases. A phase is a function of the module,
//
//   llvm.func internal @<name>.p<N>(%environment: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr)
//
// that runs the tasks begin .. end - 1, and a call `cf_parallel_for(@<name>.p<N>, %environment, tasks, 1)` in
// the entry function. The environment is an array of pointers on the stack of the entry function: the
// operands, then the workspace. Phases know nothing of placements, so equal kernels share their code wherever
// their operands lie. How many tasks there are depends on shapes only. Bodies are scf.for and scf.if over
// i64, arith, math and vector operations on f32, i32 and vector<VL x f32>, and LLVM pointers and
// memory operations; scratch belongs to the worker and holds anything at the start of a task.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_EMITTER_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_EMITTER_H

#include "dialects/nn/NN.h"
#include "passes/lowering/common/KernelAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace contraflow::cpu {

using lowering::getElementIndex;
using lowering::getStridedAccess;
using lowering::StridedAccess;

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

/// What kernels are cut by. Results depend on these numbers, never on the number of threads.
struct CpuTarget {
  /// f32 lanes of a vector register.
  int64_t lanes = 4;
  /// The register tile of a matrix product: `tileRows` x (`tileVectors` * lanes) accumulators.
  int64_t tileRows = 4;
  int64_t tileVectors = 2;
  /// Whether a product and a sum are one operation, rounded once.
  bool hasFma = false;
  /// Second-level cache of one core.
  int64_t l2Bytes = 1 << 20;

  int64_t tileColumns() const { return tileVectors * lanes; }

  /// The target for registers of `lanes` f32: 16 (AVX-512), 8 (AVX2 with FMA) or 4 (anything else).
  static CpuTarget forLanes(int64_t lanes);
  /// The widest target that a list of LLVM feature names allows ("avx512f", "avx512vl", "avx2", "fma").
  static CpuTarget forFeatures(llvm::ArrayRef<std::string> features);
};

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Builds operations at the insertion point of a builder. Offsets and counts of memory accesses are in
/// elements (of four bytes); integers are i64 unless a name says otherwise.
class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc, const CpuTarget &target)
      : builder(builder), loc(loc), target(target) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const CpuTarget &target;

  // Types.
  mlir::Type ptrType() { return mlir::LLVM::LLVMPointerType::get(builder.getContext()); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i64() { return builder.getI64Type(); }
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::VectorType vec() { return mlir::VectorType::get({target.lanes}, builder.getF32Type()); }
  mlir::VectorType mask() { return mlir::VectorType::get({target.lanes}, builder.getI1Type()); }
  mlir::VectorType vecI32() { return mlir::VectorType::get({target.lanes}, builder.getI32Type()); }

  // Constants.
  mlir::Value constant(int64_t value);
  mlir::Value constantI32(int32_t value);
  mlir::Value constantF32(float value);
  /// A vector with `value` in every lane.
  mlir::Value splat(float value);
  mlir::Value splatI32(int32_t value);
  mlir::Value trueValue();
  mlir::Value falseValue();
  /// 0, 1, ..., lanes - 1 as i32.
  mlir::Value laneIds();

  // Integers; folded where operands are constant.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b) { return b ? add(a, constant(b)) : a; }
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return b == 1 ? a : mul(a, constant(b)); }
  /// Quotient and remainder of numbers that are not negative.
  mlir::Value div(mlir::Value a, int64_t b);
  mlir::Value rem(mlir::Value a, int64_t b);
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  mlir::Value less(mlir::Value a, mlir::Value b);
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value toI64(mlir::Value i32);
  mlir::Value toI32(mlir::Value i64);

  // Floats, scalars and vectors alike.
  mlir::Value addf(mlir::Value a, mlir::Value b);
  mlir::Value subf(mlir::Value a, mlir::Value b);
  mlir::Value mulf(mlir::Value a, mlir::Value b);
  mlir::Value divf(mlir::Value a, mlir::Value b);
  mlir::Value maxf(mlir::Value a, mlir::Value b);
  /// a * b + c; rounded twice where the target has no fused operation.
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  /// A vector with the scalar (f32 or i32) in every lane.
  mlir::Value broadcast(mlir::Value scalar);

  // Memory.
  mlir::Value offset(mlir::Value pointer, mlir::Value elements);
  mlir::Value offset(mlir::Value pointer, int64_t elements);
  mlir::Value load(mlir::Type type, mlir::Value pointer, unsigned alignment = 4);
  mlir::Value loadF32(mlir::Value pointer) { return load(f32(), pointer); }
  mlir::Value loadI32(mlir::Value pointer) { return load(i32(), pointer); }
  mlir::Value loadVec(mlir::Value pointer) { return load(vec(), pointer); }
  void store(mlir::Value value, mlir::Value pointer, unsigned alignment = 4);
  /// Of whole vectors in scratch, at multiples of their size.
  mlir::Value loadAligned(mlir::Value pointer) { return load(vec(), pointer, target.lanes * 4); }
  void storeAligned(mlir::Value value, mlir::Value pointer) { store(value, pointer, target.lanes * 4); }
  /// Lanes outside the mask read as zero.
  mlir::Value loadMasked(mlir::Value pointer, mlir::Value mask);
  void storeMasked(mlir::Value value, mlir::Value pointer, mlir::Value mask);
  /// With all lanes where the mask is null.
  mlir::Value loadMaybe(mlir::Value pointer, mlir::Value mask) {
    return mask ? loadMasked(pointer, mask) : loadVec(pointer);
  }
  void storeMaybe(mlir::Value value, mlir::Value pointer, mlir::Value mask) {
    mask ? storeMasked(value, pointer, mask) : store(value, pointer);
  }
  /// The lanes of `a` that are not in `b`.
  mlir::Value andNot(mlir::Value a, mlir::Value b);
  /// The mask of lanes below `count` (i64; may be negative or larger than the number of lanes).
  mlir::Value maskBelow(mlir::Value count);

  // Control flow. Bodies are emitted with this emitter inside the new region.
  void forLoop(mlir::Value begin, mlir::Value end, int64_t step, llvm::function_ref<void(mlir::Value)> body);
  llvm::SmallVector<mlir::Value>
  forLoop(mlir::Value begin, mlir::Value end, int64_t step, mlir::ValueRange inits,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  /// Visits `elements` elements vector by vector; the mask is null but for a last partial vector.
  void forVectors(int64_t elements, llvm::function_ref<void(mlir::Value index, mlir::Value mask)> body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);
  void ifThenElse(mlir::Value condition, llvm::function_ref<void()> then,
                  llvm::function_ref<void()> otherwise);
  void call(llvm::StringRef function, mlir::ValueRange arguments);
};

//===----------------------------------------------------------------------===//
// Operands of a kernel
//===----------------------------------------------------------------------===//

/// Where a tensor lies: `bases[base] + byteOffset`, or a constant table of the module.
struct Placement {
  int64_t base = 0;
  int64_t byteOffset = 0;
  std::string table = {};
};

//===----------------------------------------------------------------------===//
// The kernel that is being emitted
//===----------------------------------------------------------------------===//

/// One task of a phase, with the pointers to the first byte of each operand.
struct Task {
  mlir::Value index;
  mlir::Value scratch;
  /// Inputs, then results; a tied result has the pointer of its input.
  llvm::SmallVector<mlir::Value> operands;
  /// Memory shared by the phases of the kernel; meaningless unless some was asked for.
  mlir::Value workspace;
};

/// The code of a kernel, wherever its operands lie.
struct KernelCode {
  struct Phase {
    std::string function;
    int64_t tasks;
  };
  llvm::SmallVector<Phase> phases;
  int64_t scratchBytes = 0;
  int64_t workspaceBytes = 0;
};

class KernelEmission {
public:
  /// `placements` lists inputs, then results; `entry` stands in the entry function, whose bases are `bases`.
  KernelEmission(nn::KernelOp op, llvm::StringRef name, llvm::ArrayRef<Placement> placements,
                 std::optional<Placement> workspace, const CpuTarget &target, mlir::OpBuilder &entry,
                 mlir::Value bases);

  nn::KernelOp op;
  const CpuTarget &target;

  /// Emits one parallel phase of `tasks` tasks, each with `scratchBytes` of scratch; `body` emits one task.
  /// Phases run one after the other.
  mlir::LogicalResult parallel(int64_t tasks, int64_t scratchBytes,
                               llvm::function_ref<mlir::LogicalResult(Emitter &, const Task &)> body);

  /// Asks for memory that the phases share; before the first of them. Where no placement was given it
  /// lies on the stack of the entry function, which is for a few kilobytes.
  mlir::LogicalResult requestWorkspace(int64_t bytes);

  /// What has been emitted.
  const KernelCode &getCode() const { return code; }
  /// Calls code that another emission of an equal kernel has made, instead of emitting it again.
  mlir::LogicalResult reuse(const KernelCode &other);

  /// The most scratch that any phase wanted.
  int64_t getScratchBytes() const { return code.scratchBytes; }

  /// The private function `name` of the module; `body` emits it when it is not there yet (arguments of the
  /// given types, no result). For code that several kernels share, such as micro-kernels.
  void getOrEmitFunction(llvm::StringRef name, mlir::TypeRange arguments,
                         llvm::function_ref<void(Emitter &, mlir::ValueRange)> body);

private:
  /// The environment of this kernel, built by the entry function before its first phase.
  mlir::Value getEnvironment();
  void callPhase(const KernelCode::Phase &phase);

  std::string name;
  llvm::SmallVector<Placement> placements;
  std::optional<Placement> workspace;
  mlir::OpBuilder &entry;
  mlir::Value bases;
  mlir::ModuleOp module;
  mlir::Value environment;
  KernelCode code;
};

} // namespace contraflow::cpu

#endif
