//===- MetricsTest.cpp - reports, their files and their bytes -------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/base/Crc32c.h"
#include "runtime/metrics/EventFile.h"
#include "runtime/metrics/JsonLines.h"
#include "runtime/metrics/Memory.h"
#include "runtime/metrics/Progress.h"
#include "test/unit/runtime/Support.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contraflow::metrics {

namespace {

using namespace std::string_literals;
using abi::MetricKind;
using test::errorOf;
using test::Folder;

/// A model with one of each kind of metric.
abi::Manifest manifestWithMetrics() {
  abi::Manifest manifest;
  manifest.losses = {{"main", 0, 1}, {"balance", 0, 0.1}};
  manifest.metrics = {{"accuracy", MetricKind::Ratio, 0, 2},
                      {"model.layers.1.mlp.balance_loss", MetricKind::Mean, 0, 1},
                      {"model.layers.1.mlp.load", MetricKind::Load, 0, 4}};
  return manifest;
}

/// The scalars and lists that the report holds now.
std::map<std::string, std::vector<double>> valuesOf(const Report &report) {
  std::map<std::string, std::vector<double>> values;
  for (const Entry &entry : report.getEntries())
    if (entry.isPresent)
      values[entry.tag] = entry.values;
  return values;
}

TEST(Report, HasWhatWasSetInThisStep) {
  abi::Manifest manifest = manifestWithMetrics();
  Report report(manifest);
  report.begin(7);
  report.set(Number::Loss, 2);
  report.setLosses(std::vector<std::pair<std::string, double>>{{"main", 2}, {"balance", 3}});
  report.setMetrics(std::vector<double>{3, 8, 5, 1, 2, 3, 6}, /*microBatches=*/2);
  using Values = std::map<std::string, std::vector<double>>;
  EXPECT_EQ(valuesOf(report), (Values{{"loss", {2}},
                                      {"perplexity", {std::exp(2.0)}},
                                      {"losses/main", {2}},
                                      {"losses/balance", {3}},
                                      {"accuracy", {0.375}},
                                      {"balance_loss/model.layers.1.mlp", {2.5}},
                                      {"load/model.layers.1.mlp", {1, 2, 3, 6}},
                                      {"load_violation/model.layers.1.mlp", {1}}}));
  report.begin(8);
  report.set(Number::ValidationLoss, 0);
  report.setValidationMetrics(std::vector<double>{1, 4, 9, 9, 9, 9, 9});
  EXPECT_EQ(report.getStep(), 8);
  EXPECT_EQ(
      valuesOf(report),
      (Values{{"validation_loss", {0}}, {"validation_perplexity", {1}}, {"validation_accuracy", {0.25}}}));
  // Without tokens there is no accuracy.
  report.begin(9);
  report.setMetrics(std::vector<double>{0, 0, 1, 0, 0, 0, 0}, 1);
  EXPECT_EQ(valuesOf(report).count("accuracy"), 0u);
  EXPECT_EQ(valuesOf(report)["load_violation/model.layers.1.mlp"][0], 0);
}

TEST(Report, RefusesTwoMetricsOfOneTag) {
  abi::Manifest manifest = manifestWithMetrics();
  manifest.metrics.push_back({"loss", MetricKind::Mean, 0, 1});
  EXPECT_CONTAINS(errorOf([&] { Report report(manifest); }),
                  "two metrics of this trainer are reported as 'loss'; give the nn.metric");
}

TEST(Report, IsDescribedInTheReadme) {
  std::string readme = test::read(SOURCE_DIR "/runtime/metrics/README.md"), table;
  for (const Description &row : describe())
    table += "| `" + row.tag + "` | " + row.unit + (row.unit.empty() ? "| " : " | ") + row.meaning + " |\n";
  EXPECT_NE(readme.find(table), std::string::npos) << "the table has to be\n" << table;
}

TEST(JsonLines, WritesKeysInTheirOrder) {
  abi::Manifest manifest = manifestWithMetrics();
  Report report(manifest);
  Folder folder;
  JsonLines lines(folder / "lines", [](const std::string &) {});
  report.begin(3);
  report.set(Number::GradientNorm, 0.1);
  report.set(Number::Loss, 1000);
  report.set(Number::ArenaBytes, 123456789012);
  report.setMetrics(std::vector<double>{1, 4, 1e-7, 1, 0, 2.5, 0.5}, 1);
  lines.write(report);
  EXPECT_EQ(
      test::read(folder / "lines"),
      "{\"step\":3,\"loss\":1000,\"perplexity\":null,\"gradient_norm\":0.1,\"arena_bytes\":123456789012,"
      "\"accuracy\":0.25,\"balance_loss/model.layers.1.mlp\":1e-07,\"load/model.layers.1.mlp\":[1,0,2.5,0.5],"
      "\"load_violation/model.layers.1.mlp\":1.5}\n");
}

TEST(JsonLines, DestroysNothing) {
  Folder folder;
  std::string said;
  auto begin = [&](const std::string &name, int64_t step) {
    said.clear();
    return errorOf(
        [&] { JsonLines(folder / name, [&](const std::string &line) { said = line; }).begin(step); });
  };
  const std::string lines = "{\"step\":1}\n{\"step\":2}\n", cut = lines + "{\"st";
  folder.write("metrics", cut);
  folder.write("metrics.1", "of somebody");
  EXPECT_EQ(begin("metrics", 0), "no error");
  EXPECT_EQ(said, "kept the metrics of an earlier run in '" + folder / "metrics.2" + "'");
  EXPECT_EQ(test::read(folder / "metrics"), "");
  EXPECT_EQ(test::read(folder / "metrics.1"), "of somebody");
  EXPECT_EQ(test::read(folder / "metrics.2"), cut);
  // Of nothing there is nothing to keep, and a run that goes on keeps its lines.
  EXPECT_EQ(begin("metrics", 0), "no error");
  folder.write("metrics", cut);
  EXPECT_EQ(begin("metrics", 1), "no error");
  EXPECT_EQ(test::read(folder / "metrics"), "{\"step\":1}\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "metrics.3"));
  // What is anything else is refused, before the text is read.
  for (const std::string &content : {"# notes\n"s, lines + "# notes"s, "notes without an end of line"s})
    for (int64_t step : {0, 1}) {
      folder.write("notes", content);
      EXPECT_CONTAINS(begin("notes", step), "is no file of metrics: line ");
      EXPECT_EQ(test::read(folder / "notes"), content);
    }
}

TEST(JsonLines, AreInTheFileBehindLinks) {
  Folder folder;
  auto begin = [&](const std::string &path, int64_t step) {
    return errorOf([&] { JsonLines(path, [](const std::string &) {}).begin(step); });
  };
  std::filesystem::create_symlink("second", folder / "first");
  std::filesystem::create_symlink("file", folder / "second");
  folder.write("file", "# notes\n");
  EXPECT_CONTAINS(begin(folder / "first", 0), "file' is no file of metrics: line 1 has no step");
  EXPECT_EQ(test::read(folder / "file"), "# notes\n");
  folder.write("file", "{\"step\":1}\n{\"step\":2}\n");
  EXPECT_EQ(begin(folder / "first", 1), "no error");
  EXPECT_EQ(test::read(folder / "file"), "{\"step\":1}\n");
  EXPECT_EQ(begin(folder / "first", 0), "no error");
  EXPECT_EQ(test::read(folder / "file"), "");
  EXPECT_EQ(test::read(folder / "file.1"), "{\"step\":1}\n");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "first"));
  std::filesystem::remove(folder / "file");
  EXPECT_EQ(begin(folder / "first", 0), "no error");
  EXPECT_TRUE(std::filesystem::is_regular_file(folder / "file"));
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_EQ(begin(folder / "loop", 0),
            "cannot write '" + folder / "loop" + "': Too many levels of symbolic links");
  // A stream goes to a file of somebody else.
  folder.write("log", "of somebody\n");
  int log = open((folder / "log").c_str(), O_WRONLY | O_APPEND);
  EXPECT_EQ(begin("/dev/fd/" + std::to_string(log), 0), "no error");
  close(log);
  EXPECT_EQ(test::read(folder / "log"), "of somebody\n");
}

TEST(RecordFile, GoesOnWithoutAReader) {
  Folder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  int reader = open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  RecordFile file(folder / "pipe");
  file.append("first", 1);
  close(reader);
  testing::internal::CaptureStderr();
  // A signal would end this process.
  file.append("second", 2);
  EXPECT_CONTAINS(testing::internal::GetCapturedStderr(), "Broken pipe; reports are missing from step 2 on");
}

TEST(RecordFile, KeepsWholeRecordsWhenTheDiskIsFull) {
  Folder folder;
  RecordFile file(folder / "records");
  std::string first(9000, '1'), second(2000, '2'), fourth(2000, '4');
  file.append(first, 1);
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  auto previous = std::signal(SIGXFSZ, SIG_IGN);
  // A half of the second record fits.
  rlimit small = {10000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  testing::internal::CaptureStderr();
  file.append(second, 2);
  file.append(second, 3);
  std::string warning = testing::internal::GetCapturedStderr();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, previous);
  EXPECT_EQ(warning, "contraflow: warning: cannot write '" + folder / "records" +
                         "': File too large; reports are missing from step 2 on\n");
  file.append(fourth, 4);
  EXPECT_EQ(test::read(folder / "records"), first + fourth);
}

//===----------------------------------------------------------------------===//
// Event files
//===----------------------------------------------------------------------===//

TEST(Crc32c, GivesTheNumbersOfItsStandard) {
  // RFC 3720, appendix B.4, and the check value of every CRC catalogue.
  EXPECT_EQ(base::crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(base::crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(base::crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(base::crc32c(""), 0u);
}

TEST(EventFile, FramesRecordsAsTensorFlowDoes) {
  // Written by TensorBoard's RecordWriter.
  std::string out;
  appendRecord(out, "abc");
  EXPECT_EQ(out, "\x03\0\0\0\0\0\0\0\xb0\x99\x49\x0e\x61\x62\x63\x6e\x57\xf1\x21"s);
  out.clear();
  appendRecord(out, "");
  EXPECT_EQ(out, "\0\0\0\0\0\0\0\0\x29\x03\x98\x07\xd8\xea\x82\xa2"s);
}

/// The events of a file without their times.
std::vector<std::string> eventsOf(const std::string &path) {
  // Length and its checksum, checksum of the bytes; field 1 of an event.
  constexpr size_t kBefore = 12, kAfter = 4, kTime = 9;
  std::string content = test::read(path);
  std::vector<std::string> events;
  for (size_t at = 0; at < content.size();) {
    uint64_t length = 0;
    std::memcpy(&length, content.data() + at, sizeof(length));
    std::string event = content.substr(at + kBefore, length), record;
    appendRecord(record, event);
    EXPECT_EQ(content.substr(at, record.size()), record);
    EXPECT_EQ(event[0], '\x09');
    events.push_back(event.substr(kTime));
    at += kBefore + length + kAfter;
  }
  return events;
}

std::vector<std::string> filesOf(const std::string &folder) {
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(EventFile, WritesEventsByteByByte) {
  abi::Manifest manifest;
  manifest.metrics = {{"x.load", MetricKind::Load, 0, 2}};
  Report report(manifest);
  Folder folder;
  EventFile file(folder / "a/b");
  file.begin(5);
  report.begin(300);
  report.set(Number::Total, 2.5);
  report.setMetrics(std::vector<double>{3, 4}, 1);
  file.write(report);
  std::vector<std::string> events = eventsOf(filesOf(folder / "a/b").at(0));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0], "\x10\0\x1a\x0d"
                       "brain.Event:2"s);
  // A start of a session, valid from step 6 on.
  EXPECT_EQ(events[1], "\x10\x06\x3a\x02\x08\x01");
  // The two scalars, and between them the histogram: minimum 0, maximum 2, 7 in all, moments 4 and 4; limits
  // 1 and 2, buckets of 3 and 4.
  std::string histogram = "\x0a\x06"
                          "load/x\x2a\x51"
                          "\x09\0\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\x40\x19\0\0\0\0\0\0\x1c\x40"
                          "\x21\0\0\0\0\0\0\x10\x40\x29\0\0\0\0\0\0\x10\x40"
                          "\x32\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40"
                          "\x3a\x10\0\0\0\0\0\0\x08\x40\0\0\0\0\0\0\x10\x40"s;
  std::string total = "\x0a\x0c\x0a\x05"
                      "total\x15\0\0\x20\x40"s,
              violation = "\x0a\x17\x0a\x10"
                          "load_violation/x\x15"s;
  float ratio = float(4.0 * 2 / 7 - 1);
  violation.append(reinterpret_cast<const char *>(&ratio), 4);
  std::string summary = total + "\x0a"s + char(histogram.size()) + histogram + violation;
  EXPECT_EQ(events[2],
            "\x10\xac\x02\x2a"s + char(0x80 | (summary.size() & 0x7f)) + char(summary.size() >> 7) + summary);
}

TEST(EventFile, SortsBehindTheFilesThatAreThere) {
  abi::Manifest manifest;
  Folder folder;
  // A clock that was wrong, and what is no event file.
  folder.write("events.out.tfevents.5000000000.host.1", "");
  folder.write("events.out.tfevents.notes", "");
  // Behind these no name sorts.
  folder.write("events.out.tfevents.9223372036854775807", "");
  folder.write("events.out.tfevents.99999999999.host.1", "");
  for (int run = 0; run < 3; ++run)
    EventFile(folder.path.string()).begin(0);
  std::vector<std::string> files = filesOf(folder.path.string());
  ASSERT_EQ(files.size(), 7u);
  for (int run = 1; run <= 3; ++run)
    EXPECT_CONTAINS(files[size_t(run)], "events.out.tfevents.500000000" + std::to_string(run) + ".");
  folder.write("file", "");
  EXPECT_CONTAINS(errorOf([&] { EventFile(folder / "file").begin(0); }), "cannot make the folder '");
}

TEST(Memory, GrowsWithWhatIsTouched) {
  Memory memory;
  memory.look();
  int64_t before = memory.resident;
  EXPECT_GT(before, 1 << 20);
  EXPECT_GE(memory.peak, before);
  // Not from an allocator, which may keep what is given back.
  constexpr size_t kBytes = 64 << 20;
  void *bytes = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(bytes, MAP_FAILED);
  std::memset(bytes, 1, kBytes);
  memory.look();
  EXPECT_GT(memory.resident, before + (32 << 20));
  EXPECT_GE(memory.peak, memory.resident);
  ASSERT_EQ(munmap(bytes, kBytes), 0);
  int64_t peak = memory.peak;
  memory.look();
  EXPECT_LT(memory.resident, peak - (32 << 20));
  EXPECT_GE(memory.peak, peak);
}

TEST(Memory, IsAtMostItsPeakWhateverTheSystemKnowsOfIt) {
  Memory memory;
  // The system brings its own peak up to date later.
  memory.add(20, 16);
  EXPECT_EQ(memory.resident, 20);
  EXPECT_EQ(memory.peak, 20);
  // What was given back.
  memory.add(4, 16);
  EXPECT_EQ(memory.resident, 4);
  EXPECT_EQ(memory.peak, 20);
  // What was taken and given back between two looks.
  memory.add(5, 32);
  EXPECT_EQ(memory.resident, 5);
  EXPECT_EQ(memory.peak, 32);
  memory.peak = int64_t(1) << 50;
  memory.look();
  EXPECT_GT(memory.resident, 5);
  EXPECT_LT(memory.resident, int64_t(1) << 50);
  EXPECT_EQ(memory.peak, int64_t(1) << 50);
}

TEST(Progress, SaysAllOfAStepOnOneLine) {
  Progress progress{30, 1000, 1.25, std::nullopt, 0.512345, 3e-3, 5120.4, 187};
  EXPECT_EQ(progressLine(progress),
            "step   30/1000  loss 1.2500  val -  grad 0.512  lr 3.00e-03  5120 tokens/s  left 3m07s");
  progress.validationLoss = 2;
  EXPECT_CONTAINS(progressLine(progress), "  val 2.0000  ");
  EXPECT_EQ(durationText(0), "0s");
  EXPECT_EQ(durationText(59.4), "59s");
  EXPECT_EQ(durationText(3599.6), "1h00m");
  EXPECT_EQ(durationText(100 * 3600 + 120), "100h02m");
}

} // namespace

} // namespace contraflow::metrics
