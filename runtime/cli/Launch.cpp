//===- Launch.cpp - the ranks of a run that are in this process ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cli/Launch.h"
#include "runtime/base/Error.h"
#include "runtime/comm/Inprocess.h"
#include "runtime/comm/Mpi.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
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
  try {
    comm::Queue queue([&] { return comm::makeInprocessEngine(world, rank); }, queueOptions());
    return {run({&queue, rank == 0, /*isOwnProcess=*/false, ranks}), ""};
  } catch (const comm::StuckError &) {
    return {kError, ""};
  } catch (const std::exception &error) {
    return {kError, error.what()};
  }
}

} // namespace

int runInProcess(const abi::Mesh &mesh, const RunRank &run) {
  int ranks = int(mesh.getWorld());
  std::shared_ptr<comm::World> world = comm::makeWorld(ranks);
  std::vector<Outcome> outcomes(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] { outcomes[size_t(rank)] = runRank(world, ranks, rank, run); });
  for (std::thread &thread : threads)
    thread.join();
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
  try {
    return run({&queue, queue.getRank() == 0, /*isOwnProcess=*/true, /*ranks=*/1});
  } catch (const comm::StuckError &) {
    queue.abort(kError);
  } catch (const std::exception &error) {
    printReport(base::text("rank ", queue.getRank(), ": ", error.what()));
    queue.abort(kError);
  }
  return kError;
}

} // namespace contraflow::cli
