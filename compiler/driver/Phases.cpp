//===- Phases.cpp - from a run file to a trainer, phase by phase ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// After every phase the module says in `nn.phase` how far it is, so that IR on disk can be continued and
// can't be continued at a wrong place. The run file travels as `nn.run`: what the trainer must know is in the
// IR.
#include "compiler/driver/Phases.h"

#include "compiler/driver/CrashReport.h"
#include "compiler/errors/Errors.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/ReadModule.h"
#include "compiler/linker/Linker.h"
#include "compiler/linker/ManifestWriter.h"
#include "dialects/RegisterAll.h"
#include "passes/Pipelines.h"
#include "passes/lowering/cpu/CpuPipeline.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <filesystem>

using namespace mlir;

namespace contraflow::driver {

/// Behind the name of a file until it is whole, here and in the runtime.
static constexpr const char *kPartial = ".partial";

bool fail(const std::string &message) {
  llvm::errs() << "contraflow: error: " << message << "\n";
  return false;
}

bool isSameFile(const std::string &first, const std::string &second) {
  std::error_code ofFirst, ofSecond;
  std::filesystem::path a = std::filesystem::weakly_canonical(std::filesystem::absolute(first, ofFirst),
                                                              ofFirst),
                        b = std::filesystem::weakly_canonical(std::filesystem::absolute(second, ofSecond),
                                                              ofSecond);
  return ofFirst || ofSecond ? first == second : a == b;
}

bool checkOutput(llvm::StringRef option, const std::string &file, llvm::ArrayRef<std::string> inputs) {
  for (const std::string &input : inputs) {
    if (llvm::sys::fs::equivalent(file, input))
      return fail(message<ErrorId::OutputIsInput>(option, file));
    if (llvm::sys::fs::equivalent(file + kPartial, input))
      return fail(message<ErrorId::OutputOverInput>(input, file));
  }
  return true;
}

bool writeText(const std::string &path, llvm::StringRef text) {
  // A device or a pipe is written as it is, a file beside it first.
  bool isFile = !llvm::sys::fs::exists(path) || llvm::sys::fs::is_regular_file(path);
  std::string target = isFile ? path + kPartial : path;
  std::error_code code;
  {
    llvm::raw_fd_ostream stream(target, code);
    bool isOpen = !code;
    if (isOpen) {
      stream << text;
      stream.close();
      code = stream.error();
      stream.clear_error();
    }
    if (isOpen && isFile && !code)
      code = llvm::sys::fs::rename(target, path);
    if (isOpen && isFile && code && llvm::sys::fs::remove(target))
      return fail(message<ErrorId::FileUnwritable>("'" + target + "'", code.message()));
  }
  return code ? fail(message<ErrorId::FileUnwritable>("'" + path + "'", code.message())) : true;
}

/// The name at a place of a text file, such as `%x`; empty where there is none. The file may have changed
/// since it was parsed.
static std::string readName(FileLineColLoc place) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      llvm::MemoryBuffer::getFile(place.getFilename().getValue());
  StringRef rest = buffer ? (*buffer)->getBuffer() : StringRef();
  for (unsigned line = 1; line < place.getLine(); ++line)
    rest = rest.split('\n').second;
  return rest.split('\n')
      .first.substr(place.getColumn() - 1)
      .take_while(
          [](char c) { return llvm::isAlnum(c) || llvm::is_contained({'%', '_', '#', '.', '$', '-'}, c); })
      .str();
}

static void print(Diagnostic &diagnostic) {
  static const char *const names[] = {"note: ", "warning: ", "error: ", "remark: "};
  auto place = dyn_cast<FileLineColLoc>(diagnostic.getLocation());
  if (place) {
    llvm::errs() << place.getFilename().getValue() << ":";
    // A whole file, or what the command line sets, has no line.
    if (place.getLine())
      llvm::errs() << place.getLine() << ":" << place.getColumn() << ":";
    llvm::errs() << " ";
  } else if (!isa<UnknownLoc>(diagnostic.getLocation())) {
    llvm::errs() << diagnostic.getLocation() << ": ";
  }
  llvm::errs() << names[int(diagnostic.getSeverity())] << diagnostic;
  // MLIR leaves the name to whoever looks at the line.
  if (place && diagnostic.str() == "use of undeclared SSA value name")
    llvm::errs() << " '" << readName(place) << "'";
  llvm::errs() << "\n";
}

Compilation::Compilation(CompileOptions options) : options(std::move(options)) {
  DialectRegistry registry;
  registerAllDialects(registry);
  cpu::registerCpuPipelineDialects(registry);
  context = std::make_unique<MLIRContext>(registry);
  context->loadAllAvailableDialects();
  context->printOpOnDiagnostic(false);
  // One line per diagnostic with its place; notes below. Remarks are for contraflow-opt.
  context->getDiagEngine().registerHandler([](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Remark)
      return;
    print(diagnostic);
    for (Diagnostic &note : diagnostic.getNotes())
      print(note);
  });
}

Compilation::~Compilation() = default;

void Compilation::report(const frontend::JsonDiagnostics &diagnostics) {
  for (const frontend::JsonDiagnostic &diagnostic : diagnostics)
    llvm::errs() << diagnostic.str() << "\n";
}

/// A processor that LLVM does not know is an error of the run file, and known long before there is code for
/// it.
static void checkTarget(const frontend::RunFile &run, frontend::JsonDiagnostics &diagnostics) {
  llvm::Expected<cpu::CpuMachine> machine = cpu::CpuMachine::get(run.target.isa);
  if (machine)
    return;
  std::optional<frontend::JsonValue> isa = run.run.find("target.isa");
  auto say = [&](const std::string &text) {
    diagnostics.push_back((isa ? *isa : run.run).makeDiagnostic(text));
  };
  llvm::handleAllErrors(
      machine.takeError(),
      [&](const cpu::IsaError &error) {
        say(error.reason == cpu::IsaError::Reason::Unknown ? message<ErrorId::IsaUnknown>(error.isa)
                                                           : message<ErrorId::IsaNot64Bit>(error.isa));
      },
      [&](const llvm::ErrorInfoBase &error) { say(error.message()); });
}

/// `text` as the shell reads it.
static std::string quote(const std::string &text) {
  bool isPlain =
      llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || StringRef("/._-=+,").contains(c); });
  return isPlain ? text : "'" + text + "'";
}

/// A crash while `source` is read leaves a copy of it, one of the frontend the run file with everything in it
/// and the architecture beside.
static Reproducer makeInputReproducer(const CompileOptions &options, const std::string &source,
                                      const frontend::RunFile *run) {
  Reproducer reproducer;
  reproducer.folder = options.reproducer.empty() ? getDefaultReproducerFolder() : options.reproducer;
  std::string name = llvm::sys::path::filename(source).str();
  reproducer.subject = "reading '" + source + "'";
  reproducer.files = {{name, "", source}};
  if (run) {
    nlohmann::json json = run->resolve();
    std::string architecture = llvm::sys::path::filename(run->architecture).str();
    if (json.contains("architecture"))
      json["architecture"] = architecture;
    reproducer.subject = "phase 'frontend'";
    reproducer.files = {{name, json.dump(2) + "\n", ""}, {architecture, "", run->architecture}};
  }
  reproducer.command = "contraflow compile " + quote(reproducer.folder + "/" + name);
  // The resolved run file holds what --set says.
  for (const std::string &argument : options.replayed)
    if (!run || !llvm::StringRef(argument).starts_with("--set="))
      reproducer.command += " " + quote(argument);
  return reproducer;
}

/// One of any other phase leaves the IR that it began with.
static Reproducer makePhaseReproducer(const CompileOptions &options, const std::string &input,
                                      const Phase &phase) {
  const Phase &before = getPhases()[phase.number - 2];
  Reproducer reproducer;
  reproducer.folder = options.reproducer.empty() ? getDefaultReproducerFolder() : options.reproducer;
  std::string ir = reproducer.folder + "/" + before.getFileName();
  reproducer.subject = "phase '" + phase.name + "'";
  reproducer.arguments = {"compile", input};
  llvm::append_range(reproducer.arguments, options.replayed);
  llvm::append_range(reproducer.arguments,
                     std::vector<std::string>{"--stop-after=" + before.name, "--output=" + ir,
                                              "--crash-reproducer=" + reproducer.folder});
  reproducer.command = "contraflow compile " + quote(ir) + " --start-from=" + phase.name;
  return reproducer;
}

void Compilation::prepareReproducer(const Phase &phase) {
  setReproducer(phase.number == 1 ? makeInputReproducer(options, input, &*runFile)
                                  : makePhaseReproducer(options, input, phase));
}

/// A crash is reported in any case, a failure if it is a defect of the compiler or the user wants to know.
bool Compilation::failPhase(bool isDefect) {
  if (isDefect || !options.reproducer.empty())
    reportFailure();
  clearReproducer();
  return false;
}

bool Compilation::load(const std::string &file) {
  input = file;
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(input, status))
    return fail(code == std::errc::no_such_file_or_directory
                    ? message<ErrorId::FileMissing>(input)
                    : message<ErrorId::NamedFileUnreadable>(input, code.message()));
  bool isModule = llvm::sys::path::extension(input) == ".mlir";
  // It is read again where a message quotes it; of run files the reader says so.
  if (isModule && !llvm::sys::fs::is_regular_file(status) && !llvm::sys::fs::is_directory(status))
    return fail(message<ErrorId::NamedFileUnreadable>(input, "it is not a regular file"));
  setReproducer(makeInputReproducer(options, input, nullptr));
  bool loaded = isModule ? loadModule() : loadRunFile();
  if (!loaded)
    return failPhase(/*isDefect=*/false);
  clearReproducer();
  return true;
}

bool Compilation::loadRunFile() {
  if (!options.startFrom.empty() && options.startFrom != "frontend")
    return fail(message<ErrorId::InputNoIr>(input, options.startFrom));
  frontend::JsonDiagnostics diagnostics;
  if (std::optional<std::string> text = frontend::readText(input, diagnostics))
    runFile = frontend::RunFile::read(*text, input, diagnostics, options.assignments);
  if (runFile)
    checkTarget(*runFile, diagnostics);
  report(diagnostics);
  bool ok = !frontend::hasErrors(diagnostics);
  // What is wrong with the configuration is said now too, and not in the next try.
  if (!ok && runFile)
    ok &= frontend::checkModel(*context, *runFile);
  return ok;
}

/// The run file goes into the trainer as the module has it.
static LogicalResult checkRun(ModuleOp module) {
  auto run = nn::getAttr<nn::NNDialect::RunAttrHelper>(module);
  if (!run || nlohmann::json::parse(run.str(), /*cb=*/nullptr, /*allow_exceptions=*/false).is_object())
    return success();
  return module.emitError(message<ErrorId::RunNoObject>());
}

bool Compilation::loadModule() {
  if (!options.assignments.empty())
    return fail(message<ErrorId::AssignmentOfIr>(options.assignments.front(), input));
  if (llvm::sys::fs::is_directory(input))
    return fail(message<ErrorId::NamedFileUnreadable>(input, "Is a directory"));
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> text = llvm::MemoryBuffer::getFile(input);
  if (!text)
    return fail(message<ErrorId::NamedFileUnreadable>(input, text.getError().message()));
  module = frontend::parseModule(*context, std::move(*text));
  if (!module || failed(mlir::verify(*module)))
    return false;
  if (!module->getOps<nn::ModelOp>().empty())
    return fail(message<ErrorId::InputIsModel>(input));
  if (failed(checkRun(*module)))
    return false;
  auto last = nn::getAttr<nn::NNDialect::PhaseAttrHelper>(*module);
  const Phase *phase = last ? findPhase(last.str()) : nullptr;
  if (last && !phase)
    return fail(message<ErrorId::PhaseUnknown>(input, last.str(), getPhaseNames()));
  const Phase *start = options.startFrom.empty() ? nullptr : findPhase(options.startFrom);
  if (!phase && (!start || start->number == 1))
    return fail(message<ErrorId::PhaseMissing>(input));
  done = loaded = phase ? phase->number : start->number - 1;
  // Naming the phase that wrote the file means to go on after it.
  if (start && start->number != done + 1 && start->number != done)
    return fail(message<ErrorId::PhaseStart>(
        input, last.str(), getPhases()[std::min<size_t>(done, getPhases().size() - 1)].name, start->name));
  const Phase *stop = options.stopAfter.empty() ? nullptr : findPhase(options.stopAfter);
  if (stop && stop->number < done)
    return fail(message<ErrorId::PhasePassed>(input, stop->name));
  return markChecked() && verifyLoaded();
}

/// Guards have to be there when sizes are decided, which begins with the schedule.
bool Compilation::markChecked() {
  if (!options.checked || nn::getAttr<nn::NNDialect::CheckedAttrHelper>(*module))
    return true;
  if (done >= findPhase("schedule")->number)
    return fail(message<ErrorId::CheckedTooLate>(getPhases()[done - 1].name));
  nn::setAttr<nn::NNDialect::CheckedAttrHelper>(*module, UnitAttr::get(context.get()));
  return true;
}

/// IR from a file may have been edited: what the phase that wrote it promised is checked again.
bool Compilation::verifyLoaded() {
  PassManager passes(context.get());
  for (const PhasePipeline &pipeline : getPhasePipelines())
    if (done > 0 && pipeline.name == getPhases()[done - 1].name)
      pipeline.buildVerifier(passes);
  return succeeded(passes.run(*module));
}

bool Compilation::runFrontend() {
  OwningOpRef<ModuleOp> built = frontend::buildModel(*context, *runFile);
  if (!built)
    return false;
  module = std::move(built);
  Builder builder(context.get());
  nn::setAttr<nn::NNDialect::ModelNameAttrHelper>(*module, builder.getStringAttr(runFile->name));
  nn::setAttr<nn::NNDialect::IsaAttrHelper>(*module, builder.getStringAttr(runFile->target.isa));
  return markChecked();
}

namespace {

/// Notes whether a phase broke its own promise: a pass that refuses a model says what is wrong with the
/// model, but a pass that verifies what the passes before it did finds a defect of theirs.
struct DefectInstrumentation : PassInstrumentation {
  DefectInstrumentation(const PhasePipeline &phase, MLIRContext *context, bool &isDefect)
      : isDefect(isDefect) {
    PassManager passes(context);
    phase.buildVerifier(passes);
    std::string text;
    llvm::raw_string_ostream stream(text);
    passes.printAsTextualPipeline(stream);
    // Names stand between brackets and commas.
    for (StringRef rest = text; !rest.empty();) {
      size_t end = rest.find_first_of("(){},");
      verifiers.insert(rest.take_front(end));
      rest = rest.drop_front(std::min(end, rest.size() - 1) + 1);
    }
  }
  void runAfterPassFailed(Pass *pass, Operation *) override {
    isDefect |= !pass->getArgument().empty() && verifiers.contains(pass->getArgument());
  }
  llvm::StringSet<> verifiers;
  bool &isDefect;
};

} // namespace

bool Compilation::runPipeline(const Phase &phase) {
  PassManager passes(context.get());
  bool isDefect = false;
  for (const PhasePipeline &pipeline : getPhasePipelines()) {
    if (pipeline.name != phase.name)
      continue;
    passes.addInstrumentation(std::make_unique<DefectInstrumentation>(pipeline, context.get(), isDefect));
    pipeline.build(passes);
  }
  return succeeded(passes.run(*module)) || failPhase(isDefect);
}

bool Compilation::finishPhase(const Phase &phase, double seconds) {
  done = phase.number;
  nn::setAttr<nn::NNDialect::PhaseAttrHelper>(*module, StringAttr::get(context.get(), phase.name));
  if (options.timing)
    llvm::errs() << llvm::formatv("{0,-10} {1,8:F3} s\n", phase.name, seconds);
  if (options.dumpPhases.empty())
    return true;
  if (std::error_code code = llvm::sys::fs::create_directories(options.dumpPhases, /*IgnoreExisting=*/true,
                                                               llvm::sys::fs::all_all))
    return fail(message<ErrorId::FolderUnwritable>(options.dumpPhases, code.message()));
  return writeText(getDump(phase), printModule());
}

std::string Compilation::getDump(const Phase &phase) const {
  llvm::SmallString<128> path(options.dumpPhases);
  llvm::sys::path::append(path, phase.getFileName());
  return path.str().str();
}

std::vector<std::string> Compilation::getDumps() const {
  std::vector<std::string> dumps;
  const Phase *last = findPhase(options.stopAfter.empty() ? "link" : options.stopAfter);
  for (const Phase &phase : getPhases())
    if (!options.dumpPhases.empty() && phase.number > done && phase.number <= last->number &&
        phase.name != "link")
      dumps.push_back(getDump(phase));
  return dumps;
}

std::string Compilation::printModule() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // Whole, however large its tables: what is printed can be continued.
  module->print(stream);
  stream << "\n";
  return text;
}

bool Compilation::runUntil(const std::string &last) {
  for (const Phase &phase : getPhases()) {
    if (!last.empty() && hasPassed(last))
      return true;
    if (phase.number <= done || phase.name == "link")
      continue;
    prepareReproducer(phase);
    auto start = std::chrono::steady_clock::now();
    if (!(phase.number == 1 ? runFrontend() || failPhase(/*isDefect=*/false) : runPipeline(phase)))
      return false;
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!finishPhase(phase, seconds.count()))
      return false;
    clearReproducer();
  }
  return true;
}

/// What the system refuses, such as room for temporary files, has a code and is no defect. Nor is what is
/// wrong with code that no phase of this process has made.
bool Compilation::failLink(llvm::Error error) {
  std::error_code code = llvm::inconvertibleErrorCode();
  std::string text;
  llvm::handleAllErrors(std::move(error), [&](const llvm::ErrorInfoBase &info) {
    code = info.convertToErrorCode();
    text += (text.empty() ? "" : "; ") + info.message();
  });
  bool isDefect = code == llvm::inconvertibleErrorCode();
  bool isOfInput = isDefect && loaded == done;
  if (isOfInput)
    module->emitError(text);
  else
    fail(text);
  return failPhase(isDefect && !isOfInput);
}

std::vector<std::string> Compilation::getInputs() const {
  std::vector<std::string> inputs = {input};
  if (runFile) {
    inputs.push_back(runFile->architecture);
    inputs.push_back(runFile->config.getFile());
  }
  return inputs;
}

bool Compilation::link(const std::string &stub, const std::string &output) {
  prepareReproducer(*findPhase("link"));
  auto start = std::chrono::steady_clock::now();
  llvm::Expected<linker::Trainer> trainer = linker::buildTrainer(*module);
  if (!trainer)
    return failLink(trainer.takeError());
  clearReproducer();
  // Code for another processor runs on another machine.
  if (auto isa = nn::getAttr<nn::NNDialect::IsaAttrHelper>(*module);
      (!isa || isa.getValue() == "native") && trainer->memory.bytes > abi::getMemoryLimit())
    llvm::errs() << "contraflow: warning: "
                 << message<ErrorId::MemoryShort>(abi::formatBytes(trainer->memory.bytes),
                                                  abi::formatBytes(abi::getMemoryLimit()),
                                                  trainer->memory.peak)
                 << "\n";
  if (llvm::Error error = linker::writeTrainer(stub, output, trainer->sharedObject, trainer->manifest))
    return fail(llvm::toString(std::move(error)));
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.timing)
    llvm::errs() << llvm::formatv("{0,-10} {1,8:F3} s\n", "link", seconds.count());
  return true;
}

} // namespace contraflow::driver
