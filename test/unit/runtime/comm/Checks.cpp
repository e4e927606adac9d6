//===- Checks.cpp - what every engine has to do ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/unit/runtime/comm/Checks.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Random.h"

#include <numeric>

namespace contraflow::test {

using namespace comm;

namespace {

void require(bool isTrue, const std::string &what) {
  if (!isTrue)
    throw std::runtime_error(what);
}

template <typename T> uint64_t hashOf(const std::vector<T> &data, uint64_t seed) {
  return base::hash64({reinterpret_cast<const char *>(data.data()), data.size() * sizeof(T)}, seed);
}

/// Numbers of different magnitudes, so that another order of summation has other bits.
template <typename T> std::vector<T> makeData(int64_t count, int rank, uint64_t seed) {
  base::Philox random(seed, uint64_t(rank));
  std::vector<T> data(static_cast<size_t>(count));
  constexpr size_t kPerCall = sizeof(T) == 1 ? 16 : 4;
  for (size_t i = 0; i < data.size(); i += kPerCall) {
    std::array<uint32_t, 4> words = random.words(i);
    for (size_t k = 0; k < std::min(kPerCall, data.size() - i); ++k)
      if constexpr (std::is_integral_v<T>)
        data[i + k] = T(words[k % 4] >> (4 + 7 * (k / 4)));
      else
        data[i + k] = T(int32_t(words[k])) * T(uint64_t(1) << words[k] % 40) * T(1.0 / 3);
  }
  return data;
}

/// The sum over ranks as one would write it.
template <typename T> std::vector<T> plainSum(const Group &group, int64_t count, uint64_t seed) {
  std::vector<T> sum = makeData<T>(count, group.ranks[0], seed);
  for (size_t k = 1; k < group.ranks.size(); ++k) {
    std::vector<T> next = makeData<T>(count, group.ranks[k], seed);
    for (size_t i = 0; i < sum.size(); ++i)
      sum[i] = sum[i] + next[i];
  }
  return sum;
}

template <typename T> constexpr Element kElementOf = Element::F32;
template <> constexpr Element kElementOf<double> = Element::F64;
template <> constexpr Element kElementOf<int32_t> = Element::I32;

/// Floats of a segment.
constexpr int64_t kSegment = 1024;

/// Odd counts, fewer elements than ranks, none; the last is summed in three segments.
std::vector<int64_t> getCounts(const Group &group) {
  return {0, 1, 2, 3, 7, 8, 1001, 2 * kSegment * group.getSize() + 5};
}

template <typename T>
uint64_t checkAllReduce(Queue &queue, const Group &group, int64_t count, uint64_t hash) {
  std::vector<T> expected = plainSum<T>(group, count, uint64_t(count));
  std::vector<T> data = makeData<T>(count, queue.getRank(), uint64_t(count)), in = data,
                 out(size_t(count), T(7));
  std::string layer = std::to_string(count);
  Label label{"all_reduce", layer.c_str(), 0, "forward"};
  Ticket first = queue.allReduce(label, group, kElementOf<T>, in.data(), out.data(), count);
  queue.wait(queue.allReduce(label, group, kElementOf<T>, data.data(), data.data(), count));
  require(queue.isDone(first), "an action is done before an earlier one");
  require(out == expected && data == expected, base::text("all_reduce of ", count, " elements is wrong"));
  return hashOf(out, hash);
}

uint64_t allReduce(Queue &queue) {
  Group group = makeWorldGroup(queue);
  uint64_t hash = 0;
  for (int64_t count : getCounts(group))
    hash = checkAllReduce<float>(queue, group, count, hash);
  hash = checkAllReduce<double>(queue, group, 1003, hash);
  return checkAllReduce<int32_t>(queue, group, 1003, hash);
}

uint64_t reduceScatter(Queue &queue) {
  Group group = makeWorldGroup(queue);
  uint64_t hash = 0;
  for (int64_t count : getCounts(group)) {
    Part mine(count, group.getSize(), group.index);
    std::vector<float> expected = plainSum<float>(group, count, 11);
    expected = {expected.begin() + mine.begin, expected.begin() + mine.end};
    std::vector<float> in = makeData<float>(count, queue.getRank(), 11), part(size_t(mine.getSize()));
    Label label{"reduce_scatter"};
    queue.wait(queue.reduceScatter(label, group, Element::F32, in.data(), part.data(), count));
    require(part == expected, base::text("reduce_scatter of ", count, " elements is wrong"));
    queue.wait(queue.reduceScatter(label, group, Element::F32, in.data(), in.data() + mine.begin, count));
    require(std::equal(part.begin(), part.end(), in.begin() + mine.begin),
            "reduce_scatter in place is wrong");
    hash = hashOf(part, hash);
  }
  return hash;
}

uint64_t allGather(Queue &queue) {
  Group group = makeWorldGroup(queue);
  uint64_t hash = 0;
  for (int64_t bytes : {0, 1, 5, 8, 1000, 70001, 1000001}) {
    std::vector<int8_t> expected = makeData<int8_t>(bytes, 0, 12);
    Part mine(bytes, group.getSize(), group.index);
    std::vector<int8_t> part(expected.begin() + mine.begin, expected.begin() + mine.end);
    std::vector<int8_t> all(size_t(bytes), 1), inPlace(size_t(bytes), 1);
    std::copy(part.begin(), part.end(), inPlace.begin() + mine.begin);
    queue.allGather({"all_gather"}, group, part.data(), all.data(), bytes);
    queue.wait(queue.allGather({"all_gather"}, group, inPlace.data() + mine.begin, inPlace.data(), bytes));
    require(all == expected && inPlace == expected, base::text("all_gather of ", bytes, " bytes is wrong"));
    hash = hashOf(all, hash);
  }
  return hash;
}

uint64_t allToAll(Queue &queue) {
  Group group = makeWorldGroup(queue);
  uint64_t hash = 0;
  for (int64_t bytes : {0, 1, 13, 4096, 30001}) {
    int64_t size = group.getSize();
    std::vector<int8_t> in = makeData<int8_t>(bytes * size, queue.getRank(), 13), out(in.size());
    queue.wait(queue.allToAll({"all_to_all"}, group, in.data(), out.data(), bytes));
    for (int64_t k = 0; k < size; ++k) {
      std::vector<int8_t> theirs = makeData<int8_t>(bytes * size, group.ranks[size_t(k)], 13);
      require(std::equal(out.begin() + k * bytes, out.begin() + (k + 1) * bytes,
                         theirs.begin() + group.index * bytes),
              base::text("all_to_all of ", bytes, " bytes is wrong"));
    }
    hash = hashOf(out, hash);
  }
  return hash;
}

/// Memory cut into pieces at random; some are empty.
std::vector<Piece> cut(std::vector<int8_t> &memory, uint64_t key, int64_t mostOfPiece) {
  base::Philox random(key, 1);
  std::vector<Piece> pieces;
  uint64_t counter = 0;
  for (int64_t at = 0; at < int64_t(memory.size());) {
    int64_t bytes = int64_t(random.below(counter++, uint64_t(mostOfPiece) + 1));
    bytes = std::min(bytes, int64_t(memory.size()) - at);
    pieces.push_back({memory.data() + at, bytes});
    at += bytes;
  }
  return pieces;
}

/// Bytes from one rank to another: none, few, or several chunks of any engine.
int64_t pairBytes(uint64_t round, int from, int to) {
  base::Philox random(round, uint64_t(from * 100 + to));
  constexpr int64_t kMost[] = {0, 10, 5000, 70000, 1500000};
  return int64_t(random.below(0, uint64_t(kMost[random.below(1, round == 3 ? 5 : 4)]) + 1));
}

uint64_t allToAllV(Queue &queue) {
  Group group = makeWorldGroup(queue);
  int rank = queue.getRank();
  uint64_t hash = 0;
  for (uint64_t round = 0; round < 8; ++round) {
    size_t size = group.ranks.size();
    std::vector<std::vector<int8_t>> sent(size), received(size);
    std::vector<std::vector<Piece>> sends(size), receives(size);
    std::vector<Transfer> transfers;
    for (size_t k = 0; k < size; ++k) {
      sent[k] = makeData<int8_t>(pairBytes(round, rank, int(k)), rank, round * 64 + k);
      received[k].resize(size_t(pairBytes(round, int(k), rank)));
      // Another cut on each side; a cut into one piece too.
      sends[k] = cut(sent[k], round * 777 + k, round % 2 ? 1 << 30 : 2000);
      receives[k] = cut(received[k], round * 555 + k, round % 3 ? 900 : 1 << 30);
      transfers.push_back({sends[k], receives[k]});
    }
    queue.wait(queue.allToAllV({"all_to_all_v", "", int32_t(round)}, group, transfers));
    for (size_t k = 0; k < size; ++k) {
      require(received[k] ==
                  makeData<int8_t>(pairBytes(round, int(k), rank), int(k), round * 64 + uint64_t(rank)),
              base::text("all_to_all_v: what rank ", k, " sent is wrong in round ", round));
      hash = hashOf(received[k], hash);
    }
  }
  return hash;
}

/// Every mesh of this world: sums over ep and edp groups take turns, several in flight.
uint64_t subgroups(Queue &queue) {
  uint64_t hash = 0;
  for (int64_t ep = 1; ep <= queue.getSize(); ++ep) {
    if (queue.getSize() % ep != 0)
      continue;
    abi::Mesh mesh{1, queue.getSize(), ep};
    Group groups[] = {{mesh, queue.getRank(), abi::MeshAxis::Ep},
                      {mesh, queue.getRank(), abi::MeshAxis::Edp}};
    std::vector<std::vector<float>> data;
    for (int i = 0; i < 6; ++i)
      data.push_back(makeData<float>(501, queue.getRank(), uint64_t(i)));
    Ticket last = 0;
    for (int i = 0; i < 6; ++i)
      last = queue.allReduce({"subgroup", "", i}, groups[i % 2], Element::F32, data[size_t(i)].data(),
                             data[size_t(i)].data(), 501);
    queue.wait(last);
    for (int i = 0; i < 6; ++i) {
      require(data[size_t(i)] == plainSum<float>(groups[i % 2], 501, uint64_t(i)),
              base::text("sum ", i, " over a group is wrong at ep ", ep));
      hash = hashOf(data[size_t(i)], hash);
    }
  }
  return hash;
}

/// More than the queue holds.
uint64_t manyInFlight(Queue &queue) {
  Group group = makeWorldGroup(queue);
  constexpr int kActions = 700;
  std::vector<std::vector<float>> data;
  for (int i = 0; i < kActions; ++i)
    data.push_back(makeData<float>(i % 37, queue.getRank(), uint64_t(i)));
  Ticket last = 0;
  for (int i = 0; i < kActions; ++i) {
    float *x = data[size_t(i)].data();
    last = i % 5 == 4 ? queue.barrier({"between", "", i}, group)
                      : queue.allReduce({"many", "", i}, group, Element::F32, x, x, i % 37);
  }
  queue.wait(last);
  uint64_t hash = 0;
  for (int i = 0; i < kActions; ++i) {
    require(i % 5 == 4 || data[size_t(i)] == plainSum<float>(group, i % 37, uint64_t(i)),
            base::text("action ", i, " of many is wrong"));
    hash = hashOf(data[size_t(i)], hash);
  }
  return hash;
}

/// What is counted is what the definitions say, by kind.
uint64_t countsBytes(Queue &queue) {
  Group group = makeWorldGroup(queue);
  int64_t others = group.getSize() - 1, count = 1003;
  auto read = [&](Kind kind) { return queue.getTraffic().payload[int(kind)].load(); };
  int64_t before[kKinds];
  for (int kind = 0; kind < kKinds; ++kind)
    before[kind] = read(Kind(kind));

  std::vector<float> x(size_t(count * group.getSize())), y(x.size());
  queue.allReduce({"sum"}, group, Element::F32, x.data(), x.data(), count);
  queue.reduceScatter({"part"}, group, Element::F32, x.data(), y.data(), count);
  queue.allGather({"gather"}, group, y.data(), x.data(), count * 4);
  queue.allToAll({"all"}, group, x.data(), y.data(), 12);
  queue.wait(queue.barrier({"end"}, group));

  Part mine(count, group.getSize(), group.index);
  int64_t scattered = 4 * (count - mine.getSize()), bytes = 4 * count;
  int64_t gathered = 4 * mine.getSize() * others;
  Part part(bytes, group.getSize(), group.index);
  auto sent = [&](Kind kind) { return read(kind) - before[int(kind)]; };
  require(sent(Kind::AllReduce) == scattered + gathered, "bytes of all_reduce are wrong");
  require(sent(Kind::ReduceScatter) == scattered, "bytes of reduce_scatter are wrong");
  require(sent(Kind::AllGather) == part.getSize() * others, "bytes of all_gather are wrong");
  require(sent(Kind::AllToAll) == 12 * others && sent(Kind::Barrier) == 0, "bytes of all_to_all are wrong");
  return uint64_t(sent(Kind::AllReduce));
}

} // namespace

Group makeWorldGroup(const Queue &queue) {
  std::vector<int> ranks(size_t(queue.getSize()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return Group(std::move(ranks), queue.getRank());
}

QueueOptions makeCheckOptions() {
  QueueOptions options;
  options.segmentBytes = 4 * kSegment;
  return options;
}

namespace {

/// The hashes of all ranks as one.
uint64_t joinHashes(Queue &queue, uint64_t hash) {
  Group group = makeWorldGroup(queue);
  std::vector<uint64_t> in(group.ranks.size(), hash), all(in.size());
  queue.wait(queue.allToAll({"join"}, group, in.data(), all.data(), sizeof(hash)));
  return hashOf(all, 0);
}

} // namespace

std::vector<std::string> runChecks(Queue &queue) {
  std::vector<std::string> lines;
  for (const Check &check : getChecks())
    lines.push_back(base::text(check.name, " ", base::hashText(joinHashes(queue, check.run(queue)))));
  return lines;
}

const std::vector<Check> &getChecks() {
  static const std::vector<Check> checks = {
      {"AllReduce", allReduce},       {"ReduceScatter", reduceScatter}, {"AllGather", allGather},
      {"AllToAll", allToAll},         {"AllToAllV", allToAllV},         {"Subgroups", subgroups},
      {"ManyInFlight", manyInFlight}, {"CountsBytes", countsBytes},
  };
  return checks;
}

} // namespace contraflow::test
