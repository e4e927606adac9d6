//===- Options.cpp - the command line of a trainer ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cli/Options.h"
#include "runtime/abi/Manifest.h"
#include "runtime/base/Error.h"
#include "runtime/base/Nearest.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>

namespace contraflow::cli {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

using Values = std::vector<std::string>;

// Which commands an option serves.
enum : unsigned { kTrain = 1, kGenerate = 2, kProbe = 4, kInfo = 8, kExport = 16, kAll = 31 };

struct CommandInfo {
  Command command;
  unsigned bit;
  const char *name;
  const char *help;
};

constexpr CommandInfo kCommands[] = {
    {Command::Train, kTrain, "train", "trains on text files (this is the default)"},
    {Command::Generate, kGenerate, "generate", "continues a prompt with a checkpoint"},
    {Command::Export, kExport, "export", "writes a checkpoint's model as transformers reads it"},
    {Command::Probe, kProbe, "probe", "runs some steps on given ids and writes every result to a file"},
    {Command::Info, kInfo, "info", "says what this trainer was compiled from and what it needs"},
};

/// "" no value, "X" one, "X..." one or more, "[X]" at most one.
struct Option {
  const char *name;
  const char *value;
  unsigned commands;
  const char *help;
  std::function<void(Options &, const Values &)> assign;
};

/// The largest value of an option. Those of keys have the same bounds, and both end in the run file of a
/// checkpoint; a seed is no count.
template <typename T> constexpr T kMost = std::numeric_limits<T>::max();
template <> constexpr int64_t kMost<int64_t> = abi::kMaxCount;
template <> constexpr double kMost<double> = std::numeric_limits<float>::max();

template <typename T> T numberOf(const std::string &option, const std::string &value, T least) {
  T result{};
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  bool isRead = error == std::errc() && end == value.data() + value.size();
  if (isRead && result >= least && result <= kMost<T>)
    return result;
  bool isBeyond = error == std::errc::result_out_of_range
                      ? !value.starts_with('-')
                      : isRead && std::isfinite(double(result)) && result >= least;
  std::string what;
  if (std::is_integral_v<T>)
    what = "a whole number of " + (isBeyond ? text("at most ", kMost<T>) : text(least, " or more"));
  else
    what = isBeyond ? "a number that single precision holds" : text("a finite number of ", least, " or more");
  throw Error(message<ErrorId::OptionNumber>(option, value, what));
}

int threadsOf(const std::string &value) {
  int64_t threads = numberOf<int64_t>("--threads", value, 1);
  if (threads > device::Pool::kMaxThreads)
    throw Error(message<ErrorId::ThreadsTooMany>(threads, device::Pool::kMaxThreads));
  // Threads of a region spin while they wait, so many more than processors make a step slower by orders of
  // magnitude.
  int processors = device::availableThreads(), most = 8 * processors;
  if (threads > most)
    throw Error(message<ErrorId::ThreadsBeyondProcessors>(
        threads, most, text(processors, processors == 1 ? " processor" : " processors")));
  return int(threads);
}

template <typename T>
std::function<void(Options &, const Values &)> number(const char *name, T &(*member)(Options &), T least) {
  return [=](Options &options, const Values &values) {
    member(options) = numberOf<T>(name, values.front(), least);
  };
}

std::function<void(Options &, const Values &)> string(std::string &(*member)(Options &)) {
  return [=](Options &options, const Values &values) { member(options) = values.front(); };
}

std::function<void(Options &, const Values &)> list(Values &(*member)(Options &)) {
  return [=](Options &options, const Values &values) {
    member(options).insert(member(options).end(), values.begin(), values.end());
  };
}

std::function<void(Options &, const Values &)> command(Command command) {
  return [=](Options &options, const Values &) { options.command = command; };
}

void setResume(Options &options, const Values &values) {
  options.resume = true;
  if (!values.empty())
    options.train.resume = values.front();
}

void setThreads(Options &options, const Values &values) { options.threads = threadsOf(values.front()); }

void setInProcess(Options &options, const Values &) { options.inProcess = true; }

const std::vector<Option> &table() {
  static const std::vector<Option> options = {
      {"--data", "PATH...", kTrain, "text files and folders to train on",
       list([](Options &o) -> Values & { return o.data; })},
      {"--include", "PATTERN...", kTrain, "names of files to read in folders, as '*.h'",
       list([](Options &o) -> Values & { return o.include; })},
      {"--held-out", "SHARE", kTrain, "share of the documents that is kept for validation",
       [](Options &o, const Values &v) { o.heldOut = numberOf<double>("--held-out", v.front(), 0); }},
      {"--steps", "N", kTrain, "steps altogether, those of a resumed run included",
       [](Options &o, const Values &v) { o.steps = numberOf<int64_t>("--steps", v.front(), 0); }},
      {"--steps", "N", kProbe, "steps to run on the ids",
       [](Options &o, const Values &v) {
         o.steps = o.probe.steps = numberOf<int64_t>("--steps", v.front(), 0);
       }},
      {"--checkpoint", "DIR", kTrain | kGenerate | kExport, "folder of the checkpoint (default: checkpoint)",
       [](Options &o, const Values &v) {
         o.train.checkpoint = v.front();
         o.checkpointGiven = true;
       }},
      {"--resume", "[DIR]", kTrain, "continue the run of a checkpoint (default: that of --checkpoint)",
       setResume},
      {"--initialize", "PATH", kTrain, "begin with the parameters of a checkpoint or safetensors file",
       [](Options &o, const Values &v) { o.train.initialize = v.front(); }},
      {"--metrics", "FILE", kTrain,
       "write a line of JSON for every step, from the first one or from --resume on",
       string([](Options &o) -> std::string & { return o.train.metrics; })},
      {"--tensorboard", "DIR", kTrain, "write the same for TensorBoard, into a new event file in the folder",
       string([](Options &o) -> std::string & { return o.train.tensorboard; })},
      {"--sample-length", "N", kTrain,
       "bytes to write for a held-out prompt at the end, 0: none (default: 400)",
       number<int64_t>(
           "--sample-length", [](Options &o) -> int64_t & { return o.train.sampleLength; }, 0)},
      {"--prompt", "TEXT", kGenerate, "the text to continue",
       string([](Options &o) -> std::string & { return o.prompt; })},
      {"--ema", "", kGenerate | kExport, "use the averages of the parameters (run file: ema.decay)",
       [](Options &o, const Values &) { o.averages = true; }},
      {"--length", "N", kGenerate, "bytes to write at most (default: 400)",
       number<int64_t>(
           "--length", [](Options &o) -> int64_t & { return o.sampling.length; }, 0)},
      {"--temperature", "T", kTrain | kGenerate,
       "of the samples, 0: always the most probable byte (default: 0.7)",
       [](Options &o, const Values &v) {
         o.sampling.temperature = o.train.sampleTemperature = numberOf<double>("--temperature", v.front(), 0);
       }},
      {"--parameters", "FILE", kProbe, "safetensors with published names (default: initial parameters)",
       string([](Options &o) -> std::string & { return o.probe.parameters; })},
      {"--ids", "FILE", kProbe, "safetensors with input_ids",
       string([](Options &o) -> std::string & { return o.probe.ids; })},
      {"--out", "FILE", kProbe, "safetensors to write",
       string([](Options &o) -> std::string & { return o.probe.out; })},
      {"--folder", "DIR", kExport, "where config.json and model.safetensors go",
       string([](Options &o) -> std::string & { return o.exportFolder; })},
      {"--seed", "S", kTrain | kGenerate | kProbe,
       "of parameters, data order and samples (default: the run file's)",
       [](Options &o, const Values &v) { o.seed = numberOf<uint64_t>("--seed", v.front(), 0); }},
      {"--set", "KEY=VALUE...", kTrain | kProbe, "override a key of the run file, see below",
       list([](Options &o) -> Values & { return o.assignments; })},
      {"--threads", "N", kTrain | kGenerate | kProbe,
       "threads (default: one per processor, at most 8 each); results do not depend on it", setThreads},
      {"--in-process", "", kTrain, "run all ranks of the run file's mesh as threads of this process",
       setInProcess},
      {"--profile", "", kTrain | kGenerate | kProbe, "print the time of every function and kernel at the end",
       [](Options &o, const Values &) { o.profile = true; }},
      {"--json", "", kInfo, "the whole manifest", [](Options &o, const Values &) { o.json = true; }},
      {"--version", "", kAll, "the version", command(Command::Version)},
      {"--info", "", kAll, "the command info", command(Command::Info)},
      {"--help", "", kAll, "this text (also -h); after a command what it takes", command(Command::Help)},
  };
  return options;
}

/// An option of the command with this bit.
const Option &findOption(std::string name, unsigned bit) {
  if (name == "-h")
    name = "--help";
  std::vector<std::string> names;
  bool isOfOther = false;
  for (const Option &option : table()) {
    if (name == option.name && (option.commands & bit))
      return option;
    isOfOther |= name == option.name;
    names.push_back(option.name);
  }
  if (isOfOther)
    throw Error(message<ErrorId::OptionOfOtherCommand>(name));
  throw Error(message<ErrorId::OptionUnknown>(name, base::suggest(name, names)));
}

/// The values of the option before `at`, and moves `at` behind them.
Values takeValues(const Option &option, const std::vector<std::string> &arguments, size_t &at) {
  std::string_view kind = option.value;
  size_t most = kind.empty() ? 0 : kind.ends_with("...") ? std::numeric_limits<size_t>::max() : 1;
  Values values;
  auto isValue = [&] {
    // "-" alone and negative numbers are values; a single required value may be all but an option.
    const std::string &argument = arguments[at];
    bool required = most == 1 && kind.front() != '[';
    return required ? !argument.starts_with("--") && argument != "-h" : !argument.starts_with("-");
  };
  while (values.size() < most && at < arguments.size() && isValue())
    values.push_back(arguments[at++]);
  if (values.empty() && most > 0 && kind.front() != '[')
    throw Error(message<ErrorId::OptionWantsValue>(option.name, option.value));
  return values;
}

/// A variable of a shell that is not set makes an empty value, which names nothing. Text may be empty.
void requireNoneEmpty(const Option &option, const Values &values) {
  if (std::string_view(option.value) != "TEXT" && std::ranges::find(values, "") != values.end())
    throw Error(message<ErrorId::OptionWantsValue>(option.name, option.value));
}

/// An option and the key that it stands for: neither may be left unread.
void checkKeysOfOptions(const Options &options, base::ErrorList &errors) {
  struct Pair {
    const char *option;
    std::string key;
    bool isGiven;
  };
  const Pair pairs[] = {{"--data", "data.paths", !options.data.empty()},
                        {"--include", "data.include", !options.include.empty()},
                        {"--held-out", "data.held_out", options.heldOut.has_value()},
                        {"--steps", "train.steps", options.steps.has_value()},
                        {"--seed", "seed", options.seed.has_value()}};
  for (const auto &[option, key, isGiven] : pairs) {
    auto isOfKey = [&](const std::string &assignment) {
      return assignment.starts_with(key + "=") || assignment.starts_with(key + "[");
    };
    if (isGiven && std::ranges::any_of(options.assignments, isOfKey))
      errors.add(message<ErrorId::OptionsExclude>(option, "--set " + key));
  }
}

void check(const Options &options, base::ErrorList &errors) {
  checkKeysOfOptions(options, errors);
  if (options.command == Command::Probe && options.probe.ids.empty())
    errors.add(message<ErrorId::ProbeIds>());
  if (options.command == Command::Probe && options.probe.out.empty())
    errors.add(message<ErrorId::ProbeOut>());
  if (options.command == Command::Export && options.exportFolder.empty())
    errors.add(message<ErrorId::ExportFolder>());
  if (options.train.initialize && options.resume)
    errors.add(message<ErrorId::OptionsExclude>("--resume", "--initialize"));
}

/// Reads the option at `at`, and moves `at` behind it and its values. `bit` is that of the command.
void readOption(Options &options, unsigned &bit, const std::vector<std::string> &arguments, size_t &at) {
  std::string name = arguments[at++];
  if (!name.starts_with("-"))
    throw Error(message<ErrorId::ArgumentUnexpected>(name));
  // --name=value is --name value.
  size_t equals = name.find('=');
  std::string attached = equals == std::string::npos ? "" : name.substr(equals + 1);
  const Option &option = findOption(name.substr(0, equals), bit);
  if (equals != std::string::npos && *option.value == '\0')
    throw Error(message<ErrorId::OptionTakesNoValue>(option.name));
  if (std::string_view(option.name) == "--info")
    bit |= kInfo;
  Values values = equals != std::string::npos ? Values{attached} : takeValues(option, arguments, at);
  requireNoneEmpty(option, values);
  option.assign(options, values);
}

} // namespace

Options parseOptions(const std::vector<std::string> &arguments) {
  Options options;
  unsigned bit = kTrain;
  size_t at = 0;
  for (const CommandInfo &command : kCommands) {
    if (arguments.empty() || arguments[0] != command.name)
      continue;
    options.command = command.command;
    options.helpTopic = command.command;
    bit = command.bit;
    at = 1;
  }
  base::ErrorList errors;
  while (at < arguments.size() && arguments[at] != "--")
    errors.collect([&] { readOption(options, bit, arguments, at); });
  // Behind `--` there are no options, and no command takes anything else.
  for (++at; at < arguments.size(); ++at)
    errors.add(message<ErrorId::ArgumentUnexpected>(arguments[at]));
  if (options.resume && !options.train.resume)
    options.train.resume = options.train.checkpoint;
  else if (options.resume && !options.checkpointGiven)
    options.train.checkpoint = *options.train.resume;
  options.train.seedGiven =
      options.seed || std::ranges::any_of(options.assignments, [](const std::string &assignment) {
        return assignment.starts_with("seed=");
      });
  check(options, errors);
  errors.raise();
  return options;
}

std::string helpText(const std::string &program, std::optional<Command> topic) {
  std::string result;
  auto line = [&](std::string left, const char *help) {
    left.resize(std::max<size_t>(left.size() + 2, 28), ' ');
    result += "  " + left + help + "\n";
  };
  auto listOptions = [&](const auto &isListed) {
    for (const Option &option : table())
      if (isListed(option))
        line(text(option.name, *option.value ? " " : "", option.value), option.help);
  };
  auto isAsked = [&](const CommandInfo &command) { return !topic || *topic == command.command; };
  const CommandInfo *only = topic ? std::ranges::find_if(kCommands, isAsked) : nullptr;
  result = only ? text("usage: ", program, " ", only->name, " [OPTION...]\n\n", only->help, "\n")
                : text("usage: ", program, " [COMMAND] [OPTION...]\n\ncommands:\n");
  for (const CommandInfo &command : kCommands)
    if (!only)
      line(command.name, command.help);
  for (const CommandInfo &command : kCommands) {
    if (!isAsked(command))
      continue;
    result += text("\noptions of ", command.name, ":\n");
    listOptions(
        [&](const Option &option) { return (option.commands & command.bit) && option.commands != kAll; });
  }
  result += "\noptions of every command:\n";
  listOptions([](const Option &option) { return option.commands == kAll; });
  bool takesKeys = !only || (only->bit & (kTrain | kProbe));
  return takesKeys ? result + "\nkeys of the run file for --set:\n" + train::Settings::help() : result;
}

} // namespace contraflow::cli
