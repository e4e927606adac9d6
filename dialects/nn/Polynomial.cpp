//===- Polynomial.cpp - the normal form of dimensions ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/Polynomial.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace contraflow::nn {

bool addTerm(Polynomial &sum, const std::vector<std::string> &factors, int64_t coefficient) {
  auto it = sum.try_emplace(factors, 0).first;
  if (__builtin_add_overflow(it->second, coefficient, &it->second))
    return false;
  if (!it->second)
    sum.erase(it);
  return true;
}

/// A product of sums has as many terms as the product of their numbers, which a short text can make larger
/// than any memory.
constexpr size_t kMaxTerms = 1000;

std::optional<Polynomial> multiply(const Polynomial &lhs, const Polynomial &rhs) {
  Polynomial product;
  for (const auto &[leftFactors, leftCoefficient] : lhs)
    for (const auto &[rightFactors, rightCoefficient] : rhs) {
      std::vector<std::string> factors(leftFactors);
      factors.insert(factors.end(), rightFactors.begin(), rightFactors.end());
      std::sort(factors.begin(), factors.end());
      int64_t coefficient;
      if (__builtin_mul_overflow(leftCoefficient, rightCoefficient, &coefficient) ||
          !addTerm(product, factors, coefficient) || product.size() > kMaxTerms)
        return std::nullopt;
    }
  return product;
}

std::string print(const Polynomial &polynomial) {
  if (polynomial.empty())
    return "0";
  std::string text;
  // The constant term (no factors) sorts first and reads best last.
  std::vector<std::pair<std::vector<std::string>, int64_t>> terms(polynomial.begin(), polynomial.end());
  if (terms.front().first.empty())
    std::rotate(terms.begin(), terms.begin() + 1, terms.end());
  for (const auto &[factors, coefficient] : terms) {
    if (text.empty())
      text += coefficient < 0 ? "-" : "";
    else
      text += coefficient < 0 ? " - " : " + ";
    // Of the smallest integer too, which has no negative.
    uint64_t magnitude = coefficient < 0 ? 0 - static_cast<uint64_t>(coefficient) : coefficient;
    if (magnitude != 1 || factors.empty())
      text += std::to_string(magnitude) + (factors.empty() ? "" : "*");
    text += llvm::join(factors, "*");
  }
  return text;
}

namespace {

/// Terms by degree, then by their factors: an order that multiplying by a term keeps.
bool isBefore(const Polynomial::value_type &a, const Polynomial::value_type &b) {
  return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first;
}

} // namespace

std::optional<Polynomial> divide(Polynomial dividend, const Polynomial &divisor) {
  if (divisor.empty())
    return std::nullopt;
  const auto &[byFactors, byCoefficient] = *std::max_element(divisor.begin(), divisor.end(), isBefore);
  Polynomial quotient;
  // Long division: each step takes the leading term of what is left away.
  while (!dividend.empty()) {
    const auto &[factors, coefficient] = *std::max_element(dividend.begin(), dividend.end(), isBefore);
    // The smallest integer has no opposite.
    if (coefficient == std::numeric_limits<int64_t>::min() || coefficient % byCoefficient ||
        !std::includes(factors.begin(), factors.end(), byFactors.begin(), byFactors.end()))
      return std::nullopt;
    std::vector<std::string> left;
    std::set_difference(factors.begin(), factors.end(), byFactors.begin(), byFactors.end(),
                        std::back_inserter(left));
    int64_t times = coefficient / byCoefficient;
    std::optional<Polynomial> product = multiply(divisor, Polynomial{{left, -times}});
    if (!product || !addTerm(quotient, left, times))
      return std::nullopt;
    for (const auto &[productFactors, productCoefficient] : *product)
      if (!addTerm(dividend, productFactors, productCoefficient))
        return std::nullopt;
  }
  return quotient;
}

} // namespace contraflow::nn
