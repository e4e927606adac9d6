//===- GroupedMatmul.cpp - one matrix product per expert ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where groups begin is known at run time only, so tasks are cut along the other dimensions: a task is
// (group, block of columns) where groups cut rows, and (group, block of rows, block of columns) of C where
// they cut the sum. Tasks of a group follow each other, so its rows of A stay in the second-level cache. An
// expert that gets most rows is still shared by several tasks; an empty one costs two loads.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Gemm.h"

using namespace mlir;

namespace contraflow::cpu {

namespace {

/// The dimensions of a grouped product and how its operands are accessed.
struct GroupedProduct {
  int64_t groups, m, n, k;
  StridedAccess a, b, offsets, c;
  bool accumulate;

  // Dimensions of the domain.
  static constexpr unsigned kGroup = 0, kRow = 1, kColumn = 2, kDepth = 3;
};

/// Rows [begin, begin + count) of all rows.
struct Group {
  Value begin, count;
};

} // namespace

static FailureOr<GroupedProduct> readProduct(nn::KernelOp op) {
  ArrayRef<int64_t> domain = op.getDomain();
  GroupedProduct p;
  p.groups = domain[0];
  p.m = domain[1];
  p.n = domain[2];
  p.k = domain[3];
  p.accumulate = op.getTied()[0] >= 0;
  unsigned result = op.getNumInputs();
  for (auto [operand, access] : {std::pair(0u, &p.a), {1u, &p.b}, {2u, &p.offsets}, {result, &p.c}}) {
    FailureOr<StridedAccess> strides = getStridedAccess(op, operand);
    if (failed(strides))
      return failure();
    *access = *strides;
  }
  if (p.c.strides[GroupedProduct::kColumn] != 1 && p.n > 1)
    return op.emitError() << "kernel '" << op.getLabel() << "' writes columns at distance "
                          << p.c.strides[GroupedProduct::kColumn] << ", grouped_matmul wants them contiguous";
  return p;
}

static Group loadGroup(Emitter &e, const GroupedProduct &p, const Task &task, Value group) {
  auto bound = [&](Value i) {
    Value index = e.add(e.mul(i, p.offsets.strides[GroupedProduct::kGroup]), p.offsets.offset);
    return e.toI64(e.loadI32(e.offset(task.operands[2], index)));
  };
  Value begin = bound(group);
  return {begin, e.sub(bound(e.add(group, 1)), begin)};
}

/// The matrix of an operand within `group`, from coordinates (row, column) on.
static Matrix getMatrix(Emitter &e, Value pointer, const StridedAccess &access, Value group, unsigned rowDim,
                        unsigned columnDim) {
  Value base = e.offset(pointer, e.add(e.mul(group, access.strides[GroupedProduct::kGroup]), access.offset));
  return {base, access.strides[rowDim], access.strides[columnDim]};
}

/// Groups cut the rows of A and C.
static LogicalResult emitRaggedRows(KernelEmission &kernel, const GroupedProduct &p) {
  const CpuTarget &target = kernel.target;
  int64_t width = target.tileColumns(), columnBlocks = llvm::divideCeil(p.n, width);
  int64_t depthBlock = GemmEmitter::cut(std::max<int64_t>(p.k, 1), GemmEmitter::kDepthBlock, target.lanes);
  int64_t scratch = GemmEmitter::getScratchElements(target, depthBlock, 0, 0);

  return kernel.parallel(p.groups * columnBlocks, scratch * 4, [&](Emitter &e, const Task &task) {
    Value zero = e.constant(0), index = e.div(task.index, columnBlocks);
    Value column = e.mul(e.rem(task.index, columnBlocks), width);
    Group group = loadGroup(e, p, task, index);
    e.ifThen(e.less(zero, group.count), [&] {
      using G = GroupedProduct;
      GemmEmitter::Product product;
      product.a = getMatrix(e, task.operands[0], p.a, index, G::kRow, G::kDepth);
      product.b = getMatrix(e, task.operands[1], p.b, index, G::kDepth, G::kColumn);
      product.c = getMatrix(e, task.operands.back(), p.c, index, G::kRow, G::kColumn);
      product.a.pointer = product.a.at(e, group.begin, zero);
      product.b.pointer = product.b.at(e, zero, column);
      product.c.pointer = product.c.at(e, group.begin, column);
      product.c.columnStride = 1;
      product.rows = group.count;
      product.columns = e.min(e.sub(e.constant(p.n), column), e.constant(width));
      product.depth = e.constant(p.k);
      product.rowRemainders = llvm::to_vector(llvm::seq<int64_t>(1, target.tileRows));
      product.columnRemainder = p.n % width;
      product.depthBlock = depthBlock;
      product.accumulate = p.accumulate;
      product.scratch = task.scratch;
      GemmEmitter(kernel, e).multiply(product);
    });
    return success();
  });
}

/// Groups cut the sum; every group has a C of its own.
static LogicalResult emitRaggedReduction(KernelEmission &kernel, const GroupedProduct &p) {
  using G = GroupedProduct;
  const CpuTarget &target = kernel.target;
  bool packRows = p.a.strides[G::kRow] == 1 && p.a.strides[G::kDepth] != 1 && p.m > 1;
  auto [rows, columns] = GemmEmitter::cutPacked(target, p.m, p.n);
  int64_t rowBlocks = llvm::divideCeil(p.m, rows), columnBlocks = llvm::divideCeil(p.n, columns);
  int64_t depthBlock = GemmEmitter::cut(std::max<int64_t>(p.k, 1), GemmEmitter::kPackedDepth, target.lanes);
  int64_t scratch =
      GemmEmitter::getScratchElements(target, depthBlock, packRows ? rows : 0, packRows ? columns : 0);

  return kernel.parallel(p.groups * rowBlocks * columnBlocks, scratch * 4, [&](Emitter &e, const Task &task) {
    Value index = e.div(task.index, rowBlocks * columnBlocks);
    Value row = e.mul(e.rem(e.div(task.index, columnBlocks), rowBlocks), rows);
    Value column = e.mul(e.rem(task.index, columnBlocks), columns);
    Group group = loadGroup(e, p, task, index);
    GemmEmitter::Product product;
    product.a = getMatrix(e, task.operands[0], p.a, index, G::kRow, G::kDepth);
    product.b = getMatrix(e, task.operands[1], p.b, index, G::kDepth, G::kColumn);
    product.c = getMatrix(e, task.operands.back(), p.c, index, G::kRow, G::kColumn);
    product.a.pointer = product.a.at(e, row, group.begin);
    product.b.pointer = product.b.at(e, group.begin, column);
    product.c.pointer = product.c.at(e, row, column);
    product.c.columnStride = 1;
    product.rows = e.min(e.sub(e.constant(p.m), row), e.constant(rows));
    product.columns = e.min(e.sub(e.constant(p.n), column), e.constant(columns));
    product.depth = group.count;
    product.rowRemainders = {p.m % target.tileRows};
    product.columnRemainder = p.n % target.tileColumns();
    product.depthBlock = depthBlock;
    product.packedRows = packRows ? rows : 0;
    product.packedColumns = packRows ? columns : 0;
    product.accumulate = p.accumulate;
    product.scratch = task.scratch;
    GemmEmitter(kernel, e).multiply(product);
    return success();
  });
}

LogicalResult emitGroupedMatmul(KernelEmission &kernel) {
  FailureOr<GroupedProduct> product = readProduct(kernel.op);
  if (failed(product))
    return failure();
  auto anchor = llvm::cast<nn::GroupedMatmulAnchorAttr>(kernel.op.getAnchor());
  return anchor.getRagged() == nn::RaggedKind::rows ? emitRaggedRows(kernel, *product)
                                                    : emitRaggedReduction(kernel, *product);
}

} // namespace contraflow::cpu
