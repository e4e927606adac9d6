//===- Svg.h - pictures as text --------------------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Coordinates are pixels from the top left corner, written with two decimals, so that the same picture has
// the same bytes everywhere.
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_INSPECT_SVG_H
#define CONTRAFLOW_COMPILER_INSPECT_SVG_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace contraflow::inspect {

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
};

enum class Anchor { Start, Middle, End };

class Svg {
public:
  Svg(double width, double height);

  /// `title` is shown where the pointer is; "" for none.
  void rect(const Rect &rect, const std::string &fill, const std::string &title = "");
  /// A color field with a text to its right; returns where the next one goes.
  double legend(double x, double y, const std::string &fill, const std::string &text);
  /// Only the outline.
  void frame(const Rect &rect);
  void line(double x1, double y1, double x2, double y2, bool dashed = false);
  /// Through points (x, y).
  void polyline(const std::vector<std::pair<double, double>> &points);
  void text(double x, double y, const std::string &text, Anchor anchor = Anchor::Start, double size = 12);
  /// `text` in the middle of `rect`, if it fits.
  void label(const Rect &rect, const std::string &text);

  /// The whole document.
  std::string str() const;

private:
  double width, height;
  std::string body;
};

/// An upper estimate of the width of a text.
double getTextWidth(const std::string &text, double size = 12);

/// Two sets of colors that are not taken for each other.
enum class Tone { Light, Strong };

/// Colors for names, in the order in which they are asked for; names beyond the last color share it.
class Palette {
public:
  explicit Palette(Tone tone) : tone(tone) {}
  std::string getColor(const std::string &name);
  /// Names with a color of their own, then "others" for those that share the last one.
  std::vector<std::string> getLegend() const;

private:
  Tone tone;
  std::vector<std::string> names;
};

/// Places for at most `most` ticks from 0 to `end`, at multiples of 1, 2 or 5 times a power of ten.
std::vector<int64_t> getTicks(int64_t end, int most);
/// The same at multiples of a power of two.
std::vector<int64_t> getByteTicks(int64_t end, int most);

} // namespace contraflow::inspect

#endif
