"""Errors in configurations, inline and in a file of their own."""
from cases import case, warning

CONFIG = "configuration"

# Unknown, missing and misspelt keys.
case(CONFIG, [('"hidden_size": 128, ', ''), ('"model":', '^"model":')], "key 'hidden_size' is missing")
case(CONFIG, [('"hidden_size": 128', '"hiden_size": 128'), ('"model":', '^"model":')],
     "key 'hidden_size' is missing; did you mean 'hiden_size' to be it?")
case(CONFIG, [('"vocab_size": 264, ', ''), ('"num_hidden_layers": 3, ', ''), ('"model":', '^"model":')],
     "key 'vocab_size' is missing", also=["run.json:3:3: error: key 'num_hidden_layers' is missing"])
case(CONFIG, [('"model_type": "deepseek_v3", ', ''), ('"model":', '^"model":')],
     "key 'model_type' is missing; '@deepseek' serves \"deepseek_v3\", \"deepseek_v2\"")
case(CONFIG, [('"deepseek_v3"', '"gpt2"'), ('"model_type"', '^"model_type"')],
     "model.model_type: '@deepseek' serves \"deepseek_v3\", \"deepseek_v2\", found \"gpt2\"")
case(CONFIG, [('"model_type": "deepseek_v3"', '^"model_type": 3')], "model.model_type: expected a string, found 3")
warning(CONFIG, [('"rms_norm_eps"', '^"rms_norm_epss"')],
        "nothing reads key 'rms_norm_epss'; did you mean 'rms_norm_eps'?")
warning(CONFIG, [('"n_shared_experts"', '^"n_shared_expert"')],
        "nothing reads key 'n_shared_expert'; did you mean 'n_shared_experts'?")

# Wrong types and ranges.
for key, old, new, what in [
        ("hidden_size", "128", "0", "an integer of 1 or more, found 0"),
        ("hidden_size", "128", "-4", "an integer of 1 or more, found -4"),
        ("hidden_size", "128", "128.0", "an integer of 1 or more, found 128.0"),
        ("hidden_size", "128", '"128"', 'an integer of 1 or more, found "128"'),
        ("hidden_size", "128", "true", "an integer of 1 or more, found true"),
        ("hidden_size", "128", "[128]", "an integer of 1 or more, found [128]"),
        ("intermediate_size", "256", "1e3", "an integer of 1 or more, found 1000.0"),
        ("num_hidden_layers", "3", "0", "an integer of 1 or more, found 0"),
        ("num_attention_heads", "2", "{}", "an integer of 1 or more, found an object"),
        ("num_nextn_predict_layers", "1", "-1", "an integer of 0 or more, found -1"),
        ("qk_rope_head_dim", "16", "0", "an integer of 1 or more, found 0"),
        ("vocab_size", "264", "99999999999999999999", "an integer of at most 9223372036854775807, found 1e+20"),
        ("rms_norm_eps", "1e-06", '"small"', 'a number, found "small"'),
        ("rope_theta", "10000.0", "[1]", "a number, found [1]"),
        ("tie_word_embeddings", "false", "0", "true or false, found 0"),
        ("attention_bias", "false", '"no"', 'true or false, found "no"'),
        ("norm_topk_prob", "true", "1", "true or false, found 1"),
        ("hidden_act", '"silu"', '"gelu"', '"silu", found "gelu"'),
        ("scoring_func", '"sigmoid"', '"tanh"', 'one of "sigmoid", "softmax", found "tanh"'),
        ("topk_method", '"noaux_tc"', '"best"', 'one of "noaux_tc", "group_limited_greedy", "greedy", found "best"'),
        ("max_position_embeddings", "64", "0", "an integer of 1 or more, found 0"),
        ("bos_token_id", "256", "264", "an id of 0 to 263, found 264"),
        ("eos_token_id", "257", "-1", "an id of 0 to 263, found -1"),
        ("bos_token_id", "256", '"<s>"', 'an id of 0 to 263, found "<s>"')]:
    case(CONFIG, [(f'"{key}": {old}', f'^"{key}": {new}')], f"model.{key}: expected {what}")
case(CONFIG, [('"eos_token_id": 257', '"eos_token_id": [257, ^300]')],
     "model.eos_token_id[1]: expected an id of 0 to 263, found 300")
case(CONFIG, [('"hidden_size": 128', '^"hidden_size": null')], "model.hidden_size: must not be null")

# With the first errors.
case(CONFIG, [('"hidden_size": 128', '^"hidden_size": 0'), ('"rope_theta"', '"attention_dropout": 1, "rope_theta"')],
     "model.hidden_size: expected an integer of 1 or more, found 0",
     also=["run.json:13:5: error: model.attention_dropout: expected a number of 0 to 0.999999, found 1"])

# Sizes that do not fit together.
case(CONFIG, [('"num_experts_per_tok": 2', '^"num_experts_per_tok": 9')],
     "model.num_experts_per_tok: expected an integer of 1 to 8, found 9")
case(CONFIG, [('"n_group": 4', '^"n_group": 3')],
     "model.n_group = 3: 'nn.route' op (C3) columns of logits must be a multiple of groups, found 8 and 3")
# Relations of the run file, and of sizes, in one go.
case(CONFIG, [('"n_group": 4, "topk_group": 2', '"n_group": 3, "topk_group": 9'),
              ('"rope_theta": 1', '"rope_theta": -1'), ('"qk_rope_head_dim": 16', '"qk_rope_head_dim": 15'),
              ('"tokens": 256', '^"tokens": 250')],
     "batch.tokens: expected a multiple of sequence * micro_batches = 64, found 250",
     also=["run.json:9:29: error: model.qk_rope_head_dim = 15: 'nn.rope' op (C1) head_dim must be a multiple of 2, "
           "found 15 and 2",
           "run.json:13:5: error: model.rope_theta = -10000.0: 'nn.rope' op (C4) theta must be positive, "
           "found -10000.0",
           "run.json:11:5: error: model.n_group = 3: 'nn.route' op (C3) columns of logits must be a multiple of "
           "groups, found 8 and 3",
           "run.json:11:19: error: model.topk_group = 9: 'nn.route' op (C3) group_limit must be at most groups, "
           "found 9 and 3"])
# A value that is wrong by itself hides no relation of others, and makes none.
RELATIONS = [('"n_group": 4', '"n_group": 3'), ('"first_k_dense_replace": 1', '^"first_k_dense_replace": 9')]
case(CONFIG, RELATIONS, "model.first_k_dense_replace: expected an integer of 0 to 3, found 9",
     also=["run.json:11:5: error: model.n_group = 3: 'nn.route' op (C3) columns of logits must be a multiple of "
           "groups, found 8 and 3"])
case(CONFIG, [('"n_group": 4', '"n_group": 3'), ('"n_routed_experts": 8', '^"n_routed_experts": 0')],
     "model.n_routed_experts: expected an integer of 1 or more, found 0",
     command="inspect run.json 2> said; cat said >&2; test $(grep -c error: said) = 1", status=0, made=("said",))
# Neither a missing one.
case(CONFIG, [('"vocab_size": 264, ', ''), ('"model":', '^"model":'),
              ('"qk_rope_head_dim": 16', '"qk_rope_head_dim": 7')],
     "key 'vocab_size' is missing",
     also=["run.json:9:29: error: model.qk_rope_head_dim = 7: 'nn.rope' op (C1) head_dim must be a multiple of 2, "
           "found 7 and 2"])
case(CONFIG, [('"sequence": 64, "tokens": 256', '^"sequence": 16777216, "tokens": 16777216')],
     "batch.sequence = 16777216: 'nn.rope' op (C7) the angles for seq 16777216 must take at most 256 MiB, found "
     "1536 MiB",
     shell="ulimit -v 4000000; {command}", command="compile run.json -o x")
case(CONFIG, [('"topk_group": 2', '^"topk_group": 5')],
     "model.topk_group = 5: 'nn.route' op (C3) group_limit must be at most groups, found 5 and 4")
case(CONFIG, [('"topk_group": 2', '^"topk_group": null')],
     "model.topk_group = null: 'nn.route' op needs 'group_limit', which is null in this configuration")
case(CONFIG, [('"topk_group": 2', '"topk_group": 1'), ('"num_experts_per_tok": 2', '^"num_experts_per_tok": 3')],
     "model.num_experts_per_tok = 3: 'nn.route' op", prefix=True)
case(CONFIG, [('"qk_rope_head_dim": 16', '^"qk_rope_head_dim": 15')],
     "model.qk_rope_head_dim = 15: 'nn.rope' op (C1) head_dim must be a multiple of 2, found 15 and 2")
case(CONFIG, [('"num_key_value_heads": 2', '^"num_key_value_heads": 1')],
     "model.num_key_value_heads: expected an integer of 2 to 2, found 1")
case(CONFIG, [('"first_k_dense_replace": 1', '^"first_k_dense_replace": 4')],
     "model.first_k_dense_replace: expected an integer of 0 to 3, found 4")
case(CONFIG, [('"num_hidden_layers": 3', '^"num_hidden_layers": 2000')],
     "model.num_hidden_layers = 2000: 'nn.repeat' op repeats 1999 times, at most 1000 can be")
case(CONFIG, [('"vocab_size": 264', '^"vocab_size": 2147483648')],
     "model.vocab_size: expected an integer of at most 2147483647, found 2147483648")
warning(CONFIG, [('"vocab_size": 264, "bos_token_id": 256, "eos_token_id": 257', '^"vocab_size": 100')],
        "model.vocab_size: 100 ids are too few for text as bytes, expected 258; the trainer will take recorded ids "
        "only (probe)")
case(CONFIG, [('"vocab_size": 264', '^"vocab_size": 4000000000000000000')],
     "model.vocab_size = 4000000000000000000: 'nn.param' op"
     " a value of type '!nn.tensor<vocab x hidden>' is too large here")

# Rotary positions.
case(CONFIG, [('"rope_theta": 10000.0', '^"rope_scaling": {"type": "yarn"}')],
     "key 'rope_scaling.factor' is missing, which has no default where yarn")
case(CONFIG, [('"rope_theta": 10000.0', '^"rope_scaling": {"factor": 4}')],
     "key 'rope_scaling.rope_type' is missing, which has no default where has(some_factor)")
case(CONFIG, [('"rope_theta": 10000.0', '^"rope_scaling": "yarn"')],
     'model.rope_scaling: expected an object, found "yarn"')
case(CONFIG, [('"rope_theta": 10000.0', '"rope_scaling": {^"type": "linear", "factor": 2}')],
     'model.rope_scaling.type: expected one of "default", "yarn", found "linear"')
case(CONFIG, [('"rope_theta": 10000.0', '"rope_scaling": {"type": "yarn", ^"factor": 0.5}')],
     "model.rope_scaling.factor: expected a number of 1 or more, found 0.5")
case(CONFIG, [('"rope_theta": 10000.0', '"rope_scaling": {"rope_type": "yarn", ^"type": "default", "factor": 2}')],
     'model.rope_scaling.type: found "default", which contradicts model.rope_scaling.rope_type = "yarn"; leave out '
     'one of them')
case(CONFIG, [('"rope_theta": 10000.0', '"rope_theta": 10000.0, "rope_parameters": {^"rope_theta": 5000}')],
     "model.rope_parameters.rope_theta: found 5000, which contradicts model.rope_theta = 10000.0; "
     "leave out one of them")
# Two configurations read the factor: it is said once.
case(CONFIG, [('"rope_theta": 10000.0', '"rope_theta": 10000.0, "rope_scaling": {"rope_type": "yarn", "factor": 4}, '
               '"rope_parameters": {"rope_type": "yarn", ^"factor": 8}')],
     "model.rope_parameters.factor: found 8, which contradicts model.rope_scaling.factor = 4; leave out one of them")
warning(CONFIG, [('"rope_theta": 10000.0', '"rope_scaling": {"type": "yarn", "factor": 2, ^"beta_fst": 3}')],
        "nothing reads key 'rope_scaling.beta_fst'; did you mean 'rope_scaling.beta_fast'?")

# Llama: heads and groups of heads.
LLAMA = "models/llama/tiny.json"
case(CONFIG, [('"hidden_size": 256', '^"hidden_size": 250'), ('"head_dim": 32,', '')],
     "model.hidden_size = 250: default of 'head_dim': expected an integer of 1 or more, found 31.25", base=LLAMA)
case(CONFIG, [('"num_key_value_heads": 2', '^"num_key_value_heads": 3')],
     "model.num_key_value_heads = 3: 'nn.attention' op",
     base=LLAMA, prefix=True)
case(CONFIG, [('"head_dim": 32', '^"head_dim": 33')],
     "model.head_dim = 33: 'nn.rope' op (C1) head_dim must be a multiple of 2, found 33 and 2", base=LLAMA)
case(CONFIG, [('"seed": 1', '"loss": {^"mtp_weight": 1}')], "unknown key 'loss.mtp_weight'; '@llama' has no such loss",
     base=LLAMA)
case(CONFIG, [('"llama"', '"mistral"'), ('"model_type"', '^"model_type"')],
     "model.model_type: '@llama' serves \"llama\", found \"mistral\"", base=LLAMA)

# A file of its own.
FILE = "config.json"
case(FILE, [], "hidden_size: expected an integer of 1 or more, found 0",
     config=[('"hidden_size": 128', '^"hidden_size": 0')])
case(FILE, [], "key 'hidden_size' is missing", config=[('"hidden_size": 128, ', '')], place="config.json:1:1")
case(FILE, [], "n_group = 3: 'nn.route' op (C3) columns of logits must be a multiple of groups, found 8 and 3",
     config=[('"n_group": 4', '^"n_group": 3')])
case(FILE, [], "key 'n_group' is there twice", config=[('"n_group": 4', '"n_group": 4, ^"n_group": 4')])
case(FILE, [], "syntax error", config=[('"n_group": 4', '"n_group": ^,')], prefix=True)
case(FILE, [], "syntax error", config="", place="config.json:1:1", prefix=True)
case(FILE, [], "expected a JSON object", config="[1]", place="config.json:1:1")
case(FILE, [('"config.json"', '"none.json"'), ('"model"', '^"model"')], "model: there is no file 'none.json'",
     config=[])
case(FILE, [('"config.json"', '"."'), ('"model"', '^"model"')],
     "model: expected a config.json, found the folder '.'; did you mean './config.json'?", config=[])
case(FILE, [('"config.json"', '"text"'), ('"model"', '^"model"')],
     "model: expected a config.json, found the folder 'text'", config=[])
case(FILE, [('"config.json"', '"loop.json"'), ('"model"', '^"model"')],
     "model: 'loop.json' cannot be read: Too many levels of symbolic links", config=[],
     links={"loop.json": "loop.json"})
case(FILE, [('"config.json"', '"/dev/zero"'), ('"model"', '^"model"')],
     "model: '/dev/zero' cannot be read: it is not a regular file", config=[])
case(FILE, [('"config.json"', '"config.json", ^"architecture": "none.mlir"')],
     "architecture: there is no file 'none.mlir'",
     config=[])
case(FILE, [('"config.json"', '"config.json", ^"architecture": "."')],
     "architecture: expected a .mlir file, found the folder '.'", config=[])
case(FILE, [('"config.json"', '"config.json", ^"architecture": "run.json"')],
     "architecture: expected a .mlir file, found JSON in 'run.json'", config=[])
case(FILE, [], 'this is a configuration (model_type "deepseek_v3"), expected a run file; name it as "model" in one',
     config=[('"model_type"', '^"model_type"')], command="compile config.json -o x 2> said; cat said >&2; "
     "test $(wc -l < said) = 1", status=0, made=("said",))
case(FILE, [('"config.json"', '"config.json", ^"architecture": "loop.mlir"')],
     "architecture: 'loop.mlir' cannot be read: Too many levels of symbolic links", config=[],
     links={"loop.mlir": "loop.mlir"})
case(FILE, [('"config.json"', '"config.json", ^"architecture": "fifo"')],
     "architecture: 'fifo' cannot be read: it is not a regular file", config=[],
     shell="mkfifo fifo; {command}; status=$?; rm fifo; exit $status")
