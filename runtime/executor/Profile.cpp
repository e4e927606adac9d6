//===- Profile.cpp - where the time of a run goes -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/executor/Profile.h"
#include "runtime/executor/Object.h"

#include <algorithm>
#include <cstdio>

namespace contraflow::executor {

std::string Profile::print(const Object &object) const {
  struct Line {
    std::string name;
    Sum sum;
    /// Of a function: time that was spent in its regions, and what one call computes.
    int64_t parallel = 0;
    int64_t flops = 0;
  };
  std::vector<Line> byFunction, byRegion;
  int64_t total = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    byFunction.push_back({functions[i], rows[i], 0, flops[i]});
    total += rows[i].nanoseconds;
  }
  Line outside{"outside", {}};
  for (const auto &[key, sum] : regions) {
    auto [function, body] = key;
    if (function == kOutside) {
      outside.sum.add(sum.nanoseconds, sum.calls);
      continue;
    }
    std::string name = object.nameOf(reinterpret_cast<const void *>(body));
    byRegion.push_back({name.empty() ? functions[size_t(function)] + " (no symbol)" : name, sum});
    byFunction[size_t(function)].parallel += sum.nanoseconds;
  }
  byRegion.push_back(outside);
  total += outside.sum.nanoseconds;
  auto slowerFirst = [](const Line &a, const Line &b) {
    return a.sum.nanoseconds != b.sum.nanoseconds ? a.sum.nanoseconds > b.sum.nanoseconds : a.name < b.name;
  };
  std::sort(byFunction.begin(), byFunction.end(), slowerFirst);
  std::sort(byRegion.begin(), byRegion.end(), slowerFirst);

  std::string result;
  char buffer[512];
  auto print = [&](const char *title, const std::vector<Line> &lines, bool isFunction) {
    std::snprintf(buffer, sizeof(buffer), "%10s %6s %9s %12s%s  %s\n", "ms", "%", "calls", "us/call",
                  isFunction ? "  one thread %  Gflop/s" : "", title);
    result += buffer;
    for (const Line &line : lines) {
      if (line.sum.calls == 0)
        continue;
      double share = 100.0 * double(line.sum.nanoseconds) / double(std::max<int64_t>(total, 1));
      std::snprintf(buffer, sizeof(buffer), "%10.1f %6.2f %9lld %12.1f", double(line.sum.nanoseconds) * 1e-6,
                    share, static_cast<long long>(line.sum.calls),
                    double(line.sum.nanoseconds) * 1e-3 / double(line.sum.calls));
      result += buffer;
      if (isFunction) {
        double time = double(std::max<int64_t>(line.sum.nanoseconds, 1));
        double outside = double(line.sum.nanoseconds - line.parallel) / time;
        std::snprintf(buffer, sizeof(buffer), "  %12.1f %8.1f", 100.0 * outside,
                      double(line.flops) * double(line.sum.calls) / time);
        result += buffer;
      }
      result += "  " + line.name + "\n";
    }
  };
  print("function", byFunction, true);
  result += "\n";
  print("kernel", byRegion, false);
  return result;
}

} // namespace contraflow::executor
