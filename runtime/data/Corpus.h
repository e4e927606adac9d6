//===- Corpus.h - text files as documents ---------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_RUNTIME_DATA_CORPUS_H
#define CONTRAFLOW_RUNTIME_DATA_CORPUS_H

#include <cstdint>
#include <string>
#include <vector>

namespace contraflow::data {

struct Document {
  /// Where it was found first, for messages.
  std::string path;
  /// Byte of the file at which the document begins.
  int64_t start = 0;
  std::string bytes;
  uint64_t hash = 0;
};

struct CorpusOptions {
  /// Files and directories; directories are searched with all that is below them.
  std::vector<std::string> paths;
  /// Shell patterns for file names below directories, "*.h"; none: every file. Files named in `paths` are
  /// always read.
  std::vector<std::string> include;
  /// The share of documents that is kept for validation, 0 to 1.
  double heldOut = 0.05;
};

/// Documents in an order that depends on their contents only: a copy of the same files elsewhere trains the
/// same.
struct Corpus {
  std::vector<Document> training;
  std::vector<Document> heldOut;

  // What was left out, for the summary.
  int64_t files = 0;
  int64_t duplicates = 0;
  int64_t empty = 0;
  int64_t binary = 0;
  int64_t unreadable = 0;

  /// Identifies the two lists; a checkpoint remembers it.
  uint64_t fingerprint() const;
  /// Of all documents.
  int64_t bytes() const;
  /// One line for people.
  std::string summary() const;
};

/// Says what of the options alone is wrong, before anything is read. Throws base::Error.
void checkOptions(const CorpusOptions &options);

/// Checks the options and reads all files. Identical files count once; files with a zero byte are binary and
/// skipped, as are unreadable files below directories. Whole files are held out, chosen by the hash of their
/// content; where there is only one file, its end is held out. Throws base::Error when a path does not exist
/// or nothing remains.
Corpus readCorpus(const CorpusOptions &options);

} // namespace contraflow::data

#endif
