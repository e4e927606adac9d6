#!/usr/bin/env python3
"""FileCheck lines that check nothing: misspelt directives, missing colons, prefixes that no RUN line declares."""
import re

from common import ROOT, finish, tracked, where

SUFFIXES = "NEXT|SAME|NOT|DAG|LABEL|EMPTY|COUNT-[0-9]+"
LIT_KEYWORDS = {"RUN", "REQUIRES", "UNSUPPORTED", "XFAIL", "DEFINE", "REDEFINE", "END"}
DIRECTIVE = re.compile(r"^([A-Z][A-Z0-9_-]*?)(?:-(?:%s))?(?:\{LITERAL\})?:" % SUFFIXES)
# Directives stand in comments; .test files may leave out the comment sign, because they hold nothing else.
COMMENT = re.compile(r"^\s*(//|#|;)?\s*")
NEAR = re.compile(r"^(CH?EC?K|CHEKC|CEHCK|CHCEK|HCECK)", re.I)


def prefixes_of(text):
    found = set()
    for line in text.splitlines():
        if "RUN:" not in line:
            continue
        for match in re.finditer(r"-?-check-prefix(?:es)?[= ]([\w,-]+)", line):
            found.update(match.group(1).split(","))
    joined = re.sub(r"\\\n\s*(?://|#|;)?\s*RUN:", " ", text)
    for line in joined.splitlines():
        if "RUN:" in line and re.search(r"FileCheck(?![^|]*check-prefix)", line):
            found.add("CHECK")
    return found


def check(path):
    text = path.read_text(errors="replace")
    if "RUN:" not in text:
        yield f"{where(path, 1)}: test has no RUN line"
        return
    prefixes = prefixes_of(text)
    used = set()
    for number, line in enumerate(text.splitlines(), 1):
        if "RUN:" in line or "expected-" in line:
            continue
        comment = COMMENT.match(line)
        rest = line[comment.end():]
        if not rest or not (comment.group(1) or path.suffix == ".test"):
            continue
        word = rest.split()[0]
        directive = DIRECTIVE.match(rest)
        if directive and (directive.group(1) in prefixes):
            used.add(directive.group(1))
            continue
        base = re.split(r"[-_:{ ]", word)[0]
        looks = NEAR.match(base) and base.upper() == base
        looks = looks or any(re.match(rf"{re.escape(p)}\b", word, re.I) for p in prefixes)
        # Any other upper-case word with a colon is a prefix that no RUN line declares.
        looks = looks or (re.match(r"^[A-Z][A-Z0-9_-]*:$", word) and word[:-1] not in LIT_KEYWORDS)
        suffix = re.match(r"^[A-Z][A-Z0-9_]*-(?:%s)\b" % SUFFIXES, word)
        bare = not comment.group(1) and word.rstrip(":") not in LIT_KEYWORDS
        if looks or suffix or bare:
            yield f"{where(path, number)}: '{word}' is no directive of a declared prefix {sorted(prefixes)}"
    for prefix in sorted(prefixes - used):
        yield f"{where(path, 1)}: prefix '{prefix}' is declared and checks nothing"


SUITES = (ROOT / "test/lit", ROOT / "test/e2e")
finish([f for p in tracked(".mlir", ".test") if any(s in p.parents for s in SUITES) and "Inputs" not in p.parts
        for f in check(p)])
