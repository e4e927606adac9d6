#!/usr/bin/env python3
"""Refuses two metrics files whose steps, losses or gradient norms differ in any bit.

usage: compare_metrics.py A.jsonl B.jsonl
"""
import json
import sys

KEYS = ("step", "loss", "gradient_norm", "learning_rate")


def read(path):
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    return [{key: row[key] for key in KEYS if key in row} for row in rows if "step" in row and "loss" in row]


left, right = (read(path) for path in sys.argv[1:])
if len(left) < 5 or any(len(row) < 3 for row in left):
    sys.exit(f"{sys.argv[1]} holds too little to compare: {left[:2]}")
if len(left) != len(right):
    sys.exit(f"{len(left)} steps against {len(right)}")
different = [(a, b) for a, b in zip(left, right) if a != b]
if different:
    sys.exit(f"{len(different)} steps differ, first {different[0]}")
print(f"{len(left)} steps, same bits")
