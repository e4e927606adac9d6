//===- Mpi.cpp - ranks that are processes started by an MPI launcher ------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What goes to a peer in an exchange is a first message, the signature and as many bytes as fit beside it,
// and then chunks of a fixed size, a few at a time in each direction. Where a chunk lies in one piece MPI
// gets its memory, else it is packed and unpacked here. Chunks are received when the signature was right.
// Each exchange with a peer has tags of its own, so that two in flight do not mix.
//
// Nothing wakes a thread that waits for MPI: it looks again, at first at once, then after short sleeps.
//
//===----------------------------------------------------------------------===//
#include "runtime/comm/Mpi.h"
#include "runtime/base/Error.h"

#include <deque>
#include <sched.h>

namespace contraflow::comm {

namespace {

/// Below what MPI libraries send at once without asking the receiver (4 KiB in Open MPI, shared memory).
constexpr int64_t kFirstBytes = 3968;
constexpr int64_t kBeside = kFirstBytes - int64_t(sizeof(Signature));
constexpr int64_t kChunk = 256 << 10;
/// Chunks of one peer and direction in flight.
constexpr int kWindow = 2;
/// Tags reach 32767 in every MPI, and each exchange has two.
constexpr uint64_t kTags = 16384;

constexpr int kFunneled = 1; // MPI_THREAD_FUNNELED
constexpr int kNoteTag = 0;

/// A message of MPI, one after the other.
struct Message {
  MpiHandle request = 0;
  bool isPending = false;
  int64_t bytes = 0;
  Cursor place; ///< where a received chunk goes, unless MPI has put it there
  bool isPacked = false;
  std::vector<char> staging; ///< kept from one exchange to the next
};

/// One direction of an exchange with one peer.
struct Stream {
  Message first;
  Message window[kWindow];
  Cursor cursor;
  int64_t total = 0;
  int64_t begun = 0;   ///< bytes of messages that have begun
  int pending = 0;     ///< messages
  bool isOpen = false; ///< chunks may follow

  bool isDone() const { return isOpen && begun == total && pending == 0; }
};

struct PeerStreams {
  Stream out, in;
};

class MpiEngine : public Engine {
public:
  explicit MpiEngine(const Launcher &launcher);

  const char *getName() const override { return "mpi"; }
  int getRank() const override { return rank; }
  int getSize() const override { return size; }

  void post(Exchange &exchange) override;
  bool poll(Exchange &exchange) override;
  void sendNote(int target, std::string_view note) override;
  bool takeNote(std::string &note) override;
  void rest(int64_t idle, int64_t nanoseconds) override;
  void finish() override;
  void abort(int status) override { mpi.abort(mpi.world, status); }

private:
  struct Context {
    std::vector<PeerStreams> peers;
    bool isUsed = false;
  };
  struct OutgoingNote {
    std::string text;
    Message message;
  };

  void check(int result, const char *function) const;
  void send(Message &message, const void *data, int64_t bytes, int peer, int tag, MpiHandle comm);
  void receive(Message &message, void *data, int64_t bytes, int peer, int tag);
  bool test(Message &message);
  bool pollOut(const Peer &peer, Stream &stream);
  bool pollIn(Exchange &exchange, const Peer &peer, Stream &stream);
  bool openIn(Exchange &exchange, const Peer &peer, Stream &stream);
  void sendChunk(const Peer &peer, Stream &stream, Message &message);
  void receiveChunk(const Peer &peer, Stream &stream, Message &message);

  static int firstTag(uint64_t sequence) { return int(sequence % kTags) * 2; }

  MpiLibrary mpi;
  MpiHandle data = 0, notes = 0;
  int rank = 0, size = 1;
  std::vector<uint64_t> sequences;
  Context contexts[kExchanges];
  std::deque<OutgoingNote> outgoing;
};

void MpiEngine::check(int result, const char *function) const {
  if (result == 0)
    return;
  char reason[1024] = {};
  int length = 0;
  if (mpi.errorString(result, reason, &length) != 0)
    length = 0;
  throw base::Error(
      base::message<base::ErrorId::MpiFailed>(function, mpi.name, std::string(reason, size_t(length))));
}

MpiEngine::MpiEngine(const Launcher &launcher) : mpi(loadMpi(launcher)) {
  int provided = 0;
  check(mpi.initThread(nullptr, nullptr, kFunneled, &provided), "MPI_Init_thread");
  check(mpi.setErrorHandler(mpi.world, mpi.errorsReturn), "MPI_Comm_set_errhandler");
  check(mpi.commRank(mpi.world, &rank), "MPI_Comm_rank");
  check(mpi.commSize(mpi.world, &size), "MPI_Comm_size");
  if (launcher.size != 0 && launcher.size != size)
    throw base::Error(base::message<base::ErrorId::MpiSize>(launcher.name, launcher.size, mpi.name, size));
  check(mpi.commDup(mpi.world, &data), "MPI_Comm_dup");
  check(mpi.commDup(mpi.world, &notes), "MPI_Comm_dup");
  sequences.resize(size_t(size));
}

void MpiEngine::finish() {
  // MPI cannot be finished while something is in flight: then the ranks are ended by the launcher.
  for (const Context &context : contexts)
    if (context.isUsed)
      return;
  if (outgoing.empty())
    mpi.finalize();
}

void MpiEngine::send(Message &message, const void *bytes, int64_t count, int peer, int tag, MpiHandle comm) {
  message.request = 0;
  message.isPending = true;
  check(mpi.isend(bytes, int(count), mpi.byte, peer, tag, comm, &message.request), "MPI_Isend");
}

void MpiEngine::receive(Message &message, void *bytes, int64_t count, int peer, int tag) {
  message.request = 0;
  message.isPending = true;
  check(mpi.irecv(bytes, int(count), mpi.byte, peer, tag, data, &message.request), "MPI_Irecv");
}

/// Whether a pending message has just been completed.
bool MpiEngine::test(Message &message) {
  int isDone = 0;
  if (message.isPending)
    check(mpi.test(&message.request, &isDone, mpi.ignoreStatus), "MPI_Test");
  message.isPending &= !isDone;
  return isDone;
}

void MpiEngine::post(Exchange &exchange) {
  exchange.context = contexts[0].isUsed ? 1 : 0;
  Context &context = contexts[exchange.context];
  context.isUsed = !exchange.peers.empty();
  if (context.peers.size() < exchange.peers.size())
    context.peers.resize(exchange.peers.size());
  exchange.pending = int(2 * exchange.peers.size());
  for (size_t i = 0; i < exchange.peers.size(); ++i) {
    Peer &peer = exchange.peers[i];
    PeerStreams &streams = context.peers[i];
    peer.sequence = sequences[size_t(peer.rank)]++;
    peer.isSent = peer.isReceived = false;

    Stream &in = streams.in, &out = streams.out;
    in.cursor = Cursor(peer.receive);
    in.total = peer.receiveBytes;
    in.begun = std::min(kBeside, in.total);
    in.isOpen = false;
    in.pending = out.pending = 1;
    in.first.staging.resize(kFirstBytes);
    receive(in.first, in.first.staging.data(), kFirstBytes, peer.rank, firstTag(peer.sequence));

    out.cursor = Cursor(peer.send);
    out.total = peer.sendBytes;
    out.begun = std::min(kBeside, out.total);
    out.isOpen = true;
    out.first.staging.resize(kFirstBytes);
    Signature signature = exchange.getSent(peer);
    std::memcpy(out.first.staging.data(), &signature, sizeof(signature));
    out.cursor.read(out.first.staging.data() + sizeof(signature), out.begun);
    send(out.first, out.first.staging.data(), int64_t(sizeof(signature)) + out.begun, peer.rank,
         firstTag(peer.sequence), data);
  }
}

void MpiEngine::sendChunk(const Peer &peer, Stream &stream, Message &message) {
  message.bytes = std::min(kChunk, stream.total - stream.begun);
  const char *source = stream.cursor.getContiguous(message.bytes);
  if (source) {
    stream.cursor.advance(message.bytes);
  } else {
    message.staging.resize(kChunk);
    stream.cursor.read(message.staging.data(), message.bytes);
    source = message.staging.data();
  }
  stream.begun += message.bytes;
  ++stream.pending;
  send(message, source, message.bytes, peer.rank, firstTag(peer.sequence) + 1, data);
}

bool MpiEngine::pollOut(const Peer &peer, Stream &stream) {
  bool moved = false;
  for (Message *message : {&stream.first, &stream.window[0], &stream.window[1]}) {
    if (test(*message)) {
      --stream.pending;
      moved = true;
    }
    if (message != &stream.first && !message->isPending && stream.begun < stream.total) {
      sendChunk(peer, stream, *message);
      moved = true;
    }
  }
  return moved;
}

/// Looks at the signature; whether chunks may be received.
bool MpiEngine::openIn(Exchange &exchange, const Peer &peer, Stream &stream) {
  Signature found, expected = exchange.getExpected(peer);
  std::memcpy(&found, stream.first.staging.data(), sizeof(found));
  --stream.pending;
  if (found != expected) {
    if (exchange.mismatch.peer < 0)
      exchange.mismatch = {peer.rank, expected, found};
    return false;
  }
  stream.cursor.write(stream.first.staging.data() + sizeof(found), stream.begun);
  return true;
}

void MpiEngine::receiveChunk(const Peer &peer, Stream &stream, Message &message) {
  message.bytes = std::min(kChunk, stream.total - stream.begun);
  char *target = stream.cursor.getContiguous(message.bytes);
  message.isPacked = !target;
  if (!target) {
    message.place = stream.cursor;
    message.staging.resize(kChunk);
    target = message.staging.data();
  }
  stream.cursor.advance(message.bytes);
  stream.begun += message.bytes;
  ++stream.pending;
  receive(message, target, message.bytes, peer.rank, firstTag(peer.sequence) + 1);
}

bool MpiEngine::pollIn(Exchange &exchange, const Peer &peer, Stream &stream) {
  bool moved = false;
  if (test(stream.first)) {
    stream.isOpen = openIn(exchange, peer, stream);
    moved = true;
  }
  if (!stream.isOpen)
    return moved;
  for (Message &message : stream.window) {
    if (test(message)) {
      if (message.isPacked)
        message.place.write(message.staging.data(), message.bytes);
      --stream.pending;
      moved = true;
    }
    if (!message.isPending && stream.begun < stream.total) {
      receiveChunk(peer, stream, message);
      moved = true;
    }
  }
  return moved;
}

bool MpiEngine::poll(Exchange &exchange) {
  if (exchange.isDone())
    return false;
  Context &context = contexts[exchange.context];
  bool moved = false;
  for (size_t i = 0; i < exchange.peers.size(); ++i) {
    Peer &peer = exchange.peers[i];
    PeerStreams &streams = context.peers[i];
    if (!peer.isReceived) {
      moved |= pollIn(exchange, peer, streams.in);
      peer.isReceived = streams.in.isDone();
      exchange.pending -= peer.isReceived;
    }
    if (!peer.isSent) {
      moved |= pollOut(peer, streams.out);
      peer.isSent = streams.out.isDone();
      exchange.pending -= peer.isSent;
    }
  }
  context.isUsed = !exchange.isDone();
  return moved;
}

void MpiEngine::sendNote(int target, std::string_view note) {
  OutgoingNote &last = outgoing.emplace_back();
  last.text = note;
  send(last.message, last.text.data(), int64_t(note.size()), target, kNoteTag, notes);
}

bool MpiEngine::takeNote(std::string &note) {
  while (!outgoing.empty() && test(outgoing.front().message))
    outgoing.pop_front();
  int isThere = 0, bytes = 0;
  alignas(8) int status[16] = {}; // MPI_Status has 20 to 24 bytes
  check(mpi.iprobe(mpi.anySource, kNoteTag, notes, &isThere, status), "MPI_Iprobe");
  if (!isThere)
    return false;
  check(mpi.getCount(status, mpi.byte, &bytes), "MPI_Get_count");
  note.resize(size_t(bytes));
  check(mpi.recv(note.data(), bytes, mpi.byte, status[mpi.sourceInStatus], kNoteTag, notes, mpi.ignoreStatus),
        "MPI_Recv");
  return true;
}

void MpiEngine::rest(int64_t idle, int64_t nanoseconds) {
  constexpr int64_t kYields = 100, kShortRests = 1000;
  if (idle < kYields)
    sched_yield();
  else
    bell.rest(std::min<int64_t>(nanoseconds, idle < kShortRests ? 50'000 : 500'000));
}

} // namespace

std::unique_ptr<Engine> makeMpiEngine(const Launcher &launcher) {
  return std::make_unique<MpiEngine>(launcher);
}

} // namespace contraflow::comm
