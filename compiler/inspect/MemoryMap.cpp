//===- MemoryMap.cpp - what lies where in the arena while a program runs --===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/MemoryMap.h"

#include "compiler/inspect/Text.h"
#include "runtime/abi/MemoryNeed.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

namespace contraflow::inspect {

/// Buffers of the peak that are listed; the others are added up.
static constexpr size_t kMostLines = 12;

std::string getLabel(const abi::Buffer &buffer) {
  return buffer.name.empty() || buffer.name == buffer.kind ? buffer.kind : buffer.kind + " " + buffer.name;
}

MemoryMap::MemoryMap(const abi::Manifest &manifest, const std::string &program)
    : program(program), rows(manifest.findProgram(program)), buffers(&manifest.findMemory(program)),
      live(abi::liveBytes(*buffers, getNumRows())), arenaBytes(manifest.arenaBytes) {
  for (const abi::Buffer &buffer : *buffers)
    if (buffer.persistent)
      keptEnd = std::max<int64_t>(keptEnd, buffer.offset + llvm::alignTo(buffer.bytes, 64));
  if (!live.empty())
    peakRow = std::max_element(live.begin(), live.end()) - live.begin();
}

std::vector<abi::Buffer> MemoryMap::getLiveBuffers(int64_t row) const {
  std::vector<abi::Buffer> result;
  llvm::copy_if(*buffers, std::back_inserter(result), [&](const abi::Buffer &buffer) {
    return buffer.first <= row && row <= buffer.last && buffer.bytes > 0;
  });
  llvm::stable_sort(result, [](const abi::Buffer &a, const abi::Buffer &b) { return a.bytes > b.bytes; });
  return result;
}

std::string describeRow(const abi::Program &rows, int64_t row) {
  const abi::Row &found = rows[size_t(row)];
  std::string text = "row " + group(row) + ", " + found.direction;
  if (!found.layer.empty())
    text += " of " + found.layer;
  return found.microBatch >= 0 ? text + ", micro-batch " + group(found.microBatch) : text;
}

std::string formatMemoryMap(const MemoryMap &map) {
  std::string text = "\nmemory of program '" + map.getProgram() + "'";
  if (!map.getNumRows())
    return text + ": it has no rows\n";
  text += ": most bytes are live at " + describeRow(map.getRows(), map.getPeakRow()) + "\n";
  text += llvm::formatv("{0,20} {1,20} {2,7}  {3,-17} {4}\n", "offset", "bytes", "share", "rows", "buffer");
  int64_t peak = map.getPeak(), rest = 0;
  auto print = [&](const std::string &offset, int64_t bytes, const std::string &rows,
                   const std::string &name) {
    text += llvm::formatv("{0,20} {1,20} {2,6:F1}%  {3,-17} {4}\n", offset, group(bytes),
                          getPercent(double(bytes), double(peak)), rows, name);
  };
  std::vector<abi::Buffer> buffers = map.getLiveBuffers(map.getPeakRow());
  for (auto [index, buffer] : llvm::enumerate(buffers)) {
    if (index >= kMostLines)
      rest += buffer.bytes;
    else
      print(group(buffer.offset), buffer.bytes,
            buffer.persistent ? "kept" : group(buffer.first) + " to " + group(buffer.last), getLabel(buffer));
  }
  if (buffers.size() > kMostLines)
    print("", rest, "", "smaller ones, " + group(int64_t(buffers.size() - kMostLines)));
  print("", peak, "", "live at the peak, each rounded up to 64");
  return text;
}

} // namespace contraflow::inspect
