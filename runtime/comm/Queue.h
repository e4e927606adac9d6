//===- Queue.h - the communication of one rank, beside its computing ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_COMM_QUEUE_H
#define CONTRAFLOW_RUNTIME_COMM_QUEUE_H

#include "runtime/base/Error.h"
#include "runtime/comm/Collectives.h"
#include "runtime/comm/Watch.h"

#include <exception>
#include <memory>
#include <thread>

namespace contraflow::comm {

/// Ranks wait for each other without end, or do not do the same. One of them has reported it already.
class StuckError : public base::Error {
public:
  using base::Error::Error;
};

struct QueueOptions {
  Link link;
  WatchOptions watch;
  /// What goes to a member at a time where sums are made, a multiple of 8; the same on all ranks. Of 8 ranks
  /// the two buffers of these fit a cache of the second level.
  int64_t segmentBytes = 128 << 10;
};

/// The number of an action; actions are done in the order of their numbers.
using Ticket = uint64_t;

/// A thread of its own makes the engine, runs one action after the other, and answers other ranks meanwhile.
///
/// One thread starts actions and waits for them. Memory that an action names, and the group, stay until it is
/// done, or until an error where ranks are threads; where they are processes, MPI may still write to it after
/// an error, until `abort`. Ranks of a group start the same actions in the same order. Nothing is allocated
/// for an action.
class Queue {
public:
  using MakeEngine = std::function<std::unique_ptr<Engine>()>;

  /// Throws what `makeEngine` throws.
  Queue(MakeEngine makeEngine, const QueueOptions &options = {});
  /// Ends the thread; what is not done stays so.
  ~Queue();
  Queue(const Queue &) = delete;
  Queue &operator=(const Queue &) = delete;

  int getRank() const { return engine->getRank(); }
  int getSize() const { return engine->getSize(); }
  const char *getName() const { return engine->getName(); }

  /// `data` becomes the sum over the group; `in` may be `out`.
  Ticket allReduce(const Label &label, const Group &group, Element element, const void *in, void *out,
                   int64_t count);
  /// `part` becomes this rank's Part of the sum of `in`. It may lie in `in` at its place.
  Ticket reduceScatter(const Label &label, const Group &group, Element element, const void *in, void *part,
                       int64_t count);
  /// `all` becomes the parts of all ranks; Part(bytes, ...) says where. `part` may lie in `all` at its place.
  Ticket allGather(const Label &label, const Group &group, const void *part, void *all, int64_t bytes);
  /// `bytes` from `in` to each member, `bytes` from each to `out`, in their order.
  Ticket allToAll(const Label &label, const Group &group, const void *in, void *out, int64_t bytes);
  /// Pieces to and from each member; the lists stay like the memory.
  Ticket allToAllV(const Label &label, const Group &group, std::span<const Transfer> transfers);
  Ticket barrier(const Label &label, const Group &group);

  bool isDone(Ticket ticket) const { return done.load(std::memory_order_acquire) >= ticket; }
  /// Returns when the action is done. Throws StuckError, or what the engine has thrown.
  void wait(Ticket ticket);

  /// Whether `wait` would throw for what is not done.
  bool hasFailed();

  /// What the calling thread computes from now on; told to other ranks when they wait for this one. It is
  /// stuck where it neither ends nor makes `progress` for long, unless it `mayTakeLong`, as what waits for a
  /// disk.
  void setComputing(const Label &label, bool mayTakeLong = false);
  /// A number that grows while this rank computes; it stays alive. For the thread that starts actions.
  void setProgress(const std::atomic<uint64_t> *progress);

  /// Ends the runs of all ranks: `wait` throws StuckError with this message on each.
  void fail(const std::string &message);

  const Traffic &getTraffic() const { return traffic; }
  /// Ends the processes of all ranks, where ranks are processes. After an error; does not return then.
  void abort(int status);

private:
  static constexpr size_t kCapacity = 256;

  Ticket start(const Action &action);
  void work(const MakeEngine &makeEngine);
  void loop();
  bool advance();
  bool takeAction();
  void finishAction();
  int64_t getRestTime(int64_t now) const;
  Status getStatus();
  void lookAtCaller(int64_t now);
  void setFailure(std::exception_ptr error);

  QueueOptions options;
  Traffic traffic;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Watch> watch;

  // Of the thread alone.
  Action current;
  bool isActive = false;
  int64_t movedAt = 0;
  int64_t finishedAt = 0;

  // Shared, under `mutex`. `done` is also read without.
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Action> actions;
  Ticket started = 0, taken = 0;
  std::atomic<Ticket> done{0};
  std::exception_ptr error;
  bool isReady = false;
  std::atomic<bool> isStopping{false};
  std::atomic<int> abortStatus{-1};
  bool isComputing = false, isPatient = false;
  LabelText computing;
  int64_t computingSince = 0, progressedAt = 0;
  const std::atomic<uint64_t> *progress = nullptr;
  uint64_t progressSeen = 0;
  std::string complaint; ///< of `fail`

  std::thread thread;
};

} // namespace contraflow::comm

#endif
