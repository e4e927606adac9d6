//===- Frontend.cpp - from a run file to a model with sizes ---------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/Frontend.h"

#include "compiler/errors/Errors.h"
#include "compiler/frontend/BindConfig.h"
#include "compiler/frontend/ErrorNotes.h"
#include "compiler/frontend/Instantiate.h"
#include "compiler/frontend/ReadModule.h"
#include "dialects/comm/Comm.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "runtime/abi/Manifest.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <algorithm>

using namespace mlir;

namespace contraflow::frontend {

namespace {

/// The one model of a file; null after a diagnostic.
nn::ModelOp getModel(ModuleOp module, const std::string &path) {
  auto models = module.getOps<nn::ModelOp>();
  if (!models.empty() && std::next(models.begin()) == models.end()) {
    nn::ModelOp model = *models.begin();
    if (!model.getModelTypes().empty())
      return model;
    emitError(model.getLoc()) << message<ErrorId::ModelServesNothing>(model.getSymName());
    return {};
  }
  emitError(FileLineColLoc::get(module.getContext(), path, 1, 1))
      << message<ErrorId::ModelCount>(std::distance(models.begin(), models.end()));
  return {};
}

/// The text of the architecture; null after a diagnostic.
std::unique_ptr<llvm::MemoryBuffer> readArchitectureText(MLIRContext &context, const RunFile &run) {
  std::string fault;
  std::optional<std::string> text = readText(run.architecture, fault);
  // `{-#` begins what MLIR writes behind a module.
  StringRef begin = text ? StringRef(*text).ltrim() : "";
  bool isJson = begin.starts_with("{") && !begin.starts_with("{-");
  if (text && !isJson)
    return llvm::MemoryBuffer::getMemBufferCopy(*text, run.architecture);
  std::optional<JsonValue> key = run.run.find("architecture");
  bool isFolder = llvm::sys::fs::is_directory(run.architecture);
  emitError((key ? *key : run.run).getLoc(&context))
      << "architecture: "
      << (isFolder ? message<ErrorId::ArchitectureFolder>(run.architecture)
          : isJson ? message<ErrorId::ArchitectureJson>(run.architecture)
                   : describeUnreadable(run.architecture, fault));
  return nullptr;
}

/// What the frontend does not know would vanish.
LogicalResult checkOperations(ModuleOp module) {
  LogicalResult result = success();
  module.getBodyRegion().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa_and_nonnull<nn::NNDialect>(op->getDialect()))
      return WalkResult::advance();
    result = emitError(op->getLoc()) << message<ErrorId::OperationForeign>(op->getName());
    return WalkResult::skip();
  });
  return result;
}

/// Names end up in manifests, JSON and event files, which are UTF-8; MLIR's "\FF" can be any byte.
LogicalResult checkNames(ModuleOp module) {
  LogicalResult result = success();
  module.walk([&](Operation *op) {
    WalkResult names = op->getAttrDictionary().walk([](StringAttr name) {
      return llvm::json::isUTF8(name.getValue()) ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (names.wasInterrupted())
      result = op->emitOpError() << message<ErrorId::TextNoUtf8>();
  });
  return result;
}

/// The architecture that `run` names; null after a diagnostic.
OwningOpRef<ModuleOp> readArchitecture(MLIRContext &context, const RunFile &run) {
  context.loadDialect<nn::NNDialect>();
  std::unique_ptr<llvm::MemoryBuffer> text = readArchitectureText(context, run);
  OwningOpRef<ModuleOp> module = text ? parseModule(context, std::move(text)) : nullptr;
  if (!module || failed(checkOperations(*module)) || failed(checkNames(*module)) ||
      failed(verifyAll(*module)))
    return nullptr;
  return module;
}

/// The output "logits", which the model has.
nn::OutputOp getLogits(ModuleOp module) {
  for (auto output : module.lookupSymbol<nn::GraphOp>("train").getBody().getOps<nn::OutputOp>())
    if (output.getName() == "logits")
      return output;
  llvm_unreachable("pruneGraphs refuses a graph without logits");
}

/// One column for each id, as the configuration counts them where it does.
LogicalResult checkLogits(ModuleOp module, const RunFile &run) {
  nn::OutputOp logits = getLogits(module);
  auto type = cast<nn::TensorType>(logits.getValue().getType());
  std::optional<JsonValue> size = run.config.find("vocab_size");
  bool isMatrix = type.getRank() == 2 && type.getElementType().isF32();
  bool isCounted = !size || size->get() == type.getStaticShape().back();
  if (isMatrix && isCounted)
    return success();
  return logits.emitOpError() << message<ErrorId::LogitsType>(
             type, size ? "vocab_size = " + describe(size->get()) : "the vocabulary");
}

/// Columns of the output "logits".
int64_t getVocabulary(ModuleOp module) {
  return cast<nn::TensorType>(getLogits(module).getValue().getType()).getStaticShape().back();
}

/// Ids that a configuration names are ids of its vocabulary. Hugging Face allows null, and lists of ids.
LogicalResult checkTokenIds(MLIRContext &context, const RunFile &run, int64_t vocabulary) {
  LogicalResult result = success();
  auto check = [&](const JsonValue &value) {
    const nlohmann::json &json = value.get();
    if (json.is_number_unsigned() && json.get<uint64_t>() < uint64_t(vocabulary))
      return;
    result = emitError(value.getLoc(&context))
             << value.getKeyPath() << ": "
             << message<ErrorId::ValueUnexpected>("an id of 0 to " + std::to_string(vocabulary - 1),
                                                  describe(json));
  };
  for (const char *key : {"bos_token_id", "eos_token_id"}) {
    std::optional<JsonValue> value = run.config.find(key);
    if (!value || value->get().is_null())
      continue;
    if (!value->get().is_array())
      check(*value);
    for (size_t i = 0; value->get().is_array() && i < value->get().size(); ++i)
      check(value->at(i));
  }
  return result;
}

/// Bounds of the trainer: ids have 32 bits, and text becomes its bytes and two marks.
LogicalResult checkVocabulary(ModuleOp module, const RunFile &run, int64_t vocabulary) {
  std::optional<JsonValue> value = run.config.find("vocab_size");
  Location location = value ? value->getLoc(module.getContext()) : module.getLoc();
  std::string key = value ? value->getKeyPath() + ": " : "";
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (vocabulary > most)
    return emitError(location) << key
                               << message<ErrorId::ValueUnexpected>(
                                      "an integer of at most " + std::to_string(most), vocabulary);
  abi::Manifest defaults;
  if (int64_t wanted = std::max(defaults.bos, defaults.eos) + 1; value && vocabulary < wanted)
    emitWarning(location) << key << message<ErrorId::VocabularyTooSmall>(vocabulary, wanted);
  return success();
}

/// One process needs no mesh.
void setMesh(ModuleOp module, const abi::Mesh &mesh) {
  if (mesh.getWorld() == 1)
    return;
  MLIRContext *context = module.getContext();
  context->loadDialect<comm::CommDialect>();
  nn::setInt<nn::NNDialect::ReplicasAttrHelper>(module, mesh.dp);
  comm::CommDialect::MeshAttrHelper(context).setAttr(module,
                                                     comm::MeshAttr::get(context, mesh.pp, mesh.dp, mesh.ep));
}

void setAttributes(ModuleOp module, const RunFile &run) {
  Builder builder(module.getContext());
  nn::setInt<nn::NNDialect::BatchAttrHelper>(module, run.getBatch());
  nn::setInt<nn::NNDialect::SeqAttrHelper>(module, run.sequence);
  nn::setInt<nn::NNDialect::MicroBatchesAttrHelper>(module, run.microBatches);
  nn::setInt<nn::NNDialect::VocabAttrHelper>(module, getVocabulary(module));
  setMesh(module, run.mesh);
  const RunFile::Optimizer &optimizer = run.optimizer;
  std::pair<StringRef, double> numbers[] = {{"beta1", optimizer.beta1},
                                            {"beta2", optimizer.beta2},
                                            {"eps", optimizer.eps},
                                            {"weight_decay", optimizer.weightDecay},
                                            {"clip_norm", optimizer.clipNorm},
                                            {"ema_decay", run.ema.decay}};
  SmallVector<NamedAttribute> entries;
  for (auto [name, value] : numbers)
    entries.push_back(builder.getNamedAttr(name, builder.getF64FloatAttr(value)));
  nn::setAttr<nn::NNDialect::OptimizerAttrHelper>(module, builder.getDictionaryAttr(entries));
  nn::setAttr<nn::NNDialect::ModelTypeAttrHelper>(
      module, builder.getStringAttr(run.config.find("model_type")->get().get<std::string>()));
}

} // namespace

bool checkModel(MLIRContext &context, const RunFile &run) {
  return run.hasConfig && buildModel(context, run);
}

OwningOpRef<ModuleOp> buildModel(MLIRContext &context, const RunFile &run) {
  OwningOpRef<ModuleOp> source = readArchitecture(context, run);
  return source ? buildModel(*source, run) : OwningOpRef<ModuleOp>();
}

OwningOpRef<ModuleOp> buildModel(ModuleOp source, const RunFile &run) {
  nn::ModelOp model = getModel(source, run.architecture);
  if (!model)
    return {};
  BoundConfig config = bindConfig(model, run);
  ErrorNotes notes(model, config);
  // After an error of a value, errors of operations that do not depend on it are said, too.
  OwningOpRef<ModuleOp> module = instantiate(model, config.environment);
  if (!config.holds || !module || failed(checkLogits(*module, run)) ||
      failed(checkVocabulary(*module, run, getVocabulary(*module))) ||
      failed(checkTokenIds(*source.getContext(), run, getVocabulary(*module))))
    return {};
  setAttributes(*module, run);
  std::string resolved = resolveRun(model, run, config).dump();
  nn::setAttr<nn::NNDialect::RunAttrHelper>(*module, StringAttr::get(module->getContext(), resolved));
  return module;
}

std::string findArchitecture(MLIRContext &context, const std::string &modelsFolder,
                             const std::string &modelType) {
  context.loadDialect<nn::NNDialect>();
  std::error_code error;
  std::vector<std::string> candidates;
  for (llvm::sys::fs::directory_iterator it(modelsFolder, error), end; !error && it != end;
       it.increment(error)) {
    llvm::SmallString<128> path(it->path());
    llvm::sys::path::append(path, "model.mlir");
    if (llvm::sys::fs::exists(path))
      candidates.push_back(path.str().str());
  }
  // The order of a directory is not fixed.
  std::sort(candidates.begin(), candidates.end());
  for (const std::string &path : candidates)
    if (OwningOpRef<ModuleOp> source = parseSourceFile<ModuleOp>(path, &context))
      for (auto model : source->getOps<nn::ModelOp>())
        if (llvm::is_contained(model.getModelTypes().getAsValueRange<StringAttr>(), modelType))
          return path;
  return "";
}

} // namespace contraflow::frontend
