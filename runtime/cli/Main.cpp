//===- Main.cpp - the executable that generated code is appended to -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Abi.h"
#include "runtime/abi/MemoryNeed.h"
#include "runtime/abi/Payload.h"
#include "runtime/base/Error.h"
#include "runtime/base/Output.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/checkpoint/Export.h"
#include "runtime/cli/Launch.h"
#include "runtime/cli/Options.h"
#include "runtime/device/cpu/Pool.h"
#include "runtime/executor/Executor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace contraflow::cli {

namespace {

constexpr int kError = 1, kUsageError = 2, kInterrupted = 130;

abi::Payload readOwnPayload() {
  constexpr const char *kSelf = "/proc/self/exe";
  std::error_code error;
  std::string name = std::filesystem::read_symlink(kSelf, error).string();
  if (std::optional<abi::Payload> payload = abi::readPayload(kSelf, name))
    return std::move(*payload);
  throw base::Error(base::message<base::ErrorId::TrainerEmpty>());
}

train::Settings settingsOf(const Options &options, const abi::Manifest &manifest) {
  train::Settings settings = train::Settings::parse(manifest.run, options.assignments);
  if (options.seed)
    settings.seed = *options.seed;
  if (options.steps)
    settings.steps = *options.steps;
  if (options.heldOut)
    settings.heldOut = *options.heldOut;
  if (!options.data.empty())
    settings.dataPaths = options.data;
  if (!options.include.empty())
    settings.dataInclude = options.include;
  return settings;
}

int threadsOf(const Options &options) {
  return options.threads > 0 ? options.threads : device::availableThreads();
}

/// The arena is taken page by page, and a machine that runs out of memory ends a process without a word.
void requireMemory(const abi::Manifest &manifest, int threads, int ranks) {
  abi::MemoryNeed need = abi::MemoryNeed::of(manifest, threads);
  need.bytes *= ranks;
  need.requireAtMost(abi::getMemoryLimit());
  int64_t unused = abi::getFreeMemory();
  // Others may give memory back, so that this is no error.
  if (need.bytes > unused)
    std::fprintf(stderr, "contraflow: warning: %s\n",
                 base::message<base::ErrorId::MemoryBusy>(abi::formatBytes(need.bytes),
                                                          abi::formatBytes(unused), need.peak)
                     .c_str());
}

/// As printf does.
[[gnu::format(printf, 2, 3)]] void append(std::string &text, const char *format, ...) {
  char *line = nullptr;
  va_list values;
  va_start(values, format);
  if (vasprintf(&line, format, values) >= 0)
    text += line;
  va_end(values);
  std::free(line);
}

std::string describe(const abi::Manifest &manifest) {
  int64_t elements = 0, buffers = 0;
  for (const abi::Parameter &parameter : manifest.parameters)
    (parameter.trainable ? elements : buffers) += parameter.elements();
  auto number = [](int64_t value) { return static_cast<long long>(value); };
  std::string info =
      base::text("model          ", manifest.model, "\nbuild          ", manifest.buildId, "\n");
  append(info, "parameters     %lld trained, %lld in buffers, %zu entries\n", number(elements),
         number(buffers), manifest.parameters.size());
  append(info, "vocabulary     %lld\n", number(manifest.vocab));
  if (manifest.mesh.getWorld() > 1)
    append(info, "ranks          %lld, each with the step and the memory below\n",
           number(manifest.mesh.getWorld()));
  append(info, "step           %lld micro-batches of %lld sequences of %lld ids\n",
         number(manifest.microBatches), number(manifest.batch), number(manifest.seq));
  append(info, "memory         %lld MiB arena, %lld KiB scratch per thread\n",
         number(manifest.arenaBytes >> 20), number(manifest.scratchBytesPerWorker >> 10));
  append(info, "  %-14s %12lld bytes, %lld live at most\n", "arena", number(manifest.arenaBytes),
         number(manifest.maxLiveBytes));
  for (const auto &[name, region] : manifest.regions)
    append(info, "  %-14s %12lld bytes at %lld\n", name.c_str(), number(region.bytes), number(region.offset));
  if (manifest.guardBytes > 0)
    append(info, "checked        %lld guard bytes on both sides of every buffer\n",
           number(manifest.guardBytes));
  append(info, "functions      %zu\n", manifest.functions.size());
  for (const auto &[name, program] : manifest.programs)
    append(info, "  program %-12s %6zu rows\n", name.c_str(), program.size());
  info += "losses        ";
  for (const abi::Loss &loss : manifest.losses)
    append(info, " %s*%g", loss.name.c_str(), loss.weight);
  info += "\nprocessor     ";
  for (const std::string &feature : manifest.isa)
    info += " " + feature;
  return info + "\nrun file       " + manifest.run + "\n";
}

void loadModel(executor::Executor &executor, const Options &options) {
  checkpoint::Use use = options.averages ? checkpoint::Use::Averages : checkpoint::Use::Parameters;
  abi::SafetensorsFile file =
      checkpoint::open(executor, options.train.checkpoint, use, checkpoint::sayOnError);
  if (options.averages)
    checkpoint::loadAverages(executor, file);
  else
    checkpoint::loadParameters(executor, file);
}

void exportModel(executor::Executor &executor, const Options &options) {
  checkpoint::requireExportFolder(options.exportFolder, options.train.checkpoint);
  loadModel(executor, options);
  checkpoint::exportModel(executor, options.exportFolder);
}

void generateText(executor::Executor &executor, const Options &options, const train::Settings &settings) {
  loadModel(executor, options);
  train::SamplingOptions sampling = options.sampling;
  sampling.seed = settings.seed;
  base::print(options.prompt);
  train::generate(executor, options.prompt, sampling, [](char byte) { base::print({&byte, 1}); });
  base::print("\n");
}

/// The stub says it too, before there is a program.
void printVersion() {
  std::string version = base::text("contraflow trainer ", CONTRAFLOW_VERSION, " (ABI ", CF_ABI_VERSION, ")");
  if (std::optional<abi::Payload> payload = abi::readPayload("/proc/self/exe", "")) {
    abi::Manifest manifest = abi::Manifest::fromJson(payload->manifest);
    version += base::text(", model ", manifest.model, ", build ", manifest.buildId);
  }
  base::print(version + "\n");
}

train::Ranks ranksOf(const LocalRank &rank, const abi::Manifest &manifest) {
  return rank.queue ? train::Ranks(*rank.queue, manifest.mesh, rank.isOwnProcess) : train::Ranks();
}

int trainModel(executor::Executor &executor, const Options &options, const train::Settings &settings,
               const LocalRank &rank) {
  train::Trainer trainer(executor, settings, options.train, ranksOf(rank, executor.getManifest()));
  try {
    return trainer.run() ? 0 : kInterrupted;
  } catch (const std::exception &error) {
    if (rank.end)
      rank.end(error);
    throw;
  }
}

/// What one rank of a command does.
int runRank(const Options &options, const abi::Manifest &manifest, const std::string &object,
            const train::Settings &settings, const LocalRank &rank) {
  int threads = std::max(threadsOf(options) / rank.ranks, 1);
  if (rank.isFirst)
    requireMemory(manifest, threads, rank.ranks);
  executor::Executor executor(manifest, object, threads, rank.queue);
  if (options.profile)
    executor.startProfile();
  int result = 0;
  if (options.command == Command::Train)
    result = trainModel(executor, options, settings, rank);
  else if (options.command == Command::Generate)
    generateText(executor, options, settings);
  else if (options.command == Command::Export)
    exportModel(executor, options);
  else
    train::probe(executor, settings, options.probe);
  if (options.profile && rank.isFirst)
    base::print("\n" + executor.printProfile());
  return result;
}

int runCommand(const Options &options) {
  if (options.command == Command::Version) {
    printVersion();
    return 0;
  }
  abi::Payload payload = readOwnPayload();
  abi::Manifest manifest = abi::Manifest::fromJson(payload.manifest);
  if (options.command == Command::Info) {
    base::print(options.json ? payload.manifest : describe(manifest));
    return 0;
  }
  train::Settings settings = settingsOf(options, manifest);
  executor::installCrashReport();
  auto run = [&](const LocalRank &rank) {
    return runRank(options, manifest, payload.object, settings, rank);
  };
  // What is not training has no collectives.
  if (options.command != Command::Train)
    return run({});
  std::optional<comm::Launcher> launcher = comm::findLauncher();
  if (launcher && launcher->size > 1 && options.inProcess)
    throw base::Error(base::message<base::ErrorId::RanksTwice>(launcher->name, launcher->size));
  if (manifest.mesh.getWorld() == 1) {
    // Others would write the same files.
    if (launcher && launcher->size > 1)
      throw base::Error(base::message<base::ErrorId::RanksCount>(1, launcher->name, launcher->size));
    return run({});
  }
  if (options.inProcess)
    return runInProcess(manifest.mesh, run);
  if (launcher)
    return runLaunched(*launcher, manifest.mesh, run);
  int64_t ranks = manifest.mesh.getWorld();
  throw base::Error(base::message<base::ErrorId::RanksMissing>(ranks, ranks, ranks));
}

int fail(const std::exception &error, int code) {
  std::fprintf(stderr, "%s%s\n", base::kErrorPrefix, error.what());
  return code;
}

/// Where a daemon was started without them, files would be opened as standard streams and get their text.
void openStandardStreams() {
  for (int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(number, F_GETFD) == -1 && errno == EBADF)
        // The smallest free number, which is this one.
        [[maybe_unused]]
      int opened = open("/dev/null", O_RDWR);
}

} // namespace

int run(int argc, char **argv) {
  openStandardStreams();
  Options options;
  try {
    options = parseOptions({argv + 1, argv + argc});
  } catch (const base::Error &error) {
    return fail(error, kUsageError);
  }
  try {
    int result = 0;
    if (options.command == Command::Help)
      base::print(helpText(argc > 0 ? argv[0] : "trainer", options.helpTopic));
    else
      result = runCommand(options);
    base::requireOutput();
    return result;
  } catch (const std::exception &error) {
    return fail(error, kError);
  }
}

} // namespace contraflow::cli

int main(int argc, char **argv) {
  // A file size limit becomes an error of write(), which names the file, in place of a silent end.
  std::signal(SIGXFSZ, SIG_IGN);
  return contraflow::cli::run(argc, argv);
}
