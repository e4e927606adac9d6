//===- Route.cpp - choice of experts, and the order of rows by expert -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The lanes of a vector are tokens: every lane keeps its own sorted list of the best experts seen so far, so
// that the choice has no branches and no sums across lanes. Then a stable counting sort, in three
// parallel phases: blocks of tokens choose and count, one task turns the counts into first positions, and
// blocks of tokens number their rows from there. Blocks depend on the shape only, so the order of rows is
// that of a sequential sort.
//
//===----------------------------------------------------------------------===//

#include "passes/lowering/cpu/Anchors.h"
#include "passes/lowering/cpu/Lanes.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace contraflow::cpu {
namespace {

/// Steps (experts times tokens) of one task.
constexpr int64_t kTaskSteps = 32 << 10;
/// Choices are written out, and each is compared with all before it: code grows with their square.
constexpr int64_t kMostChoices = 64;
/// Counts of all blocks, which lie in the workspace.
constexpr int64_t kMostCountBytes = 128 << 10;

/// The best values seen so far, per lane: `values[0]` is the largest. Equal values stay in the order of their
/// arrival.
struct BestList {
  SmallVector<Value> values;
  /// i32 each; empty where nobody asks who it was.
  SmallVector<Value> owners;

  static BestList empty(Emitter &e, int64_t count, bool withOwners) {
    BestList list;
    for (int64_t i = 0; i < count; ++i) {
      list.values.push_back(e.splat(-std::numeric_limits<float>::infinity()));
      // Should every value be not-a-number, the owners are still different and inside the table.
      if (withOwners)
        list.owners.push_back(e.splatI32(i));
    }
    return list;
  }
  SmallVector<Value> flat() const {
    SmallVector<Value> all(values);
    llvm::append_range(all, owners);
    return all;
  }
  static BestList fromFlat(ValueRange all, bool withOwners) {
    int64_t count = withOwners ? all.size() / 2 : all.size();
    return {SmallVector<Value>(all.take_front(count)), SmallVector<Value>(all.drop_front(count))};
  }

  void insert(Emitter &e, Value value, Value owner) {
    SmallVector<Value> larger;
    for (Value known : values)
      larger.push_back(arith::CmpFOp::create(e.builder, e.loc, arith::CmpFPredicate::OGT, value, known));
    // From the end: what is pushed down is still there.
    auto shift = [&](SmallVector<Value> &list, Value item) {
      for (int64_t i = static_cast<int64_t>(list.size()) - 1; i >= 0; --i)
        list[i] = e.select(larger[i], i == 0 ? item : e.select(larger[i - 1], list[i - 1], item), list[i]);
    };
    shift(values, value);
    if (!owners.empty())
      shift(owners, owner);
  }
};

class RouteEmitter {
public:
  RouteEmitter(KernelEmission &kernel, nn::RouteAnchorAttr anchor)
      : kernel(kernel), op(kernel.op), anchor(anchor), lanes(kernel.target.lanes), sizes(op.getDomain()) {
    tokens = sizes[0];
    experts = sizes[1];
    topK = sizes[2];
    for (unsigned i = 0, count = op.getNumInputs() + op.getNumResults(); i < count; ++i)
      elements.push_back(getElementIndex(op, i));
  }

  LogicalResult verify();
  LogicalResult emitRouting();
  LogicalResult emitCounts();

private:
  unsigned validInput() const { return anchor.getHasBias() ? 2 : 1; }
  int64_t selectionBytes() const { return (experts + anchor.getGroups()) * lanes * 4; }

  LaneIndex at(Emitter &e, unsigned operand, LaneIndex token, LaneIndex expert, LaneIndex choice) {
    SmallVector<LaneIndex> dims{std::move(token), std::move(expert), std::move(choice)};
    return LaneEvaluator(e, sizes, dims).evaluate(elements[operand]);
  }
  LaneIndex zero() { return LaneIndex::constant(lanes, 0); }

  /// The chosen experts of the tokens `token`, best first.
  SmallVector<Value> select(Emitter &e, const Task &task, const LaneIndex &token, const LaneMask &mask);
  void selectGroups(Emitter &e, Value candidates);
  /// Whether the token (i64) counts in loads; null where all do.
  Value isValid(Emitter &e, const Task &task, Value token);

  // Of the sort. Its blocks depend on the shape only.
  int64_t blockTokens() const;
  int64_t blocks() const { return llvm::divideCeil(tokens, blockTokens()); }
  int64_t rows() const { return tokens * topK; }
  Value routing(const Task &task) { return task.operands[op.getNumInputs() + 1]; }
  /// First token of the block of a task, and the one after its last.
  std::pair<Value, Value> blockRange(Emitter &e, const Task &task);
  /// In the workspace, of every block: the rows of each expert, and the valid tokens of each expert.
  Value rowCounts(Emitter &e, const Task &task, Value number);
  Value validCounts(Emitter &e, const Task &task, Value number);
  /// Choice and gates of a vector of tokens.
  void emitChoice(Emitter &e, const Task &task, Value first);
  void emitBlockCounts(Emitter &e, const Task &task, Value begin, Value end);
  /// Turns the counts into the number of the first row of every expert in every block, and writes the loads.
  void emitFirstPositions(Emitter &e, const Task &task);
  /// Numbers the rows of a block.
  void emitNumbers(Emitter &e, const Task &task);

  KernelEmission &kernel;
  nn::KernelOp op;
  nn::RouteAnchorAttr anchor;
  int64_t lanes;
  ArrayRef<int64_t> sizes;
  int64_t tokens, experts, topK;
  SmallVector<AffineExpr> elements;
};

LogicalResult RouteEmitter::verify() {
  auto error = [&] { return op.emitError() << "kernel '" << op.getLabel() << "': "; };
  unsigned inputs = 1 + anchor.getHasBias() + anchor.getHasValid(), results = anchor.getCountsSeq() ? 1 : 3;
  if (op.getNumInputs() != inputs || op.getNumResults() != results)
    return error() << "route with " << op.getNumInputs() << " inputs and " << op.getNumResults()
                   << " results, expected " << inputs << " and " << results;
  if (anchor.getGroups() < 1 || experts % anchor.getGroups() != 0)
    return error() << experts << " experts in " << anchor.getGroups() << " groups";
  int64_t available =
      anchor.getGroups() > 1 ? experts / anchor.getGroups() * anchor.getGroupLimit() : experts;
  if (topK < 1 || topK > available)
    return error() << "choice of " << topK << " of " << available << " experts";
  if (topK > kMostChoices || (anchor.getGroups() > 1 && anchor.getGroupLimit() > kMostChoices))
    return error() << "choice of " << topK << " experts and " << anchor.getGroupLimit() << " groups, at most "
                   << kMostChoices << " can be";
  if (anchor.getCountsSeq() && tokens % anchor.getCountsSeq() != 0)
    return error() << tokens << " tokens in sequences of " << anchor.getCountsSeq();
  return success();
}

/// Sets the candidates of groups that are not among the best to -infinity.
void RouteEmitter::selectGroups(Emitter &e, Value candidates) {
  int64_t groups = anchor.getGroups(), size = experts / groups;
  int64_t top = std::min<int64_t>(anchor.getGroupTop(), size),
          limit = std::min<int64_t>(anchor.getGroupLimit(), groups);
  auto candidate = [&](Value group, Value member) {
    return e.offset(candidates, e.mul(e.add(e.mul(group, size), member), lanes));
  };
  BestList none = BestList::empty(e, limit, true);
  SmallVector<Value> best =
      e.forLoop(e.constant(0), e.constant(groups), 1, none.flat(), [&](Value group, ValueRange carried) {
        SmallVector<Value> members =
            e.forLoop(e.constant(0), e.constant(size), 1, BestList::empty(e, top, false).flat(),
                      [&](Value member, ValueRange seen) {
                        BestList list = BestList::fromFlat(seen, false);
                        list.insert(e, e.loadVec(candidate(group, member)), {});
                        return list.flat();
                      });
        Value score = members[0];
        for (Value member : ArrayRef(members).drop_front())
          score = e.addf(score, member);
        BestList list = BestList::fromFlat(carried, true);
        list.insert(e, score, e.broadcast(e.toI32(group)));
        return list.flat();
      });
  BestList chosen = BestList::fromFlat(best, true);
  e.forLoop(e.constant(0), e.constant(groups), 1, [&](Value group) {
    Value number = e.broadcast(e.toI32(group)), stays;
    for (Value owner : chosen.owners) {
      Value same = e.equal(owner, number);
      stays = stays ? arith::OrIOp::create(e.builder, e.loc, stays, same) : same;
    }
    e.forLoop(e.constant(0), e.constant(size), 1, [&](Value member) {
      Value address = candidate(group, member);
      e.store(e.select(stays, e.loadVec(address), e.splat(-std::numeric_limits<float>::infinity())), address,
              4 * lanes);
    });
  });
}

SmallVector<Value> RouteEmitter::select(Emitter &e, const Task &task, const LaneIndex &token,
                                        const LaneMask &mask) {
  auto score = [&](Value expert) {
    LaneIndex number = LaneIndex::uniform(lanes, expert);
    Value value = loadLanes(e, task.operands[0], at(e, 0, token, number, zero()), e.f32(), mask);
    if (anchor.getHasBias())
      value = e.addf(
          value, e.broadcast(loadUniform(e, task.operands[1], at(e, 1, zero(), number, zero()), e.f32())));
    return value;
  };
  bool grouped = anchor.getGroups() > 1;
  if (grouped) {
    e.forLoop(e.constant(0), e.constant(experts), 1, [&](Value expert) {
      e.store(score(expert), e.offset(task.scratch, e.mul(expert, lanes)), 4 * lanes);
    });
    selectGroups(e, task.scratch);
  }
  SmallVector<Value> best =
      e.forLoop(e.constant(0), e.constant(experts), 1, BestList::empty(e, topK, true).flat(),
                [&](Value expert, ValueRange carried) {
                  BestList list = BestList::fromFlat(carried, true);
                  Value value =
                      grouped ? e.loadVec(e.offset(task.scratch, e.mul(expert, lanes))) : score(expert);
                  list.insert(e, value, e.broadcast(e.toI32(expert)));
                  return list.flat();
                });
  return BestList::fromFlat(best, true).owners;
}

Value RouteEmitter::isValid(Emitter &e, const Task &task, Value token) {
  if (!anchor.getHasValid())
    return {};
  LaneIndex index = at(e, validInput(), LaneIndex::uniform(lanes, token), zero(), zero());
  Value id = loadUniform(e, task.operands[validInput()], index, e.i32());
  return arith::CmpIOp::create(e.builder, e.loc, arith::CmpIPredicate::sge, id, e.constantI32(0));
}

int64_t RouteEmitter::blockTokens() const {
  int64_t block = llvm::alignTo(std::max<int64_t>(kTaskSteps / experts, 1), lanes);
  return std::max<int64_t>(block,
                           llvm::alignTo(llvm::divideCeil(tokens * experts * 8, kMostCountBytes), lanes));
}

std::pair<Value, Value> RouteEmitter::blockRange(Emitter &e, const Task &task) {
  Value begin = e.mul(task.index, blockTokens());
  return {begin, e.min(e.add(begin, blockTokens()), e.constant(tokens))};
}

Value RouteEmitter::rowCounts(Emitter &e, const Task &task, Value number) {
  return e.offset(task.workspace, e.mul(number, experts));
}

Value RouteEmitter::validCounts(Emitter &e, const Task &task, Value number) {
  return e.offset(task.workspace, e.add(e.mul(number, experts), blocks() * experts));
}

void RouteEmitter::emitChoice(Emitter &e, const Task &task, Value first) {
  unsigned gates = op.getNumInputs();
  LaneIndex token = LaneIndex::consecutive(lanes, first, lanes);
  LaneMask mask = tokens % lanes ? LaneMask::below(e.sub(e.constant(tokens), first)) : LaneMask();
  SmallVector<Value> chosen = select(e, task, token, mask), scores;
  Value sum;
  for (auto [k, expert] : llvm::enumerate(chosen)) {
    LaneIndex table = LaneIndex::constant(lanes, 0);
    table.base = e.mul(first, topK);
    table.divisor = 1;
    for (int64_t lane = 0; lane < lanes; ++lane)
      table.pattern[lane] = lane * topK + k;
    storeLanes(e, expert, routing(task), table, mask);
    LaneIndex owner = zero();
    owner.varying = expert;
    scores.push_back(loadLanes(e, task.operands[0], at(e, 0, token, owner, zero()), e.f32(), mask));
    sum = sum ? e.addf(sum, scores.back()) : scores.back();
  }
  Value divisor = e.addf(sum, e.splat(1e-20f));
  Value scale = e.splat(anchor.getScale().getValueAsDouble());
  for (auto [k, value] : llvm::enumerate(scores)) {
    Value gate = e.mulf(anchor.getNormalize() ? e.divf(value, divisor) : value, scale);
    storeLanes(e, gate, task.operands[gates], at(e, gates, token, zero(), LaneIndex::constant(lanes, k)),
               mask);
  }
}

void RouteEmitter::emitBlockCounts(Emitter &e, const Task &task, Value begin, Value end) {
  Value counts = rowCounts(e, task, task.index), valids = validCounts(e, task, task.index);
  e.forLoop(e.constant(0), e.constant(experts), 1, [&](Value expert) {
    e.store(e.constantI32(0), e.offset(counts, expert));
    e.store(e.constantI32(0), e.offset(valids, expert));
  });
  e.forLoop(begin, end, 1, [&](Value token) {
    Value valid = isValid(e, task, token);
    Value one = valid ? e.select(valid, e.constantI32(1), e.constantI32(0)) : e.constantI32(1);
    Value row = e.mul(token, topK);
    e.forLoop(row, e.add(row, topK), 1, [&](Value i) {
      Value expert = e.toI64(e.loadI32(e.offset(routing(task), i)));
      Value count = e.offset(counts, expert), validCount = e.offset(valids, expert);
      e.store(e.add(e.loadI32(count), e.constantI32(1)), count);
      e.store(e.add(e.loadI32(validCount), one), validCount);
    });
  });
}

void RouteEmitter::emitFirstPositions(Emitter &e, const Task &task) {
  unsigned load = op.getNumInputs() + 2;
  Value offsets = e.offset(routing(task), 3 * rows());
  auto sumBlocks = [&](Value expert, Value before) {
    return e.forLoop(e.constant(0), e.constant(blocks()), 1, {before, e.constantI32(0)},
                     [&](Value number, ValueRange sums) {
                       Value count = e.offset(rowCounts(e, task, number), expert);
                       Value here = e.loadI32(count);
                       e.store(sums[0], count);
                       Value valid = e.loadI32(e.offset(validCounts(e, task, number), expert));
                       return SmallVector<Value>{e.add(sums[0], here), e.add(sums[1], valid)};
                     });
  };
  SmallVector<Value> total = e.forLoop(e.constant(0), e.constant(experts), 1, ValueRange(e.constantI32(0)),
                                       [&](Value expert, ValueRange before) {
                                         e.store(before[0], e.offset(offsets, expert));
                                         SmallVector<Value> after = sumBlocks(expert, before[0]);
                                         LaneIndex index =
                                             at(e, load, zero(), LaneIndex::uniform(lanes, expert), zero());
                                         e.store(arith::SIToFPOp::create(e.builder, e.loc, e.f32(), after[1]),
                                                 uniformAddress(e, task.operands[load], index));
                                         return SmallVector<Value>{after[0]};
                                       });
  e.store(total[0], e.offset(offsets, experts));
}

void RouteEmitter::emitNumbers(Emitter &e, const Task &task) {
  auto [begin, end] = blockRange(e, task);
  Value table = routing(task), next = rowCounts(e, task, task.index);
  e.forLoop(e.mul(begin, topK), e.mul(end, topK), 1, [&](Value i) {
    Value slot = e.offset(next, e.toI64(e.loadI32(e.offset(table, i))));
    Value row = e.loadI32(slot);
    e.store(e.add(row, e.constantI32(1)), slot);
    e.store(row, e.offset(table, e.add(i, rows())));
    e.store(e.toI32(i), e.offset(table, e.add(e.toI64(row), 2 * rows())));
  });
}

LogicalResult RouteEmitter::emitRouting() {
  if (failed(kernel.requestWorkspace(blocks() * experts * 8)))
    return failure();
  LogicalResult emitted = kernel.parallel(blocks(), selectionBytes(), [&](Emitter &e, const Task &task) {
    auto [begin, end] = blockRange(e, task);
    e.forLoop(begin, end, lanes, [&](Value first) { emitChoice(e, task, first); });
    emitBlockCounts(e, task, begin, end);
    return success();
  });
  if (failed(emitted))
    return failure();
  emitted = kernel.parallel(1, 0, [&](Emitter &e, const Task &task) {
    emitFirstPositions(e, task);
    return success();
  });
  if (failed(emitted))
    return failure();
  return kernel.parallel(blocks(), 0, [&](Emitter &e, const Task &task) {
    emitNumbers(e, task);
    return success();
  });
}

LogicalResult RouteEmitter::emitCounts() {
  int64_t seq = anchor.getCountsSeq();
  unsigned counts = op.getNumInputs();
  int64_t chosenOffset = selectionBytes() / 4;
  return kernel.parallel(
      tokens / seq, selectionBytes() + topK * lanes * 4, [&](Emitter &e, const Task &task) {
        Value begin = e.mul(task.index, seq);
        auto count = [&](Value expert) {
          LaneIndex index =
              at(e, counts, LaneIndex::uniform(lanes, begin, seq), LaneIndex::uniform(lanes, expert), zero());
          return uniformAddress(e, task.operands[counts], index);
        };
        e.forLoop(e.constant(0), e.constant(experts), 1,
                  [&](Value expert) { e.store(e.constantF32(0), count(expert)); });
        e.forLoop(e.constant(0), e.constant(seq), lanes, [&](Value position) {
          Value first = e.add(begin, position), remaining = e.sub(e.constant(seq), position);
          LaneIndex token = LaneIndex::consecutive(lanes, first, 1);
          LaneMask mask = seq % lanes ? LaneMask::below(remaining) : LaneMask();
          Value chosen = e.offset(task.scratch, chosenOffset);
          for (auto [k, expert] : llvm::enumerate(select(e, task, token, mask)))
            e.store(expert, e.offset(chosen, k * lanes), 4 * lanes);
          e.forLoop(e.constant(0), e.min(remaining, e.constant(lanes)), 1, [&](Value lane) {
            Value valid = isValid(e, task, e.add(first, lane));
            Value one = valid ? e.select(valid, e.constantF32(1), e.constantF32(0)) : e.constantF32(1);
            e.forLoop(e.constant(0), e.constant(topK), 1, [&](Value k) {
              Value expert = e.toI64(e.loadI32(e.offset(chosen, e.add(e.mul(k, lanes), lane))));
              Value address = count(expert);
              e.store(e.addf(e.loadF32(address), one), address);
            });
          });
        });
        return success();
      });
}

} // namespace

LogicalResult emitRoute(KernelEmission &kernel) {
  auto anchor = llvm::cast<nn::RouteAnchorAttr>(kernel.op.getAnchor());
  if (kernel.op.getDomain().size() != 3)
    return kernel.op.emitError() << "kernel '" << kernel.op.getLabel() << "' routes over a domain with "
                                 << kernel.op.getDomain().size() << " dimensions, expected 3";
  RouteEmitter emitter(kernel, anchor);
  if (failed(emitter.verify()))
    return failure();
  return anchor.getCountsSeq() ? emitter.emitCounts() : emitter.emitRouting();
}

} // namespace contraflow::cpu
