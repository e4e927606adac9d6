#!/usr/bin/env python3
"""Writes a run file with another number of micro-batches, of one sequence each.

usage: many_micro_batches.py RUN.json MICRO_BATCHES OUT.json
"""
import json
import pathlib
import sys

source, count, out = pathlib.Path(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
run = json.loads(source.read_text())
run["architecture"] = str((source.parent / run.get("architecture", "model.mlir")).resolve())
run["batch"].update(micro_batches=count, tokens=count * run["batch"]["sequence"])
out.write_text(json.dumps(run))
