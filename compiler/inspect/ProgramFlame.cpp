//===- ProgramFlame.cpp - where the work of a program is ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/ProgramFlame.h"

#include "compiler/inspect/Svg.h"
#include "compiler/inspect/Text.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace contraflow::inspect {

//===----------------------------------------------------------------------===//
// The tree
//===----------------------------------------------------------------------===//

/// backward_input and backward_weight of a micro-batch belong together.
static std::string getPassName(const abi::Row &row) {
  std::string name = llvm::StringRef(row.direction).split('_').first.str();
  return row.microBatch < 0 ? name : name + " " + std::to_string(row.microBatch);
}

/// The last child if it has this name, else a new one.
static FlameNode &getChild(FlameNode &parent, const std::string &name, const std::string &kind) {
  if (parent.children.empty() || parent.children.back().name != name)
    parent.children.push_back({name, kind, {}, {}});
  return parent.children.back();
}

FlameNode buildFlame(const abi::Manifest &manifest, const std::string &program) {
  FlameNode root = {"program '" + program + "'", "", {}, {}};
  llvm::StringMap<FunctionCost> functions;
  for (FunctionCost &function : getCosts(manifest, program))
    functions[function.function] = function;
  static const abi::Program kNone;
  const abi::Program *rows = manifest.findProgram(program);
  for (const abi::Row &row : rows ? *rows : kNone) {
    // Messages cost no operations.
    if (!row.isCall())
      continue;
    const FunctionCost &function = functions[manifest.functions[size_t(row.function)]];
    FlameNode &pass = getChild(root, getPassName(row), row.direction);
    FlameNode &layer = getChild(pass, row.layer, row.direction);
    FlameNode call = {function.function, row.direction, function.cost, {}};
    for (const OperationCost &operation : function.operations)
      call.children.push_back({operation.getLabel(), operation.op, operation.cost, {}});
    for (FlameNode *node : {&root, &pass, &layer})
      node->cost += function.cost;
    layer.children.push_back(std::move(call));
  }
  return root;
}

//===----------------------------------------------------------------------===//
// The picture
//===----------------------------------------------------------------------===//

namespace {

constexpr double kWidth = 1440, kLeft = 24, kPlotWidth = 1180, kLegendX = 1228, kRowHeight = 26;
constexpr int kLevels = 5;
/// What is narrower is left out: it would not be seen.
constexpr double kLeastWidth = 0.4;

class Picture {
public:
  explicit Picture(const FlameNode &root) : root(root), svg(kWidth, 560) {
    collectKinds(root);
    for (const std::string &kind : sortKinds(directions))
      directionColors.getColor(kind);
    for (const std::string &kind : sortKinds(operations))
      operationColors.getColor(kind);
  }

  std::string draw(const std::string &model) {
    svg.text(kLeft, 30, "Work of " + root.name + ", model '" + model + "'", Anchor::Start, 18);
    svg.text(kLeft, 52,
             llvm::formatv("{0}, {1} read and written if nothing stays in a cache, {2:F2} flops a byte",
                           formatFlops(root.cost.flops), formatBytes(root.cost.getBytes()),
                           root.cost.getIntensity())
                 .str());
    svg.text(kLeft, 90, "width: floating-point operations", Anchor::Start, 13);
    drawNode(root, kLeft, kPlotWidth, 100, 0, /*byFlops=*/true);
    svg.text(kLeft, 290, "width: bytes read and written", Anchor::Start, 13);
    drawNode(root, kLeft, kPlotWidth, 300, 0, /*byFlops=*/false);
    svg.text(kLeft, 480,
             "From top to bottom: program, micro-batch, layer, function, operation; from left to right: "
             "time. What is "
             "too narrow to be seen is left out.",
             Anchor::Start, 11);
    drawLegend();
    return svg.str();
  }

private:
  static bool isOperation(int level) { return level == kLevels - 1; }

  void collectKinds(const FlameNode &node, int level = 0) {
    if (level > 0)
      (isOperation(level) ? operations : directions)[node.kind] += node.cost;
    for (const FlameNode &child : node.children)
      collectKinds(child, level + 1);
  }

  /// The kinds of the most flops first, so that they get colors of their own.
  static std::vector<std::string> sortKinds(const llvm::StringMap<Cost> &kinds) {
    std::vector<std::pair<double, std::string>> sorted;
    for (const auto &kind : kinds)
      sorted.push_back({-kind.second.flops, kind.first().str()});
    llvm::sort(sorted);
    std::vector<std::string> names;
    for (const auto &[flops, name] : sorted)
      names.push_back(name);
    return names;
  }

  std::string describe(const FlameNode &node) const {
    return llvm::formatv("{0}\n{1} ({2:F2} %)\n{3} read, {4} written ({5:F2} %)", node.name,
                         formatFlops(node.cost.flops), getPercent(node.cost.flops, root.cost.flops),
                         formatBytes(node.cost.bytesRead), formatBytes(node.cost.bytesWritten),
                         getPercent(double(node.cost.getBytes()), double(root.cost.getBytes())))
        .str();
  }

  void drawNode(const FlameNode &node, double x, double width, double y, int level, bool byFlops) {
    if (width < kLeastWidth)
      return;
    Rect rect = {x, y, width > 3 ? width - 0.5 : width, kRowHeight - 1};
    std::string color = level == 0           ? "#dddddd"
                        : isOperation(level) ? operationColors.getColor(node.kind)
                                             : directionColors.getColor(node.kind);
    svg.rect(rect, color, describe(node));
    svg.label(rect, node.name);
    auto getWork = [&](const FlameNode &node) {
      return byFlops ? node.cost.flops : double(node.cost.getBytes());
    };
    double whole = getWork(node);
    for (const FlameNode &child : node.children) {
      double share = whole > 0 ? getWork(child) / whole : 0;
      drawNode(child, x, width * share, y + kRowHeight, level + 1, byFlops);
      x += width * share;
    }
  }

  void drawLegend() {
    double y = 90;
    svg.text(kLegendX, y, "directions");
    y += 20;
    for (const std::string &name : directionColors.getLegend())
      y = svg.legend(kLegendX, y, directionColors.getColor(name), name);
    y += 12;
    svg.text(kLegendX, y, "operations");
    y += 20;
    for (const std::string &name : operationColors.getLegend())
      y = svg.legend(kLegendX, y, operationColors.getColor(name), name);
  }

  const FlameNode &root;
  Svg svg;
  llvm::StringMap<Cost> directions, operations;
  Palette directionColors{Tone::Strong}, operationColors{Tone::Light};
};

} // namespace

std::string drawFlame(const FlameNode &root, const std::string &model) { return Picture(root).draw(model); }

} // namespace contraflow::inspect
