//===- Gemm.cpp - matrix products inside a task ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/cpu/Gemm.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace contraflow::cpu {

Value Matrix::at(Emitter &e, Value row, Value column) const {
  return e.offset(pointer, e.add(e.mul(row, rowStride), e.mul(column, columnStride)));
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// Transposes lanes x lanes elements held in as many vectors: pairs, pairs of pairs within 128 bits, then
/// blocks of 128 bits. Each shuffle is one instruction on x86.
static void transpose(Emitter &e, MutableArrayRef<Value> rows) {
  int64_t lanes = e.target.lanes;
  auto shuffle = [&](Value a, Value b, function_ref<int64_t(int64_t)> lane) {
    SmallVector<int64_t> mask;
    for (int64_t i = 0; i < lanes; ++i)
      mask.push_back(lane(i));
    return Value(vector::ShuffleOp::create(e.builder, e.loc, a, b, mask));
  };
  // In 128 bits, 4 x 4 elements of the four rows 4g .. 4g + 3: interleave elements, then pairs of elements.
  for (int64_t g = 0; g < lanes; g += 4) {
    Value r[4] = {rows[g], rows[g + 1], rows[g + 2], rows[g + 3]};
    auto interleave = [&](Value a, Value b, int64_t width, int64_t half) {
      return shuffle(a, b, [&](int64_t i) {
        int64_t block = i / 4 * 4, in = i % 4;
        int64_t from = width == 1 ? in / 2 + 2 * half : in % 2 + 2 * half;
        bool second = width == 1 ? in % 2 : in / 2;
        return block + from + (second ? lanes : 0);
      });
    };
    Value t0 = interleave(r[0], r[1], 1, 0), t1 = interleave(r[0], r[1], 1, 1);
    Value t2 = interleave(r[2], r[3], 1, 0), t3 = interleave(r[2], r[3], 1, 1);
    rows[g] = interleave(t0, t2, 2, 0);
    rows[g + 1] = interleave(t0, t2, 2, 1);
    rows[g + 2] = interleave(t1, t3, 2, 0);
    rows[g + 3] = interleave(t1, t3, 2, 1);
  }
  // Row 4g + j now holds, in its block b, column 4b + j of rows 4g .. 4g + 3: transpose the blocks of each j.
  int64_t blocks = lanes / 4;
  for (int64_t width = 1; width < blocks; width *= 2)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t g = 0; g < blocks; ++g) {
        if (g & width)
          continue;
        Value a = rows[4 * g + j], b = rows[4 * (g + width) + j];
        auto exchange = [&](bool high) {
          return shuffle(a, b, [&](int64_t i) {
            int64_t block = i / 4;
            // A block with bit `width` comes from b; the other bits stay.
            int64_t from = (block & ~width) | (high ? width : 0);
            return from * 4 + i % 4 + (block & width ? lanes : 0);
          });
        };
        rows[4 * g + j] = exchange(false);
        rows[4 * (g + width) + j] = exchange(true);
      }
}

int64_t GemmEmitter::cut(int64_t size, int64_t limit, int64_t unit) {
  int64_t blocks = llvm::divideCeil(size, std::max(limit, unit));
  return llvm::alignTo(llvm::divideCeil(size, blocks), unit);
}

int64_t GemmEmitter::getPanelElements(const CpuTarget &target, int64_t depth, int64_t vectors) {
  // The transposing copy writes whole blocks of `lanes` rows.
  return llvm::alignTo(depth, target.lanes) * vectors * target.lanes;
}

/// Emits `pack_columns`: B contiguous along n. (source, row stride, panel, depth, columns)
static void emitPackColumns(Emitter &e, ValueRange args, int64_t vectors) {
  Value source = args[0], stride = args[1], panel = args[2], depth = args[3], columns = args[4];
  int64_t lanes = e.target.lanes, width = vectors * lanes;
  auto copy = [&](bool masked) {
    SmallVector<Value> masks;
    if (masked)
      for (int64_t v = 0; v < vectors; ++v)
        masks.push_back(e.maskBelow(e.sub(columns, e.constant(v * lanes))));
    e.forLoop(e.constant(0), depth, 1, [&](Value k) {
      Value from = e.offset(source, e.mul(k, stride)), to = e.offset(panel, e.mul(k, width));
      for (int64_t v = 0; v < vectors; ++v) {
        Value part = e.offset(from, v * lanes);
        e.storeAligned(masked ? e.loadMasked(part, masks[v]) : e.loadVec(part), e.offset(to, v * lanes));
      }
    });
  };
  e.ifThenElse(e.less(columns, e.constant(width)), [&] { copy(true); }, [&] { copy(false); });
}

/// Emits `pack_transposed`: B contiguous along k. (source, column stride, panel, depth, columns)
static void emitPackTransposed(Emitter &e, ValueRange args, int64_t vectors) {
  Value source = args[0], stride = args[1], panel = args[2], depth = args[3], columns = args[4];
  int64_t lanes = e.target.lanes, width = vectors * lanes;
  auto copy = [&](Value k, int64_t v, bool masked) {
    SmallVector<Value> rows;
    Value left = e.sub(columns, e.constant(v * lanes)), deep = e.sub(depth, k);
    for (int64_t i = 0; i < lanes; ++i) {
      Value from = e.offset(source, e.add(e.mul(e.constant(v * lanes + i), stride), k));
      if (masked)
        rows.push_back(e.loadMasked(
            from, e.maskBelow(e.select(e.less(e.constant(i), left), deep, e.constant(0)))));
      else
        rows.push_back(e.loadVec(from));
    }
    transpose(e, rows);
    Value to = e.offset(panel, e.mul(k, width));
    for (int64_t i = 0; i < lanes; ++i)
      e.storeAligned(rows[i], e.offset(to, i * width + v * lanes));
  };
  for (int64_t v = 0; v < vectors; ++v) {
    Value full = e.less(e.constant((v + 1) * lanes - 1), columns);
    Value fullDepth = e.select(full, e.sub(depth, e.rem(depth, lanes)), e.constant(0));
    e.forLoop(e.constant(0), fullDepth, lanes, [&](Value k) { copy(k, v, false); });
    e.forLoop(fullDepth, depth, lanes, [&](Value k) { copy(k, v, true); });
  }
}

/// Emits `pack_strided`: B contiguous along neither. (source, row stride, column stride, panel, depth, columns)
static void emitPackStrided(Emitter &e, ValueRange args, int64_t vectors) {
  int64_t width = vectors * e.target.lanes;
  e.forLoop(e.constant(0), args[4], 1, [&](Value k) {
    Value from = e.offset(args[0], e.mul(k, args[1])), to = e.offset(args[3], e.mul(k, width));
    for (int64_t v = 0; v < vectors; ++v)
      e.storeAligned(e.splat(0.0f), e.offset(to, v * e.target.lanes));
    e.forLoop(e.constant(0), args[5], 1, [&](Value n) {
      e.store(e.loadF32(e.offset(from, e.mul(n, args[2]))), e.offset(to, n));
    });
  });
}

Panel GemmEmitter::packPanel(Matrix b, Value depth, Value columns, int64_t vectors, Value pointer) {
  auto name = [&](StringRef kind) { return (kind + "_x" + Twine(vectors)).str(); };
  Type ptr = e.ptrType(), i64 = e.i64();
  if (b.columnStride == 1) {
    kernel.getOrEmitFunction(name("pack_columns"), {ptr, i64, ptr, i64, i64},
                             [&](Emitter &e, ValueRange args) { emitPackColumns(e, args, vectors); });
    e.call(name("pack_columns"), {b.pointer, e.constant(b.rowStride), pointer, depth, columns});
  } else if (b.rowStride == 1) {
    kernel.getOrEmitFunction(name("pack_transposed"), {ptr, i64, ptr, i64, i64},
                             [&](Emitter &e, ValueRange args) { emitPackTransposed(e, args, vectors); });
    e.call(name("pack_transposed"), {b.pointer, e.constant(b.columnStride), pointer, depth, columns});
  } else {
    kernel.getOrEmitFunction(name("pack_strided"), {ptr, i64, i64, ptr, i64, i64},
                             [&](Emitter &e, ValueRange args) { emitPackStrided(e, args, vectors); });
    e.call(name("pack_strided"),
           {b.pointer, e.constant(b.rowStride), e.constant(b.columnStride), pointer, depth, columns});
  }
  return {pointer, vectors, columns};
}

/// Emits `pack_rows`: A contiguous along m, to tiles of `tileRows` (the last one may be narrower and keeps its own
/// width as distance between k). (source, stride of k, tiles, rows, depth)
static void emitPackRows(Emitter &e, ValueRange args) {
  Value source = args[0], stride = args[1], tiles = args[2], rows = args[3], depth = args[4];
  int64_t tile = e.target.tileRows;
  e.forLoop(e.constant(0), rows, tile, [&](Value row) {
    Value height = e.min(e.sub(rows, row), e.constant(tile));
    Value mask = e.maskBelow(height);
    Value to = e.offset(tiles, e.mul(row, depth)), from = e.offset(source, row);
    e.forLoop(e.constant(0), depth, 1, [&](Value k) {
      e.storeMasked(e.loadMasked(e.offset(from, e.mul(k, stride)), mask), e.offset(to, e.mul(k, height)), mask);
    });
  });
}

void GemmEmitter::packRows(Matrix a, Value rows, Value depth, Value pointer) {
  assert(a.rowStride == 1 && target.tileRows <= target.lanes);
  Type ptr = e.ptrType(), i64 = e.i64();
  kernel.getOrEmitFunction("pack_rows", {ptr, i64, ptr, i64, i64}, emitPackRows);
  e.call("pack_rows", {a.pointer, e.constant(a.columnStride), pointer, rows, depth});
}

//===----------------------------------------------------------------------===//
// The micro-kernel
//===----------------------------------------------------------------------===//

namespace {
/// What a micro-kernel is generated for.
struct TileShape {
  int64_t rows, vectors;
  /// Elements between rows of A and between its terms.
  int64_t rowStride, depthStride;

  std::string getName() const {
    return llvm::formatv("gemm_{0}x{1}_a{2}_{3}", rows, vectors, rowStride, depthStride).str();
  }
};
} // namespace

/// Emits a micro-kernel. (depth, a, panel, c, stride of c, columns, accumulate)
static void emitMicroKernel(Emitter &e, ValueRange args, TileShape shape) {
  Value depth = args[0], a = args[1], panel = args[2], c = args[3], cStride = args[4];
  int64_t lanes = e.target.lanes, width = shape.vectors * lanes;

  // C comes from memory while the loop runs.
  SmallVector<Value> rows;
  for (int64_t i = 0; i < shape.rows; ++i) {
    rows.push_back(e.offset(c, e.mul(e.constant(i), cStride)));
    for (int64_t v = 0; v < shape.vectors; ++v)
      LLVM::Prefetch::create(e.builder, e.loc, e.offset(rows[i], v * lanes), e.builder.getI32IntegerAttr(1),
                             e.builder.getI32IntegerAttr(3), e.builder.getI32IntegerAttr(1));
  }

  SmallVector<Value> zeros(shape.rows * shape.vectors, e.splat(0.0f));
  SmallVector<Value> sums = e.forLoop(e.constant(0), depth, 1, zeros, [&](Value k, ValueRange accumulators) {
    Value terms = e.offset(a, e.mul(k, shape.depthStride)), b = e.offset(panel, e.mul(k, width));
    SmallVector<Value> columns, results;
    for (int64_t v = 0; v < shape.vectors; ++v)
      columns.push_back(e.loadAligned(e.offset(b, v * lanes)));
    for (int64_t i = 0; i < shape.rows; ++i) {
      Value term = e.broadcast(e.loadF32(e.offset(terms, i * shape.rowStride)));
      for (int64_t v = 0; v < shape.vectors; ++v)
        results.push_back(e.fma(term, columns[v], accumulators[i * shape.vectors + v]));
    }
    return results;
  });

  // One path for full and partial panels: masked accesses cost the same, and lanes that are not added read as zero.
  SmallVector<Value> storeMasks, loadMasks;
  for (int64_t v = 0; v < shape.vectors; ++v) {
    Value count = e.sub(args[5], e.constant(v * lanes));
    storeMasks.push_back(e.maskBelow(count));
    loadMasks.push_back(e.maskBelow(e.select(args[6], count, e.constant(0))));
  }
  for (int64_t i = 0; i < shape.rows; ++i)
    for (int64_t v = 0; v < shape.vectors; ++v) {
      Value to = e.offset(rows[i], v * lanes);
      e.storeMasked(e.addf(e.loadMasked(to, loadMasks[v]), sums[i * shape.vectors + v]), to, storeMasks[v]);
    }
}

void GemmEmitter::multiplyTile(int64_t rows, const PanelProduct &product, Value row) {
  TileShape shape{rows, product.panel.vectors, product.a.rowStride, product.a.columnStride};
  auto [begin, end] = product.depth(row);
  Value a;
  if (product.packedRows) {
    shape.rowStride = 1;
    shape.depthStride = rows;
    a = e.offset(product.a.pointer, e.add(e.mul(row, product.packedDepth), e.mul(begin, rows)));
  } else {
    a = product.a.at(e, row, begin);
  }
  Value panel = e.offset(product.panel.pointer, e.mul(begin, product.panel.vectors * target.lanes));
  Type ptr = e.ptrType(), i64 = e.i64();
  kernel.getOrEmitFunction(shape.getName(), {i64, ptr, ptr, ptr, i64, i64, e.builder.getI1Type()},
                           [&](Emitter &e, ValueRange args) { emitMicroKernel(e, args, shape); });
  e.call(shape.getName(),
         {e.max(e.sub(end, begin), e.constant(0)), a, panel, e.offset(product.c.pointer, e.mul(row, product.c.rowStride)),
          e.constant(product.c.rowStride), product.panel.columns, product.accumulate});
}

void GemmEmitter::multiply(const PanelProduct &product) {
  int64_t tile = target.tileRows;
  Value left = e.rem(product.rowEnd, tile);
  Value full = e.sub(product.rowEnd, left);
  e.forLoop(product.rowBegin ? product.rowBegin : e.constant(0), full, tile,
            [&](Value row) { multiplyTile(tile, product, row); });
  for (int64_t remainder : product.remainders)
    if (remainder)
      e.ifThen(e.equal(left, e.constant(remainder)), [&] { multiplyTile(remainder, product, full); });
}

//===----------------------------------------------------------------------===//
// Panels that stay
//===----------------------------------------------------------------------===//

void GemmEmitter::forPanels(int64_t columns, function_ref<void(Value, int64_t)> body) {
  int64_t width = target.tileColumns(), whole = columns / width * width;
  if (whole)
    e.forLoop(e.constant(0), e.constant(whole), width, [&](Value begin) { body(begin, width); });
  if (whole < columns)
    body(e.constant(whole), columns - whole);
}

int64_t GemmEmitter::getPackedElements(const CpuTarget &target, int64_t depth, int64_t columns) {
  return getPanelElements(target, depth, target.tileVectors) * llvm::divideCeil(columns, target.tileColumns());
}

PackedMatrix GemmEmitter::pack(Matrix b, Value depth, int64_t mostDepth, int64_t columns, Value pointer) {
  int64_t elements = getPanelElements(target, mostDepth, target.tileVectors);
  forPanels(columns, [&](Value begin, int64_t width) {
    Matrix part = b;
    part.pointer = b.at(e, e.constant(0), begin);
    packPanel(part, depth, e.constant(width), llvm::divideCeil(width, target.lanes),
              e.offset(pointer, e.mul(e.div(begin, target.tileColumns()), elements)));
  });
  return {pointer, mostDepth, columns};
}

void GemmEmitter::multiplyPacked(PanelProduct product, const PackedMatrix &b) {
  int64_t elements = getPanelElements(target, b.depth, target.tileVectors);
  Matrix c = product.c;
  forPanels(b.columns, [&](Value begin, int64_t width) {
    product.panel = {e.offset(b.pointer, e.mul(e.div(begin, target.tileColumns()), elements)),
                     static_cast<int64_t>(llvm::divideCeil(width, target.lanes)), e.constant(width)};
    product.c.pointer = e.offset(c.pointer, begin);
    multiply(product);
  });
}

//===----------------------------------------------------------------------===//
// A product within one task
//===----------------------------------------------------------------------===//

int64_t GemmEmitter::getScratchElements(const CpuTarget &target, int64_t depthBlock, int64_t packedRows) {
  return getPanelElements(target, depthBlock, target.tileVectors) + packedRows * depthBlock;
}

void GemmEmitter::multiplyPanel(const Product &product, PanelProduct &panel, Value begin, int64_t columns,
                                Value depthBegin, Value depth) {
  int64_t vectors = llvm::divideCeil(columns, target.lanes);
  Matrix b = product.b;
  b.pointer = b.at(e, depthBegin, begin);
  panel.panel = packPanel(b, depth, e.constant(columns), vectors, product.scratch);
  panel.c = product.c;
  panel.c.pointer = e.offset(product.c.pointer, begin);
  multiply(panel);
}

void GemmEmitter::multiply(const Product &product) {
  assert(product.c.columnStride == 1);
  Value zero = e.constant(0);
  int64_t width = target.tileColumns();
  // Without terms C is still written unless it is added to.
  Value end = product.accumulate ? product.depth : e.max(product.depth, e.constant(1));
  e.forLoop(zero, end, product.depthBlock, [&](Value depthBegin) {
    Value depth = e.min(e.sub(product.depth, depthBegin), e.constant(product.depthBlock));
    PanelProduct panel;
    panel.a = product.a;
    panel.a.pointer = product.a.at(e, zero, depthBegin);
    panel.rowEnd = product.rows;
    panel.remainders = product.rowRemainders;
    panel.depth = [=](Value) { return std::make_pair(zero, depth); };
    panel.accumulate = product.accumulate ? e.trueValue() : e.less(zero, depthBegin);
    if (product.packedRows) {
      Value tiles = e.offset(product.scratch, getPanelElements(target, product.depthBlock, target.tileVectors));
      packRows(panel.a, product.rows, depth, tiles);
      panel.a.pointer = tiles;
      panel.packedRows = true;
      panel.packedDepth = depth;
    }
    Value left = e.rem(product.columns, width);
    Value full = e.sub(product.columns, left);
    e.forLoop(zero, full, width,
              [&](Value begin) { multiplyPanel(product, panel, begin, width, depthBegin, depth); });
    if (product.columnRemainder)
      e.ifThen(e.less(zero, left),
               [&] { multiplyPanel(product, panel, full, product.columnRemainder, depthBegin, depth); });
  });
}

} // namespace contraflow::cpu
