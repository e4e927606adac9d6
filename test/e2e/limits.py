#!/usr/bin/env python3
"""Runs a command and fails when it takes more processor time or memory than allowed.

usage: limits.py --seconds S --megabytes M COMMAND...
Processor time and not wall time, so that other work on the machine does not matter.
"""
import argparse
import resource
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, required=True)
parser.add_argument("--megabytes", type=float, required=True)
parser.add_argument("command", nargs=argparse.REMAINDER)
options = parser.parse_args()
code = subprocess.run(options.command).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(f"{seconds:.1f} s of processor time, {megabytes:.0f} MB")
sys.exit(code or int(seconds > options.seconds or megabytes > options.megabytes))
