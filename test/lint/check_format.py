#!/usr/bin/env python3
"""Sources are as clang-format (.clang-format) writes them. `check_format.py --fix` rewrites them."""
import re
import subprocess
import sys

from common import ROOT, finish, tracked

FORMAT = "clang-format-22"
ERROR = re.compile(r"^(.*?):(\d+):\d+: error: .*$", re.M)

paths = [str(p.relative_to(ROOT)) for p in tracked(".cpp", ".h", ".c")]
fix = "--fix" in sys.argv
result = subprocess.run([FORMAT, *(["-i"] if fix else ["--dry-run", "-Werror"]), *paths], cwd=ROOT, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
first = {}
for path, line in ERROR.findall(result.stdout):
    first.setdefault(path, line)
finish([f"{path}:{line}: not formatted; test/lint/check_format.py --fix does it" for path, line in first.items()]
       or ([result.stdout] if result.returncode else []))
