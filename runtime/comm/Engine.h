//===- Engine.h - the one thing that ways of sending implement ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An engine carries exchanges and notes between the ranks of a run.
//
//   exchange   with each of some peers: a list of pieces that goes there, a list that comes from there. Both
//              sides know the sizes. A signature precedes what is sent, so that ranks that disagree find out
//              before a byte is written. Everything else (Collectives.h) is made of exchanges.
//   note       a few bytes to one rank at any time, which nobody has to expect: what ranks tell each other of
//              a stall (Watch.h).
//
// All functions but `wake` are called by one thread of the rank, the one that made the engine.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_COMM_ENGINE_H
#define CONTRAFLOW_RUNTIME_COMM_ENGINE_H

#include "runtime/comm/Piece.h"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace contraflow::comm {

/// What two ranks have to agree about before one writes what the other sends. Sent as it lies in memory.
struct Signature {
  uint64_t sequence = 0; ///< exchanges of this pair of ranks before this one
  uint64_t action = 0;   ///< hash of kind, group and label
  int64_t count = 0;     ///< of the whole action, where all ranks have the same
  int64_t round = 0;     ///< exchange within the action
  int64_t bytes = 0;     ///< that follow

  bool operator==(const Signature &) const = default;
};

/// The part of an exchange that concerns one other rank.
struct Peer {
  int rank = 0;
  Pieces send;
  Pieces receive;
  int64_t sendBytes = 0;
  int64_t receiveBytes = 0;
  // Set by the engine.
  uint64_t sequence = 0;
  bool isSent = false; ///< the memory of `send` may be written again
  bool isReceived = false;
};

/// What a peer announced in place of what was expected.
struct Mismatch {
  int peer = -1; ///< -1: none
  Signature expected;
  Signature found;
};

/// Exchanges of one rank that are in flight at a time.
constexpr int kExchanges = 2;

/// Lives until it is done. Its vector keeps its memory from one use to the next.
struct Exchange {
  std::vector<Peer> peers; ///< none is the rank itself
  uint64_t action = 0;
  int64_t count = 0;
  int64_t round = 0;
  // Set by the engine.
  int pending = 0;  ///< sends and receives that are not done
  int context = -1; ///< of the engine
  Mismatch mismatch;

  bool isDone() const { return pending == 0; }
  Signature getSent(const Peer &peer) const { return {peer.sequence, action, count, round, peer.sendBytes}; }
  Signature getExpected(const Peer &peer) const {
    return {peer.sequence, action, count, round, peer.receiveBytes};
  }
};

/// What a sleeping thread is woken by.
class Bell {
public:
  void ring();
  /// Returns when it was rung since the last `rest` returned, or after so many nanoseconds.
  void rest(int64_t nanoseconds);

private:
  std::mutex mutex;
  std::condition_variable condition;
  bool isRung = false;
};

class Engine {
public:
  /// Longest note.
  static constexpr size_t kNoteBytes = 16384;

  virtual ~Engine() = default;
  virtual const char *getName() const = 0;
  virtual int getRank() const = 0;
  virtual int getSize() const = 0;

  /// Begins an exchange. At most kExchanges are in flight; those with one peer match in the order of posting.
  virtual void post(Exchange &exchange) = 0;
  /// Moves an exchange forward without waiting; whether anything moved. A mismatch stops it.
  virtual bool poll(Exchange &exchange) = 0;

  /// Gives up what is in flight: where ranks share memory, no other rank reads this one's from now on.
  virtual void release() {}

  virtual void sendNote(int rank, std::string_view note) = 0;
  /// Takes a note that came, if one did.
  virtual bool takeNote(std::string &note) = 0;

  /// Sleeps while nothing happens, for `nanoseconds` at most. `idle`: calls since something happened. Engines
  /// that nobody wakes sleep shortly.
  virtual void rest(int64_t idle, int64_t nanoseconds) = 0;
  /// Ends `rest`. For any thread.
  void wake() { bell.ring(); }

  /// The last call, unless ranks are to be aborted. Waits for other ranks where the library does.
  virtual void finish() {}
  /// Ends the processes of all ranks, where ranks are processes.
  virtual void abort(int status) {}

protected:
  Bell bell;
};

} // namespace contraflow::comm

#endif
