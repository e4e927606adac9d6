#!/usr/bin/env python3
"""Runs every test of a build and ends with `N passed, N failed`.

usage: test/run.py --build DIR [--only lint|unit|lit|e2e ...] [--filter REGEX]

Levels, in this order: lint (scripts in test/lint), unit (GoogleTest executables `*-tests`),
lit (test/lit), e2e (test/e2e).
A level that finds no test counts as a failure: a test that cannot fail is a defect.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def report(level, passed, failures, seconds):
    for name, text in failures:
        print(f"FAIL {level}: {name}")
        if text:
            print("\n".join("    " + line for line in text.strip().splitlines()[-60:]))
    print(f"{level}: {passed} passed, {len(failures)} failed ({seconds:.0f} s)", flush=True)
    return passed, len(failures)


def run_lint(build, pattern):
    passed, failures = 0, []
    for script in sorted((ROOT / "test/lint").glob("check_*.py")):
        if not pattern.search(script.name):
            continue
        result = subprocess.run([sys.executable, str(script), "--build", str(build)], cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            failures.append((script.name, result.stdout))
        else:
            passed += 1
    return passed, failures


def run_unit(build, pattern):
    passed, failures = 0, []
    for program in sorted((build / "bin").glob("*-tests")):
        if not pattern.search(program.name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "result.json"
            result = subprocess.run([str(program), f"--gtest_output=json:{out}"], cwd=ROOT, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if not out.exists():
                failures.append((program.name, result.stdout))
                continue
            document = json.loads(out.read_text())
        for suite in document["testsuites"]:
            for case in suite["testsuite"]:
                name = f"{program.name} {suite['name']}.{case['name']}"
                if case.get("failures"):
                    failures.append((name, "\n".join(f["failure"] for f in case["failures"])))
                elif case.get("result") != "SKIPPED":
                    passed += 1
        if result.returncode and not any(name.startswith(program.name) for name, _ in failures):
            failures.append((program.name, result.stdout))
    return passed, failures


def run_lit_suite(folder, pattern):
    lit = next(p for p in ("/usr/lib/llvm-22/bin/lit", "/usr/lib/llvm-22/build/utils/lit/lit.py", "lit")
               if os.path.exists(p) or p == "lit")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "result.json"
        command = [lit, "-q", "--output", str(out), "--filter", pattern.pattern or ".", "--allow-empty-runs",
                   str(folder)]
        result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not out.exists():
            return 0, [(str(folder), result.stdout)]
        document = json.loads(out.read_text())
    passed, failures = 0, []
    for test in document["tests"]:
        if test["code"] in ("PASS", "FLAKYPASS", "XFAIL"):
            passed += 1
        elif test["code"] not in ("UNSUPPORTED", "EXCLUDED"):
            failures.append((test["name"], test["output"]))
    return passed, failures


LEVELS = {
    "lint": run_lint,
    "unit": run_unit,
    "lit": lambda build, pattern: run_lit_suite(build / "test/lit", pattern),
    "e2e": lambda build, pattern: run_lit_suite(build / "test/e2e", pattern),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=list(LEVELS))
    parser.add_argument("--filter", default="",
                        help="regular expression on test names; at level unit on names of programs")
    options = parser.parse_args()
    pattern = re.compile(options.filter)
    total_passed = total_failed = 0
    for level, run in LEVELS.items():
        if options.only and level not in options.only:
            continue
        start = time.time()
        passed, failures = run(options.build.resolve(), pattern)
        if not passed and not failures and not options.filter:
            failures = [(f"no test found at level {level}", "")]
        passed, failed = report(level, passed, failures, time.time() - start)
        total_passed += passed
        total_failed += failed
    if not total_passed and not total_failed:
        print(f"no test matches '{options.filter}'")
        total_failed = 1
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
