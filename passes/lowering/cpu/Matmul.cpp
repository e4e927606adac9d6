//===- Matmul.cpp - matrix products of static shape -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// C is cut into blocks of rows x columns, one task each. A task packs its panels of B itself, so that no
// phase has to wait for another; a block has so many rows that packing costs little, and so few that its part
// of A stays in the second-level cache while panel after panel is multiplied with it.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Gemm.h"

using namespace mlir;

namespace contraflow::cpu {

namespace {

/// The static product of one matmul kernel, oriented so that C is contiguous along n where it can be.
struct StaticProduct {
  int64_t m, n, k;
  unsigned a, b, c;
  StridedAccess aAccess, bAccess, cAccess;
  unsigned rowDim = 0, columnDim = 1, depthDim = 2;
  bool accumulate;

  int64_t stride(const StridedAccess &access, unsigned dim) const { return access.strides[dim]; }
  void swapOrientation() {
    std::swap(m, n);
    std::swap(a, b);
    std::swap(aAccess, bAccess);
    std::swap(rowDim, columnDim);
  }
};

/// How the product is cut.
struct Plan {
  int64_t rows, columns, depthBlock;
  bool packRows;
  int64_t tasks(int64_t m, int64_t n) const {
    return llvm::divideCeil(m, rows) * llvm::divideCeil(n, columns);
  }
};

} // namespace

static Plan planProduct(const StaticProduct &p, const CpuTarget &target) {
  Plan plan;
  plan.packRows = p.stride(p.aAccess, p.rowDim) == 1 && p.stride(p.aAccess, p.depthDim) != 1 && p.m > 1;
  int64_t k = std::max<int64_t>(p.k, 1), width = target.tileColumns();
  using G = GemmEmitter;
  plan.depthBlock = G::cut(k, plan.packRows ? G::kPackedDepth : G::kDepthBlock, target.lanes);
  // Without copies of A, a block of columns is one panel, and its rows of A take half the second-level cache.
  plan.rows = G::cut(p.m, target.l2Bytes / 8 / plan.depthBlock, target.tileRows);
  plan.columns = width;
  if (plan.packRows)
    std::tie(plan.rows, plan.columns) = G::cutPacked(target, p.m, p.n);
  return plan;
}

static FailureOr<StaticProduct> readProduct(nn::KernelOp op) {
  StaticProduct p;
  p.m = op.getDomain()[0];
  p.n = op.getDomain()[1];
  p.k = op.getDomain()[2];
  p.a = 0;
  p.b = 1;
  p.c = op.getNumInputs();
  for (auto [operand, access] : {std::pair(p.a, &p.aAccess), {p.b, &p.bAccess}, {p.c, &p.cAccess}}) {
    FailureOr<StridedAccess> strides = getStridedAccess(op, operand);
    if (failed(strides))
      return failure();
    *access = *strides;
  }
  p.accumulate = op.getTied()[0] >= 0;
  bool contiguousRows = p.stride(p.cAccess, 0) == 1, contiguousColumns = p.stride(p.cAccess, 1) == 1;
  if (contiguousRows && (!contiguousColumns || p.m > p.n))
    p.swapOrientation();
  return p;
}

LogicalResult emitMatmul(KernelEmission &kernel) {
  FailureOr<StaticProduct> read = readProduct(kernel.op);
  if (failed(read))
    return failure();
  StaticProduct p = *read;
  const CpuTarget &target = kernel.target;
  Plan plan = planProduct(p, target);
  int64_t columnBlocks = llvm::divideCeil(p.n, plan.columns);
  // C that is contiguous in neither direction is computed in scratch and scattered.
  bool scatter = p.stride(p.cAccess, p.columnDim) != 1;
  int64_t scratch = GemmEmitter::getScratchElements(target, plan.depthBlock, plan.packRows ? plan.rows : 0,
                                                    plan.packRows ? plan.columns : 0);
  int64_t blockElements = scatter ? plan.rows * plan.columns : 0;

  return kernel.parallel(
      plan.tasks(p.m, p.n), (scratch + blockElements) * 4, [&](Emitter &e, const Task &task) {
        auto matrix = [&](unsigned operand, const StridedAccess &access, unsigned row, unsigned column) {
          return Matrix{e.offset(task.operands[operand], access.offset), access.strides[row],
                        access.strides[column]};
        };
        Value zero = e.constant(0);
        Value row = e.mul(e.div(task.index, columnBlocks), plan.rows);
        Value column = e.mul(e.rem(task.index, columnBlocks), plan.columns);
        GemmEmitter::Product product;
        product.a = matrix(p.a, p.aAccess, p.rowDim, p.depthDim);
        product.b = matrix(p.b, p.bAccess, p.depthDim, p.columnDim);
        product.c = matrix(p.c, p.cAccess, p.rowDim, p.columnDim);
        product.a.pointer = product.a.at(e, row, zero);
        product.b.pointer = product.b.at(e, zero, column);
        Matrix c = product.c;
        c.pointer = c.at(e, row, column);
        product.rows = e.min(e.sub(e.constant(p.m), row), e.constant(plan.rows));
        product.columns = e.min(e.sub(e.constant(p.n), column), e.constant(plan.columns));
        product.depth = e.constant(p.k);
        product.rowRemainders = {p.m % target.tileRows};
        product.columnRemainder = p.n % target.tileColumns();
        product.depthBlock = plan.depthBlock;
        product.packedRows = plan.packRows ? plan.rows : 0;
        product.packedColumns = plan.packRows ? plan.columns : 0;
        product.scratch = task.scratch;
        product.accumulate = p.accumulate && !scatter;
        product.c = scatter ? Matrix{e.offset(task.scratch, scratch), plan.columns, 1} : c;
        GemmEmitter gemm(kernel, e);
        gemm.multiply(product);
        if (scatter)
          e.forLoop(zero, product.rows, 1, [&](Value i) {
            e.forLoop(zero, product.columns, 1, [&](Value j) {
              Value value = e.loadF32(product.c.at(e, i, j)), to = c.at(e, i, j);
              e.store(p.accumulate ? e.addf(e.loadF32(to), value) : value, to);
            });
          });
        return success();
      });
}

} // namespace contraflow::cpu
