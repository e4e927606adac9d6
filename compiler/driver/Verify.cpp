//===- Verify.cpp - contraflow verify -------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model is compiled from the folder's own config.json with the sizes of its ids, the trainer runs the
// steps that the folder records, and every number is compared (Golden.h). What can be said before compiling
// is said before: a tensor of a wrong shape is a message, not a failed comparison.
//
//===----------------------------------------------------------------------===//
#include "compiler/driver/Verify.h"

#include "compiler/driver/Golden.h"
#include "compiler/driver/Phases.h"
#include "compiler/errors/Errors.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/Parameters.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <array>

using namespace mlir;

namespace contraflow::driver {
namespace {

constexpr llvm::StringLiteral kMtpDepth = "num_nextn_predict_layers";
/// Lines of one kind of problem; more are counted.
constexpr size_t kMostLines = 8;

std::string joinPath(StringRef folder, StringRef file) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, file);
  return path.str().str();
}

std::string getAbsolute(StringRef path) {
  llvm::SmallString<128> absolute(path);
  // A path that cannot be made absolute is reported by whoever opens it.
  if (llvm::sys::fs::make_absolute(absolute))
    return path.str();
  return absolute.str().str();
}

void printLines(llvm::raw_ostream &out, const std::string &prefix, const std::vector<std::string> &lines) {
  for (size_t i = 0; i < lines.size() && i < kMostLines; ++i)
    out << prefix << lines[i] << "\n";
  if (lines.size() > kMostLines)
    out << prefix << "and " << lines.size() - kMostLines << " more\n";
}

//===----------------------------------------------------------------------===//
// The run file
//===----------------------------------------------------------------------===//

/// The run that folders are recorded by (test/numerics/golden/README.md).
class RunWriter {
public:
  RunWriter(const Golden &golden, const std::string &models) : golden(golden), models(models) {}

  /// Reads config.json and finds the architecture that serves it; false after an error.
  bool open() {
    frontend::JsonDiagnostics diagnostics;
    std::string path = getAbsolute(golden.getPath("config.json"));
    config = frontend::JsonDocument::read(path, diagnostics);
    std::optional<frontend::JsonValue> type = config ? config->find("model_type") : std::nullopt;
    if (config && !type)
      diagnostics.push_back({path, {}, message<ErrorId::KeyMissing>("model_type", "")});
    else if (type && !type->get().is_string())
      diagnostics.push_back(type->makeDiagnostic(
          message<ErrorId::ValueUnexpected>("a string", frontend::describe(type->get()))));
    for (const frontend::JsonDiagnostic &diagnostic : diagnostics)
      llvm::errs() << diagnostic.str() << "\n";
    if (frontend::hasErrors(diagnostics))
      return false;
    modelType = type->get().get<std::string>();
    architecture = getAbsolute(frontend::findArchitecture(context, models, modelType));
    OwningOpRef<ModuleOp> source = llvm::sys::fs::is_regular_file(architecture)
                                       ? parseSourceFile<ModuleOp>(architecture, &context)
                                       : nullptr;
    if (!source)
      return fail(message<ErrorId::NobodyServes>(models, modelType));
    for (auto model : source->getOps<nn::ModelOp>())
      for (auto key : model.getBody().getOps<nn::ConfigOp>())
        if (key.getRun())
          for (StringRef name : key.getPaths().getAsValueRange<StringAttr>())
            runKeys.insert(name);
    setDepth();
    return checkWeights();
  }

  /// Builds the model without compiling it. Null without a word if the frontend has errors: the compilation
  /// that follows reports them.
  OwningOpRef<ModuleOp> build(const std::string &runFile) {
    ScopedDiagnosticHandler silence(&context, [](Diagnostic &) { return success(); });
    frontend::JsonDiagnostics diagnostics;
    std::optional<frontend::RunFile> run = frontend::RunFile::load(runFile, diagnostics);
    return run ? frontend::buildModel(context, *run) : nullptr;
  }

  bool write(const std::string &path) const {
    nlohmann::json run = {
        {"name", modelType},
        {"model", getAbsolute(golden.getPath("config.json"))},
        {"architecture", architecture},
        {"batch",
         {{"sequence", golden.sequence}, {"tokens", golden.batch * golden.sequence}, {"micro_batches", 1}}},
        {"bias_update_rate", 0.0},
        {"optimizer",
         {{"lr", kVerifyRate},
          {"betas", {0.9, 0.95}},
          {"eps", 1e-8},
          {"weight_decay", 0.1},
          {"clip_norm", 0.0},
          {"schedule", "constant"},
          {"warmup_steps", 0}}},
        {"train", {{"steps", kVerifySteps}}}};
    // The configuration stays a file of its own where possible, so that diagnostics point into it.
    if (depth) {
      run["model"] = config->get();
      run["model"][kMtpDepth.str()] = *depth;
    }
    // An architecture without such a loss refuses the key, and one with it may have a default.
    run["loss"] = nlohmann::json::object();
    for (auto [key, value] : getWeights())
      if (runKeys.contains("loss." + key.str()))
        run["loss"][key.str()] = value;
    return writeText(path, run.dump(1) + "\n");
  }

  /// Depths of multi-token prediction.
  int64_t getDepth() const {
    std::optional<frontend::JsonValue> value = config->find(kMtpDepth.str());
    return depth ? *depth : value && value->get().is_number_integer() ? value->get().get<int64_t>() : 0;
  }
  void removeDepth() {
    notes.push_back("the folder records no multi-token prediction: " + kMtpDepth.str() + " = " +
                    std::to_string(getDepth()) + " of config.json is taken as 0");
    depth = 0;
  }
  /// Where what is compiled differs from config.json.
  const std::vector<std::string> &getNotes() const { return notes; }
  const std::string &getModelType() const { return modelType; }

private:
  /// Keys of meta.json and, under "loss", of a run file.
  std::array<std::pair<StringRef, double>, 2> getWeights() const {
    return {{{"mtp_weight", golden.meta.mtpWeight}, {"balance_alpha", golden.meta.balanceAlpha}}};
  }

  /// A loss that the folder trains with is one of the architecture.
  bool checkWeights() const {
    for (auto [key, value] : getWeights())
      if (value != 0 && !runKeys.contains("loss." + key.str()))
        return fail(message<ErrorId::WeightWithoutLoss>(golden.getPath("meta.json"), key, modelType));
    return true;
  }

  /// Libraries that know nothing of multi-token prediction drop its key from config.json; recorded logits
  /// tell the depth then.
  void setDepth() {
    int64_t recorded = llvm::count_if(golden.io.getTensors(), [](const auto &entry) {
      return StringRef(entry.first).starts_with("mtp_logits");
    });
    if (golden.meta.mtpWeight == 0 || recorded == 0 || getDepth() != 0)
      return;
    depth = recorded;
    notes.push_back("the folder records multi-token prediction: " + kMtpDepth.str() + " is taken as " +
                    std::to_string(recorded) + ", which config.json does not say");
  }

  const Golden &golden;
  std::string models;
  MLIRContext context{MLIRContext::Threading::DISABLED};
  std::optional<frontend::JsonValue> config;
  std::string modelType;
  std::string architecture;
  /// Keys of a run file that the architecture reads.
  llvm::StringSet<> runKeys;
  /// Replaces that of config.json.
  std::optional<int64_t> depth;
  std::vector<std::string> notes;
};

//===----------------------------------------------------------------------===//
// Checks before compiling
//===----------------------------------------------------------------------===//

/// A tensor of a checkpoint.
struct Wanted {
  std::string name;
  std::vector<int64_t> shape;
};

/// The tensors that a parameter is in files.
std::vector<Wanted> getPieces(const frontend::ParameterInfo &parameter) {
  StringRef name = parameter.name;
  size_t at = name.find("{e}");
  if (at == StringRef::npos)
    return {{parameter.name, parameter.shape}};
  std::vector<Wanted> pieces;
  for (int64_t e = 0; e < parameter.shape.front(); ++e)
    pieces.push_back({(name.take_front(at) + std::to_string(e) + name.drop_front(at + 3)).str(),
                      std::vector<int64_t>(parameter.shape.begin() + 1, parameter.shape.end())});
  return pieces;
}

/// Whether the folder records multi-token prediction that the configuration has. Published configurations
/// have it, and a library that does not implement it records steps without.
bool recordsAuxiliary(const frontend::ParameterSummary &summary, const Golden &golden) {
  bool has = false;
  for (const frontend::ParameterInfo &parameter : summary.parameters) {
    if (!parameter.isAuxiliary || parameter.isBuffer)
      continue;
    has = true;
    for (const Wanted &piece : getPieces(parameter))
      if (golden.io.find("grad." + piece.name))
        return true;
  }
  return !has;
}

bool isFloat(abi::ElementType type) {
  return llvm::is_contained(
      {abi::ElementType::F64, abi::ElementType::F32, abi::ElementType::F16, abi::ElementType::BF16}, type);
}

/// Everything but ids is compared as numbers.
bool checkTypes(const Golden &golden) {
  for (const auto &[name, view] : golden.io.getTensors())
    if (name != "input_ids" && !isFloat(view.type))
      return fail("'" + golden.io.getPath() +
                  "': " + message<ErrorId::TensorType>(name, abi::nameOf(view.type)));
  return true;
}

bool checkParameters(const frontend::ParameterSummary &summary, const Golden &golden) {
  std::vector<std::string> problems;
  for (const frontend::ParameterInfo &parameter : summary.parameters)
    for (const Wanted &piece : getPieces(parameter)) {
      const abi::TensorView *found = golden.parameters.find(piece.name);
      if (!found)
        problems.push_back(message<ErrorId::TensorMissing>(piece.name));
      else if (!isFloat(found->type))
        problems.push_back(message<ErrorId::TensorType>(piece.name, abi::nameOf(found->type)));
      else if (found->shape != piece.shape)
        problems.push_back(message<ErrorId::TensorOfConfig>(piece.name, abi::shapeText(found->shape),
                                                            abi::shapeText(piece.shape)));
    }
  if (problems.empty())
    return true;
  fail(message<ErrorId::ParametersUnfit>(golden.parameters.getPath()));
  printLines(llvm::errs(), "  ", problems);
  return false;
}

bool checkIds(ModuleOp module, const Golden &golden) {
  auto vocab = nn::getAttr<nn::NNDialect::VocabAttrHelper>(module);
  for (int32_t id : golden.ids)
    if (vocab && (id < 0 || id >= vocab.getInt()))
      return fail(message<ErrorId::IdBeyondVocabulary>(golden.io.getPath(), id, vocab.getInt()));
  const abi::TensorView *logits = golden.io.find("logits");
  std::vector<int64_t> shape = {golden.batch, golden.sequence, vocab ? vocab.getInt() : 0};
  if (logits && vocab && logits->shape != shape)
    return fail(message<ErrorId::TensorShape>(golden.io.getPath(), "logits", abi::shapeText(logits->shape),
                                              abi::shapeText(shape)));
  return true;
}

/// Writes the run file and checks the folder against the model. False after an error.
bool prepare(RunWriter &writer, const Golden &golden, const std::string &runFile) {
  if (!writer.open() || !writer.write(runFile))
    return false;
  OwningOpRef<ModuleOp> module = writer.build(runFile);
  if (!module)
    return true;
  FailureOr<frontend::ParameterSummary> summary = frontend::countParameters(*module);
  if (failed(summary))
    return false;
  if (golden.meta.mtpWeight == 0 && writer.getDepth() > 0 && !recordsAuxiliary(*summary, golden)) {
    writer.removeDepth();
    if (!writer.write(runFile))
      return false;
    module = writer.build(runFile);
    if (!module)
      return true;
    summary = frontend::countParameters(*module);
    if (failed(summary))
      return false;
  }
  return checkIds(*module, golden) && checkTypes(golden) && checkParameters(*summary, golden);
}

//===----------------------------------------------------------------------===//
// Running and reporting
//===----------------------------------------------------------------------===//

bool runProbe(const Golden &golden, const std::string &trainer, const std::string &result, int threads) {
  std::vector<std::string> arguments = {trainer,        "probe",
                                        "--parameters", golden.parameters.getPath(),
                                        "--ids",        golden.io.getPath(),
                                        "--steps",      std::to_string(kVerifySteps),
                                        "--out",        result};
  if (threads > 0)
    arguments.insert(arguments.end(), {"--threads", std::to_string(threads)});
  SmallVector<StringRef> views(arguments.begin(), arguments.end());
  std::string error;
  llvm::outs().flush();
  int status = llvm::sys::ExecuteAndWait(trainer, views, std::nullopt, {}, 0, 0, &error);
  if (status == 0)
    return true;
  // Below zero it did not start, or a signal ended it.
  return fail(message<ErrorId::TrainerFailed>(status < 0 ? "failed: " + error
                                                         : "ended with status " + std::to_string(status)));
}

std::string formatNumber(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.1e", value);
  return text;
}

void printTable(const std::vector<Comparison> &comparisons) {
  std::vector<std::array<std::string, 5>> rows = {{"quantity", "largest error", "bound", "worst", "result"}};
  for (const Comparison &comparison : comparisons) {
    const Bound &bound = getBound(comparison.quantity);
    std::string result = "ok";
    if (comparison.over)
      result = "FAILED (" + std::to_string(comparison.over) + " of " + std::to_string(comparison.count) + ")";
    else if (!comparison.problems.empty())
      result = "FAILED (" + std::to_string(comparison.problems.size()) + " not compared)";
    rows.push_back({bound.name, comparison.count ? formatNumber(comparison.error) : "-",
                    formatNumber(bound.bound), comparison.count ? comparison.worst : "-", result});
  }
  std::array<size_t, 5> widths = {};
  for (const auto &row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  for (const auto &row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      std::string space(widths[i] - row[i].size(), ' ');
      // Numbers end, and words begin, below each other.
      llvm::outs() << (i == 1 || i == 2 ? space + row[i] : row[i] + space) << "  ";
    }
    llvm::outs() << row.back() << "\n";
  }
}

void printText(const std::string &title, const std::vector<std::string> &notes,
               const std::vector<Comparison> &comparisons, bool ok) {
  llvm::outs() << title << "\n";
  for (const std::string &note : notes)
    llvm::outs() << "note: " << note << "\n";
  printTable(comparisons);
  for (const Comparison &comparison : comparisons)
    printLines(llvm::outs(), std::string(getBound(comparison.quantity).name) + ": ", comparison.problems);
  llvm::outs() << (ok ? "ok\n" : "FAILED\n");
}

void printJson(const std::string &folder, const std::vector<std::string> &notes,
               const std::vector<Comparison> &comparisons, bool ok) {
  nlohmann::json list = nlohmann::json::array();
  for (const Comparison &comparison : comparisons) {
    const Bound &bound = getBound(comparison.quantity);
    // JSON has no infinity; null is worse than any number.
    list.push_back({{"quantity", bound.name},
                    {"error", comparison.error},
                    {"bound", bound.bound},
                    {"measure", bound.measure},
                    {"worst", comparison.worst},
                    {"compared", comparison.count},
                    {"over", comparison.over},
                    {"problems", comparison.problems},
                    {"ok", comparison.isOk()}});
  }
  nlohmann::json document = {{"folder", folder}, {"ok", ok}, {"notes", notes}, {"quantities", list}};
  llvm::outs() << document.dump(1) << "\n";
}

/// A folder to work in: a given one, or a temporary one that goes with this object.
class WorkFolder {
public:
  explicit WorkFolder(const std::string &keep) : path(keep), isTemporary(keep.empty()) {
    code = isTemporary
               ? llvm::sys::fs::createUniqueDirectory("contraflow-verify", path)
               : llvm::sys::fs::create_directories(path, /*IgnoreExisting=*/true, llvm::sys::fs::all_all);
  }
  ~WorkFolder() {
    if (isTemporary && !code)
      llvm::sys::fs::remove_directories(path);
  }
  WorkFolder(const WorkFolder &) = delete;
  WorkFolder &operator=(const WorkFolder &) = delete;

  bool check() const {
    return code ? fail(message<ErrorId::FolderUnwritable>(path.str(), code.message())) : true;
  }
  /// Absolute: what is started or written does not depend on a search path.
  std::string getPath(StringRef file) const { return getAbsolute(joinPath(path, file)); }

private:
  llvm::SmallString<128> path;
  bool isTemporary;
  std::error_code code;
};

} // namespace

int verifyFolder(const std::string &folder, const VerifyOptions &options, const CompileFunction &compile) {
  std::optional<Golden> golden = Golden::open(folder);
  WorkFolder work(options.keep);
  if (!golden || !work.check())
    return 1;
  std::string run = work.getPath("run.json"), trainer = work.getPath("trainer");
  std::string result = work.getPath("result.safetensors");
  RunWriter writer(*golden, options.models);
  if (!prepare(writer, *golden, run) || !compile(run, trainer) ||
      !runProbe(*golden, trainer, result, options.threads))
    return 1;
  abi::SafetensorsFile results(result);
  std::vector<Comparison> comparisons = compareWithGolden(results, *golden);
  std::vector<std::string> notes = writer.getNotes();
  llvm::append_range(notes, getUnrecorded(results, *golden));
  llvm::append_range(notes, getExceptions(comparisons));
  bool ok = llvm::all_of(comparisons, [](const Comparison &comparison) { return comparison.isOk(); });
  if (options.json)
    printJson(folder, notes, comparisons, ok);
  else
    printText(folder + ": " + writer.getModelType() + ", " + std::to_string(golden->batch) + " x " +
                  std::to_string(golden->sequence) + " tokens, " +
                  std::to_string(golden->parameters.getTensors().size()) + " parameters",
              notes, comparisons, ok);
  return ok ? 0 : 1;
}

} // namespace contraflow::driver
