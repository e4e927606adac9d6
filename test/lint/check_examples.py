#!/usr/bin/env python3
"""Every example in the description of an operation parses.

Values that an example uses and does not define become operands of unknown type; the parser's complaint says
which type each of them must have, so a few rounds find all of them.
"""
import argparse
import pathlib
import re
import subprocess
import tempfile

from common import ROOT, finish, tracked, where

EXAMPLE = re.compile(r"```mlir\n(.*?)```", re.S)
USE = re.compile(r"%([\w$.-]+)")
# `%a, %b:2 = ...`, `carry(%x = ...)`, or an argument `%x: type`; operands have a space before their colon.
DEFINITION = re.compile(r"%([\w$.-]+)(?=(?:\s*:\d+)?(?:\s*,\s*%[\w$.-]+(?::\d+)?)*\s*=[^=])|%([\w$.-]+)(?=:)")
MISMATCH = re.compile(r"error: use of value '%([\w$.-]+)' expects different type than prior uses: '(.+)' vs 'none'")
ERROR = re.compile(r":(\d+):\d+: error: (.*)")
# Operations that only stand inside of others: their examples are fragments, parsed and not verified.
FRAGMENTS = {"NNStructure.td", "PipeOps.td"}
WHOLE = re.compile(r"^\s*(nn\.model|pipe\.program)\b")


class Example:
    def __init__(self, path, line, text):
        self.path, self.line, self.text = path, line, text
        defined = {name for match in DEFINITION.finditer(text) for name in match.groups() if name}
        self.whole = bool(WHOLE.match(text))
        self.verified = path.name not in FRAGMENTS or text.lstrip().startswith("nn.model")
        self.types = {} if self.whole else {n: "none" for n in dict.fromkeys(USE.findall(text)) if n not in defined}

    def source(self):
        if self.whole:
            return self.text
        arguments = ", ".join(f"%{name}: {type}" for name, type in self.types.items())
        mesh = "attributes {comm.mesh = #comm.mesh<pp = 1, dp = 8, ep = 4>} " if "comm." in self.text else ""
        # One line in front of the text, as everywhere: lines of errors are counted.
        return f"module {mesh}{{ func.func @example({arguments}) {{\n{self.text}\nreturn\n}} }}\n"


def parse(tool, examples, verified):
    """The first error of every example that has one."""
    lines, starts = 0, []
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        for example in examples:
            starts.append(lines)
            source = example.source() + "\n// -----\n"
            lines += source.count("\n")
            file.write(source)
        file.flush()
        flags = [] if verified else ["-mlir-very-unsafe-disable-verifier-on-parsing"]
        result = subprocess.run([str(tool), "-split-input-file", *flags, file.name, "-o", "/dev/null"], text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = {}
    for text in result.stderr.splitlines():
        if match := ERROR.search(text):
            index = max(i for i, start in enumerate(starts) if start < int(match.group(1)))
            errors.setdefault(index, text)
    if result.returncode and not errors:
        errors[0] = result.stderr
    return {examples[index]: text for index, text in errors.items()}


def check(tool, examples, verified):
    while examples:
        open_examples = []
        for example, error in parse(tool, examples, verified).items():
            match = MISMATCH.search(error)
            if match:
                example.types[match.group(1)] = match.group(2)
                open_examples.append(example)
            else:
                match = ERROR.search(error)
                yield f"{where(example.path, example.line)}: {match.group(2) if match else error}"
        examples = open_examples


options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--build", type=pathlib.Path, required=True)
tool = options.parse_args().build / "bin/contraflow-opt"
examples = [Example(path, path.read_text()[:match.start()].count("\n") + 2, match.group(1))
            for path in tracked(".td") if ROOT / "dialects" in path.parents
            for match in EXAMPLE.finditer(path.read_text())]
findings = [f for verified in (True, False)
            for f in check(tool, [e for e in examples if e.verified == verified], verified)]
finish(findings or ([] if examples else ["no example found"]))
