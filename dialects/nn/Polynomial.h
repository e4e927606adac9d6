//===- Polynomial.h - the normal form of dimensions -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_POLYNOMIAL_H
#define CONTRAFLOW_DIALECTS_NN_POLYNOMIAL_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace contraflow::nn {

/// An integer polynomial in normal form: sorted factors of a term -> coefficient. No zero coefficients.
using Polynomial = std::map<std::vector<std::string>, int64_t>;

/// False where the coefficient overflows.
bool addTerm(Polynomial &sum, const std::vector<std::string> &factors, int64_t coefficient);
/// Nothing where a coefficient overflows, or where there are more terms than a dimension can have.
std::optional<Polynomial> multiply(const Polynomial &lhs, const Polynomial &rhs);
/// The polynomial whose product with `divisor` is `dividend`, if there is one.
std::optional<Polynomial> divide(Polynomial dividend, const Polynomial &divisor);

/// Canonical text.
std::string print(const Polynomial &polynomial);

} // namespace contraflow::nn

#endif
