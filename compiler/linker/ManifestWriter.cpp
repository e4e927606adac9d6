//===- ManifestWriter.cpp - what the trainer is told, from the programs ---===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/linker/ManifestWriter.h"

#include "compiler/errors/Errors.h"
#include "compiler/linker/Linker.h"
#include "dialects/comm/Comm.h"
#include "dialects/nn/Signature.h"
#include "dialects/pipe/Pipe.h"
#include "runtime/abi/Abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Threading.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace contraflow::linker {
namespace {

int64_t getAddress(Value buffer) {
  pipe::Extent extent = pipe::getExtent(buffer);
  return static_cast<int64_t>(extent.buffer.getOffset().value_or(0)) + extent.offset;
}

abi::MetricKind getMetricKind(pipe::ExposeKind kind) {
  return kind == pipe::ExposeKind::mean    ? abi::MetricKind::Mean
         : kind == pipe::ExposeKind::ratio ? abi::MetricKind::Ratio
                                           : abi::MetricKind::Load;
}

class ManifestWriter {
public:
  explicit ManifestWriter(ModuleOp module) : module(module) {}

  llvm::Expected<abi::Manifest> write() {
    manifest.version = CF_ABI_VERSION;
    if (auto run = nn::getAttr<nn::NNDialect::RunAttrHelper>(module))
      manifest.run = run.str();
    if (auto name = nn::getAttr<nn::NNDialect::ModelNameAttrHelper>(module))
      manifest.model = name.str();
    manifest.batch = nn::getIntOr<nn::NNDialect::BatchAttrHelper>(module, 1);
    manifest.seq = nn::getIntOr<nn::NNDialect::SeqAttrHelper>(module, 1);
    manifest.vocab = nn::getIntOr<nn::NNDialect::VocabAttrHelper>(module, 1);
    manifest.microBatches = nn::getIntOr<nn::NNDialect::MicroBatchesAttrHelper>(module, 1);
    if (std::optional<abi::Mesh> mesh = comm::getMesh(module))
      manifest.mesh = *mesh;
    for (auto parameter : module.getOps<pipe::ParameterOp>())
      addParameter(parameter);
    for (auto program : module.getOps<pipe::ProgramOp>())
      if (llvm::Error error = addProgram(program))
        return std::move(error);
    manifest.guardBytes = nn::getGuardBytes(module);
    for (auto checks : module.getOps<pipe::ChecksOp>())
      addChecks(checks);
    addActivations();
    return std::move(manifest);
  }

private:
  void addParameter(pipe::ParameterOp op) {
    abi::Parameter parameter;
    parameter.name = op.getName().str();
    parameter.shape.assign(op.getShape().begin(), op.getShape().end());
    parameter.offset = op.getOffset();
    parameter.split = op.getSplit();
    parameter.init = op.getInit() == "ones"    ? abi::Init::Ones
                     : op.getInit() == "zeros" ? abi::Init::Zeros
                                               : abi::Init::Normal;
    parameter.trainable = !op.getFrozen();
    parameter.decay = op.getDecay();
    parameter.block = op.getBlock().str();
    manifest.parameters.push_back(std::move(parameter));
  }

  llvm::Error addProgram(pipe::ProgramOp program) {
    if (!program.getArena())
      return llvm::createStringError(message<ErrorId::ProgramWithoutAddresses>(program.getSymName()));
    manifest.arenaBytes = std::max<int64_t>(manifest.arenaBytes, *program.getArena());
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>()) {
      int64_t offset = buffer.getOffset().value_or(0), bytes = buffer.getBytes();
      if (buffer.getKind() <= pipe::BufferKind::ema)
        manifest.regions[stringifyBufferKind(buffer.getKind()).str()] = {offset, bytes};
      if (buffer.isPersistent())
        persistentEnd = std::max(persistentEnd, offset + bytes);
    }
    if (program.getSymName() == "train")
      manifest.flopsPerStep = program.getFlops().value_or(APFloat(0.0)).convertToDouble();
    addRows(program);
    for (auto expose : program.getBody().getOps<pipe::ExposeOp>())
      addExposed(program, expose);
    // A program without rows is there all the same.
    manifest.programs.try_emplace(program.getSymName().str());
    addMemory(program);
    return llvm::Error::success();
  }

  /// Which rows use a buffer, itself or parts of it. `end` is the number of rows.
  abi::Buffer describe(pipe::BufferOp op, const llvm::DenseMap<Operation *, int64_t> &rows, int64_t end) {
    abi::Buffer buffer;
    buffer.name = op.getName().str();
    buffer.kind = stringifyBufferKind(op.getKind()).str();
    buffer.offset = op.getOffset().value_or(0);
    buffer.bytes = op.getBytes();
    buffer.persistent = op.isPersistent();
    buffer.first = buffer.persistent ? 0 : end;
    buffer.last = buffer.persistent ? end : -1;
    SmallVector<Value> values{op.getResult()};
    for (size_t i = 0; i < values.size(); ++i)
      for (Operation *user : values[i].getUsers()) {
        if (auto view = dyn_cast<pipe::ViewOp>(user)) {
          values.push_back(view.getResult());
          continue;
        }
        auto start = dyn_cast<pipe::StartOp>(user);
        auto row = rows.find(user), last = start ? rows.find(start.getWait()) : row;
        buffer.first = std::min(buffer.first, row == rows.end() ? end : row->second);
        buffer.last = std::max(buffer.last, last == rows.end() ? end : last->second);
      }
    if (buffer.last < 0)
      buffer.first = 0; // Nobody uses it; it has an address all the same.
    return buffer;
  }

  void addMemory(pipe::ProgramOp program) {
    std::vector<abi::Buffer> &buffers = manifest.memory[program.getSymName().str()];
    llvm::DenseMap<Operation *, int64_t> rows = numberRows(program);
    int64_t end = int64_t(rows.size());
    for (auto buffer : program.getBody().getOps<pipe::BufferOp>())
      buffers.push_back(describe(buffer, rows, end));
    for (auto run : program.getBody().getOps<pipe::RunOp>())
      if (int64_t bytes = run.getWorkspaceBytes().value_or(0))
        buffers.push_back({run.getFunction().str(), "workspace",
                           int64_t(run.getWorkspaceOffset().value_or(0)), bytes, rows[run], rows[run]});
    llvm::stable_sort(buffers, [](const abi::Buffer &a, const abi::Buffer &b) {
      return std::tuple(!a.persistent, a.first, a.persistent ? a.offset : 0) <
             std::tuple(!b.persistent, b.first, b.persistent ? b.offset : 0);
    });
    transientBytes = std::max(transientBytes, countTransientBytes(buffers, end));
  }

  /// The most bytes in use during one row, guards included, without what outlives the program.
  int64_t countTransientBytes(std::vector<abi::Buffer> buffers, int64_t rows) {
    llvm::erase_if(buffers, [](const abi::Buffer &buffer) { return buffer.persistent; });
    std::vector<int64_t> live = abi::liveBytes(buffers, rows, nn::getGuardBytes(module));
    return live.empty() ? 0 : *llvm::max_element(live);
  }

  /// Operations that are rows, by their number.
  llvm::DenseMap<Operation *, int64_t> numberRows(pipe::ProgramOp program) {
    llvm::DenseMap<Operation *, int64_t> rows;
    for (Operation &op : program.getBody().front())
      if (isa<pipe::RunOp, pipe::StartOp, pipe::WaitOp>(op))
        rows.insert({&op, int64_t(rows.size())});
    return rows;
  }

  void addRows(pipe::ProgramOp program) {
    llvm::DenseMap<Operation *, int64_t> rows = numberRows(program);
    abi::Program &list = manifest.programs[program.getSymName().str()];
    for (Operation &op : program.getBody().front())
      if (auto run = dyn_cast<pipe::RunOp>(op))
        list.push_back(makeRow(run));
      else if (auto start = dyn_cast<pipe::StartOp>(op))
        list.push_back(makeRow(start));
      else if (auto wait = dyn_cast<pipe::WaitOp>(op)) {
        abi::Row row = makeRow(wait.getStart());
        row.collective.reset();
        row.waitsFor = rows[wait.getStart()];
        list.push_back(std::move(row));
      }
  }

  abi::Row makeRow(pipe::StartOp start) {
    abi::Row row;
    row.function = -1;
    row.microBatch = start.isOfMicroBatch() ? int64_t(start.getMicroBatch()) : -1;
    row.layer = start.getInstance().str();
    row.direction = stringifyDirection(start.getDirection()).str();
    abi::Collective &collective = row.collective.emplace();
    collective.kind = static_cast<abi::CollectiveKind>(start.getCollective());
    collective.axis = comm::toMeshAxis(start.getAxis());
    auto add = [](std::vector<abi::Region> &pieces, ValueRange buffers) {
      for (Value buffer : buffers)
        pieces.push_back({getAddress(buffer), pipe::getExtent(buffer).bytes});
    };
    add(collective.inputs, start.getInputs());
    add(collective.outputs, start.getOutputs());
    return row;
  }

  abi::Row makeRow(pipe::RunOp run) {
    auto [function, isNew] = functions.insert({run.getFunction(), int64_t(functions.size())});
    if (isNew) {
      manifest.functions.push_back(run.getFunction().str());
      addOperations(run.getFunction());
    }
    abi::Row row;
    row.function = function->second;
    for (StringRef region : {"parameters", "gradients", "first_moments", "second_moments"}) {
      auto found = manifest.regions.find(region.str());
      row.bases.push_back(
          found == manifest.regions.end() ? -1 : found->second.offset + int64_t(run.getRegionOffset()));
    }
    row.bases.push_back(run.getSaved() ? getAddress(run.getSaved()) : -1);
    row.bases.push_back(run.getWorkspaceBytes() ? int64_t(run.getWorkspaceOffset().value_or(0)) : -1);
    row.bases.push_back(run.getSavedInput() ? getAddress(run.getSavedInput()) : -1);
    for (Value buffer : run.getBuffers())
      row.bases.push_back(getAddress(buffer));
    row.microBatch = run.isOfMicroBatch() ? int64_t(run.getMicroBatch()) : -1;
    row.block = run.getBlock().str();
    row.layer = run.getInstance().str();
    row.direction = stringifyDirection(run.getDirection()).str();
    return row;
  }

  void addOperations(StringRef function) {
    Operation *op = module.lookupSymbol(function);
    ArrayAttr costs = op ? nn::getAttr<nn::NNDialect::CostsAttrHelper>(op) : ArrayAttr();
    if (!costs || costs.empty())
      return;
    std::vector<abi::Operation> &operations = manifest.operations[function.str()];
    for (auto cost : costs.getAsRange<nn::CostAttr>())
      operations.push_back(
          {cost.getOp().str(), cost.getName().str(), cost.getFlops(), cost.getRead(), cost.getWritten()});
  }

  /// Programs may expose the same thing; the manifest lists it once.
  void addExposed(pipe::ProgramOp program, pipe::ExposeOp expose) {
    int64_t address = getAddress(expose.getBuffer());
    std::string name = expose.getName().str();
    bool isNew = exposed.insert((stringifyExposeKind(expose.getKind()) + " " + name).str()).second;
    switch (expose.getKind()) {
    case pipe::ExposeKind::input:
      for (auto [known, member] :
           {std::pair{"tokens", &abi::Inputs::tokens}, std::pair{"starts", &abi::Inputs::starts},
            std::pair{"generate_tokens", &abi::Inputs::generateTokens},
            std::pair{"generate_starts", &abi::Inputs::generateStarts}})
        if (name == known)
          manifest.inputs.*member = address;
      return;
    case pipe::ExposeKind::scalars:
      manifest.scalars = address;
      return;
    case pipe::ExposeKind::loss:
      if (isNew)
        manifest.losses.push_back({name, address, expose.getWeight()->convertToDouble()});
      return;
    case pipe::ExposeKind::mean:
    case pipe::ExposeKind::ratio:
    case pipe::ExposeKind::load:
      if (isNew)
        manifest.metrics.push_back(
            {name, getMetricKind(expose.getKind()), address, pipe::getExtent(expose.getBuffer()).bytes / 4});
      return;
    case pipe::ExposeKind::random:
      if (isNew)
        manifest.randomKeys.push_back({name, address});
      return;
    case pipe::ExposeKind::output:
      manifest.outputs.push_back({program.getSymName().str(), name, address,
                                  std::vector<int64_t>(expose.getShape().begin(), expose.getShape().end())});
      return;
    }
  }

  void addChecks(pipe::ChecksOp op) {
    abi::FunctionChecks &checks = manifest.checks[op.getFunction().str()];
    for (StringRef kernel : op.getKernels().getAsValueRange<StringAttr>())
      checks.kernels.push_back(kernel.str());
    for (auto value : op.getBody().getOps<pipe::CheckValueOp>())
      checks.values.push_back({value.getName().str(), int64_t(value.getBase()), int64_t(value.getOffset()),
                               int64_t(value.getBytes()), int64_t(value.getFirst()), int64_t(value.getLast()),
                               value.getReads().vec(), value.getWrites().vec(), value.getGuard(),
                               value.getIds()});
    for (auto ids : op.getBody().getOps<pipe::CheckIdsOp>())
      checks.ids.push_back({int64_t(ids.getKernel()), stringifyIdsKind(ids.getKind()).str(),
                            int64_t(ids.getBase()), int64_t(ids.getOffset()), int64_t(ids.getCount()),
                            int64_t(ids.getLeast()), int64_t(ids.getLimit())});
  }

  /// What is not kept from step to step lies behind what is.
  void addActivations() {
    int64_t begin = llvm::alignTo(persistentEnd, 64) + nn::getGuardBytes(module);
    manifest.regions["activations"] = {begin, std::max<int64_t>(manifest.arenaBytes - begin, 0)};
    manifest.maxLiveBytes = begin + transientBytes;
  }

  ModuleOp module;
  abi::Manifest manifest;
  llvm::MapVector<StringRef, int64_t> functions;
  llvm::StringSet<> exposed;
  int64_t persistentEnd = 0, transientBytes = 0;
};

} // namespace

llvm::Expected<abi::Manifest> buildManifest(ModuleOp module) { return ManifestWriter(module).write(); }

static llvm::Error validate(const abi::Manifest &manifest) {
  try {
    manifest.validate();
  } catch (const std::exception &error) {
    return llvm::createStringError(message<ErrorId::ManifestWrong>(error.what()));
  }
  return llvm::Error::success();
}

/// Where a processor has no fused multiply-add, LLVM calls a function that nobody provides, which is known
/// when there is an object only.
static llvm::Error checkInstructions(ModuleOp module, const cpu::CpuMachine &machine) {
  auto isFused = [](LLVM::FMAOp) { return WalkResult::interrupt(); };
  if (machine.hasFma || !module.walk(isFused).wasInterrupted())
    return llvm::Error::success();
  auto isa = nn::getAttr<nn::NNDialect::IsaAttrHelper>(module);
  return llvm::createStringError(message<ErrorId::CodeFused>(isa ? isa.getValue() : "native"));
}

llvm::Expected<Trainer> buildTrainer(ModuleOp module) {
  llvm::Expected<cpu::CpuMachine> machine = cpu::CpuMachine::get(module);
  if (!machine)
    return machine.takeError();
  llvm::Expected<abi::Manifest> manifest = buildManifest(module);
  if (!manifest)
    return manifest.takeError();
  // IR may have been edited; making code takes most of the time, and is not needed to see it.
  if (llvm::Error error = llvm::joinErrors(validate(*manifest), checkInstructions(module, *machine)))
    return std::move(error);

  // Programs are data from here on; what is left is code.
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (isa<pipe::ProgramOp, pipe::ParameterOp, pipe::ChecksOp>(op))
      op.erase();
  llvm::Expected<cpu::CompiledObject> object = cpu::compileToObject(module, *machine);
  if (!object)
    return object.takeError();
  manifest->scratchBytesPerWorker = object->scratchBytes;
  manifest->isa = machine->enabled;

  Trainer trainer;
  llvm::Expected<std::string> shared = linkShared(object->object, manifest->functions);
  if (!shared)
    return shared.takeError();
  trainer.sharedObject = std::move(*shared);
  // Both halves count: code of one program may run under two schedules.
  uint64_t id =
      llvm::xxh3_64bits(manifest->toJson()) ^ llvm::rotl(llvm::xxh3_64bits(trainer.sharedObject), 1);
  manifest->buildId = llvm::utohexstr(id, /*LowerCase=*/true, /*Width=*/16);
  if (llvm::Error error = validate(*manifest))
    return std::move(error);
  trainer.manifest = manifest->toJson();
  trainer.memory = abi::MemoryNeed::of(*manifest, int(llvm::hardware_concurrency().compute_thread_count()));
  return trainer;
}

} // namespace contraflow::linker
