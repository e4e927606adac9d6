#!/usr/bin/env python3
"""Runs every test of a build and ends with `N passed, N failed`.

usage: test/run.py --build DIR [--only lint|unit|lit|e2e ...] [--filter REGEX]

Levels, in this order: lint (scripts in test/lint), unit (GoogleTest executables `*-tests`),
lit (test/lit), e2e (test/e2e).
A level that finds no test counts as a failure: a test that cannot fail is a defect. So does a skipped test, unless
it says "machine": what a processor lacks cannot be installed, everything else is installed by `./dev setup`.
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


class Results:
    """Of one level: a number, and names with reasons."""

    def __init__(self, passed=0, failures=()):
        self.passed, self.failures, self.skipped = passed, list(failures), []

    def skip(self, name, reason):
        """REQUIRES: machine-avx512f in a lit test, GTEST_SKIP() << "this machine lacks ..." in a unit test."""
        if "machine" in reason:
            self.skipped.append(name)
        else:
            self.failures.append((name, f"skipped, and not for what this machine lacks: {reason}"))


def report(level, results, seconds):
    passed, failures = results.passed, results.failures
    for name, text in failures:
        print(f"FAIL {level}: {name}")
        if text:
            print("\n".join("    " + line for line in text.strip().splitlines()[-60:]))
    print(f"{level}: {passed} passed, {len(failures)} failed ({seconds:.0f} s)", flush=True)


def run_lint(build, pattern):
    results = Results()
    for script in sorted((ROOT / "test/lint").glob("check_*.py")):
        if not pattern.search(script.name):
            continue
        result = subprocess.run([sys.executable, str(script), "--build", str(build)], cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            results.failures.append((script.name, result.stdout))
        else:
            results.passed += 1
    return results


def skip_reason(output, test):
    """What GTEST_SKIP() was told; older versions of GoogleTest leave it out of their JSON."""
    match = re.search(rf"^\[ RUN      \] {re.escape(test)}\n(.*?)^\[  SKIPPED \]", output, re.M | re.S)
    return match.group(1) if match else ""


def run_unit(build, pattern):
    results = Results()
    for program in sorted((build / "bin").glob("*-tests")):
        if not pattern.search(program.name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "result.json"
            result = subprocess.run([str(program), f"--gtest_output=json:{out}"], cwd=ROOT, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if not out.exists():
                results.failures.append((program.name, result.stdout))
                continue
            document = json.loads(out.read_text())
        for suite in document["testsuites"]:
            for case in suite["testsuite"]:
                name = f"{program.name} {suite['name']}.{case['name']}"
                if case.get("failures"):
                    results.failures.append((name, "\n".join(f["failure"] for f in case["failures"])))
                elif case.get("result") == "SKIPPED":
                    results.skip(name, skip_reason(result.stdout, f"{suite['name']}.{case['name']}"))
                elif case.get("result") == "COMPLETED":
                    results.passed += 1
                else:  # DISABLED_ cases are SUPPRESSED
                    results.failures.append((name, f"did not run: {case.get('result')}"))
        if result.returncode and not any(name.startswith(program.name) for name, _ in results.failures):
            results.failures.append((program.name, result.stdout))
    return results


def run_lit_suite(folder, pattern):
    lit = next(p for p in ("/usr/lib/llvm-22/bin/lit", "/usr/lib/llvm-22/build/utils/lit/lit.py", "lit")
               if os.path.exists(p) or p == "lit")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "result.json"
        command = [lit, "-q", "--output", str(out), "--filter", pattern.pattern or ".", "--allow-empty-runs",
                   str(folder)]
        result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not out.exists():
            return Results(0, [(str(folder), result.stdout)])
        document = json.loads(out.read_text())
    results = Results()
    for test in document["tests"]:
        if test["code"] in ("PASS", "FLAKYPASS", "XFAIL"):
            results.passed += 1
        elif test["code"] in ("UNSUPPORTED", "SKIPPED"):
            results.skip(test["name"], test["output"])
        elif test["code"] != "EXCLUDED":
            results.failures.append((test["name"], test["output"]))
    return results


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
    passed, failed, skipped = 0, 0, []
    for level, run in LEVELS.items():
        if options.only and level not in options.only:
            continue
        start = time.time()
        results = run(options.build.resolve(), pattern)
        if not results.passed and not results.failures and not results.skipped and not options.filter:
            results.failures = [(f"no test found at level {level}", "")]
        report(level, results, time.time() - start)
        passed += results.passed
        failed += len(results.failures)
        skipped += results.skipped
    if not passed and not failed and not skipped:
        print(f"no test matches '{options.filter}'")
        failed = 1
    if skipped:
        print(f"{len(skipped)} skipped: {', '.join(skipped)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
