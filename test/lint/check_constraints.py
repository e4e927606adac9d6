#!/usr/bin/env python3
"""Every operation is printed in a test, and every numbered constraint has its branch and its test.

`- (C2) ...` in the description of `nn.slice` wants `slice_c2` in a comment of the dialect's sources, and a function
`@slice_c2...` in an `*invalid.mlir` of the dialect's tests; its error is enough where no function stands around it.

`- (C2) ...` in the description of the pass `memory-verify-plan` wants a diagnostic that begins with `(C2)` in the
sources of its folder, and one that is expected in a test named after the pass.
"""
import re

from common import ROOT, finish, tracked, where

PASS = re.compile(r"^def\s+\w+\s*:\s*Pass<\"([a-z-]+)\"(.*?)(?=^def\s|\Z)", re.M | re.S)
DEF = re.compile(r"^def\s+\w+\s*:\s*\w+_\w*Op<\"(\w+)\"(.*?)(?=^def\s|^class\s|\Z)", re.M | re.S)


def read(paths):
    return "\n".join(path.read_text() for path in paths)


def check_passes(path):
    folder = path.parent
    sources = read(p for p in tracked(".cpp") if p.parent == folder)
    text = path.read_text()
    for match in PASS.finditer(text):
        line = text[:match.start()].count("\n") + 1
        name = match.group(1).removeprefix(folder.name + "-").removeprefix(folder.parent.name + "-")
        where_tests = ROOT / "test/lit/Passes" / folder.relative_to(ROOT / "passes")
        tests = read(p for p in tracked(".mlir") if p.parent == where_tests and p.stem.startswith(name))
        for number in re.findall(r"^\s*- \(C(\d+)\)", match.group(2), re.M):
            if f"(C{number}) " not in sources:
                yield f"{where(path, line)}: no diagnostic (C{number}) of {match.group(1)}"
            if not re.search(rf"expected-error.*\(C{number}\) ", tests):
                yield f"{where(path, line)}: no test expects (C{number}) of {match.group(1)}"


def check(path):
    dialect = path.parent.name
    sources = read(p for p in tracked(".cpp", ".h") if p.parent == path.parent)
    tests = [p for p in tracked(".mlir") if p.parent == ROOT / "test/lit/Dialects" / dialect]
    invalid = read(p for p in tests if p.name.endswith("invalid.mlir"))
    valid = read(p for p in tests if not p.name.endswith("invalid.mlir"))
    text = path.read_text()
    for match in DEF.finditer(text):
        op, line = match.group(1), text[:match.start()].count("\n") + 1
        # What ends a region is often not printed: its parent's test is the test.
        if not re.search(rf"CHECK.*\b{dialect}\.{op}\b", valid) and "Terminator" not in match.group(2):
            yield f"{where(path, line)}: no CHECK line of {dialect}.{op} in test/lit/Dialects/{dialect}"
        for number in re.findall(r"^\s*- \(C(\d+)\)", match.group(2), re.M):
            label = f"{op}_c{number}"
            if not re.search(rf"\b{label}\b", sources):
                yield f"{where(path, line)}: no comment {label} at a branch of the verifier"
            if not re.search(rf"@{label}(?!\d)|'{dialect}\.{op}' op \(C{number}\)", invalid):
                yield f"{where(path, line)}: no function @{label} in an invalid.mlir"


finish([f for p in tracked(".td") if ROOT / "dialects" in p.parents for f in check(p)] +
       [f for p in tracked(".td") if ROOT / "passes" in p.parents for f in check_passes(p)])
