#!/usr/bin/env python3
"""Writes the reference: what operations, passes, command lines and run files say of themselves, as Markdown."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INTERFACES = "dialects/nn/NNInterfaces.td"
DIALECTS = {"nn": "dialects/nn/NN.td", "pipe": "dialects/pipe/PipeOps.td"}
PROGRAMS = {"contraflow": ["help"], "contraflow-opt": ["--help"], "contraflow-stub": ["--help"]}


def keys(schema, prefix=""):
    """One row of a table for every key of a run file."""
    for name, entry in schema.get("properties", {}).items():
        default = f"`{json.dumps(entry['default'])}`" if "default" in entry else ""
        kind = entry.get("type", "") if "enum" not in entry else ", ".join(f"`{value}`" for value in entry["enum"])
        yield f"| `{prefix}{name}` | {kind} | {default} | {entry.get('description', '')} |\n"
        yield from keys(entry, f"{prefix}{name}.")


parser = argparse.ArgumentParser(description=__doc__)
for option in ("build", "tblgen", "include", "out"):
    parser.add_argument(f"--{option}", required=True, type=pathlib.Path)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
index = ["# Reference\n\n"]


def write(title, name, text):
    (options.out / f"{name}.md").write_text(text)
    index.append(f"- [{title}]({name}.md)\n")


def run(*command):
    return subprocess.run(list(map(str, command)), text=True, check=True, stdout=subprocess.PIPE).stdout


tblgen = [options.tblgen, "-I", ROOT, "-I", options.include]
for name, source in DIALECTS.items():
    write(f"Operations, types and attributes of {name}", name,
          run(*tblgen, ROOT / source, "-gen-dialect-doc", "-dialect", name))
write("Interfaces", "interfaces", run(*tblgen, ROOT / INTERFACES, "-gen-op-interface-docs"))
order = run(options.build / "bin/contraflow-opt", "--help")
folders = [path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("passes/**/Passes.td")]
for folder in sorted(folders, key=lambda name: (order.index("passes of " + "/".join(name.split("/")[:2])), name)):
    write(f"Passes of {folder}", folder.replace("/", "-"),
          f"# {folder}\n\n" + run(*tblgen, ROOT / folder / "Passes.td", "-gen-pass-doc"))
for name, arguments in PROGRAMS.items():
    write(f"Command line of {name.replace('contraflow-stub', 'a trainer')}", f"options-{name}",
          f"# {name}\n\n```\n{run(options.build / 'bin' / name, *arguments)}```\n")
write("Errors", "errors", run(sys.executable, ROOT / "compiler/errors/catalogue.py"))
schema = json.loads((ROOT / "models/schema.json").read_text())
write("Keys of a run file", "run-file",
      "# Run file\n\n| key | type | default | |\n| --- | --- | --- | --- |\n" + "".join(keys(schema)))
index.append("\n# Beside the code\n\n")
pages = sorted(path for path in ROOT.glob("*/**/*.md") if not path.relative_to(ROOT).parts[0].startswith("build"))
for path in pages:
    link = os.path.relpath(path, options.out)
    index.append(f"- [{path.read_text().splitlines()[0].lstrip('# ')}]({link}) ({path.relative_to(ROOT).parent})\n")
(options.out / "index.md").write_text("".join(index))
