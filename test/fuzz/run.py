#!/usr/bin/env python3
"""Runs fuzzers and says what they found.

usage: test/fuzz/run.py --build DIR [NAME...] [--seconds N] [--merge]

NAME is a folder of test/fuzz/corpus (default: all). Each fuzzer starts from its corpus and from what earlier runs
found in DIR/corpus/NAME. A crash, a leak, a hang (10 s) or 2 GiB of memory ends it; the input is left in
DIR/findings. With --merge the corpora in the tree get the inputs that reach what they do not.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent
CORPUS = ROOT / "corpus"
# An input is stopped after so many seconds, and at so many MiB. A run file or a model is a few kilobytes.
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=1024", "-max_len=32768"]
DICTIONARIES = {"run-file": "json.dict", "config": "json.dict", "manifest": "json.dict", "safetensors": "json.dict",
                "model": "mlir.dict", "ir": "mlir.dict"}


def run(build, name, seconds):
    """Whether nothing was found."""
    work, findings = build / "corpus" / name, build / "findings"
    work.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    log = findings / f"{name}.log"
    command = [str(build / "bin" / f"fuzz-{name}"), str(work), str(CORPUS / name), f"-max_total_time={seconds}",
               f"-artifact_prefix={findings / name}-", f"-dict={ROOT / DICTIONARIES[name]}", "-print_final_stats=1",
               *LIMITS]
    start = time.time()
    with log.open("w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    outcome = f"FOUND, see {log}" if code else "nothing found"
    print(f"{name}: {runs.group(1) if runs else '?'} runs in {time.time() - start:.0f} s, "
          f"{sum(1 for _ in work.iterdir())} inputs of its own, {outcome}", flush=True)
    return code == 0


def merge(build, name):
    before = {path.name for path in (CORPUS / name).iterdir()}
    subprocess.run([str(build / "bin" / f"fuzz-{name}"), "-merge=1", str(CORPUS / name), str(build / "corpus" / name),
                    *LIMITS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    new = [path for path in (CORPUS / name).iterdir() if path.name not in before]
    print(f"{name}: {len(new)} new inputs, {sum(path.stat().st_size for path in new)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", default=[])
    options = parser.parse_args()
    build, names = options.build.resolve(), options.names or sorted(DICTIONARIES)
    for name in names:
        if name not in DICTIONARIES:
            parser.error(f"no fuzzer '{name}', wanted one of {', '.join(sorted(DICTIONARIES))}")
    if options.merge:
        for name in names:
            merge(build, name)
        return 0
    return 0 if all([run(build, name, options.seconds) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
