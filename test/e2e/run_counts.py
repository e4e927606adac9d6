#!/usr/bin/env python3
"""Runs test/run.py on a build folder with a unit test program and a lit suite that are written here.

usage: run_counts.py FOLDER
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = """#!/usr/bin/env python3
import json, pathlib, sys
cases = [{"name": "Passes", "result": "COMPLETED"},
         {"name": "Fails", "result": "COMPLETED", "failures": [{"failure": "two is not one"}]},
         {"name": "DISABLED_Rests", "status": "NOTRUN", "result": "SUPPRESSED"},
         {"name": "WantsMore", "result": "SKIPPED"}, {"name": "WantsTool", "result": "SKIPPED"}]
for case, reason in (("WantsMore", "this machine lacks avx512f"), ("WantsTool", "there is no FileCheck")):
    print(f"[ RUN      ] Suite.{case}\\nx.cpp:3: Skipped\\n{reason}\\n[  SKIPPED ] Suite.{case} (0 ms)")
suites = {"testsuites": [{"name": "Suite", "testsuite": cases}]}
pathlib.Path(sys.argv[1].split(":", 1)[1]).write_text(json.dumps(suites))
sys.exit(1)
"""
TESTS = {"passes": "RUN: true", "fails": "RUN: false", "wants-more": "REQUIRES: machine-avx512f\nRUN: false",
         "wants-tool": "REQUIRES: some-tool\nRUN: false"}
CONFIG = """
import lit.formats
config.name = "counted"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".test"]
config.test_source_root = config.test_exec_root = {folder!r}
"""


def build(folder):
    suite = folder / "test/lit"
    suite.mkdir(parents=True, exist_ok=True)
    for name, text in TESTS.items():
        (suite / f"{name}.test").write_text(text + "\n")
    (suite / "lit.cfg.py").write_text(CONFIG.format(folder=str(suite)))
    program = folder / "bin/fake-tests"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)


def main():
    folder = pathlib.Path(sys.argv[1])
    build(folder)
    result = subprocess.run([sys.executable, str(ROOT / "test/run.py"), "--build", str(folder), "--only", "unit",
                             "--only", "lit"], text=True, stdout=subprocess.PIPE)
    print(result.stdout)
    print(f"exit status {result.returncode}")


main()
