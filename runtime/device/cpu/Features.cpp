//===- Features.cpp - does this processor run that code? ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/device/cpu/Features.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace contraflow::device {

namespace {

std::string withoutPunctuation(const std::string &name) {
  std::string result;
  for (char c : name)
    if (c != '_' && c != '-' && c != '.' && c != '+')
      result += c;
  return result;
}

bool isVectorExtension(const std::string &name) {
  for (const char *prefix : {"avx", "fma", "amx", "sse4", "f16c"})
    if (name.starts_with(prefix))
      return true;
  return false;
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
    if (isVectorExtension(plain) && !present.contains(plain))
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
    throw base::Error("this trainer was compiled for a processor with " + names +
                          ", which this machine lacks",
                      "compile it here, or with another target.isa in the run file");
  }
  // Not an x86 processor: the dynamic loader has the last word.
}

} // namespace contraflow::device
