#!/usr/bin/env python3
"""Trains with both kinds of metrics files, kills the run, cuts its last records, resumes, and reads the files: every
number of JSON is in TensorBoard's own reader once, rounded to float32, under the same tag; keys are those of the table
in runtime/metrics/README.md; and what follows from other numbers does.

usage: metrics.py CONTRAFLOW RUN.json FOLDER
"""
import json
import math
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS, SAVED, VALIDATE = 12, 4, 5
contraflow, run, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def fail(text):
    sys.exit(f"metrics: {text}")


def compile_trainer():
    folder.mkdir(parents=True)
    document = json.loads(run.read_text())
    document["architecture"] = str((run.parent / document.get("architecture", "model.mlir")).resolve())
    document["batch"]["micro_batches"] = 2
    document["ema"] = {"decay": 0.9}
    (folder / "run.json").write_text(json.dumps(document))
    subprocess.run([contraflow, "compile", folder / "run.json", "-o", folder / "trainer"], check=True)
    return document


def start(steps, *options):
    return subprocess.Popen(
        ["./trainer", "--data", ROOT / "dialects", ROOT / "passes", "--include", "*.cpp", "--steps", str(steps),
         "--set", f"train.validate_every={VALIDATE}", "train.validation_tokens=512", "optimizer.schedule=constant",
         "--sample-length", "0", "--metrics", "lines", "--tensorboard", "board", *options],
        cwd=folder, stdout=subprocess.DEVNULL)


def lines():
    return (folder / "lines").read_text().splitlines()


def train():
    """To step SAVED with a checkpoint, some steps more that are lost, and on from the checkpoint."""
    if start(SAVED).wait():
        fail("the first run failed")
    process = start(10 ** 6, "--resume")
    while len(lines()) < SAVED + 3 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # A crash of the machine may leave a part of a record.
    last = max((folder / "board").iterdir())
    with open(last, "ab") as file:
        file.write(last.read_bytes()[:77])
    with open(folder / "lines", "a") as file:
        file.write('{"step":1')
    if start(STEPS, "--resume").wait():
        fail("the resumed run failed")
    return [json.loads(line) for line in lines()]


def check_tensorboard(rows):
    result = subprocess.run([sys.executable, ROOT / "test/e2e/read_events.py", "board"], cwd=folder, text=True,
                            capture_output=True)
    if result.returncode:
        fail(result.stderr.strip())
    events = json.loads(result.stdout)
    wanted = {"scalars": {}, "lists": {}}
    for row in rows:
        for tag, value in row.items():
            if tag == "step":
                continue
            of_tag = wanted["lists" if isinstance(value, list) else "scalars"].setdefault(tag, {})
            of_tag[str(row["step"])] = value if isinstance(value, list) else float(np.float32(value))
    for kind, tags in wanted.items():
        if events[kind].keys() != tags.keys():
            fail(f"{kind} differ: TensorBoard {sorted(events[kind])}, JSON {sorted(tags)}")
        for tag, steps in tags.items():
            if events[kind][tag] != steps:
                fail(f"'{tag}' differs: TensorBoard {events[kind][tag]}, JSON {steps}")
    return len(wanted["scalars"]), len(wanted["lists"])


def check_table(rows):
    """Every key is of a row of the table, and every row of the table has a key."""
    table = re.findall(r"^\| `([^`]+)` \| [^|]*\| ", (ROOT / "runtime/metrics/README.md").read_text(), re.M)
    # `accuracy` has no layer, and `<name>` alone would fit everything: a row of a metric wants a name of the model.
    names = "accuracy|mtp_accuracy|balance_loss|load|main|mtp|balance"
    pattern = lambda row: row.replace("/<layer>", "(/.+)?").replace("<name>", f"({names})")
    keys = {key for row in rows for key in row} - {"step"}
    unknown = [key for key in keys if not any(re.fullmatch(pattern(row), key) for row in table)]
    unused = [row for row in table if not any(re.fullmatch(pattern(row), key) for key in keys)]
    if not table or unknown or unused:
        fail(f"the table of runtime/metrics/README.md lacks {sorted(unknown)}; nothing is reported for {unused}")


def check_numbers(rows, document):
    model, batch = document["model"], document["batch"]
    layers = range(model["first_k_dense_replace"], model["num_hidden_layers"] + model["num_nextn_predict_layers"])
    for row in rows:
        if row["loss"] != row["losses/main"] or not math.isclose(row["perplexity"], math.exp(row["loss"])):
            fail(f"loss and perplexity do not belong together: {row}")
        validates = row["step"] % VALIDATE == 0 or row["step"] in (SAVED, STEPS)
        for key in ("validation_loss", "validation_accuracy", "validation_perplexity", "validation_loss_ema"):
            if (key in row) != validates:
                fail(f"step {row['step']}: '{key}' is {'missing' if validates else 'there'}")
        balance = 0
        for layer in layers:
            of_layer = f"model.layers.{layer}.mlp"
            load = row[f"load/{of_layer}"]
            # The multi-token prediction of the last token of a sequence has no token to read.
            ahead = max(0, layer - model["num_hidden_layers"] + 1)
            choices = (batch["tokens"] - ahead * batch["tokens"] // batch["sequence"]) * model["num_experts_per_tok"]
            if sum(load) != choices or len(load) != model["n_routed_experts"]:
                fail(f"step {row['step']}: {load} of layer {layer}, wanted {choices} choices in all")
            if not math.isclose(row[f"load_violation/{of_layer}"], max(load) / (sum(load) / len(load)) - 1):
                fail(f"step {row['step']}: load_violation of {load} is {row[f'load_violation/{of_layer}']}")
            balance += row[f"balance_loss/{of_layer}"]
        if not math.isclose(balance, row["losses/balance"], rel_tol=1e-6):
            fail(f"step {row['step']}: balance losses of layers add up to {balance}, not {row['losses/balance']}")
        if row["peak_resident_bytes"] < row["resident_bytes"]:
            fail(f"step {row['step']}: more memory is resident than the most so far: {row}")
        if not 0 < row["arena_bytes"] < row["peak_resident_bytes"] + 2 ** 26 or row["step_seconds"] <= 0:
            fail(f"step {row['step']}: memory or time is odd: {row}")
    if rows[-1]["accuracy"] <= rows[0]["accuracy"] or not 0 < rows[-1]["validation_accuracy"] < 1:
        fail(f"nothing was learnt: {[row['accuracy'] for row in rows]}")


def main():
    document = compile_trainer()
    rows = train()
    if [row["step"] for row in rows] != list(range(1, STEPS + 1)):
        fail(f"steps are {[row['step'] for row in rows]}")
    scalars, lists = check_tensorboard(rows)
    check_table(rows)
    check_numbers(rows, document)
    print(f"{STEPS} steps, {scalars} scalars and {lists} histograms, the same in both")


main()
