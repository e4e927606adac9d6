//===- Faults.cpp - ranks that err on purpose -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/runtime/comm/Faults.h"

namespace contraflow::test {

using namespace comm;

namespace {

constexpr int64_t kCount = 1001;
const Label kSum = {"sum", "layers.4", 1, "backward"};
const Label kGather = {"gather", "layers.4", 1, "backward"};

/// Where an error leaves actions undone, MPI may still write here.
std::vector<float> &getMemory() {
  thread_local std::vector<float> memory(4 * kCount);
  return memory;
}

void sum(Queue &queue, const Group &group, int64_t count = kCount) {
  float *x = getMemory().data();
  queue.wait(queue.allReduce(kSum, group, Element::F32, x, x, count));
}

void gather(Queue &queue, const Group &group, int64_t bytes = 4 * kCount) {
  float *x = getMemory().data() + 2 * kCount;
  Part mine(bytes, group.getSize(), group.index);
  queue.wait(queue.allGather(kGather, group, reinterpret_cast<char *>(x) + mine.begin, x, bytes));
}

/// Each sends as many bytes as its number to the next one; `more` is too much.
void scatter(Queue &queue, const Group &group, int64_t more = 0) {
  char *x = reinterpret_cast<char *>(getMemory().data());
  size_t size = group.ranks.size(), index = size_t(group.index);
  size_t next = (index + 1) % size, last = (index + size - 1) % size;
  Piece send{x, int64_t(index) + 1 + more}, receive{x + kCount, int64_t(last) + 1};
  std::vector<Transfer> transfers(size);
  transfers[next].send = Pieces(&send, 1);
  transfers[last].receive = Pieces(&receive, 1);
  queue.wait(queue.allToAllV({"scatter", "layers.4", 1, "backward"}, group, transfers));
}

void doAll(Queue &queue, const Group &group) {
  sum(queue, group);
  gather(queue, group);
  scatter(queue, group);
}

void stall(Queue &queue, const Group &group) {
  sum(queue, group);
  queue.setComputing({"work", "layers.4", 1, "backward"});
  for (int i = 0; i < 1000 && !queue.hasFailed(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  gather(queue, group);
}

void sumWrongSize(Queue &queue, const Group &group) { sum(queue, group, kCount - 1); }

void gatherWrongSize(Queue &queue, const Group &group) {
  sum(queue, group);
  gather(queue, group, 4 * kCount + 1);
}

void scatterWrongSize(Queue &queue, const Group &group) {
  sum(queue, group);
  gather(queue, group);
  scatter(queue, group, 3);
}

void wrongOrder(Queue &queue, const Group &group) {
  gather(queue, group);
  sum(queue, group);
  scatter(queue, group);
}

} // namespace

const std::vector<Fault> &getFaults() {
  static const std::vector<Fault> faults = {
      {"Stall", stall,
       "no rank goes on, all wait for rank #, which computes work, layer 'layers.4', micro-batch 1, "
       "backward, since "
       "0.",
       false},
      {"SumWrongSize", sumWrongSize,
       "not all ranks do the same, at fault is rank #: rank # has 1000 elements", true},
      {"GatherWrongSize", gatherWrongSize,
       "not all ranks do the same, at fault is rank #: rank # has 4005 elements", true},
      {"ScatterWrongSize", scatterWrongSize, "not all ranks do the same, at fault is rank #: rank # sends ",
       false},
      {"WrongOrder", wrongOrder,
       "not all ranks do the same, at fault is rank #: rank # is in all_gather of gather, layer 'layers.4', "
       "micro-batch 1, "
       "backward",
       true},
  };
  return faults;
}

void runWithFault(Queue &queue, const Fault &fault, int culprit) {
  Group group = makeWorldGroup(queue);
  doAll(queue, group);
  if (queue.getRank() == culprit)
    fault.run(queue, group);
  else
    doAll(queue, group);
  doAll(queue, group);
}

bool names(const std::string &report, const Fault &fault, int culprit, int size) {
  if (fault.needsThird && size == 2)
    return report.starts_with("not all ranks do the same, at fault is one of ranks 0 and 1: ");
  std::string expected;
  for (char c : std::string(fault.message))
    expected += c == '#' ? std::to_string(culprit) : std::string(1, c);
  return report.starts_with(expected);
}

QueueOptions makeFaultOptions(std::function<void(const std::string &)> report) {
  QueueOptions options;
  options.watch = {0.4, 0.2, std::move(report)};
  return options;
}

} // namespace contraflow::test
