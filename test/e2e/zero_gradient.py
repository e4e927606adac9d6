#!/usr/bin/env python3
"""Makes a folder of recorded steps in which the gradient of a router is zero: one expert a token, whose gate is
normalised to 1 whatever its score. The compiled model records itself, but for the router, whose gradient and steps
are written as they are without rounding.

usage: zero_gradient.py CONTRAFLOW FOLDER COPY VARIANT
  VARIANT: exact; gradient: the router's gradient is not zero; step: its parameter has moved too far; other: another
  gradient is wrong by a part that the norm of all gradients would hide
"""
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
from safetensors_io import load, save  # noqa: E402

RATE, DECAY, STEPS = 1e-3, 0.1, 3
ROUTER = "model.layers.1.mlp.gate.weight"
OTHER = "model.layers.1.self_attn.q_a_layernorm.weight"
contraflow, source, folder, variant = sys.argv[1], *map(pathlib.Path, sys.argv[2:4]), sys.argv[4]

shutil.rmtree(folder, ignore_errors=True)
shutil.copytree(source, folder)
config = json.loads((folder / "config.json").read_text())
config.update(num_experts_per_tok=1, norm_topk_prob=True)
(folder / "config.json").write_text(json.dumps(config))
# The recorded steps are those of another model, so this one fails and leaves what it computed.
subprocess.run([contraflow, "verify", folder, "--keep", folder / "kept"], stdout=subprocess.DEVNULL, check=False)
result, _ = load(folder / "kept/result.safetensors")
io, _ = load(folder / "io.safetensors")
parameters, _ = load(folder / "model.safetensors")
recorded = {name: result[name].reshape(array.shape) for name, array in io.items() if name in result}
recorded["input_ids"] = io["input_ids"]
noise = np.linalg.norm(recorded["grad." + ROUTER].astype(np.float64))
if noise == 0:
    sys.exit("zero_gradient: the gradient of the router has no rounding errors, this tests nothing")
recorded["grad." + ROUTER] = np.zeros_like(io["grad." + ROUTER])
recorded[f"after{STEPS}.{ROUTER}"] = (parameters[ROUTER] * (1 - RATE * DECAY) ** STEPS).astype(np.float32)
if variant == "gradient":
    recorded["grad." + ROUTER] += 1e-4
elif variant == "step":
    recorded[f"after{STEPS}.{ROUTER}"][0, 0] += 0.01
elif variant == "other":
    recorded["grad." + OTHER] = recorded["grad." + OTHER] * np.float32(1.0001)
save(folder / "io.safetensors", recorded)
totals = [float(total) for total in result["totals"].ravel()]
meta = json.loads((folder / "meta.json").read_text())
meta.update(losses={"main": float(result["loss.main"].ravel()[0])}, total=totals[0], steps=totals)
(folder / "meta.json").write_text(json.dumps(meta))
