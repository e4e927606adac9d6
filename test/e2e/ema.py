#!/usr/bin/env python3
"""Trains with averages of the parameters and compares them with the recurrence in double precision, from the
checkpoint of every step; a resumed run has the bits of one that was not interrupted; what is exported, and what
validation and generation say, is of the averages.

usage: ema.py CONTRAFLOW RUN.json FOLDER
"""
import json
import pathlib
import struct
import subprocess
import sys
from array import array

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS, DECAY = 6, 0.75
# One rounding of three operations a step, relative to the largest number of a tensor.
TOLERANCE = 4e-7
contraflow, run, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def compile_trainer(name, decay):
    document = json.loads(run.read_text())
    document["architecture"] = str((run.parent / "model.mlir").resolve())
    document["ema"] = {"decay": decay}
    document["optimizer"].update(schedule="constant", warmup_steps=0, lr=0.01)
    (folder / f"{name}.json").write_text(json.dumps(document))
    subprocess.run([contraflow, "compile", folder / f"{name}.json", "-o", folder / name], check=True)


def call(trainer, *arguments, code=0):
    result = subprocess.run([f"./{trainer}", *arguments], cwd=folder, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace")  # A model may write any byte.
    if result.returncode != code:
        sys.exit(f"{trainer} {' '.join(map(str, arguments))}: exit status {result.returncode}\n{result.stdout}")
    return result.stdout


def train(trainer, *arguments, **options):
    return call(trainer, "--data", ROOT / "dialects", "--include", "*.cpp", "--sample-length", "0", *arguments,
                **options)


def file_of(checkpoint):
    return sorted((folder / checkpoint).rglob("model.safetensors"))[-1]


def tensors_of(path):
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    result = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = array("f")
        values.frombytes(data[8 + size + begin:8 + size + end])
        result[name] = values
    return result


def check_recurrence():
    """`before` holds the parameters that the run began with, and so its first averages."""
    train("trainer", "--steps", "1", "--checkpoint", "zero", "--set", "optimizer.lr=0")
    initial = tensors_of(file_of("zero"))
    names = [name for name in initial if not name.startswith(("ema.", "optimizer."))]
    call("trainer", "export", "--checkpoint", "zero", "--folder", "start")
    averages = {name: list(initial[name]) for name in names}
    begin = ("--initialize", "start/model.safetensors")
    for step in range(1, STEPS + 1):
        train("trainer", "--steps", str(step), "--checkpoint", "run", *begin)
        begin = ("--resume",)
        found = tensors_of(file_of("run"))
        for name in names:
            average, bound = averages[name], TOLERANCE * max(1e-3, max(map(abs, found[name]), default=0))
            for i, value in enumerate(found[name]):
                average[i] = DECAY * average[i] + (1 - DECAY) * value
                if abs(found["ema." + name][i] - average[i]) > bound:
                    sys.exit(f"step {step}: ema.{name}[{i}] is {found['ema.' + name][i]}, wanted {average[i]}")
            # The next step begins at what was stored.
            averages[name] = list(found["ema." + name])
    if not any(name.endswith("e_score_correction_bias") for name in names):
        sys.exit("no buffers among the averages")
    print(f"{STEPS} steps, {len(names)} averages follow their recurrence")
    train("trainer", "--steps", str(STEPS), "--checkpoint", "whole", "--initialize", "start/model.safetensors")
    if file_of("run").read_bytes() != file_of("whole").read_bytes():
        sys.exit("a resumed run has other bits")


def check_validation():
    output = train("trainer", "--steps", str(STEPS), "--checkpoint", "again", "--metrics", "whole.jsonl",
                   "--initialize", "start/model.safetensors")
    lines = [line for line in output.splitlines() if line.startswith("validation loss")]
    print("validation loss of the averages:", lines[-1])
    call("trainer", "export", "--checkpoint", "whole", "--ema", "--folder", "averages")
    other = train("plain", "--steps", "0", "--checkpoint", "none", "--initialize", "averages/model.safetensors")
    wanted = [line for line in other.splitlines() if line.startswith("validation loss")][-1]
    if lines[-1] != wanted + " with averaged parameters" or lines[0] == wanted:
        sys.exit(f"'{lines}' after training, '{wanted}' of the exported averages")
    last = json.loads((folder / "whole.jsonl").read_text().splitlines()[-1])
    if f"{last['validation_loss_ema']:.4f}" not in lines[-1] or f"{last['validation_loss']:.4f}" not in lines[0]:
        sys.exit(f"{last} in metrics, {lines} in the output")


def check_export():
    exported, stored = tensors_of(folder / "averages/model.safetensors"), tensors_of(file_of("whole"))
    names = {name for name in stored if not name.startswith(("ema.", "optimizer."))}
    if set(exported) != names or any(exported[name] != stored["ema." + name] for name in names):
        sys.exit("the exported tensors are not the averages")
    if json.loads((folder / "averages/config.json").read_text()) != json.loads(run.read_text())["model"]:
        sys.exit("config.json is not the configuration of the run file")
    prompt = ("generate", "--prompt", "namespace ", "--length", "20", "--temperature", "0")
    if call("trainer", *prompt, "--checkpoint", "whole", "--ema") != \
            call("plain", *prompt, "--checkpoint", "averages/model.safetensors"):
        sys.exit("generate --ema does not read the averages")
    print("the exported model is the averages")


def check_inspect():
    """Averages are no parameters."""
    def inspect(path):
        return json.loads(subprocess.run([contraflow, "inspect", "--json", path], cwd=folder, check=True,
                                         stdout=subprocess.PIPE, text=True).stdout)
    found, exported = inspect("whole"), inspect("averages")
    if exported["averages"] != 0 or not found["averages"] == found["parameters"] == exported["parameters"]:
        sys.exit(f"{found['parameters']} parameters and {found['averages']} averages in a checkpoint, "
                 f"{exported['parameters']} and {exported['averages']} exported")


def check_other_trainers():
    """A run may get averages, or lose them, when it is compiled again."""
    train("plain", "--steps", "2", "--checkpoint", "late")
    output = train("trainer", "--steps", "3", "--checkpoint", "late", "--resume")
    if "holds no averages of parameters; they begin as the parameters" not in output:
        sys.exit(output)
    output = train("plain", "--steps", "4", "--checkpoint", "late", "--resume")
    if "compiled without ema.decay" not in output:
        sys.exit(output)
    # Of the run's folder it would be the checkpoint before, which has averages.
    output = call("trainer", "generate", "--checkpoint", "late/step-00000004", "--ema", code=1)
    if "holds no averages of parameters; train with ema.decay in the run file" not in output:
        sys.exit(output)


def main():
    folder.mkdir(parents=True)
    compile_trainer("trainer", DECAY)
    compile_trainer("plain", 0.0)
    check_recurrence()
    check_validation()
    check_export()
    check_inspect()
    check_other_trainers()


main()
