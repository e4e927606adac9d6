#!/usr/bin/env python3
"""Sizes that keep a file readable: sources, headers, tables, tests, functions, lines; tools only register and call."""
import re

from common import ROOT, finish, tracked, where

LIMITS = {".cpp": 800, ".h": 400, ".td": 700, ".mlir": 500, ".py": 400}
COLUMNS = 120
TOOL = 50
# 60 lines are a screen; the rest is for tables, which are read entry by entry (tests may hold longer ones).
FUNCTION = 70
# The first line of a function, as clang-format leaves it: at most one level of a class around it.
HEAD = re.compile(r"^( {0,4})(?!namespace|class|struct|enum|union|extern|\}|/)\S")
# The last line of its head.
BODY = re.compile(r"^ *\S.*\).*\{$")


def functions(lines):
    """Number of the first line and of lines of every function."""
    at = 0
    while at < len(lines):
        end = first = at
        if BODY.match(lines[at]) and not re.search(r"\b(class|struct)\b[^()]*\{$", lines[at]):
            # Parameters that did not fit stand below the first one, initializers of a constructor four columns
            # to the right of its body.
            while first and (lines[first].startswith("     ") or lines[first].lstrip().startswith(":")):
                first -= 1
            match = HEAD.match(lines[first])
            while match and end + 1 < len(lines) and not lines[end].startswith(match.group(1) + "}"):
                end += 1
            if match:
                yield first + 1, end - first + 1
        at = end + 1


def check(path):
    lines = path.read_text().splitlines()
    limit = LIMITS[path.suffix]
    if len(lines) > limit:
        yield f"{where(path, 1)}: {len(lines)} lines, at most {limit}: split by idea"
    if path.parent == ROOT / "compiler/tools" and len(lines) > TOOL:
        yield f"{where(path, 1)}: {len(lines)} lines, at most {TOOL}: a tool registers and calls"
    if path.suffix in (".cpp", ".h") and ROOT / "test" not in path.parents:
        for number, length in functions(lines):
            if length > FUNCTION:
                yield f"{where(path, number)}: a function of {length} lines, at most {FUNCTION}: name a step"
    if path.suffix in (".cpp", ".h", ".py"):
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                yield f"{where(path, number)}: {len(line)} columns, at most {COLUMNS}"


finish([f for p in tracked(*LIMITS) for f in check(p)])
