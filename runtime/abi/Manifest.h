//===- Manifest.h - what a trainer is told about its program --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_ABI_MANIFEST_H
#define CONTRAFLOW_RUNTIME_ABI_MANIFEST_H

#include "runtime/abi/Mesh.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contraflow::abi {

/// Steps, tokens and other counts of a run file are at most so many: every reader of JSON has such a number
/// exactly.
constexpr int64_t kMaxCount = 1'000'000'000'000'000;

/// A piece of the arena, in bytes.
struct Region {
  int64_t offset = 0;
  int64_t bytes = 0;
};

enum class Init { Normal, Ones, Zeros };

/// One parameter as the program stores it (float, row-major).
struct Parameter {
  /// The published name. Where `split` is set it holds "{e}", which stands for the index along the
  /// leading dimension: files have one tensor of shape[1:] for each.
  std::string name;
  std::vector<int64_t> shape;
  /// Bytes from the start of the parameters region. Gradients, moments and averages lie at the same offset of
  /// theirs.
  int64_t offset = 0;
  bool split = false;
  Init init = Init::Normal;
  /// Has a gradient and moments. A parameter that is not trainable is a buffer that the program updates
  /// itself.
  bool trainable = true;
  /// Weight decay applies (for inspection; the compiled optimizer knows).
  bool decay = true;
  /// The kind of block that it belongs to (for inspection).
  std::string block;

  int64_t elements() const;
  /// Number of tensors in files: shape[0] when split, else 1.
  int64_t pieces() const { return split ? shape.front() : 1; }
  /// Shape of one tensor in files.
  std::vector<int64_t> pieceShape() const;
  std::string pieceName(int64_t index) const;
};

/// A float in the arena to which each micro-batch of a step adds its value.
/// total = sum of weight * value / micro_batches. Several entries may share a name.
struct Loss {
  std::string name;
  int64_t offset = 0;
  double weight = 1;
};

/// How the floats of a metric become what is reported.
enum class MetricKind {
  /// One float: the mean over micro-batches.
  Mean,
  /// Two floats, a sum and a count: their quotient.
  Ratio,
  /// A float per expert: how many tokens each of them got.
  Load,
};

/// Floats in the arena to which each micro-batch of a step or an evaluation adds its own. They are in no
/// loss.
struct Metric {
  /// What it is, after the last point; what is before it says where in the model.
  std::string name;
  MetricKind kind = MetricKind::Mean;
  int64_t offset = 0;
  int64_t count = 1;
};

/// The random keys of an instance, one per micro-batch of a step (CF_RANDOM_KEY_WORDS i32 each), that the
/// runtime writes before the step.
struct RandomKeys {
  /// Random numbers of one name are the same, of two names independent.
  std::string name;
  int64_t offset = 0;
};

/// A value (float) that may be read from the arena after `program` ran.
struct Output {
  std::string program;
  std::string name;
  int64_t offset = 0;
  std::vector<int64_t> shape;
};

/// A piece of the arena and the rows of a program during which it holds something.
struct Buffer {
  /// What it holds, for people: a value of the model, a region, the function whose workspace it is.
  std::string name;
  /// parameters, gradients, ..., activation, saved, workspace.
  std::string kind;
  int64_t offset = 0;
  int64_t bytes = 0;
  /// The first row that uses it and the last one, both included. One that is read after the program, and one
  /// that outlives it, is in use up to the number of rows; one that no row uses has `last` = `first` - 1.
  int64_t first = 0;
  int64_t last = 0;
  /// Keeps its contents from program to program, at one address in all of them.
  bool persistent = false;
};

/// What the ranks of a group do together; numbered as `pipe::Collective` is. Sums are of floats, in the order
/// of ranks.
enum class CollectiveKind { AllReduce = 0, ReduceScatter = 1, AllGather = 2, AllToAll = 3 };

/// One of them, on pieces of the arena. An output may be its input.
struct Collective {
  CollectiveKind kind = CollectiveKind::AllReduce;
  MeshAxis axis = MeshAxis::Dp;
  /// As many of both.
  std::vector<Region> inputs, outputs;
};

/// One call of a function, or the start of a collective, or the wait for one. Everything but `function`,
/// `bases`, `collective` and `waitsFor` only describes it.
struct Row {
  /// Index into Manifest::functions; -1 where it calls none.
  int64_t function = 0;
  /// Bytes from the start of the arena, one a pointer; negative: null.
  std::vector<int64_t> bases;
  /// -1 where the row serves the whole step.
  int64_t microBatch = -1;
  std::string block;
  /// Where in the model: the prefix of the instance's parameter names.
  std::string layer;
  /// begin, forward, backward_input, backward_weight, reduce, clip, optimizer, update, ema.
  /// The runtime checks losses and gradient norm before the first `optimizer` or `update` row.
  std::string direction;
  /// What the row starts; it runs beside the rows that follow, after what was started before it.
  std::optional<Collective> collective = {};
  /// The row of the program whose collective is over when this one is; -1: none.
  int64_t waitsFor = -1;

  bool isCall() const { return function >= 0; }
};

using Program = std::vector<Row>;

/// What an operation of the model costs in one call of its function, counted before operations were fused
/// (for inspection).
struct Operation {
  /// Its name in the model's language.
  std::string op;
  /// The parameter that it works on, or the part of the model that it belongs to, within its block; "" where
  /// that is not known.
  std::string name;
  /// A multiply-add counts as two.
  int64_t flops = 0;
  /// Operands and results, each from and to memory once.
  int64_t bytesRead = 0;
  int64_t bytesWritten = 0;
};

/// Sequences of token ids (i32) in the arena. A negative offset: the program does not read them.
struct Inputs {
  /// Micro-batch m is at tokens + m * batch * seq * 4. `evaluate` reads micro-batch 0.
  int64_t tokens = -1;
  /// Per token the index within its sequence of the first token that it may see; laid out like tokens.
  int64_t starts = -1;
  /// One sequence of seq ids for the program `generate`.
  int64_t generateTokens = -1;
  /// As starts, for `generate`.
  int64_t generateStarts = -1;
};

/// A value of a function, in a checked build. Kernels are counted from 0; -1 is before the first, and the
/// number of kernels is the end of the function.
struct CheckedValue {
  std::string name;
  /// Which pointer of the row, and bytes from there on.
  int64_t base = 0;
  int64_t offset = 0;
  int64_t bytes = 0;
  /// The kernel that makes it (-1: it comes with its contents) and the last one that uses it.
  int64_t first = -1;
  int64_t last = 0;
  /// Kernels that want it whole, and kernels that leave it whole.
  std::vector<int64_t> reads, writes;
  /// The `guardBytes` on both sides of it belong to it.
  bool guarded = false;
  /// Holds i32, not floats.
  bool ids = false;
};

/// Numbers (i32) that a kernel takes for places, in a checked build.
struct CheckedIds {
  int64_t kernel = 0;
  /// `index`: each in [least, limit). `offsets`: from least to limit, never falling.
  std::string kind;
  int64_t base = 0;
  int64_t offset = 0;
  int64_t count = 0;
  int64_t least = 0;
  int64_t limit = 0;
};

/// What a checked build knows of a function.
struct FunctionChecks {
  /// Labels of the kernels, for messages.
  std::vector<std::string> kernels;
  std::vector<CheckedValue> values;
  std::vector<CheckedIds> ids;
};

/// Everything that the runtime knows about a model. JSON keys are the names here in snake_case.
struct Manifest {
  /// CF_ABI_VERSION of the compiler that wrote it.
  int64_t version = 0;
  /// A name for people.
  std::string model;
  /// Identifies what was compiled: the same input and compiler give the same id.
  std::string buildId;
  /// CPU features that the code uses, as in /proc/cpuinfo or as LLVM spells them.
  std::vector<std::string> isa;
  /// The run file with defaults filled in: the text of a JSON object.
  std::string run = "{}";

  /// Sequences in a micro-batch, ids in a sequence, size of the vocabulary, micro-batches in a step.
  int64_t batch = 0;
  int64_t seq = 0;
  int64_t vocab = 0;
  int64_t microBatches = 1;
  /// The ranks that train together, each with its own micro-batches.
  Mesh mesh;
  /// Ids that begin and end a document; the bytes are ids 0 to 255.
  int64_t bos = 256;
  int64_t eos = 257;
  /// Floating-point operations of the model in one step (0: not known), for the progress line.
  double flopsPerStep = 0;

  int64_t arenaBytes = 0;
  /// The most bytes that are in use during one row of any program, each buffer rounded up to 64: no plan of
  /// the same programs has a smaller arena.
  int64_t maxLiveBytes = 0;
  int64_t scratchBytesPerWorker = 0;
  /// parameters, gradients, first_moments, second_moments, ema, activations. `ema` holds averages of the
  /// parameters over steps, where the run file asks for them.
  std::map<std::string, Region> regions;
  std::vector<Parameter> parameters;
  Inputs inputs;
  /// Offset of the CF_SCALAR_COUNT floats; see cf_scalar.
  int64_t scalars = -1;
  /// The loss that people watch, in nats per token, is the one named "main", else the one of the largest
  /// weight.
  std::vector<Loss> losses;
  std::vector<Metric> metrics;
  std::vector<Output> outputs;
  std::vector<RandomKeys> randomKeys;

  /// Symbols in the object.
  std::vector<std::string> functions;
  /// Of each function that computes something of the model, in its order.
  std::map<std::string, std::vector<Operation>> operations;
  /// train, evaluate, generate.
  std::map<std::string, Program> programs;
  /// Everything that a program keeps in the arena: what outlives it, in the order of addresses, then what
  /// does not, in the order of first use.
  std::map<std::string, std::vector<Buffer>> memory;
  /// In a checked build: bytes on both sides of every buffer that belong to it alone, and what is known of
  /// functions. 0: nothing is checked.
  int64_t guardBytes = 0;
  std::map<std::string, FunctionChecks> checks;

  /// Null where there is none.
  const Region *findRegion(const std::string &name) const;
  const Program *findProgram(const std::string &name) const;
  /// Buffers of a program; empty where there is none of that name.
  const std::vector<Buffer> &findMemory(const std::string &program) const;
  const Output *findOutput(const std::string &program, const std::string &name) const;
  /// What a row of a program does: its function, "start all_reduce" or "wait for all_reduce".
  std::string describe(const Program &program, const Row &row) const;
  /// The name of the loss that people watch; empty without losses.
  std::string mainLoss() const;
  /// Every name of a loss once, in the order of `losses`.
  std::vector<std::string> lossNames() const;

  /// Checks every number that the runtime uses to address memory; throws base::Error naming the field.
  void validate() const;

  /// One line per parameter, loss, row, ...; the same manifest gives the same bytes.
  std::string toJson() const;
  /// Parses and validates; throws base::Error.
  static Manifest fromJson(std::string_view text);
};

} // namespace contraflow::abi

#endif
