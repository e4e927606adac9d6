//===- Inspect.h - what a run file or a trainer holds ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_DRIVER_INSPECT_H
#define CONTRAFLOW_COMPILER_DRIVER_INSPECT_H

#include "compiler/inspect/Report.h"

#include <string>
#include <vector>

namespace contraflow::driver {

/// What `contraflow inspect` shows, and where.
struct InspectOptions {
  inspect::ReportOptions report;
  /// One JSON document in place of text.
  bool json = false;
  /// The run file with every default filled in.
  bool run = false;
  /// Of a run file: what overrides keys.
  std::vector<std::string> assignments;
  /// Where pictures of memory and of the program go; empty for none.
  std::string svg;
  std::string programSvg;

  /// Whether parameters are not all that is asked for.
  bool needsPrograms() const {
    return report.memory || report.program || report.operations || !svg.empty() || !programSvg.empty();
  }
};

/// `contraflow inspect PATH`: a trainer, a checkpoint (InspectCheckpoint.h), or a run file or IR. Of the
/// latter parameters by block are known from the graph alone; where more is asked for it is compiled up to
/// the phase that knows, and never to code. Returns the exit status.
int inspectFile(const std::string &path, const InspectOptions &options);

/// Prints the run file that IR, a trainer or a checkpoint carries, as one that gives the same trainer.
void printRun(const std::string &run);

} // namespace contraflow::driver

#endif
