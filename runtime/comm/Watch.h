//===- Watch.h - who waits for whom when nothing moves --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A rank whose action does not move complains to the lowest rank that answers. That one asks all ranks what
// they do, follows who waits for whom to its end, prints one report, and tells it to all. A rank is stuck
// when it has done the same thing for so long, so one that computes slowly but moves on is none.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_COMM_WATCH_H
#define CONTRAFLOW_RUNTIME_COMM_WATCH_H

#include "runtime/comm/Action.h"
#include "runtime/comm/Engine.h"

#include <functional>
#include <optional>

namespace contraflow::comm {

/// A label that travels. Longer texts are cut.
struct LabelText {
  char op[64] = {};
  char layer[64] = {};
  char direction[24] = {};
  int32_t microBatch = -1;

  void set(const Label &label);
  Label get() const { return {op, layer, microBatch, direction}; }
};

/// What a rank does. Sent as it lies in memory; times are nanoseconds before now.
struct Status {
  static constexpr int kMostPeers = 32;

  int32_t isComputing = 0; ///< `compute` says what; else it has not said
  int32_t isPatient = 0;   ///< `compute` may take any time
  LabelText compute;
  int64_t computeAge = 0;
  int64_t idleFor = 0; ///< since it began to compute this, went on with it, or its last action was done

  int32_t isInAction = 0;
  Kind kind = Kind::Barrier;
  LabelText label;
  uint64_t action = 0;
  int64_t stillFor = 0; ///< since it moved last
  int32_t peers = 0;    ///< that it waits for
  int32_t peer[kMostPeers] = {};
  Mismatch mismatch;
};

/// What ranks that wait for each other come down to.
struct Verdict {
  std::vector<int> culprits; ///< those whom everyone waits for, or who differ from the others
  std::string message;       ///< empty: nobody is stuck for so long
};

/// Null where a rank did not answer. `stall` in nanoseconds.
Verdict judge(const std::vector<std::optional<Status>> &statuses, int64_t stall);

struct WatchOptions {
  /// An action that does not move for so long is stuck. The report comes within `stallSeconds` / 16 +
  /// 2.5 * `answerSeconds` after that.
  double stallSeconds = 4;
  /// A rank that does not answer within this is named as one that does not.
  double answerSeconds = 0.25;
  /// Called on one rank, before any rank ends.
  std::function<void(const std::string &)> report;
};

/// The part of a rank in this; called by the thread of its engine only.
class Watch {
public:
  using GetStatus = std::function<Status()>;

  Watch(Engine &engine, const WatchOptions &options, GetStatus getStatus);

  /// Answers others, and goes on with what it collects; whether anything came.
  bool serve();
  /// The action has not moved since `since`, or ranks disagree.
  void complain(int64_t since, bool isMismatch);
  /// What ends the run; empty while nothing does.
  const std::string &getFailure() const { return failure; }
  /// Ends the runs of all ranks.
  void fail(const std::string &message);

private:
  void take(const std::string &note);
  void collect(int64_t after);
  void ask();
  void rest();
  void conclude();

  enum class State { Quiet, Complained, Collecting };

  Engine &engine;
  WatchOptions options;
  GetStatus getStatus;
  State state = State::Quiet;
  int64_t until = 0; ///< the end of a state
  int64_t askAt = 0; ///< when to ask; 0: asked
  int64_t quietUntil = 0;
  int reporter = 0; ///< whom this rank complains to
  std::vector<std::optional<Status>> statuses;
  int answers = 0;
  std::string failure;
  std::string note;
};

} // namespace contraflow::comm

#endif
