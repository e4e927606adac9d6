#!/usr/bin/env python3
"""Trains a run file with a trainer that checks its memory and with one that does not: the same losses and the same
tensors in the checkpoint, bit for bit.

usage: checked_bits.py CONTRAFLOW RUN.json DATA FOLDER
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
from safetensors_io import load

STEPS = 6
contraflow, run, data, folder = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])


def train(name, *options):
    """Steps as metrics tell them, and the tensors of the checkpoint."""
    subprocess.run([contraflow, "compile", run, *options, "-o", folder / name], check=True)
    subprocess.run([folder / name, "--data", data, "--include", "*.cpp", "--steps", str(STEPS), "--sample-length", "0",
                    "--set", "train.validation_tokens=512", "--checkpoint", folder / f"{name}.checkpoint", "--metrics",
                    folder / f"{name}.jsonl"], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    checkpoint, = (folder / f"{name}.checkpoint").rglob("model.safetensors")
    return rows, load(checkpoint)[0]


folder.mkdir(parents=True, exist_ok=True)
(plain, wanted), (rows, tensors) = train("plain"), train("checked", "--checked")
info = subprocess.run([folder / "checked", "--info"], check=True, text=True, stdout=subprocess.PIPE).stdout
if "guard bytes" not in info:
    sys.exit("the trainer does not say that it is a checked one")
for step, (a, b) in enumerate(zip(plain, rows), 1):
    for key in ("loss", "total", "losses", "gradient_norm", "validation_loss"):
        if a.get(key) != b.get(key):
            sys.exit(f"step {step}: {key} is {b.get(key)}, without checks {a.get(key)}")
different = [name for name in wanted if wanted[name].tobytes() != tensors[name].tobytes()]
if len(rows) != STEPS or len(plain) != STEPS or wanted.keys() != tensors.keys() or different:
    sys.exit(f"{len(rows)} steps, tensors that differ: {different[:5]}")
print(f"{STEPS} steps, {len(wanted)} tensors, same bits")
