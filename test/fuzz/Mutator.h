//===- Mutator.h - edits of text by words and lines -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_FUZZ_MUTATOR_H
#define CONTRAFLOW_TEST_FUZZ_MUTATOR_H

#include <string>
#include <string_view>

namespace contraflow::fuzz {

/// `text` with a word or a line replaced by another one of it, repeated, exchanged with its neighbour or
/// taken out, or with another number: edits that single bytes rarely make and a person does. The same text
/// for the same seed.
std::string mutateWords(std::string_view text, unsigned seed);

} // namespace contraflow::fuzz

#endif
