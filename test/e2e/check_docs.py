#!/usr/bin/env python3
"""The reference has every operation, pass, option and key that the code has.

usage: check_docs.py --root TREE --build BUILD        (after `ninja docs`)
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("root", "build"):
    parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
options = parser.parse_args()
docs = options.build / "docs"


def find(page, wanted):
    """Lines of a page that do not hold what they should."""
    text = (docs / page).read_text()
    return [f"{page}: no '{entry}'" for entry in wanted if entry not in text]


def keys(schema, prefix=""):
    for name, entry in schema.get("properties", {}).items():
        yield f"| `{prefix}{name}` |"
        yield from keys(entry, f"{prefix}{name}.")


missing, counts = [], {"operations": 0, "passes": 0}
for dialect, header in (("nn", "NN.h.inc"), ("pipe", "PipeOps.h.inc")):
    text = (options.build / "dialects" / dialect / header).read_text()
    names = sorted(set(re.findall(rf'StringLiteral\("({dialect}\.\w+)"\)', text)))
    counts["operations"] += len(names)
    missing += find(f"{dialect}.md", [f"### `{name}` " for name in names])
for source in options.root.glob("passes/**/Passes.td"):
    names = re.findall(r'^def \w+ : (?:Interface)?Pass<"([^"]+)"', source.read_text(), re.M)
    counts["passes"] += len(names)
    page = source.parent.relative_to(options.root).as_posix().replace("/", "-")
    missing += find(f"{page}.md", [f"### `-{name}`" for name in names])
for program in ("contraflow", "contraflow-opt", "contraflow-stub"):
    arguments = ["--help"] if program != "contraflow" else ["help"]
    text = subprocess.run([options.build / "bin" / program, *arguments], text=True, stdout=subprocess.PIPE).stdout
    missing += find(f"options-{program}.md", re.findall(r"^ .*?(--[a-z-]+)", text, re.M))
missing += find("run-file.md", keys(json.loads((options.root / "models/schema.json").read_text())))
rows = [name for table in ("compiler/errors", "runtime/base")
        for name in re.findall(r'^CF_ERROR\((\w+)', (options.root / table / "Errors.def").read_text(), re.M)]
lines = re.findall(r"^\| `", (docs / "errors.md").read_text(), re.M)
if len(lines) != len(rows):
    missing.append(f"errors.md has {len(lines)} errors, the tables have {len(rows)}")
missing += find("errors.md", ["### nn.route", "### schedule-verify-program"])
missing += find("index.md", [f"]({page.name})" for page in docs.glob("*.md") if page.name != "index.md"])
for link in re.findall(r"\]\(([^)]+)\)", (docs / "index.md").read_text()):
    if not (docs / link).exists():
        missing.append(f"index.md: '{link}' does not exist")
print("\n".join(missing))
print(f"{counts['operations']} operations, {counts['passes']} passes, {len(missing)} missing")
sys.exit(bool(missing))
