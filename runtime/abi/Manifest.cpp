//===- Manifest.cpp - manifest to JSON and back, with checks --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Manifest.h"
#include "runtime/abi/Abi.h"
#include "runtime/base/Error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace contraflow::abi {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
using Json = nlohmann::ordered_json;

//===----------------------------------------------------------------------===//
// Fields: one list per struct serves reading and writing
//===----------------------------------------------------------------------===//

namespace {

/// Writes fields into a JSON object.
struct Writer {
  Json object = Json::object();
  template <typename T> void field(const char *key, const T &value) { object[key] = value; }
  /// A field that may be left out where it has its default.
  template <typename T> void optional(const char *key, const T &value, const T &fallback) {
    if (!(value == fallback))
      object[key] = value;
  }
};

/// Reads fields from a JSON object and says which one is wrong.
struct Reader {
  const Json &object;
  std::string path;

  Reader(const Json &object, std::string path) : object(object), path(std::move(path)) {
    if (!object.is_object())
      throw Error(message<ErrorId::ManifestNoObject>(this->path, object.type_name()));
  }

  template <typename T> void field(const char *key, T &value) const {
    auto found = object.find(key);
    if (found == object.end())
      throw Error(message<ErrorId::ManifestMissing>(path, key));
    read(*found, key, value);
  }
  template <typename T> void optional(const char *key, T &value, const T &) const {
    auto found = object.find(key);
    if (found != object.end())
      read(*found, key, value);
  }

private:
  template <typename T> void read(const Json &json, const char *key, T &value) const {
    bool fits = true;
    if constexpr (std::is_same_v<T, bool>)
      fits = json.is_boolean();
    else if constexpr (std::is_integral_v<T>)
      fits = json.is_number_integer();
    else if constexpr (std::is_arithmetic_v<T>)
      fits = json.is_number();
    try {
      if (fits) {
        value = json.get<T>();
        return;
      }
    } catch (const Json::exception &) {
    }
    throw Error(message<ErrorId::ManifestType>(path, key, json.type_name()));
  }
};

// `Struct` is const when `io` writes and mutable when it reads.
template <typename IO, typename Struct> void mapRegion(IO &io, Struct &region) {
  io.field("offset", region.offset);
  io.field("bytes", region.bytes);
}

template <typename IO, typename Struct> void mapLoss(IO &io, Struct &loss) {
  io.field("name", loss.name);
  io.field("offset", loss.offset);
  io.field("weight", loss.weight);
}

template <typename IO, typename Struct> void mapMetric(IO &io, Struct &metric) {
  io.field("name", metric.name);
  io.field("offset", metric.offset);
  io.field("count", metric.count);
}

template <typename IO, typename Struct> void mapRandomKeys(IO &io, Struct &keys) {
  io.field("name", keys.name);
  io.field("offset", keys.offset);
}

template <typename IO, typename Struct> void mapOutput(IO &io, Struct &output) {
  io.field("program", output.program);
  io.field("name", output.name);
  io.field("offset", output.offset);
  io.field("shape", output.shape);
}

template <typename IO, typename Struct> void mapOperation(IO &io, Struct &operation) {
  io.field("op", operation.op);
  io.optional("name", operation.name, std::string());
  io.field("flops", operation.flops);
  io.field("bytes_read", operation.bytesRead);
  io.field("bytes_written", operation.bytesWritten);
}

template <typename IO, typename Struct> void mapInputs(IO &io, Struct &inputs) {
  io.optional("tokens", inputs.tokens, int64_t(-1));
  io.optional("starts", inputs.starts, int64_t(-1));
  io.optional("generate_tokens", inputs.generateTokens, int64_t(-1));
  io.optional("generate_starts", inputs.generateStarts, int64_t(-1));
}

template <typename IO, typename Struct> void mapBuffer(IO &io, Struct &buffer) {
  io.field("name", buffer.name);
  io.field("kind", buffer.kind);
  io.field("offset", buffer.offset);
  io.field("bytes", buffer.bytes);
  io.field("first", buffer.first);
  io.field("last", buffer.last);
  io.optional("persistent", buffer.persistent, false);
}

template <typename IO, typename Struct> void mapCheckedValue(IO &io, Struct &value) {
  io.field("name", value.name);
  io.field("base", value.base);
  io.field("offset", value.offset);
  io.field("bytes", value.bytes);
  io.field("first", value.first);
  io.field("last", value.last);
  io.field("reads", value.reads);
  io.field("writes", value.writes);
  io.optional("guarded", value.guarded, false);
  io.optional("ids", value.ids, false);
}

template <typename IO, typename Struct> void mapCheckedIds(IO &io, Struct &ids) {
  io.field("kernel", ids.kernel);
  io.field("kind", ids.kind);
  io.field("base", ids.base);
  io.field("offset", ids.offset);
  io.field("count", ids.count);
  io.field("least", ids.least);
  io.field("limit", ids.limit);
}

template <typename IO, typename Struct> void mapRow(IO &io, Struct &row) {
  io.field("function", row.function);
  io.field("bases", row.bases);
  io.optional("micro_batch", row.microBatch, int64_t(-1));
  io.optional("block", row.block, std::string());
  io.optional("layer", row.layer, std::string());
  io.optional("direction", row.direction, std::string());
  io.optional("waits_for", row.waitsFor, int64_t(-1));
}

template <typename IO, typename Struct> void mapMesh(IO &io, Struct &mesh) {
  io.field("pp", mesh.pp);
  io.field("dp", mesh.dp);
  io.field("ep", mesh.ep);
}

template <typename IO, typename Struct> void mapParameter(IO &io, Struct &parameter) {
  io.field("name", parameter.name);
  io.field("shape", parameter.shape);
  io.field("offset", parameter.offset);
  io.optional("split", parameter.split, false);
  io.optional("trainable", parameter.trainable, true);
  io.optional("decay", parameter.decay, true);
  io.optional("block", parameter.block, std::string());
}

template <typename IO, typename Struct> void mapNumbers(IO &io, Struct &manifest) {
  io.field("model", manifest.model);
  io.field("build_id", manifest.buildId);
  io.field("isa", manifest.isa);
  io.field("batch", manifest.batch);
  io.field("seq", manifest.seq);
  io.field("vocab", manifest.vocab);
  io.field("micro_batches", manifest.microBatches);
  io.optional("bos", manifest.bos, int64_t(256));
  io.optional("eos", manifest.eos, int64_t(257));
  io.optional("flops_per_step", manifest.flopsPerStep, 0.0);
  io.field("arena_bytes", manifest.arenaBytes);
  io.field("max_live_bytes", manifest.maxLiveBytes);
  io.optional("guard_bytes", manifest.guardBytes, int64_t(0));
  io.field("scratch_bytes_per_worker", manifest.scratchBytesPerWorker);
  io.field("scalars", manifest.scalars);
}

constexpr std::pair<Init, const char *> kInits[] = {
    {Init::Normal, "normal"}, {Init::Ones, "ones"}, {Init::Zeros, "zeros"}};
constexpr std::pair<MetricKind, const char *> kMetricKinds[] = {
    {MetricKind::Mean, "mean"}, {MetricKind::Ratio, "ratio"}, {MetricKind::Load, "load"}};
constexpr std::pair<CollectiveKind, const char *> kCollectiveKinds[] = {
    {CollectiveKind::AllReduce, "all_reduce"},
    {CollectiveKind::ReduceScatter, "reduce_scatter"},
    {CollectiveKind::AllGather, "all_gather"},
    {CollectiveKind::AllToAll, "all_to_all"}};
constexpr std::pair<MeshAxis, const char *> kAxes[] = {
    {MeshAxis::Pp, "pp"}, {MeshAxis::Dp, "dp"}, {MeshAxis::Ep, "ep"}, {MeshAxis::Edp, "edp"}};

template <typename Names, typename Enum> const char *nameOf(const Names &names, Enum wanted) {
  for (auto [value, name] : names)
    if (value == wanted)
      return name;
  return names[0].second;
}

template <typename Names>
auto valueNamed(const Names &names, const std::string &wanted, const std::string &field) {
  std::string list;
  for (const auto &[value, name] : names) {
    if (name == wanted)
      return value;
    list += text(list.empty() ? "" : &name == &std::end(names)[-1].second ? " or " : ", ", name);
  }
  throw Error(message<ErrorId::ManifestChoice>(field, wanted, list));
}

/// The array `key` of the object, empty where it is missing.
const Json &arrayOf(const Json &object, const char *key) {
  static const Json kEmpty = Json::array();
  auto found = object.find(key);
  if (found == object.end())
    return kEmpty;
  if (!found->is_array())
    throw Error(message<ErrorId::ManifestNoArray>(key, found->type_name()));
  return *found;
}

/// The object `key` of the object, empty where it is missing.
const Json &objectOf(const Json &object, const char *key) {
  static const Json kEmpty = Json::object();
  auto found = object.find(key);
  if (found == object.end())
    return kEmpty;
  if (!found->is_object())
    throw Error(message<ErrorId::ManifestNoObjectAt>(key, found->type_name()));
  return *found;
}

template <typename T, typename Map>
void readList(const Json &list, const std::string &path, std::vector<T> &result, Map map) {
  result.reserve(list.size());
  for (const Json &json : list) {
    std::string name = text(path, '[', result.size(), ']');
    Reader reader(json, name);
    map(reader, result.emplace_back());
  }
}

/// The lists of `key`, an object with one list for each program or function.
template <typename T, typename Map>
void readLists(const Json &json, const char *key, std::map<std::string, std::vector<T>> &result, Map map) {
  for (const auto &[name, value] : objectOf(json, key).items()) {
    if (!value.is_array())
      throw Error(message<ErrorId::ManifestNoArrayAt>(key, name, value.type_name()));
    readList(value, text(key, '.', name), result[name], map);
  }
}

/// Pieces of the arena as [[offset, bytes], ...].
Json piecesToJson(const std::vector<Region> &pieces) {
  Json list = Json::array();
  for (const Region &piece : pieces)
    list.push_back({piece.offset, piece.bytes});
  return list;
}

void readPieces(const Reader &reader, const char *key, std::vector<Region> &pieces) {
  std::vector<std::array<int64_t, 2>> list;
  reader.field(key, list);
  for (auto [offset, bytes] : list)
    pieces.push_back({offset, bytes});
}

void writeRow(Writer &writer, const Row &row) {
  mapRow(writer, row);
  if (!row.collective)
    return;
  writer.object["collective"] = {{"kind", nameOf(kCollectiveKinds, row.collective->kind)},
                                 {"axis", nameOf(kAxes, row.collective->axis)},
                                 {"inputs", piecesToJson(row.collective->inputs)},
                                 {"outputs", piecesToJson(row.collective->outputs)}};
}

void readRow(Reader &reader, Row &row) {
  mapRow(reader, row);
  auto found = reader.object.find("collective");
  if (found == reader.object.end())
    return;
  Reader inside(*found, reader.path + ".collective");
  Collective &collective = row.collective.emplace();
  std::string kind, axis;
  inside.field("kind", kind);
  inside.field("axis", axis);
  collective.kind = valueNamed(kCollectiveKinds, kind, inside.path + ".kind");
  collective.axis = valueNamed(kAxes, axis, inside.path + ".axis");
  readPieces(inside, "inputs", collective.inputs);
  readPieces(inside, "outputs", collective.outputs);
}

/// An array with one compact element a line.
template <typename T, typename Map> std::string writeList(const std::vector<T> &list, Map map) {
  std::string result = "[";
  for (const T &element : list) {
    Writer writer;
    map(writer, element);
    result += (&element == list.data() ? "\n    " : ",\n    ") + writer.object.dump();
  }
  return result + "]";
}

template <typename T, typename Map>
std::string writeLists(const std::map<std::string, std::vector<T>> &lists, Map map) {
  std::string result = "{";
  for (const auto &[name, list] : lists)
    result += text(result.size() > 1 ? ",\n  " : "\n  ", Json(name).dump(), ": ", writeList(list, map));
  return result + "}";
}

std::string writeChecks(const std::map<std::string, FunctionChecks> &checks) {
  std::string result = "{";
  for (const auto &[name, function] : checks)
    result += text(
        result.size() > 1 ? ",\n  " : "\n  ", Json(name).dump(),
        ": {\"kernels\": ", Json(function.kernels).dump(), ", \"values\": ",
        writeList(function.values, [](Writer &io, const CheckedValue &v) { mapCheckedValue(io, v); }),
        ", \"ids\": ", writeList(function.ids, [](Writer &io, const CheckedIds &v) { mapCheckedIds(io, v); }),
        "}");
  return result + "}";
}

void readChecks(const Json &json, std::map<std::string, FunctionChecks> &result) {
  for (const auto &[name, value] : objectOf(json, "checks").items()) {
    std::string path = "checks." + name;
    FunctionChecks &function = result[name];
    Reader(value, path).field("kernels", function.kernels);
    readList(arrayOf(value, "values"), path + ".values", function.values,
             [](Reader &io, CheckedValue &v) { mapCheckedValue(io, v); });
    readList(arrayOf(value, "ids"), path + ".ids", function.ids,
             [](Reader &io, CheckedIds &v) { mapCheckedIds(io, v); });
  }
}

} // namespace

std::string Manifest::toJson() const {
  std::string result = text("{\n  \"version\": ", version);
  auto add = [&](const char *key, const std::string &json) { result += text(",\n  \"", key, "\": ", json); };
  Writer numbers;
  mapNumbers(numbers, *this);
  for (const auto &[key, value] : numbers.object.items())
    add(key.c_str(), value.dump());
  if (mesh.getWorld() > 1) {
    Writer meshJson;
    mapMesh(meshJson, mesh);
    add("mesh", meshJson.object.dump());
  }
  add("run", Json::parse(run).dump());
  Json regionsJson = Json::object();
  for (const auto &[name, region] : regions) {
    Writer writer;
    mapRegion(writer, region);
    regionsJson[name] = writer.object;
  }
  add("regions", regionsJson.dump());
  Writer inputsJson;
  mapInputs(inputsJson, inputs);
  add("inputs", inputsJson.object.dump());
  add("parameters", writeList(parameters, [](Writer &writer, const Parameter &parameter) {
        mapParameter(writer, parameter);
        writer.field("init", nameOf(kInits, parameter.init));
      }));
  add("losses", writeList(losses, [](Writer &writer, const Loss &loss) { mapLoss(writer, loss); }));
  add("metrics", writeList(metrics, [](Writer &writer, const Metric &metric) {
        mapMetric(writer, metric);
        writer.field("kind", nameOf(kMetricKinds, metric.kind));
      }));
  add("outputs", writeList(outputs, [](Writer &writer, const Output &output) { mapOutput(writer, output); }));
  add("random_keys",
      writeList(randomKeys, [](Writer &writer, const RandomKeys &keys) { mapRandomKeys(writer, keys); }));
  add("functions", Json(functions).dump());
  add("operations", writeLists(operations, [](Writer &writer, const Operation &operation) {
        mapOperation(writer, operation);
      }));
  add("programs", writeLists(programs, writeRow));
  add("memory", writeLists(memory, [](Writer &writer, const Buffer &buffer) { mapBuffer(writer, buffer); }));
  if (guardBytes > 0)
    add("checks", writeChecks(checks));
  return result + "\n}\n";
}

Manifest Manifest::fromJson(std::string_view source) {
  Json json = Json::parse(source, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    throw Error(message<ErrorId::ManifestNoJson>());
  Manifest result;
  Reader reader(json, "$");
  reader.field("version", result.version);
  if (result.version != CF_ABI_VERSION)
    throw Error(message<ErrorId::ManifestVersion>(result.version, CF_ABI_VERSION));
  mapNumbers(reader, result);
  if (json.contains("mesh")) {
    Reader meshReader(objectOf(json, "mesh"), "mesh");
    mapMesh(meshReader, result.mesh);
  }
  result.run = objectOf(json, "run").dump();
  for (const auto &[name, value] : objectOf(json, "regions").items()) {
    Reader region(value, "regions." + name);
    mapRegion(region, result.regions[name]);
  }
  Reader inputsReader(objectOf(json, "inputs"), "inputs");
  mapInputs(inputsReader, result.inputs);
  readList(arrayOf(json, "parameters"), "parameters", result.parameters,
           [](Reader &element, Parameter &parameter) {
             mapParameter(element, parameter);
             std::string init = nameOf(kInits, parameter.init);
             element.optional("init", init, std::string());
             parameter.init = valueNamed(kInits, init, element.path + ".init");
           });
  readList(arrayOf(json, "losses"), "losses", result.losses,
           [](Reader &element, Loss &loss) { mapLoss(element, loss); });
  readList(arrayOf(json, "metrics"), "metrics", result.metrics, [](Reader &element, Metric &metric) {
    mapMetric(element, metric);
    std::string kind;
    element.field("kind", kind);
    metric.kind = valueNamed(kMetricKinds, kind, element.path + ".kind");
  });
  readList(arrayOf(json, "outputs"), "outputs", result.outputs,
           [](Reader &element, Output &output) { mapOutput(element, output); });
  readList(arrayOf(json, "random_keys"), "random_keys", result.randomKeys,
           [](Reader &element, RandomKeys &keys) { mapRandomKeys(element, keys); });
  reader.field("functions", result.functions);
  readLists(json, "operations", result.operations,
            [](Reader &element, Operation &operation) { mapOperation(element, operation); });
  readLists(json, "programs", result.programs, readRow);
  readChecks(json, result.checks);
  readLists(json, "memory", result.memory,
            [](Reader &element, Buffer &buffer) { mapBuffer(element, buffer); });
  result.validate();
  return result;
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

namespace {

/// The product of the dimensions, nothing where one is not positive or it does not fit.
std::optional<int64_t> product(const std::vector<int64_t> &shape) {
  int64_t result = 1;
  for (int64_t dimension : shape)
    if (dimension <= 0 || __builtin_mul_overflow(result, dimension, &result))
      return std::nullopt;
  return result;
}

template <typename Map> auto *find(Map &map, const std::string &name) {
  auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

} // namespace

int64_t Parameter::elements() const { return product(shape).value_or(0); }

std::vector<int64_t> Parameter::pieceShape() const {
  return split ? std::vector<int64_t>(shape.begin() + 1, shape.end()) : shape;
}

std::string Parameter::pieceName(int64_t index) const {
  size_t at = split ? name.find("{e}") : std::string::npos;
  return at == std::string::npos ? name : text(name.substr(0, at), index, name.substr(at + 3));
}

const Region *Manifest::findRegion(const std::string &name) const { return find(regions, name); }
const Program *Manifest::findProgram(const std::string &name) const { return find(programs, name); }

const std::vector<Buffer> &Manifest::findMemory(const std::string &program) const {
  static const std::vector<Buffer> kEmpty;
  const std::vector<Buffer> *found = find(memory, program);
  return found ? *found : kEmpty;
}

const Output *Manifest::findOutput(const std::string &program, const std::string &name) const {
  for (const Output &output : outputs)
    if (output.program == program && output.name == name)
      return &output;
  return nullptr;
}

std::string Manifest::describe(const Program &program, const Row &row) const {
  if (row.isCall())
    return functions[size_t(row.function)];
  const Row &start = row.collective ? row : program[size_t(row.waitsFor)];
  return text(row.collective ? "start " : "wait for ", nameOf(kCollectiveKinds, start.collective->kind));
}

std::string Manifest::mainLoss() const {
  const Loss *best = nullptr;
  for (const Loss &loss : losses) {
    if (loss.name == "main")
      return loss.name;
    if (!best || loss.weight > best->weight)
      best = &loss;
  }
  return best ? best->name : "";
}

std::vector<std::string> Manifest::lossNames() const {
  std::vector<std::string> names;
  for (const Loss &loss : losses)
    if (std::find(names.begin(), names.end(), loss.name) == names.end())
      names.push_back(loss.name);
  return names;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

namespace {

/// Remembers sizes of memory areas to check pieces of them.
struct Checker {
  const Manifest &manifest;

  void positive(const char *field, int64_t value) const {
    if (value <= 0)
      throw Error(message<ErrorId::ManifestNotPositive>(field, value));
  }

  /// [offset, offset + bytes) lies in [0, limit) and starts at a multiple of four.
  void within(const std::string &what, int64_t offset, int64_t bytes, int64_t limit) const {
    if (offset < 0 || bytes < 0 || offset > limit || bytes > limit - offset)
      throw Error(message<ErrorId::ManifestBeyond>(what, offset, offset, bytes, limit));
    if (offset % 4 != 0)
      throw Error(message<ErrorId::ManifestUnaligned>(what, offset));
  }

  /// The same with `guard` bytes on both sides.
  void guarded(const std::string &what, int64_t offset, int64_t bytes, int64_t guard) const {
    int64_t limit = manifest.arenaBytes;
    within(what, offset, bytes, limit);
    if (offset < guard || guard > limit - offset - bytes)
      throw Error(message<ErrorId::ManifestBeyond>(what, offset - guard, offset - guard,
                                                   text(bytes, " + 2 * ", guard), limit));
  }

  /// Bytes of `count` elements of four bytes.
  int64_t words(const std::string &what, std::optional<int64_t> count) const {
    int64_t bytes = 0;
    if (!count || __builtin_mul_overflow(*count, int64_t(4), &bytes))
      throw Error(message<ErrorId::ManifestShape>(what));
    return bytes;
  }

  void floats(const std::string &what, int64_t offset, std::optional<int64_t> count) const {
    within(what, offset, words(what, count), manifest.arenaBytes);
  }

  void input(const char *name, int64_t offset, const std::vector<int64_t> &shape) const {
    if (offset >= 0)
      floats(text("inputs.", name), offset, product(shape));
  }

  void parameter(const Parameter &parameter) const {
    std::string what = text("parameter '", parameter.name, "'");
    int64_t bytes = words(what, product(parameter.shape));
    for (const char *name : {"parameters", "gradients", "first_moments", "second_moments", "ema"}) {
      const Region *region = manifest.findRegion(name);
      if (!region && std::string_view(name) == "parameters")
        throw Error(message<ErrorId::ManifestNoParameters>());
      bool hasBuffers = std::string_view(name) == "parameters" || std::string_view(name) == "ema";
      if (region && (parameter.trainable || hasBuffers))
        within(text(what, " in ", name), parameter.offset, bytes, region->bytes);
    }
    bool marked = parameter.name.find("{e}") != std::string::npos;
    if (parameter.split && (!marked || parameter.shape.empty()))
      throw Error(message<ErrorId::ManifestSplit>(what));
  }

  void operations(const std::string &function, const std::vector<Operation> &operations) const {
    if (std::find(manifest.functions.begin(), manifest.functions.end(), function) == manifest.functions.end())
      throw Error(message<ErrorId::ManifestOperationsOwner>(function));
    for (const Operation &operation : operations)
      if (operation.flops < 0 || operation.bytesRead < 0 || operation.bytesWritten < 0)
        throw Error(message<ErrorId::ManifestCost>(function, operation.op));
  }

  void metric(const Metric &metric) const {
    std::string what = text("metric '", metric.name, "'");
    floats(what, metric.offset, metric.count);
    int64_t wanted = metric.kind == MetricKind::Mean    ? 1
                     : metric.kind == MetricKind::Ratio ? 2
                                                        : metric.count;
    if (metric.count != wanted || metric.count < 1)
      throw Error(message<ErrorId::ManifestMetric>(what, nameOf(kMetricKinds, metric.kind), metric.count,
                                                   std::max<int64_t>(wanted, 1)));
  }

  void program(const std::string &name, const Program &program) const {
    for (size_t index = 0; index < program.size(); ++index) {
      const Row &row = program[index];
      std::string what = text("programs.", name, "[", index, "]");
      if (row.collective || row.waitsFor >= 0) {
        messageRow(what, program, index);
        continue;
      }
      if (row.function < 0 || row.function >= int64_t(manifest.functions.size()))
        throw Error(message<ErrorId::ManifestFunction>(what, row.function, manifest.functions.size()));
      for (int64_t base : row.bases)
        if (base > manifest.arenaBytes)
          throw Error(message<ErrorId::ManifestBase>(what, base, manifest.arenaBytes));
      auto checks = manifest.checks.find(manifest.functions[size_t(row.function)]);
      if (checks != manifest.checks.end())
        checkedRow(what, row, checks->second);
    }
  }

  /// A collective and its wait, of which every program has as many.
  void messageRow(const std::string &what, const Program &program, size_t index) const {
    const Row &row = program[index];
    auto waits = [&](const Row &other) { return other.waitsFor == int64_t(index); };
    bool isWait = row.waitsFor >= 0 && row.waitsFor < int64_t(index) && !row.collective &&
                  program[size_t(row.waitsFor)].collective;
    bool isStart = row.collective && row.waitsFor < 0 && std::ranges::count_if(program, waits) == 1;
    if (row.function != -1 || (!isWait && !isStart))
      throw Error(message<ErrorId::ManifestMessageRow>(what));
    if (isStart)
      collective(what, *row.collective);
  }

  void collective(const std::string &what, const Collective &collective) const {
    if (collective.inputs.empty() || collective.inputs.size() != collective.outputs.size())
      throw Error(
          message<ErrorId::ManifestCollective>(what, collective.inputs.size(), collective.outputs.size()));
    int64_t size = manifest.mesh.getSize(collective.axis);
    bool scatters = collective.kind == CollectiveKind::ReduceScatter,
         gathers = collective.kind == CollectiveKind::AllGather;
    for (size_t i = 0; i < collective.inputs.size(); ++i) {
      const Region &input = collective.inputs[i], &output = collective.outputs[i];
      for (const Region &piece : {input, output}) {
        within(what, piece.offset, piece.bytes, manifest.arenaBytes);
        if (piece.offset % 4 != 0 || piece.bytes % 4 != 0)
          throw Error(message<ErrorId::ManifestUnaligned>(what, piece.offset));
      }
      // Within the arena, a part times the ranks of a group does not overflow.
      if (scatters  ? input.bytes != output.bytes * size
          : gathers ? output.bytes != input.bytes * size
                    : input.bytes != output.bytes)
        throw Error(message<ErrorId::ManifestParts>(what, input.bytes, output.bytes, size));
    }
  }

  /// [offset, offset + bytes) from a pointer of the row, and its guards, lie in the arena.
  void piece(const std::string &what, const Row &row, int64_t base, int64_t offset, int64_t bytes,
             int64_t guard) const {
    if (base < 0 || base >= int64_t(row.bases.size()) || row.bases[size_t(base)] < 0)
      throw Error(message<ErrorId::ManifestCheckedPointer>(what, base));
    int64_t begin = 0;
    if (__builtin_add_overflow(row.bases[size_t(base)], offset, &begin))
      throw Error(message<ErrorId::ManifestBeyond>(what, offset, offset, bytes, manifest.arenaBytes));
    guarded(what, begin, bytes, guard);
  }

  /// What the checks of a function say, for a row that calls it.
  void checkedRow(const std::string &what, const Row &row, const FunctionChecks &checks) const {
    int64_t kernels = int64_t(checks.kernels.size());
    auto requireKernel = [&](const std::string &name, int64_t kernel, int64_t least) {
      if (kernel < least || kernel > kernels)
        throw Error(message<ErrorId::ManifestCheckedKernel>(name, kernel, kernels));
    };
    for (const CheckedValue &value : checks.values) {
      std::string name = text(what, ": checked value '", value.name, "'");
      requireKernel(name, value.first, -1);
      requireKernel(name, value.last, value.first);
      piece(name, row, value.base, value.offset, value.bytes, value.guarded ? manifest.guardBytes : 0);
    }
    for (const CheckedIds &ids : checks.ids) {
      std::string name = text(what, ": checked ids of kernel ", ids.kernel);
      requireKernel(name, ids.kernel, 0);
      piece(name, row, ids.base, ids.offset, words(name, product({ids.count})), 0);
    }
  }

  void memory(const std::string &name, const std::vector<Buffer> &buffers) const {
    const Program *program = manifest.findProgram(name);
    if (!program)
      throw Error(message<ErrorId::ManifestMemoryOwner>(name));
    int64_t rows = int64_t(program->size());
    for (size_t index = 0; index < buffers.size(); ++index) {
      const Buffer &buffer = buffers[index];
      std::string what = text("memory.", name, "[", index, "] '", buffer.name, "'");
      guarded(what, buffer.offset, buffer.bytes, manifest.guardBytes);
      if (buffer.first < 0 || buffer.last < buffer.first - 1 || buffer.last > rows)
        throw Error(message<ErrorId::ManifestMemoryRows>(what, buffer.first, buffer.last, rows));
    }
  }
};

} // namespace

void Manifest::validate() const {
  Checker check{*this};
  check.positive("batch", batch);
  check.positive("seq", seq);
  check.positive("vocab", vocab);
  check.positive("micro_batches", microBatches);
  if (vocab > std::numeric_limits<int32_t>::max())
    throw Error(message<ErrorId::ManifestVocabulary>(vocab));
  if (std::string problem = mesh.verify(); !problem.empty())
    throw Error(message<ErrorId::ManifestMesh>(problem));
  if (arenaBytes < 0 || scratchBytesPerWorker < 0)
    throw Error(message<ErrorId::ManifestNegative>());
  if (guardBytes < 0 || guardBytes % 64 != 0 || guardBytes > arenaBytes)
    throw Error(message<ErrorId::ManifestGuards>(guardBytes));
  if (maxLiveBytes < 0 || maxLiveBytes > arenaBytes)
    throw Error(message<ErrorId::ManifestLiveBytes>(maxLiveBytes, arenaBytes));
  for (const auto &[name, region] : regions)
    check.within("regions." + name, region.offset, region.bytes, arenaBytes);
  for (const Parameter &parameter : parameters)
    check.parameter(parameter);
  check.input("tokens", inputs.tokens, {microBatches, batch, seq});
  check.input("starts", inputs.starts, {microBatches, batch, seq});
  check.input("generate_tokens", inputs.generateTokens, {seq});
  check.input("generate_starts", inputs.generateStarts, {seq});
  if (scalars >= 0)
    check.floats("scalars", scalars, CF_SCALAR_COUNT);
  for (const Loss &loss : losses)
    check.floats(text("loss '", loss.name, "'"), loss.offset, 1);
  for (const Metric &metric : metrics)
    check.metric(metric);
  for (const Output &output : outputs)
    check.floats(text("output '", output.name, "'"), output.offset, product(output.shape));
  for (const auto &[name, list] : operations)
    check.operations(name, list);
  for (const RandomKeys &keys : randomKeys)
    check.floats(text("random keys '", keys.name, "'"), keys.offset,
                 product({microBatches, CF_RANDOM_KEY_WORDS}));
  for (const auto &[name, program] : programs)
    check.program(name, program);
  for (const auto &[name, buffers] : memory)
    check.memory(name, buffers);
}

} // namespace contraflow::abi
