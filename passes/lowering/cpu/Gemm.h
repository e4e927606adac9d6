//===- Gemm.h - matrix products inside a task -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All products of this target are made of two pieces.
//
// A panel is `vectors * lanes` columns of B, copied to scratch so that row k lies at k * vectors * lanes;
// columns beyond the matrix are zero. The copy transposes in registers when B is contiguous along k.
//
// A micro-kernel multiplies up to `tileRows` rows of A with one panel. Its accumulators stay in registers for
// the whole loop over k; one step loads a row of the panel, broadcasts one element per row of A and
// multiplies. Strides of A are static, so that rows are displacements and A need not be copied
// unless it is contiguous along m (then 12 elements would be scattered over as many cache lines as k is
// long).
//
//            panel (L1 or L2)          Every element of C is one chain of fused multiply-adds over k, in
//            order, k |..............|        and chains of blocks of k are added in order. So bits depend on
//            shapes
//     A      v |..............|        and on CpuTarget only.
//   tileRows x k   C tile in registers
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_GEMM_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_GEMM_H

#include "passes/lowering/cpu/Emitter.h"

#include <functional>

namespace contraflow::cpu {

/// A matrix in memory: element (i, j) lies `i * rowStride + j * columnStride` elements after the pointer.
struct Matrix {
  mlir::Value pointer;
  int64_t rowStride = 0;
  int64_t columnStride = 0;

  Matrix transposed() const { return {pointer, columnStride, rowStride}; }
  mlir::Value at(Emitter &e, mlir::Value row, mlir::Value column) const;
};

/// One panel of a packed B.
struct Panel {
  mlir::Value pointer;
  int64_t vectors = 0;
  /// Columns that exist, at most vectors * lanes.
  mlir::Value columns;
};

/// All panels of a B of static width, packed with the same depth.
struct PackedMatrix {
  mlir::Value pointer;
  /// Upper bound of the depth, which panels are apart by.
  int64_t depth = 0;
  int64_t columns = 0;
};

/// What tiles ask the caches for while they multiply. Every `kEvery` terms of the sum, `lines` neighbouring
/// lines are asked for: seldom enough to leave most of the core's outstanding misses to the loads that are
/// waited for.
struct Prefetch {
  static constexpr int64_t kEvery = 4;
  /// Elements of a cache line.
  static constexpr int64_t kLine = 16;

  /// For the tile that begins at a row: the first address, and how many elements it advances per term.
  std::function<std::pair<mlir::Value, mlir::Value>(mlir::Value)> place;
  int64_t lines = 1;
  /// The nearest cache that is to hold them.
  int64_t level = 1;

  explicit operator bool() const { return static_cast<bool>(place); }
};

/// The products of some rows of A with one panel.
struct PanelProduct {
  Matrix a;
  /// A was copied by `packRows`: the tile that begins at row i lies `i * packedDepth` elements after the
  /// pointer.
  bool packedRows = false;
  mlir::Value packedDepth = nullptr;
  /// Rows [rowBegin, rowEnd) of A; rowBegin is a multiple of the tile, so null means 0.
  mlir::Value rowBegin = nullptr, rowEnd = nullptr;
  /// The values that rowEnd modulo the tile can have besides 0.
  llvm::SmallVector<int64_t> remainders;
  /// The terms [first, second) of the sum for the tile that begins at a row.
  std::function<std::pair<mlir::Value, mlir::Value>(mlir::Value)> depth;
  Panel panel;
  /// Where row 0 meets the first column of the panel; columns are contiguous.
  Matrix c;
  /// i1: add to C.
  mlir::Value accumulate = nullptr;
  Prefetch prefetch;
};

class GemmEmitter {
public:
  GemmEmitter(KernelEmission &kernel, Emitter &e) : kernel(kernel), e(e), target(e.target) {}

  // Longest sums in one go, measured: longer panels leave the second-level cache, and where A is packed,
  // a block of A and a block of B are to stay there while the next ones arrive.
  static constexpr int64_t kDepthBlock = 1024, kPackedDepth = 256;
  /// The block of C of one task where A is packed: large enough that every packed element is used often,
  /// small enough for several tasks.
  static std::pair<int64_t, int64_t> cutPacked(const CpuTarget &target, int64_t rows, int64_t columns);
  /// `size` in equal blocks of at most `limit`, rounded up to `unit`.
  static int64_t cut(int64_t size, int64_t limit, int64_t unit);

  /// Elements of a panel of `depth` rows, with the slack that packing writes.
  static int64_t getPanelElements(const CpuTarget &target, int64_t depth, int64_t vectors);

  /// Copies B[0 .. depth) x [0 .. columns) to a panel at `pointer`.
  Panel packPanel(Matrix b, mlir::Value depth, mlir::Value columns, int64_t vectors, mlir::Value pointer);

  /// Copies B[0 .. depth) x [0 .. columns) to panels at `pointer`; `mostDepth` bounds the depth.
  PackedMatrix pack(Matrix b, mlir::Value depth, int64_t mostDepth, int64_t columns, mlir::Value pointer);
  static int64_t getPackedElements(const CpuTarget &target, int64_t depth, int64_t columns);

  /// Copies rows [0, rows) of A to tiles at `pointer`, depth * tileRows elements each; A is contiguous along
  /// m.
  void packRows(Matrix a, mlir::Value rows, mlir::Value depth, mlir::Value pointer);
  /// Copies B[0 .. depth) x [0 .. columns) to panels `distance` elements apart; B is contiguous along n.
  void packColumns(Matrix b, mlir::Value depth, mlir::Value columns, int64_t distance, mlir::Value pointer);

  void multiply(const PanelProduct &product);
  /// All panels of B; `product` has everything but the panel, and its C begins at column 0.
  void multiplyPacked(PanelProduct product, const PackedMatrix &b);

  /// C (+)= A B within one task. Either panel by panel: each panel is packed, multiplied with all rows and
  /// dropped. Or, where A is contiguous along m, block by block of the sum: A and B are packed, and while
  /// tiles are multiplied the next block comes to the second-level cache.
  struct Product {
    Matrix a, b, c;
    mlir::Value rows, columns, depth;
    /// The values that rows modulo the tile, and columns modulo the panel, can have besides 0.
    llvm::SmallVector<int64_t> rowRemainders;
    int64_t columnRemainder = 0;
    /// The sum is cut into blocks of this many terms.
    int64_t depthBlock = 0;
    /// Upper bounds of `rows` and `columns` where A is to be packed, else 0.
    int64_t packedRows = 0, packedColumns = 0;
    bool accumulate = false;
    mlir::Value scratch;
  };
  void multiply(const Product &product);
  /// Elements of scratch that a product takes.
  static int64_t getScratchElements(const CpuTarget &target, int64_t depthBlock, int64_t packedRows,
                                    int64_t packedColumns);

private:
  /// Visits the panels of `columns` columns.
  void forPanels(int64_t columns, llvm::function_ref<void(mlir::Value begin, int64_t columns)> body);
  /// Multiplies the tile of `rows` rows that begins at `row`.
  void multiplyTile(int64_t rows, const PanelProduct &product, mlir::Value row);
  void multiplyPanels(const Product &product);
  void multiplyBlocks(const Product &product);

  KernelEmission &kernel;
  Emitter &e;
  const CpuTarget &target;
};

} // namespace contraflow::cpu

#endif
