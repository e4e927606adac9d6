#!/usr/bin/env python3
"""Runs every test of a build and ends with `N passed, N failed`.

usage: test/run.py --build DIR [--only lint|unit|lit|e2e|checked ...] [--filter REGEX]

Levels, in this order: lint (scripts in test/lint), unit (GoogleTest executables `*-tests`),
lit (test/lit), e2e (test/e2e), checked (test/e2e again, with trainers that check their memory).
A level that finds no test counts as a failure: a test that cannot fail is a defect. So does a skipped test, unless
it says "machine": what a processor lacks cannot be installed, everything else is installed by `./dev setup`. In a
build with sanitizers it may say "uninstrumented": it looks at what sanitizers change, such as time or code.
A test that does not end is a failure: it is stopped after a time that no test needs.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNNING = re.compile(r"^\[ RUN      \] (\S+)$", re.M)


class Build:
    """A build folder, and how long one test may take there."""

    def __init__(self, folder, timeout):
        self.folder = folder
        cache = folder / "CMakeCache.txt"
        found = re.search(r"^CONTRAFLOW_SANITIZE:\w+=(.+)$", cache.read_text(), re.M) if cache.exists() else None
        self.sanitizers = found.group(1) if found else ""
        # No test takes two minutes by itself. Sanitizers make code slower by up to 15 times.
        self.timeout = timeout or (3600 if self.sanitizers else 600)


class Results:
    """Of one level: a number, and names with reasons."""

    def __init__(self, build):
        self.build, self.passed, self.failures, self.skipped = build, 0, [], []

    def skip(self, name, reason):
        """REQUIRES: machine-avx512f in a lit test, GTEST_SKIP() << "this machine lacks ..." in a unit test."""
        features = re.search(r"unavailable features: (.*)", reason)
        reasons = features.group(1).split(",") if features else [reason]
        if all("machine" in one or (self.build.sanitizers and "uninstrumented" in one) for one in reasons):
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


def run_watched(command, timeout):
    """Output and exit status of a program, and whether it was stopped because it wrote nothing for so many seconds."""
    process = subprocess.Popen(command, cwd=ROOT, text=True, errors="replace", stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    lines, hangs = [], False

    def stop():
        nonlocal hangs
        hangs = True
        os.killpg(process.pid, signal.SIGKILL)  # What it started holds the pipe open.

    try:
        while True:
            watcher = threading.Timer(timeout, stop)
            watcher.start()
            line = process.stdout.readline()
            watcher.cancel()
            if not line:
                return "".join(lines), process.wait(), hangs
            lines.append(line)
    except KeyboardInterrupt:
        stop()
        raise


def run_lint(build, pattern):
    results = Results(build)
    for script in sorted((ROOT / "test/lint").glob("check_*.py")):
        if not pattern.search(script.name):
            continue
        output, code, hangs = run_watched([sys.executable, str(script), "--build", str(build.folder)], build.timeout)
        if hangs:
            results.failures.append((script.name, f"silent for {build.timeout} s, stopped\n{output}"))
        elif code:
            results.failures.append((script.name, output))
        else:
            results.passed += 1
    return results


def skip_reason(output, test):
    """What GTEST_SKIP() was told; older versions of GoogleTest leave it out of their JSON."""
    match = re.search(rf"^\[ RUN      \] {re.escape(test)}\n(.*?)^\[  SKIPPED \]", output, re.M | re.S)
    return match.group(1) if match else ""


def run_unit(build, pattern):
    results = Results(build)
    for program in sorted((build.folder / "bin").glob("*-tests")):
        if not pattern.search(program.name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "result.json"
            # GoogleTest says when a test begins and when it ends, so that silence is the time of one test.
            output, code, hangs = run_watched([str(program), f"--gtest_output=json:{out}"], build.timeout)
            if hangs or not out.exists():
                # A crash or a hang: the test that ran is the last one that began.
                name = f"{program.name} {' '.join(RUNNING.findall(output)[-1:])}".strip()
                what = f"did not end in {build.timeout} s, stopped" if hangs else f"ended with status {code}"
                results.failures.append((name, f"{output}\n{what}"))
                continue
            document = json.loads(out.read_text())
        for suite in document["testsuites"]:
            for case in suite["testsuite"]:
                name = f"{program.name} {suite['name']}.{case['name']}"
                if case.get("failures"):
                    results.failures.append((name, "\n".join(f["failure"] for f in case["failures"])))
                elif case.get("result") == "SKIPPED":
                    results.skip(name, skip_reason(output, f"{suite['name']}.{case['name']}"))
                elif case.get("result") == "COMPLETED":
                    results.passed += 1
                else:  # DISABLED_ cases are SUPPRESSED
                    results.failures.append((name, f"did not run: {case.get('result')}"))
        if code and not any(name.startswith(program.name) for name, _ in results.failures):
            results.failures.append((program.name, output))
    return results


def run_lit_suite(build, folder, pattern, *parameters):
    lit = next(p for p in ("/usr/lib/llvm-22/bin/lit", "/usr/lib/llvm-22/build/utils/lit/lit.py", "lit")
               if os.path.exists(p) or p == "lit")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "result.json"
        command = [lit, "-q", "--output", str(out), "--filter", pattern.pattern or ".", "--allow-empty-runs",
                   *(f"--param={parameter}" for parameter in parameters), "--timeout", str(build.timeout),
                   str(build.folder / folder)]
        result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        results = Results(build)
        if not out.exists():
            results.failures.append((str(folder), result.stdout))
            return results
        document = json.loads(out.read_text())
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
    "lit": lambda build, pattern: run_lit_suite(build, "test/lit", pattern),
    "e2e": lambda build, pattern: run_lit_suite(build, "test/e2e", pattern),
    "checked": lambda build, pattern: run_lit_suite(build, "test/e2e", pattern, "checked=1"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=list(LEVELS))
    parser.add_argument("--filter", default="",
                        help="regular expression on test names; at level unit on names of programs")
    parser.add_argument("--timeout", type=int, help="seconds that one test may take")
    options = parser.parse_args()
    build = Build(options.build.resolve(), options.timeout)
    pattern = re.compile(options.filter)
    passed, failed, skipped = 0, 0, []
    for level, run in LEVELS.items():
        if options.only and level not in options.only:
            continue
        start = time.time()
        results = run(build, pattern)
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
