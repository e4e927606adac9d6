#!/usr/bin/env python3
"""Sizes that keep a file readable: sources, headers, tables, tests, lines."""
from common import ROOT, finish, tracked, where

LIMITS = {".cpp": 800, ".h": 400, ".td": 700, ".mlir": 500, ".py": 400}
COLUMNS = 120


def check(path):
    lines = path.read_text().splitlines()
    limit = LIMITS[path.suffix]
    if len(lines) > limit:
        yield f"{where(path, 1)}: {len(lines)} lines, at most {limit}: split by idea"
    if path.suffix in (".cpp", ".h", ".py"):
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                yield f"{where(path, number)}: {len(line)} columns, at most {COLUMNS}"


finish([f for p in tracked(*LIMITS) for f in check(p)])
