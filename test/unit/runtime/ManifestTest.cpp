//===- ManifestTest.cpp - JSON both ways, and numbers that do not fit -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/MemoryNeed.h"
#include "test/unit/runtime/Support.h"

#include <functional>
#include <limits>
#include <regex>

namespace contraflow::abi {

namespace {

using test::errorOf;
using test::programManifest;

TEST(Manifest, ComesBackFromJson) {
  Manifest manifest = programManifest();
  manifest.isa = {"avx2", "fma"};
  manifest.metrics = {{"model.layers.1.load", MetricKind::Load, 0, 4}, {"hits", MetricKind::Ratio, 64, 2}};
  manifest.randomKeys = {{"model.layers.0", 64}};
  manifest.bos = 5;
  manifest.losses.push_back({"other", 64, 0.1});
  manifest.operations["table_train"] = {{"linear", "table", 6, 8, 4}, {"add", "", 1, 2, 3}};
  std::string json = manifest.toJson();
  Manifest copy = Manifest::fromJson(json);
  EXPECT_EQ(copy.toJson(), json);
  EXPECT_EQ(copy.bos, 5);
  EXPECT_EQ(copy.eos, 257);
  EXPECT_EQ(copy.isa, manifest.isa);
  EXPECT_EQ(copy.losses[1].weight, 0.1);
  ASSERT_EQ(copy.randomKeys.size(), 1u);
  EXPECT_EQ(copy.randomKeys[0].name, "model.layers.0");
  EXPECT_EQ(copy.randomKeys[0].offset, 64);
  ASSERT_EQ(copy.metrics.size(), 2u);
  EXPECT_EQ(copy.metrics[0].kind, MetricKind::Load);
  EXPECT_EQ(copy.metrics[1].offset, 64);
  EXPECT_EQ(copy.metrics[1].count, 2);
  ASSERT_EQ(copy.parameters.size(), 2u);
  EXPECT_TRUE(copy.parameters[1].split);
  EXPECT_FALSE(copy.parameters[1].trainable);
  EXPECT_EQ(copy.parameters[1].init, Init::Zeros);
  ASSERT_EQ(copy.operations["table_train"].size(), 2u);
  EXPECT_EQ(copy.operations["table_train"][0].name, "table");
  EXPECT_EQ(copy.operations["table_train"][1].bytesWritten, 3);
  const Row &row = copy.programs["train"][2];
  EXPECT_EQ(row.bases, manifest.programs["train"][2].bases);
  EXPECT_EQ(row.microBatch, 1);
  EXPECT_EQ(row.layer, "model.layers.0");
  EXPECT_EQ(row.direction, "forward");
  EXPECT_EQ(copy.maxLiveBytes, manifest.arenaBytes);
  ASSERT_EQ(copy.findMemory("train").size(), 2u);
  EXPECT_TRUE(copy.findMemory("train")[0].persistent);
  const Buffer &workspace = copy.findMemory("train")[1];
  EXPECT_EQ(workspace.kind, "workspace");
  EXPECT_EQ(workspace.bytes, 258 * 4);
  EXPECT_EQ(workspace.first, 1);
  EXPECT_EQ(workspace.last, 2);
  EXPECT_FALSE(workspace.persistent);
  EXPECT_TRUE(copy.findMemory("evaluate").empty());
}

/// A checked build of one row: a value with guards, another without, offsets.
Manifest checkedManifest() {
  Manifest manifest;
  manifest.version = CF_ABI_VERSION;
  manifest.batch = manifest.seq = manifest.vocab = 1;
  manifest.arenaBytes = 1024;
  manifest.guardBytes = 64;
  manifest.functions = {"f"};
  manifest.programs["train"] = {{0, {128, -1, 512}, 0, "f", "layer", "forward"}};
  manifest.memory["train"] = {{"x", "activation", 64, 896, 0, 0}};
  manifest.checks["f"] = {{"first", "second"},
                          {{"x", 0, 0, 64, -1, 2, {0}, {}}, {"y", 2, 64, 128, 0, 1, {1}, {0}, true, true}},
                          {{1, "offsets", 2, 64, 5, 0, 7}}};
  return manifest;
}

TEST(Manifest, KnowsWhatACheckedBuildLooksAt) {
  Manifest manifest = checkedManifest();
  std::string json = manifest.toJson();
  Manifest copy = Manifest::fromJson(json);
  EXPECT_EQ(copy.toJson(), json);
  EXPECT_EQ(copy.guardBytes, 64);
  const FunctionChecks &checks = copy.checks["f"];
  EXPECT_EQ(checks.kernels, (std::vector<std::string>{"first", "second"}));
  ASSERT_EQ(checks.values.size(), 2u);
  EXPECT_FALSE(checks.values[0].guarded);
  const CheckedValue &value = checks.values[1];
  EXPECT_EQ(std::tuple(value.name, value.base, value.offset, value.bytes, value.first, value.last),
            std::tuple("y", 2, 64, 128, 0, 1));
  EXPECT_EQ(value.reads, std::vector<int64_t>{1});
  EXPECT_EQ(value.writes, std::vector<int64_t>{0});
  EXPECT_TRUE(value.guarded && value.ids);
  ASSERT_EQ(checks.ids.size(), 1u);
  const CheckedIds &ids = checks.ids[0];
  EXPECT_EQ(std::tuple(ids.kernel, ids.kind, ids.base, ids.offset, ids.count, ids.least, ids.limit),
            std::tuple(1, "offsets", 2, 64, 5, 0, 7));
  // Who checks nothing says nothing of it.
  EXPECT_EQ(programManifest().toJson().find("guard"), std::string::npos);
}

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kMost = std::numeric_limits<int64_t>::max();

TEST(Manifest, RefusesChecksThatDoNotFit) {
  struct Case {
    std::function<void(Manifest &)> change;
    const char *message;
  };
  const Case cases[] = {
      {[](Manifest &m) { m.guardBytes = 32; }, "guard_bytes is 32"},
      {[](Manifest &m) { m.guardBytes = -64; }, "guard_bytes is -64"},
      {[](Manifest &m) { m.guardBytes = int64_t(1) << 62; }, "guard_bytes is 4611686018427387904"},
      {[](Manifest &m) { m.guardBytes = kMost - 63; }, "guard_bytes is "},
      {[](Manifest &m) { m.memory["train"][0].offset = 0; }, "memory.train[0] 'x' needs bytes -64"},
      {[](Manifest &m) { m.memory["train"][0].offset = kLeast; }, "memory.train[0] 'x' needs bytes"},
      {[](Manifest &m) { m.memory["train"][0].offset = kMost; }, "memory.train[0] 'x' needs bytes"},
      {[](Manifest &m) { m.memory["train"][0].bytes = kMost; }, "memory.train[0] 'x' needs bytes"},
      {[](Manifest &m) { m.memory["train"][0].bytes = kLeast; }, "memory.train[0] 'x' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[1].offset = kMost; }, "checked value 'y' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[1].offset = kLeast; }, "checked value 'y' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[1].bytes = kMost; }, "checked value 'y' needs bytes"},
      {[](Manifest &m) { m.memory["train"][0].bytes = 928; }, "memory.train[0] 'x' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[0].base = 3; },
       "programs.train[0]: checked value 'x' lies at pointer 3"},
      {[](Manifest &m) { m.checks["f"].values[0].base = 1; }, "checked value 'x' lies at pointer 1"},
      {[](Manifest &m) { m.checks["f"].values[0].base = -1; }, "checked value 'x' lies at pointer -1"},
      {[](Manifest &m) { m.checks["f"].values[0].bytes = 1024; }, "checked value 'x' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[1].bytes = 448; }, "checked value 'y' needs bytes"},
      {[](Manifest &m) { m.checks["f"].values[0].first = -2; }, "checked value 'x' names kernel -2 of 2"},
      {[](Manifest &m) { m.checks["f"].values[0].last = 3; }, "checked value 'x' names kernel 3 of 2"},
      {[](Manifest &m) { m.checks["f"].ids[0].kernel = 3; }, "checked ids of kernel 3 names kernel 3 of 2"},
      {[](Manifest &m) { m.checks["f"].ids[0].count = 0; }, "not positive"},
      {[](Manifest &m) { m.checks["f"].ids[0].count = 200; }, "checked ids of kernel 1 needs bytes"},
  };
  EXPECT_NO_THROW(checkedManifest().validate());
  for (const Case &test : cases) {
    Manifest manifest = checkedManifest();
    test.change(manifest);
    EXPECT_CONTAINS(errorOf([&] { Manifest::fromJson(manifest.toJson()); }), test.message);
  }
}

TEST(MemoryNeed, NamesTheTextOfIt) {
  Manifest manifest = programManifest();
  MemoryNeed without = MemoryNeed::of(manifest, 3), need = MemoryNeed::of(manifest, 3, 1 << 20);
  EXPECT_EQ(without.bytes, manifest.arenaBytes + 3 * manifest.scratchBytesPerWorker);
  EXPECT_EQ(need.bytes, without.bytes + (1 << 20));
  EXPECT_EQ(need.peak, "of it, 1.00 MiB are text; " + without.peak);
  EXPECT_NO_THROW(need.requireAtMost(need.bytes));
  EXPECT_CONTAINS(errorOf([&] { need.requireAtMost(need.bytes - 1); }), "this machine has ");
  EXPECT_CONTAINS(errorOf([&] { need.requireAtMost(need.bytes - 1); }), "; of it, 1.00 MiB are text; ");
}

TEST(MemoryNeed, AddsUpWhatIsInUse) {
  std::vector<Buffer> buffers = {
      {"a", "saved", 0, 65, 0, 1}, {"b", "saved", 128, 64, 1, 3}, {"c", "", 0, 8, 1, 0}};
  EXPECT_EQ(liveBytes(buffers, 3), (std::vector<int64_t>{128, 192, 64}));
  EXPECT_EQ(liveBytes(buffers, 3, 64), (std::vector<int64_t>{256, 448, 192}));
  EXPECT_TRUE(liveBytes({}, 0).empty());
  EXPECT_EQ(formatBytes(1), "1 byte");
  EXPECT_EQ(formatBytes(1023), "1023 bytes");
  EXPECT_EQ(formatBytes(3 << 19), "1.50 MiB");
}

TEST(Manifest, NamesThePiecesOfSplitParameters) {
  Parameter parameter;
  parameter.name = "m.experts.{e}.w";
  parameter.shape = {3, 4, 5};
  parameter.split = true;
  EXPECT_EQ(parameter.pieces(), 3);
  EXPECT_EQ(parameter.pieceName(2), "m.experts.2.w");
  EXPECT_EQ(parameter.pieceShape(), (std::vector<int64_t>{4, 5}));
  parameter.split = false;
  EXPECT_EQ(parameter.pieces(), 1);
  EXPECT_EQ(parameter.pieceName(0), "m.experts.{e}.w");
  EXPECT_EQ(parameter.elements(), 60);
}

TEST(Manifest, KnowsTheLossThatPeopleWatch) {
  Manifest manifest;
  EXPECT_EQ(manifest.mainLoss(), "");
  manifest.losses = {{"balance", 0, 1e-4}, {"next", 0, 1}, {"later", 0, 0.3}};
  EXPECT_EQ(manifest.mainLoss(), "next");
  manifest.losses.push_back({"main", 0, 0.5});
  EXPECT_EQ(manifest.mainLoss(), "main");
}

TEST(Manifest, NamesEveryLossOnce) {
  Manifest manifest;
  manifest.losses = {{"b", 0, 1}, {"a", 4, 1}, {"b", 8, 1}};
  EXPECT_EQ(manifest.lossNames(), (std::vector<std::string>{"b", "a"}));
}

/// A sum of the gradients over two ranks at the end of the step.
Manifest &addSum(Manifest &manifest) {
  manifest.mesh = {1, 2, 1};
  Program &program = manifest.programs["train"];
  Row start, wait;
  start.function = wait.function = -1;
  start.direction = wait.direction = "reduce";
  Region piece = {manifest.regions["gradients"].offset, 64};
  start.collective = {CollectiveKind::AllReduce, MeshAxis::Dp, {piece}, {piece}};
  wait.waitsFor = int64_t(program.size());
  program.push_back(start);
  program.push_back(wait);
  return manifest;
}

TEST(Manifest, KeepsCollectives) {
  Manifest manifest = programManifest();
  Program program = Manifest::fromJson(addSum(manifest).toJson()).programs["train"];
  ASSERT_EQ(program.size(), 8u);
  const Row &start = program[6], &wait = program[7];
  ASSERT_TRUE(start.collective);
  EXPECT_FALSE(start.isCall());
  EXPECT_EQ(start.collective->kind, CollectiveKind::AllReduce);
  EXPECT_EQ(start.collective->axis, MeshAxis::Dp);
  EXPECT_EQ(start.collective->inputs[0].offset, manifest.regions["gradients"].offset);
  EXPECT_EQ(start.collective->outputs[0].bytes, 64);
  EXPECT_EQ(wait.waitsFor, 6);
  EXPECT_EQ(manifest.describe(program, start), "start all_reduce");
  EXPECT_EQ(manifest.describe(program, wait), "wait for all_reduce");
  EXPECT_EQ(Manifest::fromJson(manifest.toJson()).mesh, (Mesh{1, 2, 1}));
}

TEST(Manifest, RefusesNumbersThatDoNotFit) {
  struct Case {
    std::function<void(Manifest &)> change;
    const char *message;
  };
  const Case cases[] = {
      {[](Manifest &m) { m.batch = 0; }, "batch is 0"},
      {[](Manifest &m) { m.vocab = int64_t(1) << 40; }, "ids have 32 bits"},
      {[](Manifest &m) { m.arenaBytes = -1; }, "must not be negative"},
      {[](Manifest &m) { m.arenaBytes = m.maxLiveBytes = 100; }, "regions."},
      {[](Manifest &m) { m.regions["gradients"].bytes = 16; }, "in gradients needs bytes"},
      {[](Manifest &m) { m.regions.erase("parameters"); }, "regions.parameters is missing"},
      {[](Manifest &m) { m.parameters[0].shape = {0}; }, "not positive"},
      {[](Manifest &m) { m.parameters[0].shape = {1 << 30, 1 << 30, 1 << 30}; }, "too many elements"},
      {[](Manifest &m) { m.parameters[0].offset = 2; }, "not a multiple of 4"},
      {[](Manifest &m) { m.parameters[0].offset = -64; }, "needs bytes -64"},
      {[](Manifest &m) { m.parameters[0].split = true; }, "has no index in braces"},
      {[](Manifest &m) { m.inputs.tokens = m.arenaBytes - 8; }, "inputs.tokens"},
      {[](Manifest &m) { m.scalars = m.arenaBytes; }, "scalars"},
      {[](Manifest &m) { m.randomKeys = {{"a", m.arenaBytes - 16}}; }, "random keys 'a' needs bytes"},
      {[](Manifest &m) { m.regions["ema"] = {0, 64}; }, "parameter 'table.weight' in ema needs bytes"},
      {[](Manifest &m) { m.losses[0].offset = m.arenaBytes; }, "loss 'main'"},
      {[](Manifest &m) { m.losses[0].offset = std::numeric_limits<int64_t>::max() - 1; }, "loss 'main'"},
      {[](Manifest &m) { m.metrics = {{"a", MetricKind::Load, m.arenaBytes - 4, 2}}; }, "metric 'a'"},
      {[](Manifest &m) { m.metrics = {{"a", MetricKind::Ratio, 0, 1}}; }, "a ratio of 1 numbers, expected 2"},
      {[](Manifest &m) { m.metrics = {{"a", MetricKind::Load, 0, 0}}; }, "metric 'a'"},
      {[](Manifest &m) { m.outputs[0].shape = {int64_t(1) << 61}; }, "output 'logits'"},
      {[](Manifest &m) { m.operations["lost"] = {}; }, "operations.lost is of no function"},
      {[](Manifest &m) { m.operations["step_clip"] = {{"add", "", -1, 0, 0}}; }, "'add' has a negative cost"},
      {[](Manifest &m) { m.programs["train"][1].function = 99; }, "programs.train[1].function is 99"},
      {[](Manifest &m) { m.programs["train"][1].bases[0] = m.arenaBytes + 1; }, "has a base at"},
      {[](Manifest &m) { m.mesh = {1, 4, 3}; }, "mesh: ep is 3, which does not divide dp, 4"},
      {[](Manifest &m) { m.programs["train"][1].waitsFor = 0; },
       "programs.train[1] is no call, no collective"},
      {[](Manifest &m) { addSum(m).programs["train"].pop_back(); },
       "programs.train[6] is no call, no collective"},
      {[](Manifest &m) { addSum(m).programs["train"][6].function = 0; }, "programs.train[6] is no call"},
      {[](Manifest &m) { addSum(m).programs["train"][6].collective->outputs.clear(); },
       "programs.train[6] has 1 inputs and 0 outputs"},
      {[](Manifest &m) { addSum(m).programs["train"][6].collective->inputs[0].offset = m.arenaBytes; },
       "programs.train[6] needs bytes"},
      {[](Manifest &m) { addSum(m).programs["train"][6].collective->inputs[0].offset = 2; },
       "programs.train[6] begins at 2"},
      {[](Manifest &m) { addSum(m).programs["train"][6].collective->kind = CollectiveKind::AllGather; },
       "programs.train[6] makes 64 bytes of 64, which does not fit a group of 2 ranks"},
      {[](Manifest &m) { m.maxLiveBytes = m.arenaBytes + 1; }, "max_live_bytes is"},
      {[](Manifest &m) { m.maxLiveBytes = -1; }, "max_live_bytes is -1"},
      {[](Manifest &m) { m.memory["train"][1].offset = m.arenaBytes; },
       "memory.train[1] 'table_train' needs bytes"},
      {[](Manifest &m) { m.memory["train"][1].bytes = -1; }, "memory.train[1] 'table_train' needs bytes"},
      {[](Manifest &m) { m.memory["train"][0].first = -1; },
       "is in use from row -1 to 6, but there are 6 rows"},
      {[](Manifest &m) { m.memory["train"][1].last = 7; }, "is in use from row 1 to 7, but there are 6 rows"},
      {[](Manifest &m) { m.memory["train"][1].last = -1; }, "is in use from row 1 to -1"},
      {[](Manifest &m) { m.memory["other"] = m.memory["train"]; }, "memory.other belongs to no program"},
  };
  for (const Case &test : cases) {
    Manifest manifest = programManifest();
    test.change(manifest);
    EXPECT_CONTAINS(errorOf([&] { Manifest::fromJson(manifest.toJson()); }), test.message);
  }
}

TEST(Manifest, NamesTheFieldThatIsWrong) {
  std::string json = programManifest().toJson();
  auto errorAfter = [&](const char *pattern, const char *replacement) {
    std::string changed = std::regex_replace(json, std::regex(pattern), replacement);
    EXPECT_NE(changed, json) << pattern;
    return errorOf([&] { Manifest::fromJson(changed); });
  };
  EXPECT_CONTAINS(errorOf([] { Manifest::fromJson(""); }), "not JSON");
  EXPECT_CONTAINS(errorOf([] { Manifest::fromJson("[]"); }), "expected an object");
  EXPECT_CONTAINS(errorAfter("\"version\": 3", "\"version\": 999"), "version is 999, expected");
  EXPECT_CONTAINS(errorAfter("\"batch\": 2", "\"batch\": \"2\""), "$.batch has the wrong type (string)");
  EXPECT_CONTAINS(errorAfter("\"batch\": 2,", ""), "$.batch is missing");
  EXPECT_CONTAINS(errorAfter("\"name\":\"main\"", "\"name\":3"), "losses[0].name has the wrong type");
  EXPECT_CONTAINS(errorAfter("\"init\":\"zeros\"", "\"init\":\"threes\""), "parameters[1].init is 'threes'");
  EXPECT_CONTAINS(errorAfter("\"kind\":\"mean\"", "\"kind\":\"sum\""),
                  "metrics[0].kind is 'sum', expected mean, ratio or load");
  EXPECT_CONTAINS(errorAfter("\"bases\":\\[[^\\]]*\\]", "\"bases\":[\"x\"]"), "bases has the wrong type");
  EXPECT_CONTAINS(errorAfter("\"kind\":\"workspace\"", "\"kind\":1"),
                  "memory.train[1].kind has the wrong type");
  EXPECT_CONTAINS(errorAfter("\"memory\": \\{", "\"memory\": {\"x\": 3, "),
                  "memory.x is number, expected an array");
  EXPECT_CONTAINS(errorAfter("\"losses\": \\[", "\"losses\": 3, \"x\": ["),
                  "losses is number, expected an array");
}

} // namespace

} // namespace contraflow::abi
