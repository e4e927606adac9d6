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

std::pair<int64_t, int64_t> GemmEmitter::cutPacked(const CpuTarget &target, int64_t rows, int64_t columns) {
  // Wide blocks cost least, because rows of B are read in longer runs; see test/benchmark.
  int64_t mostRows = 128, mostColumns = 256;
  constexpr int64_t kSmallest = 64, kTasks = 4;
  while (true) {
    int64_t blockRows = cut(rows, mostRows, target.tileRows);
    int64_t blockColumns = cut(columns, mostColumns, target.tileColumns());
    if (llvm::divideCeil(rows, blockRows) * llvm::divideCeil(columns, blockColumns) >= kTasks ||
        std::max(blockRows, blockColumns) < 2 * kSmallest)
      return {blockRows, blockColumns};
    (blockColumns >= blockRows ? mostColumns : mostRows) = std::max(blockRows, blockColumns) / 2;
  }
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
        rows.push_back(
            e.loadMasked(from, e.maskBelow(e.select(e.less(e.constant(i), left), deep, e.constant(0)))));
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

/// Emits `pack_strided`: B contiguous along neither. (source, row stride, column stride, panel, depth,
/// columns)
static void emitPackStrided(Emitter &e, ValueRange args, int64_t vectors) {
  int64_t width = vectors * e.target.lanes;
  e.forLoop(e.constant(0), args[4], 1, [&](Value k) {
    Value from = e.offset(args[0], e.mul(k, args[1])), to = e.offset(args[3], e.mul(k, width));
    for (int64_t v = 0; v < vectors; ++v)
      e.storeAligned(e.splat(0.0f), e.offset(to, v * e.target.lanes));
    e.forLoop(e.constant(0), args[5], 1,
              [&](Value n) { e.store(e.loadF32(e.offset(from, e.mul(n, args[2]))), e.offset(to, n)); });
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

/// Visits k in [0, depth), four at a time while there are as many: `body(k, count)`.
static void forDepth(Emitter &e, Value depth, function_ref<void(Value, int64_t)> body) {
  constexpr int64_t kSteps = 4;
  Value whole = e.sub(depth, e.rem(depth, kSteps));
  e.forLoop(e.constant(0), whole, kSteps, [&](Value k) { body(k, kSteps); });
  e.forLoop(whole, depth, 1, [&](Value k) { body(k, 1); });
}

/// Emits `pack_rows`: A contiguous along m, to tiles of `tileRows` (the last one may be narrower and keeps
/// its own width as distance between k). Source rows are read from begin to end, as hardware prefetchers like
/// it. (source, stride of k, tiles, rows, depth)
static void emitPackRows(Emitter &e, ValueRange args) {
  Value source = args[0], stride = args[1], tiles = args[2], rows = args[3], depth = args[4];
  int64_t tile = e.target.tileRows;
  Value last = e.rem(rows, tile), whole = e.sub(rows, last);
  Value tileMask = e.maskBelow(e.constant(tile)), lastMask = e.maskBelow(last);
  auto copy = [&](Value row, Value width, Value mask, Value k, int64_t count) {
    Value to = e.offset(tiles, e.add(e.mul(row, depth), e.mul(k, width)));
    for (int64_t i = 0; i < count; ++i) {
      Value from = e.offset(source, e.add(e.mul(e.add(k, i), stride), row));
      e.storeMasked(e.loadMasked(from, mask), e.offset(to, e.mul(width, i)), mask);
    }
  };
  forDepth(e, depth, [&](Value k, int64_t count) {
    e.forLoop(e.constant(0), whole, tile,
              [&](Value row) { copy(row, e.constant(tile), tileMask, k, count); });
    e.ifThen(e.less(e.constant(0), last), [&] { copy(whole, last, lastMask, k, count); });
  });
}

void GemmEmitter::packRows(Matrix a, Value rows, Value depth, Value pointer) {
  assert(a.rowStride == 1 && target.tileRows <= target.lanes);
  Type ptr = e.ptrType(), i64 = e.i64();
  kernel.getOrEmitFunction("pack_rows", {ptr, i64, ptr, i64, i64}, emitPackRows);
  e.call("pack_rows", {a.pointer, e.constant(a.columnStride), pointer, rows, depth});
}

/// Emits `pack_panels`: B contiguous along n, to all of its panels. (source, stride of k, panels, distance of
/// panels, columns, depth)
static void emitPackPanels(Emitter &e, ValueRange args) {
  Value source = args[0], stride = args[1], panels = args[2], distance = args[3], columns = args[4],
        depth = args[5];
  int64_t lanes = e.target.lanes, width = e.target.tileColumns();
  Value last = e.rem(columns, width), whole = e.sub(columns, last);
  SmallVector<Value> lastMasks;
  for (int64_t v = 0; v < e.target.tileVectors; ++v)
    lastMasks.push_back(e.maskBelow(e.sub(last, e.constant(v * lanes))));
  auto copy = [&](Value column, Value k, int64_t count, bool masked) {
    Value to = e.offset(panels, e.add(e.mul(e.div(column, width), distance), e.mul(k, width)));
    for (int64_t i = 0; i < count; ++i) {
      Value from = e.offset(source, e.add(e.mul(e.add(k, i), stride), column));
      for (int64_t v = 0; v < e.target.tileVectors; ++v)
        e.storeAligned(e.loadMaybe(e.offset(from, v * lanes), masked ? lastMasks[v] : Value()),
                       e.offset(to, i * width + v * lanes));
    }
  };
  forDepth(e, depth, [&](Value k, int64_t count) {
    e.forLoop(e.constant(0), whole, width, [&](Value column) { copy(column, k, count, false); });
    e.ifThen(e.less(e.constant(0), last), [&] { copy(whole, k, count, true); });
  });
}

void GemmEmitter::packColumns(Matrix b, Value depth, Value columns, int64_t distance, Value pointer) {
  assert(b.columnStride == 1);
  Type ptr = e.ptrType(), i64 = e.i64();
  kernel.getOrEmitFunction("pack_panels", {ptr, i64, ptr, i64, i64, i64}, emitPackPanels);
  e.call("pack_panels", {b.pointer, e.constant(b.rowStride), pointer, e.constant(distance), columns, depth});
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
  /// Lines that are prefetched at a time, and to which cache.
  int64_t prefetchLines, prefetchLevel;

  std::string getName() const {
    std::string name = llvm::formatv("gemm_{0}x{1}_a{2}_{3}", rows, vectors, rowStride, depthStride);
    return prefetchLines ? llvm::formatv("{0}_p{1}_{2}", name, prefetchLines, prefetchLevel).str() : name;
  }
};
} // namespace

static void emitPrefetch(Emitter &e, Value pointer, bool write, int64_t level) {
  Builder &b = e.builder;
  LLVM::Prefetch::create(e.builder, e.loc, pointer, b.getI32IntegerAttr(write),
                         b.getI32IntegerAttr(4 - level), b.getI32IntegerAttr(1));
}

/// Emits a micro-kernel. (depth, a, panel, c, stride of c, columns, accumulate[, what to prefetch, its
/// distance])
static void emitMicroKernel(Emitter &e, ValueRange args, TileShape shape) {
  Value depth = args[0], a = args[1], panel = args[2], c = args[3], cStride = args[4];
  int64_t lanes = e.target.lanes, width = shape.vectors * lanes;

  // C comes from memory while the loop runs.
  SmallVector<Value> rows;
  for (int64_t i = 0; i < shape.rows; ++i) {
    rows.push_back(e.offset(c, e.mul(e.constant(i), cStride)));
    for (int64_t v = 0; v < shape.vectors; ++v)
      emitPrefetch(e, e.offset(rows[i], v * lanes), /*write=*/true, /*level=*/1);
  }

  auto step = [&](Value k, ValueRange accumulators, int64_t terms) {
    Value a0 = e.offset(a, e.mul(k, shape.depthStride)), b0 = e.offset(panel, e.mul(k, width));
    SmallVector<Value> sums(accumulators);
    for (int64_t u = 0; u < terms; ++u) {
      SmallVector<Value> columns;
      for (int64_t v = 0; v < shape.vectors; ++v)
        columns.push_back(e.loadAligned(e.offset(b0, u * width + v * lanes)));
      for (int64_t i = 0; i < shape.rows; ++i) {
        Value term = e.broadcast(e.loadF32(e.offset(a0, u * shape.depthStride + i * shape.rowStride)));
        for (int64_t v = 0; v < shape.vectors; ++v)
          sums[i * shape.vectors + v] = e.fma(term, columns[v], sums[i * shape.vectors + v]);
      }
    }
    return sums;
  };
  Value zero = e.constant(0), whole = zero;
  SmallVector<Value> sums(shape.rows * shape.vectors, e.splat(0.0f));
  if (shape.prefetchLines) {
    whole = e.sub(depth, e.rem(depth, Prefetch::kEvery));
    sums = e.forLoop(zero, whole, Prefetch::kEvery, sums, [&](Value k, ValueRange accumulators) {
      Value ahead = e.offset(args[7], e.mul(k, args[8]));
      for (int64_t i = 0; i < shape.prefetchLines; ++i)
        emitPrefetch(e, e.offset(ahead, i * Prefetch::kLine), /*write=*/false, shape.prefetchLevel);
      return step(k, accumulators, Prefetch::kEvery);
    });
  }
  sums = e.forLoop(whole, depth, 1, sums,
                   [&](Value k, ValueRange accumulators) { return step(k, accumulators, 1); });

  // One path for full and partial panels: masked accesses cost the same, and lanes that are not added read as
  // zero.
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
  TileShape shape{rows, product.panel.vectors, product.a.rowStride, product.a.columnStride, 0, 0};
  // A last, lower tile is not worth the code.
  bool prefetch = product.prefetch && rows == target.tileRows;
  if (prefetch) {
    shape.prefetchLines = product.prefetch.lines;
    shape.prefetchLevel = product.prefetch.level;
  }
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
  SmallVector<Type> types{i64, ptr, ptr, ptr, i64, i64, e.builder.getI1Type()};
  SmallVector<Value> values{e.max(e.sub(end, begin), e.constant(0)),
                            a,
                            panel,
                            e.offset(product.c.pointer, e.mul(row, product.c.rowStride)),
                            e.constant(product.c.rowStride),
                            product.panel.columns,
                            product.accumulate};
  if (prefetch) {
    auto [pointer, distance] = product.prefetch.place(row);
    types.append({ptr, i64});
    values.append({pointer, distance});
  }
  kernel.getOrEmitFunction(shape.getName(), types,
                           [&](Emitter &e, ValueRange args) { emitMicroKernel(e, args, shape); });
  e.call(shape.getName(), values);
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
  return getPanelElements(target, depth, target.tileVectors) *
         llvm::divideCeil(columns, target.tileColumns());
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

int64_t GemmEmitter::getScratchElements(const CpuTarget &target, int64_t depthBlock, int64_t packedRows,
                                        int64_t packedColumns) {
  return getPackedElements(target, depthBlock, std::max<int64_t>(packedColumns, 1)) + packedRows * depthBlock;
}

void GemmEmitter::multiply(const Product &product) {
  assert(product.c.columnStride == 1);
  product.packedRows ? multiplyBlocks(product) : multiplyPanels(product);
}

/// Visits the blocks of the sum: `body(begin, depth, accumulate)`.
static void forDepthBlocks(Emitter &e, const GemmEmitter::Product &product,
                           function_ref<void(Value, Value, Value)> body) {
  // Without terms C is still written unless it is added to.
  Value zero = e.constant(0), end = product.accumulate ? product.depth : e.max(product.depth, e.constant(1));
  e.forLoop(zero, end, product.depthBlock, [&](Value begin) {
    Value depth = e.min(e.sub(product.depth, begin), e.constant(product.depthBlock));
    body(begin, depth, product.accumulate ? e.trueValue() : e.less(zero, begin));
  });
}

/// Visits the panels of `product.columns` columns, whose number is not known now: `body(begin, columns)`.
static void forDynamicPanels(Emitter &e, const GemmEmitter::Product &product,
                             function_ref<void(Value, int64_t)> body) {
  int64_t width = e.target.tileColumns();
  Value left = e.rem(product.columns, width), whole = e.sub(product.columns, left);
  e.forLoop(e.constant(0), whole, width, [&](Value begin) { body(begin, width); });
  if (product.columnRemainder)
    e.ifThen(e.less(e.constant(0), left), [&] { body(whole, product.columnRemainder); });
}

void GemmEmitter::multiplyPanels(const Product &product) {
  Value zero = e.constant(0);
  forDepthBlocks(e, product, [&](Value depthBegin, Value depth, Value accumulate) {
    PanelProduct tiles;
    tiles.a = product.a;
    tiles.a.pointer = product.a.at(e, zero, depthBegin);
    tiles.rowEnd = product.rows;
    tiles.remainders = product.rowRemainders;
    tiles.depth = [=](Value) { return std::make_pair(zero, depth); };
    tiles.accumulate = accumulate;
    tiles.c = product.c;
    // Rows that follow each other in memory: the next tile's are asked for in the order of their addresses.
    if (product.a.columnStride == 1 && product.a.rowStride <= product.depthBlock) {
      tiles.prefetch.lines = llvm::divideCeil(target.tileRows * Prefetch::kEvery, Prefetch::kLine);
      tiles.prefetch.place = [&](Value row) {
        return std::make_pair(tiles.a.at(e, e.add(row, target.tileRows), zero), e.constant(target.tileRows));
      };
    }
    forDynamicPanels(e, product, [&](Value begin, int64_t columns) {
      Matrix b = product.b;
      b.pointer = b.at(e, depthBegin, begin);
      tiles.panel =
          packPanel(b, depth, e.constant(columns), llvm::divideCeil(columns, target.lanes), product.scratch);
      tiles.c.pointer = e.offset(product.c.pointer, begin);
      multiply(tiles);
    });
  });
}

void GemmEmitter::multiplyBlocks(const Product &product) {
  Value zero = e.constant(0);
  int64_t distance = getPanelElements(target, product.depthBlock, target.tileVectors);
  Value panels = product.scratch;
  Value packedA = e.offset(panels, getPackedElements(target, product.depthBlock, product.packedColumns));
  forDepthBlocks(e, product, [&](Value depthBegin, Value depth, Value accumulate) {
    Matrix a = product.a, b = product.b;
    a.pointer = a.at(e, zero, depthBegin);
    b.pointer = b.at(e, depthBegin, zero);
    packRows(a, product.rows, depth, packedA);
    if (b.columnStride == 1)
      packColumns(b, depth, product.columns, distance, panels);
    PanelProduct tiles;
    tiles.a = {packedA, 0, 0};
    tiles.packedRows = true;
    tiles.packedDepth = depth;
    tiles.rowEnd = product.rows;
    tiles.remainders = product.rowRemainders;
    tiles.depth = [=](Value) { return std::make_pair(zero, depth); };
    tiles.accumulate = accumulate;
    tiles.c = product.c;

    // The next block of A and B in strips, every tile asks for the kEvery-th part of one. Strips are so wide
    // that tiles suffice; where there are more, the last strip is asked for again, which costs nothing.
    int64_t mostTiles = llvm::divideCeil(product.packedRows, target.tileRows) *
                        llvm::divideCeil(product.packedColumns, target.tileColumns());
    int64_t parts =
        Prefetch::kEvery * llvm::divideCeil(product.packedRows + product.packedColumns, Prefetch::kLine);
    tiles.prefetch.lines = std::min<int64_t>(llvm::divideCeil(parts, mostTiles), 4);
    tiles.prefetch.level = 2;
    int64_t width = tiles.prefetch.lines * Prefetch::kLine;
    Value next = e.add(depthBegin, depth);
    Value nextA = product.a.at(e, zero, next), nextB = product.b.at(e, next, zero);
    Value stripsA = e.div(e.add(product.rows, width - 1), width);
    Value tileCount = e.div(e.add(product.rows, target.tileRows - 1), target.tileRows);
    forDynamicPanels(e, product, [&](Value begin, int64_t columns) {
      int64_t vectors = target.tileVectors;
      Value panel = e.offset(panels, e.mul(e.div(begin, target.tileColumns()), distance));
      if (b.columnStride == 1) {
        tiles.panel = {panel, vectors, e.constant(columns)};
      } else {
        Matrix part = b;
        part.pointer = b.at(e, zero, begin);
        tiles.panel = packPanel(part, depth, e.constant(columns), vectors, panel);
      }
      tiles.prefetch.place = [&](Value row) {
        Value panelNumber = e.div(begin, target.tileColumns()), tileNumber = e.div(row, target.tileRows);
        Value number = e.add(e.mul(panelNumber, tileCount), tileNumber);
        Value strip = e.div(number, Prefetch::kEvery), inA = e.less(strip, stripsA);
        Value column = e.min(e.mul(e.sub(strip, stripsA), width), product.columns);
        Value pointer = e.select(inA, e.offset(nextA, e.mul(strip, width)), e.offset(nextB, column));
        Value stride = e.select(inA, e.constant(a.columnStride), e.constant(b.rowStride));
        return std::make_pair(e.offset(pointer, e.mul(e.rem(number, Prefetch::kEvery), stride)), stride);
      };
      tiles.c.pointer = e.offset(product.c.pointer, begin);
      multiply(tiles);
    });
  });
}

} // namespace contraflow::cpu
