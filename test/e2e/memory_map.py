#!/usr/bin/env python3
"""Compiles run files and checks the memory map of each trainer against its program: no two buffers in use at the same
time share a byte, every address of a row lies in a buffer that is in use, and the arena is at most 1.05 times the most
bytes in use.

usage: memory_map.py CONTRAFLOW FOLDER RUN.json...
"""
import json
import pathlib
import subprocess
import sys

MOST_RATIO = 1.05  # what the planner is allowed above the bound
contraflow, folder, runs = sys.argv[1], pathlib.Path(sys.argv[2]), [pathlib.Path(run) for run in sys.argv[3:]]


def manifest_of(run):
    trainer = folder / f"{run.parent.name}-{run.stem}"
    subprocess.run([contraflow, "compile", run, "-o", trainer], check=True)
    return json.loads(subprocess.run([trainer, "--info", "--json"], check=True, stdout=subprocess.PIPE).stdout)


def live(buffers, row):
    return sorted((b for b in buffers if b["bytes"] and b["first"] <= row <= b["last"]), key=lambda b: b["offset"])


def rounded(size):
    return -(-size // 64) * 64


# Every row is told where the regions of its parameters are, whether or not it works on them.
REGIONS = 4


def check_row(where, row, buffers):
    for below, above in zip(buffers, buffers[1:]):
        if below["offset"] + below["bytes"] > above["offset"]:
            sys.exit(f"{where}: '{below['name']}' lies over '{above['name']}'")
    for base in row["bases"][REGIONS:]:
        if base >= 0 and not any(b["offset"] <= base < b["offset"] + b["bytes"] for b in buffers):
            sys.exit(f"{where}: {row['layer']} works at {base}, where nothing is in use")


def check(run):
    manifest = manifest_of(run)
    persistent, most = {}, 0
    for name, rows in manifest["programs"].items():
        buffers = manifest["memory"][name]
        for b in buffers:
            if b.get("persistent"):
                place = persistent.setdefault((b["kind"], b["name"]), (b["offset"], b["bytes"]))
                if place != (b["offset"], b["bytes"]):
                    sys.exit(f"{run}: '{b['name']}' moves between programs")
        for number, row in enumerate(rows):
            now = live(buffers, number)
            check_row(f"{run}: {name} row {number}", row, now)
            most = max(most, sum(rounded(b["bytes"]) for b in now if not b.get("persistent")))
        outputs = [o["offset"] for o in manifest["outputs"] if o["program"] == name]
        if any(all(b["offset"] != offset for b in live(buffers, len(rows))) for offset in outputs):
            sys.exit(f"{run}: an output of '{name}' is not in use after its program")
    most += sum(rounded(size) for _, size in persistent.values())
    if most != manifest["max_live_bytes"]:
        sys.exit(f"{run}: {most} bytes are in use at most, the manifest says {manifest['max_live_bytes']}")
    arena = manifest["arena_bytes"]
    print(f"{run.parent.name}/{run.stem}: arena {arena}, live {most}, ratio {arena / most:.4f}")
    if arena > MOST_RATIO * most:
        sys.exit(f"{run}: the arena is more than {MOST_RATIO} times what is in use")


folder.mkdir(parents=True, exist_ok=True)
for run in runs:
    check(run)
