//===- Profile.h - where the time of a run goes ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_EXECUTOR_PROFILE_H
#define CONTRAFLOW_RUNTIME_EXECUTOR_PROFILE_H

#include "runtime/device/cpu/Pool.h"

#include <map>
#include <string>
#include <vector>

namespace contraflow::executor {

class Object;

/// Adds up time by function and by parallel region. A region's name is that of its body in the object's
/// symbol table.
class Profile : public device::RegionObserver {
public:
  /// `flops`: of one call of each function, 0 where it computes nothing of the model.
  Profile(std::vector<std::string> functions, std::vector<int64_t> flops)
      : functions(std::move(functions)), flops(std::move(flops)), rows(this->functions.size()) {}

  /// Regions that end until end() belong to this function.
  void begin(int64_t function) { current = function; }
  void end(int64_t function, int64_t nanoseconds) {
    rows[size_t(function)].add(nanoseconds);
    current = kOutside;
  }
  void regionDone(cf_body body, int64_t nanoseconds) override { regions[{current, body}].add(nanoseconds); }

  /// Two tables, the most expensive first: functions (Gflop/s are those of the model's operations), then
  /// regions. Time of a function outside its regions ran on one thread. Regions of the runtime itself
  /// (initial parameters) are added up as "outside".
  std::string print(const Object &object) const;

private:
  struct Sum {
    int64_t calls = 0;
    int64_t nanoseconds = 0;
    void add(int64_t value, int64_t times = 1) {
      calls += times;
      nanoseconds += value;
    }
  };

  std::vector<std::string> functions;
  std::vector<int64_t> flops;
  std::vector<Sum> rows;
  std::map<std::pair<int64_t, cf_body>, Sum> regions;
  /// No function runs.
  static constexpr int64_t kOutside = -1;
  int64_t current = kOutside;
};

} // namespace contraflow::executor

#endif
