//===- Options.cpp - the command line of contraflow -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/Options.h"

#include "compiler/driver/PhaseTable.h"
#include "compiler/errors/Errors.h"
#include "dialects/nn/NNStructure.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/CommandLine.h"

#include <charconv>
#include <functional>

namespace contraflow::driver {
namespace {

/// kOpt: contraflow-opt. kReplayed: decides what is compiled, so that a replay needs it.
enum CommandBit : unsigned {
  kCompile = 1,
  kTrain = 2,
  kInspect = 4,
  kVerify = 8,
  kOpt = 16,
  kReplayed = 32,
  kEvery = kCompile | kTrain | kInspect | kVerify | kOpt
};

struct CommandInfo {
  Command command;
  unsigned bit;
  const char *name;
  const char *input;
  const char *help;
};

constexpr CommandInfo kCommands[] = {
    {Command::Compile, kCompile, "compile", "RUN.json", "compiles a run file into a trainer"},
    {Command::Train, kTrain, "train", "RUN.json",
     "compiles a run file and starts the trainer with all other arguments"},
    {Command::Inspect, kInspect, "inspect", "FILE",
     "shows what a run file, IR, a trainer or a checkpoint holds"},
    {Command::Verify, kVerify, "verify", "FOLDER",
     "compiles the model of a folder and compares training steps with those recorded there"},
};

struct Option {
  const char *name;
  const char *shortName;
  /// What the value is called; "" for none.
  const char *value;
  unsigned commands;
  std::string help;
  /// False if the value makes no sense.
  std::function<bool(Options &, const std::string &)> assign;
};

std::function<bool(Options &, const std::string &)> text(std::string Options::*member) {
  return [=](Options &options, const std::string &value) { return options.*member = value, !value.empty(); };
}
std::function<bool(Options &, const std::string &)> flag(bool Options::*member) {
  return [=](Options &options, const std::string &) { return options.*member = true; };
}
std::function<bool(Options &, const std::string &)> phase(std::string Options::*member) {
  return [=](Options &options, const std::string &value) {
    return options.*member = value, findPhase(value) != nullptr;
  };
}
bool setThreads(Options &options, const std::string &value) {
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.threads);
  return error == std::errc() && end == value.data() + value.size() && options.threads > 0;
}

/// Of contraflow-opt, which MLIR parses: they are here for --help alone, and say of themselves what MLIR's
/// registry says.
const std::vector<Option> &getOptTable() {
  static const std::vector<Option> table = [] {
    std::vector<Option> table = {
        {"-o", "", "FILE", kOpt, "where to write the IR (default: standard output)", {}}};
    for (auto [name, value] : std::initializer_list<std::pair<const char *, const char *>>{
             {"--pass-pipeline", "TEXT"},
             {"--split-input-file", ""},
             {"--verify-diagnostics", ""},
             {"--verify-roundtrip", ""},
             {"--mlir-print-ir-after-all", ""},
             {"--mlir-print-ir-after-failure", ""},
             {"--mlir-print-debuginfo", ""},
             {"--mlir-timing", ""},
             {"--mlir-pass-statistics", ""},
             {"--mlir-pass-pipeline-crash-reproducer", "FILE"},
             {"--run-reproducer", ""}})
      table.push_back({name, "", value, kOpt, "", {}});
    table.push_back({"--help-hidden", "", "", kOpt, "every option of MLIR and LLVM", {}});
    return table;
  }();
  return table;
}

/// What a library says of its option; empty where nobody has registered it.
std::string getRegisteredHelp(llvm::StringRef name) {
  auto &options = llvm::cl::getRegisteredOptions();
  auto found = options.find(name.ltrim('-'));
  return found == options.end() ? "" : found->second->HelpStr.str();
}

std::vector<Option> makeTable() {
  std::vector<Option> table = {
      {"--output", "-o", "FILE", kCompile | kTrain, "where to write the trainer (default: trainer)",
       text(&Options::output)},
      {"--stop-after", "", "PHASE", kCompile,
       "end after a phase and write its IR (to -o, default: standard output)", phase(&Options::stopAfter)},
      {"--start-from", "", "PHASE", kCompile | kReplayed,
       "the input is IR from --dump-phases or --stop-after; continue with this phase",
       phase(&Options::startFrom)},
      {"--dump-phases", "", "DIR", kCompile | kTrain | kVerify, "write NN-<phase>.mlir after every phase",
       text(&Options::dumpPhases)},
      {"--crash-reproducer", "", "DIR", kCompile | kTrain | kVerify,
       "where to write what replays a phase that crashes or fails (default: contraflow-crash-N, for crashes)",
       text(&Options::reproducer)},
      {"--checked", "", "", kCompile | kTrain | kVerify | kReplayed,
       "make a trainer that looks for damage of its memory around every kernel; slow, same numbers",
       flag(&Options::checked)},
      {"--timing", "", "", kCompile, "print the time of every phase", flag(&Options::timing)},
      {"--set", "", "KEY=VALUE...", kCompile | kTrain | kInspect | kReplayed,
       "override keys of the run file and, as model.KEY, of the configuration",
       [](Options &options, const std::string &value) {
         options.assignments.push_back(value);
         return value.find('=') != std::string::npos;
       }},
      {"--json", "", "", kInspect | kVerify, "print JSON", flag(&Options::json)},
      {"--run", "", "", kInspect, "print the run file with every default filled in", flag(&Options::run)},
      {"--tensors", "", "", kInspect, "list every parameter", flag(&Options::tensors)},
      {"--memory", "", "", kInspect, "list every address with a name, and what lives in memory at the peak",
       flag(&Options::memory)},
      {"--program", "", "", kInspect, "list the rows of the programs", flag(&Options::program)},
      {"--ops", "", "", kInspect, "list flops and bytes of a step by operation", flag(&Options::operations)},
      {"--svg", "", "FILE", kInspect, "draw the memory map of a step: what lies where, and when",
       text(&Options::svg)},
      {"--program-svg", "", "FILE", kInspect, "draw the program of a step: where its flops and bytes are",
       text(&Options::programSvg)},
      {"--models", "", "DIR", kVerify,
       "folder of the architectures (default: found from where contraflow is)", text(&Options::models)},
      {"--keep", "", "DIR", kVerify, "keep run file, trainer and results in this folder",
       text(&Options::keep)},
      {"--threads", "", "N", kVerify, "threads of the trainer (default: one per processor)", setThreads},
      {"--help", "-h", "", kEvery, "this text",
       [](Options &options, const std::string &) {
         for (const CommandInfo &info : kCommands)
           if (info.command == options.command)
             options.helpTopic = info.name;
         options.command = Command::Help;
         return true;
       }},
      {"--version", "", "", kEvery, "the version",
       [](Options &options, const std::string &) {
         options.command = Command::Version;
         return true;
       }},
  };
  table.insert(table.end(), getOptTable().begin(), getOptTable().end());
  return table;
}

const std::vector<Option> &getTable() {
  static const std::vector<Option> table = makeTable();
  return table;
}

const Option *findOption(const std::string &name) {
  for (const Option &option : getTable())
    if (option.commands != kOpt && (name == option.name || (*option.shortName && name == option.shortName)))
      return &option;
  return nullptr;
}

std::string pad(std::string text, size_t width) {
  text.resize(std::max(text.size() + 2, width), ' ');
  return text;
}

std::string getSpelling(const Option &option) {
  std::string left =
      std::string("  ") + (*option.shortName ? std::string(option.shortName) + ", " : "    ") + option.name;
  return *option.value ? left + " " + option.value : left;
}

const CommandInfo *findCommand(const std::string &name) {
  for (const CommandInfo &info : kCommands)
    if (name == info.name)
      return &info;
  return nullptr;
}

/// "; did you mean 'compile'?", or nothing.
std::string suggest(const std::string &name, llvm::ArrayRef<llvm::StringRef> known) {
  llvm::StringRef nearest = nn::getNearest(name, known);
  return nearest.empty() ? "" : "; did you mean '" + nearest.str() + "'?";
}

/// Reads the arguments of a call from left to right. Functions return false where `errors` says what is
/// wrong.
class Parser {
public:
  Parser(const std::vector<std::string> &arguments, std::vector<std::string> &errors)
      : arguments(arguments), errors(errors) {}

  std::optional<Options> parse() {
    if (!takeCommand())
      return std::nullopt;
    bool ok = true, hasOptions = true;
    while (next < arguments.size() && !done) {
      std::string argument = arguments[next++];
      if (hasOptions && argument == "--") {
        hasOptions = false;
        continue;
      }
      bool isPlain = !hasOptions || !argument.starts_with("-") || argument == "-";
      ok &= isPlain ? addPlain(argument) : addOption(argument);
    }
    if (!ok || (!done && !checkComplete()))
      return std::nullopt;
    return options;
  }

private:
  bool fail(const std::string &message) {
    // A suggestion says enough.
    bool isEnough = message.ends_with("?");
    std::string topic = command ? std::string(command->name) + " " : "";
    errors.push_back(message + (isEnough ? "" : "; see contraflow " + topic + "--help"));
    return false;
  }

  bool takeCommand() {
    if (arguments.empty())
      return true;
    command = findCommand(arguments[0]);
    if (command) {
      options.command = command->command;
      next = 1;
    } else if (arguments[0] == "help") {
      options.helpTopic = arguments.size() > 1 && findCommand(arguments[1]) ? arguments[1] : "";
      done = true;
    } else if (!arguments[0].starts_with("-")) {
      llvm::SmallVector<llvm::StringRef> names;
      for (const CommandInfo &info : kCommands)
        names.push_back(info.name);
      return fail(message<ErrorId::CommandUnknown>(arguments[0], suggest(arguments[0], names)));
    }
    return true;
  }

  bool addPlain(const std::string &argument) {
    if (!options.input.empty() && isTrain())
      options.trainerArguments.push_back(argument);
    else if (!options.input.empty() || !command)
      return fail(message<ErrorId::ArgumentUnexpected>(argument));
    else
      options.input = argument;
    return true;
  }

  bool addOption(const std::string &argument) {
    size_t equals = argument.find('=');
    const Option *option = findOption(argument.substr(0, equals));
    if (!option || (command && !(option->commands & command->bit)))
      return addForeign(argument, option);
    std::string value;
    if (*option->value) {
      if (equals != std::string::npos)
        value = argument.substr(equals + 1);
      else if (next < arguments.size())
        value = arguments[next++];
      else
        return fail(message<ErrorId::OptionWantsValue>(argument, option->value));
      // The value was forgotten; who means it writes `=`.
      if (equals == std::string::npos && value.starts_with("-") && value != "-")
        return fail(message<ErrorId::OptionValue>(option->name, option->value, value, ""));
    } else if (equals != std::string::npos) {
      return fail(message<ErrorId::OptionTakesNoValue>(option->name));
    }
    if (!assign(*option, value))
      return false;
    // An option of several values takes what looks like them.
    while (llvm::StringRef(option->value).ends_with("...") && next < arguments.size() &&
           !arguments[next].starts_with("-") && arguments[next].find('=') != std::string::npos)
      if (!assign(*option, arguments[next++]))
        return false;
    // Where the help is asked for, nothing else need make sense.
    done = option->commands == kEvery;
    return true;
  }

  bool assign(const Option &option, const std::string &value) {
    if (option.commands & kReplayed)
      options.replayed.push_back(std::string(option.name) + (*option.value ? "=" + value : ""));
    if (option.assign(options, value))
      return true;
    bool isPhase = llvm::StringRef(option.value) == "PHASE";
    llvm::SmallVector<llvm::StringRef> names;
    for (const Phase &phase : getPhases())
      names.push_back(phase.name);
    return fail(message<ErrorId::OptionValue>(option.name,
                                              isPhase ? "one of " + getPhaseNames() : option.value, value,
                                              isPhase ? suggest(value, names) : ""));
  }

  /// What an option of the trainer was meant to be: a slip is found before anything is compiled. Options of
  /// the trainer differ from those of contraflow by more (`--seed`, `--set`).
  std::string suggestOwn(const std::string &argument) const {
    llvm::StringRef name = llvm::StringRef(argument).split('=').first;
    std::string hint = suggest(name.str(), getNames());
    llvm::StringRef nearest = nn::getNearest(name, getNames());
    return !nearest.empty() && name.edit_distance(nearest) <= name.size() / 4 ? hint : "";
  }

  /// An option that the command does not have: behind the run file of `train` it is the trainer's, values
  /// included.
  bool addForeign(const std::string &argument, const Option *option) {
    if (std::string hint = suggestOwn(argument); isTrain() && !option && !hint.empty())
      return fail(message<ErrorId::OptionUnknown>(argument, hint));
    if (!isTrain() || options.input.empty())
      return fail(option ? message<ErrorId::OptionOfOtherCommand>(option->name)
                         : message<ErrorId::OptionUnknown>(argument, suggest(argument, getNames())));
    options.trainerArguments.push_back(argument);
    while (next < arguments.size() && !arguments[next].starts_with("-"))
      options.trainerArguments.push_back(arguments[next++]);
    return true;
  }

  /// Of the options that the command has.
  llvm::SmallVector<llvm::StringRef> getNames() const {
    llvm::SmallVector<llvm::StringRef> names;
    for (const Option &option : getTable())
      if (!command || (option.commands & command->bit))
        names.push_back(option.name);
    return names;
  }

  bool checkComplete() {
    if (!command && !arguments.empty())
      return fail(message<ErrorId::ArgumentMissing>("a command"));
    if (command && options.input.empty())
      return fail(message<ErrorId::ArgumentMissing>(command->input));
    return true;
  }

  bool isTrain() const { return command && command->command == Command::Train; }

  const std::vector<std::string> &arguments;
  std::vector<std::string> &errors;
  Options options;
  const CommandInfo *command = nullptr;
  /// The argument to read next.
  size_t next = 0;
  bool done = false;
};

} // namespace

std::optional<Options> parseOptions(const std::vector<std::string> &arguments,
                                    std::vector<std::string> &errors) {
  return Parser(arguments, errors).parse();
}

std::string getHelp(const std::string &topic) {
  const CommandInfo *command = findCommand(topic);
  bool passesOn = command && command->command == Command::Train;
  std::string help;
  if (!command) {
    help =
        "contraflow compiles the training step of a language model into one native trainer.\n\ncommands:\n";
    for (const CommandInfo &info : kCommands)
      help += pad("  contraflow " + std::string(info.name) + " " + info.input, 40) + info.help + "\n";
    help += "\noptions:\n";
  } else {
    help = "usage: contraflow " + std::string(command->name) + " " + command->input + " [OPTION...]" +
           (passesOn ? " [OPTION OF THE TRAINER...]" : "") + "\n\n" + command->help + "\n\noptions:\n";
  }
  for (const Option &option : getTable()) {
    if (option.commands == kOpt || (command && !(option.commands & command->bit)))
      continue;
    help += pad(getSpelling(option), 34) + option.help;
    if (!command && option.commands != kEvery) {
      help += " [";
      const char *separator = "";
      for (const CommandInfo &info : kCommands)
        if (option.commands & info.bit) {
          help += separator + std::string(info.name);
          separator = ", ";
        }
      help += "]";
    }
    help += "\n";
  }
  if (passesOn)
    help += "\nAll behind RUN.json that is not listed here goes to the trainer, such as --data PATH..., "
            "--steps N,\n"
            "--checkpoint DIR and --resume. './trainer --help' lists what it takes, once it is compiled.\n";
  help += "\nphases: " + getPhaseNames() + "\n";
  return help;
}

std::string getOptOptionsHelp() {
  std::string help;
  for (const Option &option : getTable())
    if (option.commands & kOpt)
      help += pad(getSpelling(option), 50) +
              (option.help.empty() ? getRegisteredHelp(option.name) : option.help) + "\n";
  return help;
}

} // namespace contraflow::driver
