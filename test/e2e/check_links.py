#!/usr/bin/env python3
"""Follows the links of documents to files, and the paths of documents that stand in backticks.

usage: check_links.py FOLDER
"""
import pathlib
import re
import sys

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^```.*?^```$", re.M | re.S)
NAMED = re.compile(r"`([a-z][\w/-]*/[\w-]+\.md)`")
root = pathlib.Path(sys.argv[1])
found, broken = 0, []
for document in sorted(root.rglob("*.md")):
    text = CODE.sub("", document.read_text())
    targets = [(document.parent / name, name) for name in LINK.findall(text)]
    targets += [(root / name, name) for name in NAMED.findall(text)]
    found += len(targets)
    broken += [f"{document.relative_to(root)}: '{name}' is not there" for path, name in targets if not path.exists()]
print("\n".join([*broken, f"{found} links, {len(broken)} broken"]))
