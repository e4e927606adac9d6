//===- FuseElementwise.cpp - merges kernels so that values cross memory once ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Notation: the producer writes value v through map f of its domain, the consumer reads it through map g of
// its own.
//
//   into the consumer   domain of the consumer;  the producer is seen through  f^-1 g
//   into the producer   domain of the producer;  the consumer is seen through  g^-1 f
//
// The merged kernel stands where the consumer stood, so every other use of what the producer wrote must come
// later, and nothing in between may write (tied) what the producer reads. Greedy, in program order, until
// nothing changes; a kernel is tried against the few kernels that feed it, so the cost is linear in practice.
// No cost model beyond the rules in the functions below.
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/fusion/AccessMap.h"
#include "passes/fusion/KernelParts.h"
#include "passes/fusion/Passes.h"

#define DEBUG_TYPE "fusion-fuse-elementwise"

namespace contraflow::fusion {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "passes/fusion/Passes.h.inc"
} // namespace contraflow::fusion

using namespace mlir;

namespace contraflow::fusion {
namespace {

//===----------------------------------------------------------------------===//
// Order of reads and writes
//===----------------------------------------------------------------------===//

/// Whether a kernel after `from` and before `to` writes into the memory of an input of `from`.
bool isInputWrittenBetween(nn::KernelOp from, Operation *to) {
  for (Value input : from.getInputs())
    for (OpOperand &use : input.getUses()) {
      auto writer = dyn_cast<nn::KernelOp>(use.getOwner());
      if (writer && isTiedInput(writer, use.getOperandNumber()) && from->isBeforeInBlock(writer) &&
          writer->isBeforeInBlock(to))
        return true;
    }
  return false;
}

/// Whether everything that uses results of `producer`, apart from `consumer`, comes after `consumer`.
bool areOtherUsesAfter(nn::KernelOp producer, nn::KernelOp consumer) {
  return llvm::all_of(producer->getUsers(),
                      [&](Operation *user) { return user == consumer || consumer->isBeforeInBlock(user); });
}

/// Consumer input `input` reads result `result` of the producer.
struct Read {
  unsigned input, result;
};

/// All reads of the producer's results; nothing where the consumer writes into one, gathers one, or gathers
/// by one.
std::optional<SmallVector<Read>> readsOf(nn::KernelOp consumer, nn::KernelOp producer,
                                         bool mayGather = false) {
  SmallVector<Read> reads;
  for (auto [i, input] : llvm::enumerate(consumer.getInputs())) {
    if (input.getDefiningOp() != producer)
      continue;
    if (isTiedInput(consumer, i) || isGatherSource(consumer, i) ||
        (!mayGather && !consumer.getGather(i).empty()))
      return std::nullopt;
    reads.push_back({static_cast<unsigned>(i), cast<OpResult>(input).getResultNumber()});
  }
  return reads;
}

SmallVector<int64_t> shapeOf(nn::KernelOp kernel, unsigned result) {
  return kernel.getResultType(result).getStaticShape();
}

/// The map from the domain of one kernel to that of the other under which each read meets its write, if
/// there is one for all reads: `f^-1 g` on the domain of the consumer, or `g^-1 f` on that of the producer.
/// Both exist only where every element is written once and read once, so that nothing is computed twice.
std::optional<AffineMap> alignment(nn::KernelOp producer, nn::KernelOp consumer, ArrayRef<Read> reads,
                                   bool onConsumer) {
  std::optional<AffineMap> change;
  for (auto [input, result] : reads) {
    SmallVector<int64_t> shape = shapeOf(producer, result);
    AffineMap f = producer.getResultMap(result), g = consumer.getInputMap(input);
    auto fInverse = invert(f, producer.getDomain(), shape), gInverse = invert(g, consumer.getDomain(), shape);
    if (!fInverse || !gInverse)
      return std::nullopt;
    AffineMap map = onConsumer ? compose(*fInverse, g, consumer.getDomain())
                               : compose(*gInverse, f, producer.getDomain());
    if (change && *change != map)
      return std::nullopt;
    change = map;
  }
  return change;
}

bool isUsedOnlyBy(Value value, Operation *user) {
  return llvm::all_of(value.getUsers(), [&](Operation *op) { return op == user; });
}

/// The results of the producer that the merged kernel has to write too.
SmallVector<unsigned> resultsUsedElsewhere(nn::KernelOp producer, nn::KernelOp consumer) {
  SmallVector<unsigned> kept;
  for (OpResult result : producer->getResults())
    if (!isUsedOnlyBy(result, consumer))
      kept.push_back(result.getResultNumber());
  return kept;
}

SmallVector<unsigned> inputsOf(ArrayRef<Read> reads) {
  return llvm::map_to_vector(reads, [](const Read &read) { return read.input; });
}

/// What each input of the consumer is, where it is something that the producer yielded.
SmallVector<Value> valuesOf(nn::KernelOp consumer, ArrayRef<Read> reads, ArrayRef<Value> yielded) {
  SmallVector<Value> values(consumer.getNumInputs());
  for (auto [input, result] : reads)
    values[input] = yielded[result];
  return values;
}

AffineMap identity(nn::KernelOp kernel) {
  return AffineMap::getMultiDimIdentityMap(kernel.getDomain().size(), kernel.getContext());
}

std::string joinedLabel(nn::KernelOp producer, nn::KernelOp consumer) {
  std::string label = producer.getLabel().str() + "+" + consumer.getLabel().str();
  return label.size() <= 80 ? label : producer.getLabel().str() + "+...";
}

//===----------------------------------------------------------------------===//
// Rows kernels
//===----------------------------------------------------------------------===//

class Fuser {
public:
  Fuser(func::FuncOp function, int64_t minSharedElements)
      : body(function.getBody().front()), minSharedElements(minSharedElements) {}

  void run();

  int64_t numIntoConsumer = 0, numIntoProducer = 0, numSiblings = 0, numViews = 0, numAccumulations = 0,
          bytesSaved = 0;

private:
  void fuseUntilNothingChanges();
  nn::KernelOp tryAll(nn::KernelOp consumer);
  nn::KernelOp tryIntoConsumer(nn::KernelOp producer, nn::KernelOp consumer);
  nn::KernelOp tryMoveIntoConsumer(nn::KernelOp producer, nn::KernelOp consumer);
  nn::KernelOp tryIntoProducer(nn::KernelOp producer, nn::KernelOp consumer);
  nn::KernelOp tryViewOfAnchor(nn::KernelOp producer, nn::KernelOp consumer);
  nn::KernelOp tryWriteInPlace(nn::KernelOp producer, nn::KernelOp consumer, unsigned result);
  nn::KernelOp tryAccumulate(nn::KernelOp producer, nn::KernelOp consumer);
  nn::KernelOp trySibling(nn::KernelOp kernel);
  void replace(nn::KernelOp producer, nn::KernelOp consumer, nn::KernelOp merged,
               ArrayRef<unsigned> keptResults);
  void countBytes(nn::KernelOp producer, nn::KernelOp consumer);

  Block &body;
  int64_t minSharedElements;
};

/// A value that the consumer no longer reads, and that nobody writes where it was its only user.
void Fuser::countBytes(nn::KernelOp producer, nn::KernelOp consumer) {
  for (Value value : producer->getResults())
    if (llvm::is_contained(value.getUsers(), consumer.getOperation()))
      bytesSaved +=
          cast<nn::TensorType>(value.getType()).getNumBytes() * (isUsedOnlyBy(value, consumer) ? 2 : 1);
}

/// The merged kernel has the kept results of the producer, then those of the consumer.
void Fuser::replace(nn::KernelOp producer, nn::KernelOp consumer, nn::KernelOp merged,
                    ArrayRef<unsigned> keptResults) {
  countBytes(producer, consumer);
  for (auto [i, result] : llvm::enumerate(keptResults))
    producer.getResult(result).replaceAllUsesWith(merged.getResult(i));
  for (auto [i, result] : llvm::enumerate(consumer->getResults()))
    result.replaceAllUsesWith(merged.getResult(keptResults.size() + i));
  consumer.erase();
  if (producer->use_empty())
    producer.erase();
}

/// Before: %v = pointwise(...); %y = rows(%v, ...)       After: %v, %y = rows(...)   or   %y = rows(...)
nn::KernelOp Fuser::tryIntoConsumer(nn::KernelOp producer, nn::KernelOp consumer) {
  bool isRowsConsumer = isRows(consumer);
  if (!isPointwise(producer) || hasTiedResult(producer) ||
      (!isRowsConsumer && !isa<nn::ColumnReduceAnchorAttr>(consumer.getAnchor())))
    return {};
  // With reductions the region runs several times per row.
  if (isRowsConsumer && !isPointwise(consumer) && (isExpensive(producer) || producer.getNumInputs() > 4))
    return {};
  std::optional<SmallVector<Read>> reads = readsOf(consumer, producer);
  if (!reads || !areOtherUsesAfter(producer, consumer) || isInputWrittenBetween(producer, consumer))
    return {};
  std::optional<AffineMap> change = alignment(producer, consumer, *reads, /*onConsumer=*/true);
  if (!change)
    return {};
  KernelParts parts(consumer.getLoc(), consumer.getAnchor(), consumer.getDomain());
  SmallVector<int64_t> fromProducer = parts.addInputs(producer, *change, {});
  SmallVector<int64_t> fromConsumer = parts.addInputs(consumer, identity(consumer), {}, inputsOf(*reads));
  SmallVector<Value> yielded = parts.addBody(producer, *change, fromProducer);
  SmallVector<Value> final =
      parts.addBody(consumer, identity(consumer), fromConsumer, valuesOf(consumer, *reads, yielded));
  SmallVector<unsigned> kept = resultsUsedElsewhere(producer, consumer);
  // column_reduce adds to its results; it cannot also write one.
  if (!kept.empty() && !isRowsConsumer)
    return {};
  for (unsigned i : kept) {
    // What is still written is written once.
    if (!invert(producer.getResultMap(i), producer.getDomain(), shapeOf(producer, i)))
      return {};
    parts.addResult(producer, i, *change, fromProducer, yielded[i]);
  }
  for (unsigned i = 0; i < consumer->getNumResults(); ++i)
    parts.addResult(consumer, i, identity(consumer), fromConsumer, final[i]);
  if (!parts.isLegal())
    return {};
  OpBuilder builder(consumer);
  nn::KernelOp merged = parts.build(builder, joinedLabel(producer, consumer));
  replace(producer, consumer, merged, kept);
  ++numIntoConsumer;
  return merged;
}

/// Before: %v = move(%x); %y = rows(%v, %v, ...)       After: %y = rows(%x, %x, ...)
/// Moving costs nothing, so maps and number of the reads do not matter. A gathered read of zero stays zero.
nn::KernelOp Fuser::tryMoveIntoConsumer(nn::KernelOp producer, nn::KernelOp consumer) {
  std::optional<unsigned> moved = getMovedInput(producer);
  if (!moved || hasTiedResult(producer))
    return {};
  if (!isRows(consumer) && !isa<nn::ColumnReduceAnchorAttr>(consumer.getAnchor()))
    return {};
  // A gather is done once, and not through another one: doing it for every user would read its indices again.
  bool isGather = !producer.getGather(*moved).empty();
  std::optional<SmallVector<Read>> reads = readsOf(consumer, producer, /*mayGather=*/!isGather);
  auto inverse = invert(producer.getResultMap(0), producer.getDomain(), shapeOf(producer, 0));
  if (!reads || !inverse || (isGather && !producer.getResult(0).hasOneUse()) ||
      isInputWrittenBetween(producer, consumer))
    return {};
  KernelParts parts(consumer.getLoc(), consumer.getAnchor(), consumer.getDomain());
  SmallVector<int64_t> numbers = parts.addInputs(consumer, identity(consumer), {}, inputsOf(*reads));
  for (unsigned input : inputsOf(*reads)) {
    SmallVector<int64_t> gather = consumer.getGather(input);
    for (int64_t &source : gather)
      source = numbers[source];
    AffineMap change = compose(*inverse, consumer.getInputMap(input), consumer.getDomain());
    numbers[input] = parts.addInputs(producer, change, gather)[*moved];
  }
  SmallVector<Value> yielded = parts.addBody(consumer, identity(consumer), numbers, {});
  for (unsigned i = 0; i < consumer->getNumResults(); ++i)
    parts.addResult(consumer, i, identity(consumer), numbers, yielded[i]);
  if (!parts.isLegal())
    return {};
  OpBuilder builder(consumer);
  nn::KernelOp merged = parts.build(builder, consumer.getLabel());
  replace(producer, consumer, merged, {});
  ++numIntoConsumer;
  return merged;
}

/// Before: %v = rows(...); %y = pointwise(%v, ...)       After: %v, %y = rows(...)   or   %y = rows(...)
nn::KernelOp Fuser::tryIntoProducer(nn::KernelOp producer, nn::KernelOp consumer) {
  if (!isRows(producer) || hasTiedResult(producer) || !isPointwise(consumer))
    return {};
  std::optional<SmallVector<Read>> reads = readsOf(consumer, producer);
  if (!reads || !areOtherUsesAfter(producer, consumer) || isInputWrittenBetween(producer, consumer))
    return {};
  std::optional<AffineMap> change = alignment(producer, consumer, *reads, /*onConsumer=*/false);
  if (!change)
    return {};
  KernelParts parts(consumer.getLoc(), producer.getAnchor(), producer.getDomain());
  SmallVector<int64_t> fromProducer = parts.addInputs(producer, identity(producer), {});
  SmallVector<int64_t> fromConsumer = parts.addInputs(consumer, *change, {}, inputsOf(*reads));
  SmallVector<Value> yielded = parts.addBody(producer, identity(producer), fromProducer);
  SmallVector<Value> final =
      parts.addBody(consumer, *change, fromConsumer, valuesOf(consumer, *reads, yielded));
  SmallVector<unsigned> kept = resultsUsedElsewhere(producer, consumer);
  for (unsigned i : kept)
    parts.addResult(producer, i, identity(producer), fromProducer, yielded[i]);
  for (unsigned i = 0; i < consumer->getNumResults(); ++i) {
    // One write per element, as the domain of the consumer had it.
    if (!consumer.getGather(consumer.getNumInputs() + i).empty() ||
        !isInjective(compose(consumer.getResultMap(i), *change, producer.getDomain()), producer.getDomain()))
      return {};
    parts.addResult(consumer, i, *change, fromConsumer, final[i]);
  }
  if (!parts.isLegal())
    return {};
  OpBuilder builder(consumer);
  nn::KernelOp merged = parts.build(builder, joinedLabel(producer, consumer));
  replace(producer, consumer, merged, kept);
  ++numIntoProducer;
  return merged;
}

/// Whether both kernels read one and the same tensor of `elements` or more through the same map.
bool shareInput(nn::KernelOp first, nn::KernelOp second, int64_t elements) {
  for (auto [i, input] : llvm::enumerate(first.getInputs()))
    for (auto [j, other] : llvm::enumerate(second.getInputs()))
      if (input == other && first.getInputMap(i) == second.getInputMap(j) && first.getGather(i).empty() &&
          second.getGather(j).empty() && cast<nn::TensorType>(input.getType()).getNumElements() >= elements)
        return true;
  return false;
}

/// Before: %y = rows(%x, ...); ...; %z = rows(%x, ...)       After: %y, %z = rows(%x, ...)
/// The second kernel moves up to an earlier one that runs over the same points and reads the same tensor.
nn::KernelOp Fuser::trySibling(nn::KernelOp kernel) {
  if (!isRows(kernel) || hasTiedResult(kernel))
    return {};
  for (Value input : kernel.getInputs())
    for (Operation *user : input.getUsers()) {
      auto sibling = dyn_cast<nn::KernelOp>(user);
      if (!sibling || sibling == kernel || !isRows(sibling) || hasTiedResult(sibling) ||
          sibling.getDomain() != kernel.getDomain() || !sibling->isBeforeInBlock(kernel) ||
          !shareInput(sibling, kernel, minSharedElements))
        continue;
      auto isDefinedBefore = [&](Value value) {
        Operation *op = value.getDefiningOp();
        return !op || op->isBeforeInBlock(sibling);
      };
      if (!llvm::all_of(kernel.getInputs(), isDefinedBefore))
        continue;
      KernelParts parts(sibling.getLoc(), sibling.getAnchor(), sibling.getDomain());
      SmallVector<nn::KernelOp> both{sibling, kernel};
      for (nn::KernelOp part : both) {
        SmallVector<int64_t> numbers = parts.addInputs(part, identity(part), {});
        SmallVector<Value> yielded = parts.addBody(part, identity(part), numbers);
        for (unsigned i = 0; i < part->getNumResults(); ++i)
          parts.addResult(part, i, identity(part), numbers, yielded[i]);
      }
      if (!parts.isLegal())
        continue;
      OpBuilder builder(sibling);
      nn::KernelOp merged = parts.build(builder, joinedLabel(sibling, kernel));
      bytesSaved += cast<nn::TensorType>(input.getType()).getNumBytes();
      SmallVector<Value> results(merged->getResults());
      sibling->replaceAllUsesWith(ArrayRef(results).take_front(sibling->getNumResults()));
      kernel->replaceAllUsesWith(ArrayRef(results).drop_front(sibling->getNumResults()));
      sibling.erase();
      kernel.erase();
      ++numSiblings;
      return merged;
    }
  return {};
}

//===----------------------------------------------------------------------===//
// Matrix products and attention
//===----------------------------------------------------------------------===//

bool isProduct(nn::KernelOp kernel) {
  return isa<nn::MatmulAnchorAttr, nn::GroupedMatmulAnchorAttr>(kernel.getAnchor());
}

bool isProductOrAttention(nn::KernelOp kernel) {
  return isProduct(kernel) || isa<nn::AttentionAnchorAttr, nn::AttentionGradAnchorAttr>(kernel.getAnchor());
}

/// Before: %v = move(%x); %y = matmul(%v, %w)       After: %y = matmul(%x, %w) with another map
nn::KernelOp Fuser::tryViewOfAnchor(nn::KernelOp producer, nn::KernelOp consumer) {
  std::optional<unsigned> moved = getMovedInput(producer);
  if (!moved || hasTiedResult(producer) || !isProductOrAttention(consumer) ||
      !producer.getGather(*moved).empty() || isInputWrittenBetween(producer, consumer))
    return {};
  std::optional<SmallVector<Read>> reads = readsOf(consumer, producer);
  auto inverse = invert(producer.getResultMap(0), producer.getDomain(), shapeOf(producer, 0));
  if (!reads || !inverse)
    return {};
  SmallVector<Attribute> maps(consumer.getMaps().begin(), consumer.getMaps().end());
  for (unsigned input : inputsOf(*reads)) {
    AffineMap change = compose(*inverse, consumer.getInputMap(input), consumer.getDomain());
    AffineMap map = compose(producer.getInputMap(*moved), change, consumer.getDomain());
    if (!isStrided(map))
      return {};
    maps[input] = AffineMapAttr::get(map);
  }
  countBytes(producer, consumer);
  for (unsigned input : inputsOf(*reads))
    consumer->setOperand(input, producer.getInputs()[*moved]);
  consumer.setMapsAttr(ArrayAttr::get(consumer.getContext(), maps));
  if (producer->use_empty())
    producer.erase();
  ++numViews;
  return consumer;
}

/// Before: %v = matmul(...); %y = move(%v)       After: %y = matmul(...) with another map of its result
nn::KernelOp Fuser::tryWriteInPlace(nn::KernelOp producer, nn::KernelOp consumer, unsigned result) {
  Value value = producer.getResult(result);
  std::optional<unsigned> moved = getMovedInput(consumer);
  if (!moved || hasTiedResult(consumer) || consumer.getNumInputs() != 1 || !isProductOrAttention(producer) ||
      producer.getTied()[result] >= 0 || !value.hasOneUse())
    return {};
  auto inverse = invert(consumer.getInputMap(0), consumer.getDomain(),
                        cast<nn::TensorType>(value.getType()).getStaticShape());
  if (!inverse)
    return {};
  AffineMap change = compose(*inverse, producer.getResultMap(result), producer.getDomain());
  AffineMap map = compose(consumer.getResultMap(0), change, producer.getDomain());
  if (!isStrided(map))
    return {};
  SmallVector<Attribute> maps(producer.getMaps().begin(), producer.getMaps().end());
  maps[producer.getNumInputs() + result] = AffineMapAttr::get(map);
  producer.setMapsAttr(ArrayAttr::get(producer.getContext(), maps));
  countBytes(producer, consumer);
  value.setType(consumer.getResult(0).getType());
  consumer.getResult(0).replaceAllUsesWith(value);
  consumer.erase();
  ++numViews;
  return producer;
}

/// Before: %v = matmul(%a, %b); %y = %acc + %v       After: %y = matmul(%a, %b, %acc), written into %acc
/// acc is tied to the sum already, or nothing else reads it and a kernel of this function wrote it.
nn::KernelOp Fuser::tryAccumulate(nn::KernelOp producer, nn::KernelOp consumer) {
  std::optional<std::pair<unsigned, unsigned>> added = getAddedInputs(consumer);
  if (!added || producer->getNumResults() != 1)
    return {};
  Value value = producer.getResult(0);
  auto [accumulator, other] = *added;
  bool isTied = consumer.getTied()[0] >= 0;
  if (!isTied && consumer.getInputs()[other] != value)
    std::swap(accumulator, other);
  Value memory = consumer.getInputs()[accumulator];
  if (consumer.getInputs()[other] != value || !value.hasOneUse() || memory.getType() != value.getType())
    return {};
  if (!isTied && (!memory.hasOneUse() || !memory.getDefiningOp<nn::KernelOp>()))
    return {};
  // Same place in all three, everything covered.
  if (consumer.getInputMap(0) != consumer.getInputMap(1) ||
      consumer.getResultMap(0) != consumer.getInputMap(0) ||
      !invert(consumer.getResultMap(0), consumer.getDomain(),
              cast<nn::TensorType>(value.getType()).getStaticShape()))
    return {};
  if (isInputWrittenBetween(producer, consumer) || llvm::is_contained(producer.getInputs(), memory))
    return {};

  SmallVector<Value> inputs(producer.getInputs());
  SmallVector<Attribute> maps(producer.getMaps().begin(), producer.getMaps().end());
  SmallVector<Attribute> gathers(producer.getGathers().begin(), producer.getGathers().end());
  int64_t tied = producer.getTied()[0];
  if (isProduct(producer) && tied < 0) {
    tied = inputs.size();
    inputs.push_back(memory);
    maps.insert(maps.end() - 1, maps.back());
    gathers.insert(gathers.end() - 1, gathers.back());
  } else if (isa<nn::ColumnReduceAnchorAttr>(producer.getAnchor()) && isZeroFill(inputs[tied])) {
    inputs[tied] = memory;
  } else {
    return {};
  }
  OpBuilder builder(consumer);
  auto merged =
      nn::KernelOp::create(builder, producer.getLoc(), consumer->getResultTypes(), producer.getLabelAttr(),
                           producer.getAnchor(), producer.getDomainAttr(), inputs, builder.getArrayAttr(maps),
                           builder.getArrayAttr(gathers), builder.getDenseI64ArrayAttr({tied}));
  merged.getBody().takeBody(producer.getBody());
  countBytes(producer, consumer);
  consumer.getResult(0).replaceAllUsesWith(merged.getResult(0));
  consumer.erase();
  producer.erase();
  ++numAccumulations;
  return merged;
}

//===----------------------------------------------------------------------===//
// Driver
//===----------------------------------------------------------------------===//

/// The kernel that took the place of `consumer`, or null where no rewrite applies to it.
nn::KernelOp Fuser::tryAll(nn::KernelOp consumer) {
  for (Value input : consumer.getInputs()) {
    auto producer = input.getDefiningOp<nn::KernelOp>();
    if (!producer)
      continue;
    unsigned result = cast<OpResult>(input).getResultNumber();
    if (nn::KernelOp merged = tryAccumulate(producer, consumer))
      return merged;
    if (nn::KernelOp merged = tryMoveIntoConsumer(producer, consumer))
      return merged;
    if (nn::KernelOp merged = tryViewOfAnchor(producer, consumer))
      return merged;
    if (nn::KernelOp merged = tryWriteInPlace(producer, consumer, result))
      return merged;
    if (nn::KernelOp merged = tryIntoConsumer(producer, consumer))
      return merged;
    if (nn::KernelOp merged = tryIntoProducer(producer, consumer))
      return merged;
  }
  return {};
}

void Fuser::run() {
  // A consumer is worth more than a sibling: it saves a tensor, not only a read.
  fuseUntilNothingChanges();
  for (Operation *op = &body.front(); op;) {
    Operation *next = op->getNextNode();
    if (auto kernel = dyn_cast<nn::KernelOp>(op))
      trySibling(kernel);
    op = next;
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isa<nn::KernelOp, nn::ConstantTableOp>(op) && op.use_empty())
      op.erase();
}

void Fuser::fuseUntilNothingChanges() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (Operation *op = &body.front(); op;) {
      auto kernel = dyn_cast<nn::KernelOp>(op);
      nn::KernelOp merged = kernel ? tryAll(kernel) : nn::KernelOp();
      changed |= static_cast<bool>(merged);
      op = merged ? merged.getOperation() : op->getNextNode();
    }
  }
}

struct FuseElementwise : impl::FuseElementwisePassBase<FuseElementwise> {
  using FuseElementwisePassBase::FuseElementwisePassBase;

  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
    Fuser fuser(getOperation(), minSharedElements);
    fuser.run();
    numIntoConsumer += fuser.numIntoConsumer;
    numIntoProducer += fuser.numIntoProducer;
    numSiblings += fuser.numSiblings;
    numViews += fuser.numViews;
    numAccumulations += fuser.numAccumulations;
    numBytes += fuser.bytesSaved;
  }
};

} // namespace
} // namespace contraflow::fusion
