//===- JitModule.cpp - runs functions of kernels as lowering/cpu compiles them //
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/support/JitModule.h"

#include "dialects/nn/Signature.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"

#include <atomic>
#include <bit>
#include <chrono>
#include <limits>
#include <thread>

using namespace mlir;

namespace contraflow::test {

//===----------------------------------------------------------------------===//
// The runtime's part
//===----------------------------------------------------------------------===//

namespace {

struct Workers {
  JitThreads threads;
  /// One per thread, aligned to 64.
  std::vector<void *> scratch;
} workers;

using Body = void (*)(void *, int64_t, int64_t, void *);

void parallelFor(Body body, void *env, int64_t count, int64_t grain) {
  grain = std::max<int64_t>(grain, 1);
  int64_t chunks = (count + grain - 1) / grain;
  std::atomic<int64_t> next{0};
  auto work = [&](int thread) {
    for (int64_t chunk; (chunk = next.fetch_add(1)) < chunks;) {
      int64_t begin = (workers.threads.backwards ? chunks - 1 - chunk : chunk) * grain;
      body(env, begin, std::min(begin + grain, count), workers.scratch[thread]);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < workers.threads.count; ++i)
    others.emplace_back(work, i);
  work(0);
  for (std::thread &thread : others)
    thread.join();
}

} // namespace

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

struct JitModule::Implementation {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::vector<std::vector<char>> scratch;
};

JitModule::~JitModule() = default;

cpu::CpuMachine machineFor(StringRef isa) {
  auto machine = cpu::CpuMachine::get(isa);
  if (!machine)
    llvm::report_fatal_error(machine.takeError());
  return *machine;
}

int64_t assignLocations(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  int64_t bases = 0;
  llvm::DenseMap<Value, nn::LocationAttr> locations;
  for (BlockArgument argument : function.getArguments()) {
    locations[argument] = nn::LocationAttr::get(context, bases++, 0);
    function.setArgAttr(argument.getArgNumber(), nn::kLocationName, locations[argument]);
  }
  function.walk([&](nn::KernelOp kernel) {
    SmallVector<Attribute> results;
    for (auto [result, tied] : llvm::zip_equal(kernel.getResults(), kernel.getTied())) {
      nn::LocationAttr location = tied >= 0 ? locations.lookup(kernel.getInputs()[tied]) : nn::LocationAttr();
      if (!location)
        location = nn::LocationAttr::get(context, bases++, 0);
      locations[result] = location;
      results.push_back(location);
    }
    kernel->setAttr(nn::kLocationsName, ArrayAttr::get(context, results));
  });
  return bases;
}

std::unique_ptr<JitModule> JitModule::compile(ModuleOp module, const cpu::CpuMachine &machine,
                                              void *parallelForAddress) {
  auto report = [](llvm::Error error) {
    llvm::errs() << llvm::toString(std::move(error)) << "\n";
    return nullptr;
  };
  static bool initialized = !llvm::InitializeNativeTarget() && !llvm::InitializeNativeTargetAsmPrinter();
  (void)initialized;
  DialectRegistry registry;
  cpu::registerCpuPipelineDialects(registry);
  module.getContext()->appendDialectRegistry(registry);
  module.getContext()->loadAllAvailableDialects();
  auto start = std::chrono::steady_clock::now();
  OwningOpRef<ModuleOp> copy = module.clone();
  for (auto function : copy->getOps<func::FuncOp>())
    assignLocations(function);
  auto result = std::make_unique<JitModule>();
  auto object = cpu::compileToObject(*copy, machine);
  if (!object)
    return report(object.takeError());
  result->object = std::move(*object);
  result->compileSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return report(jit.takeError());
  llvm::orc::SymbolMap symbols;
  symbols[(*jit)->mangleAndIntern("cf_parallel_for")] = {
      llvm::orc::ExecutorAddr::fromPtr(parallelForAddress ? parallelForAddress
                                                          : reinterpret_cast<void *>(&parallelFor)),
      llvm::JITSymbolFlags::Exported};
  if (auto error = (*jit)->getMainJITDylib().define(llvm::orc::absoluteSymbols(symbols)))
    return report(std::move(error));
  if (auto error =
          (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(result->object.object, "object")))
    return report(std::move(error));
  result->implementation = std::make_unique<Implementation>();
  result->implementation->jit = std::move(*jit);
  return result;
}

void (*JitModule::lookup(StringRef name))(void *const *) {
  auto entry = implementation->jit->lookup(name);
  if (!entry)
    llvm::report_fatal_error(entry.takeError());
  return entry->toPtr<void (*)(void *const *)>();
}

void JitModule::call(StringRef name, ArrayRef<void *> bases, JitThreads threads) {
  auto entry = lookup(name);
  auto &scratch = implementation->scratch;
  while (static_cast<int>(scratch.size()) < threads.count)
    scratch.emplace_back(object.scratchBytes + 64);
  workers.threads = threads;
  workers.scratch.clear();
  for (std::vector<char> &block : scratch) {
    auto address = llvm::alignTo(reinterpret_cast<uintptr_t>(block.data()), 64);
    workers.scratch.push_back(reinterpret_cast<void *>(address));
    std::fill_n(reinterpret_cast<float *>(address), object.scratchBytes / 4,
                std::numeric_limits<float>::quiet_NaN());
  }
  entry(bases.data());
}

//===----------------------------------------------------------------------===//
// Functions on arrays
//===----------------------------------------------------------------------===//

namespace {

/// A tensor in memory, with guards around it.
class Buffer {
public:
  explicit Buffer(nn::TensorType type) : type(type), words(type.getNumElements() + 2 * kGuard, kPattern) {
    std::fill_n(words.begin() + kGuard, type.getNumElements(),
                std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN()));
  }

  void *data() { return words.data() + kGuard; }
  void write(const Array &array) {
    for (int64_t i = 0; i < array.size(); ++i)
      words[kGuard + i] = type.getElementType().isF32() ? std::bit_cast<uint32_t>(float(array[i]))
                                                        : uint32_t(int32_t(array[i]));
  }
  Array read() const {
    Array array(type.getStaticShape());
    for (int64_t i = 0; i < array.size(); ++i) {
      uint32_t word = words[kGuard + i];
      array[i] = type.getElementType().isF32() ? double(std::bit_cast<float>(word)) : double(int32_t(word));
    }
    return array;
  }
  bool guardsHold() const {
    auto holds = [](uint32_t word) { return word == kPattern; };
    return std::all_of(words.begin(), words.begin() + kGuard, holds) &&
           std::all_of(words.end() - kGuard, words.end(), holds);
  }

private:
  static constexpr int64_t kGuard = 64;
  static constexpr uint32_t kPattern = 0xABCD1234;
  nn::TensorType type;
  std::vector<uint32_t> words;
};

} // namespace

FailureOr<std::vector<Array>> runFunction(JitModule &jit, func::FuncOp function, ArrayRef<Array> arguments,
                                          JitThreads threads) {
  std::vector<Buffer> buffers;
  llvm::DenseMap<Value, size_t> bufferOf;
  for (BlockArgument argument : function.getArguments()) {
    bufferOf[argument] = buffers.size();
    buffers.emplace_back(llvm::cast<nn::TensorType>(argument.getType()));
    buffers.back().write(arguments[argument.getArgNumber()]);
  }
  function.walk([&](nn::KernelOp kernel) {
    for (auto [result, tied] : llvm::zip_equal(kernel.getResults(), kernel.getTied())) {
      auto found = tied >= 0 ? bufferOf.find(kernel.getInputs()[tied]) : bufferOf.end();
      if (found != bufferOf.end()) {
        bufferOf[result] = size_t(found->second);
        continue;
      }
      bufferOf[result] = buffers.size();
      buffers.emplace_back(llvm::cast<nn::TensorType>(result.getType()));
    }
  });
  SmallVector<void *> bases;
  for (Buffer &buffer : buffers)
    bases.push_back(buffer.data());
  jit.call(function.getName(), bases, threads);
  for (const Buffer &buffer : buffers)
    if (!buffer.guardsHold())
      return function.emitError("writes outside of a tensor");
  std::vector<Array> results;
  for (Value value : function.getBody().front().getTerminator()->getOperands())
    results.push_back(buffers[bufferOf.lookup(value)].read());
  return results;
}

} // namespace contraflow::test
