//===- MetricTags.cpp - the names under which numbers of a run are reported ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/MetricTags.h"

namespace contraflow::abi {

std::string getTag(const MetricInfo &info, const std::string &name) {
  size_t point = name.rfind('.');
  std::string last = point == std::string::npos ? name : name.substr(point + 1);
  std::string tag = info.prefix + last + info.suffix;
  return point == std::string::npos ? tag : tag + "/" + name.substr(0, point);
}

std::string getLossTag(const std::string &name) { return "losses/" + name; }

std::vector<std::string> getTags(MetricKind kind, const std::string &name) {
  switch (kind) {
  case MetricKind::Ratio:
    return {getTag(kRatio, name), getTag(kValidationRatio, name)};
  case MetricKind::Load:
    return {getTag(kLoad, name), getTag(kViolation, name)};
  case MetricKind::Mean:
    break;
  }
  return {getTag(kMean, name)};
}

} // namespace contraflow::abi
