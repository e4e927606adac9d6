#!/usr/bin/env python3
"""clang-tidy (.clang-tidy) over all headers, all sources of the runtime, and sources that differ from main.

Every source that includes MLIR costs seconds, all of them as much as the other tests together (test/README.md). The
headers hold the names that others see, and one translation unit has them all. `check_tidy.py --build DIR --all` runs
over everything.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess

from common import ROOT, finish, tracked

TIDY = "clang-tidy-22"
WARNING = re.compile(r"^(/\S+:\d+:\d+: (?:warning|error): .*)$", re.M)


def flags_of(commands, path):
    """The arguments of the compiler for a source, without output, input and precompiled header."""
    words = iter(shlex.split(next(c["command"] for c in commands if c["file"] == str(path)))[1:])
    flags = []
    for word in words:
        if word in ("-o", "-c"):
            next(words)
        elif word == "-Xclang":
            if next(words) not in ("-include-pch", "-include"):
                continue
            next(words), next(words)
        elif word != "-Winvalid-pch":
            flags.append(word)
    return flags


def headers_unit(build, commands):
    """A translation unit of all headers, and how to compile it."""
    headers = [p.relative_to(ROOT) for p in tracked(".h")
               if p.relative_to(ROOT).parts[0] in ("compiler", "dialects", "passes", "runtime")]
    unit = build / "lint/AllHeaders.cpp"
    unit.parent.mkdir(exist_ok=True)
    unit.write_text("".join(f'#include "{h}"\n' for h in sorted(headers)))
    return [str(unit), "--", *flags_of(commands, ROOT / "compiler/tools/contraflow-opt.cpp")]


def changed():
    """Sources that differ from the last common commit with main, or on main itself from the commit before; and those
    that are not committed. A clone of a branch has no main of its own, but the one it was cloned from."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
    def commit(name):
        return git("rev-parse", "--verify", "-q", f"{name}^{{commit}}").strip()
    main = commit("origin/main") or commit("main")
    base = git("merge-base", "HEAD", main).strip() if main else ""
    if base in ("", commit("HEAD")):
        base = commit("HEAD~1") or "HEAD"
    names = git("diff", "--name-only", base) + git("ls-files", "-o", "--exclude-standard")
    return {ROOT / name for name in names.splitlines()}


def run(arguments):
    result = subprocess.run([TIDY, "--quiet", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    warnings = WARNING.findall(result.stdout)
    return warnings or ([result.stdout + result.stderr] if result.returncode else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    build = options.build.resolve()
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = {pathlib.Path(c["file"]) for c in commands} & set(tracked(".cpp"))
    edited = changed()
    jobs = [headers_unit(build, commands)]
    jobs += [["-p", str(build), str(s)] for s in sorted(sources)
             if options.all or ROOT / "runtime" in s.parents or s in edited]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = {f.replace(f"{ROOT}/", "") for warnings in pool.map(run, jobs) for f in warnings}
    finish(sorted(findings))


if __name__ == "__main__":
    main()
