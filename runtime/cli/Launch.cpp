//===- Launch.cpp - the ranks of a run that are in this process ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cli/Launch.h"
#include "runtime/base/Error.h"
#include "runtime/comm/Inprocess.h"
#include "runtime/comm/Mpi.h"

#include <algorithm>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace contraflow::cli {

namespace {

constexpr int kError = 1;

/// What became of a rank.
struct Outcome {
  int status = 0;
  std::string error;
};

void printReport(const std::string &report) {
  std::fprintf(stderr, "%s%s\n", base::kErrorPrefix, report.c_str());
}

comm::QueueOptions queueOptions() {
  comm::QueueOptions options;
  options.watch.report = printReport;
  return options;
}

Outcome runRank(const std::shared_ptr<comm::World> &world, int ranks, int rank, const RunRank &run) {
  std::optional<comm::Queue> queue;
  try {
    queue.emplace([&] { return comm::makeInprocessEngine(world, rank); }, queueOptions());
    return {run({&*queue, rank == 0, /*isOwnProcess=*/false, ranks, {}}), ""};
  } catch (const comm::StuckError &) {
    return {kError, ""};
  } catch (const std::exception &error) {
    // Of the standard library there are threads that cannot be started.
    bool isOfSystem = dynamic_cast<const std::system_error *>(&error);
    std::string message =
        isOfSystem ? base::message<base::ErrorId::ThreadsNotStarted>(ranks, error.what()) : error.what();
    if (queue)
      queue->fail(message);
    return {kError, message};
  }
}

/// Calls `body` on as many threads, or on none where not all of them can be started.
void runThreads(int count, const std::function<void(int)> &body) {
  std::promise<bool> isComplete;
  std::shared_future<bool> mayRun = isComplete.get_future().share();
  std::vector<std::thread> threads;
  auto finish = [&](bool run) {
    isComplete.set_value(run);
    for (std::thread &thread : threads)
      thread.join();
  };
  try {
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&body, mayRun, i] {
        if (mayRun.get())
          body(i);
      });
  } catch (const std::exception &error) {
    finish(false);
    throw base::Error(base::message<base::ErrorId::ThreadsNotStarted>(count, error.what()));
  }
  finish(true);
}

} // namespace

int runInProcess(const abi::Mesh &mesh, const RunRank &run) {
  // A rank is several threads and an arena.
  constexpr int kMostRanks = 256;
  int ranks = int(mesh.getWorld());
  if (ranks > kMostRanks)
    throw base::Error(base::message<base::ErrorId::RanksTooMany>(ranks, kMostRanks));
  std::shared_ptr<comm::World> world = comm::makeWorld(ranks);
  std::vector<Outcome> outcomes(static_cast<size_t>(ranks));
  runThreads(ranks, [&](int rank) { outcomes[size_t(rank)] = runRank(world, ranks, rank, run); });
  auto failed = std::ranges::find_if(outcomes, [](const Outcome &outcome) { return !outcome.error.empty(); });
  if (failed != outcomes.end())
    throw base::Error(failed->error);
  return std::ranges::max(outcomes, {}, &Outcome::status).status;
}

int runLaunched(const comm::Launcher &launcher, const abi::Mesh &mesh, const RunRank &run) {
  comm::Queue queue([&] { return comm::makeMpiEngine(launcher); }, queueOptions());
  if (queue.getSize() != mesh.getWorld()) {
    std::string problem =
        base::message<base::ErrorId::RanksCount>(mesh.getWorld(), launcher.name, queue.getSize());
    if (queue.getRank() == 0)
      throw base::Error(problem);
    return kError;
  }
  auto end = [&](const std::exception &error) {
    // Of a run that is stuck one rank has said it.
    if (!dynamic_cast<const comm::StuckError *>(&error))
      printReport(base::text("rank ", queue.getRank(), ": ", error.what()));
    queue.abort(kError);
  };
  try {
    return run({&queue, queue.getRank() == 0, /*isOwnProcess=*/true, /*ranks=*/1, end});
  } catch (const std::exception &error) {
    end(error);
  }
  return kError;
}

} // namespace contraflow::cli
