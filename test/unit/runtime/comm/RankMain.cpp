//===- RankMain.cpp - one rank of a test that MPI starts ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   comm-rank checks             runs all checks; rank 0 prints "NAME HASH" for each
//   comm-rank fault NAME RANK    runs a fault on a rank; one rank prints the report, and all end
//   comm-rank stopped RANK       a rank stops itself; one rank prints the report, and all end
//   comm-rank killed RANK        a rank kills itself; the same
//   comm-rank idle               rank 0 prints the milliseconds of processor that waiting for half a second
//   took comm-rank speed              rank 0 prints what an all_to_all_v of 8 MB takes comm-rank plain the
//   same of the library's MPI_Alltoallv
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Clock.h"
#include "runtime/comm/Mpi.h"
#include "test/unit/runtime/comm/Faults.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <sys/resource.h>
#include <unistd.h>

namespace contraflow::test {

using namespace comm;

namespace {

void print(const std::string &text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void runFault(Queue &queue, const std::string &name, int culprit) {
  for (const Fault &fault : getFaults())
    if (fault.name == name)
      runWithFault(queue, fault, culprit);
}

void runGone(Queue &queue, int gone, int signal) {
  Group group = makeWorldGroup(queue);
  queue.wait(queue.barrier({"first"}, group));
  if (queue.getRank() == gone)
    kill(getpid(), signal);
  queue.wait(queue.barrier({"second"}, group));
}

double getProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval &time) { return double(time.tv_sec) + 1e-6 * double(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void runIdle(Queue &queue) {
  Group group = makeWorldGroup(queue);
  queue.wait(queue.barrier({"first"}, group));
  double before = getProcessorSeconds();
  if (queue.getRank() != 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  queue.wait(queue.barrier({"second"}, group));
  if (queue.getRank() == 0)
    print(base::text(int(1e3 * (getProcessorSeconds() - before)), "\n"));
}

constexpr int64_t kBytes = 8 << 20;
constexpr int kRepetitions = 20;

void runPlain(const Launcher &launcher) {
  MpiLibrary mpi = loadMpi(launcher);
  int provided, rank, size;
  using Ints = const int *;
  using AllToAllV = int (*)(const void *, Ints, Ints, MpiHandle, void *, Ints, Ints, MpiHandle, MpiHandle);
  void *library = dlopen(mpi.name.c_str(), RTLD_NOW);
  auto allToAllV = reinterpret_cast<AllToAllV>(dlsym(library, "MPI_Alltoallv"));
  auto barrier = reinterpret_cast<int (*)(MpiHandle)>(dlsym(library, "MPI_Barrier"));
  mpi.initThread(nullptr, nullptr, 1, &provided);
  mpi.commRank(mpi.world, &rank);
  mpi.commSize(mpi.world, &size);
  std::vector<char> in(kBytes), out(kBytes);
  std::vector<int> counts(static_cast<size_t>(size), int(kBytes / size)), places;
  for (int k = 0; k < size; ++k)
    places.push_back(k * int(kBytes / size));
  double best = 1e9;
  for (int i = 0; i < kRepetitions; ++i) {
    barrier(mpi.world);
    double begin = base::seconds();
    allToAllV(in.data(), counts.data(), places.data(), mpi.byte, out.data(), counts.data(), places.data(),
              mpi.byte, mpi.world);
    barrier(mpi.world);
    best = std::min(best, base::seconds() - begin);
  }
  if (rank == 0)
    print(base::text("MPI_Alltoallv of 8 MB per rank: ", best * 1e3, " ms\n"));
  mpi.finalize();
}

/// Rows as tokens have them, scattered on the sender, in one piece on the receiver.
void runSpeed(Queue &queue) {
  Group group = makeWorldGroup(queue);
  constexpr int64_t kRow = 1024;
  size_t size = group.ranks.size();
  std::vector<char> in(kBytes), out(kBytes);
  int64_t each = kBytes / kRow / int64_t(size) * kRow;
  std::vector<std::vector<Piece>> rows(size), whole(size);
  std::vector<Transfer> transfers;
  for (size_t k = 0; k < size; ++k) {
    for (int64_t row = int64_t(k); row * kRow < each * int64_t(size); row += int64_t(size))
      rows[k].push_back({in.data() + row * kRow, kRow});
    whole[k] = {{out.data() + int64_t(k) * each, each}};
    transfers.push_back({rows[k], whole[k]});
  }
  double best = 1e9, bestBarrier = 1e9;
  for (int i = 0; i < kRepetitions; ++i) {
    queue.wait(queue.barrier({"begin"}, group));
    double begin = base::seconds();
    queue.wait(queue.allToAllV({"rows"}, group, transfers));
    queue.wait(queue.barrier({"end"}, group));
    best = std::min(best, base::seconds() - begin);
    begin = base::seconds();
    queue.wait(queue.barrier({"barrier"}, group));
    bestBarrier = std::min(bestBarrier, base::seconds() - begin);
  }
  if (queue.getRank() == 0)
    print(base::text("all_to_all_v of 8 MB per rank: ", best * 1e3, " ms, a barrier of it ",
                     bestBarrier * 1e3, " ms\n"));
}

} // namespace

} // namespace contraflow::test

int main(int argc, char **argv) {
  using namespace contraflow;
  using namespace contraflow::test;
  std::string what = argc > 1 ? argv[1] : "";
  std::unique_ptr<comm::Queue> queue;
  try {
    std::optional<comm::Launcher> launcher = comm::findLauncher();
    if (!launcher)
      throw std::runtime_error("no launcher has started this");
    comm::QueueOptions options = what == "checks" ? makeCheckOptions() : comm::QueueOptions();
    if (what == "fault" || what == "stopped" || what == "killed")
      options = makeFaultOptions([](const std::string &text) { print(text + "\n"); });
    if (what == "plain") {
      runPlain(*launcher);
      return 0;
    }
    queue = std::make_unique<comm::Queue>([&] { return comm::makeMpiEngine(*launcher); }, options);
    if (what == "checks") {
      std::string all;
      for (const std::string &line : runChecks(*queue))
        all += line + "\n";
      if (queue->getRank() == 0)
        print(all);
    }
    if (what == "fault" && argc == 4)
      runFault(*queue, argv[2], std::atoi(argv[3]));
    else if ((what == "stopped" || what == "killed") && argc == 3)
      runGone(*queue, std::atoi(argv[2]), what == "killed" ? SIGKILL : SIGSTOP);
    else if (what == "idle")
      runIdle(*queue);
    else if (what == "speed")
      runSpeed(*queue);
    return 0;
  } catch (const comm::StuckError &) {
    queue->abort(3);
  } catch (const std::exception &error) {
    print(std::string("error: ") + error.what() + "\n");
    if (queue)
      queue->abort(4);
  }
  return 1;
}
