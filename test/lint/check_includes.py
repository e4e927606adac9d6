#!/usr/bin/env python3
"""Arrows point one way: dialects <- passes <- compiler; the runtime sees no MLIR, and shares only runtime/abi."""
import re

from common import ROOT, finish, tracked, where

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
# Folder -> prefixes that its sources must not include.
FORBIDDEN = {
    "runtime": ("mlir/", "llvm/", "lld/", "dialects/", "passes/", "compiler/", "test/"),
    "dialects": ("passes/", "compiler/", "runtime/", "test/"),
    "passes": ("compiler/", "runtime/", "test/"),
    "compiler": ("runtime/", "test/"),
}
ALLOWED = {folder: ("runtime/abi/",) for folder in ("compiler", "passes", "dialects")}


def check(path):
    folder = path.relative_to(ROOT).parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        if target.startswith(FORBIDDEN.get(folder, ())) and not target.startswith(ALLOWED.get(folder, ("\0",))):
            yield f"{where(path, number)}: {folder} must not include {target}"
        if "<iostream>" in line and folder != "test":
            yield f"{where(path, number)}: <iostream> brings static constructors; use llvm::raw_ostream or stdio"


finish([f for p in tracked(".h", ".cpp", ".td") for f in check(p)])
