//===- MpiTest.cpp - the checks of engines, with processes as ranks -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Clock.h"
#include "runtime/comm/MpiLibrary.h"
#include "test/unit/runtime/comm/Faults.h"
#include "test/unit/runtime/comm/Ranks.h"

#include <cstdio>
#include <cstdlib>
#include <future>
#include <gtest/gtest.h>
#include <map>
#include <sys/wait.h>

namespace contraflow::test {

using namespace comm;

namespace {

/// An MPI as Debian installs it.
struct Implementation {
  const char *name;
  const char *launcher;
  const char *options;
};

// Both can be installed beside each other, and each has names of its own.
constexpr Implementation kImplementations[] = {
    {"OpenMpi", "mpirun.openmpi", "--oversubscribe"},
    {"Mpich", "mpirun.mpich", ""},
};

struct Outcome {
  std::string output;
  int status = 0;
  double seconds = 0;
};

Outcome runShell(const std::string &command) {
  Outcome outcome;
  double begin = base::seconds();
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (size_t size = fread(buffer, 1, sizeof(buffer), pipe))
    outcome.output.append(buffer, size);
  outcome.status = pclose(pipe);
  outcome.seconds = base::seconds() - begin;
  return outcome;
}

/// Open MPI runs as root too, as in containers. With sanitizers: leaks are those of MPI, and UCX, which MPICH
/// uses, does not patch the functions that they have replaced.
constexpr const char *kVariables = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
                                   "ASAN_OPTIONS=detect_leaks=0 UCX_MEM_EVENTS=n ";

class Mpi : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    if (std::string(SANITIZERS) == "thread")
      GTEST_SKIP() << "MPI libraries are uninstrumented";
    if (runShell(base::text("command -v ", implementation.launcher)).status != 0)
      GTEST_SKIP() << "this machine lacks " << implementation.launcher;
  }

  Outcome launch(int size, const std::string &arguments) const {
    return runShell(base::text(kVariables, "timeout 60 ", implementation.launcher, " ",
                               implementation.options, " -n ", size, " " RANK " ", arguments, " </dev/null"));
  }

  const Implementation &implementation = kImplementations[GetParam()];
};

INSTANTIATE_TEST_SUITE_P(Comm, Mpi, testing::Range(0, 2),
                         [](const auto &info) { return kImplementations[info.param].name; });

std::string runChecksInProcess(int size) {
  std::string lines;
  auto errors = runRanks(size, makeCheckOptions(), [&](Queue &queue) {
    for (const std::string &line : runChecks(queue))
      if (queue.getRank() == 0)
        lines += line + "\n";
  });
  EXPECT_EQ(errors, std::vector<std::string>(size_t(size)));
  return lines;
}

TEST_P(Mpi, ConformsAndHasTheBitsOfThreads) {
  for (int size : {1, 3, 8}) {
    Outcome outcome = launch(size, "checks");
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.output, runChecksInProcess(size)) << size << " ranks";
  }
}

/// The lines of a report among what launchers say themselves, and how many reports there are.
std::string findReport(const std::string &output, int &count) {
  std::string report;
  count = 0;
  for (const char *begin : {"no rank goes on", "not all ranks do the same"})
    for (size_t at = output.find(begin); at != std::string::npos; at = output.find(begin, at + 1)) {
      report = output.substr(at);
      ++count;
    }
  return report;
}

/// Launches them beside each other: most of their time is waiting.
std::vector<Outcome> launchAll(const std::vector<std::function<Outcome()>> &launches) {
  std::vector<std::future<Outcome>> futures;
  for (const auto &launch : launches)
    futures.push_back(std::async(std::launch::async, launch));
  std::vector<Outcome> outcomes;
  for (std::future<Outcome> &future : futures)
    outcomes.push_back(future.get());
  return outcomes;
}

/// One report, soon, and an end with an error; the report.
std::string expectOneReport(const Outcome &outcome) {
  int count = 0;
  std::string report = findReport(outcome.output, count);
  EXPECT_EQ(count, 1) << outcome.output;
  EXPECT_NE(outcome.status, 0);
  EXPECT_LT(outcome.seconds, 5);
  return report;
}

/// Three say how it is with all: who stalls, who sends too much, who does something else.
TEST_P(Mpi, NamesWhoErrs) {
  std::vector<const Fault *> faults;
  std::vector<std::function<Outcome()>> launches;
  for (const Fault &fault : getFaults())
    if (!fault.needsThird || fault.name == std::string("WrongOrder")) {
      faults.push_back(&fault);
      launches.push_back([this, &fault] { return launch(4, base::text("fault ", fault.name, " 2")); });
    }
  std::vector<Outcome> outcomes = launchAll(launches);
  ASSERT_EQ(faults.size(), 3u);
  for (size_t i = 0; i < faults.size(); ++i)
    EXPECT_TRUE(names(expectOneReport(outcomes[i]), *faults[i], 2, 4)) << faults[i]->name << ":\n"
                                                                       << outcomes[i].output;
}

TEST_P(Mpi, NamesARankThatDoesNotAnswer) {
  constexpr int kStopped[] = {0, 2};
  std::vector<Outcome> outcomes =
      launchAll({[&] { return launch(3, "stopped 0"); }, [&] { return launch(3, "stopped 2"); }});
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(expectOneReport(outcomes[i])
                    .starts_with(base::text("no rank goes on, all wait for rank ", kStopped[i],
                                            ", which does not answer\n")))
        << outcomes[i].output;
}

TEST_P(Mpi, SleepsWhileItWaits) {
  Outcome outcome = launch(2, "idle");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_LT(std::atoi(outcome.output.c_str()), 150) << "ms of processor in 500 ms: " << outcome.output;
}

/// Launchers end the others themselves when one dies.
TEST_P(Mpi, EndsWhenARankDies) {
  Outcome outcome = launch(3, "killed 1");
  EXPECT_NE(outcome.status, 0);
  EXPECT_LT(outcome.seconds, 5);
}

using Variables = std::map<std::string, const char *>;

std::optional<Launcher> findIn(const Variables &variables) {
  return findLauncher([&](const char *name) {
    auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second;
  });
}

TEST(MpiLauncher, IsFoundByItsVariables) {
  EXPECT_FALSE(findIn({}));
  EXPECT_FALSE(findIn({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
  EXPECT_EQ(findIn({{"OMPI_COMM_WORLD_SIZE", "8"}, {"PMIX_RANK", "1"}})->size, 8);
  EXPECT_EQ(findIn({{"OMPI_COMM_WORLD_SIZE", "8"}})->libraries, std::vector<std::string>{"libmpi.so.40"});
  EXPECT_EQ(findIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}})->libraries[0], "libmpich.so.12");
  EXPECT_EQ(findIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}})->size, 4);
  Variables slurm = {{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "16"}};
  try {
    findIn(slurm);
    FAIL();
  } catch (const base::Error &error) {
    EXPECT_STREQ(error.what(),
                 "srun has started 16 processes that know nothing of each other; start them with "
                 "srun --mpi=pmix or --mpi=pmi2");
  }
  slurm["PMIX_RANK"] = "3";
  EXPECT_EQ(findIn(slurm)->name, "srun");
  EXPECT_EQ(findIn(slurm)->size, 16);
}

std::string errorOf(const Launcher &launcher) {
  try {
    loadMpi(launcher);
  } catch (const base::Error &error) {
    return error.what();
  }
  return "";
}

TEST(MpiLibrary, SaysWhyNoneIsLoaded) {
  std::string error = errorOf({"mpiexec", 2, {"libnone.so.1", "libnone.so.2"}});
  EXPECT_TRUE(error.starts_with("mpiexec has started this process, but MPI cannot be loaded: libnone.so.1: "))
      << error;
  EXPECT_NE(error.find("libnone.so.2"), std::string::npos);
  EXPECT_EQ(errorOf({"mpiexec", 2, {"libm.so.6"}}),
            "libm.so.6 has no MPI_Init_thread; install Open MPI 4 or later, or MPICH 3.1 or later");
}

/// What one gets with the launcher of another MPI: every process is alone.
TEST(MpiLibrary, RefusesTheLauncherOfAnother) {
  if (std::string(SANITIZERS) == "thread")
    GTEST_SKIP() << "MPI libraries are uninstrumented";
  if (runShell("command -v mpirun.mpich").status != 0)
    GTEST_SKIP() << "this machine lacks mpirun.mpich";
  Outcome outcome = runShell(base::text(kVariables, "PMI_RANK=0 PMI_SIZE=2 " RANK " checks"));
  EXPECT_NE(outcome.output.find("error: mpiexec has started 2 processes, libmpich.so.12 finds 1; "
                                "use the launcher that belongs to this MPI\n"),
            std::string::npos)
      << outcome.output;
}

} // namespace

} // namespace contraflow::test
