//===- Collectives.cpp - actions as exchanges -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/Collectives.h"
#include "runtime/base/Clock.h"

namespace contraflow::comm {

namespace {

/// Elements that are summed over all ranks before the next ones.
constexpr int64_t kBlock = 512;

/// out[i] = ((x0[i] + x1[i]) + x2[i]) + ...; `out` may be one of them.
template <typename T> void sumInOrder(void *out, const std::vector<const char *> &summands, int64_t count) {
  T block[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    int64_t size = std::min(kBlock, count - begin);
    for (size_t k = 0; k < summands.size(); ++k) {
      const T *x = reinterpret_cast<const T *>(summands[k]) + begin;
      for (int64_t i = 0; i < size; ++i)
        block[i] = k == 0 ? x[i] : T(block[i] + x[i]);
    }
    std::memcpy(static_cast<T *>(out) + begin, block, size_t(size) * sizeof(T));
  }
}

void sumInOrder(Element element, void *out, const std::vector<const char *> &summands, int64_t count) {
  switch (element) {
  case Element::F32:
    return sumInOrder<float>(out, summands, count);
  case Element::F64:
    return sumInOrder<double>(out, summands, count);
  case Element::I32:
    return sumInOrder<uint32_t>(out, summands, count);
  }
}

char *at(const void *data, int64_t offset) {
  return const_cast<char *>(static_cast<const char *>(data)) + offset;
}

} // namespace

void Runner::begin(const Action &wanted) {
  action = wanted;
  hash = getHash(action);
  segment = segments = posted = finished = 0;
  if (action.kind == Kind::AllReduce || action.kind == Kind::ReduceScatter) {
    int64_t size = action.group->getSize();
    segment = segmentBytes / getBytes(action.element);
    int64_t largest = Part(action.count, int(size), 0).getSize();
    segments = std::max<int64_t>(1, (largest + segment - 1) / segment);
  }
  total = segments + (action.kind == Kind::ReduceScatter ? 0 : 1);
}

/// The sums of an all_reduce travel when all of them are there.
bool Runner::mayPost() const {
  return posted < total && posted - finished < kExchanges && (sums(posted) || finished == posted);
}

bool Runner::step() {
  bool moved = false;
  for (; mayPost(); moved = true)
    post(posted++);
  for (int64_t round = finished; round < posted; ++round)
    moved |= engine.poll(getFlight(round).exchange);
  if (finished == posted)
    return moved;
  const Flight &flight = getFlight(finished);
  if (!flight.exchange.isDone() || flight.exchange.mismatch.peer >= 0 ||
      (flight.readyAt && base::nanoseconds() < flight.readyAt))
    return moved;
  if (sums(finished))
    sum(finished);
  ++finished;
  return true;
}

int64_t Runner::getBusyUntil() const {
  const Exchange *exchange = getCurrent();
  return exchange && exchange->isDone() ? getFlight(finished).readyAt : 0;
}

/// The elements of a member's part that travel in exchange `round`.
Part Runner::getSegment(int member, int64_t round) const {
  Part part(action.count, action.group->getSize(), member);
  part.begin = std::min(part.end, part.begin + round * segment);
  part.end = std::min(part.end, part.begin + segment);
  return part;
}

void Runner::addPeer(Flight &flight, int member, Pieces send, Pieces receive) {
  int rank = action.group->ranks[size_t(member)];
  int64_t sendBytes = countBytes(send), receiveBytes = countBytes(receive);
  if (member != action.group->index) {
    flight.exchange.peers.push_back({rank, send, receive, sendBytes, receiveBytes});
    return;
  }
  if (sendBytes != receiveBytes)
    flight.exchange.mismatch = {rank, {0, hash, 0, 0, receiveBytes}, {0, hash, 0, 0, sendBytes}};
  Cursor source(send), target(receive);
  source.copyTo(target, sendBytes);
}

/// The pieces are kept with the flight.
void Runner::addPeer(Flight &flight, int member, Piece send, Piece receive) {
  Piece *pieces = &flight.pieces[size_t(2 * member)];
  pieces[0] = send;
  pieces[1] = receive;
  addPeer(flight, member, Pieces(pieces, 1), Pieces(pieces + 1, 1));
}

/// Every member gets this rank's summands of its segment, and this rank theirs of its own.
void Runner::addParts(Flight &flight, int64_t round) {
  int64_t width = getBytes(action.element);
  Part mine = getSegment(action.group->index, round);
  int64_t bytes = mine.getSize() * width;
  flight.scratch.resize(std::max(flight.scratch.size(), size_t(action.group->getSize() * bytes)));
  for (int member = 0; member < action.group->getSize(); ++member) {
    if (member == action.group->index)
      continue;
    Part theirs = getSegment(member, round);
    addPeer(flight, member, Piece{at(action.in, theirs.begin * width), theirs.getSize() * width},
            Piece{flight.scratch.data() + member * bytes, bytes});
  }
}

/// Sends this rank's part to all and receives theirs: of `out` after a sum, else of `in`.
void Runner::addGather(Flight &flight) {
  bool isReduced = action.kind == Kind::AllReduce;
  int64_t width = isReduced ? getBytes(action.element) : 1;
  Part mine(action.count, action.group->getSize(), action.group->index);
  const void *source = isReduced ? at(action.out, mine.begin * width) : action.in;
  for (int member = 0; member < action.group->getSize(); ++member) {
    Part theirs(action.count, action.group->getSize(), member);
    addPeer(flight, member, Piece{at(source, 0), mine.getSize() * width},
            Piece{at(action.out, theirs.begin * width), theirs.getSize() * width});
  }
}

/// The one exchange of an action that sums nothing.
void Runner::addWhole(Flight &flight) {
  int size = action.group->getSize();
  for (int member = 0; member < size; ++member) {
    if (action.kind == Kind::Barrier)
      addPeer(flight, member, Pieces(), Pieces());
    else if (action.kind == Kind::AllToAllV)
      addPeer(flight, member, action.transfers[size_t(member)].send,
              action.transfers[size_t(member)].receive);
    else
      addPeer(flight, member, Piece{at(action.in, member * action.count), action.count},
              Piece{at(action.out, member * action.count), action.count});
  }
}

void Runner::post(int64_t round) {
  Flight &flight = getFlight(round);
  flight.exchange.peers.clear();
  flight.exchange.action = hash;
  flight.exchange.count = action.count;
  flight.exchange.round = round;
  flight.exchange.mismatch = {};
  flight.pieces.resize(std::max(flight.pieces.size(), size_t(2 * action.group->getSize())));
  if (sums(round))
    addParts(flight, round);
  else if (action.kind == Kind::AllReduce || action.kind == Kind::AllGather)
    addGather(flight);
  else
    addWhole(flight);

  int64_t sent = 0, received = 0;
  for (const Peer &peer : flight.exchange.peers) {
    sent += peer.sendBytes;
    received += peer.receiveBytes;
  }
  traffic.payload[int(action.kind)].fetch_add(sent, std::memory_order_relaxed);
  traffic.signatures[int(action.kind)].fetch_add(int64_t(flight.exchange.peers.size() * sizeof(Signature)),
                                                 std::memory_order_relaxed);
  flight.readyAt = 0;
  if ((link.latency > 0 || link.secondsPerByte > 0) && !flight.exchange.peers.empty()) {
    linkFreeAt = std::max(linkFreeAt, base::nanoseconds()) +
                 int64_t(1e9 * link.secondsPerByte * double(std::max(sent, received)));
    flight.readyAt = linkFreeAt + int64_t(1e9 * link.latency);
  }
  engine.post(flight.exchange);
}

/// Sums this rank's segment over all members.
void Runner::sum(int64_t round) {
  int64_t width = getBytes(action.element);
  Part mine = getSegment(action.group->index, round);
  const Flight &flight = getFlight(round);
  summands.clear();
  for (int member = 0; member < action.group->getSize(); ++member)
    summands.push_back(member == action.group->index
                           ? at(action.in, mine.begin * width)
                           : flight.scratch.data() + member * mine.getSize() * width);
  int64_t first = action.kind == Kind::AllReduce
                      ? 0
                      : Part(action.count, action.group->getSize(), action.group->index).begin;
  sumInOrder(action.element, at(action.out, (mine.begin - first) * width), summands, mine.getSize());
}

} // namespace contraflow::comm
