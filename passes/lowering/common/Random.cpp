//===- Random.cpp - random numbers from keys and counters -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lowering/common/Random.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace contraflow::lowering {

Value emitWord(OpBuilder &builder, Value like, uint32_t number) {
  Type type = like.getType();
  TypedAttr attr = builder.getI32IntegerAttr(static_cast<int32_t>(number));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(builder, like.getLoc(), attr);
}

RandomWords emitPhilox(OpBuilder &builder, Location loc, Value key0, Value key1, RandomWords x) {
  auto word = [&](uint32_t number) { return emitWord(builder, key0, number); };
  auto exclusiveOr = [&](Value a, Value b, Value c) -> Value {
    return arith::XOrIOp::create(builder, loc, arith::XOrIOp::create(builder, loc, a, b), c);
  };
  Value factor0 = word(0xD2511F53), factor1 = word(0xCD9E8D57);
  Value step0 = word(0x9E3779B9), step1 = word(0xBB67AE85);
  for (int round = 0; round < 10; ++round) {
    auto product0 = arith::MulUIExtendedOp::create(builder, loc, x[0], factor0);
    auto product1 = arith::MulUIExtendedOp::create(builder, loc, x[2], factor1);
    x = {exclusiveOr(product1.getHigh(), x[1], key0), product1.getLow(),
         exclusiveOr(product0.getHigh(), x[3], key1), product0.getLow()};
    key0 = arith::AddIOp::create(builder, loc, key0, step0);
    key1 = arith::AddIOp::create(builder, loc, key1, step1);
  }
  return x;
}

Value emitKeep(OpBuilder &builder, Location loc, Value word, nn::DropAttr drop) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge, word,
                               emitWord(builder, word, drop.getThreshold()));
}

Value emitRandomKeep(OpBuilder &builder, Location loc, nn::RandomKeepOp op, ValueRange operands) {
  Value key0 = operands[0], key1 = operands[1], part = operands[2], row = operands[3], column = operands[4];
  auto word = [&](uint32_t number) { return emitWord(builder, row, number); };
  nn::DropAttr drop = op.getDrop();
  row = arith::AddIOp::create(
      builder, loc, arith::MulIOp::create(builder, loc, part, word(static_cast<uint32_t>(op.getRows()))),
      row);
  Value group = arith::ShRUIOp::create(builder, loc, row, word(2));
  RandomWords words = emitPhilox(builder, loc, key0, key1,
                                 {column, group, word(static_cast<uint32_t>(drop.getStream())), word(0)});
  // Word `row mod 4`, bit by bit.
  auto choose = [&](uint32_t bit, Value ifSet, Value otherwise) -> Value {
    Value isSet = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                        arith::AndIOp::create(builder, loc, row, word(bit)), word(0));
    return arith::SelectOp::create(builder, loc, isSet, ifSet, otherwise);
  };
  Value chosen = choose(2, choose(1, words[3], words[2]), choose(1, words[1], words[0]));
  return emitKeep(builder, loc, chosen, drop);
}

} // namespace contraflow::lowering
