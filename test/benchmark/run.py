#!/usr/bin/env python3
"""Builds the benchmarks and prints their figures.

usage: test/benchmark/run.py --build DIR [NAME...]

NAME is a regular expression over benchmark names, such as `linear/forward` or `threads:1$`; several are
alternatives. Figures are those of the fastest iteration. Quiet machines only: on a busy one, give the run
a real-time priority (`chrt -f 1`), because `nice` does not reach across sessions.
"""
import argparse
import json
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    subprocess.run(["ninja", "-C", str(arguments.build), "benchmarks"], check=True, stdout=subprocess.DEVNULL)
    command = [str(arguments.build / "bin" / "kernel-benchmark"), "--benchmark_min_time=0.1",
               "--benchmark_format=json", "--benchmark_filter=" + ("|".join(arguments.names) or ".")]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode or not result.stdout.strip():
        sys.exit(f"{' '.join(command)}:\n{result.stderr.strip() or 'no benchmark has such a name'}")
    print(f"{'benchmark':<72} {'GFLOP/s':>8} {'% of peak':>10} {'compile ms':>11}")
    for run in json.loads(result.stdout)["benchmarks"]:
        if run.get("error_occurred"):
            sys.exit(f"{run['name']}: {run['error_message']}")
        print(f"{run['name']:<72} {run['GFLOPs']:>8.1f} {run['peak%']:>10.1f} {run['compile_ms']:>11.0f}")


if __name__ == "__main__":
    main()
