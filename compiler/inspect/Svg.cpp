//===- Svg.cpp - pictures as text ------------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/inspect/Svg.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace contraflow::inspect {
namespace {

/// Width of an average character of a sans-serif font, as a part of its size; the widest fonts of common
/// systems stay below.
constexpr double kCharacterWidth = 0.62;

/// Distinct for people who see colors differently as well; light enough for black text. The last are greys.
constexpr const char *kLight[] = {"#8dd3c7", "#fdb462", "#80b1d3", "#fb8072", "#b3de69",
                                  "#bebada", "#ffed6f", "#fccde5", "#bc80bd", "#ccebc5",
                                  "#d9a066", "#9ecae1", "#e6c3a1", "#c7c7c7"};
constexpr const char *kStrong[] = {"#5b9bd5", "#f28e2b", "#e15759", "#59a14f",
                                   "#edc948", "#b07aa1", "#76b7b2", "#9a9a9a"};

std::string number(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.2f", value);
  return text;
}

/// Text as XML wants it; what XML cannot say at all becomes a question mark.
std::string escape(const std::string &text) {
  std::string result;
  for (char c : text)
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? '?' : c;
    }
  return result;
}

std::string attribute(const char *name, double value) {
  return std::string(" ") + name + "=\"" + number(value) + "\"";
}

std::string place(const Rect &rect) {
  return attribute("x", rect.x) + attribute("y", rect.y) + attribute("width", rect.width) +
         attribute("height", rect.height);
}

} // namespace

Svg::Svg(double width, double height) : width(width), height(height) {
  rect({0, 0, width, height}, "#ffffff");
}

void Svg::rect(const Rect &rect, const std::string &fill, const std::string &title) {
  body += "<rect" + place(rect) + " fill=\"" + fill + "\"";
  body += title.empty() ? "/>\n" : "><title>" + escape(title) + "</title></rect>\n";
}

double Svg::legend(double x, double y, const std::string &fill, const std::string &text) {
  rect({x, y - 10, 14, 12}, fill);
  this->text(x + 20, y, text, Anchor::Start, 11);
  return y + 18;
}

void Svg::frame(const Rect &rect) {
  body += "<rect" + place(rect) + " fill=\"none\" stroke=\"#444444\" stroke-width=\"1\"/>\n";
}

void Svg::line(double x1, double y1, double x2, double y2, bool dashed) {
  body += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) + attribute("y2", y2) +
          " stroke=\"#444444\"" + (dashed ? " stroke-dasharray=\"4 3\"" : "") + "/>\n";
}

void Svg::polyline(const std::vector<std::pair<double, double>> &points) {
  body += "<polyline fill=\"none\" stroke=\"#202020\" stroke-width=\"1.2\" points=\"";
  for (auto [x, y] : points)
    body += number(x) + "," + number(y) + " ";
  body += "\"/>\n";
}

void Svg::text(double x, double y, const std::string &text, Anchor anchor, double size) {
  constexpr const char *kAnchors[] = {"start", "middle", "end"};
  body += "<text" + attribute("x", x) + attribute("y", y) + " font-size=\"" + number(size) + "\"";
  if (anchor != Anchor::Start)
    body += std::string(" text-anchor=\"") + kAnchors[int(anchor)] + "\"";
  body += ">" + escape(text) + "</text>\n";
}

void Svg::label(const Rect &rect, const std::string &text) {
  constexpr double kSize = 10;
  if (rect.height >= kSize + 2 && rect.width >= getTextWidth(text, kSize) + 4)
    this->text(rect.x + rect.width / 2, rect.y + rect.height / 2 + kSize * 0.36, text, Anchor::Middle, kSize);
}

std::string Svg::str() const {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
         number(width) + "\" height=\"" + number(height) + "\" viewBox=\"0 0 " + number(width) + " " +
         number(height) + "\" font-family=\"sans-serif\" fill=\"#202020\">\n" + body + "</svg>\n";
}

double getTextWidth(const std::string &text, double size) {
  return double(text.size()) * size * kCharacterWidth;
}

static llvm::ArrayRef<const char *> getColors(Tone tone) {
  return tone == Tone::Light ? llvm::ArrayRef<const char *>(kLight) : llvm::ArrayRef<const char *>(kStrong);
}

std::string Palette::getColor(const std::string &name) {
  llvm::ArrayRef<const char *> colors = getColors(tone);
  auto found = llvm::find(names, name);
  size_t index = size_t(found - names.begin());
  if (found == names.end())
    names.push_back(name);
  return colors[std::min(index, colors.size() - 1)];
}

std::vector<std::string> Palette::getLegend() const {
  size_t most = getColors(tone).size();
  std::vector<std::string> legend(names.begin(), names.begin() + ptrdiff_t(std::min(names.size(), most)));
  if (names.size() > most)
    legend.back() = "others";
  return legend;
}

static std::vector<int64_t> getMultiples(int64_t step, int64_t end) {
  std::vector<int64_t> ticks;
  for (int64_t tick = 0; tick <= end; tick += step)
    ticks.push_back(tick);
  return ticks;
}

std::vector<int64_t> getTicks(int64_t end, int most) {
  for (int64_t power = 1;; power *= 10)
    for (int64_t step : {power, 2 * power, 5 * power})
      if (end / step < most)
        return getMultiples(step, end);
}

std::vector<int64_t> getByteTicks(int64_t end, int most) {
  int64_t step = 1;
  while (end / step >= most)
    step *= 2;
  return getMultiples(step, end);
}

} // namespace contraflow::inspect
