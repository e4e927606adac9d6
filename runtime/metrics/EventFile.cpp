//===- EventFile.cpp - what TensorBoard reads -----------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/metrics/EventFile.h"
#include "runtime/base/Crc32c.h"
#include "runtime/base/Error.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace contraflow::metrics {

namespace fs = std::filesystem;

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

namespace {

enum WireType : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += char(value | 0x80);
  out += char(value);
}

void appendKey(std::string &out, unsigned field, WireType type) { appendVarint(out, field << 3 | type); }

/// `Unsigned` with its lowest byte first.
template <typename Unsigned> void appendFixed(std::string &out, Unsigned value) {
  for (size_t byte = 0; byte < sizeof(value); ++byte)
    out += char(value >> (8 * byte) & 0xff);
}

void appendInteger(std::string &out, unsigned field, uint64_t value) {
  appendKey(out, field, kVarint);
  appendVarint(out, value);
}

void appendDouble(std::string &out, unsigned field, double value) {
  appendKey(out, field, kFixed64);
  appendFixed(out, std::bit_cast<uint64_t>(value));
}

void appendFloat(std::string &out, unsigned field, float value) {
  appendKey(out, field, kFixed32);
  appendFixed(out, std::bit_cast<uint32_t>(value));
}

/// Text, or a message that is encoded already.
void appendBytes(std::string &out, unsigned field, std::string_view bytes) {
  appendKey(out, field, kBytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

/// Rotated and moved, so that a checksum of data that holds checksums stays a good one.
uint32_t maskedChecksum(std::string_view bytes) {
  constexpr uint32_t kMaskDelta = 0xa282ead8;
  return std::rotr(base::crc32c(bytes), 15) + kMaskDelta;
}

} // namespace

void appendRecord(std::string &out, std::string_view bytes) {
  size_t begin = out.size();
  appendFixed(out, uint64_t(bytes.size()));
  appendFixed(out, maskedChecksum(std::string_view(out).substr(begin)));
  out += bytes;
  appendFixed(out, maskedChecksum(bytes));
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

namespace {

// Numbers of fields, as in event.proto, summary.proto and histogram.proto.
enum EventField : unsigned { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum SessionField : unsigned { kStatus = 1 };
enum SummaryField : unsigned { kValue = 1 };
enum ValueField : unsigned { kTag = 1, kSimpleValue = 2, kHistogram = 5 };
enum HistogramField : unsigned {
  kMin = 1,
  kMax = 2,
  kNum = 3,
  kSum = 4,
  kSumSquares = 5,
  kBucketLimit = 6,
  kBucket = 7
};

constexpr uint64_t kSessionStart = 1;

/// A HistogramProto as field `field` of `out`. Its moments are those of the numbers of the buckets.
void appendHistogram(std::string &out, unsigned field, const std::vector<double> &values) {
  double num = 0, sum = 0, squares = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    num += values[i];
    sum += values[i] * double(i);
    squares += values[i] * double(i) * double(i);
  }
  // The size of a message comes before it: five numbers with keys of a byte, two packed lists.
  size_t listBytes = values.size() * sizeof(double);
  std::string length;
  appendVarint(length, listBytes);
  appendKey(out, field, kBytes);
  appendVarint(out, 5 * (1 + sizeof(double)) + 2 * (1 + length.size() + listBytes));
  appendDouble(out, kMin, 0);
  appendDouble(out, kMax, double(values.size()));
  appendDouble(out, kNum, num);
  appendDouble(out, kSum, sum);
  appendDouble(out, kSumSquares, squares);
  for (unsigned list : {kBucketLimit, kBucket}) {
    appendKey(out, list, kBytes);
    appendVarint(out, listBytes);
    for (size_t i = 0; i < values.size(); ++i)
      appendFixed(out, std::bit_cast<uint64_t>(list == kBucket ? values[i] : double(i + 1)));
  }
}

double wallTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

constexpr std::string_view kNamePrefix = "events.out.tfevents.";

/// The time in the name of an event file, in seconds; -1 where it is none. Behind the last one of ten digits
/// nothing sorts.
int64_t timeInName(const std::string &name) {
  constexpr int64_t kLast = 9'999'999'999;
  int64_t time = -1;
  if (name.starts_with(kNamePrefix))
    std::from_chars(name.data() + kNamePrefix.size(), name.data() + name.size(), time);
  return time < kLast ? time : -1;
}

/// Readers take the files of a folder in the order of their names, so a new one has a later time, even where
/// two runs begin in one second or a clock went back.
std::string newFileName(const std::string &folder) {
  auto time = int64_t(wallTime());
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    time = std::max(time, timeInName(entry->path().filename().string()) + 1);
  if (error)
    throw base::Error(base::message<base::ErrorId::EventsUnreadable>(folder, error.message()));
  char host[256] = "localhost", digits[24];
  gethostname(host, sizeof(host) - 1);
  std::snprintf(digits, sizeof(digits), "%010lld", static_cast<long long>(time));
  return base::text(kNamePrefix, digits, '.', host, '.', getpid());
}

} // namespace

void EventFile::begin(int64_t step) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (std::error_code none; !fs::is_directory(folder, none))
    throw base::Error(base::message<base::ErrorId::EventsFolder>(
        folder, error ? error.message() : "something else has that name"));
  file = std::make_unique<RecordFile>((fs::path(folder) / newFileName(folder)).string());
  records.clear();
  // Version 2: a start of a session with step n drops what came before of steps n and later.
  appendEvent(0, kFileVersion, "brain.Event:2");
  value.clear();
  appendInteger(value, kStatus, kSessionStart);
  appendEvent(step + 1, kSessionLog, value);
  file->append(records, step);
}

void EventFile::write(const Report &report) {
  summary.clear();
  for (const Entry &entry : report.getEntries()) {
    if (!entry.isPresent)
      continue;
    value.clear();
    appendBytes(value, kTag, entry.tag);
    if (entry.isList)
      appendHistogram(value, kHistogram, entry.values);
    else
      appendFloat(value, kSimpleValue, float(entry.values[0]));
    appendBytes(summary, kValue, value);
  }
  records.clear();
  appendEvent(report.getStep(), kSummary, summary);
  file->append(records, report.getStep());
}

void EventFile::appendEvent(int64_t step, unsigned field, std::string_view bytes) {
  event.clear();
  appendDouble(event, kWallTime, wallTime());
  appendInteger(event, kStep, uint64_t(step));
  appendBytes(event, field, bytes);
  appendRecord(records, event);
}

} // namespace contraflow::metrics
