#!/usr/bin/env python3
"""Descriptions say something, paths named in a README exist, and every dialect says why it is as it is."""
import re

from common import ROOT, finish, tracked, where

DEF = re.compile(r"^def\s+(\w+)\s*:\s*(NN_Op|NN_\w+Op|Pipe_Op|Pass|InterfacePass)\b.*$", re.M)
PATH = re.compile(r"`((?:compiler|runtime|dialects|passes|models|test|\.ci)/[\w./*{},-]*"
                  r"|dev|CMakeLists\.txt|CMakePresets\.json)`")


def check_descriptions(path):
    text = path.read_text()
    for match in DEF.finditer(text):
        body = text[match.end():]
        following = DEF.search(body)
        body = body[:following.start()] if following else body
        description = re.search(r"description\s*=\s*\[\{(.*?)\}\]", body, re.S)
        line = text[:match.start()].count("\n") + 1
        if not description or len(description.group(1).split()) < 8:
            yield f"{where(path, line)}: {match.group(1)} needs a description of at least 8 words"


def check_paths(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for name in PATH.findall(line):
            if any(c in name for c in "*{<"):
                if not list(ROOT.glob(re.sub(r"\{[^}]*\}", "*", name))):
                    yield f"{where(path, number)}: nothing matches `{name}`"
            elif not (ROOT / name).exists():
                yield f"{where(path, number)}: `{name}` does not exist"


def check_banners(path):
    first = path.read_text().splitlines()[:3]
    if not any("SPDX-License-Identifier" in line for line in first):
        yield f"{where(path, 1)}: no SPDX licence line in the first three lines"
    match = re.match(r"//===- ([\w.]+) - ", first[0]) if first else None
    if match and match.group(1) != path.name:
        yield f"{where(path, 1)}: the banner names {match.group(1)}"


def check_rationale(folder):
    readme = folder / "README.md"
    if not readme.exists() or "\n## Rationale\n" not in readme.read_text():
        yield f"{where(readme, 1)}: a dialect has a section 'Rationale'"


findings = [f for p in tracked(".td") for f in check_descriptions(p)]
findings += [f for p in tracked(".md") for f in check_paths(p)]
findings += [f for p in tracked(".cpp", ".h", ".td") if "Precompiled" not in p.name for f in check_banners(p)]
findings += [f for folder in sorted({p.parent for p in tracked(".td") if p.name.endswith("Dialect.td")})
             for f in check_rationale(folder)]
finish(findings)
