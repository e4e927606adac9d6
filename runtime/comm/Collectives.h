//===- Collectives.h - actions as exchanges -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sum is x0 + x1 + x2 + ... in the order of ranks, on the rank that owns the element: every element is
// summed once, so bits depend neither on the engine nor on who was faster. What is summed passes through two
// buffers of bounded size: segment s + 1 travels while segment s is summed.
//
//   reduce_scatter   segments, each an exchange and a sum
//   all_reduce       reduce_scatter, then an exchange of the sums
//   all others       one exchange
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_COMM_COLLECTIVES_H
#define CONTRAFLOW_RUNTIME_COMM_COLLECTIVES_H

#include "runtime/comm/Action.h"
#include "runtime/comm/Engine.h"

namespace contraflow::comm {

/// Makes links slower, for tests and to measure overlap: what an exchange sends or receives, whichever is
/// more, occupies the link for so long after what occupied it before.
struct Link {
  double latency = 0; ///< seconds
  double secondsPerByte = 0;
};

/// Runs one action at a time.
class Runner {
public:
  /// `segmentBytes` are the bytes of a part that travel in one exchange where sums are made.
  Runner(Engine &engine, const Link &link, int64_t segmentBytes, Traffic &traffic)
      : engine(engine), link(link), segmentBytes(segmentBytes), traffic(traffic) {}

  void begin(const Action &action);
  /// Moves the action forward without waiting; whether anything moved.
  bool step();
  bool isDone() const { return finished == total; }

  /// The exchange that the action waits for; null where it waits for none.
  const Exchange *getCurrent() const { return finished < posted ? &getFlight(finished).exchange : nullptr; }
  /// Until when the slowed link is busy with what the engine has done already, in nanoseconds; 0: it is not.
  int64_t getBusyUntil() const;

private:
  struct Flight {
    Exchange exchange;
    std::vector<Piece> pieces; ///< two for each member
    int64_t readyAt = 0;
    std::vector<char> scratch;
  };

  Flight &getFlight(int64_t round) { return flights[round % kExchanges]; }
  const Flight &getFlight(int64_t round) const { return flights[round % kExchanges]; }

  bool mayPost() const;
  void post(int64_t round);
  void addPeer(Flight &flight, int member, Pieces send, Pieces receive);
  void addPeer(Flight &flight, int member, Piece send, Piece receive);
  void addParts(Flight &flight, int64_t round);
  void addWhole(Flight &flight);
  void addGather(Flight &flight);
  void sum(int64_t round);
  Part getSegment(int member, int64_t round) const;
  bool sums(int64_t round) const { return round < segments; }

  Engine &engine;
  Link link;
  int64_t segmentBytes;
  Traffic &traffic;
  Action action;
  uint64_t hash = 0;
  int64_t segment = 0;  ///< elements of a part that travel in one exchange
  int64_t segments = 0; ///< exchanges whose data is summed
  int64_t total = 0, posted = 0, finished = 0;
  int64_t linkFreeAt = 0;
  Flight flights[kExchanges];
  std::vector<const char *> summands;
};

} // namespace contraflow::comm

#endif
