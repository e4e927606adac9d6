"""Errors of edited IR: a dump of a phase, in which one thing is another. It is refused at its line, and no folder of a
crash is left behind."""
from cases import CASES, Case
from trainers import SMALL

DUMP = "edited dump"


def dump(phases, edit, message, every=False, isa="native"):
    """The first line that the pattern of `edit` (of sed) matches is changed, or every one, in the IR of each phase."""
    lines = "" if every else f"0,/{edit.split('/')[1]}/"
    for phase in phases.split():
        keys = " ".join([*SMALL, f"target.isa={isa}"])
        compiled = f"contraflow compile run.json --stop-after={phase} -o whole.mlir --set {keys}"
        CASES.append(Case(
            f"{DUMP}, {phase}", [], message, command="compile ir.mlir -o trainer", place="ir.mlir:", prefix=True,
            shell=f"{compiled}; sed -E '{lines}{edit}' whole.mlir > ir.mlir; cmp -s whole.mlir ir.mlir && exit 9; "
                  "{command}; status=$?; rm whole.mlir ir.mlir; exit $status"))


# What the runtime goes by when it writes inputs and reads outputs.
PROGRAMS = "schedule memory lowering"
dump(PROGRAMS, "s/nn.batch = 1 :/nn.batch = 64 :/",
     "'pipe.expose' op (C1) input 'tokens' has 16 numbers, expected nn.micro_batches * nn.batch * nn.seq = 1 * 64 * 16")
dump(PROGRAMS, "s/nn.seq = 16 :/nn.seq = 8 :/",
     "'pipe.expose' op (C1) input 'tokens' has 16 numbers, expected nn.micro_batches * nn.batch * nn.seq = 1 * 1 * 8")
dump(PROGRAMS, "s/nn.vocab = 264 :/nn.vocab = 260 :/",
     "'pipe.expose' op (C1) output 'logits' has 264 columns, expected nn.vocab = 260")
dump(PROGRAMS, "s/nn.micro_batches = 1 :/nn.micro_batches = 0 :/",
     "'pipe.program' op (C1) has 1 micro-batches, expected nn.micro_batches = 0")
dump(PROGRAMS, 's/init "normal"/init "gauss"/',
     "'pipe.parameter' op (C3) init must be \"normal\", \"ones\" or \"zeros\", found \"gauss\"")
dump(PROGRAMS, 's/parameter "lm_head.weight"/parameter "model.embed_tokens.weight"/',
     "'pipe.parameter' op (C3) names a parameter 'model.embed_tokens.weight' that is there already")
dump(PROGRAMS, r's/(parameter "lm_head.weight" of "graph" at )[0-9]+/\1640000000/',
     "'pipe.parameter' op (C4) begins at 640000000, expected 67584")
dump(PROGRAMS, r's/\[264, 64\] init/[264, 63] init/', "'pipe.parameter' op (C4) begins at 67584, expected 66560")
# Padding hides it from its neighbours, functions know.
dump("schedule memory", r's/\[8, 64\] init/[8, 63] init/',
     "'pipe.parameter' op (C7) has shape [8, 63], 'layer_moe.forward' takes '!nn.tensor<8 x 64>'")

dump("frontend memory lowering", 's/nn.run = "..../nn.run = "{{{/',
     "attribute 'nn.run' is no JSON object, expected the text of a run file")
# What only the manifest tells.
dump("lowering", "s/ arena [0-9]+/ arena 64/", "the manifest is wrong: manifest: ", every=True)
dump("lowering", 's/nn.isa = "x86-64-v3"/nn.isa = "x86-64"/',
     "the code has fused multiply-adds, which instruction set 'x86-64' lacks; continue from an earlier phase",
     isa="x86-64-v3")
