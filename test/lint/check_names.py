#!/usr/bin/env python3
"""One name finds pass, file and test; options are kebab-case; the runtime knows no op, block or model by name."""
import re

from common import ROOT, finish, tracked, where

ARGUMENT = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
PASS = re.compile(r'def\s+(\w+)Pass\s*:\s*(?:Interface)?Pass<\s*"([^"]+)"')
OPTION = re.compile(r'(?:List)?Option<\s*"\w+",\s*"([^"]+)"')
MODEL_WORDS = re.compile(r"\b(attention|rms_?norm|moe|mla|mtp|swiglu|deepseek|llama)\b", re.I)


def kebab(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def check_passes(path):
    text = path.read_text()
    folder = path.parent
    for name, argument in PASS.findall(text):
        phase = folder.relative_to(ROOT / "passes").parts[0]
        if not ARGUMENT.match(argument):
            yield f"{where(path, 1)}: pass argument '{argument}' is not kebab-case"
        if not argument.startswith(phase + "-"):
            yield f"{where(path, 1)}: pass '{argument}' does not start with its phase '{phase}-'"
        if not argument.endswith(kebab(name)):
            yield f"{where(path, 1)}: pass '{argument}' is defined as {name}Pass; '{kebab(name)}' expected at its end"
        if not (folder / f"{name}.cpp").exists():
            yield f"{where(path, 1)}: pass '{argument}' has no file {name}.cpp"
        relative = folder.relative_to(ROOT / "passes")
        test = ROOT / "test/lit/Passes" / relative / f"{kebab(name)}.mlir"
        if not test.exists():
            yield f"{where(path, 1)}: pass '{argument}' has no test {test.relative_to(ROOT)}"
    for option in OPTION.findall(text):
        if not ARGUMENT.match(option) or option.startswith(("no-", "disable-")):
            yield f"{where(path, 1)}: option '{option}' is not a kebab-case noun or enable-x"


def check_source(path):
    text = path.read_text()
    folder = path.relative_to(ROOT).parts[0]
    for number, line in enumerate(text.splitlines(), 1):
        if folder == "runtime" and MODEL_WORDS.search(line):
            yield f"{where(path, number)}: the runtime names an op, block or model: {MODEL_WORDS.search(line).group(0)}"
        if re.search(r"\(void\)\s*(apply|runPipeline|verify)", line):
            yield f"{where(path, number)}: the result of a rewrite driver, pipeline or verifier is thrown away"
        if re.search(r"assert\((mlir::)?(succeeded|failed)\(", line):
            yield f"{where(path, number)}: verification inside assert is gone in some build types"
        if "cl::opt<" in line and folder != "compiler":
            yield f"{where(path, number)}: cl::opt outside compiler/"
        if re.search(r"\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b", line):
            yield f"{where(path, number)}: a TODO names its issue: TODO(#n)"


findings = [f for p in tracked(".td") if p.name == "Passes.td" for f in check_passes(p)]
findings += [f for p in tracked(".cpp", ".h", ".td") for f in check_source(p)]
finish(findings)
