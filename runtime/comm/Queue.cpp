//===- Queue.cpp - the communication of one rank, beside its computing ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/Queue.h"
#include "runtime/base/Clock.h"

namespace contraflow::comm {

namespace {

/// The thread looks at the time this often, whatever happens.
constexpr int64_t kLongestRest = 20'000'000;
constexpr int64_t kLongIdle = 1 << 20;

} // namespace

Queue::Queue(MakeEngine makeEngine, const QueueOptions &options) : options(options), actions(kCapacity) {
  thread = std::thread([this, makeEngine = std::move(makeEngine)] { work(makeEngine); });
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return isReady || error; });
  if (isReady)
    return;
  lock.unlock();
  thread.join();
  std::rethrow_exception(error);
}

Queue::~Queue() {
  isStopping = true;
  engine->wake();
  if (thread.joinable())
    thread.join();
}

Ticket Queue::allReduce(const Label &label, const Group &group, Element element, const void *in, void *out,
                        int64_t count) {
  return start({Kind::AllReduce, element, label, &group, in, out, count, {}});
}

Ticket Queue::reduceScatter(const Label &label, const Group &group, Element element, const void *in,
                            void *part, int64_t count) {
  return start({Kind::ReduceScatter, element, label, &group, in, part, count, {}});
}

Ticket Queue::allGather(const Label &label, const Group &group, const void *part, void *all, int64_t bytes) {
  return start({Kind::AllGather, Element::F32, label, &group, part, all, bytes, {}});
}

Ticket Queue::allToAll(const Label &label, const Group &group, const void *in, void *out, int64_t bytes) {
  return start({Kind::AllToAll, Element::F32, label, &group, in, out, bytes, {}});
}

Ticket Queue::allToAllV(const Label &label, const Group &group, std::span<const Transfer> transfers) {
  return start({Kind::AllToAllV, Element::F32, label, &group, nullptr, nullptr, 0, transfers});
}

Ticket Queue::barrier(const Label &label, const Group &group) {
  return start({Kind::Barrier, Element::F32, label, &group, nullptr, nullptr, 0, {}});
}

Ticket Queue::start(const Action &action) {
  Ticket ticket;
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return started - done.load() < kCapacity || error; });
    if (error)
      std::rethrow_exception(error);
    actions[started % kCapacity] = action;
    ticket = ++started;
  }
  engine->wake();
  return ticket;
}

void Queue::wait(Ticket ticket) {
  if (isDone(ticket))
    return;
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return isDone(ticket) || error; });
  if (!isDone(ticket))
    std::rethrow_exception(error);
}

bool Queue::hasFailed() {
  std::lock_guard lock(mutex);
  return bool(error);
}

void Queue::setComputing(const Label &label, bool mayTakeLong) {
  int64_t now = base::nanoseconds();
  std::lock_guard lock(mutex);
  computing.set(label);
  computingSince = now;
  isComputing = true;
  isPatient = mayTakeLong;
}

void Queue::setProgress(const std::atomic<uint64_t> *counter) {
  std::lock_guard lock(mutex);
  progress = counter;
}

void Queue::fail(const std::string &message) {
  {
    std::lock_guard lock(mutex);
    complaint = message;
  }
  engine->wake();
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return bool(error); });
}

void Queue::abort(int status) {
  abortStatus = status;
  engine->wake();
  thread.join();
}

void Queue::setFailure(std::exception_ptr failure) {
  std::lock_guard lock(mutex);
  if (!error)
    error = std::move(failure);
  changed.notify_all();
}

void Queue::work(const MakeEngine &makeEngine) {
  try {
    engine = makeEngine();
    runner = std::make_unique<Runner>(*engine, options.link, options.segmentBytes, traffic);
    watch = std::make_unique<Watch>(*engine, options.watch, [this] { return getStatus(); });
    {
      std::lock_guard lock(mutex);
      isReady = true;
      computingSince = movedAt = base::nanoseconds();
      changed.notify_all();
    }
    loop();
  } catch (...) {
    setFailure(std::current_exception());
    while (engine && !isStopping && abortStatus < 0)
      engine->rest(kLongIdle, kLongestRest);
  }
  if (engine)
    engine->release();
  if (engine && abortStatus >= 0)
    engine->abort(abortStatus);
  else if (engine && !hasFailed())
    engine->finish();
}

bool Queue::takeAction() {
  if (isActive)
    return false;
  {
    std::lock_guard lock(mutex);
    if (error || taken == started)
      return false;
    current = actions[taken++ % kCapacity];
  }
  isActive = true;
  movedAt = 0;
  runner->begin(current);
  return true;
}

void Queue::finishAction() {
  isActive = false;
  finishedAt = base::nanoseconds();
  std::lock_guard lock(mutex);
  done.store(taken, std::memory_order_release);
  changed.notify_all();
}

/// Moves the current action, or the next one; whether anything moved.
bool Queue::advance() {
  if (!isActive && !takeAction())
    return false;
  bool moved = runner->step();
  if (moved || movedAt == 0)
    movedAt = base::nanoseconds();
  if (runner->isDone())
    finishAction();
  return moved;
}

int64_t Queue::getRestTime(int64_t now) const {
  int64_t busyUntil = isActive ? runner->getBusyUntil() : 0;
  return busyUntil ? std::clamp<int64_t>(busyUntil - now, 1, kLongestRest) : kLongestRest;
}

void Queue::loop() {
  int64_t idle = 0;
  while (!isStopping && abortStatus < 0) {
    bool moved = watch->serve();
    lookAtCaller(base::nanoseconds());
    if (!watch->getFailure().empty()) {
      if (!hasFailed()) {
        engine->release();
        setFailure(std::make_exception_ptr(StuckError(watch->getFailure())));
      }
    } else {
      moved |= advance();
    }
    int64_t now = base::nanoseconds();
    if (isActive && runner->getCurrent()) {
      if (runner->getBusyUntil())
        movedAt = now;
      watch->complain(movedAt, runner->getCurrent()->mismatch.peer >= 0);
    }
    idle = moved ? 0 : idle + 1;
    if (!moved)
      engine->rest(idle, getRestTime(now));
  }
}

/// What the thread that starts actions says and does.
void Queue::lookAtCaller(int64_t now) {
  std::lock_guard lock(mutex);
  if (!complaint.empty())
    watch->fail(complaint);
  uint64_t count = progress ? progress->load(std::memory_order_relaxed) : 0;
  if (count != progressSeen)
    progressedAt = now;
  progressSeen = count;
}

Status Queue::getStatus() {
  int64_t now = base::nanoseconds();
  Status status;
  {
    std::lock_guard lock(mutex);
    status.isComputing = isComputing;
    status.compute = computing;
    status.computeAge = now - computingSince;
    status.isPatient = isPatient;
    status.idleFor = now - std::max({computingSince, finishedAt, progressedAt});
  }
  status.isInAction = isActive;
  if (!isActive)
    return status;
  status.kind = current.kind;
  status.label.set(current.label);
  status.action = getHash(current);
  status.stillFor = now - movedAt;
  const Exchange *exchange = runner->getCurrent();
  if (!exchange)
    return status;
  for (const Peer &peer : exchange->peers)
    if ((!peer.isSent || !peer.isReceived) && status.peers < Status::kMostPeers)
      status.peer[status.peers++] = peer.rank;
  status.mismatch = exchange->mismatch;
  return status;
}

} // namespace contraflow::comm
