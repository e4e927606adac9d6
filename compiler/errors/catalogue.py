#!/usr/bin/env python3
"""Prints the catalogue of errors as Markdown, from the tables that the code is compiled from.

usage: compiler/errors/catalogue.py [-o FILE]

Three sources: compiler/errors/Errors.def, runtime/base/Errors.def, and the numbered constraints in the .td of dialects
and passes, which verifiers quote as (C1), (C2), ...
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLES = {"compiler": "compiler/errors/Errors.def", "trainer": "runtime/base/Errors.def"}
SECTIONS = {
    "CommandLine": "Command line", "Files": "Files", "Json": "JSON", "RunFile": "Run file",
    "Configuration": "Configuration (config.json)", "Model": "Model (model.mlir)",
    "Verify": "Recorded steps (contraflow verify)",
    "Link": "Link and start", "Machine": "Machine", "Data": "Text to train on", "Checkpoint": "Checkpoints",
    "Communication": "Communication between ranks", "Trainer": "Trainer", "Run": "A run",
}
ROW = re.compile(r'^CF_ERROR\(\s*(\w+),\s*(\w+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', re.M)
OP = re.compile(r'^def\s+\w+\s*:\s*\w+<"([\w.-]+)"(.*?)(?=^def\s|^class\s|\Z)', re.M | re.S)
CONSTRAINT = re.compile(r"^\s*- \((C\d+)\) (.*?)(?=^\s*- \(C\d+\)|^\s*\}\]|^\s*$)", re.M | re.S)


class Entry:
    """A row: its name in the code, section, text with {places}, advice."""

    def __init__(self, table, name, section, text, advice):
        self.table, self.name, self.section = table, name, section
        self.text, self.advice = unquote(text), unquote(advice)

    def pattern(self):
        """A regular expression of what is printed."""
        whole = self.text + ("; " + self.advice if self.advice else "")
        return re.compile(".*?".join(re.escape(part) for part in re.split(r"\{\w+\}", whole)))


def unquote(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).replace('\\"', '"').replace("\\\\", "\\")


def read_table(table):
    text = (ROOT / TABLES[table]).read_text()
    return [Entry(table, *match) for match in ROW.findall(text)]


def read_constraints():
    """(operation or pass, [(number, text)])"""
    result = []
    for path in sorted([*(ROOT / "dialects").rglob("*.td"), *(ROOT / "passes").rglob("*.td")]):
        prefix = path.parent.name + "." if ROOT / "dialects" in path.parents else ""
        for name, body in OP.findall(path.read_text()):
            constraints = [(number, " ".join(text.split())) for number, text in CONSTRAINT.findall(body)]
            if constraints:
                result.append((prefix + name, constraints))
    return result


def code(text):
    return "`" + text + "`" if "`" not in text else "`` " + text + " ``"


def write(out):
    out.write("# Errors\n\nWords in braces stand for what was found. Errors of JSON begin with file, line, column and "
              "key "
              "path, or with the `--set` that caused them; errors of a model, with its line.\n")
    for table in TABLES:
        out.write(f"\n## Of the {table}\n")
        entries = read_table(table)
        for section in dict.fromkeys(entry.section for entry in entries):
            out.write(f"\n### {SECTIONS[section]}\n\n| message | what to do |\n| --- | --- |\n")
            for entry in entries:
                if entry.section == section:
                    text, advice = (part.replace("|", "\\|") for part in (entry.text, entry.advice))
                    out.write(f"| {code(text)} | {advice} |\n")
    out.write("\n## Constraints of operations and passes\n\nAn error such as `'nn.rope' op (C1) ...` violates the "
              "constraint "
              "of that number.\n")
    for name, constraints in read_constraints():
        out.write(f"\n### {name}\n\n")
        for number, text in constraints:
            out.write(f"- ({number}) {text}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()
    if not options.output:
        return write(sys.stdout)
    with options.output.open("w") as out:
        write(out)


if __name__ == "__main__":
    main()
