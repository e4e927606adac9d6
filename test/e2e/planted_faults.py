#!/usr/bin/env python3
"""Plants faults in the memory plan of a checked build: each is refused by memory-verify-plan, and, where that is left
out, caught by the trainer while it runs. Prints one line for each and the number.

usage: planted_faults.py CONTRAFLOW CONTRAFLOW_OPT ARCHITECTURE.mlir FOLDER

The plan is the text after the memory phase. A fault of a program changes addresses of its buffers, which are the same
in the text after the lowering, so that only the link has to be repeated; a fault of a function is lowered again.
"""
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
import numpy as np
from safetensors_io import save

CONTRAFLOW, OPT, ARCHITECTURE = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
FOLDER = pathlib.Path(sys.argv[4])
BATCH, SEQ = 2, 16
MODEL = {
    "model_type": "llama", "vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}


class Buffer:
    """A line `%value = pipe.buffer kind "name" bytes at offset`, and the rows that use it."""

    def __init__(self, match):
        self.value, self.kind, self.bytes, self.offset = match[1], match[2], int(match[3]), int(match[4])
        self.rows = []


class Program:
    """The program @train of a text."""

    def __init__(self, text):
        self.begin = text.index("pipe.program @train")
        self.end = text.index("\n  }", self.begin)
        body = text[self.begin:self.end]
        found = re.finditer(r'(%\S+) = pipe\.buffer (\w+) "[^"]*" (\d+) at (\d+)', body)
        self.buffers = {match[1]: Buffer(match) for match in found}
        self.views = dict(re.findall(r"(%\S+) = pipe\.view (%\S+)\[", body))
        self.rows = re.findall(r"pipe\.run .*", body)
        for number, row in enumerate(self.rows):
            for value in re.findall(r"%[\w.]+", row):
                if self.views.get(value, value) in self.buffers:
                    self.buffers[self.views.get(value, value)].rows.append(number)

    def of(self, kind):
        return [b for b in self.buffers.values() if b.kind == kind]

    def replace(self, text, old, new):
        body = text[self.begin:self.end]
        if body.count(old) != 1:
            sys.exit(f"{body.count(old)} times in the program: {old}")
        return text[:self.begin] + body.replace(old, new) + text[self.end:]

    def move(self, text, buffer, offset):
        line = f"{buffer.value} = pipe.buffer {buffer.kind} "
        rest = re.search(re.escape(line) + r'"[^"]*" \d+ at ', text[self.begin:self.end])[0]
        return self.replace(text, f"{rest}{buffer.offset}\n", f"{rest}{offset}\n")

    def move_workspace(self, text, row, offset):
        match = re.search(r"workspace \d+ at (\d+)", row)
        return self.replace(text, row, row.replace(match[0], match[0][:match.start(1) - match.start()] + str(offset)))

    def born_during(self, lives, kind):
        """The first buffer of a kind that begins to live while another one is in use and read later."""
        return next(b for b in self.of(kind) if b.rows and min(lives.rows) < min(b.rows) < max(lives.rows))

    def pair(self, first, second):
        for lives in self.of(first):
            if any(b.rows and min(lives.rows) < min(b.rows) < max(lives.rows) for b in self.of(second)):
                return lives, self.born_during(lives, second)
        sys.exit(f"no {second} is born while a {first} lives")

    def row(self, function):
        return next(row for row in self.rows if f"@{function} " in row)


def over(first, second, part=0.0):
    """A buffer of the second kind over one of the first kind that is in use, from a part of its bytes on."""

    def edit(text):
        program = Program(text)
        lives, born = program.pair(first, second)
        return program.move(text, born, lives.offset + int(lives.bytes * part) // 64 * 64)

    return edit


def shifted(kind, by, number=0):
    """A buffer of a kind, some bytes away from where it was planned."""

    def edit(text):
        program = Program(text)
        buffer = program.of(kind)[number]
        return program.move(text, buffer, buffer.offset + by)

    return edit


def shifted_everywhere(kind, by):
    """The same of a buffer that several programs name."""

    def edit(text):
        return re.sub(rf'(pipe\.buffer {kind} "[^"]*" \d+ at )(\d+)', lambda m: m[1] + str(int(m[2]) + by), text)

    return edit


def workspace_over(function, kind):
    """The workspace of a run over a buffer of a kind that it works on."""

    def edit(text):
        program = Program(text)
        row = program.row(function)
        used = [program.buffers[v] for v in re.findall(r"%[\w.]+", row) if v in program.buffers]
        return program.move_workspace(text, row, next(b.offset for b in used if b.kind == kind))

    return edit


def workspace_shrunk(function):
    def edit(text):
        program = Program(text)
        row = program.row(function)
        size = int(re.search(r"workspace (\d+)", row)[1])
        return program.replace(text, row, row.replace(f"workspace {size} ", f"workspace {size - 128} "))

    return edit


def moved_in_evaluate(text):
    """The parameters lie elsewhere in another program."""
    begin = text.index("pipe.program @evaluate")
    match = re.compile(r'pipe\.buffer parameters "parameters" \d+ at (\d+)').search(text, begin)
    return text[:match.start(1)] + str(int(match[1]) + 64) + text[match.end(1):]


class Kernel:
    def __init__(self, number, match):
        self.number, self.line, self.name = number, match[0], match[1]
        places = re.search(r"locations = \[([^\]]*)\]", self.line)[1]
        self.places = [tuple(map(int, place)) for place in re.findall(r"#nn\.location<(\d+), (\d+)>", places)]
        self.inputs = re.findall(r"%[\w#]+", re.search(r" ins\((.*?)\) maps ", self.line)[1].split(" : ")[0])
        self.tied = [int(t) for t in re.search(r"tied \[(.*?)\]", self.line)[1].split(",") if t]

    def values(self):
        """Names that the results are used by."""
        return [self.name] if len(self.places) == 1 else [f"{self.name}#{i}" for i in range(len(self.places))]


class Function:
    """A function of a text, with the kernels in its body."""

    def __init__(self, text, name):
        self.begin = text.index(f"func.func @{name}(")
        self.end = text.index("\n  }\n", self.begin)
        self.body = text[self.begin:self.end]
        found = re.finditer(r"^    (?:(%\w+)(?::\d+)? = )nn\.kernel .*", self.body, re.M)
        self.kernels = [Kernel(number, match) for number, match in enumerate(found)]

    def is_tied(self, value):
        """Whether a later kernel writes into its memory."""
        return any(t >= 0 and k.inputs[t] == value for k in self.kernels for t in k.tied)

    def last_use(self, value):
        return max((k.number for k in self.kernels if value in k.inputs), default=-1)

    def replace(self, text, old, new):
        if old == new or self.body.count(old) < 1:
            sys.exit(f"not in the function: {old}")
        return text[:self.begin] + self.body.replace(old, new) + text[self.end:]

    def in_area(self, base):
        """(kernel, value, offset) of results in one area that share their memory with nothing."""
        return [(k, value, place[1]) for k in self.kernels
                for value, place, tied in zip(k.values(), k.places, k.tied)
                if place[0] == base and tied < 0 and not self.is_tied(value)]


WORKSPACE, SAVED = 5, 4


def place(base, offset):
    return f"#nn.location<{base}, {offset}>"


def value_over(name, base):
    """A value of a function over another one that is read later."""

    def edit(text):
        function = Function(text, name)
        for kernel, value, offset in function.in_area(base):
            for other, _, wrong in function.in_area(base):
                if kernel.number < other.number < function.last_use(value) and wrong != offset:
                    line = other.line.replace(place(base, wrong), place(base, offset))
                    return function.replace(text, other.line, line)
        sys.exit(f"'{name}' has no two such values")

    return edit


def value_shifted(name, base, by, number=0):
    def edit(text):
        function = Function(text, name)
        kernel, _, offset = function.in_area(base)[number]
        return function.replace(text, place(base, offset), place(base, offset + by))

    return edit


def argument_shifted(name, by):
    """A function takes a saved value from elsewhere than where it was left."""

    def edit(text):
        function = Function(text, name)
        match = re.search(r"nn\.location = #nn\.location<4, (\d+)>", function.body)
        old = place(SAVED, match[1])
        return function.replace(text, old, place(SAVED, int(match[1]) + by))

    return edit


def results_over(name):
    """Two results of one kernel in one place."""

    def edit(text):
        function = Function(text, name)
        inside = [[p for p in k.places if p[0] == WORKSPACE] for k in function.kernels]
        kernel, places = next((k, p) for k, p in zip(function.kernels, inside) if len(p) > 1)
        first, second = (place(*p) for p in places[:2])
        return function.replace(text, kernel.line, kernel.line.replace(second, first))

    return edit


# (class, what, edit)
PROGRAM_FAULTS = [
    ("lifetime too short", "an activation over one that is read later", over("activation", "activation")),
    ("lifetime too short", "saved values over those of a layer before", over("saved", "saved")),
    ("lifetime too short", "a gradient over an activation read later", over("activation", "activation_grad")),
    ("lifetime too short", "a gradient over saved values", over("saved", "activation_grad", 0.5)),
    ("lifetime too short", "what backward leaves, over saved values", over("saved", "saved_input", 0.25)),
    ("alias of a live buffer", "an activation in the middle of saved values", over("saved", "activation", 0.5)),
    ("alias of a live buffer", "a workspace over what is read", workspace_over("layer.forward", "activation")),
    ("alias of a live buffer", "a workspace over saved values", workspace_over("layer.backward_input", "saved")),
    ("alias of a live buffer", "gradients over the end of the parameters", shifted("gradients", -192)),
    ("alias of a live buffer", "losses over the scalars", shifted_everywhere("losses", -192)),
    ("offset off by one unit", "saved values 64 bytes up", shifted("saved", 64)),
    ("offset off by one unit", "an activation 64 bytes down", shifted("activation", -64, 1)),
    ("offset off by one unit", "first moments 64 bytes down", shifted("first_moments", -64)),
    ("offset off by one unit", "parameters 64 bytes up in one program", moved_in_evaluate),
    ("size too small", "a workspace 128 bytes short", workspace_shrunk("layer.backward_input")),
]
FUNCTION_FAULTS = [
    ("lifetime too short", "a value of a workspace over one that is read later",
     value_over("layer.forward", WORKSPACE)),
    ("lifetime too short", "a saved value over another", value_over("layer.forward", SAVED)),
    ("alias of a live buffer", "two results of a kernel in one place", results_over("layer.backward_input")),
    ("offset off by one unit", "a value of a workspace 64 bytes up", value_shifted("layer.forward", WORKSPACE, 64)),
    ("offset off by one unit", "a saved value 64 bytes up", value_shifted("layer.forward", SAVED, 64)),
    ("offset off by one unit", "a saved value taken 64 bytes above", argument_shifted("layer.backward_input", 64)),
    ("offset off by one", "a value of a workspace 4 bytes up", value_shifted("layer.forward", WORKSPACE, 4)),
]


def run(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def require(result, what):
    if result.returncode:
        sys.exit(f"{what} failed:\n{result.stdout}")


def probe(trainer):
    return run(trainer, "probe", "--ids", FOLDER / "ids.safetensors", "--steps", "1", "--threads", "1", "--out",
               f"{trainer}.safetensors")


def link_and_probe(lowered, name):
    trainer = FOLDER / name
    result = run(CONTRAFLOW, "compile", lowered, "--start-from=link", "-o", trainer)
    return result if result.returncode else probe(trainer)


def lower(memory, lowered):
    require(run(OPT, "--lowering", memory, "-o", lowered), "the lowering")
    text = lowered.read_text()
    lowered.write_text(text.replace('nn.phase = "memory"', 'nn.phase = "lowering"'))


def check(number, kind, what, edit, is_function, plan, code):
    """The line about a fault, and whether it was refused and caught."""
    memory, lowered = FOLDER / f"{number}-memory.mlir", FOLDER / f"{number}-lowering.mlir"
    memory.write_text(edit(plan))
    refused = run(OPT, "--memory-verify-plan", memory, "-o", "/dev/null")
    if is_function:
        lower(memory, lowered)
    else:
        lowered.write_text(edit(code))
    caught = link_and_probe(lowered, f"{number}-trainer")
    reason = re.search(r"checked build: (.*?)(?:; this is a defect.*)?$", caught.stdout, re.M)
    is_right = refused.returncode == 1 and "(C" in refused.stdout and caught.returncode == 1 and reason is not None
    found = reason[1] if reason else caught.stdout.strip() or "nothing"
    line = f"{number:2} {kind}: {what}: {found}"
    if refused.returncode != 1:
        line += " (memory-verify-plan accepts it)"
    return line, is_right


def main():
    FOLDER.mkdir(parents=True)
    document = {"architecture": str(ARCHITECTURE), "model": MODEL, "seed": 1, "init": {"std": 0.02},
                "batch": {"sequence": SEQ, "tokens": BATCH * SEQ},
                "optimizer": {"lr": 1e-3}}
    (FOLDER / "run.json").write_text(json.dumps(document))
    ids = np.random.default_rng(1).integers(0, 256, (BATCH, SEQ))
    save(FOLDER / "ids.safetensors", {"input_ids": ids.astype(np.int32)})
    require(run(CONTRAFLOW, "compile", FOLDER / "run.json", "--checked", "--dump-phases", FOLDER / "dump", "-o",
                FOLDER / "trainer"), "the compiler")
    plan = (FOLDER / "dump/06-memory.mlir").read_text()
    code = (FOLDER / "dump/07-lowering.mlir").read_text()
    # Without a fault nothing is found, on both ways.
    require(run(OPT, "--memory-verify-plan", FOLDER / "dump/06-memory.mlir", "-o", "/dev/null"), "memory-verify-plan")
    require(probe(FOLDER / "trainer"), "the trainer")
    lower(FOLDER / "dump/06-memory.mlir", FOLDER / "lowering.mlir")
    require(link_and_probe(FOLDER / "lowering.mlir", "again"), "the trainer that was lowered again")

    faults = [(*fault, False) for fault in PROGRAM_FAULTS] + [(*fault, True) for fault in FUNCTION_FAULTS]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(check, number, *fault, plan, code) for number, fault in enumerate(faults, 1)]
        results = [job.result() for job in jobs]
    for line, _ in results:
        print(line)
    wrong = [line for line, is_right in results if not is_right]
    print(f"{len(results)} faults, {len(results) - len(wrong)} refused and caught")
    for line in wrong:
        print(f"MISSED {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
