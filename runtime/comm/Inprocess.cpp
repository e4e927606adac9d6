//===- Inprocess.cpp - ranks that are threads of one process --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For each ordered pair of ranks there are kExchanges slots, used in turn. The sender shows its pieces in a
// slot, the receiver copies them and says so, the sender empties the slot:
//
//   Empty -> Shown (by the sender) -> Taken (by the receiver) -> Empty (by the sender)
//
// While the receiver copies, the slot is Copying, so that a sender that gives up knows when nobody reads its
// memory any more.
//
//===----------------------------------------------------------------------===//
#include "runtime/comm/Inprocess.h"

#include <atomic>
#include <deque>
#include <thread>

namespace contraflow::comm {

namespace {

/// Bytes that are copied before other peers get their turn.
constexpr int64_t kChunk = 1 << 20;

enum class SlotState { Empty, Shown, Copying, Taken };

struct alignas(64) Slot {
  std::atomic<SlotState> state{SlotState::Empty};
  Signature signature;
  Pieces pieces;
};

/// Notes to a rank, and how to wake it.
struct Member {
  std::mutex mutex;
  std::deque<std::string> notes;
  Engine *engine = nullptr;
};

} // namespace

class World {
public:
  explicit World(int size) : size(size), slots(size_t(size * size * kExchanges)), members(size_t(size)) {}

  Slot &getSlot(int from, int to, uint64_t sequence) {
    return slots[size_t((from * size + to) * kExchanges) + sequence % kExchanges];
  }

  void setEngine(int rank, Engine *engine) {
    std::lock_guard lock(members[size_t(rank)].mutex);
    members[size_t(rank)].engine = engine;
  }

  void wake(int rank) {
    std::lock_guard lock(members[size_t(rank)].mutex);
    if (Engine *engine = members[size_t(rank)].engine)
      engine->wake();
  }

  void putNote(int rank, std::string_view note) {
    Member &member = members[size_t(rank)];
    std::lock_guard lock(member.mutex);
    member.notes.emplace_back(note);
    if (member.engine)
      member.engine->wake();
  }

  bool takeNote(int rank, std::string &note) {
    Member &member = members[size_t(rank)];
    std::lock_guard lock(member.mutex);
    if (member.notes.empty())
      return false;
    note = std::move(member.notes.front());
    member.notes.pop_front();
    return true;
  }

  const int size;

private:
  std::vector<Slot> slots;
  std::vector<Member> members;
};

namespace {

class InprocessEngine : public Engine {
public:
  InprocessEngine(std::shared_ptr<World> shared, int rank)
      : world(std::move(shared)), rank(rank), sequences(size_t(world->size)) {
    world->setEngine(rank, this);
  }
  ~InprocessEngine() override { world->setEngine(rank, nullptr); }

  const char *getName() const override { return "inprocess"; }
  int getRank() const override { return rank; }
  int getSize() const override { return world->size; }

  void post(Exchange &exchange) override;
  bool poll(Exchange &exchange) override;

  void release() override;
  void sendNote(int target, std::string_view note) override { world->putNote(target, note); }
  bool takeNote(std::string &note) override { return world->takeNote(rank, note); }
  void rest(int64_t, int64_t nanoseconds) override { bell.rest(nanoseconds); }

private:
  bool receive(Exchange &exchange, Peer &peer, Cursor &target, Cursor &source);
  bool finishSend(Exchange &exchange, Peer &peer);

  /// Where copying stands, per peer of an exchange.
  struct Context {
    std::vector<Cursor> targets;
    std::vector<Cursor> sources;
    bool isUsed = false;
  };

  std::shared_ptr<World> world;
  int rank;
  std::vector<uint64_t> sequences;
  Context contexts[kExchanges];
};

void InprocessEngine::post(Exchange &exchange) {
  exchange.context = contexts[0].isUsed ? 1 : 0;
  Context &context = contexts[exchange.context];
  context.isUsed = true;
  context.targets.resize(std::max(context.targets.size(), exchange.peers.size()));
  context.sources.resize(context.targets.size());
  exchange.pending = int(2 * exchange.peers.size());
  for (size_t i = 0; i < exchange.peers.size(); ++i) {
    Peer &peer = exchange.peers[i];
    peer.sequence = sequences[size_t(peer.rank)]++;
    peer.isSent = peer.isReceived = false;
    context.targets[i] = Cursor(peer.receive);
    Slot &slot = world->getSlot(rank, peer.rank, peer.sequence);
    slot.signature = exchange.getSent(peer);
    slot.pieces = peer.send;
    slot.state.store(SlotState::Shown, std::memory_order_release);
    world->wake(peer.rank);
  }
  context.isUsed = !exchange.isDone();
}

/// Copies a part of what a peer shows; whether there was anything.
bool InprocessEngine::receive(Exchange &exchange, Peer &peer, Cursor &target, Cursor &source) {
  Slot &slot = world->getSlot(peer.rank, rank, peer.sequence);
  SlotState state = SlotState::Shown;
  if (!slot.state.compare_exchange_strong(state, SlotState::Copying, std::memory_order_acquire))
    return false;
  Signature expected = exchange.getExpected(peer);
  if (slot.signature != expected) {
    if (exchange.mismatch.peer < 0)
      exchange.mismatch = {peer.rank, expected, slot.signature};
    slot.state.store(SlotState::Shown, std::memory_order_release);
    return false;
  }
  if (source.isAtEnd())
    source = Cursor(slot.pieces);
  source.copyTo(target, kChunk);
  if (!target.isAtEnd()) {
    slot.state.store(SlotState::Shown, std::memory_order_release);
    return true;
  }
  source = Cursor();
  slot.state.store(SlotState::Taken, std::memory_order_release);
  world->wake(peer.rank);
  peer.isReceived = true;
  --exchange.pending;
  return true;
}

bool InprocessEngine::finishSend(Exchange &exchange, Peer &peer) {
  Slot &slot = world->getSlot(rank, peer.rank, peer.sequence);
  if (slot.state.load(std::memory_order_acquire) != SlotState::Taken)
    return false;
  slot.state.store(SlotState::Empty, std::memory_order_relaxed);
  peer.isSent = true;
  --exchange.pending;
  return true;
}

void InprocessEngine::release() {
  for (int peer = 0; peer < world->size; ++peer)
    for (uint64_t sequence = 0; sequence < kExchanges; ++sequence) {
      std::atomic<SlotState> &state = world->getSlot(rank, peer, sequence).state;
      SlotState seen = SlotState::Shown;
      while (!state.compare_exchange_weak(seen, SlotState::Empty, std::memory_order_acquire) &&
             (seen == SlotState::Shown || seen == SlotState::Copying)) {
        seen = SlotState::Shown;
        std::this_thread::yield();
      }
    }
}

bool InprocessEngine::poll(Exchange &exchange) {
  if (exchange.isDone())
    return false;
  Context &context = contexts[exchange.context];
  bool moved = false;
  for (size_t i = 0; i < exchange.peers.size(); ++i) {
    Peer &peer = exchange.peers[i];
    if (!peer.isReceived)
      moved |= receive(exchange, peer, context.targets[i], context.sources[i]);
    if (!peer.isSent)
      moved |= finishSend(exchange, peer);
  }
  context.isUsed = !exchange.isDone();
  return moved;
}

} // namespace

std::shared_ptr<World> makeWorld(int size) { return std::make_shared<World>(size); }

std::unique_ptr<Engine> makeInprocessEngine(std::shared_ptr<World> world, int rank) {
  return std::make_unique<InprocessEngine>(std::move(world), rank);
}

} // namespace contraflow::comm
