#!/usr/bin/env python3
"""Changes the compiler in more than a hundred places, one at a time, and says which changes no test notices.

usage: test/mutation/run.py --build DIR [--count N] [--jobs N] [--only NUMBER...] [--list]

Every mutant is written into one copy of the tree (DIR/tree), guarded by its number; the copy is built once (DIR/build).
Each test runs once without a mutant, which says how long it takes and which mutants it reaches. Then each mutant meets
the tests that reach it, the quickest first, until one fails. DIR/report.md has the table. The exit status is 1 where
less than 95 % are killed, or a survivor has no reason in test/mutation/survivors.json.
"""
import argparse
import concurrent.futures
import dataclasses
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import mutants as finder

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SURVIVORS = pathlib.Path(__file__).with_name("survivors.json")
LIT = "/usr/lib/llvm-22/bin/lit"

# What is mutated: files, and the names of the functions in them.
GROUPS = {
    "gradient": [("dialects/nn/NNGrad.cpp", "."), ("passes/autodiff/Gradient.cpp", "."),
                 ("dialects/nn/NNKernels*.cpp", r"Grad\w*::buildKernels|WeightGrad")],
    "verifier": [("dialects/nn/OpChecks.cpp", "."), ("dialects/nn/NNGradOps.cpp", "."),
                 ("dialects/nn/NNOps.cpp", "[vV]erify"), ("dialects/pipe/Pipe.cpp", "[vV]erify"),
                 ("passes/*/Verify*.cpp", "."), ("passes/lowering/common/CodeChecks.cpp", ".")],
    "planner": [("passes/memory/Planner.cpp", "."), ("passes/memory/Plan*.cpp", ".")],
    "route": [("passes/lowering/cpu/Route.cpp", "."), ("dialects/nn/NNKernelsRouting.cpp", ".")],
}
TARGETS = ["contraflow", "contraflow-opt", "dialects-nn-tests", "passes-autodiff-tests", "passes-fusion-tests",
           "passes-memory-tests", "passes-lowering-cpu-tests", "compiler-frontend-tests"]
# Lit tests that look at what the compiler computes. Others are about files, options, or the runtime.
LIT_TESTS = {"lit": r"Dialects/|Passes/",
             "e2e": r"verify-(?:golden|mtp)|edited-model-none|document-mask|mtp-depth|train-and-resume"}


@dataclasses.dataclass
class Test:
    name: str
    command: list
    seconds: float = 0
    reached: set = dataclasses.field(default_factory=set)


#===------------------------------------------------------------------------===#
# One tree and one build for all mutants
#===------------------------------------------------------------------------===#


def tracked():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, check=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    return sorted(name for name in names if (ROOT / name).is_file())


def overlap(a, b):
    return a.path == b.path and a.begin < b.end and b.begin < a.end


def choose(count, refused):
    """`count` mutants of each group: in turn of each kind the one whose hash comes first. Numbers start at 1."""
    names, chosen = tracked(), []
    for group, places in GROUPS.items():
        queues = {}
        for pattern, functions in places:
            for path in fnmatch.filter(names, pattern):
                for mutant in finder.find_mutants(path, (ROOT / path).read_text(), functions):
                    mutant.group = group
                    if mutant.key() not in refused:
                        queues.setdefault(mutant.kind, {})[mutant.key()] = mutant
        queues = {kind: [queue[key] for key in sorted(queue, reverse=True)] for kind, queue in sorted(queues.items())}
        mine = []
        while len(mine) < count and any(queues.values()):
            for queue in queues.values():
                while queue and len(mine) < count:
                    mutant = queue.pop()
                    if not any(overlap(mutant, other) for other in chosen + mine):
                        mine.append(mutant)
                        break
        chosen += mine
    return dict(enumerate(chosen, 1))


def write_tree(tree, chosen):
    """Files whose text is the same keep their time, so that little is built again."""
    by_path = {}
    for number, mutant in chosen.items():
        by_path.setdefault(mutant.path, {})[number] = mutant
    names = tracked()
    for name in names:
        text = (ROOT / name).read_bytes()
        if name in by_path:
            text = finder.apply(text.decode(), by_path[name]).encode()
        if name in ("test/lit/lit.cfg.py", "test/e2e/lit.cfg.py"):
            text += b'\nfor name in os.environ:\n    if name.startswith("CONTRAFLOW_MUTANT"):\n' \
                    b'        config.environment[name] = os.environ[name]\n'
        target = tree / name
        if not target.exists() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
            target.chmod((ROOT / name).stat().st_mode)
    for path in tree.rglob("*"):
        if path.is_file() and str(path.relative_to(tree)) not in set(names) and "__pycache__" not in path.parts:
            path.unlink()


def compile_tree(folder, chosen):
    """Builds. Returns the mutants that do not compile."""
    tree, build = folder / "tree", folder / "build"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "-G", "Ninja", "-S", tree, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                        "-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22"], check=True,
                       stdout=subprocess.DEVNULL)
    result = subprocess.run(["ninja", "-C", build, "-k", "0", *TARGETS], text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not result.returncode:
        return set()
    bad = set()
    for path, line in re.findall(rf"{re.escape(str(tree))}/(\S+?):(\d+):\d+: (?:error|note)", result.stdout):
        text = (tree / path).read_text().splitlines()[int(line) - 1]
        bad |= {int(n) for n in re.findall(r"isActive\((\d+)\)|mutation::\w+\{(\d+)\}", text) for n in n if n}
    if not bad:
        # A choice of several lines: the error is at one of them.
        for path, line in re.findall(rf"{re.escape(str(tree))}/(\S+?):(\d+):\d+: error", result.stdout):
            before = "\n".join((tree / path).read_text().splitlines()[:int(line)])
            bad |= {int(n) for n in re.findall(r"isActive\((\d+)\)", before)[-1:]}
    if not bad:
        sys.exit(result.stdout[-5000:])
    return bad


def build_mutants(folder, count):
    """Mutants that compile, by number."""
    refused_file = folder / "refused.json"
    refused = set(json.loads(refused_file.read_text())) if refused_file.exists() else set()
    while True:
        chosen = choose(count, refused)
        write_tree(folder / "tree", chosen)
        print(f"mutation: building {len(chosen)} mutants", flush=True)
        bad = compile_tree(folder, chosen)
        if not bad:
            return chosen
        for number in sorted(bad):
            print(f"mutation: does not compile: {chosen[number].path}: {chosen[number].change}")
        refused |= {chosen[number].key() for number in bad}
        refused_file.write_text(json.dumps(sorted(refused), indent=1))


#===------------------------------------------------------------------------===#
# Tests
#===------------------------------------------------------------------------===#


def list_tests(build):
    """Programs of unit tests by suite, and lit tests by file."""
    tests = []
    for program in (build / "bin" / target for target in TARGETS if target.endswith("-tests")):
        listing = subprocess.run([program, "--gtest_list_tests"], text=True, check=True, stdout=subprocess.PIPE).stdout
        for suite in re.findall(r"^(\S+)\.", listing, re.M):
            tests.append(Test(f"{program.name} {suite}", [program, f"--gtest_filter={suite}.*", "--gtest_fail_fast"]))
    for level in ("lit", "e2e"):
        listing = subprocess.run([LIT, "--show-tests", build / "test" / level], text=True, check=True,
                                 stdout=subprocess.PIPE).stdout
        for name in re.findall(rf":: (\S*(?:{LIT_TESTS[level]})\S*)$", listing, re.M):
            tests.append(Test(f"{level} {name}",
                              [LIT, "-q", "-j1", "--filter", f":: {re.escape(name)}$", build / "test" / level]))
    return tests


def run_test(test, mutant, timeout, reached=None):
    """Whether it passes. A hang is a failure."""
    environment = dict(os.environ, CONTRAFLOW_MUTANT=str(mutant))
    if reached:
        environment["CONTRAFLOW_MUTANTS_REACHED"] = str(reached)
    process = subprocess.Popen(test.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        return process.wait(timeout) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return False


def measure(test, scratch):
    """The time of a test, and the mutants that it reaches."""
    reached = scratch / re.sub(r"\W", "_", test.name)
    reached.unlink(missing_ok=True)
    start = time.monotonic()
    if not run_test(test, 0, 3600, reached):
        sys.exit(f"mutation: '{test.name}' fails without a mutant: {' '.join(map(str, test.command))}")
    test.seconds = time.monotonic() - start
    data = reached.read_bytes() if reached.exists() else b""
    test.reached = {number for number, byte in enumerate(data) if byte}
    return test


def find_killer(number, tests):
    """The first test that fails, or nothing."""
    for test in tests:
        # A mutant that makes a loop longer is as good as one that makes it endless.
        if number in test.reached and not run_test(test, number, 60 + 10 * test.seconds):
            return test.name
    return None


#===------------------------------------------------------------------------===#
# Report
#===------------------------------------------------------------------------===#


def get_reason(mutant):
    for entry in json.loads(SURVIVORS.read_text()):
        if (entry["path"], entry["change"], entry["line"]) == (mutant.path, mutant.change, mutant.line):
            return entry["reason"]
    return ""


def write_report(path, chosen, killers):
    lines = ["| mutant | place | change | killed by |", "| --- | --- | --- | --- |"]
    for number, killer in sorted(killers.items()):
        mutant = chosen[number]
        where = f"{mutant.path}: `{mutant.line[:90]}`"
        outcome = killer or f"**survived** {get_reason(mutant)}"
        lines.append(f"| {number} {mutant.group} | {where} | {mutant.kind}: `{mutant.change[:90]}` | {outcome} |")
    path.write_text("\n".join(lines) + "\n")


def run_mutants(folder, chosen, numbers, jobs):
    scratch = folder / "reached"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    killers = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tests = list(pool.map(lambda test: measure(test, scratch), list_tests(folder / "build")))
        tests.sort(key=lambda test: test.seconds)
        print(f"mutation: {len(tests)} tests, {sum(test.seconds for test in tests):.0f} s without mutants", flush=True)
        work = {pool.submit(find_killer, number, tests): number for number in numbers}
        for done in concurrent.futures.as_completed(work):
            number = work[done]
            killers[number] = done.result()
            if not killers[number]:
                mutant = chosen[number]
                unreached = "" if any(number in test.reached for test in tests) else ", which no test reaches"
                print(f"survived{unreached}: {number} {mutant.path}: {mutant.line}\n    {mutant.kind}: {mutant.change}",
                      flush=True)
    return killers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutation")
    parser.add_argument("--count", type=int, default=32, help="mutants of each group")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER")
    parser.add_argument("--list", action="store_true", help="print the mutants, build nothing")
    options = parser.parse_args()
    folder = options.build.resolve()
    if options.list:
        for number, mutant in choose(options.count, set()).items():
            print(f"{number} {mutant.group} {mutant.path}: {mutant.kind}: {mutant.change}")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    chosen = build_mutants(folder, options.count)
    killers = run_mutants(folder, chosen, options.only or list(chosen), options.jobs)
    write_report(folder / "report.md", chosen, killers)
    survivors = [chosen[number] for number, killer in killers.items() if not killer]
    unexplained = sum(1 for mutant in survivors if not get_reason(mutant))
    for group in GROUPS:
        mine = [number for number in killers if chosen[number].group == group]
        print(f"{group}: {sum(1 for n in mine if killers[n])} of {len(mine)} killed")
    print(f"{len(killers) - len(survivors)} of {len(killers)} mutants killed, {len(survivors)} survived, "
          f"{unexplained} of them without a reason")
    return 0 if 100 * len(survivors) <= 5 * len(killers) and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
