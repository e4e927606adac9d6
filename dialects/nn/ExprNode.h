//===- ExprNode.h - what an expression is made of -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_EXPRNODE_H
#define CONTRAFLOW_DIALECTS_NN_EXPRNODE_H

#include "dialects/nn/Expr.h"

namespace contraflow::nn {

/// `op` is a literal kind ("int", "float", "string", "name"), an operator, "neg", "not", or "call".
struct Expr::Node {
  std::string op;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<Expr> operands;
};

/// Why an expression has no value whatever its names stand for, as far as literals and calls show it.
std::optional<std::string> getWrittenError(const Expr &expr);

inline llvm::Error fail(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

} // namespace contraflow::nn

#endif
