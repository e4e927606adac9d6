//===- MemoryMap.h - what lies where in the arena while a program runs ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   offset                          The arena of one program: what is kept from run to run lies in front and
//     |   [saved a ]                is there at every row, the rest is live from one row to another. `live`
//     of | [x][y    ][z]               a row is the sum of what holds something then; its maximum is the
//     peak, | [parameters  ]              and no plan has a smaller arena.
//     +--------------- row
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_INSPECT_MEMORYMAP_H
#define CONTRAFLOW_COMPILER_INSPECT_MEMORYMAP_H

#include "runtime/abi/Manifest.h"

#include <string>
#include <vector>

namespace contraflow::inspect {

/// "saved model.layers.1".
std::string getLabel(const abi::Buffer &buffer);

class MemoryMap {
public:
  /// Of a program that the manifest has; the manifest must stay alive.
  MemoryMap(const abi::Manifest &manifest, const std::string &program);

  const std::string &getProgram() const { return program; }
  const abi::Program &getRows() const { return *rows; }
  int64_t getNumRows() const { return int64_t(rows->size()); }
  const std::vector<abi::Buffer> &getBuffers() const { return *buffers; }
  int64_t getArenaBytes() const { return arenaBytes; }
  /// Where what is kept ends.
  int64_t getKeptEnd() const { return keptEnd; }

  /// Bytes that hold something, row by row, each buffer rounded up to 64.
  const std::vector<int64_t> &getLive() const { return live; }
  /// The first row of the most live bytes; 0 where there is none.
  int64_t getPeakRow() const { return peakRow; }
  int64_t getPeak() const { return live.empty() ? 0 : live[size_t(peakRow)]; }
  /// What is live in a row, the largest first.
  std::vector<abi::Buffer> getLiveBuffers(int64_t row) const;

private:
  std::string program;
  const abi::Program *rows;
  const std::vector<abi::Buffer> *buffers;
  std::vector<int64_t> live;
  int64_t arenaBytes = 0, keptEnd = 0, peakRow = 0;
};

/// "row 57, backward_input of model.layers.1".
std::string describeRow(const abi::Program &rows, int64_t row);

/// The peak and what it consists of.
std::string formatMemoryMap(const MemoryMap &map);

/// The map as an SVG document: rows to the right, offsets upwards.
std::string drawMemoryMap(const MemoryMap &map, const std::string &model);

} // namespace contraflow::inspect

#endif
