#!/usr/bin/env python3
"""Trains with dropout. Runs on one to three threads and a run that was resumed have the same losses and the same
checkpoint, bit for bit. A step that is cut into other micro-batches drops the same elements: its loss and norm of
gradients differ by rounding only, where those of a step without dropout differ by far more. Validation drops nothing.

usage: dropout.py CONTRAFLOW MODELS FOLDER
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS = 8
# Losses of equal masks differ by the order of sums; those of no mask by the noise of dropout.
ROUNDING, NOISE = 2e-5, 1e-3
contraflow, models, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def compile_trainer(architecture, name, micro_batches, dropout):
    document = json.loads((models / "deepseek-v3/nano.json").read_text())
    document["architecture"] = str((models / architecture / "model.mlir").resolve())
    if architecture == "llama":
        model = document["model"]
        same = ("vocab_size", "bos_token_id", "eos_token_id", "hidden_size", "intermediate_size", "num_attention_heads")
        document["model"] = {"model_type": "llama", "num_key_value_heads": 1, "num_hidden_layers": 2,
                             "attention_dropout": dropout.pop("attention", 0.0), **{key: model[key] for key in same}}
        del document["loss"], document["bias_update_rate"]
    document["dropout"] = dropout
    document["batch"]["micro_batches"] = micro_batches
    document["optimizer"]["schedule"] = "constant"
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    subprocess.run([contraflow, "compile", path, "-o", folder / name], check=True)


def train(trainer, name, *options):
    subprocess.run(
        [f"./{trainer}", "--data", ROOT / "dialects", "--include", "*.cpp", "--sample-length", "0",
         "--checkpoint", name, "--metrics", f"{name}.jsonl",
         "--set", "train.validate_every=4", "train.validation_tokens=512", *options],
        cwd=folder, stdout=subprocess.DEVNULL, check=True)
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    return rows


def losses_of(rows):
    # The last step of a run is validated whatever its number.
    def validation_of(row):
        return row.get("validation_loss") if row["step"] % 4 == 0 else None
    return [(row["step"], row["loss"], row["gradient_norm"], validation_of(row)) for row in rows]


def checkpoint_of(name):
    files = sorted(path for path in (folder / name).rglob("model.safetensors"))
    return files[-1].read_bytes()


def check_same_bits(architecture):
    compile_trainer(architecture, f"{architecture}-2", 2, {"hidden": 0.1, "attention": 0.2})
    wanted = None
    for threads in (1, 2, 3):
        name = f"{architecture}-threads-{threads}"
        found = losses_of(train(f"{architecture}-2", name, "--steps", str(STEPS), "--threads", str(threads)))
        wanted = wanted or (found, checkpoint_of(name))
        if (found, checkpoint_of(name)) != wanted:
            sys.exit(f"{architecture}: other bits on {threads} threads")
    name = f"{architecture}-resumed"
    train(f"{architecture}-2", name, "--steps", "3")
    if losses_of(train(f"{architecture}-2", name, "--steps", str(STEPS), "--resume")) != wanted[0]:
        sys.exit(f"{architecture}: other losses after an interruption")
    if checkpoint_of(name) != wanted[1]:
        sys.exit(f"{architecture}: another checkpoint after an interruption")
    print(f"{architecture}: {STEPS} steps on 1, 2 and 3 threads and resumed, same bits")
    return wanted[0]


def first_loss(trainer):
    initial = f"{trainer.rsplit('-', 1)[0]}-threads-1"
    rows = train(trainer, f"{trainer}-first", "--steps", "1", "--initialize", initial)
    return rows[0]["loss"], rows[0]["gradient_norm"]


def validation_line(trainer, architecture):
    result = subprocess.run(
        [f"./{trainer}", "--data", ROOT / "dialects", "--include", "*.cpp", "--sample-length", "0", "--steps", "0",
         "--checkpoint", "none", "--initialize", f"{architecture}-threads-1"],
        cwd=folder, stdout=subprocess.PIPE, check=True, text=True)
    return result.stdout.splitlines()[-1]


def check_micro_batches(architecture):
    compile_trainer(architecture, f"{architecture}-1", 1, {"hidden": 0.1, "attention": 0.2})
    compile_trainer(architecture, f"{architecture}-4", 4, {"hidden": 0.1, "attention": 0.2})
    compile_trainer(architecture, f"{architecture}-0", 2, {})
    wanted = first_loss(f"{architecture}-2")
    for parts in (1, 4):
        found = first_loss(f"{architecture}-{parts}")
        for a, b in zip(found, wanted):
            if abs(a - b) > ROUNDING * abs(b):
                sys.exit(f"{architecture}: {a} with {parts} micro-batches, {b} with 2")
    without = first_loss(f"{architecture}-0")
    # One of two numbers may happen to agree.
    if all(abs(a - b) < NOISE * abs(b) for a, b in zip(without, wanted)):
        sys.exit(f"{architecture}: {without} without dropout, {wanted} with it")
    lines = [validation_line(f"{architecture}-{name}", architecture) for name in ("0", "2")]
    if lines[0] != lines[1] or "validation loss" not in lines[0]:
        sys.exit(f"{architecture}: '{lines[0]}' without dropout, '{lines[1]}' with it")
    print(f"{architecture}: 1, 2 and 4 micro-batches, same masks")


def main():
    folder.mkdir(parents=True)
    for architecture in ("deepseek-v3", "llama"):
        check_same_bits(architecture)
        check_micro_batches(architecture)


main()
