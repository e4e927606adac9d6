//===- AttentionTask.h - what attention and its gradient share ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Both directions visit the queries of one head in blocks. The scores of a block against all keys that any of
// its queries sees stay in scratch, so that the softmax is exact and takes two passes:
//
//                keys  depthBegin        diagonal
//                      |                 v
//   queries  r0  . . . s s s s s s s s s s 0 . .      s: score, then probability
//                . . . 0 0 s s s s s s s s s 0 .      0: cleared, because the matrix products that read the
//                block . . . 0 0 s s s s s s s s s s 0         go tile by tile, not row by row
//            r1  . . . 0 0 0 0 s s s s s s s s s      .: never read
//                                        ^ begin of the row's first visible key: starts
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_PASSES_LOWERING_CPU_ATTENTIONTASK_H
#define CONTRAFLOW_PASSES_LOWERING_CPU_ATTENTIONTASK_H

#include "passes/lowering/cpu/Gemm.h"

namespace contraflow::cpu {

/// Dimensions of the domain that count elements of a head: of queries and keys, of values.
enum Column : unsigned { kSize = 3, kValueSize = 4 };

/// Sizes of an attention kernel, and how its operands are accessed (inputs first, then results).
struct AttentionShape {
  int64_t batch, seq, heads, size, valueSize, kvHeads;
  float scale;
  bool causal;
  /// The input that holds the first visible key of each row; -1 where there is none.
  int64_t startsInput;
  /// The input that holds the random key, and what it drops; -1 and null where nothing is dropped.
  int64_t keyInput;
  nn::DropAttr drop;
  llvm::SmallVector<StridedAccess> accesses;

  int64_t headsPerGroup() const { return heads / kvHeads; }
  /// `startsInput` is the number of inputs without starts. Of the operands in `contiguous` (with their
  /// dimension of columns) heads must be contiguous; an error where one is not.
  static mlir::FailureOr<AttentionShape> read(nn::KernelOp op, unsigned inputsWithoutStarts,
                                              llvm::ArrayRef<std::pair<unsigned, unsigned>> contiguous);
};

/// Scratch of a task, handed out in order.
class ScratchLayout {
public:
  int64_t take(int64_t elements) {
    int64_t at = total;
    total += llvm::alignTo(elements, 16);
    return at;
  }
  int64_t getBytes() const { return total * 4; }

private:
  int64_t total = 0;
};

/// Queries of a block: a multiple of every tile and panel, so that blocks of queries and of keys
/// begin at tiles. Larger blocks let a packed operand serve more rows, smaller ones keep the scores in cache.
constexpr int64_t kQueryBlock = 96;

/// Emits the pieces of one task: sequence `batch`, key/value head `kvHead`.
class AttentionTask {
public:
  AttentionTask(KernelEmission &kernel, Emitter &e, const AttentionShape &shape, const Task &task,
                mlir::Value batch)
      : stride(scoreStride(e.target, shape.seq)), gemm(kernel, e), e(e), shape(shape), task(task),
        batch(batch) {}

  /// Distance between rows of scores: no multiple of a page, with room for one more vector than there are
  /// keys.
  static int64_t scoreStride(const CpuTarget &target, int64_t seq);
  /// Elements of all panels of keys [0, seq) x depth.
  static int64_t keyPanelElements(const CpuTarget &target, int64_t seq, int64_t depth);

  /// Operand `index` of one head: rows are positions, columns elements of the head (dimension `columnDim`).
  Matrix head(unsigned index, mlir::Value head, unsigned columnDim);
  mlir::Value scratch(int64_t offset) { return e.offset(task.scratch, offset); }
  /// The address of operand `index`, one element per position.
  mlir::Value rowElement(unsigned index, mlir::Value head, mlir::Value position);

  /// Packs the transpose of a head's rows [0, keys): panels of keys, `depth` deep.
  void packKeys(Matrix rows, mlir::Value keys, int64_t depth, mlir::Value panels);
  /// scores[r][key] = sum over `depth` of a[r][.] * panel[.][key], where a begins at the block.
  void multiplyKeys(Matrix a, mlir::Value panels, int64_t depth, mlir::Value scores);

  /// Visits all query heads that share `kvHead`, and for each the blocks of queries [begin, end).
  void forBlocks(mlir::Value kvHead, mlir::Value begin, mlir::Value end,
                 llvm::function_ref<void(mlir::Value head)> body);
  /// The rows of a head from the block on.
  Matrix fromBlock(Matrix head);
  /// Positions [first, first + rows) of the sequence, set by `forBlocks` like what follows.
  mlir::Value first, rows;
  /// Keys [depthBegin, depthEnd) are seen by any query; depthBegin is a multiple of kQueryBlock.
  mlir::Value depthBegin, depthEnd;
  /// The values that `rows` and `depthEnd` modulo the tile can have besides 0.
  llvm::SmallVector<int64_t> rowRemainders, keyRemainders;
  /// The keys that the tile of queries beginning at row r of the block can see, and the queries of the block
  /// that can see the tile of keys beginning at a key.
  std::pair<mlir::Value, mlir::Value> keysOfTile(mlir::Value row);
  std::pair<mlir::Value, mlir::Value> queriesOfTile(mlir::Value key);

  /// Keys [begin, end) that row r of the block sees.
  struct Visible {
    mlir::Value begin, end;
  };
  Visible visible(mlir::Value row);
  /// Visits the vectors of a row that hold visible keys, with a mask where some lanes are not visible.
  llvm::SmallVector<mlir::Value> forVisible(
      const Visible &keys, mlir::ValueRange inits,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value key, mlir::Value mask, mlir::ValueRange)>
          body);
  /// Visits the rows of the block. Where probabilities are dropped, the factors of a row's probabilities are
  /// there when it is visited.
  void forRows(mlir::Value head, mlir::Value factors, llvm::function_ref<void(mlir::Value row)> body);
  /// A vector of probabilities of a row after dropping; as it is where nothing is dropped.
  mlir::Value drop(mlir::Value probabilities, mlir::Value factors, mlir::Value row, mlir::Value key);
  /// Elements of the factors of as many rows as a random number serves.
  static int64_t factorElements(const CpuTarget &target, const AttentionShape &shape) {
    return shape.drop ? kRandomRows * scoreStride(target, shape.seq) : 0;
  }
  /// Clears the vectors of a row that products read and that hold no visible key.
  void clearInvisible(const Visible &keys, mlir::Value row, mlir::ValueRange rowsOfScores);

  /// Distance between rows of scores of this kernel.
  int64_t stride;
  GemmEmitter gemm;

private:
  /// Rows that the four words of a random number serve.
  static constexpr int64_t kRandomRows = 4;
  void emitFactors(mlir::Value head, mlir::Value firstRow, mlir::Value factors);
  void beginBlock(mlir::Value first, mlir::Value rows);

  Emitter &e;
  const AttentionShape &shape;
  const Task &task;
  mlir::Value batch;
};

} // namespace contraflow::cpu

#endif
