"""Errors of the command line: commands, options, --set, files that it names."""
import pathlib

from cases import case, plain, usage

LLAMA_ODD = pathlib.Path(__file__).resolve().parent.parent.parent / "numerics/golden/llama-odd"
COMMAND = "command line"
usage(COMMAND, "compil run.json", "unknown command 'compil'; did you mean 'compile'?")
usage(COMMAND, "assemble run.json", "unknown command 'assemble'; see contraflow --help")
usage(COMMAND, "compile", "expected RUN.json; see contraflow compile --help")
usage(COMMAND, "compile run.json other.json", "unexpected argument 'other.json'; see contraflow compile --help")
usage(COMMAND, "compile run.json --dump-phase=x", "unknown option '--dump-phase=x'; did you mean '--dump-phases'?")
usage(COMMAND, "compile -- --fast run.json", "unexpected argument 'run.json'; see contraflow compile --help")
plain(COMMAND, "compile -- --fast", "there is no file '--fast'")
usage(COMMAND, "inspect run.json --fast --jsn", "unknown option '--fast'; see contraflow inspect --help",
      also=["contraflow: error: unknown option '--jsn'; did you mean '--json'?"])
usage(COMMAND, "inspect run.json --stop-after=link",
      "'--stop-after' is no option of this command; see contraflow inspect --help")
usage(COMMAND, "compile run.json --stop-after=schedul",
      "'--stop-after': expected one of frontend, autodiff, parallel, fusion, schedule, "
      "memory, lowering, link, found 'schedul'; did you mean 'schedule'?")
usage(COMMAND, "compile run.json -o", "'-o': expected FILE; see contraflow compile --help")
usage(COMMAND, "inspect run.json --json=1", "'--json' takes no value; see contraflow inspect --help")
usage(COMMAND, "verify folder --threads=0", "'--threads': expected N, found '0'; see contraflow verify --help")
usage(COMMAND, "inspect run.json --set optimizer.lr",
      "'--set': expected KEY=VALUE..., found 'optimizer.lr'; see contraflow inspect --help")
usage(COMMAND, "inspect run.json --set", "'--set': expected KEY=VALUE...; see contraflow inspect --help")
for option, command in (("--output", "compile run.json -o ./run.json"), ("--output", "compile run.json -o model.mlir"),
                        ("--output", "compile run.json --stop-after=frontend -o run.json"),
                        ("--output", "train run.json -o run.json"), ("--svg", "inspect run.json --svg run.json"),
                        ("--program-svg", "inspect run.json --program-svg model.mlir")):
    plain(COMMAND, command, f"{option} names '{command.split()[-1]}', which is read; name another file")
plain(COMMAND, "compile run.json -o folder/contraflow-stub",
      "--output names 'folder/contraflow-stub', which is read; name another file",
      shell="mkdir folder; ln -s $(command -v contraflow-stub) folder; {command}; "
            "status=$?; rm -r folder; exit $status")
# What takes seconds to make is replaced, what somebody wrote is not.
for command, what in (("compile run.json -o", "trainer"), ("train run.json -o", "trainer"),
                      ("compile run.json --stop-after=frontend -o", "IR (.mlir)")):
    for name in ("other.json", "link"):
        plain(COMMAND, f"{command} {name}",
              f"--output names '{name}', which is there and no {what}; name another file, or remove it",
              files={"other.json": b"{}"}, links={"link": "other.json"})
for command in ("compile run.partial -o run", "compile run.partial --stop-after=frontend -o run"):
    plain(COMMAND, command,
          "'run.partial' is read, and 'run' stands there until it is whole; name another file to write",
          shell="mv run.json run.partial; {command}; status=$?; mv run.partial run.json; exit $status")
plain(COMMAND, "compile run.json -o dump/02-autodiff.mlir --dump-phases=./dump",
      "--output names 'dump/02-autodiff.mlir', as --dump-phases does; name another file")
plain(COMMAND, "compile dump/04-fusion.mlir --stop-after=memory --dump-phases=dump",
      "--dump-phases names 'dump/04-fusion.mlir', which is read; name another file",
      files={"dump/04-fusion.mlir": b'module attributes {nn.phase = "frontend"} {}'})
plain(COMMAND, "inspect run.json --svg picture --program-svg ./picture",
      "--program-svg names './picture', as --svg does; name another file")
for command in ("compile model.mlir", "inspect model.mlir", "compile model.mlir --start-from=memory"):
    plain(COMMAND, command, "'model.mlir' is a model; name the run file (.json) that uses it")
plain(COMMAND, "compile run.json -o fifo", "cannot write 'fifo': it is not a regular file", prefix=False,
      shell="mkfifo fifo; {command}; status=$?; rm fifo; exit $status")
usage(COMMAND, "inspect run.json --svg --json", "'--svg': expected FILE, found '--json'; see contraflow inspect --help")
usage(COMMAND, "compile run.json -o --timing",
      "'--output': expected FILE, found '--timing'; see contraflow compile --help")
usage(COMMAND, "train run.json --chekced", "unknown option '--chekced'; did you mean '--checked'?")
plain(COMMAND, "compile none.json", "there is no file 'none.json'")
plain(COMMAND, "compile loop.json", "cannot read 'loop.json': Too many levels of symbolic links",
      links={"loop.json": "loop.json"})
plain(COMMAND, "inspect run.txt",
      "'run.txt' is no trainer, expected a run file (.json), IR (.mlir) or what compile made",
      files={"run.txt": b"text"})
plain(COMMAND, "compile run.json --start-from=memory",
      "'run.json' is no IR, expected a .mlir file to start from 'memory'")
plain(COMMAND, "compile ir.mlir",
      "'ir.mlir' does not say in 'nn.phase' which phase wrote it; name the next one with --start-from",
      files={"ir.mlir": b"module {}"})
plain(COMMAND, "compile ir.mlir",
      "'ir.mlir' was written by an unknown phase 'polish', expected one of frontend, autodiff, parallel, "
      "fusion, schedule, memory, lowering, link", files={"ir.mlir": b'module attributes {nn.phase = "polish"} {}'})
plain(COMMAND, "compile ir.mlir --set seed=2",
      "--set seed=2: 'ir.mlir' is IR, in which the run file is bound already; compile the run file again",
      files={"ir.mlir": b'module attributes {nn.phase = "frontend"} {}'})
plain(COMMAND, "compile ir.mlir --start-from=fusion",
      "'ir.mlir' was written by phase 'memory', it can start from 'lowering' and not from 'fusion'",
      files={"ir.mlir": b'module attributes {nn.phase = "memory"} {}'})
plain(COMMAND, "compile ir.mlir --stop-after=fusion",
      "'ir.mlir' has passed phase 'fusion' already, it cannot stop there",
      files={"ir.mlir": b'module attributes {nn.phase = "memory"} {}'})
plain(COMMAND, "verify none", "there is no folder 'none'")
plain(COMMAND, "verify text", "folder 'text' has no config.json",
      also=["contraflow: error: folder 'text' has no model.safetensors"])
plain(COMMAND, f"verify {LLAMA_ODD} --threads 4000", "the trainer ended with status 2")
case(COMMAND, [], "no nn.graph '@train' in the module", command="inspect ir.mlir", place="ir.mlir:1:1",
     files={"ir.mlir": b'module attributes {nn.phase = "frontend"} {}'})
plain(COMMAND, "compile folder.mlir", "cannot read 'folder.mlir': Is a directory", links={"folder.mlir": "."})
case(COMMAND, [], "is nested too deeply, expected at most 200 levels", command="compile deep.mlir",
     files={"deep.mlir": b"module {\n" + b"scf.if %x {" * 5000}, place="deep.mlir:2:2200")
case(COMMAND, [], "is nested too deeply, expected at most 200 levels", command="compile deep.mlir",
     files={"deep.mlir": b"#a0 = 1\n" + b"".join(b"#a%d = [#a%d]\n" % (i + 1, i) for i in range(20000))},
     place="deep.mlir:102:10")
case(COMMAND, [], "an affine map is too long, expected at most 4096 characters", command="compile long.mlir",
     files={"long.mlir": b"#a = affine_map<(d0) -> (" + b"-" * 200000 + b"d0)>"}, place="long.mlir:1:4103")
plain(COMMAND, "compile fifo.mlir", "cannot read 'fifo.mlir': it is not a regular file",
      shell="mkfifo fifo.mlir; {command}; status=$?; rm fifo.mlir; exit $status")
plain(COMMAND, "inspect copy --set seed=2",
      "--set seed=2: 'copy' is compiled already; compile its run file again",
      shell="cp {trainer} copy; {command}", made=("copy",))
case(COMMAND, [], "custom op 'what' is unknown", command="compile ir.mlir --start-from=fusion",
     place="ir.mlir:1:10",
     files={"ir.mlir": b"module { what }"}, prefix=True)
case(COMMAND, [], "cannot be read: Is a directory", command="inspect folder.json", place="folder.json",
     links={"folder.json": "."})
case(COMMAND, [], "cannot be read: it is not a regular file", command="inspect fifo.json", place="fifo.json",
     shell="mkfifo fifo.json; {command}; status=$?; rm fifo.json; exit $status")
case(COMMAND, [], "cannot be read: it has 100000000 bytes, expected at most 67108864", command="inspect large.json",
     place="large.json", shell="truncate -s 100000000 large.json; {command}; status=$?; rm large.json; exit $status")

SET = "--set"


def assigned(assignment, message, **more):
    """An error at the one assignment of a call."""
    case(SET, more.pop("run", []), message, command=f"inspect run.json --set '{assignment}'",
         place=f"--set {assignment}", **more)


assigned("optimizer.lr=fast", 'optimizer.lr: expected a number of 0 or more, found "fast"')
assigned("optimizer.lr=", 'optimizer.lr: expected a number of 0 or more, found ""')
assigned("optimizer.lr=1e999", 'optimizer.lr: expected a number of 0 or more, found "1e999"')
assigned("optimizer.rl=1", "optimizer: unknown key 'rl'; did you mean 'lr'?")
assigned("optimizr.lr=1", "unknown key 'optimizr'; did you mean 'optimizer'?")
assigned("lr=1", "unknown key 'lr'; did you mean 'optimizer.lr'?")
assigned("seed.value=1", "seed: expected an object, found 1")
assigned("optimizer.betas[2]=0.9", "optimizer.betas: expected a list with an element 2, found [0.9,0.95]")
assigned("optimizer.betas[1]=1.5", "optimizer.betas[1]: expected a number of 0 or more and below 1, found 1.5")
assigned("optimizer.betas[x]=1", "expected KEY=VALUE, such as optimizer.lr=3e-4 or model.num_hidden_layers=4")
assigned("optimizer..lr=1", "expected KEY=VALUE, such as optimizer.lr=3e-4 or model.num_hidden_layers=4")
assigned("optimizer={\"lr\": 1", "syntax error", prefix=True)
assigned("optimizer={\"rl\": 1}", "optimizer: unknown key 'rl'; did you mean 'lr'?")
case(SET, [], "holds a text that is no UTF-8", command="inspect run.json --set name=$'\\xff'",
     place="--set name=\ufffd")
assigned("model=none.json", "model: there is no file 'none.json'")
assigned("model.num_hidden_layers=0", "model.num_hidden_layers: expected an integer of 1 or more, found 0")
assigned("model.num_layers=4", "nothing reads key 'num_layers'")
assigned("model.num_hiden_layers=4", "nothing reads key 'num_hiden_layers'; did you mean 'num_hidden_layers'?")
assigned("model.n_group=3",
         "model.n_group = 3: 'nn.route' op (C3) columns of logits must be a multiple of groups, found 8 and 3")
assigned("model.hidden_size=null", "model.hidden_size: must not be null")
assigned("model.model_type=llama", 'model.model_type: \'@deepseek\' serves "deepseek_v3", "deepseek_v2", found "llama"')
assigned("batch.tokens=100", "batch.tokens: expected a multiple of sequence * micro_batches = 64, found 100")
assigned("architecture=none.mlir", "architecture: there is no file 'none.mlir'")
assigned("target.isa=z80",
         "target.isa: unknown instruction set 'z80', expected native or a processor such as x86-64-v3")
assigned("num_hidden_layers=0", "unknown key 'num_hidden_layers'", prefix=True)
assigned("model.hidden_size=0", "hidden_size: expected an integer of 1 or more, found 0", config=[])
assigned("model.eos_token_id=500", "eos_token_id: expected an id of 0 to 263, found 500", config=[])
