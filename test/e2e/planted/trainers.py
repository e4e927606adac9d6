"""Errors that a trainer finds: its command line, text, checkpoints, the machine, itself."""
import json
import struct

from cases import CASES, Case

# The trainer and a checkpoint of two steps are made once; {trainer} and {tensors} are their files.
SMALL = ["model.num_hidden_layers=1", "model.first_k_dense_replace=0", "model.num_nextn_predict_layers=0",
         "model.hidden_size=64", "batch.sequence=16", "batch.tokens=16"]
TRAIN = "train --data text --steps 2 --sample-length 0 --threads 1"


def trainer(category, command, message, program="{trainer}", **more):
    status = more.pop("status", 1)
    CASES.append(Case(category, [], message, program=program, command=command, place="contraflow", status=status,
                      **more))


def edit(change):
    """A file of somebody else, without checksums: change(header, data) -> data, or None for the same."""
    def make(tensors):
        content = tensors.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header, data = json.loads(content[8:8 + size]), content[8 + size:]
        header["__metadata__"] = {"format": "pt"}
        changed = change(header, data)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + (data if changed is None else changed)
    return {"edited.safetensors": make}


def raw(change):
    return {"edited.safetensors": lambda tensors: change(tensors.read_bytes())}


def ids_file(ids):
    tensor = {"dtype": "I32", "shape": [len(ids)], "data_offsets": [0, 4 * len(ids)]}
    header = json.dumps({"input_ids": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(ids)}i", *ids)


def flip(part):
    """A checkpoint in which one byte, at a share of the file, is another."""
    def make(content):
        at = int(part * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
    return raw(make)


def rename(header, data):
    header["model.norm.scale"] = header.pop("model.norm.weight")


def reshape(header, data):
    header["model.norm.weight"]["shape"] = [2, header["model.norm.weight"]["shape"][0] // 2]


def flatten(header, data):
    for name, tensor in header.items():
        if name != "__metadata__":
            tensor["shape"] = [1, *tensor["shape"]]


def retype(header, data):
    header["model.norm.weight"]["dtype"] = "I32"


def overlap(header, data):
    header["model.norm.weight"]["data_offsets"] = [0, header["model.norm.weight"]["shape"][0] * 4]


def unknown_type(header, data):
    header["model.norm.weight"]["dtype"] = "F13"


# The command as somebody who may not read and write everything, which root may.
WITHOUT_RIGHTS = ("if [ $(id -u) = 0 ]; then setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search "
                  "{command}; else {command}; fi")

INITIALIZE = f"{TRAIN} --initialize edited.safetensors"
FILE = "'edited.safetensors'"
LINE = "command line of a trainer"
trainer(LINE, "trian", "unexpected argument 'trian'; see --help of the trainer", status=2)
trainer(LINE, "train -- --steps 3", "unexpected argument '--steps'; see --help of the trainer",
        also=["contraflow: error: unexpected argument '3'; see --help of the trainer"], status=2)
trainer(LINE, "train --stps 3", "unknown option '--stps'; did you mean '--steps'?", status=2)
trainer(LINE, "train --steps many --threads 0", "--steps is 'many', expected a whole number of 0 or more",
        also=["contraflow: error: --threads is '0', expected a whole number of 1 or more"], status=2)
trainer(LINE, "train --steps -1", "--steps is '-1', expected a whole number of 0 or more", status=2)
trainer(LINE, "train --data", "'--data': expected PATH...; see --help of the trainer", status=2)
trainer(LINE, "train --prompt x", "'--prompt' is no option of this command; see --help of the trainer", status=2)
trainer(LINE, "train --profile=1", "'--profile' takes no value", status=2)
trainer(LINE, "train --resume --initialize x", "--resume and --initialize exclude each other", status=2)
trainer(LINE, "train --threads 5000", "--threads is 5000, expected 4096 at most", status=2)
trainer(LINE, "probe", "probe: expected --ids FILE", also=["contraflow: error: probe: expected --out FILE"], status=2)
trainer(LINE, "export", "export: expected --folder DIR", status=2)
trainer(LINE, f"{TRAIN} --set optimizer.lr", "--set optimizer.lr: expected KEY=VALUE")
trainer(LINE, f"{TRAIN} --set optimizer.lr=x",
        '--set optimizer.lr=x: optimizer.lr is "x", expected a number that is not negative')
trainer(LINE, f"{TRAIN} --set optimizer.rl=1",
        "--set optimizer.rl=1: unknown key 'optimizer.rl'; did you mean 'optimizer.lr'?")
trainer(LINE, f"{TRAIN} --set model.hidden_size=4 seed=x",
        "--set model.hidden_size=4: this key is compiled in; compile again with "
        "'contraflow compile RUN.json --set model.hidden_size=4'",
        also=['contraflow: error: --set seed=x: seed is "x", expected a whole number that is not negative'])
trainer(LINE, f"{TRAIN} --set optimizer.betas[0]=0.5",
        "--set optimizer.betas[0]=0.5: this key is compiled in; compile again with "
        "'contraflow compile RUN.json --set optimizer.betas[0]=0.5'")
for assignment in ("loss.mtp_weight=0.1", "dropout.hidden=0.5"):
    trainer(LINE, f"{TRAIN} --set {assignment}",
            f"--set {assignment}: this key is compiled in; compile again with "
            f"'contraflow compile RUN.json --set {assignment}'")
trainer(LINE, f"{TRAIN} --set optimizer.min_lr=1",
        "optimizer.min_lr is 1, expected at most optimizer.lr = 0.003, to which a cosine falls")
trainer(LINE, f"{TRAIN} --set optimizer.schedule=sine",
        "run file: optimizer.schedule is 'sine', expected constant or cosine")
trainer(LINE, f"{TRAIN} --set data.held_out=1", "run file: data.held_out is 1, expected less than 1")
trainer(LINE, f"{TRAIN} --held-out 1.5", "the held-out share is 1.5, expected 0 or more and less than 1")

trainer(LINE, "train --data a --set data.paths=b seed=2 --seed 1", "--data and --set data.paths exclude each other",
        also=["contraflow: error: --seed and --set seed exclude each other"], status=2)
trainer(LINE, "train --metrics '' --tensorboard= --checkpoint --steps 3",
        "'--metrics': expected FILE; see --help of the trainer",
        also=["contraflow: error: '--tensorboard': expected DIR; see --help of the trainer",
              "contraflow: error: '--checkpoint': expected DIR; see --help of the trainer"], status=2)

DATA = "data"
trainer(DATA, "train --steps 2", "there is no training text; name files or directories with --data")
trainer(DATA, "train --data none.txt", "data path 'none.txt' does not exist")
trainer(DATA, "train --data n1 text n2 n3", "data path 'n1' does not exist",
        also=[f"contraflow: error: data path '{name}' does not exist" for name in ("n2", "n3")])
trainer(DATA, "train --data loop", "cannot read the data path 'loop': Too many levels of symbolic links",
        links={"loop": "loop"})
trainer(DATA, "train --data secret", "cannot read the data path 'secret': Permission denied",
        files={"secret/a.txt": b"text"},
        shell=f"chmod 0 secret; {WITHOUT_RIGHTS}; status=$?; chmod 700 secret; exit $status")
trainer(DATA, "train --data below", "no text remains: 0 files; left out: 1 unreadable; name text files with --data",
        files={"below/secret/a.txt": b"text"},
        shell=f"chmod 0 below/secret; {WITHOUT_RIGHTS}; status=$?; chmod 700 below/secret; exit $status")
trainer(DATA, "train --data empty.txt", "no text remains: 1 file; left out: 1 empty; name text files with --data",
        files={"empty.txt": b""})
trainer(DATA, "train --data binary", "no text remains: 1 file; left out: 1 binary; name text files with --data",
        files={"binary": b"\x7fELF\0\0"})
trainer(DATA, "train --data text --include '*.rs'", "no text remains: 0 files; look at --data and --include")
trainer(DATA, "train --data fifo", "cannot read 'fifo': it is not a regular file",
        shell="mkfifo fifo; {command}; status=$?; rm fifo; exit $status")

CHECKPOINT = "checkpoint"
trainer(CHECKPOINT, f"{TRAIN} --initialize none.safetensors",
        "cannot open 'none.safetensors': No such file or directory")
trainer(CHECKPOINT, f"{TRAIN} --resume none", "cannot ", prefix=True)
trainer(CHECKPOINT, "generate --checkpoint none", "cannot ", prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is no safetensors file: it has 0 bytes", files=raw(lambda b: b""))
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is cut: the header has ", files=raw(lambda b: b[:100]), prefix=True)
trainer(CHECKPOINT, INITIALIZE, "'edited.safetensors': tensor '", files=raw(lambda b: b[:-1000]), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: 4 bytes follow the last tensor", files=raw(lambda b: b + b"tail"))
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is no safetensors file: its header would have ",
        files=raw(lambda b: b"x" * 4000), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is no safetensors file: its header is not a JSON object",
        files=raw(lambda b: struct.pack("<Q", 4) + b"null"))
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is damaged: tensor '", files=flip(0.5), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is damaged: tensor '", files=flip(1), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE} is damaged: its header has the checksum ",
        files=raw(lambda b: b[:20] + b"x" + b[21:]),
        prefix=True)
trainer(CHECKPOINT, f"{TRAIN} --resume edited.safetensors --checkpoint kept",
        f"{FILE} holds parameters, but no state of a run; start a new run "
        "from it with --initialize", files=edit(lambda h, d: None))
trainer(CHECKPOINT, f"{TRAIN} --resume text",
        "there is no checkpoint in 'text'; expected a folder step-<number> or a file "
        "model.safetensors in it")
trainer(CHECKPOINT, f"{TRAIN} --resume edited.safetensors --checkpoint kept --steps 1",
        "the checkpoint is at step 2, --steps is 1; ask for more steps, or begin a new run from its parameters with "
        "--initialize",
        files=raw(lambda b: b), made=("kept",))
trainer(CHECKPOINT, f"{TRAIN} --resume edited.safetensors --checkpoint kept --seed 9",
        "the checkpoint has seed 1, not 9; leave the seed out",
        files=raw(lambda b: b), made=("kept",))
trainer(CHECKPOINT, f"{TRAIN} --resume edited.safetensors --checkpoint kept --set seed=9",
        "the checkpoint has seed 1, not 9; leave the seed out",
        files=raw(lambda b: b), made=("kept",))
trainer(CHECKPOINT, f"train --data run.json --steps 3 --threads 1 --resume edited.safetensors --checkpoint kept",
        "the training text is not the text of the checkpoint; name the same --data, --include and --held-out, or "
        "begin a new run from its parameters with --initialize", files=raw(lambda b: b), made=("kept",))
trainer(CHECKPOINT, INITIALIZE, f"{FILE} lacks 1 of ", files=edit(rename), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: tensor 'model.norm.weight' has shape [2, 32], ", files=edit(reshape),
        prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: tensor 'model.embed_tokens.weight' has shape [1, ", files=edit(flatten),
        prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: tensor 'model.norm.weight' has type I32, expected floating point",
        files=edit(retype))
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: tensor 'model.norm.weight': dtype \"F13\" is not supported",
        files=edit(unknown_type))
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: tensors ", files=edit(overlap), prefix=True)
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: __metadata__ is not an object",
        files=edit(lambda h, d: h.update({"__metadata__": 3})))
trainer(CHECKPOINT, INITIALIZE, f"{FILE}: __metadata__.step is not a string",
        files=edit(lambda h, d: h["__metadata__"].update(step=3)))
trainer(CHECKPOINT, "probe --ids edited.safetensors --out out", f"{FILE} has no tensor 'input_ids'",
        files=edit(lambda h, d: None))
def spoil(header, data):
    at = header["model.norm.weight"]["data_offsets"][0]
    return data[:at] + struct.pack("<f", float("nan")) + data[at + 4:]


trainer(CHECKPOINT, INITIALIZE,
        f"{FILE}: tensor 'model.norm.weight' holds numbers that are not finite; use another file",
        files=edit(spoil))
trainer(LINE, f"{TRAIN} --set optimizer.lr=1e300",
        "--set optimizer.lr=1e300: optimizer.lr is 1e+300, expected a number that single precision holds")
for name, option in (("kept", "--checkpoint kept"), ("events", "--tensorboard events")):
    trainer(LINE, f"{TRAIN} --metrics {name} {option}", f"--metrics names '{name}', where the folder of "
            f"{option.split()[0]} goes; name another file with --metrics")

trainer(LINE, f"{TRAIN} --metrics loop", "cannot write 'loop': Too many levels of symbolic links",
        links={"loop": "loop"})
for option in ("steps", "sample-length"):
    trainer(LINE, f"train --{option} 1000000000000001", f"--{option} is '1000000000000001', expected a whole number of "
            "at most 1000000000000000", status=2)

# What a command writes must not take the place of what somebody needs.
STEP = {"run/step-00000002/model.safetensors": lambda tensors: tensors.read_bytes()}
EXPORT = "export --checkpoint run --folder "
for folder in ("run/step-00000002", "run"):
    trainer(CHECKPOINT, EXPORT + folder, f"'{folder}' holds a checkpoint; name another folder with --folder",
            files=STEP)
trainer(CHECKPOINT, "export --checkpoint copy.safetensors --folder .",
        "'.' holds a checkpoint; name another folder with --folder",
        files={name: lambda tensors: tensors.read_bytes() for name in ("copy.safetensors", "model.safetensors")})
for name in ("model.safetensors", "config.json"):
    trainer(CHECKPOINT, EXPORT + "out", f"'out/{name}' is there and no export of a trainer; name another folder with "
            "--folder", files={**STEP, f"out/{name}": b"{}"})
IDS = {"ids.safetensors": lambda tensors: ids_file([1] * 16)}
trainer(CHECKPOINT, "probe --ids ids.safetensors --out ./ids.safetensors",
        "--out names './ids.safetensors', which this command reads; name another file", files=IDS)
trainer(CHECKPOINT, "probe --ids ids.safetensors --parameters run --out run/step-00000002/model.safetensors",
        "--out names 'run/step-00000002/model.safetensors', which this command reads; name another file",
        files={**IDS, **STEP})
trainer(CHECKPOINT, "probe --ids ids.safetensors --out kept.safetensors",
        "--out names 'kept.safetensors', which is a checkpoint; name another file",
        files={**IDS, "kept.safetensors": lambda tensors: tensors.read_bytes()})
BESIDE = "stands there until it is whole; name another file to write"
trainer(CHECKPOINT, "probe --ids out.partial --out out",
        f"'out.partial' is read by this command, and 'out' {BESIDE}",
        files={"out.partial": IDS["ids.safetensors"]})
trainer(CHECKPOINT, "export --checkpoint out/config.json.partial --folder out",
        f"'out/config.json.partial' is read by this command, and 'out/config.json' {BESIDE}",
        files={"out/config.json.partial": lambda tensors: tensors.read_bytes()})
trainer(CHECKPOINT, "probe --ids ids.safetensors --out fifo", "cannot write 'fifo': it is not a regular file",
        files=IDS, shell="mkfifo fifo; {command}; status=$?; test -p fifo && rm fifo; exit $status")
trainer(CHECKPOINT, f"{TRAIN} --initialize .", "there is no checkpoint in '.'; ", prefix=True)

LACKS = f"{FILE} is a checkpoint and holds no"
ASK = "inspect the trainer or its run file"
for command, options in (("--memory --svg picture", ("--memory", "--svg")), ("--ops", ("--ops",)),
                         ("--program --program-svg picture", ("--program", "--program-svg"))):
    CASES.append(Case(CHECKPOINT, [], f"{options[0]}: {LACKS} program; {ASK}", place="contraflow",
                      also=[f"contraflow: error: {option}: {LACKS} program; {ASK}" for option in options],
                      command=f"inspect edited.safetensors {command}", files=raw(lambda b: b)))
CASES.append(Case(CHECKPOINT, [], f"--run: {LACKS} run file; {ASK}", place="contraflow",
                  command="inspect edited.safetensors --run", files=edit(lambda h, d: None)))

MACHINE = "machine"
trainer(MACHINE, f"{TRAIN} --threads 4000", "--threads is 4000, expected ", prefix=True, status=2)
trainer(MACHINE, TRAIN, "the trainer needs ", shell="ulimit -v 40000; {command}", prefix=True, program="{large}")
trainer(MACHINE, f"{TRAIN} --metrics out/of/here", "cannot write 'out/of/here': No such file or directory")
trainer(MACHINE, f"{TRAIN} --metrics text/a.txt",
        "'text/a.txt' is no file of metrics: line 1 has no step; name another file with --metrics")
trainer(MACHINE, f"{TRAIN} --checkpoint text/a.txt/below", "cannot write checkpoints to 'text/a.txt/below': '",
        prefix=True)
CASES.append(Case(MACHINE, [], "cannot write 'full.mlir': File too large",
                  command="compile run.json --stop-after=frontend -o full.mlir",
                  place="contraflow", shell="ulimit -f 1; {command}"))
# A picture that was there stays.
for option in ("--svg", "--program-svg"):
    CASES.append(Case(MACHINE, [], "cannot write 'old.svg': File too large", place="contraflow",
                      command=f"inspect run.json {option} old.svg --set {' '.join(SMALL)}",
                      files={"old.svg": b"picture"}, shell="ulimit -f 1; {command}"))
CASES.append(Case(MACHINE, [], "cannot write 'out/01-frontend.mlir': File too large", place="contraflow",
                  command="compile run.json --stop-after=frontend --dump-phases=out", shell="ulimit -f 1; {command}",
                  made=("out",)))
trainer(MACHINE, TRAIN, "cannot keep the generated code in memory: File too large (ulimit -f)",
        shell="ulimit -f 1; {command}")
trainer(MACHINE, TRAIN, "cannot open a file in memory for the generated code: Too many open files (ulimit -n)",
        shell="ulimit -n 4; {command}")
for command in ("info", "info --json", "--help", "--version", "generate --checkpoint edited.safetensors --length 2",
                TRAIN + " --checkpoint kept"):
    trainer(MACHINE, command, "cannot write standard output: No space left on device", files=raw(lambda b: b),
            shell="{command} > /dev/full", made=("kept",))
CASES.append(Case(MACHINE, [], "cannot write standard output: No space left on device", place="contraflow",
                  command="compile run.json --stop-after=frontend", shell="{command} > /dev/full"))
CASES.append(Case(MACHINE, [], "cannot write standard output: No space left on device", place="contraflow",
                  command="inspect run.json --json", shell="{command} > /dev/full"))
CASES.append(Case(MACHINE, [], "cannot write 'none/code.mlir': No such file or directory", place="contraflow",
                  command="compile run.json --stop-after=frontend -o none/code.mlir"))
CASES.append(Case(MACHINE, [], "cannot write 'run.json/01-frontend.mlir': Not a directory", place="contraflow",
                  prefix=True,
                  command="compile run.json --stop-after=frontend --dump-phases=run.json"))

trainer(MACHINE, f"{TRAIN} --checkpoint kept", "a checkpoint in 'kept' needs ", program="{large}",
        shell="ulimit -f 8000; {command}", prefix=True)
# A file of somebody who calls files like checkpoints.
trainer(MACHINE, f"{TRAIN} --checkpoint kept",
        "cannot rename 'kept/step-00000002.partial' to 'kept/step-00000002': Not a directory",
        files={"kept/step-00000002": b"notes"})
# A file in the way of the first checkpoint: it is tried again when the next one is due, and has to be there at the end.
IN_THE_WAY = {"kept/step-00000001.partial": b"", "kept/step-00000002.partial": b""}
trainer(MACHINE, f"{TRAIN} --checkpoint kept --set train.checkpoint_every=1",
        "cannot make the checkpoint folder 'kept/step-00000002.partial': ", prefix=True, files=IN_THE_WAY)
trainer(MACHINE, f"{TRAIN} --checkpoint kept", "cannot write checkpoints to 'kept': Permission denied; name another "
        "folder with --checkpoint", files={"kept/b": b""},
        shell=f"chmod 300 kept; {WITHOUT_RIGHTS}; status=$?; chmod 700 kept; exit $status")
for what, folder in (("checkpoints", "--checkpoint kept/a"), ("event files", "--tensorboard kept/a")):
    trainer(MACHINE, f"{TRAIN} {folder}", f"cannot write {what} to 'kept/a': '", prefix=True, files={"kept/b": b""},
            shell=f"chmod 500 kept; {WITHOUT_RIGHTS}; status=$?; chmod 700 kept; exit $status")
CASES.append(Case(MACHINE, [], "cannot write '", command="compile run.json -o text/never --set " + " ".join(SMALL),
                  place="contraflow",
                  shell="ulimit -f 60; {command}", prefix=True))

CASES.append(Case(MACHINE, [], "the trainer needs ", kind="warning", status=0, place="contraflow", prefix=True,
                  made=("vast",),
                  command="compile run.json -o vast --set model.vocab_size=2000000000 " + " ".join(SMALL)))
CASES.append(Case(MACHINE, [], "cannot make a temporary folder: No such file or directory", place="contraflow",
                  command="compile run.json --set " + " ".join(SMALL), shell="TMPDIR=/none {command}"))
CASES.append(Case(MACHINE, [], "cannot make folder 'run.json/dump': Not a directory", place="contraflow",
                  command="compile run.json --stop-after=frontend --dump-phases=run.json/dump"))

TRAINER = "trainer"
CASES.append(Case(TRAINER, [],
                  "257 ranks are too many for one process, expected at most 256; start them with mpirun or srun",
                  command="train run.json --set mesh.dp=257 batch.tokens=16448 -o many --data text", place="contraflow",
                  made=("many",)))
CASES.append(Case(TRAINER, [], "'cut' is cut: it has ", command="inspect cut", place="contraflow", prefix=True,
                  shell="head -c 100000 {trainer} > cut; {command}", made=("cut",)))
CASES.append(Case(TRAINER, [],
                  "'hurt' is damaged: it has another hash than its trailer says; copy or compile it again",
                  command="inspect hurt", place="contraflow", made=("hurt",),
                  shell="size=$(stat -c %s {trainer}); cp {trainer} hurt; "
                        "printf x | dd of=hurt bs=1 seek=$((size - 200)) conv=notrunc status=none; {command}"))
CASES.append(Case(TRAINER, [],
                  "'hurt' is damaged: the sizes in its payload trailer do not fit the file; compile it again",
                  command="inspect hurt", place="contraflow", made=("hurt",),
                  shell="size=$(stat -c %s {trainer}); cp {trainer} hurt; "
                        "printf '\\377' | dd of=hurt bs=1 seek=$((size - 45)) conv=notrunc status=none; {command}"))
# A byte of the runtime's read-only data, which the trainer itself notices, too.
HURT_STUB = ("cp {trainer} hurt; at=$(grep -abo 'unexpected argument' hurt | head -n 1 | cut -d : -f 1); "
             "printf x | dd of=hurt bs=1 seek=$at conv=notrunc status=none; "
             "{command} 2>&1 | sed \"s|'.*/hurt'|'hurt'|\" >&2; exit ${PIPESTATUS[0]}")
CASES.append(Case(TRAINER, [], "'hurt' is damaged: it has another hash than its trailer says; copy or compile it again",
                  command="inspect hurt", place="contraflow", made=("hurt",), shell=HURT_STUB))
CASES.append(Case(TRAINER, [], "'hurt' is damaged: it has another hash than its trailer says; copy or compile it again",
                  program="./hurt", command="info", place="contraflow", made=("hurt",), shell=HURT_STUB))
CASES.append(Case(TRAINER, [], "'long' is damaged: 5 bytes follow the end of the trainer; copy or compile it again",
                  command="inspect long", place="contraflow", made=("long",),
                  shell="cp {trainer} long; echo tail >> long; {command}"))
CASES.append(Case(TRAINER, [],
                  "this executable has no program in it; make one with 'contraflow compile RUN.json -o trainer'",
                  program="contraflow-stub", command="train", place="contraflow"))
