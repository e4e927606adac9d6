#!/usr/bin/env python3
"""Checks a picture that `contraflow inspect` drew: it is XML of a size that browsers like, nothing lies outside, no two
texts overlap, and another renderer (rsvg-convert) paints the rectangles where they should be and in their colors.

usage: check_svg.py PICTURE.svg RECTANGLES    RECTANGLES with a title are wanted at least
"""
import pathlib
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np

NAMESPACE = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 3 << 20
# Of common sans-serif fonts, as a part of their size.
CHARACTER_WIDTH = 0.55


def number(element, name):
    return float(element.get(name, "0"))


def box(element):
    """Left, top, right, bottom of a rect or text."""
    x, y = number(element, "x"), number(element, "y")
    if element.tag == NAMESPACE + "rect":
        return x, y, x + number(element, "width"), y + number(element, "height")
    size = number(element, "font-size")
    width = len(element.text) * size * CHARACTER_WIDTH
    left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor", "start")]
    return left, y - 0.75 * size, left + width, y + 0.2 * size


def segments(element):
    """Of a line or polyline, with a margin for their width, as boxes; slanted ones become larger boxes."""
    if element.tag == NAMESPACE + "line":
        points = [(number(element, "x1"), number(element, "y1")), (number(element, "x2"), number(element, "y2"))]
    else:
        points = [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]
    for (x1, y1), (x2, y2) in zip(points, points[1:]):
        yield min(x1, x2) - 2, min(y1, y2) - 2, max(x1, x2) + 2, max(y1, y2) + 2


def holds(area, x, y, margin=0.0):
    return area[0] - margin <= x <= area[2] + margin and area[1] - margin <= y <= area[3] + margin


def unfilter(kind, line, above, channels):
    """A line of a PNG as it was before its filter, given the one above (PNG specification, section 9)."""
    if kind == 0:
        return list(line)
    if kind == 2:
        return [(value + up) & 255 for value, up in zip(line, above)]
    result = [0] * channels  # a zero pixel to the left
    corners = [0] * channels + above
    for value, up, corner, at in zip(line, above, corners, range(len(line))):
        left = result[at]
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) >> 1
        else:
            a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            guess = left if a <= b and a <= c else up if b <= c else corner
        result.append((value + guess) & 255)
    return result[channels:]


def read_png(data):
    """Pixels [height, width, channels] of what rsvg-convert writes: RGB or RGBA, 8 bits, not interlaced."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and color in (2, 6) and interlaced == 0
            channels = {2: 3, 6: 4}[color]
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    data, stride = zlib.decompress(packed), channels * width
    lines, above = [], [0] * stride
    for y in range(height):
        start = y * (stride + 1)
        above = unfilter(data[start], data[start + 1:start + 1 + stride], above, channels)
        lines.append(above)
    return np.array(lines, np.uint8).reshape(height, width, channels)


def check_layout(root):
    width, height = number(root, "width"), number(root, "height")
    texts = [element for element in root.iter(NAMESPACE + "text")]
    for element in list(root.iter(NAMESPACE + "rect")) + texts:
        left, top, right, bottom = box(element)
        if left < -0.01 or top < -0.01 or right > width + 0.01 or bottom > height + 0.01:
            sys.exit(f"check_svg: outside the picture: {ElementTree.tostring(element).decode()}")
    boxes = sorted((box(element), element.text) for element in texts)
    for index, ((_, top, right, bottom), text) in enumerate(boxes):
        for (left, other_top, _, other_bottom), other in boxes[index + 1:]:
            if left >= right:
                break
            if other_top < bottom and top < other_bottom:
                sys.exit(f"check_svg: the texts '{text}' and '{other}' overlap")


def check_colors(root, pixels):
    """Looks at a point of each rectangle that nothing is painted over; returns how many there are."""
    elements = list(root)
    later, seen = [], 0
    for element in reversed(elements):
        if element.tag == NAMESPACE + "text":
            later.append(box(element))
        elif element.tag in (NAMESPACE + "line", NAMESPACE + "polyline"):
            later += segments(element)
        else:
            area = box(element)
            frame = element.get("fill") == "none"
            x, y = area[0] + 2, area[1] + 2
            titled = element.find(NAMESPACE + "title") is not None
            if titled and area[2] - area[0] >= 4 and area[3] - area[1] >= 4 and \
                    not any(holds(other, x, y, 1.5) for other in later):
                wanted = tuple(int(element.get("fill")[i:i + 2], 16) for i in (1, 3, 5))
                found = tuple(pixels[int(y), int(x), :3])
                if found != wanted:
                    sys.exit(f"check_svg: found the color {found} at {x}, {y}, wanted {wanted}")
                seen += 1
            if not frame:
                later.append(area)
    return seen


def main():
    path, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"check_svg: {path} has {path.stat().st_size} bytes, wanted at most {MOST_BYTES}")
    root = ElementTree.parse(path).getroot()
    titled = sum(1 for rect in root.iter(NAMESPACE + "rect") if rect.find(NAMESPACE + "title") is not None)
    if titled < wanted:
        sys.exit(f"check_svg: {titled} rectangles have a title, wanted at least {wanted}")
    check_layout(root)
    png = subprocess.run(["rsvg-convert", path], check=True, stdout=subprocess.PIPE).stdout
    seen = check_colors(root, read_png(png))
    if seen < min(wanted, 10):
        sys.exit(f"check_svg: only {seen} rectangles can be seen")
    print(f"{titled} rectangles, {seen} of them seen")


if __name__ == "__main__":
    main()
