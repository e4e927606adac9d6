//===- NNRandom.cpp - operations that use random numbers in training ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"

#include <cmath>

using namespace mlir;

namespace contraflow::nn {

TensorType getRandomKeyType(MLIRContext *context) {
  return TensorType::get(context, ArrayRef<int64_t>{kRandomKeyWords}, IntegerType::get(context, 32));
}

uint32_t getDropThreshold(double p) {
  // The largest word is kept with any p below 1.
  return static_cast<uint32_t>(std::min(std::round(p * 0x1p32), 0x1p32 - 1));
}

bool DropoutOp::isRandom() { return getFloat(getP()) != 0; }

void DropoutOp::setRandom(Value key, int64_t stream) {
  getRandomMutable().assign(key);
  setStream(stream);
}

SmallVector<Value> DropoutOp::buildWithoutRandom(OpBuilder &) { return {getInput()}; }

bool AttentionOp::isRandom() { return getFloat(getDropout()) != 0; }

void AttentionOp::setRandom(Value key, int64_t stream) {
  getRandomMutable().assign(key);
  setStream(stream);
}

SmallVector<Value> AttentionOp::buildWithoutRandom(OpBuilder &builder) {
  auto same =
      AttentionOp::create(builder, getLoc(), getResultTypes(), getQuery(), getKey(), getValue(), getStarts(),
                          Value(), getCausalAttr(), getHeadsAttr(), getKvHeadsAttr(), getSeqAttr(),
                          getScaleAttr(), getFloatAttr(getContext(), 0.0), builder.getI64IntegerAttr(0));
  return llvm::to_vector_of<Value>(same.getResults());
}

} // namespace contraflow::nn
