#!/usr/bin/env python3
"""Refuses two metrics files that differ in any bit of what is not measured of the machine.

usage: compare_metrics.py A.jsonl B.jsonl
"""
import sys

from metrics_file import read

left, right = (read(path) for path in sys.argv[1:])
if len(left) < 5 or any("loss" not in row or "gradient_norm" not in row for row in left):
    sys.exit(f"{sys.argv[1]} holds too little to compare: {left[:2]}")
if len(left) != len(right):
    sys.exit(f"{len(left)} steps against {len(right)}")
for a, b in zip(left, right):
    # The last step of a run validates, whatever comes after it in another run.
    for key in [key for key in a.keys() ^ b.keys() if key.startswith("validation_")]:
        a.pop(key, None), b.pop(key, None)
different = [(a, b) for a, b in zip(left, right) if a != b]
if different:
    sys.exit(f"{len(different)} steps differ, first {different[0]}")
print(f"{len(left)} steps, same bits")
