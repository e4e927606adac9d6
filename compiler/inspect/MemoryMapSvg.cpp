//===- MemoryMapSvg.cpp - the memory map of a program as a picture --------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   +------+      +--------------------------------+  legend
//   |      |------|  what lives in the program,    |
//   | all  |      |  one rectangle a buffer        |
//   | of   |    --|                                |
//   | the  |---/  +--------------------------------+
//   | arena|      [ directions of the rows ]
//   +------+       0       row of the program
//
// The bar on the left is the whole arena to scale; the part that is not kept from run to run is drawn large
// beside it. A program may have tens of thousands of buffers: the largest are rectangles with a name, the
// others are drawn together on a grid of pixels.
//===----------------------------------------------------------------------===//
#include "compiler/inspect/MemoryMap.h"
#include "compiler/inspect/Svg.h"
#include "compiler/inspect/Text.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace contraflow::inspect {
namespace {

/// Rectangles with a name of their own: not more than these (a document of that many has about a megabyte),
/// and none that is narrower.
constexpr size_t kMostNamed = 4000;
constexpr double kLeastWidth = 1;
/// The grid for the others, in pixels.
constexpr double kCell = 2;

constexpr double kWidth = 1440, kTop = 76, kHeight = 620, kStripHeight = 16;
constexpr Rect kBar = {96, kTop, 100, kHeight};
/// Where the lines from the bar to what is drawn large end: left of its axis.
constexpr double kZoomX = 226;
constexpr Rect kMap = {320, kTop, 820, kHeight};
constexpr double kLegendX = 1172;
constexpr double kBottom = kTop + kHeight;

class Picture {
public:
  Picture(const MemoryMap &map, const std::string &model)
      : map(map), model(model), svg(kWidth, kBottom + 90),
        base(std::min(map.getKeptEnd(), map.getArenaBytes())),
        span(std::max<int64_t>(map.getArenaBytes() - base, 1)) {
    for (const abi::Buffer &buffer : map.getBuffers())
      palette.getColor(buffer.kind);
  }

  std::string draw() {
    drawTitle();
    drawArena();
    drawBuffers();
    drawLive();
    drawDirections();
    drawLegend();
    return svg.str();
  }

private:
  double xOf(int64_t row) const {
    return kMap.x + kMap.width * double(row) / double(std::max<int64_t>(map.getNumRows(), 1));
  }
  double yOf(int64_t offset) const { return kBottom - kHeight * double(offset - base) / double(span); }
  static double yInBar(int64_t offset, int64_t arena) {
    return kBottom - kHeight * double(offset) / double(std::max<int64_t>(arena, 1));
  }

  /// The row after the last; what is read after the program lives to its end.
  int64_t getEnd(const abi::Buffer &buffer) const { return std::min(buffer.last + 1, map.getNumRows()); }

  Rect getRect(const abi::Buffer &buffer) const {
    double x = xOf(buffer.first), y = yOf(buffer.offset + buffer.bytes);
    return {x, y, xOf(getEnd(buffer)) - x, yOf(buffer.offset) - y};
  }

  static std::string describe(const abi::Buffer &buffer) {
    std::string text = getLabel(buffer) + "\n" + formatBytes(buffer.bytes) + " at " + group(buffer.offset);
    return buffer.persistent ? text + ", kept from run to run"
                             : text + ", rows " + group(buffer.first) + " to " + group(buffer.last);
  }

  void drawTitle() {
    svg.text(24, 30, "Memory of program '" + map.getProgram() + "', model '" + model + "'", Anchor::Start,
             18);
    std::string text = "arena " + formatBytes(map.getArenaBytes()) + ", of which " + formatBytes(base) +
                       " are kept from run to run; most live bytes " + formatBytes(map.getPeak());
    if (map.getNumRows())
      text += " at " + describeRow(map.getRows(), map.getPeakRow());
    svg.text(24, 52, text);
  }

  void drawArena() {
    int64_t arena = map.getArenaBytes();
    for (const abi::Buffer &buffer : map.getBuffers()) {
      if (!buffer.persistent)
        continue;
      double y = yInBar(buffer.offset + buffer.bytes, arena);
      Rect rect = {kBar.x, y, kBar.width, yInBar(buffer.offset, arena) - y};
      svg.rect(rect, palette.getColor(buffer.kind), describe(buffer));
      svg.label(rect, buffer.kind);
    }
    double top = yInBar(arena, arena), bottom = yInBar(base, arena);
    svg.label({kBar.x, top, kBar.width, bottom - top}, "program");
    svg.frame(kBar);
    // The part that is drawn large.
    svg.line(kBar.x + kBar.width, top, kZoomX, kTop, /*dashed=*/true);
    svg.line(kBar.x + kBar.width, bottom, kZoomX, kBottom, /*dashed=*/true);
    svg.line(kZoomX, kTop, kZoomX, kBottom, /*dashed=*/true);
    for (int64_t tick : getByteTicks(arena, 9)) {
      double y = yInBar(tick, arena);
      svg.line(kBar.x - 5, y, kBar.x, y);
      svg.text(kBar.x - 8, y + 4, formatBytes(tick), Anchor::End, 11);
    }
    svg.text(kBar.x + kBar.width / 2, kBottom + 18, "whole arena", Anchor::Middle);
    for (int64_t tick : getByteTicks(span, 9)) {
      double y = yOf(base + tick);
      svg.line(kMap.x - 5, y, kMap.x, y);
      svg.text(kMap.x - 8, y + 4, "+ " + formatBytes(tick), Anchor::End, 11);
    }
  }

  void drawBuffers() {
    std::vector<const abi::Buffer *> buffers;
    for (const abi::Buffer &buffer : map.getBuffers())
      if (!buffer.persistent && buffer.bytes > 0 && buffer.first < getEnd(buffer))
        buffers.push_back(&buffer);
    auto area = [&](const abi::Buffer *buffer) {
      return double(buffer->bytes) * double(getEnd(*buffer) - buffer->first);
    };
    llvm::stable_sort(buffers, [&](const abi::Buffer *a, const abi::Buffer *b) { return area(a) > area(b); });
    std::vector<const abi::Buffer *> named, others;
    for (const abi::Buffer *buffer : buffers)
      (named.size() < kMostNamed && getRect(*buffer).width >= kLeastWidth ? named : others).push_back(buffer);
    together = others.size();
    drawTogether(others);
    for (const abi::Buffer *buffer : named) {
      Rect rect = getRect(*buffer);
      // A gap between neighbours, where there is room for one.
      Rect inside = rect;
      inside.width -= rect.width > 3 ? 0.5 : 0;
      inside.height -= rect.height > 3 ? 0.5 : 0;
      svg.rect(inside, palette.getColor(buffer->kind), describe(*buffer));
      svg.label(inside, buffer->name.empty() ? buffer->kind : buffer->name);
    }
    svg.frame(kMap);
  }

  /// Gives each cell of the grid that some of the buffers touch the color of the largest of them; cells of
  /// one color side by side are one rectangle. The buffers come with the largest first.
  void drawTogether(llvm::ArrayRef<const abi::Buffer *> buffers) {
    if (buffers.empty())
      return;
    const int columns = int(kMap.width / kCell), lines = int(kMap.height / kCell);
    std::vector<const abi::Buffer *> grid(size_t(columns) * size_t(lines));
    auto clamp = [](double value, int most) {
      return std::clamp(int(std::floor(value / kCell)), 0, most - 1);
    };
    for (const abi::Buffer *buffer : llvm::reverse(buffers)) {
      Rect rect = getRect(*buffer);
      int left = clamp(rect.x - kMap.x, columns), right = clamp(rect.x + rect.width - kMap.x - 1e-6, columns);
      int top = clamp(rect.y - kTop, lines), bottom = clamp(rect.y + rect.height - kTop - 1e-6, lines);
      for (int y = top; y <= bottom; ++y)
        for (int x = left; x <= right; ++x)
          grid[size_t(y) * size_t(columns) + size_t(x)] = buffer;
    }
    for (int y = 0; y < lines; ++y)
      for (int begin = 0, end = 0; begin < columns; begin = end) {
        const abi::Buffer *const *line = &grid[size_t(y) * size_t(columns)];
        for (end = begin + 1; end < columns && isSameColor(line[begin], line[end]);)
          ++end;
        if (line[begin])
          svg.rect({kMap.x + begin * kCell, kTop + y * kCell, (end - begin) * kCell, kCell},
                   palette.getColor(line[begin]->kind));
      }
  }

  static bool isSameColor(const abi::Buffer *a, const abi::Buffer *b) {
    return a == b || (a && b && a->kind == b->kind);
  }

  /// The sum of what is live, as if it lay at the lowest addresses, and where it is largest.
  void drawLive() {
    if (!map.getNumRows())
      return;
    std::vector<std::pair<double, double>> points;
    // Of many rows, the largest of those that share four pixels.
    int64_t rows = map.getNumRows();
    int64_t columns = rows <= int64_t(kMap.width) ? rows : int64_t(kMap.width) / 4;
    for (int64_t column = 0; column < columns; ++column) {
      int64_t begin = column * rows / columns, end = (column + 1) * rows / columns;
      int64_t most = *std::max_element(map.getLive().begin() + begin, map.getLive().begin() + end);
      double y = std::clamp(yOf(most), kTop, kBottom);
      points.push_back({xOf(begin), y});
      points.push_back({xOf(end), y});
    }
    svg.polyline(points);
    double x = (xOf(map.getPeakRow()) + xOf(map.getPeakRow() + 1)) / 2;
    svg.line(x, kTop - 4, x, kBottom, /*dashed=*/true);
    svg.text(x, kTop - 8, "peak", Anchor::Middle, 11);
  }

  /// That of most rows of a column of pixels.
  std::string getDirection(int64_t column, int64_t columns) const {
    std::map<std::string, int64_t> counts;
    for (int64_t row = column * map.getNumRows() / columns; row < (column + 1) * map.getNumRows() / columns;
         ++row)
      ++counts[map.getRows()[size_t(row)].direction];
    auto most = std::max_element(counts.begin(), counts.end(),
                                 [](const auto &a, const auto &b) { return a.second < b.second; });
    return most->first;
  }

  void drawDirections() {
    for (const abi::Row &row : map.getRows())
      directions.getColor(row.direction);
    double y = kBottom + 4;
    int64_t rows = map.getNumRows(), columns = std::min<int64_t>(rows, int64_t(kMap.width));
    for (int64_t begin = 0, end = 0; begin < columns; begin = end) {
      std::string direction = getDirection(begin, columns);
      for (end = begin + 1; end < columns && getDirection(end, columns) == direction;)
        ++end;
      double left = xOf(begin * rows / columns);
      Rect rect = {left, y, xOf(end * rows / columns) - left, kStripHeight};
      svg.rect(rect, directions.getColor(direction), direction);
      svg.label(rect, direction);
    }
    double axis = y + kStripHeight;
    for (int64_t tick : getTicks(map.getNumRows(), 11)) {
      svg.line(xOf(tick), axis, xOf(tick), axis + 5);
      svg.text(xOf(tick), axis + 18, group(tick), Anchor::Middle, 11);
    }
    svg.text(kMap.x + kMap.width / 2, axis + 38, "row of the program (time)", Anchor::Middle);
  }

  void drawLegend() {
    std::map<std::string, int64_t> bytes;
    for (const abi::Buffer &buffer : map.getBuffers())
      if (buffer.first <= map.getPeakRow() && map.getPeakRow() <= buffer.last)
        bytes[buffer.kind] += buffer.bytes;
    double y = kTop + 10;
    svg.text(kLegendX, y, "buffers, and their bytes at the peak");
    y += 22;
    for (const std::string &kind : palette.getLegend())
      y = svg.legend(kLegendX, y, palette.getColor(kind), kind + ": " + formatBytes(bytes[kind]));
    svg.line(kLegendX, y - 4, kLegendX + 14, y - 4);
    svg.text(kLegendX + 20, y, "live bytes of a row", Anchor::Start, 11);
    y += 18;
    if (together)
      svg.text(kLegendX, y, group(int64_t(together)) + " smaller buffers without names", Anchor::Start, 11);
    y += 30;
    svg.text(kLegendX, y, "rows by direction");
    y += 22;
    for (const std::string &direction : directions.getLegend())
      y = svg.legend(kLegendX, y, directions.getColor(direction), direction);
  }

  const MemoryMap &map;
  const std::string &model;
  Svg svg;
  Palette palette{Tone::Light}, directions{Tone::Strong};
  /// The offset at the bottom of the map, and the bytes that its height stands for.
  int64_t base, span;
  size_t together = 0;
};

} // namespace

std::string drawMemoryMap(const MemoryMap &map, const std::string &model) {
  return Picture(map, model).draw();
}

} // namespace contraflow::inspect
