#!/usr/bin/env python3
"""One name finds pass, file and test; options are kebab-case; the runtime knows no op, block or model by name."""
import re

from common import ROOT, finish, tracked, where

ARGUMENT = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
PASS = re.compile(r'def\s+(\w+)Pass\s*:\s*(?:Interface)?Pass<\s*"([^"]+)"')
OPTION = re.compile(r'(?:List)?Option<\s*"\w+",\s*"([^"]+)"')
# Short words stand in others ("smoe"), long ones in names ("attentionMask").
MODEL_WORDS = re.compile(r"attention|rms_?norm|swiglu|deepseek|llama|(?<![a-z])(?:moe|mla|mtp)(?![a-z])", re.I)
# A cast to void of a call. One of a variable only silences a warning.
THROWN_AWAY = re.compile(r"(?:\(void\)|static_cast<void>\()\s*[\w:.>\[\]-]*[\w>]\s*\(|\bstd::ignore\s*=")


# Something that reads what a tool printed.
CHECKED = re.compile(r"FileCheck|diff\b|cmp\b|-verify-diagnostics|-verify-roundtrip|%python|>")


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
        if THROWN_AWAY.search(line):
            yield f"{where(path, number)}: the result of a call is thrown away"
        if re.search(r"assert\((mlir::)?(succeeded|failed)\(", line):
            yield f"{where(path, number)}: verification inside assert is gone in some build types"
        if "cl::opt<" in line and folder != "compiler":
            yield f"{where(path, number)}: cl::opt outside compiler/"
        if re.search(r"\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b", line):
            yield f"{where(path, number)}: a TODO names its issue: TODO(#n)"


def check_place(path):
    if path.name.startswith("Test"):
        yield f"{where(path, 1)}: passes and operations for tests stand in test/support"


def check_test(path):
    if re.search(r"issue|bug[-_]?\d|pr[-_]?\d", path.stem, re.I):
        yield f"{where(path, 1)}: a test is named after what it checks; the issue stands in a comment"
    text = path.read_text(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if "RUN:" in line and re.search(r"\bnot\s+contraflow-opt\b", line):
            yield f"{where(path, number)}: errors are checked with -verify-diagnostics, which sees place and order"
        if re.search(r"\b[A-Z-]+(?:-NEXT|-SAME|-LABEL|-DAG|-NOT)?:.*(?<![\w{\[])%\d+\b", line) and "RUN:" not in line:
            yield f"{where(path, number)}: a number of a value says nothing: capture it, %[[NAME:.+]]"
        if re.search(r"\bXFAIL:\s*\S+\s*$", line) and "#" not in line.split("XFAIL:")[1]:
            yield f"{where(path, number)}: an expected failure names its issue: XFAIL: feature, then a comment with #n"
        if re.match(r"^.{0,4}RUN:.*\bcontraflow-opt\b", line) and not CHECKED.search(run_line(text, number)):
            yield f"{where(path, number)}: nothing looks at the output of contraflow-opt"


def run_line(text, number):
    """The RUN line that begins at `number` with its continuations."""
    lines = text.splitlines()
    end = number
    while end < len(lines) and lines[end - 1].rstrip().endswith("\\"):
        end += 1
    return "\n".join(lines[number - 1:end])


findings = [f for p in tracked(".td") if p.name == "Passes.td" for f in check_passes(p)]
findings += [f for p in tracked(".cpp", ".h", ".c", ".td") for f in check_source(p)]
findings += [f for p in tracked(".cpp", ".h", ".td") if ROOT / "test" not in p.parents for f in check_place(p)]
findings += [f for p in tracked(".mlir", ".test") if ROOT / "test" in p.parents for f in check_test(p)]
finish(findings)
