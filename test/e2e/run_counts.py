#!/usr/bin/env python3
"""Runs test/run.py on build folders with unit test programs and lit suites that are written here: one without
sanitizers, one with, and one whose tests do not end.

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
         "wants-tool": "REQUIRES: some-tool\nRUN: false", "wants-plain": "REQUIRES: uninstrumented\nRUN: false",
         "wants-both": "REQUIRES: some-tool, uninstrumented\nRUN: false"}
# Writes as GoogleTest does, then goes on for ever, as does what it has started.
HANGING = """#!/bin/sh
echo '[ RUN      ] Suite.Ends'
echo '[       OK ] Suite.Ends (0 ms)'
echo '[ RUN      ] Suite.Hangs'
sleep 1000
"""
HANGING_TESTS = {"ends": "RUN: true", "hangs": "RUN: sleep 1000"}
CONFIG = """
import lit.formats
config.name = "counted"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".test"]
config.test_source_root = config.test_exec_root = {folder!r}
"""


def build(folder, program, tests, sanitizers=""):
    suite = folder / "test/lit"
    suite.mkdir(parents=True, exist_ok=True)
    for name, text in tests.items():
        (suite / f"{name}.test").write_text(text + "\n")
    (suite / "lit.cfg.py").write_text(CONFIG.format(folder=str(suite)))
    (folder / "CMakeCache.txt").write_text(f"CONTRAFLOW_SANITIZE:STRING={sanitizers}\n")
    path = folder / "bin/fake-tests"
    path.parent.mkdir(exist_ok=True)
    path.write_text(program)
    path.chmod(0o755)


def run(folder, *options):
    result = subprocess.run([sys.executable, str(ROOT / "test/run.py"), "--build", str(folder), *options], text=True,
                            stdout=subprocess.PIPE)
    print(f"{folder.name}:\n{result.stdout}\nexit status {result.returncode}", flush=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    build(folder / "plain", PROGRAM, TESTS)
    run(folder / "plain", "--only", "unit", "--only", "lit")
    build(folder / "sanitized", PROGRAM, TESTS, "address,undefined")
    run(folder / "sanitized", "--only", "lit")
    build(folder / "hanging", HANGING, HANGING_TESTS)
    run(folder / "hanging", "--only", "unit", "--only", "lit", "--timeout", "2")


main()
