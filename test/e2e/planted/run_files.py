"""Errors in run files: edits of models/deepseek-v3/nano.json. `^` marks where the error is reported."""
from cases import case, warning

RUN = "run file"
KEYS = ("$schema, architecture, batch, bias_update_rate, data, document_mask, dropout, ema, init, loss, mesh, model, "
        "name, optimizer, seed, target, train")

# Unknown keys, with the nearest known one.
case(RUN, [('"optimizer":', '^"optimiser":')], "unknown key 'optimiser'; did you mean 'optimizer'?")
case(RUN, [('"batch":', '^"btach":')], "unknown key 'btach'; did you mean 'batch'?",
     also=["run.json:1:1: error: key 'batch' is missing"])
case(RUN, [('"model":', '^"modell":')], "unknown key 'modell'; did you mean 'model'?",
     also=["run.json:1:1: error: key 'model' is missing"])
case(RUN, [('"seed": 1', '^"seed": 18446744073709551616')],
     "seed: expected an integer of 0 to 18446744073709551615, found 1.8446744073709552e+19")
case(RUN, [('"seed": 1', '"seed": 1, ^"sead": 2')], "unknown key 'sead'; did you mean 'seed'?")
case(RUN, [('"lr": 0.003', '^"learning": 0.003')],
     "optimizer: unknown key 'learning', expected one of betas, clip_norm, eps, lr, min_lr, schedule, warmup_steps, "
     "weight_decay",
     prefix=True)
case(RUN, [('"min_lr"', '^"minlr"')], "optimizer: unknown key 'minlr'; did you mean 'min_lr'?")
case(RUN, [('"weight_decay"', '^"weight_dcay"')], "optimizer: unknown key 'weight_dcay'; did you mean 'weight_decay'?")
case(RUN, [('"steps": 200', '^"step": 200')], "train: unknown key 'step'; did you mean 'steps'?")
case(RUN, [('"validate_every"', '^"validation_every"')],
     "train: unknown key 'validation_every'; did you mean 'validate_every'?")
case(RUN, [('"sequence": 64', '"sequence": 64, ^"sequences": 4')],
     "batch: unknown key 'sequences'; did you mean 'sequence'?")
case(RUN, [('"kind": "cpu"', '^"knd": "cpu"')], "target: unknown key 'knd'; did you mean 'kind'?")
case(RUN, [('"std": 0.02', '^"sdt": 0.02')], "init: unknown key 'sdt'; did you mean 'std'?", prefix=True)
case(RUN, [('"mtp_weight"', '^"mtp_wieght"')], "unknown key 'loss.mtp_wieght'; did you mean 'loss.mtp_weight'?")
case(RUN, [('"balance_alpha"', '^"z"')], "unknown key 'loss.z'; '@deepseek' has no such loss")
case(RUN, [('"seed": 1', '^"lr": 1')], "unknown key 'lr'; did you mean 'optimizer.lr'?")
case(RUN, [('"seed": 1', '^"sequence": 1')], "unknown key 'sequence'; did you mean 'batch.sequence'?")
case(RUN, [('"seed": 1', '"seed": 1, ^"zzzzzzzz": 0')], f"unknown key 'zzzzzzzz', expected one of {KEYS}")
case(RUN, [('"seed": 1', '"seed": 1, ^"séed": 0')], "unknown key 'séed'; did you mean 'seed'?")
case(RUN, [('"seed": 1', '"seed": 1, "optimizer.lr": 0')], "unknown key 'optimizer.lr'", place="run.json:1:1",
     prefix=True)
case(RUN, [('"seed": 1', '^"": 1')], "unknown key ''", prefix=True)

# Missing keys.
case(RUN, [('"sequence": 64, ', ''), ('"batch"', '^"batch"')], "batch: key 'sequence' is missing")
case(RUN, "{}", "key 'model' is missing", place="run.json:1:1", also=["run.json:1:1: error: key 'batch' is missing"])

# Wrong types.
case(RUN, [('"lr": 0.003', '^"lr": "high"')], 'optimizer.lr: expected a number of 0 or more, found "high"')
case(RUN, [('"lr": 0.003', '^"lr": null')], "optimizer.lr: expected a number of 0 or more, found null")
case(RUN, [('"lr": 0.003', '^"lr": "0.003"')], 'optimizer.lr: expected a number of 0 or more, found "0.003"')
case(RUN, [('"lr": 0.003', '^"lr": [0.003]')], "optimizer.lr: expected a number of 0 or more, found [0.003]")
case(RUN, [('"lr": 0.003', '^"lr": {"value": 1}')], "optimizer.lr: expected a number of 0 or more, found an object")
case(RUN, [('"steps": 200', '^"steps": 200.0')],
     "train.steps: expected an integer of 0 to 1000000000000000, found 200.0")
case(RUN, [('"steps": 200', '^"steps": "200"')],
     'train.steps: expected an integer of 0 to 1000000000000000, found "200"')
for key, value in (("steps", 200), ("warmup_steps", 10)):
    section = "train" if key == "steps" else "optimizer"
    case(RUN, [(f'"{key}": {value}', f'^"{key}": 9223372036854775807')],
         f"{section}.{key}: expected an integer of 0 to 1000000000000000, found 9223372036854775807")
case(RUN, [('"steps": 200', '^"steps": true')], "train.steps: expected an integer of 0 to 1000000000000000, found true")
case(RUN, [('"tokens": 256', '^"tokens": 2.5e2')], "batch.tokens: expected an integer of 1 or more, found 250.0")
case(RUN, [('"seed": 1', '^"seed": -1')], "seed: expected an integer of 0 or more, found -1")
case(RUN, [('"seed": 1', '^"seed": 1.5')], "seed: expected an integer of 0 or more, found 1.5")
case(RUN, [('"schedule": "cosine"', '^"schedule": 3')], "optimizer.schedule: expected a string, found 3")
case(RUN, [('"schedule": "cosine"', '^"schedule": "linear"')],
     'optimizer.schedule: expected one of "constant", "cosine", found "linear"')
case(RUN, [('"kind": "cpu"', '^"kind": "gpu"')], 'target.kind: expected one of "cpu", found "gpu"')
case(RUN, [('"isa": "native"', '^"isa": 512')], "target.isa: expected a string, found 512")
case(RUN, [('"isa": "native"', '^"isa": "x86-64-v9"')],
     "target.isa: unknown instruction set 'x86-64-v9', expected native or a processor such as x86-64-v3")
case(RUN, [('"isa": "native"', '^"isa": "i386"')],
     "target.isa: instruction set 'i386' has no 64-bit instructions, expected native or a processor such as x86-64-v3")
case(RUN, [('"betas": [0.9, 0.95]', '^"betas": 0.9')], "optimizer.betas: expected 2 numbers, found 0.9")
case(RUN, [('"betas": [0.9, 0.95]', '^"betas": [0.9]')], "optimizer.betas: expected 2 numbers, found [0.9]")
case(RUN, [('"betas": [0.9, 0.95]', '"betas": [0.9, ^1]')],
     "optimizer.betas[1]: expected a number of 0 or more and below 1, found 1")
case(RUN, [('"betas": [0.9, 0.95]', '"betas": [^-0.1, 0.95]')],
     "optimizer.betas[0]: expected a number of 0 or more and below 1, found -0.1")
case(RUN, [('"seed": 1', '^"data": []')], "data: expected an object, found []")
case(RUN, [('"seed": 1', '"data": {^"paths": 3}')], "data.paths: expected a string or a list of strings, found 3")
case(RUN, [('"seed": 1', '"data": {^"include": ["*.c", 1]}')],
     'data.include: expected a string or a list of strings, found ["*.c",1]')
case(RUN, [('"seed": 1', '"data": {^"held_out": 1}')],
     "data.held_out: expected a number of 0 or more and below 1, found 1")
case(RUN, [('"seed": 1', '^"document_mask": "yes"')], 'document_mask: expected true or false, found "yes"')
case(RUN, [('"seed": 1', '"ema": {^"decay": "a"}')],
     'ema.decay: expected a number of 0 or more and below 1, found "a"')
case(RUN, [('"seed": 1', '^"name": "a\\nb"')], 'name: expected a string without control characters, found "a\\nb"')
case(RUN, [('"seed": 1', '^"name": 7')], "name: expected a string, found 7")
case(RUN, [('"bias_update_rate": 0.001', '^"bias_update_rate": -1')],
     "bias_update_rate: expected a number of 0 or more, found -1")
case(RUN, [('"loss": { "mtp_weight": 0.3, "balance_alpha": 0.0001 }', '^"loss": 0.3')],
     "loss: expected an object, found 0.3")
case(RUN, [('"mtp_weight": 0.3', '^"mtp_weight": "0.3"')],
     'loss.mtp_weight: expected a number of 0 or more, found "0.3"')
case(RUN, [('"std": 0.02', '^"std": -0.02')], "init.std: expected a number of 0 or more, found -0.02")

# Numbers out of range.
case(RUN, [('"lr": 0.003', '^"lr": -1')], "optimizer.lr: expected a number of 0 or more, found -1")
case(RUN, [('"lr": 0.003', '^"lr": 1e300')],
     "optimizer.lr: expected a number that single precision holds, found 1e+300")
case(RUN, [('"lr": 0.003', '"lr": ^1e999')], "number 1e999 is too large")
case(RUN, [('"eps": 1e-08', '^"eps": 0')], "optimizer.eps: expected a number of 1e-30 or more, found 0")
case(RUN, [('"warmup_steps": 10', '^"warmup_steps": -10')],
     "optimizer.warmup_steps: expected an integer of 0 to 1000000000000000, found -10")
case(RUN, [('"steps": 200', '^"steps": 18446744073709551615')],
     "train.steps: expected an integer of 0 to 1000000000000000, found 18446744073709551615")
case(RUN, [('"sequence": 64', '^"sequence": 0')], "batch.sequence: expected an integer of 1 to 2147483647, found 0")
case(RUN, [('"sequence": 64', '^"sequence": 1099511627776')],
     "batch.sequence: expected an integer of 1 to 2147483647, found 1099511627776")
case(RUN, [('"micro_batches": 1', '^"micro_batches": 1000000')],
     "batch.micro_batches: expected an integer of 1 to 4096, found 1000000")
case(RUN, [('"tokens": 256', '^"tokens": 137438953472')],
     "batch.tokens: a micro-batch has 137438953472 tokens, expected at most 2147483647; raise batch.micro_batches")

# Keys that contradict each other.
case(RUN, [('"tokens": 256', '^"tokens": 250')],
     "batch.tokens: expected a multiple of sequence * micro_batches = 64, found 250")
case(RUN, [('"micro_batches": 1', '"micro_batches": 3'), ('"tokens"', '^"tokens"')],
     "batch.tokens: expected a multiple of sequence * micro_batches = 192, found 256")
case(RUN, [('"min_lr": 0.0003', '^"min_lr": 0.03')],
     "optimizer.min_lr: expected at most optimizer.lr = 0.003, to which a cosine falls, found 0.03")
case(RUN, [('"sequence": 64', '^"sequence": 1')],
     "batch.sequence = 1: 'nn.shift' op (C1) by must be less than seq, found 1 and 1: no token would be left")
warning(RUN, [('"warmup_steps": 10', '^"warmup_steps": 500')],
        "optimizer.warmup_steps: 500 is more than train.steps = 200: the run ends before its warm-up")
warning(RUN, [('"validate_every": 50', '^"validate_every": 500')],
        "train.validate_every: 500 is more than train.steps = 200: it happens at the end only")
warning(RUN, [('"checkpoint_every": 0', '^"keep_every": 500')],
        "train.keep_every: 500 is more than train.steps = 200: it happens at the end only")
warning(RUN, [('"checkpoint_every": 0', '"checkpoint_every": 5, "keep_last": 0, ^"keep_every": 10')],
        "train.keep_every: train.keep_last = 0 keeps every checkpoint, and train.checkpoint_every = 5 writes these: "
        "it has no effect")
warning(RUN, [('"sequence": 64', '^"sequence": 128')],
        "batch.sequence: 128 tokens are more than max_position_embeddings = 64 of the model")

# All errors of a file at once, those of the configuration in it too.
case(RUN, [('"lr": 0.003', '^"lr": "x"'), ('"steps": 200', '"steps": -1'), ('"hidden_size": 128', '"hidden_size": 0')],
     'optimizer.lr: expected a number of 0 or more, found "x"',
     also=["run.json:22:14: error: train.steps: expected an integer of 0 to 1000000000000000, found -1",
           "run.json:6:5: error: model.hidden_size: expected an integer of 1 or more, found 0"])

# JSON.
JSON = "JSON"
case(JSON, [('"seed": 1', '"seed": 1,\n  ^"seed": 2')], "key 'seed' is there twice")
case(JSON, [('"lr": 0.003', '"lr": 0.003, ^"lr": 1'), ('"seed": 1', '"seed": -1')], "key 'lr' is there twice",
     also=["run.json:23:3: error: seed: expected an integer of 0 or more, found -1"])
case(JSON, [('"seed": 1\n}', '"seed": 1,\n^}')], "syntax error", prefix=True)
case(JSON, [('"seed": 1', '"seed" ^1')], "syntax error", prefix=True)
case(JSON, [('"seed": 1', '"seed": ^NaN')], "syntax error", prefix=True)
case(JSON, [('"seed": 1', '"seed": 0^1')], "syntax error", prefix=True)
case(JSON, [('"seed": 1', '"seed": ^// one\n1')], "syntax error", prefix=True)
case(JSON, [('"seed": 1', "^'seed': 1")], "syntax error", prefix=True)
case(JSON, [('"seed": 1\n}', '"seed": 1\n')], "syntax error", place="run.json:25:1", prefix=True)
case(JSON, "", "syntax error", place="run.json:1:1", prefix=True)
case(JSON, "[]", "expected a JSON object", place="run.json:1:1")
case(JSON, '"text"', "expected a JSON object", place="run.json:1:1")
case(JSON, "{} {}", "syntax error", place="run.json:1:4", prefix=True)
case(JSON, '{"model": ' + "[" * 5000 + "]" * 5000 + "}", "values are nested too deeply, expected at most 100 levels",
     place="run.json:1:1")
case(JSON, b"\xff\xfe{\0}\0", "the text is UTF-16, expected UTF-8", place="run.json:1:1")
case(JSON, b'{"name": "\0"}', "the text holds a NUL character, expected JSON", place="run.json:1:11")
case(JSON, b'{"name": "\xff"}', "syntax error", place="run.json:1:11", prefix=True)
case(JSON, '{"name": "' + "x" * 100000 + "\n", "syntax error", place="run.json:1:100011", prefix=True)
case(JSON, b"\xef\xbb\xbf{}", "key 'model' is missing", place="run.json:1:1")
case(JSON, '{\r\n"model": 3,\r\n"batch": {"sequence": 4}}',
     "model: expected a configuration or the path of a config.json, found 3", place="run.json:2:1")

# Meshes.
MESH = '"batch": {'
case(RUN, [(MESH, '"mesh": {^"dp": 0}, "batch": {')], "mesh.dp: expected an integer of 1 to 32768, found 0")
case(RUN, [(MESH, '"mesh": {^"pd": 2}, "batch": {')], "mesh: unknown key 'pd'; did you mean 'pp'?")
case(RUN, [(MESH, '"mesh": {"dp": 2, ^"pp": 2}, "batch": {')],
     "mesh.pp: expected 1 (stages over ranks are not compiled yet), found 2")
case(RUN, [(MESH, '"mesh": {"dp": 2, ^"ep": 2}, "batch": {')],
     "mesh.ep: expected 1 (experts over ranks are not compiled yet), found 2")
case(RUN, [(MESH, '^"mesh": {"dp": 3, "ep": 2}, "batch": {')],
     "mesh: ep is 2, which does not divide dp, 3; world = pp * dp ranks; ep divides dp", prefix=True)
case(RUN, [(MESH, '"mesh": {"dp": 3}, "batch": {'), ('"tokens"', '^"tokens"')],
     "batch.tokens: expected a multiple of sequence * micro_batches * mesh.dp = 192, found 256")
