//===- Features.cpp - does this processor run that code? ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Features.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

namespace contraflow::device {

namespace {

std::string withoutPunctuation(const std::string &name) {
  std::string result;
  for (char c : name)
    if (c != '_' && c != '-' && c != '.' && c != '+')
      result += c;
  return result;
}

/// Extensions that every kernel lists in /proc/cpuinfo when the processor has them. Newer ones may be missing
/// there, so that they cannot be judged.
constexpr std::string_view kJudged[] = {
    "sse41",      "sse42",       "avx",      "avx2",       "fma",          "f16c",
    "avx512f",    "avx512cd",    "avx512bw", "avx512dq",   "avx512vl",     "avx512ifma",
    "avx512vbmi", "avx512vbmi2", "avx512er", "avx512vnni", "avx512bitalg", "avx512vpopcntdq",
    "avx512bf16", "avx512fp16",  "avxvnni",  "amxtile",    "amxint8",      "amxbf16"};

bool isJudged(const std::string &name) {
  return std::find(std::begin(kJudged), std::end(kJudged), name) != std::end(kJudged);
}

} // namespace

std::vector<std::string> missingFeatures(const std::vector<std::string> &wanted, const std::string &flags) {
  std::set<std::string> present;
  std::istringstream words(flags);
  for (std::string word; words >> word;)
    present.insert(withoutPunctuation(word));
  std::vector<std::string> missing;
  for (const std::string &name : wanted) {
    std::string plain = withoutPunctuation(name);
    if (isJudged(plain) && !present.contains(plain))
      missing.push_back(name);
  }
  return missing;
}

void requireFeatures(const std::vector<std::string> &wanted) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags"))
      continue;
    std::vector<std::string> missing = missingFeatures(wanted, line);
    if (missing.empty())
      return;
    std::string names;
    for (const std::string &name : missing)
      names += (names.empty() ? "" : ", ") + name;
    throw base::Error(base::message<base::ErrorId::InstructionsMissing>(names));
  }
  // Not an x86 processor: the dynamic loader has the last word.
}

} // namespace contraflow::device
