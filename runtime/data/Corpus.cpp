//===- Corpus.cpp - text files as documents -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/data/Corpus.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"
#include "runtime/base/Hash.h"

#include <algorithm>
#include <filesystem>
#include <fnmatch.h>
#include <set>
#include <sys/stat.h>
#include <tuple>

namespace contraflow::data {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;
namespace fs = std::filesystem;

namespace {

/// Finds and reads files.
class Reader {
public:
  Reader(const CorpusOptions &options, Corpus &corpus) : options(options), corpus(corpus) {}

  std::vector<Document> readAll() {
    base::ErrorList errors;
    for (const std::string &path : options.paths) {
      std::error_code error;
      if (fs::is_directory(path, error))
        readDirectory(path);
      else
        errors.collect([&] { add(path, base::readFile(path)); });
    }
    errors.raise();
    return std::move(documents);
  }

private:
  /// Links to directories are followed, because packages use them; a directory that was visited is not
  /// entered again.
  void readDirectory(const std::string &folder) {
    struct stat status;
    if (stat(folder.c_str(), &status) != 0 || !visited.insert({status.st_dev, status.st_ino}).second)
      return;
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
      entries.push_back(it->path());
    if (error)
      ++corpus.unreadable;
    std::sort(entries.begin(), entries.end());
    for (const fs::path &entry : entries) {
      std::error_code statusError;
      fs::file_status type = fs::status(entry, statusError);
      if (fs::is_directory(type))
        readDirectory(entry.string());
      else if (fs::is_regular_file(type) && isIncluded(entry.filename().string()))
        readBelow(entry.string());
    }
  }

  bool isIncluded(const std::string &name) const {
    if (options.include.empty())
      return true;
    return std::any_of(options.include.begin(), options.include.end(), [&](const std::string &pattern) {
      return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    });
  }

  void readBelow(const std::string &path) {
    std::string bytes;
    try {
      bytes = base::readFile(path);
    } catch (const Error &) {
      ++corpus.unreadable;
      return;
    }
    add(path, std::move(bytes));
  }

  void add(const std::string &path, std::string bytes) {
    ++corpus.files;
    if (bytes.empty()) {
      ++corpus.empty;
      return;
    }
    if (bytes.find('\0') != std::string::npos) {
      ++corpus.binary;
      return;
    }
    Document document{path, 0, std::move(bytes), 0};
    document.hash = base::hash64(document.bytes);
    documents.push_back(std::move(document));
  }

  const CorpusOptions &options;
  Corpus &corpus;
  std::vector<Document> documents;
  std::set<std::pair<dev_t, ino_t>> visited;
};

bool before(const Document &a, const Document &b) {
  return std::tie(a.hash, a.bytes, a.path) < std::tie(b.hash, b.bytes, b.path);
}

/// Moves the end of the only document, from a line start on, to the held-out list.
void splitOnly(Corpus &corpus, double share) {
  Document &document = corpus.training.front();
  size_t size = document.bytes.size();
  size_t cut = size - size_t(double(size) * share);
  size_t line = document.bytes.rfind('\n', cut);
  if (line != std::string::npos && line + 1 > cut / 2)
    cut = line + 1;
  if (cut == 0 || cut >= size)
    return;
  Document end{document.path, int64_t(cut), document.bytes.substr(cut), 0};
  end.hash = base::hash64(end.bytes);
  document.bytes.resize(cut);
  document.hash = base::hash64(document.bytes);
  corpus.heldOut.push_back(std::move(end));
}

void split(std::vector<Document> documents, double share, Corpus &corpus) {
  // The hash decides, so a file stays on its side when others come or go.
  for (Document &document : documents) {
    bool out = double(base::mix(document.hash) >> 11) * 0x1p-53 < share;
    (out ? corpus.heldOut : corpus.training).push_back(std::move(document));
  }
  if (corpus.training.empty()) {
    corpus.training.push_back(std::move(corpus.heldOut.back()));
    corpus.heldOut.pop_back();
  }
  if (share <= 0 || !corpus.heldOut.empty())
    return;
  if (corpus.training.size() == 1)
    return splitOnly(corpus, share);
  corpus.heldOut.push_back(std::move(corpus.training.back()));
  corpus.training.pop_back();
}

int64_t bytesOf(const std::vector<Document> &documents) {
  int64_t bytes = 0;
  for (const Document &document : documents)
    bytes += int64_t(document.bytes.size());
  return bytes;
}

std::string megabytes(int64_t bytes) {
  return bytes < 1000 * 1000 ? text((bytes + 500) / 1000, " kB") : text((bytes + 500'000) / 1'000'000, " MB");
}

} // namespace

/// What is named is there, and a folder can be listed: below it, what cannot be read is left out.
static void checkPath(const std::string &path) {
  std::error_code error;
  fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found)
    throw Error(message<ErrorId::DataPathMissing>(path));
  if (fs::is_directory(status))
    fs::directory_iterator(path, error);
  if (error)
    throw Error(message<ErrorId::DataPathUnreadable>(path, error.message()));
}

void checkOptions(const CorpusOptions &options) {
  base::ErrorList errors;
  if (options.paths.empty())
    errors.add(message<ErrorId::DataMissing>());
  if (!(options.heldOut >= 0 && options.heldOut < 1))
    errors.add(message<ErrorId::HeldOutShare>(options.heldOut));
  for (const std::string &path : options.paths)
    errors.collect([&] { checkPath(path); });
  errors.raise();
}

Corpus readCorpus(const CorpusOptions &options) {
  checkOptions(options);
  Corpus corpus;
  std::vector<Document> documents = Reader(options, corpus).readAll();
  std::sort(documents.begin(), documents.end(), before);
  auto same = [](const Document &a, const Document &b) { return a.hash == b.hash && a.bytes == b.bytes; };
  auto unique = std::unique(documents.begin(), documents.end(), same);
  corpus.duplicates = documents.end() - unique;
  documents.erase(unique, documents.end());
  if (documents.empty())
    throw Error(message<ErrorId::DataEmpty>(corpus.summary(), options.include.empty()
                                                                  ? "name text files with --data"
                                                                  : "look at --data and --include"));
  split(std::move(documents), options.heldOut, corpus);
  return corpus;
}

uint64_t Corpus::fingerprint() const {
  uint64_t state = training.size();
  for (const std::vector<Document> *list : {&training, &heldOut})
    for (const Document &document : *list)
      state = base::mix(state ^ document.hash) + 0x9e3779b97f4a7c15ull;
  return state;
}

int64_t Corpus::bytes() const { return bytesOf(training) + bytesOf(heldOut); }

std::string Corpus::summary() const {
  std::string result = text(files, files == 1 ? " file" : " files");
  if (!training.empty())
    result += text(": ", training.size(), " documents to train on (", megabytes(bytesOf(training)), "), ",
                   heldOut.size(), " held out (", megabytes(bytesOf(heldOut)), ")");
  std::string skipped;
  auto count = [&](int64_t number, const char *what) {
    if (number > 0)
      skipped += text(skipped.empty() ? "" : ", ", number, ' ', what);
  };
  count(duplicates, "identical to others");
  count(empty, "empty");
  count(binary, "binary");
  count(unreadable, "unreadable");
  return skipped.empty() ? result : result + "; left out: " + skipped;
}

} // namespace contraflow::data
