#!/usr/bin/env python3
"""Compiles a run file with 1, 2 and 4 micro-batches and two depths of multi-token prediction, and compares the first
step on the same ids: sums are taken in another order, so losses and gradients agree up to rounding.

usage: micro_batches.py CONTRAFLOW RUN.json FOLDER
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
import numpy as np
from safetensors_io import load, save

LOSS_BOUND, GRADIENT_BOUND = 2e-6, 1e-5  # as contraflow verify

contraflow, run, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
document = json.loads(run.read_text())
document["architecture"] = str((run.parent / document.get("architecture", "model.mlir")).resolve())
document["model"]["num_nextn_predict_layers"] = 2
tokens, sequence = document["batch"]["tokens"], document["batch"]["sequence"]
ids = np.random.default_rng(1).integers(0, document["model"]["vocab_size"], (tokens // sequence, sequence))
save(folder / "ids.safetensors", {"input_ids": ids.astype(np.int32)})

results = {}
for count in (1, 2, 4):
    document["batch"]["micro_batches"] = count
    (folder / "run.json").write_text(json.dumps(document))
    subprocess.run([contraflow, "compile", folder / "run.json", "-o", folder / "trainer"], check=True)
    subprocess.run([folder / "trainer", "probe", "--ids", folder / "ids.safetensors", "--steps", "1", "--out",
                    folder / "out.safetensors"], check=True)
    results[count], _ = load(folder / "out.safetensors")

failures = 0
for count in (2, 4):
    worst, counts_differ = {"losses": 0.0, "gradients": 0.0}, []
    assert results[count].keys() == results[1].keys()
    for name, value in results[1].items():
        value, other = value.astype(np.float64), results[count][name].astype(np.float64)
        if name.startswith(("loss.", "totals")):
            worst["losses"] = np.maximum(worst["losses"], np.max(np.abs(value - other) / np.abs(value)))
        elif name.startswith("grad.") and np.any(value):
            error = np.linalg.norm(value - other) / np.linalg.norm(value)
            worst["gradients"] = np.maximum(worst["gradients"], error)
        elif name.startswith("metric.") and not name.endswith("balance_loss") and np.any(value != other):
            counts_differ.append(name)
    over = not (worst["losses"] <= LOSS_BOUND and worst["gradients"] <= GRADIENT_BOUND)  # NaN is over
    failures += over or bool(counts_differ)
    print(f"{count} micro-batches: losses {worst['losses']:.1e}, gradients {worst['gradients']:.1e}"
          f"{' OVER THE BOUND' if over else ''}" + "".join(f", {name} DIFFERS" for name in counts_differ))
sys.exit(failures)
