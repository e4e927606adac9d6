//===- Trainer.cpp - a run from the first step to the last ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/train/Trainer.h"
#include "runtime/abi/MemoryNeed.h"
#include "runtime/base/Clock.h"
#include "runtime/base/Error.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Output.h"
#include "runtime/metrics/EventFile.h"
#include "runtime/metrics/JsonLines.h"
#include "runtime/metrics/Progress.h"
#include "runtime/train/Generator.h"
#include "runtime/train/Initialize.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace contraflow::train {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
namespace fs = std::filesystem;

namespace {

std::atomic<bool> stopRequested{false};

/// The first signal ends the run after the step, a second one at once.
void stop(int signal) {
  if (stopRequested.exchange(true)) {
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  constexpr std::string_view kNote =
      "contraflow: saving after this step and ending; once more ends at once\n";
  // It may come between a call that failed and the look at its reason.
  int reason = errno;
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kNote.data(), kNote.size());
  errno = reason;
}

struct Handler {
  int signal;
  void (*handler)(int);
  struct sigaction before = {};
};

/// Of who listened to the run: a closed terminal, a pipe without a reader. They may come any number of times.
void stopQuietly(int) { stopRequested = true; }

Handler handlers[] = {{SIGINT, stop}, {SIGTERM, stop}, {SIGHUP, stopQuietly}, {SIGPIPE, stopQuietly}};

void installStopHandler() {
  for (Handler &handler : handlers) {
    struct sigaction action = {};
    action.sa_handler = handler.handler;
    // The save that a signal asks for must not fail of it.
    action.sa_flags = SA_RESTART;
    sigaction(handler.signal, nullptr, &handler.before);
    // nohup makes a process ignore the end of its terminal.
    if (handler.before.sa_handler != SIG_IGN || handler.handler == stop)
      sigaction(handler.signal, &action, nullptr);
  }
}

/// What was ignored when the process began is so again.
void removeStopHandler() {
  for (const Handler &handler : handlers)
    sigaction(handler.signal, &handler.before, nullptr);
}

data::CorpusOptions corpusOptions(const Settings &settings) {
  return {settings.dataPaths, settings.dataInclude, settings.heldOut};
}

/// A number that is not finite; its sign says nothing when it is no number.
std::string numberText(double value) { return std::isnan(value) ? "nan" : text(value); }

/// Some lines from inside a held-out document, and the path.
std::pair<std::string, std::string> choosePrompt(const std::vector<data::Document> &documents) {
  constexpr size_t kBytes = 200;
  auto isLong = [](const data::Document &document) { return document.bytes.size() >= 8 * kBytes; };
  auto found = std::find_if(documents.begin(), documents.end(), isLong);
  const data::Document &document = found == documents.end() ? documents.front() : *found;
  const std::string &bytes = document.bytes;
  size_t begin = bytes.find('\n', bytes.size() / 2);
  begin = begin == std::string::npos || begin + 1 >= bytes.size() ? 0 : begin + 1;
  size_t end = std::min(begin + kBytes, bytes.size());
  size_t line = bytes.rfind('\n', end - 1);
  if (line != std::string::npos && line > begin)
    end = line + 1;
  return {bytes.substr(begin, end - begin), document.path};
}

/// Why the folder takes no files and cannot be made; nothing where it is sound.
std::optional<std::string> whyUnwritable(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  // A link to nothing is there, and no folder can be made of it.
  while (!fs::exists(fs::symlink_status(folder, error)) && folder.has_relative_path())
    folder = folder.parent_path();
  if (!fs::is_directory(folder, error))
    return text("'", folder.string(), "' is no folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    return text("'", folder.string(), "': ", std::strerror(errno));
  return std::nullopt;
}

/// Whether `file` would be the folder or one above it.
bool liesAt(const std::string &file, const std::string &folder) {
  if (file.empty() || folder.empty())
    return false;
  std::error_code fileError, folderError;
  fs::path path = fs::weakly_canonical(file, fileError), below = fs::weakly_canonical(folder, folderError);
  // What cannot be resolved is a pipe, or an error where it is opened.
  return !fileError && !folderError &&
         std::mismatch(path.begin(), path.end(), below.begin(), below.end()).first == path.end();
}

} // namespace

Trainer::Trainer(executor::Executor &executor, Settings settingsGiven, TrainOptions optionsGiven, Ranks ranks)
    : executor(executor), manifest(executor.getManifest()), settings(std::move(settingsGiven)),
      options(std::move(optionsGiven)), ranks(std::move(ranks)), step(executor, settings, this->ranks),
      folder(options.checkpoint, getSay()), metricReport(manifest), metricSums(step.getMetricCount()),
      validationSums(step.getMetricCount()) {
  if (manifest.vocab <= std::max({manifest.bos, manifest.eos, int64_t(255)}))
    throw Error(message<ErrorId::VocabularyTooSmall>(
        manifest.vocab, std::max({manifest.bos, manifest.eos, int64_t(255)}) + 1));
}

void Trainer::say(const std::string &line) const {
  if (ranks.isFirst())
    base::print(line + "\n");
}

bool Trainer::run() {
  begin();
  beginSeconds = base::seconds();
  bool isStopped = shouldStop();
  for (int64_t number = firstStep + 1; number <= settings.steps && !isStopped; ++number) {
    readBatch();
    trainStep(number);
    bool validated = validateWhenDue(number);
    report(number, validated);
    if (divides(settings.checkpointEvery, number) || divides(settings.keepEvery, number))
      saveUnlessItFails();
    isStopped = shouldStop();
  }
  if (ranks.any(savedStep != state.step) && state.step > firstStep)
    save();
  bool isWhole = !isStopped || state.step >= settings.steps;
  if (isWhole)
    finish(isStopped);
  else
    say(text("stopped after step ", state.step, "; continue with --resume"));
  // Nobody ends before the first rank has written what all have made.
  ranks.meet();
  return isWhole;
}

/// All ranks stop where one of them is asked to.
bool Trainer::shouldStop() { return ranks.any(stopRequested); }

//===----------------------------------------------------------------------===//
// Before the first step
//===----------------------------------------------------------------------===//

void Trainer::begin() {
  ranks.startLongWork("what comes before the first step");
  checkArguments();
  loadParameters();
  readText();
  std::ranges::fill(step.getStarts(), 0);
  unusedStarts.resize(size_t(manifest.seq));
  for (const std::unique_ptr<metrics::Sink> &sink : sinks)
    sink->begin(firstStep);
  ranks.requireSame({{"the trainer", manifest.buildId},
                     {"the run file", state.run},
                     {"the text to train on", std::to_string(state.dataFingerprint)},
                     {"the step to go on from", std::to_string(state.step)}});
  if (ranks.isFirstOfProcess())
    installStopHandler();
}

void Trainer::checkPaths() {
  base::ErrorList errors;
  errors.collect([&] { data::checkOptions(corpusOptions(settings)); });
  if (liesAt(options.metrics, options.checkpoint))
    errors.add(message<ErrorId::MetricsOverFolder>(options.metrics, "--checkpoint"));
  if (liesAt(options.metrics, options.tensorboard))
    errors.add(message<ErrorId::MetricsOverFolder>(options.metrics, "--tensorboard"));
  if (std::optional<std::string> reason = whyUnwritable(options.checkpoint))
    errors.add(message<ErrorId::CheckpointUnwritable>(options.checkpoint, *reason));
  if (std::optional<std::string> reason = whyUnwritable(options.tensorboard);
      reason && !options.tensorboard.empty())
    errors.add(message<ErrorId::EventsUnwritable>(options.tensorboard, *reason));
  errors.raise();
}

/// Reading text and parameters may take minutes: a slip in an argument is an error before that.
void Trainer::checkArguments() {
  checkPaths();
  if (options.resume || options.initialize)
    openSource();
  // Others may still look for the checkpoint that the first rank is about to put elsewhere.
  ranks.meet();
  if (!ranks.isFirst())
    return;
  bool willSave = settings.steps > (options.resume ? abi::stateOf(*source)->step : 0);
  // A run that has nothing left to do takes away what it left when it was killed.
  if (willSave || fs::is_directory(options.checkpoint))
    folder.claim();
  if (willSave)
    folder.requireRoom(checkpoint::tensorsOfRun(executor));
  if (!options.metrics.empty())
    sinks.push_back(std::make_unique<metrics::JsonLines>(options.metrics, getSay()));
  if (!options.tensorboard.empty())
    sinks.push_back(std::make_unique<metrics::EventFile>(options.tensorboard));
}

void Trainer::openSource() {
  checkpoint::Use use = options.resume ? checkpoint::Use::Run : checkpoint::Use::Parameters;
  auto sayOnce = [&](const std::string &line) {
    if (ranks.isFirst())
      checkpoint::sayOnError(line);
  };
  source.emplace(
      checkpoint::open(executor, options.resume ? *options.resume : *options.initialize, use, sayOnce));
  if (!abi::hasChecksums(*source))
    say(text("note: '", source->getPath(), "' has no checksums: damage to its numbers would not show"));
  if (!options.resume)
    return;
  int64_t resumed = abi::stateOf(*source)->step;
  if (resumed > settings.steps)
    throw Error(message<ErrorId::CheckpointAhead>(resumed, settings.steps));
  std::error_code error;
  if (fs::equivalent(source->getPath(), folder.fileOf(resumed), error))
    folder.continueFrom(resumed);
}

void Trainer::loadParameters() {
  if (options.resume) {
    resumeFrom(*source);
  } else if (options.initialize) {
    for (const std::string &name : checkpoint::loadParameters(executor, *source))
      say(text("warning: '", source->getPath(), "': nothing uses tensor '", name, "'"));
    checkpoint::requireFiniteParameters(executor, source->getPath());
    initializeAverages(executor);
  } else {
    initializeParameters(executor, settings.seed, settings.initStd);
  }
  source.reset();
}

void Trainer::readText() {
  corpus = data::readCorpus(corpusOptions(settings));
  // The arena is taken page by page: what it lacks of would end the process without a word.
  abi::MemoryNeed::of(manifest, executor.getPool().getThreads(), corpus.bytes())
      .requireAtMost(abi::getMemoryLimit());
  say("data: " + corpus.summary());
  uint64_t fingerprint = base::mix(corpus.fingerprint() ^ uint64_t(manifest.seq));
  if (options.resume && fingerprint != state.dataFingerprint)
    throw Error(message<ErrorId::TextChanged>());
  state.dataFingerprint = fingerprint;
  state.seed = settings.seed;
  state.buildId = manifest.buildId;
  state.model = manifest.model;
  state.run = settings.writeInto(manifest.run);

  data::Vocabulary vocabulary{int32_t(manifest.bos), int32_t(manifest.eos)};
  training =
      std::make_unique<data::Sequences>(corpus.training, manifest.seq, vocabulary, settings.seed, true);
  if (!corpus.heldOut.empty() && manifest.findProgram("evaluate")) {
    // The same validation text whatever the seed.
    validation = std::make_unique<data::Sequences>(corpus.heldOut, manifest.seq, vocabulary, 0, true);
  }
}

void Trainer::resumeFrom(const abi::SafetensorsFile &file) {
  const std::string &path = file.getPath();
  state = checkpoint::resume(executor, file);
  if (options.seedGiven && settings.seed != state.seed)
    throw Error(message<ErrorId::SeedChanged>(state.seed, settings.seed));
  if (state.buildId != manifest.buildId)
    say(text("note: '", path, "' was written by a trainer that was compiled from something else (build ",
             state.buildId, ", this is ", manifest.buildId, ")"));
  for (const std::string &change : settings.changesSince(state.run))
    say(text("note: ", change, " up to step ", state.step));
  resumeAverages(file);
  settings.seed = state.seed;
  firstStep = savedStep = state.step;
  say(text("resuming '", path, "' after step ", state.step));
}

/// Averages are new to a run that was compiled again with them, and end where it was compiled without.
void Trainer::resumeAverages(const abi::SafetensorsFile &file) {
  bool hasAverages = manifest.findRegion("ema");
  if (hasAverages && !checkpoint::holdsAverages(file)) {
    initializeAverages(executor);
    say(text("note: '", file.getPath(), "' holds no averages of parameters; they begin as the parameters"));
  } else if (!hasAverages && checkpoint::holdsAverages(file)) {
    say(text("note: this trainer was compiled without ema.decay: the averages in '", file.getPath(),
             "' end here"));
  }
}

//===----------------------------------------------------------------------===//
// A step
//===----------------------------------------------------------------------===//

void Trainer::readSequence(data::Sequences &sequences, int64_t number, int64_t row) {
  size_t at = size_t(row * manifest.seq), seq = size_t(manifest.seq);
  bool masked = settings.documentMask && !step.getStarts().empty();
  sequences.read(number, step.getTokens().subspan(at, seq),
                 masked ? step.getStarts().subspan(at, seq) : std::span<int32_t>(unusedStarts));
}

void Trainer::readBatch() {
  for (int64_t i = 0; i < sequencesOfRank(); ++i)
    readSequence(*training, firstSequence() + i, i);
}

void Trainer::trainStep(int64_t number) {
  double begin = base::seconds();
  step.runGradients(number);
  lastLosses = step.readLosses(manifest.microBatches);
  if (!std::isfinite(lastLosses.total) || !std::isfinite(step.getGradientNorm()))
    refuseNonFinite(number);
  std::ranges::fill(metricSums, 0);
  step.addMetrics(metricSums);
  step.runUpdate();
  state.step = number;
  state.dataPosition += sequencesOfRank() * ranks.getReplicas();
  double seconds = base::seconds() - begin;
  lastStepSeconds = seconds;
  stepSeconds += seconds;
  totalStepSeconds += seconds;
  ++stepsSinceLine;
}

/// The parameters are still those of the step before.
void Trainer::refuseNonFinite(int64_t number) {
  bool lossIsBad = !std::isfinite(lastLosses.total);
  int64_t microBatch = step.getBadMicroBatch();
  // All ranks have the same sums; those speak whose own were bad before.
  if (ranks.any(microBatch >= 0) && microBatch < 0)
    throw comm::StuckError("the loss of another rank is not finite");
  std::string documents;
  for (int64_t i = 0; i < sequencesOfRank(); ++i)
    if (microBatch < 0 || i / manifest.batch == microBatch)
      documents += "\n  " + training->describe(firstSequence() + i);
  throw Error(message<ErrorId::NotFinite>(
      lossIsBad ? "the loss is " : "the gradient norm is ",
      numberText(lossIsBad ? lastLosses.total : step.getGradientNorm()), number,
      microBatch < 0 ? ""
                     : text(" (", ranks.getSize() > 1 ? text("rank ", ranks.getRank(), ", ") : "",
                            "micro-batch ", microBatch, ")"),
      advice(), documents));
}

std::string Trainer::advice() const {
  if (state.step == 0)
    return text("no update was made yet: ",
                options.initialize ? "initialize with another file or lower" : "lower init.std or",
                " the weights in loss");
  return text("lower optimizer.lr or lengthen optimizer.warmup_steps",
              savedStep >= 0 ? text("; the checkpoint of step ", savedStep, " is whole") : "");
}

bool Trainer::validate() {
  // The averages first: metrics of a validation are those of the parameters, whose sums stay.
  std::optional<double> loss, averagesLoss;
  if (step.hasAverages())
    averagesLoss = validateWith(&Step::runEvaluateAverages);
  if (averagesLoss || !step.hasAverages())
    loss = validateWith(&Step::runEvaluate);
  if (!loss || averagesLoss.has_value() != step.hasAverages())
    return false;
  validationLoss = loss;
  averagesValidationLoss = averagesLoss;
  return true;
}

std::optional<double> Trainer::validateWith(void (Step::*evaluate)()) {
  int64_t tokens = std::min(settings.validationTokens, validation->getTokensPerEpoch());
  int64_t batches = std::max<int64_t>(tokens / (manifest.batch * manifest.seq * ranks.getReplicas()), 1);
  double sum = 0;
  std::ranges::fill(validationSums, 0);
  for (int64_t batch = 0; batch < batches; ++batch) {
    if (shouldStop())
      return std::nullopt;
    int64_t first = (batch * ranks.getReplicas() + ranks.getReplica()) * manifest.batch;
    for (int64_t i = 0; i < manifest.batch; ++i)
      readSequence(*validation, (first + i) % validation->getPerEpoch(), i);
    (step.*evaluate)();
    sum += step.readLosses(1).main;
    step.addMetrics(validationSums);
  }
  if (!std::isfinite(sum))
    throw Error(message<ErrorId::ValidationNotFinite>(numberText(sum), state.step, advice()));
  return sum / double(batches);
}

bool Trainer::validateWhenDue(int64_t number) {
  return validation && isDue(number, settings.validateEvery) && validate();
}

/// The loss and the gradients of a step are those of the parameters before it; what its update made of them
/// shows in the next step only. A checkpoint must not wait for that: it would replace a good one. So the
/// micro-batch at hand is evaluated with the new parameters.
void Trainer::requireSoundModel() {
  checkpoint::requireFinite(executor, state.step);
  if (!manifest.findProgram("evaluate"))
    return;
  step.runEvaluate();
  double loss = step.readLosses(1).total;
  if (!std::isfinite(loss))
    throw Error(message<ErrorId::UpdateNotFinite>(numberText(loss), state.step, advice()));
}

void Trainer::report(int64_t number, bool validated) {
  if (!sinks.empty())
    writeMetrics(number, validated);
  if (!validated && !isDue(number, settings.logEvery) && number != firstStep + 1)
    return;
  metrics::Progress progress;
  progress.step = number;
  progress.steps = settings.steps;
  progress.loss = lastLosses.main;
  progress.validationLoss = validationLoss;
  progress.averagesValidationLoss = averagesValidationLoss;
  progress.gradientNorm = step.getGradientNorm();
  progress.learningRate = learningRateAt(settings, number);
  progress.tokensPerSecond = meanTokensPerSecond();
  progress.secondsLeft =
      (base::seconds() - beginSeconds) / double(number - firstStep) * double(settings.steps - number);
  say(metrics::progressLine(progress));
  stepSeconds = 0;
  stepsSinceLine = 0;
}

void Trainer::writeMetrics(int64_t number, bool validated) {
  using metrics::Number;
  metrics::Report &report = metricReport;
  report.begin(number);
  report.set(Number::Loss, lastLosses.main);
  report.set(Number::Total, lastLosses.total);
  report.setLosses(lastLosses.byName);
  report.setMetrics(metricSums, manifest.microBatches * ranks.getReplicas());
  if (validated) {
    report.set(Number::ValidationLoss, *validationLoss);
    report.setValidationMetrics(validationSums);
    if (averagesValidationLoss)
      report.set(Number::ValidationLossEma, *averagesValidationLoss);
  }
  report.set(Number::GradientNorm, step.getGradientNorm());
  report.set(Number::LearningRate, learningRateAt(settings, number));
  report.set(Number::StepSeconds, lastStepSeconds);
  report.set(Number::TokensPerSecond, meanTokensPerSecond());
  if (manifest.flopsPerStep > 0)
    report.set(Number::GigaflopsPerSecond, flopsPerStep() / lastStepSeconds * 1e-9);
  report.set(Number::ArenaBytes, double(manifest.arenaBytes));
  memory.look();
  report.set(Number::ResidentBytes, double(memory.resident));
  report.set(Number::PeakResidentBytes, double(memory.peak));
  for (const std::unique_ptr<metrics::Sink> &sink : sinks)
    sink->write(report);
}

//===----------------------------------------------------------------------===//
// Checkpoint and end
//===----------------------------------------------------------------------===//

/// A disk may have room again when the next checkpoint is due, and older ones are whole. At the end save()
/// throws.
void Trainer::saveUnlessItFails() {
  requireSoundModel();
  try {
    write();
  } catch (const std::exception &error) {
    const char *what = folder.getNewest() == state.step ? " has a checkpoint that a power cut may destroy: "
                                                        : " has no checkpoint: ";
    say(text("warning: step ", state.step, what, error.what(), "; the run goes on"));
  }
}

void Trainer::save() {
  requireSoundModel();
  write();
}

void Trainer::write() {
  if (ranks.isFirst()) {
    ranks.startLongWork("a checkpoint");
    std::vector<abi::NamedTensor> tensors = checkpoint::tensorsOfRun(executor);
    abi::Metadata metadata = abi::checkpointMetadata(tensors, state, checkpoint::forEachOn(executor));
    folder.save(tensors, metadata, state.step, {settings.keepLast, settings.keepEvery});
  }
  savedStep = state.step;
}

void Trainer::finish(bool isStopped) {
  // Everything is saved: from here on a signal ends the process as usual.
  if (ranks.isFirstOfProcess())
    removeStopHandler();
  int64_t steps = state.step - firstStep;
  if (steps > 0) {
    double seconds = base::seconds() - beginSeconds;
    std::string rate = text(steps, " steps in ", metrics::durationText(seconds));
    if (totalStepSeconds > 0) {
      rate += text(", ", int64_t(double(steps * tokensPerStep()) / totalStepSeconds), " tokens/s");
      if (manifest.flopsPerStep > 0)
        rate += text(", ", int64_t(flopsPerStep() * double(steps) / totalStepSeconds * 1e-9), " GFLOP/s");
    }
    say(rate);
    say(text("checkpoint: '", folder.fileOf(state.step), "'"));
  }
  if (!validation || isStopped)
    return;
  if (!validationLoss && !validate())
    return;
  char line[80];
  std::snprintf(line, sizeof(line), "validation loss %.4f nats per byte", *validationLoss);
  say(line);
  if (averagesValidationLoss) {
    std::snprintf(line, sizeof(line), "validation loss %.4f nats per byte with averaged parameters",
                  *averagesValidationLoss);
    say(line);
  }
  if (options.sampleLength > 0 && manifest.findProgram("generate") && ranks.isFirst())
    writeSample();
}

void Trainer::writeSample() {
  auto [prompt, path] = choosePrompt(corpus.heldOut);
  ranks.startLongWork("a sample");
  say(text("--- prompt, from the held-out '", path, "' ---\n", prompt, "--- continuation ---"));
  SamplingOptions sampling;
  sampling.length = options.sampleLength;
  sampling.temperature = options.sampleTemperature;
  sampling.seed = settings.seed;
  sampling.fromStart = false;
  generate(executor, prompt, sampling, [](char byte) { base::print({&byte, 1}); });
  say("\n---");
}

} // namespace contraflow::train
