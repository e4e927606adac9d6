//===- Watch.cpp - who waits for whom when nothing moves ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/Watch.h"
#include "runtime/base/Clock.h"
#include "runtime/base/Error.h"

namespace contraflow::comm {

namespace {

/// The first byte of a note.
enum class Note : char { Complaint = 'c', Heard = 'h', Question = 'q', Answer = 'a', Failure = 'f' };

/// What follows the first byte of the others but Failure, which is followed by its text.
struct NoteHead {
  Note note;
  int32_t isMismatch = 0;
  int32_t from = 0;
};

/// All ranks that meet a mismatch get so long to say so, as many of them know better than one.
constexpr int64_t kMismatchGrace = 100'000'000;

std::string secondsText(int64_t nanoseconds) {
  int64_t tenths = (nanoseconds + 50'000'000) / 100'000'000;
  return base::text(tenths / 10, ".", tenths % 10, " s");
}

std::vector<int> peersOf(const Status &status) {
  return {status.peer, status.peer + std::min(status.peers, Status::kMostPeers)};
}

std::string describeWork(const Status &status) {
  if (!status.isComputing)
    return "is in no action";
  return base::text("computes ", describe(status.compute.get()), ", since ", secondsText(status.computeAge));
}

std::string describeAction(const Status &status) {
  return base::text(getName(status.kind), " of ", describe(status.label.get()));
}

std::string describeStatus(const std::optional<Status> &status) {
  if (!status)
    return "does not answer";
  if (!status->isInAction)
    return describeWork(*status);
  std::string result = "is in " + describeAction(*status);
  if (status->peers > 0)
    result +=
        base::text(", waits for ", listRanks(peersOf(*status)), " since ", secondsText(status->stillFor));
  return result;
}

std::string describeAll(const std::vector<std::optional<Status>> &statuses) {
  constexpr size_t kMost = 64;
  std::string result;
  for (size_t rank = 0; rank < std::min(statuses.size(), kMost); ++rank)
    result += base::text("\n  rank ", rank, ": ", describeStatus(statuses[rank]));
  return statuses.size() <= kMost ? result : base::text(result, "\n  and ", statuses.size() - kMost, " more");
}

using Votes = std::vector<int>;

std::vector<int> mostVotes(const Votes &votes) {
  int most = *std::max_element(votes.begin(), votes.end());
  std::vector<int> ranks;
  for (size_t rank = 0; most > 0 && rank < votes.size(); ++rank)
    if (votes[rank] == most)
      ranks.push_back(int(rank));
  return ranks;
}

/// What rank `from` told rank `to`, which expected something else.
std::string describeMismatch(const std::vector<std::optional<Status>> &statuses, int from, int to) {
  const Status &witness = *statuses[size_t(to)];
  const Signature &found = witness.mismatch.found, &expected = witness.mismatch.expected;
  if (found.action != expected.action) {
    const std::optional<Status> &other = statuses[size_t(from)];
    return base::text("rank ", from, " is in ",
                      other && other->isInAction ? describeAction(*other) : "another action", ", rank ", to,
                      " in ", describeAction(witness));
  }
  std::string where = " in " + describeAction(witness);
  if (found.count == expected.count)
    return base::text("rank ", from, " sends ", found.bytes, " bytes, rank ", to, " expects ", expected.bytes,
                      where);
  return base::text("rank ", from, " has ", found.count, " elements or bytes, rank ", to, " has ",
                    expected.count, where);
}

/// Where ranks met what they did not expect: the one that most of them met it from.
Verdict judgeMismatch(const std::vector<std::optional<Status>> &statuses) {
  Votes votes(statuses.size());
  for (const std::optional<Status> &status : statuses)
    if (status && status->mismatch.peer >= 0)
      ++votes[size_t(status->mismatch.peer)];
  Verdict verdict{mostVotes(votes), ""};
  if (verdict.culprits.empty())
    return verdict;
  int culprit = verdict.culprits.front(), witness = 0;
  while (!statuses[size_t(witness)] || statuses[size_t(witness)]->mismatch.peer != culprit)
    ++witness;
  verdict.message = base::message<base::ErrorId::RanksDisagree>(
      base::text(verdict.culprits.size() == 1 ? "" : "one of ", listRanks(verdict.culprits)),
      describeMismatch(statuses, culprit, witness), describeAll(statuses));
  return verdict;
}

/// Marks the ranks that `from` waits for, those that they wait for, and so on.
void follow(const std::vector<std::optional<Status>> &statuses, int from, std::vector<char> &seen) {
  if (seen[size_t(from)])
    return;
  seen[size_t(from)] = 1;
  const std::optional<Status> &status = statuses[size_t(from)];
  if (status && status->isInAction)
    for (int peer : peersOf(*status))
      follow(statuses, peer, seen);
}

bool waits(const std::optional<Status> &status) { return status && status->isInAction && status->peers > 0; }

/// Ranks whose action no other waiting rank is in; all waiting ranks where that says nothing.
std::vector<int> findOdd(const std::vector<std::optional<Status>> &statuses) {
  std::vector<int> odd, all;
  for (size_t rank = 0; rank < statuses.size(); ++rank) {
    if (!waits(statuses[rank]))
      continue;
    all.push_back(int(rank));
    auto isSame = [&](const std::optional<Status> &other) {
      return waits(other) && other->action == statuses[rank]->action;
    };
    if (std::count_if(statuses.begin(), statuses.end(), isSame) == 1)
      odd.push_back(int(rank));
  }
  return odd.size() == 1 && all.size() > 2 ? odd : all;
}

} // namespace

void LabelText::set(const Label &label) {
  auto copy = [](char *target, size_t size, const char *source) {
    size_t length = std::min(size - 1, std::strlen(source));
    std::memcpy(target, source, length);
    target[length] = 0;
  };
  copy(op, sizeof(op), label.op);
  copy(layer, sizeof(layer), label.layer);
  copy(direction, sizeof(direction), label.direction);
  microBatch = label.microBatch;
}

Verdict judge(const std::vector<std::optional<Status>> &statuses, int64_t stall) {
  Verdict verdict = judgeMismatch(statuses);
  if (!verdict.culprits.empty())
    return verdict;

  Votes votes(statuses.size());
  bool isAnyoneWaiting = false;
  for (size_t rank = 0; rank < statuses.size(); ++rank) {
    if (!waits(statuses[rank]) || statuses[rank]->stillFor < stall)
      continue;
    isAnyoneWaiting = true;
    std::vector<char> seen(statuses.size());
    follow(statuses, int(rank), seen);
    for (size_t other = 0; other < statuses.size(); ++other)
      votes[other] += seen[other] && !waits(statuses[other]);
  }
  verdict.culprits = mostVotes(votes);
  if (!isAnyoneWaiting)
    return {};
  if (verdict.culprits.empty()) {
    verdict.culprits = findOdd(statuses);
    verdict.message = base::message<base::ErrorId::RanksStuck>(
        listRanks(verdict.culprits),
        verdict.culprits.size() == 1
            ? base::text(", which ", describeStatus(statuses[size_t(verdict.culprits.front())]))
            : ", each of which waits for another",
        describeAll(statuses));
    return verdict;
  }
  const std::optional<Status> &first = statuses[size_t(verdict.culprits.front())];
  int64_t age = !first ? stall : first->isInAction ? first->stillFor : first->idleFor;
  if (age < stall || (first && !first->isInAction && first->isPatient))
    return {};
  verdict.message = base::message<base::ErrorId::RanksStuck>(
      listRanks(verdict.culprits), base::text(", which ", describeStatus(first)), describeAll(statuses));
  return verdict;
}

Watch::Watch(Engine &engine, const WatchOptions &options, GetStatus getStatus)
    : engine(engine), options(options), getStatus(std::move(getStatus)), statuses(size_t(engine.getSize())) {}

namespace {

void send(Engine &engine, int rank, Note note, bool isMismatch = false) {
  NoteHead head{note, isMismatch, engine.getRank()};
  engine.sendNote(rank, {reinterpret_cast<const char *>(&head), sizeof(head)});
}

} // namespace

void Watch::fail(const std::string &message) {
  if (!failure.empty())
    return;
  failure = message.substr(0, Engine::kNoteBytes - 1);
  for (int rank = 0; rank < engine.getSize(); ++rank)
    if (rank != engine.getRank())
      engine.sendNote(rank, char(Note::Failure) + failure);
}

/// Nothing is complained of again for a while.
void Watch::rest() {
  state = State::Quiet;
  quietUntil = base::nanoseconds() + int64_t(1e9 / 16 * options.stallSeconds);
}

void Watch::complain(int64_t since, bool isMismatch) {
  int64_t now = base::nanoseconds();
  if (state != State::Quiet || now < quietUntil || !failure.empty() ||
      (!isMismatch && double(now - since) < 1e9 * options.stallSeconds))
    return;
  reporter = 0;
  if (engine.getRank() == 0)
    return collect(isMismatch ? now + kMismatchGrace : now);
  state = State::Complained;
  until = now + int64_t(0.5e9 * options.answerSeconds);
  send(engine, reporter, Note::Complaint, isMismatch);
}

/// Asks all ranks, at the time `at`.
void Watch::collect(int64_t at) {
  state = State::Collecting;
  askAt = at;
  until = at + int64_t(1e9 * options.answerSeconds);
}

void Watch::ask() {
  askAt = 0;
  answers = 0;
  std::fill(statuses.begin(), statuses.end(), std::nullopt);
  for (int rank = 0; rank < engine.getSize(); ++rank)
    if (rank != engine.getRank())
      send(engine, rank, Note::Question);
}

void Watch::conclude() {
  rest();
  // One that was slow to hear a complaint is not passed over: two would report.
  for (int rank = 0; rank < engine.getRank(); ++rank)
    if (statuses[size_t(rank)])
      return send(engine, rank, Note::Complaint);
  statuses[size_t(engine.getRank())] = getStatus();
  Verdict verdict = judge(statuses, int64_t(1e9 * options.stallSeconds));
  if (verdict.message.empty())
    return;
  if (options.report)
    options.report(verdict.message);
  fail(verdict.message);
}

void Watch::take(const std::string &text) {
  if (text[0] == char(Note::Failure)) {
    if (failure.empty())
      failure = text.substr(1);
    return;
  }
  NoteHead head;
  std::memcpy(&head, text.data(), sizeof(head));
  if (!failure.empty() && head.note != Note::Answer) // it came too late to hear of it
    return engine.sendNote(head.from, char(Note::Failure) + failure);
  switch (head.note) {
  case Note::Complaint:
    send(engine, head.from, Note::Heard);
    if (state != State::Collecting && base::nanoseconds() >= quietUntil)
      collect(base::nanoseconds() + (head.isMismatch ? kMismatchGrace : 0));
    break;
  case Note::Heard:
    if (state == State::Complained)
      rest();
    break;
  case Note::Question: {
    NoteHead answer{Note::Answer, 0, engine.getRank()};
    Status status = getStatus();
    std::string whole(reinterpret_cast<const char *>(&answer), sizeof(answer));
    whole.append(reinterpret_cast<const char *>(&status), sizeof(status));
    engine.sendNote(head.from, whole);
    break;
  }
  case Note::Answer:
    answers += !statuses[size_t(head.from)];
    statuses[size_t(head.from)].emplace();
    std::memcpy(&*statuses[size_t(head.from)], text.data() + sizeof(head), sizeof(Status));
    break;
  case Note::Failure:
    break;
  }
}

bool Watch::serve() {
  bool came = false;
  for (; engine.takeNote(note); came = true)
    take(note);
  if (state == State::Quiet || !failure.empty())
    return came;
  int64_t now = base::nanoseconds();
  if (state == State::Complained) {
    if (now < until)
      return came;
    // It does not answer. Its place is taken by the next one, at last by this rank.
    if (++reporter >= engine.getRank() || reporter > 2)
      collect(now);
    else {
      until = now + int64_t(0.5e9 * options.answerSeconds);
      send(engine, reporter, Note::Complaint);
    }
    return true;
  }
  if (askAt && now >= askAt)
    ask();
  if (!askAt && (answers == engine.getSize() - 1 || now >= until))
    conclude();
  return came;
}

} // namespace contraflow::comm
