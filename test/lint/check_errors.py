#!/usr/bin/env python3
"""What users are told stands in the tables of errors, and every row of them is used.

The tables are compiler/errors/Errors.def and runtime/base/Errors.def; verifiers of dialects and passes quote the
numbered constraints of their .td.
"""
import re
import sys

from common import ROOT, finish, tracked, where

sys.path.insert(0, str(ROOT / "compiler/errors"))
import catalogue  # noqa: E402

# What makes an error, up to the end of its statement.
RUNTIME = re.compile(r'\bError\(\s*(?:base::)?(?:text\(|")')
COMPILER = re.compile(r"\b(?:emit(?:Op)?Error|emitError|emitWarning|fail|createStringError|makeDiagnostic)\((?:[^;]|;"
                      r"(?!\n))*;")
# A literal of two words or more is a message; one word is a name, and a note only says where to look.
WORDS = re.compile(r'"[^"\n]*[a-z]{2,} [a-z]{2,}[^"\n]*"')


def number_of(text, at):
    return text.count("\n", 0, at) + 1


def check_source(path):
    text = path.read_text()
    folder = path.relative_to(ROOT).parts[0]
    if folder == "runtime":
        for match in RUNTIME.finditer(text):
            yield f"{where(path, number_of(text, match.start()))}: an error is a row of runtime/base/Errors.def"
    if folder == "compiler":
        for match in COMPILER.finditer(text):
            statement = re.sub(r"attachNote\(.*", "", match.group(0), flags=re.S)
            if WORDS.search(statement) and "message<" not in statement:
                yield f"{where(path, number_of(text, match.start()))}: an error is a row of compiler/errors/Errors.def"


def check_table(table, sources):
    path = ROOT / catalogue.TABLES[table]
    names = set()
    for entry in catalogue.read_table(table):
        place = f"{path.relative_to(ROOT)}: {entry.name}"
        if not re.search(rf"\bErrorId::{entry.name}\b", sources):
            yield f"{place}: nothing uses this row"
        if entry.name in names:
            yield f"{place}: is there twice"
        if entry.section not in catalogue.SECTIONS:
            yield f"{place}: unknown section {entry.section}"
        for part in (entry.text, entry.advice):
            if re.match(r"[A-Z][a-z]", part) or part.endswith("."):
                yield f"{place}: errors begin in lower case and have no final period"
            if re.search(r"\bwant(s|ed)?\b", part):
                yield f"{place}: says 'wants', everything else says 'expected'"
        names.add(entry.name)


def read(folder):
    return "\n".join(p.read_text() for p in tracked(".cpp", ".h") if ROOT / folder in p.parents)


findings = [f for p in tracked(".cpp", ".h") for f in check_source(p)]
findings += check_table("compiler", read("compiler"))
findings += check_table("trainer", read("runtime"))
if not catalogue.read_constraints():
    findings.append("compiler/errors/catalogue.py finds no constraints")
finish(findings)
