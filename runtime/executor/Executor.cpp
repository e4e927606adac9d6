//===- Executor.cpp - walks the programs of a manifest --------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/executor/Executor.h"
#include "runtime/base/Clock.h"
#include "runtime/base/Error.h"
#include "runtime/device/cpu/Features.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace contraflow::executor {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

/// What the crash report needs; plain pointers, because it is read in a signal handler.
struct Running {
  std::atomic<const char *> function{nullptr};
  std::atomic<const abi::Row *> row{nullptr};
};
/// Of the thread that runs programs.
thread_local Running running;
/// For its workers: of the thread that began a row last.
std::atomic<const Running *> latest{nullptr};

const abi::Manifest &requireMachine(const abi::Manifest &manifest) {
  device::requireFeatures(manifest.isa);
  return manifest;
}

} // namespace

Executor::Executor(const abi::Manifest &manifest, const std::string &objectBytes, int threads,
                   comm::Queue *queue)
    : manifest(requireMachine(manifest)), pool(threads, manifest.scratchBytesPerWorker),
      arena("memory for the arena", manifest.arenaBytes), object(objectBytes), queue(queue) {
  if (queue) {
    queue->setProgress(&pool.getRegions());
    for (abi::MeshAxis axis : {abi::MeshAxis::Pp, abi::MeshAxis::Dp, abi::MeshAxis::Ep, abi::MeshAxis::Edp})
      groups.emplace_back(manifest.mesh, queue->getRank(), axis);
  }
  std::vector<cf_function> functions;
  for (const std::string &name : manifest.functions)
    functions.push_back(object.resolve(name));
  for (const auto &[name, program] : manifest.programs) {
    Table &table = tables[name];
    table.program = name;
    size_t baseCount = 0;
    for (const abi::Row &row : program)
      baseCount += row.bases.size();
    table.bases.reserve(baseCount);
    for (const abi::Row &row : program) {
      void *const *bases = table.bases.data() + table.bases.size();
      for (int64_t offset : row.bases)
        table.bases.push_back(offset < 0 ? nullptr : arena.at(offset));
      table.calls.push_back({row.isCall() ? functions[size_t(row.function)] : nullptr, bases, &row});
    }
    tickets.resize(std::max(tickets.size(), program.size()));
  }
  if (manifest.guardBytes > 0)
    checker = std::make_unique<Checker>(manifest, arena);
}

Executor::~Executor() {
  pool.setObserver(nullptr);
  if (queue)
    queue->setProgress(nullptr);
}

const Table &Executor::getTable(const std::string &program) const {
  auto found = tables.find(program);
  if (found == tables.end())
    throw Error(message<ErrorId::ProgramMissing>(program));
  return found->second;
}

Table Executor::redirect(const std::string &program, const char *from, const char *to) {
  const Table &source = getTable(program);
  const abi::Region &old = *manifest.findRegion(from), &replacement = *manifest.findRegion(to);
  char *begin = arena.at(old.offset);
  Table table = source;
  for (void *&base : table.bases)
    if (auto *at = static_cast<char *>(base); at >= begin && at < begin + old.bytes)
      base = arena.at(replacement.offset) + (at - begin);
  for (Table::Call &call : table.calls)
    call.bases = table.bases.data() + (call.bases - source.bases.data());
  return table;
}

/// Calls a row; in a checked build memory is looked at before, after and meanwhile.
void Executor::callRow(const Table &table, size_t index) {
  const Table::Call &call = table.calls[index];
  if (!checker)
    return call.function(call.bases);
  checker->beginRow(table.program, index, call.bases);
  // Nothing of generated code has to be undone: between its parallel regions it holds no resource.
  if (setjmp(checker->escape) != 0)
    throw Error(checker->getFailure());
  call.function(call.bases);
  checker->endRow();
}

/// Hands the collective of a row to the queue.
void Executor::start(size_t index, const abi::Row &row) {
  if (!queue)
    throw Error(message<ErrorId::RanksMissing>(manifest.mesh.getWorld(), manifest.mesh.getWorld(),
                                               manifest.mesh.getWorld()));
  const abi::Collective &collective = *row.collective;
  const comm::Group &group = groups[size_t(collective.axis)];
  comm::Label label = {row.layer.c_str(), "", int32_t(row.microBatch), row.direction.c_str()};
  for (size_t i = 0; i < collective.inputs.size(); ++i) {
    void *in = arena.at(collective.inputs[i].offset), *out = arena.at(collective.outputs[i].offset);
    int64_t bytes = collective.inputs[i].bytes;
    constexpr comm::Element kFloat = comm::Element::F32;
    switch (collective.kind) {
    case abi::CollectiveKind::AllReduce:
      tickets[index] = queue->allReduce(label, group, kFloat, in, out, bytes / 4);
      break;
    case abi::CollectiveKind::ReduceScatter:
      tickets[index] = queue->reduceScatter(label, group, kFloat, in, out, bytes / 4);
      break;
    case abi::CollectiveKind::AllGather:
      tickets[index] = queue->allGather(label, group, in, out, collective.outputs[i].bytes);
      break;
    case abi::CollectiveKind::AllToAll:
      tickets[index] = queue->allToAll(label, group, in, out, bytes / group.getSize());
      break;
    }
  }
}

void Executor::runRow(const Table &table, size_t index) {
  const abi::Row &row = *table.calls[index].row;
  if (row.collective)
    return start(index, row);
  if (row.waitsFor >= 0)
    return queue->wait(tickets[size_t(row.waitsFor)]);
  if (queue)
    queue->setComputing({manifest.functions[size_t(row.function)].c_str(), row.layer.c_str(),
                         int32_t(row.microBatch), row.direction.c_str()});
  callRow(table, index);
}

void Executor::run(const Table &table, size_t begin, size_t end) {
  for (size_t index = begin; index < end; ++index) {
    const abi::Row &row = *table.calls[index].row;
    const char *function = row.isCall() ? manifest.functions[size_t(row.function)].c_str() : nullptr;
    running.function.store(function, std::memory_order_relaxed);
    running.row.store(function ? &row : nullptr, std::memory_order_relaxed);
    latest.store(&running, std::memory_order_relaxed);
    if (!profile || !function) {
      runRow(table, index);
      continue;
    }
    profile->begin(row.function);
    int64_t start = base::nanoseconds();
    runRow(table, index);
    profile->end(row.function, base::nanoseconds() - start);
  }
  running.row.store(nullptr, std::memory_order_relaxed);
  latest.store(nullptr, std::memory_order_relaxed);
}

std::span<float> Executor::parameter(const char *regionName, const abi::Parameter &parameter) {
  const abi::Region *region = manifest.findRegion(regionName);
  if (!region)
    throw Error(message<ErrorId::RegionMissing>(regionName));
  return floats(region->offset + parameter.offset, parameter.elements());
}

void Executor::startProfile() {
  std::vector<int64_t> flops;
  for (const std::string &function : manifest.functions) {
    int64_t &sum = flops.emplace_back();
    if (auto operations = manifest.operations.find(function); operations != manifest.operations.end())
      for (const abi::Operation &operation : operations->second)
        sum += operation.flops;
  }
  profile = std::make_unique<Profile>(manifest.functions, std::move(flops));
  pool.setObserver(profile.get());
}

std::string Executor::printProfile() const { return profile ? profile->print(object) : ""; }

//===----------------------------------------------------------------------===//
// Crash report
//===----------------------------------------------------------------------===//

namespace {

// Only functions that are safe in a signal handler.
void put(const char *string) {
  if (write(STDERR_FILENO, string, strlen(string)) < 0)
    return;
}

void putNumber(int64_t number) {
  char digits[24];
  char *at = digits + sizeof(digits) - 1;
  *at = '\0';
  do {
    *--at = char('0' + number % 10);
    number /= 10;
  } while (number > 0 && at > digits);
  put(at);
}

void reportCrash(int signal) {
  put("contraflow: error: the trainer crashed (signal ");
  putNumber(signal);
  const Running *begun = latest.load(std::memory_order_relaxed);
  const Running &here = running.row.load(std::memory_order_relaxed) || !begun ? running : *begun;
  const abi::Row *row = here.row.load(std::memory_order_relaxed);
  if (row) {
    put(", op '");
    put(here.function.load(std::memory_order_relaxed));
    put("'");
    if (!row->layer.empty()) {
      put(", layer '");
      put(row->layer.c_str());
      put("'");
    }
    if (row->microBatch >= 0) {
      put(", micro-batch ");
      putNumber(row->microBatch);
    }
  }
  put(signal == SIGILL ? "); compile it again on this machine\n"
                       : "); this is a defect of the compiler or the runtime\n");
  // The handler was removed when it was entered: the signal now has its usual effect.
  raise(signal);
}

} // namespace

void installCrashReport() {
  static char stack[64 << 10];
  stack_t alternative = {};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof(stack);
  sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_handler = reportCrash;
  action.sa_flags = SA_ONSTACK | int(SA_RESETHAND);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    sigaction(signal, &action, nullptr);
}

} // namespace contraflow::executor
